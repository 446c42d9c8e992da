"""A dataset with batches of every kind, for tests that read them back."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from headgate.engine import Worker
from headgate.targets import Lake
from tests.integration.face import FILES, LOCAL_FILES, Face

EVERYTHING = {"windowStartTime": "0", "windowEndTime": "4102444800"}


@dataclass(frozen=True)
class Story:
    """A dataset with a run that brought 50 rows, one that failed, one that was cancelled, and one that waits."""

    dataset: str
    flow: str
    brought: str
    failed: str
    cancelled: str
    waiting: str


@contextmanager
def working(face: Face) -> Iterator[Worker]:
    """A worker of the service's store and warehouse."""
    lake = Lake(face.settings.warehouse)
    worker = Worker(face.store, lake, face.settings)
    worker.start()
    try:
        yield worker
    finally:
        worker.stop()
        lake.close()


def ended(face: Face, worker: Worker, run: httpx.Response) -> str:
    """The id of a run that was just made, once it has ended."""
    assert run.status_code == 201, run.text
    id_ = str(run.json()["id"])
    worker.wake()
    for _ in range(600):
        [item] = face.get(f"/runs/{id_}").json()["items"]
        if item["metrics"]["statusSummary"]["status"] in ("success", "failed", "cancelled"):
            return id_
        time.sleep(0.05)
    raise AssertionError(item)


def tell(face: Face, worker: Worker) -> Story:
    """Make the flows and runs of a story."""
    dataset = face.dataset("Orders")
    target = face.target(dataset)
    flow = face.flow(targetConnectionIds=[target])
    brought = ended(face, worker, face.run(flow, **EVERYTHING, deltaColumn={"name": "updated_at"}))
    (face.folder / "bad.json").write_text('{"id": 1}\n{"id": \n')
    source = {"name": "bad", "connectionSpec": {"id": LOCAL_FILES}, "data": {"format": "json"}}
    source_id = face.made("/sourceConnections", {**source, "params": {"path": "bad.json"}})
    bad = face.flow(flowSpec={"id": FILES}, sourceConnectionIds=[source_id], targetConnectionIds=[target])
    failed = ended(face, worker, face.run(bad, **EVERYTHING))
    later = str(int(time.time()) + 86_400)
    cancelled, waiting = (face.run(flow, **EVERYTHING, startTime=later).json()["id"] for _ in range(2))
    assert face.post(f"/runs/{cancelled}/action?op=cancel", None).status_code == 200
    return Story(dataset, flow, brought, failed, cancelled, waiting)
