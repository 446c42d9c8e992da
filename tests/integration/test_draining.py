"""A worker that is told to stop lets its runs finish for as long as the settings say, then gives them back."""

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from headgate import faults
from headgate.engine import worker as worker_module
from headgate.engine.worker import Worker
from headgate.sources import connection_specs
from headgate.store import tables
from tests.acceptance.processes import until
from tests.deployment import Deployment

SQLITE = next(spec.id for spec in connection_specs() if spec.name == "sqlite")


@pytest.fixture(autouse=True)
def _slow() -> Iterator[None]:
    faults.arm({"HEADGATE_FAULTS": "stage.mid:sleep=1", "HEADGATE_FAULTS_MEANT": "yes"})
    yield
    faults.arm({})


@pytest.mark.parametrize(("grace", "ended"), [(0.0, ("queued", 0)), (60.0, ("success", 1))])
def test_runs_finish_within_the_grace(
    tmp_path: Path, grace: float, ended: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    with sqlite3.connect(tmp_path / "source.db") as source:
        source.execute("CREATE TABLE events (at TIMESTAMP)")
        source.execute("INSERT INTO events VALUES ('2024-01-01 10:00:00')")
    source.close()
    deployment = Deployment(tmp_path, worker_grace=grace)
    flow = deployment.flow(SQLITE, {"path": str(tmp_path / "source.db")}, {"tableName": "events"}, mode="append")
    run = deployment.enqueue(flow, "2024-01-01", "2024-01-02", "at")
    worker = Worker(deployment.store, deployment.lake, deployment.settings)
    monkeypatch.setattr(worker_module, "_REGISTER_SECONDS", 0.05)
    worker.start()
    until(lambda: faults._armed["stage.mid"][0].reached > 0)
    stopping = threading.Thread(target=worker.stop)
    stopping.start()
    until(worker._stopping.is_set)
    if grace:  # it says that it is there for as long as it is
        with deployment.store._engine.begin() as connection:
            connection.execute(sa.update(tables.workers).values(seen_at=0))
        until(lambda: [one.silent_ms < 10_000 for one in deployment.store.workers.all()] == [True])
    stopping.join()
    assert deployment.store.workers.all() == []
    run = deployment.scoped.run(run.id)
    deployment.close()
    assert (run.state.value, run.attempt) == ended
