"""Workers, the queue and the audit log over HTTP."""

import time
from collections.abc import Iterator

import pytest

from headgate.engine import Worker
from headgate.targets import Lake
from tests.integration.face import Face, refused, second_org
from tests.integration.test_roles import may, person

DELTA = {"name": "updated_at"}
BOB = "bob@example.com"


@pytest.fixture(autouse=True)
def nobody_has_a_role(face: Face) -> Iterator[None]:
    yield
    for grant in face.store.tenants.grants(face.credentials.org_id):
        if grant.principal == BOB:
            face.store.tenants.revoke(face.credentials.org_id, grant)


def test_the_queue_is_the_sandboxs(face: Face) -> None:
    busy, other = face.of("dev"), second_org(face)
    flow = busy.flow(name="often", targetConnectionIds=[busy.target(busy.dataset("Busy"))])
    late = busy.flow(name="later", targetConnectionIds=[busy.target(busy.dataset("Late"))])
    begun = time.time()
    ids = [busy.run(flow, deltaColumn=DELTA).json()["id"] for _ in range(2)]
    assert busy.run(late, deltaColumn=DELTA, startTime=str(int(begun) + 86_400)).status_code == 201
    queue = busy.get("/headgate/queue").json()
    assert (queue["waiting"], queue["later"], queue["running"]) == (2, 1, 0)
    assert abs(queue["oldestDueAt"] / 1000 - begun) < 60
    assert 0 <= queue["oldestWaitSeconds"] < 60
    assert [(one["flowId"], one["name"], one["waiting"], one["later"]) for one in queue["flows"]] == [
        (flow, "often", 2, 0),
        (late, "later", 0, 1),
    ]
    assert queue["flows"][1]["oldestDueAt"] is None
    assert queue["organisation"]["waiting"] == 2
    assert face.get("/headgate/queue").json()["flows"] == []
    assert face.get("/headgate/queue").json()["organisation"]["waiting"] == 2
    assert other.get("/headgate/queue").json()["organisation"]["waiting"] == 0
    for id_ in ids:
        busy.send("POST", f"/runs/{id_}/action?op=cancel", None)
    assert busy.get("/headgate/queue").json()["waiting"] == 0


def test_the_totals_are_for_those_who_see_the_monitoring(face: Face) -> None:
    org_id, tenants = face.credentials.org_id, face.store.tenants
    from headgate.model.permissions import Permission

    tenants.add_role(org_id, "sees sources", frozenset({Permission.VIEW_SOURCES}))
    may(face, "sees sources", user=BOB)
    bob = person(face, BOB)
    assert "organisation" not in bob.get("/headgate/queue").json()
    refused(bob.get("/headgate/workers"), 403, "FLOW-2121-403")


def test_a_worker_is_seen_while_it_is_there(face: Face) -> None:
    assert face.get("/headgate/workers").json() == {"items": [], "_links": {}}
    lake = Lake(face.settings.warehouse)
    worker = Worker(face.store, lake, face.settings)
    worker.start()
    try:
        until = time.monotonic() + 30
        while not (found := face.get("/headgate/workers").json()["items"]) and time.monotonic() < until:
            time.sleep(0.02)
        [one] = found
        assert (one["id"], one["running"], one["runs"]) == (worker.name, 0, [])
        assert one["state"] == "idle"
        assert one["places"] == face.settings.parallel_runs
        assert one["startedAt"] <= one["seenAt"]
    finally:
        worker.stop()
        lake.close()
    assert face.get("/headgate/workers").json()["items"] == []


def test_what_a_worker_has_and_one_that_is_silent(face: Face) -> None:
    here = face.of("dev")
    flow = here.flow(targetConnectionIds=[here.target(here.dataset("Held"))])
    run = here.run(flow, deltaColumn=DELTA).json()["id"]
    claim = face.store.queue.claim("worker-test", lease=60)
    assert claim is not None
    assert claim.run.id == run
    workers = face.store.workers
    for name in ("worker-test", "worker-lost"):
        workers.seen(name, host="here", pid=1, version="0", places=2)
        workers.seen(name, host="here", pid=1, version="0", places=2)
    import sqlalchemy as sa

    engine = sa.create_engine(face.metadata)
    with engine.begin() as database:
        database.execute(sa.text("UPDATE workers SET seen_at = seen_at - 60000 WHERE id = 'worker-lost'"))
    found = {one["id"]: one for one in here.get("/headgate/workers").json()["items"]}
    assert {name: one["state"] for name, one in found.items()} == {"worker-test": "working", "worker-lost": "silent"}
    assert (found["worker-test"]["running"], found["worker-test"]["runs"]) == (1, [run])
    elsewhere = {one["id"]: one for one in face.of("prod").get("/headgate/workers").json()["items"]}
    assert (elsewhere["worker-test"]["running"], elsewhere["worker-test"]["runs"]) == (1, [])
    with engine.begin() as database:
        database.execute(sa.text("UPDATE workers SET seen_at = seen_at - 86400000 WHERE id = 'worker-lost'"))
    engine.dispose()
    workers.seen("worker-new", host="here", pid=1, version="0", places=2)
    assert "worker-lost" not in here.get("/headgate/workers").text
    for name in ("worker-test", "worker-new"):
        workers.gone(name)
    here.send("POST", f"/runs/{run}/action?op=cancel", None)


# -- the audit log --------------------------------------------------------------------------------------


def audit(face: Face, **wanted: object) -> list[dict[str, object]]:
    answer = face.get("/headgate/audit", **wanted)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, object]] = answer.json()["items"]
    return found


def test_the_audit_log_is_filtered_and_paged(face: Face) -> None:
    begun = int(time.time() * 1000) - 5000
    connection = face.connection("audited")
    face.delete(f"/connections/{connection}")
    mine = audit(face, resource=connection)
    assert [entry["action"] for entry in mine] == ["delete", "create"]
    assert (mine[0]["principal"], mine[0]["sandbox"], mine[0]["kind"]) == ("local@headgate", "prod", "connections")
    assert audit(face, resource="connections", action="delete", since=begun)[0] == mine[0]
    assert audit(face, resource=connection, until=begun) == []
    assert audit(face, resource=connection, sandbox="dev") == []
    assert audit(face, principal="nobody") == []
    assert audit(face, resource=connection, since="2020-01-01", until="2099-01-01T00:00:00Z") == mine
    seen, address = [], "/headgate/audit?resource=connections&limit=2"
    while address:
        page = face.http.get(address, headers=face.headers).json()
        assert len(page["items"]) <= 2
        seen += page["items"]
        address = page["_links"].get("next", {}).get("href")
    assert seen == audit(face, resource="connections", limit=1000)


def test_the_audit_log_is_the_organisations(face: Face) -> None:
    other = second_org(face)
    connection = face.connection("seen by none but us")
    assert audit(other, resource=connection) == []
    may(face, "developer", user=BOB)
    refused(person(face, BOB).get("/headgate/audit"), 403, "FLOW-2121-403")
    may(face, "admin", "prod", user=BOB)
    refused(person(face, BOB).get("/headgate/audit"), 403, "FLOW-2121-403")


@pytest.mark.parametrize("wanted", [{"since": "yesterday"}, {"continuationToken": "x"}, {"limit": 0}, {"org": "x"}])
def test_what_the_audit_log_does_not_take(face: Face, wanted: dict[str, object]) -> None:
    assert face.get("/headgate/audit", **wanted).status_code == 400
