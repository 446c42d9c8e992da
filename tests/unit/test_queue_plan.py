"""How the database finds the next run: it must stay quick when thousands wait."""

from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from headgate.config import Settings
from headgate.store import open_store
from headgate.store.queue import _next_free


def test_whether_a_run_must_wait_is_read_from_an_index(tmp_path: Path) -> None:
    open_store(Settings(data=tmp_path)).close()
    query = _next_free().compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'metadata.db'}")
    with engine.connect() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}").all()
    engine.dispose()
    steps = [str(row[-1]) for row in plan]
    assert [step for step in steps if "other" in step and "(flow_id=? AND state=? AND seq<?)" in step], steps
