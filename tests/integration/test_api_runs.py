"""Runs: the answer, the delta-column rule, windows, keys, and cancelling."""

import threading
import time
from typing import Any

import httpx
import pytest

from headgate.model.runs import RunState
from tests.integration.face import BASE, NOBODY, WINDOW, Face, Json, refused

DELTA = {"name": "updated_at"}
COPY = {"name": "Copy", "params": {"deltaColumn": {"name": "updated_at"}}}
DAILY = {"startTime": 1612310466, "frequency": "day", "interval": 1}


@pytest.fixture(scope="module")
def flow(face: Face) -> str:
    """A flow on a table whose first run has set its delta column."""
    flow = face.flow()
    assert face.run(flow, deltaColumn=DELTA).status_code == 201
    return flow


@pytest.fixture(scope="module")
def chain(face: Face) -> Json:
    """The ids that further flows on the same table are made of."""
    return {"sourceConnectionIds": [face.source(face.connection())], "targetConnectionIds": [face.target()]}


def transformations(face: Face, flow: str) -> Any:
    return face.get(f"/flows/{flow}").json()["items"][0]["transformations"]


def finish(face: Face, run_id: str, state: RunState = RunState.SUCCESS) -> None:
    """Do a worker's part for this run and all that wait before it."""
    while claim := face.store.queue.claim("test", lease=60):
        metrics = {"durationSummary": {"startedAtUTC": 1000, "completedAtUTC": 2000}}
        face.store.queue.finish(claim.run, state, metrics=metrics, activities=[])
        if claim.run.id == run_id:
            return
    raise AssertionError(run_id)


def test_the_answer_is_the_whole_run_and_both_short_forms(face: Face, chain: Json) -> None:
    flow = face.flow(**chain)
    params = {"windowStartTime": "1651584991", "windowEndTime": "16515859567", "deltaColumn": DELTA}
    answer = face.post("/runs", {"flowId": flow, "params": params, "status": "active", "id": NOBODY})
    assert answer.status_code == 201
    run = answer.json()
    created = run["createdAt"]
    assert run == {
        "id": run["id"],
        "createdAt": created,
        "updatedAt": created,
        "createdBy": "local@headgate",
        "updatedBy": "local@headgate",
        "createdClient": face.credentials.client_id,
        "updatedClient": face.credentials.client_id,
        "sandboxId": run["sandboxId"],
        "sandboxName": "prod",
        "imsOrgId": face.credentials.org_id,
        "flowId": flow,
        "flowSpec": {"id": "14518937-270c-4525-bdec-c2ba7cce3860", "version": "1.0"},
        "params": params,
        "etag": run["etag"],
        "eTag": run["etag"],
        "version": run["etag"],
        "metrics": {"statusSummary": {"status": "scheduled"}},
        "activities": [],
        "items": [{"id": run["id"], "etag": run["etag"]}],
    }
    assert run["id"] != NOBODY
    assert abs(created - time.time() * 1000) < 60_000
    assert answer.headers["location"] == f"{BASE}/runs/{run['id']}"
    assert answer.headers["etag"] == run["etag"]
    found = face.get(f"/runs/{run['id']}")
    del run["items"]
    assert found.json() == {"items": [run], "_links": {}}
    assert found.headers["etag"] == run["etag"]


def test_params_are_echoed_in_the_type_they_came_in(face: Face, flow: str) -> None:
    params = {"startTime": 5, "windowStartTime": 1709251200, "windowEndTime": "1710201600", "mine": [None, 1.5]}
    run = face.post("/runs", {"flowId": flow, "params": params}).json()
    assert run["params"] == params
    stored = face.get(f"/runs/{run['id']}").json()["items"][0]["params"]
    assert stored == params
    assert isinstance(stored["windowStartTime"], int)


@pytest.mark.parametrize(
    ("start", "end", "window"),
    [
        ("1651584991", "16515859567", (1651584991000, 16515859567000)),
        (1709251200000, "1710201600000", (1709251200000, 1710201600000)),
        (99_999_999_999, 100_000_000_000, None),
        ("1709251200", "1709251200", (1709251200000, 1709251200000)),
        (0, 1, (0, 1000)),
    ],
)
def test_windows_by_magnitude(face: Face, flow: str, start: Any, end: Any, window: tuple[int, int] | None) -> None:
    answer = face.run(flow, windowStartTime=start, windowEndTime=end)
    if window is None:  # seconds of the year 5138, then milliseconds of 1973
        refused(answer, 400, "CONNECTOR-1381-400")
        return
    scope = face.store.tenants.scope(face.credentials.org_id, None)
    assert scope is not None
    found = face.store.scoped(scope).run(answer.json()["id"]).window
    assert (found.start_ms, found.end_ms) == window


