"""How the database finds the next run: it must stay quick when thousands wait and a million are stored."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from headgate.config import Settings
from headgate.store import open_store
from headgate.store.queue import _by_turn, _next_free, _next_lapsed


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    open_store(Settings(data=tmp_path)).close()
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'metadata.db'}")
    yield engine
    engine.dispose()


def _steps(engine: sa.Engine, query: sa.Select[Any]) -> list[str]:
    text = query.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
    with engine.connect() as connection:
        return [str(row[-1]) for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}")]


def test_the_next_run_of_an_organisation_is_read_from_indexes_in_order(engine: sa.Engine) -> None:
    steps = _steps(engine, _next_free().params(org_id="ORG"))
    assert [step for step in steps if "ix_runs_waiting (org_id=?)" in step], steps
    assert [step for step in steps if "other" in step and "(flow_id=? AND state=? AND seq<?)" in step], steps
    assert not [step for step in steps if "TEMP B-TREE" in step or step.startswith("SCAN")], steps


def test_whose_turn_it_is_is_one_look_into_an_index_for_each_organisation(engine: sa.Engine) -> None:
    steps = _steps(engine, _by_turn())
    assert [step for step in steps if "ix_runs_waiting (org_id=?)" in step], steps
    assert not [step for step in steps if step.startswith("SCAN runs")], steps


def test_a_dead_workers_run_is_found_among_those_under_way(engine: sa.Engine) -> None:
    steps = _steps(engine, _next_lapsed())
    assert [step for step in steps if "(state=?" in step], steps
