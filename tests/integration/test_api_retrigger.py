"""Runs that are repeated, and what providers write into runs; executed by a real worker."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from headgate.auth import Tokens
from headgate.engine import Worker
from headgate.errors import Unavailable
from headgate.model.orgs import Client, Grant
from headgate.model.scope import Principal
from headgate.store import ScopedStore
from headgate.targets import Lake
from tests.integration.face import BASE, NOBODY, Face, Json, refused

DELTA = {"deltaColumn": {"name": "updated_at"}}


@pytest.fixture(scope="module", autouse=True)
def worker(face: Face) -> Iterator[Worker]:
    lake = Lake(face.settings.warehouse)
    worker = Worker(face.store, lake, face.settings)
    worker.start()
    try:
        yield worker
    finally:
        worker.stop()
        lake.close()


@pytest.fixture(scope="module")
def provider(face: Face) -> Face:
    """A client of the same organisation that calls by a service token."""
    org_id, tenants = face.credentials.org_id, face.store.tenants
    tenants.add_client(Client("hg_provider", org_id, "provider"), "0" * 64)
    tenants.grant(org_id, Grant("hg_provider", "service", "admin", None))
    token = Tokens(face.settings.keys).issue(
        Principal("hg_provider", "hg_provider", "service", frozenset({org_id})), 600
    )
    credentials = replace(face.credentials, api_key="hg_provider", access_token=token)
    return Face(face.http, credentials, face.settings, face.store)


def shown(face: Face, run_id: str) -> Json:
    [item] = face.get(f"/runs/{run_id}").json()["items"]
    return dict(item)


def ended(face: Face, run_id: str) -> Json:
    until = time.monotonic() + 60
    while True:
        item = shown(face, run_id)
        if item["metrics"]["statusSummary"]["status"] in ("success", "failed", "cancelled"):
            return item
        assert time.monotonic() < until, item
        time.sleep(0.05)


def retrigger(face: Face, run_id: str, op: str = "re-trigger", **headers: str) -> Any:
    return face.send("POST", f"/runs/{run_id}/action?op={op}", None, **headers)


def moved(face: Face, connection: str, name: str) -> None:
    """Let the connection lead to another file."""
    change = {"op": "replace", "path": "/auth/params/path", "value": str(face.folder / name)}
    assert face.patch(f"/connections/{connection}", [change], "*").status_code == 200


def failed(face: Face) -> tuple[str, str, Json]:
    """A flow, its connection, and a run of it that has failed because the database was away."""
    connection = face.connection()
    flow = face.flow(sourceConnectionIds=[face.source(connection)])
    assert ended(face, face.run(flow, windowStartTime="1", windowEndTime="1", **DELTA).json()["id"])
    moved(face, connection, "away.db")
    run = ended(face, face.run(flow).json()["id"])
    assert run["metrics"]["statusSummary"]["status"] == "failed"
    return flow, connection, run


def away(*_: object) -> None:
    raise Unavailable


def then_away(fault: pytest.MonkeyPatch, write: str, read: str) -> None:
    """Let the store's method `read` fail from its next call of `write` on."""
    real = getattr(ScopedStore, write)

    def written(*given: Any, **more: Any) -> Any:
        result = real(*given, **more)
        fault.setattr(ScopedStore, read, away)
        return result

    fault.setattr(ScopedStore, write, written)


