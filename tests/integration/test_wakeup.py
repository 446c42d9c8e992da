"""Workers of several hosts hear through PostgreSQL of runs that others store, also after a connection broke."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from headgate.engine.worker import Worker
from headgate.service.examining import examined
from headgate.sources import connection_specs
from headgate.store import Store, open_store, wakeup
from tests.acceptance.processes import until
from tests.deployment import Deployment

SQLITE = next(spec.id for spec in connection_specs() if spec.name == "sqlite")
_LISTENING = "FROM pg_stat_activity WHERE datname = current_database() AND query = 'LISTEN headgate_work'"


@pytest.fixture
def here(tmp_path: Path, own_metadata: str) -> Iterator[Deployment]:
    """A deployment whose workers look at the queue by themselves no more than once a minute."""
    deployment = Deployment(tmp_path, metadata_url=own_metadata, poll=60.0)
    yield deployment
    deployment.close()


@pytest.fixture
def elsewhere(here: Deployment) -> Iterator[Store]:
    """The store as a process on another host has it."""
    store = open_store(here.settings)
    yield store
    store.close()


def listeners(store: Store, what: str = "count(*)") -> int:
    with store._engine.connect() as connection:
        return int(connection.execute(sa.text(f"SELECT {what} {_LISTENING}")).scalar() or 0)


def emptied(store: Store) -> bool:
    with store._engine.connect() as connection:
        return not connection.execute(sa.text("SELECT 1 FROM runs WHERE state <> 'success'")).first()


@pytest.mark.parametrize("own_metadata", ["postgresql"], indirect=True)
def test_a_run_that_another_host_stored_is_heard_of(here: Deployment, elsewhere: Store, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "source.db") as source:
        source.execute("CREATE TABLE events (at TIMESTAMP)")
        source.execute("INSERT INTO events VALUES ('2024-01-01 10:00:00')")
    source.close()
    flow = here.flow(SQLITE, {"path": str(tmp_path / "source.db")}, {"tableName": "events"}, mode="append")
    worker = Worker(here.store, here.lake, here.settings)
    worker.start()
    try:
        with here.store.wakeup.heard(worker.wake):
            until(lambda: listeners(elsewhere) == 1)
            for _ in range(2):
                here.enqueue(flow, "2024-01-01", "2024-01-02", "at")
                elsewhere.wakeup.tell()
                until(lambda: emptied(elsewhere))
                # The second time it is heard of although the connection broke before.
                listeners(elsewhere, "pg_terminate_backend(pid)")
            until(lambda: listeners(elsewhere) == 1)
    finally:
        worker.stop()
    assert listeners(elsewhere) == 0
    assert len(here.rows()) == 2


def test_word_is_for_nobody_where_the_metadata_is_embedded(tmp_path: Path) -> None:
    deployment = Deployment(tmp_path)
    woken: list[str] = []
    with deployment.store.wakeup.heard(lambda: woken.append("woken")):
        deployment.store.wakeup.tell()
    assert deployment.store.wakeup.passes() is None
    deployment.close()
    assert woken == []


@pytest.mark.parametrize("own_metadata", ["postgresql"], indirect=True)
def test_whether_word_passes_is_found_out(here: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    here.settings.keys.mkdir(mode=0o700)
    assert _told(here) == "workers hear of new runs at once"
    monkeypatch.setattr(wakeup, "_END_SECONDS", 0.3)
    monkeypatch.setattr(wakeup.Wakeup, "tell", lambda _: None)  # as if a pooler kept it to itself
    assert "next look at the queue only" in _told(here)


def _told(deployment: Deployment) -> str:
    return next(each.found for each in examined(deployment.settings) if each.check == "wake-up")