REFUSED: dict[str, tuple[Json, str]] = {
    "no flow": ({"flowId": None}, "FLOW-1446-400"),
    "empty flow": ({"flowId": ""}, "FLOW-1446-400"),
    "flow is a number": ({"flowId": 5}, "FLOW-1446-400"),
    "unknown flow": ({"flowId": NOBODY}, "FLOW-1430-400"),
    "flow without form": ({"flowId": "nonsense"}, "FLOW-1430-400"),
    "params is null": ({"params": None}, "CONNECTOR-1384-400"),
    "params is empty": ({"params": {}}, "CONNECTOR-1384-400"),
    "params is a list": ({"params": []}, "CONNECTOR-1384-400"),
    "params is a text": ({"params": "x"}, "CONNECTOR-1384-400"),
    "no start": ({"params": {"windowEndTime": 1}}, "CONNECTOR-1384-400"),
    "no end": ({"params": {"windowStartTime": 1}}, "CONNECTOR-1384-400"),
    "end before start": ({"params": {"windowStartTime": 2, "windowEndTime": 1}}, "CONNECTOR-1381-400"),
    **{
        f"{field} is {value!r}": ({"params": {**WINDOW, field: value}}, "CONNECTOR-1340-400")
        for field in ("windowStartTime", "windowEndTime", "startTime")
        for value in ("yesterday", "", "1e400", "-1", -1, "2024-03-01T00:00:00Z", 10**18, 1.5, True, [1])
    },
    "start is null": ({"params": {**WINDOW, "windowStartTime": None}}, "CONNECTOR-1340-400"),
    "another delta column": ({"params": {**WINDOW, "deltaColumn": {"name": "created"}}}, "CONNECTOR-1382-400"),
    "another letter case": ({"params": {**WINDOW, "deltaColumn": {"name": "Updated_At"}}}, "CONNECTOR-1382-400"),
    "another time zone": (
        {"params": {**WINDOW, "deltaColumn": {**DELTA, "timezone": "Europe/Berlin"}}},
        "CONNECTOR-1382-400",
    ),
    "another format": (
        {"params": {**WINDOW, "deltaColumn": {**DELTA, "dateFormat": "epoch_s"}}},
        "CONNECTOR-1382-400",
    ),
    "delta column is a text": ({"params": {**WINDOW, "deltaColumn": "updated_at"}}, "CONNECTOR-1384-400"),
    "nameless delta column": ({"params": {**WINDOW, "deltaColumn": {"name": ""}}}, "CONNECTOR-1383-400"),
    "name is a number": ({"params": {**WINDOW, "deltaColumn": {"name": 7}}}, "CONNECTOR-1384-400"),
}


@pytest.mark.parametrize(("changes", "code"), REFUSED.values(), ids=REFUSED.keys())
def test_run_is_refused(face: Face, flow: str, changes: Json, code: str) -> None:
    before = face.get("/runs", count="true").json()
    refused(face.post("/runs", {"flowId": flow, "params": WINDOW, **changes}), 400, code)
    assert face.get("/runs", count="true").json() == before


def test_body_without_flow(face: Face) -> None:
    refused(face.post("/runs", {"params": WINDOW}), 400, "FLOW-1446-400")


# -- the delta column ------------------------------------------------------------------------------


def test_first_run_writes_the_delta_column_into_the_flow(face: Face, chain: Json) -> None:
    flow = face.flow(**chain)
    before = face.get(f"/flows/{flow}").json()["items"][0]
    refused(face.run(flow), 400, "CONNECTOR-1383-400")
    assert face.get(f"/flows/{flow}").json()["items"][0] == before
    assert face.run(flow, deltaColumn={**DELTA, "timezone": "Europe/Berlin"}).status_code == 201
    after = face.get(f"/flows/{flow}").json()["items"][0]
    copy = {"name": "Copy", "params": {"deltaColumn": {**DELTA, "timezone": "Europe/Berlin"}}}
    assert after["transformations"] == [copy]
    assert after["etag"] != before["etag"]
    assert after["lastRunDetails"] == {"id": after["lastRunDetails"]["id"], "state": "scheduled"}
    assert face.run(flow).status_code == 201
    assert face.run(flow, deltaColumn=DELTA).status_code == 201
    assert face.run(flow, deltaColumn=None).status_code == 201
    answer = face.run(flow, deltaColumn={**DELTA, "timezone": "UTC"})
    assert "Europe/Berlin" in refused(answer, 400, "CONNECTOR-1382-400")
    assert face.get(f"/flows/{flow}").json()["items"][0]["etag"] == after["etag"]