def test_nothing_is_read_for_the_answer_once_a_change_is_stored(
    face: Face, provider: Face, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A 5xx for what is stored would make clients send it again."""
    flow, connection, old = failed(face)
    moved(face, connection, "shop.db")
    with monkeypatch.context() as fault:
        fault.setattr(ScopedStore, "children", away)
        assert retrigger(face, old["id"]).status_code == 200
        assert face.run(flow).status_code == 201
        refused(face.get(f"/runs/{old['id']}"), 503, "FLOW-1103-503")
    with monkeypatch.context() as fault:
        then_away(fault, "update_run", "children")
        body = json.dumps({"providerRefId": "p"}).encode()
        answer = provider.send("PUT", f"/runs/{old['id']}", body, If_Match="*", Content_Type="application/json")
        assert len(answer.json()["childFlowRunIds"]) == 1, answer.text
        refused(face.get(f"/runs/{old['id']}"), 503, "FLOW-1103-503")
    with monkeypatch.context() as fault:
        then_away(fault, "update", "last_runs")
        answer = face.patch(f"/flows/{flow}", [{"op": "replace", "path": "/name", "value": "renamed"}], "*")
        assert answer.json()["lastRunDetails"]["id"] != old["id"], answer.text
        refused(face.get(f"/flows/{flow}"), 503, "FLOW-1103-503")


@pytest.mark.parametrize("op", ["re-trigger", "RE_TRIGGER", "retrigger"])
def test_failed_run_is_repeated_over_its_own_window(face: Face, op: str) -> None:
    flow, connection, old = failed(face)
    moved(face, connection, "shop.db")
    answer = retrigger(face, old["id"], op, If_Match=old["etag"])
    assert answer.status_code == 200, answer.text
    new = answer.json()
    assert new["items"] == [{"id": new["id"], "etag": new["etag"]}]
    assert answer.headers["etag"] == new["etag"] == new["eTag"]
    assert (new["parentFlowRunId"], new["flowId"], new["params"]) == (old["id"], flow, old["params"])
    assert "childFlowRunIds" not in new
    done = ended(face, new["id"])
    assert done["metrics"]["statusSummary"]["status"] == "success"
    assert done["metrics"]["recordSummary"]["outputRecordCount"] > 0
    copy = done["activities"][0]["durationSummary"]["extensions"]
    assert (copy["windowStart"], copy["windowEnd"]) == (1709251200000, 1710201600000)
    # The old run keeps its status and version, and lists the new one, here and in listings.
    assert shown(face, old["id"]) == {**old, "childFlowRunIds": [new["id"]]}
    listed = {item["id"]: item for item in face.get(f"/flows/{flow}/runs").json()["items"]}
    assert listed[old["id"]]["childFlowRunIds"] == [new["id"]]
    assert listed[new["id"]]["parentFlowRunId"] == old["id"]
    refused(retrigger(face, new["id"]), 400, "CONNECTOR-1387-400")  # it has landed rows


def test_every_repetition_is_a_child_of_its_own_run(face: Face) -> None:
    _, connection, old = failed(face)
    first = retrigger(face, old["id"]).json()["id"]
    assert ended(face, first)["metrics"]["statusSummary"]["status"] == "failed"
    moved(face, connection, "shop.db")
    second, third = retrigger(face, old["id"]).json()["id"], retrigger(face, first).json()["id"]
    assert shown(face, old["id"])["childFlowRunIds"] == [first, second]
    assert shown(face, first)["childFlowRunIds"] == [third]
    for run in (second, third):
        assert ended(face, run)["metrics"]["statusSummary"]["status"] == "success"


def test_run_without_a_record_may_be_repeated(face: Face) -> None:
    flow = face.flow()
    empty = {"windowStartTime": "1", "windowEndTime": 2}
    old = ended(face, face.run(flow, **empty, **DELTA).json()["id"])
    new = retrigger(face, old["id"]).json()
    assert new["params"] == {**empty, **DELTA}
    assert ended(face, new["id"])["metrics"]["statusSummary"]["status"] == "success"


def test_run_is_not_repeated(face: Face) -> None:
    flow, connection, old = failed(face)
    refused(retrigger(face, old["id"], If_Match='"other"'), 412, "FLOW-1404-412")
    refused(retrigger(face, NOBODY), 404, "FLOW-1439-404")
    refused(retrigger(face, old["id"], "bogus"), 400, "CONNECTOR-1401-400")
    refused(face.send("POST", f"/runs/{old['id']}/action"), 400, "CONNECTOR-1401-400")
    moved(face, connection, "shop.db")
    later = face.run(flow, startTime="4000000000").json()["id"]
    refused(retrigger(face, later), 400, "CONNECTOR-1387-400")
    assert retrigger(face, later, "cancel").status_code == 200
    refused(retrigger(face, later), 400, "CONNECTOR-1387-400")
    assert face.post(f"/flows/{flow}/action?op=disable", None).status_code == 200
    refused(retrigger(face, old["id"]), 400, "CONNECTOR-1388-400")
    assert face.delete(f"/flows/{flow}").status_code == 204
    refused(retrigger(face, old["id"]), 400, "CONNECTOR-1388-400")
    assert "childFlowRunIds" not in shown(face, old["id"])


# -- PUT /runs/{id} --------------------------------------------------------------------------------


def put(face: Face, run_id: str, body: object, etag: str | None = "*") -> Any:
    headers = {**face.headers, "If-Match": etag} if etag is not None else face.headers
    return face.http.put(f"{BASE}/runs/{run_id}", json=body, headers=headers)


@pytest.fixture(scope="module")
def run(face: Face) -> Json:
    flow = face.flow()
    return ended(face, face.run(flow, **DELTA).json()["id"])


def test_users_do_not_update_runs(face: Face, run: Json) -> None:
    refused(put(face, run["id"], {"providerRefId": "x"}), 400, "FLOW-1427-400")
    refused(put(face, NOBODY, {"providerRefId": "x"}), 400, "FLOW-1427-400")


def test_version_of_a_run(provider: Face, run: Json) -> None:
    etag = shown(provider, run["id"])["etag"]
    refused(put(provider, run["id"], {}, None), 400, "FLOW-1403-400")
    assert put(provider, run["id"], {}, etag.strip('"')).status_code == 200
    refused(put(provider, run["id"], {}, etag), 412, "FLOW-1404-412")
    refused(put(provider, NOBODY, {}), 404, "FLOW-1439-404")


def test_provider_adds_to_a_run_and_sends_it_back_as_it_was(face: Face, provider: Face, run: Json) -> None:
    before = ended(face, face.run(run["flowId"], windowStartTime="1", windowEndTime="1").json()["id"])
    added = {
        "providerRefId": "job-7",
        "recordTypes": ["orders"],
        "predecessors": [{"flowId": run["flowId"], "flowRunId": before["id"]}],
        "parentFlowRunId": before["id"],
        "metrics": {"latencySummary": {"minMs": 1}},
        "activities": [{"id": "notify", "updatedAtUTC": 0}],
    }
    answer = put(provider, run["id"], added)
    assert answer.status_code == 200, answer.text
    after = answer.json()
    assert answer.headers["location"] == f"{BASE}/runs/{run['id']}"
    assert after == shown(face, run["id"])
    assert answer.headers["etag"] == after["etag"] != run["etag"]
    assert (after["updatedBy"], after["createdBy"]) == ("hg_provider", run["createdBy"])
    assert (after["providerRefId"], after["recordTypes"]) == ("job-7", ["orders"])
    assert after["predecessors"] == [{**added["predecessors"][0], "flowSpec": run["flowSpec"]}]
    assert after["parentFlowRunId"] == before["id"]
    assert shown(face, before["id"])["childFlowRunIds"] == [run["id"]]
    assert after["metrics"] == {**run["metrics"], "latencySummary": {"minMs": 1}}
    assert after["activities"] == [*run["activities"], {"id": "notify", "updatedAtUTC": 0}]
    # What was read can be sent back; what is left out is gone, but for where the run comes from.
    same = put(provider, run["id"], after, after["etag"]).json()
    volatile = ("version", "etag", "eTag", "updatedAt")
    assert {k: v for k, v in same.items() if k not in volatile} == {k: v for k, v in after.items() if k not in volatile}
    bare = put(provider, run["id"], {"flowId": run["flowId"]}).json()
    assert not {"providerRefId", "recordTypes", "predecessors"} & set(bare)
    assert (bare["metrics"], bare["activities"]) == (run["metrics"], run["activities"])
    assert bare["parentFlowRunId"] == before["id"]
    refused(put(provider, run["id"], {"parentFlowRunId": run["id"]}), 400, "CONNECTOR-1312-400")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"flowId": NOBODY}, "CONNECTOR-1312-400"),
        ({"params": {"windowStartTime": "1"}}, "CONNECTOR-1312-400"),
        ({"childFlowRunIds": [NOBODY]}, "CONNECTOR-1312-400"),
        ({"providerRefId": 7}, "CONNECTOR-1312-400"),
        ({"providerRefId": "x" * 1001}, "CONNECTOR-1312-400"),
        ({"recordTypes": "orders"}, "CONNECTOR-1312-400"),
        ({"recordTypes": [1]}, "CONNECTOR-1312-400"),
        ({"recordTypes": ["x"] * 101}, "CONNECTOR-1312-400"),
        ({"predecessors": [{}]}, "FLOW-1428-400"),
        ({"predecessors": [{"flowRunId": NOBODY, "flowId": NOBODY}]}, "FLOW-1428-400"),
        ({"predecessors": [{"flowRunId": "{run}", "flowId": NOBODY}]}, "FLOW-1429-400"),
        ({"predecessors": ["x"]}, "CONNECTOR-1312-400"),
        ({"parentFlowRunId": NOBODY}, "FLOW-1428-400"),
        ({"parentFlowRunId": "{run}"}, "CONNECTOR-1312-400"),
        ({"metrics": []}, "CONNECTOR-1312-400"),
        ({"metrics": {"statusSummary": {"status": "failed"}}}, "FLOW-1422-400"),
        ({"metrics": {"recordSummary": {"outputRecordCount": 7}}}, "CONNECTOR-1312-400"),
        ({"metrics": {"customSummary": {}}}, "CONNECTOR-1312-400"),
        ({"activities": [{"id": "copyActivity"}]}, "CONNECTOR-1312-400"),
        ({"activities": [{"name": "nameless"}]}, "CONNECTOR-1312-400"),
        ({"activities": [{"id": "a"}, {"id": "a"}]}, "CONNECTOR-1312-400"),
    ],
)
def test_what_a_provider_may_not_say(face: Face, provider: Face, body: Json, code: str) -> None:
    flow = face.flow()
    made = face.run(flow, startTime="4000000000", **DELTA).json()["id"]
    before = shown(face, made)
    filled = json.loads(json.dumps(body).replace("{run}", made))
    refused(put(provider, made, filled), 400, code)
    assert shown(face, made) == before


def test_run_of_a_deleted_flow_is_no_predecessor(face: Face, provider: Face, run: Json) -> None:
    flow = face.flow()
    gone = face.run(flow, startTime="4000000000", **DELTA).json()["id"]
    assert face.delete(f"/flows/{flow}").status_code == 204
    body = {"predecessors": [{"flowRunId": gone, "flowId": flow}]}
    refused(put(provider, run["id"], body), 400, "FLOW-1429-400")
