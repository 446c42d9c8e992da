"""Sources of tables."""

from pathlib import Path

import pytest

from headgate.testing.source_suite import TableKit, TableSuite
from tests.conformance.kits import (
    ODBC_DRIVER,
    SQLITE_ODBC_DRIVER,
    AlchemyKit,
    DuckdbKit,
    MariadbKit,
    OdbcFunctionsKit,
    OdbcKit,
    OdbcSqliteKit,
    PostgresKit,
    SqliteKit,
    installed,
)
from tests.emulators import absent
from tests.mariadb import Mariadb


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


class TestOdbc(TableSuite):
    spec = "odbc"
    deltas = ("timestamp", "timestamptz", "date", "text")
    names = ('we"ird', "Ünïcode 🚪 it's", "back`tick\\")  # every session is a process

    @pytest.fixture
    def kit(self, database: str, tmp_path: Path) -> TableKit:
        if not installed(ODBC_DRIVER):
            absent("PostgreSQL's ODBC driver is not installed: apt-get install odbc-postgresql")
        return OdbcKit(database, tmp_path)


class TestOdbcFunctions(TableSuite):
    """PostgreSQL's driver read as one of which nothing is known."""

    spec = "odbc"
    deltas = ("timestamp", "timestamptz", "date")
    names = ('we"ird', "Ünïcode 🚪 it's", "pat_tern\\")

    @pytest.fixture
    def kit(self, database: str, tmp_path: Path) -> TableKit:
        if not installed(ODBC_DRIVER):
            absent("PostgreSQL's ODBC driver is not installed: apt-get install odbc-postgresql")
        return OdbcFunctionsKit(database, tmp_path)


class TestOdbcSqlite(TableSuite):
    spec = "odbc"
    deltas = ("timestamp", "epoch_us", "text")
    names = ('we"ird', "Ünïcode it's", "pat_te%rn\\")  # its driver has no characters of four bytes

    @pytest.fixture
    def kit(self, tmp_path: Path) -> TableKit:
        if not installed(SQLITE_ODBC_DRIVER):
            absent("SQLite's ODBC driver is not installed: apt-get install libsqliteodbc")
        return OdbcSqliteKit(tmp_path)


class TestMariadb(TableSuite):
    spec = "mariadb"
    names = ('we"ird', "it's", "semi;colon -- /*", "Ünïcode", "select", "MiXeD", "a.b", "back`tick\\")

    @pytest.fixture
    def kit(self, mariadb: Mariadb, tmp_path: Path) -> TableKit:
        return MariadbKit(mariadb, tmp_path)


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