def test_an_empty_copy_transformation_is_filled(face: Face, chain: Json) -> None:
    flow = face.flow(**chain, transformations=[{"name": "copy", "params": {"mode": "full"}}])
    assert face.run(flow, deltaColumn=DELTA).status_code == 201
    assert transformations(face, flow) == [{"name": "copy", "params": {"mode": "full", "deltaColumn": DELTA}}]


@pytest.mark.parametrize(
    "delta",
    [
        {"name": "nope"},
        {"name": "id;drop table orders"},
        {"name": "UPDATED_AT"},
        {"name": "payload"},
        {"name": "total"},
        {"name": "x" * 1001},
        {"name": "updated_at", "timezone": "Mars/Olympus"},
        {"name": "updated_at", "timezone": 1},
        {"name": "updated_at", "dateFormat": []},
    ],
    ids=str,
)
def test_first_run_with_a_column_that_cannot_order(face: Face, chain: Json, delta: Json) -> None:
    flow = face.flow(**chain)
    message = refused(face.run(flow, deltaColumn=delta), 400, "CONNECTOR-1384-400")
    assert len(message) < 500
    assert transformations(face, flow) == []


def test_first_run_on_a_source_that_is_not_there(face: Face, chain: Json) -> None:
    path = str(face.folder / "gone.db")
    auth = {"specName": "Database File", "params": {"path": path}}
    spec = {"id": "6f2d5c0e-7c1b-4d0a-9a53-0b7e4f1c2a11"}
    connection = face.made("/connections", {"name": "gone", "connectionSpec": spec, "auth": auth})
    flow = face.flow(**{**chain, "sourceConnectionIds": [face.source(connection)]})
    refused(face.run(flow, deltaColumn=DELTA), 400, "CONNECTOR-1380-400")
    table = face.source(face.connection(), table="no_such_table")
    flow = face.flow(**{**chain, "sourceConnectionIds": [table]})
    refused(face.run(flow, deltaColumn=DELTA), 400, "CONNECTOR-1380-400")
    assert transformations(face, flow) == []


def test_of_two_first_runs_with_different_columns_one_wins(face: Face, chain: Json) -> None:
    for _ in range(8):
        flow = face.flow(**chain)
        answers = together(face, flow, [{"name": "updated_at"}, {"name": "created"}])
        assert sorted(answer.status_code for answer in answers) == [201, 400]
        won, lost = sorted(answers, key=lambda answer: answer.status_code)
        refused(lost, 400, "CONNECTOR-1382-400")
        assert transformations(face, flow)[0]["params"]["deltaColumn"] == won.json()["params"]["deltaColumn"]
        assert face.get("/runs", property=f"flowId=={flow}", count="true").json() == {"count": 1}


def test_first_runs_with_the_same_column_all_win(face: Face, chain: Json) -> None:
    flow = face.flow(**chain)
    answers = together(face, flow, [DELTA] * 6)
    assert [answer.status_code for answer in answers] == [201] * 6
    assert len(transformations(face, flow)) == 1


def together(face: Face, flow: str, deltas: list[Json]) -> list[httpx.Response]:
    """The answers to runs that begin at the same time."""
    answers: list[httpx.Response] = []
    barrier = threading.Barrier(len(deltas))

    def run(delta: Json) -> None:
        barrier.wait()
        answers.append(face.run(flow, deltaColumn=delta))

    threads = [threading.Thread(target=run, args=(delta,)) for delta in deltas]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_flow_on_files_takes_no_delta_column(face: Face) -> None:
    flow = face.file_flow()
    for delta in (DELTA, "ignored", None):
        answer = face.run(flow, deltaColumn=delta)
        assert answer.status_code == 201
        assert answer.json()["params"]["deltaColumn"] == delta
    assert face.run(flow).status_code == 201
    assert transformations(face, flow) == []


