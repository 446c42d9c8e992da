"""Sources of tables."""

from pathlib import Path

import pytest

from headgate.testing.source_suite import TableKit, TableSuite
from tests.conformance.kits import AlchemyKit, DuckdbKit, PostgresKit, SqliteKit


class TestPostgres(TableSuite):
    spec = "postgresql"

    @pytest.fixture
    def kit(self, database: str, tmp_path: Path) -> TableKit:
        return PostgresKit(database, tmp_path)


class TestSqlalchemy(TableSuite):
    spec = "sqlalchemy"

    @pytest.fixture
    def kit(self, database: str, tmp_path: Path) -> TableKit:
        return AlchemyKit(database, tmp_path)


class TestSqlite(TableSuite):
    spec = "sqlite"

    @pytest.fixture
    def kit(self, tmp_path: Path) -> TableKit:
        return SqliteKit(tmp_path)


class TestDuckdb(TableSuite):
    spec = "duckdb"

    @pytest.fixture
    def kit(self, tmp_path: Path) -> TableKit:
        return DuckdbKit(tmp_path)
