"""What the browser's tests find in a service: flows that have run, one that failed, one that waits."""

import sqlite3
import time

from headgate.service.working import working
from tests.integration.face import Face

__all__ = ["ran", "seed"]

_SECONDS = 60
_FINAL = ("success", "failed", "cancelled")


def seed(face: Face) -> None:
    """Make connections, flows and runs in each state that a run may stay in."""
    shop = face.connection("Shop database")
    orders = face.flow(
        name="Orders, daily",
        sourceConnectionIds=[face.source(shop)],
        targetConnectionIds=[face.target(face.dataset("Orders of the shop"))],
    )
    with sqlite3.connect(face.folder / "shop.db") as database:
        database.execute("CREATE TABLE returns (id INTEGER, updated_at TIMESTAMP, total REAL)")
    returns = face.flow(
        name="Returns",
        sourceConnectionIds=[face.source(shop, "returns")],
        targetConnectionIds=[face.target(face.dataset("Returned goods"))],
    )
    face.flow(
        name="Orders, each night",
        sourceConnectionIds=[face.source(shop)],
        targetConnectionIds=[face.target(face.dataset("Orders by night"))],
        scheduleParams={"startTime": str(int(time.time()) + 7 * 86_400), "frequency": "day", "interval": 1},
        transformations=[{"name": "Copy", "params": {"deltaColumn": {"name": "updated_at"}}}],
    )
    _begin(face, orders, "1709251200", "1710201600", deltaColumn={"name": "updated_at"})
    _begin(face, orders, "1710201600", "1711929600")
    _begin(face, returns, "1709251200", "1710201600", deltaColumn={"name": "updated_at"})
    with sqlite3.connect(face.folder / "shop.db") as database:
        database.execute("DROP TABLE returns")
    database.close()
    ran(face)
    later = _begin(face, orders, "1711929600", "1714521600")
    face.post(f"/runs/{later}/action?op=cancel", None)
    _begin(face, orders, "1714521600", "1717200000")


def _begin(face: Face, flow_id: str, start: str, end: str, **params: object) -> str:
    answer = face.run(flow_id, windowStartTime=start, windowEndTime=end, **params)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def ran(face: Face) -> None:
    """Have a worker end all runs that there are."""
    ends = time.monotonic() + _SECONDS
    with working(face.settings):
        while any(run["metrics"]["statusSummary"]["status"] not in _FINAL for run in _runs(face)):
            assert time.monotonic() < ends, "The seeded runs do not end."
            time.sleep(0.05)


def _runs(face: Face) -> list[dict[str, dict[str, dict[str, str]]]]:
    found: list[dict[str, dict[str, dict[str, str]]]] = face.get("/runs").json()["items"]
    return found