# -- which flows, and when -------------------------------------------------------------------------


def test_scheduled_flow_takes_no_ad_hoc_runs(face: Face, chain: Json) -> None:
    flow = face.flow(**chain, scheduleParams=DAILY, transformations=[COPY])
    refused(face.run(flow), 400, "CONNECTOR-1386-400")


def test_disabled_flow_takes_no_runs(face: Face, chain: Json) -> None:
    flow = face.flow(**chain)
    face.set_state(flow, "disabled")
    refused(face.run(flow, deltaColumn=DELTA), 400, "FLOW-1444-400")


def test_run_of_the_future_waits(face: Face, flow: str) -> None:
    later = int(time.time()) + 3600
    run = face.run(flow, startTime=later).json()
    finish_all(face)
    assert status(face, run["id"]) == "scheduled"


def finish_all(face: Face) -> None:
    while claim := face.store.queue.claim("test", lease=60):
        face.store.queue.finish(claim.run, RunState.SUCCESS, metrics={}, activities=[])


def status(face: Face, run_id: str) -> str:
    return str(face.get(f"/runs/{run_id}").json()["items"][0]["metrics"]["statusSummary"]["status"])


def test_status_is_always_the_state(face: Face, flow: str) -> None:
    finish_all(face)
    run = face.run(flow).json()["id"]
    claim = face.store.queue.claim("test", lease=60)
    assert claim is not None
    assert claim.run.id == run
    assert status(face, run) == "inProgress"
    metrics = {"statusSummary": {"status": "scheduled", "errors": [{"code": "C", "message": "m"}]}}
    face.store.queue.finish(claim.run, RunState.FAILED, metrics=metrics, activities=[{"id": "copyActivity"}])
    [item] = face.get(f"/runs/{run}").json()["items"]
    assert item["metrics"]["statusSummary"] == {"status": "failed", "errors": [{"code": "C", "message": "m"}]}
    assert item["activities"] == [{"id": "copyActivity"}]


def test_flow_shows_its_last_run(face: Face, chain: Json) -> None:
    flow = face.flow(**chain)
    run = face.run(flow, deltaColumn=DELTA).json()["id"]
    finish(face, run)
    details = {"id": run, "state": "success", "startedAtUTC": 1000, "completedAtUTC": 2000}
    assert face.get(f"/flows/{flow}").json()["items"][0]["lastRunDetails"] == details
    listed = face.get("/flows", property=f"id=={flow}").json()["items"]
    assert listed[0]["lastRunDetails"] == details


def test_run_without_params_goes_on_where_the_last_success_ended(face: Face, chain: Json) -> None:
    flow = face.flow(**chain)
    refused(face.post("/runs", {"flowId": flow, "status": "active"}), 400, "CONNECTOR-1383-400")
    failed = face.run(flow, deltaColumn=DELTA).json()["id"]
    finish(face, failed, RunState.FAILED)
    first = face.post("/runs", {"flowId": flow, "status": "active"}).json()
    assert first["params"]["windowStartTime"] == 0
    assert abs(first["params"]["windowEndTime"] - time.time()) < 60
    finish(face, first["id"])
    done = face.run(flow, windowStartTime=1, windowEndTime=1710201600).json()["id"]
    finish(face, done)
    assert face.post("/runs", {"flowId": flow}).json()["params"]["windowStartTime"] == 1710201600


def test_window_of_the_future_was_read_no_further_than_its_run(face: Face) -> None:
    flow = face.file_flow()
    done = face.run(flow, windowEndTime="16515859567").json()
    finish(face, done["id"])
    again = face.post("/runs", {"flowId": flow}).json()
    assert again["params"]["windowStartTime"] == done["createdAt"] // 1000


# -- keys and actions ------------------------------------------------------------------------------


def test_same_key_and_body_give_the_same_run(face: Face, chain: Json) -> None:
    flow = face.flow(**chain)
    body = {"flowId": flow, "params": {**WINDOW, "deltaColumn": DELTA}}
    key = {"Idempotency-Key": "first-of-march"}
    first, second = face.post("/runs", body, **key), face.post("/runs", body, **key)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    refused(face.post("/runs", {"flowId": flow, "params": WINDOW}, **key), 400, "FLOW-1452-400")
    assert face.get("/runs", property=f"flowId=={flow}", count="true").json() == {"count": 1}
    assert face.delete(f"/flows/{flow}").status_code == 204
    assert face.post("/runs", body, **key).json()["id"] == first.json()["id"]


def test_key_belongs_to_its_sandbox(face: Face, flow: str) -> None:
    key = {"Idempotency-Key": "shared"}
    body = {"flowId": flow, "params": WINDOW}
    assert face.post("/runs", body, **key).status_code == 201
    refused(face.of("dev").post("/runs", body, **key), 400, "FLOW-1430-400")


def test_requests_with_one_key_at_once_make_one_run(face: Face, flow: str) -> None:
    ids: list[str] = []

    def run() -> None:
        answer = face.post("/runs", {"flowId": flow, "params": WINDOW}, **{"Idempotency-Key": "at once"})
        ids.append(answer.json()["id"])

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 8
    assert len(set(ids)) == 1


@pytest.mark.parametrize("key", ["", "k" * 256])
def test_key_of_a_wrong_length(face: Face, flow: str, key: str) -> None:
    answer = face.post("/runs", {"flowId": flow, "params": WINDOW}, **{"Idempotency-Key": key})
    refused(answer, 400, "FLOW-1452-400")


@pytest.mark.parametrize("op", ["cancel", "CANCEL", "Can-cel", "_cancel"])
def test_cancel(face: Face, flow: str, op: str) -> None:
    run = face.run(flow).json()
    for _ in range(2):
        answer = face.post(f"/runs/{run['id']}/action?op={op}", None)
        assert answer.status_code == 200
        assert answer.json()["metrics"]["statusSummary"]["status"] == "cancelled"
        assert answer.json()["items"] == [{"id": run["id"], "etag": answer.json()["etag"]}]
    assert answer.json()["etag"] != run["etag"]
    assert answer.headers["etag"] == answer.json()["etag"]
    finish_all(face)
    assert status(face, run["id"]) == "cancelled"


def test_action_needs_neither_body_nor_content_type(face: Face, flow: str) -> None:
    run = face.run(flow).json()["id"]
    assert face.send("POST", f"/runs/{run}/action?op=cancel").status_code == 200


def test_cancelling_what_has_ended_is_refused(face: Face, flow: str) -> None:
    finish_all(face)
    run = face.run(flow).json()["id"]
    finish(face, run)
    refused(face.post(f"/runs/{run}/action?op=cancel", None), 400, "FLOW-1422-400")


@pytest.mark.parametrize("query", ["", "?op=", "?op=bogus", "?subOp=cancel"])
def test_unknown_action(face: Face, flow: str, query: str) -> None:
    run = face.run(flow).json()["id"]
    refused(face.post(f"/runs/{run}/action{query}", None), 400, "CONNECTOR-1401-400")


def test_action_on_nothing_or_with_more(face: Face, flow: str) -> None:
    refused(face.post(f"/runs/{NOBODY}/action?op=cancel", None), 404, "FLOW-1439-404")
    refused(face.post("/runs/nonsense/action?op=cancel", None), 404, "FLOW-1439-404")
    run = face.run(flow).json()["id"]
    refused(face.post(f"/runs/{run}/action?op=cancel&force=true", None), 400, "FLOW-1451-400")


def test_action_checks_the_version_it_is_given(face: Face, flow: str) -> None:
    run = face.run(flow).json()
    path = f"/runs/{run['id']}/action?op=cancel"
    stale = '"00000000-0000-0200-0000-000000000000"'
    refused(face.post(path, None, **{"If-Match": stale}), 412, "FLOW-1404-412")
    refused(face.post(path + "&if-match=" + stale.strip('"'), None), 412, "FLOW-1404-412")
    assert status(face, run["id"]) in ("scheduled", "queued")
    current = face.get(f"/runs/{run['id']}").headers["etag"]
    assert face.post(path, None, **{"If-Match": current.strip('"')}).status_code == 200
    for spelling in ("W/{}", "{}", "*"):
        again = face.run(flow).json()
        match = spelling.format(again["etag"])
        answer = face.post(f"/runs/{again['id']}/action?op=cancel", None, **{"If-Match": match})
        assert answer.status_code == 200


def test_query_parameter_of_a_creation_is_refused(face: Face, flow: str) -> None:
    refused(face.post("/runs?wait=true", {"flowId": flow, "params": WINDOW}), 400, "FLOW-1451-400")
