"""PATCH on connections, source and target connections and flows: versions, paths, and what is judged anew."""

import threading
import time
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.model.resources import Kind
from tests.integration.face import CATALOG, FILES, LOCAL_FILES, NOBODY, POSTGRESQL, SQLITE, Face, Json, refused

COLLECTIONS = ("connections", "sourceConnections", "targetConnections", "flows")
DELTA = {"name": "Copy", "params": {"deltaColumn": {"name": "updated_at"}}}


def replace(path: str, value: Any) -> Json:
    return {"op": "replace", "path": path, "value": value}


def make(face: Face, collection: str) -> str:
    match collection:
        case "connections":
            return face.connection()
        case "sourceConnections":
            return face.source(face.connection())
        case "targetConnections":
            return face.target()
    return face.flow()


def etag_of(face: Face, path: str) -> str:
    return str(face.get(path).headers["etag"])


def shown(face: Face, path: str) -> Json:
    [item] = face.get(path).json()["items"]
    return dict(item)


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_patch_answers_the_whole_resource_and_its_list(face: Face, collection: str) -> None:
    path = f"/{collection}/{make(face, collection)}"
    before = shown(face, path)
    answer = face.patch(path, [{"op": "add", "path": "/description", "value": "new"}], before["etag"])
    assert answer.status_code == 200, answer.text
    body = answer.json()
    after = shown(face, path)
    assert body == {**after, "items": [after], "_links": {}}
    assert after["etag"] == after["version"] == answer.headers["etag"] != before["etag"]
    volatile = {"etag", "version", "updatedAt", "lastOperation", "description"}
    assert {name: value for name, value in after.items() if name not in volatile} == {
        name: value for name, value in before.items() if name not in volatile
    }
    assert after["description"] == "new"
    assert after["updatedAt"] >= before["updatedAt"]


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_version_of_a_patch(face: Face, collection: str) -> None:
    path = f"/{collection}/{make(face, collection)}"
    stale = etag_of(face, path)
    change = [{"op": "add", "path": "/description", "value": "x"}]
    refused(face.patch(path, change, None), 400, "FLOW-1403-400")
    refused(face.patch(path, change, ""), 400, "FLOW-1403-400")
    assert face.patch(path, change, stale).status_code == 200
    refused(face.patch(path, change, stale), 412, "FLOW-1404-412")
    refused(face.patch(path, change, '"other"'), 412, "FLOW-1404-412")
    for form in ("{}", "W/{}", "*"):
        assert face.patch(path, change, form.format(etag_of(face, path))).status_code == 200, form
    assert face.patch(path, change, etag_of(face, path).strip('"')).status_code == 200
    etag = etag_of(face, path)
    assert face.send("PATCH", f"{path}?if-match={etag}", b"", Content_Type="application/json").status_code == 400
    one = b'{"op": "Replace", "path": "/description", "value": "from a parameter"}'
    answer = face.send("PATCH", f"{path}?if-match={etag}", one, Content_Type="application/json")
    assert answer.status_code == 200, answer.text
    assert shown(face, path)["description"] == "from a parameter"
    refused(face.patch(f"/{collection}/{NOBODY}", change, "*"), 404, "FLOW-1439-404")
    refused(face.of("other").patch(path, change, "*"), 404, "FLOW-2100-404")


BODIES: dict[str, tuple[object, int, str]] = {
    "empty list": ([], 400, "FLOW-1405-400"),
    "null": (None, 400, "FLOW-1405-400"),
    "move": ([{"op": "move", "from": "/name", "path": "/description"}], 400, "FLOW-1434-400"),
    "test": ([{"op": "test", "path": "/name", "value": "x"}], 400, "FLOW-1434-400"),
    "bad path": ([replace("name", "x")], 400, "CONNECTOR-1365-400"),
    "missing field": ([replace("/description", "x")], 400, "FLOW-1455-400"),
    "10 000 operations": ([replace("/name", "x")] * 10_000, 400, "FLOW-1100-400"),
    "connectionSpec": ([replace("/connectionSpec", {"id": SQLITE})], 400, "FLOW-1414-400"),
    "version of connectionSpec": ([replace("/connectionSpec/version", "2.0")], 400, "FLOW-1414-400"),
    "id": ([replace("/id", NOBODY)], 400, "CONNECTOR-1365-400"),
    "imsOrgId": ([replace("/imsOrgId", "x")], 400, "CONNECTOR-1365-400"),
    "createdBy": ([replace("/createdBy", "x")], 400, "CONNECTOR-1365-400"),
    "state": ([replace("/state", "disabled")], 400, "CONNECTOR-1365-400"),
    "etag": ([replace("/etag", "x")], 400, "CONNECTOR-1365-400"),
    "prototype": ([{"op": "add", "path": "/__proto__", "value": {}}], 400, "CONNECTOR-1365-400"),
}


@pytest.mark.parametrize("collection", COLLECTIONS)
@pytest.mark.parametrize(("operations", "status", "code"), BODIES.values(), ids=BODIES.keys())
def test_patch_is_refused(face: Face, collection: str, operations: object, status: int, code: str) -> None:
    path = f"/{collection}/{make(face, collection)}"
    before = shown(face, path)
    refused(face.patch(path, operations, "*"), status, code)
    assert shown(face, path) == before


@pytest.mark.parametrize(
    ("collection", "operations", "code"),
    [
        ("connections", [{"op": "remove", "path": "/name"}], "CONNECTOR-1304-400"),
        ("connections", [replace("/name", 7)], "CONNECTOR-1312-400"),
        ("connections", [{"op": "remove", "path": "/auth"}], "CONNECTOR-1304-400"),
        ("connections", [{"op": "remove", "path": "/auth/params/path"}], "CONNECTOR-1304-400"),
        ("connections", [replace("/auth/specName", "Key")], "FLOW-1415-400"),
        ("connections", [replace("/auth/specName", "Database File")], "FLOW-1415-400"),
        ("connections", [replace("/auth", {"specName": "Key", "params": {}})], "FLOW-1415-400"),
        ("sourceConnections", [{"op": "remove", "path": "/params/tableName"}], "CONNECTOR-1304-400"),
        ("sourceConnections", [replace("/data/format", "json")], "CONNECTOR-1327-400"),
        ("sourceConnections", [{"op": "remove", "path": "/baseConnectionId"}], "CONNECTOR-1304-400"),
        ("targetConnections", [{"op": "remove", "path": "/params/dataSetId"}], "CONNECTOR-1325-400"),
        ("targetConnections", [replace("/params/dataSetId", NOBODY)], "CONNECTOR-1325-400"),
        ("targetConnections", [replace("/params/writeMode", "maybe")], "CONNECTOR-1312-400"),
        ("flows", [replace("/sourceConnectionIds", [])], "CONNECTOR-1320-400"),
        ("flows", [{"op": "add", "path": "/sourceConnectionIds/-", "value": NOBODY}], "CONNECTOR-1321-400"),
        ("flows", [replace("/scheduleParams/frequency", "hour")], "CONNECTOR-1362-400"),
        ("flows", [{"op": "add", "path": "/scheduleParams/interval", "value": 5}], "CONNECTOR-1361-400"),
        ("flows", [{"op": "add", "path": "/scheduleParams/backfill", "value": True}], "CONNECTOR-1364-400"),
        ("flows", [{"op": "add", "path": "/transformations/-", "value": DELTA}], "CONNECTOR-1369-400"),
        ("flows", [replace("/flowSpec", {"id": FILES})], "FLOW-1414-400"),
        ("flows", [{"op": "remove", "path": "/transformations/-1"}], "CONNECTOR-1365-400"),
        ("flows", [{"op": "add", "path": "/lastOperation", "value": {}}], "CONNECTOR-1365-400"),
    ],
)
def test_result_is_judged_like_a_creation(face: Face, collection: str, operations: list[Json], code: str) -> None:
    path = f"/{collection}/{make(face, collection)}"
    before = shown(face, path)
    # A good change before the bad one is not kept either.
    refused(face.patch(path, [{"op": "add", "path": "/description", "value": "x"}, *operations], "*"), 400, code)
    assert shown(face, path) == before


def test_secrets_are_kept_when_their_mask_comes_back(face: Face) -> None:
    given = {"server": "127.0.0.1", "database": "shop", "username": "etl", "password": "s3cret"}
    auth = {"specName": "Basic Authentication", "params": given}
    id_ = face.made("/connections", {"name": "p", "connectionSpec": {"id": POSTGRESQL}, "auth": auth})
    path, store = f"/connections/{id_}", face.scoped()
    masked = shown(face, path)["auth"]["params"]
    assert masked == {**given, "password": "xxxx"}
    answer = face.patch(path, [replace("/auth/params", {**masked, "database": "other"})], "*")
    assert answer.status_code == 200
    assert "s3cret" not in answer.text
    assert store.secret(id_) == {**given, "database": "other"}
    # The whole auth goes the same way, and a parameter of its own.
    assert face.patch(path, [replace("/auth", {**auth, "params": masked})], "*").status_code == 200
    assert store.secret(id_) == given
    assert face.patch(path, [replace("/auth/params/username", "reader")], "*").status_code == 200
    assert store.secret(id_) == {**given, "username": "reader"}
    assert face.patch(path, [replace("/auth/params/password", "n3w")], "*").status_code == 200
    assert store.secret(id_) == {**given, "username": "reader", "password": "n3w"}
    refused(face.patch(path, [{"op": "remove", "path": "/auth/params/password"}], "*"), 400, "CONNECTOR-1304-400")
    refused(face.patch(path, [replace("/auth/params/port", 5433)], "*"), 400, "FLOW-1455-400")
    assert store.secret(id_)["password"] == "n3w"


def test_of_two_patches_with_one_version_one_wins(face: Face) -> None:
    path = f"/flows/{face.flow()}"
    for _ in range(10):
        etag, answers = etag_of(face, path), list[httpx.Response]()

        def change(name: str, etag: str = etag, answers: list[httpx.Response] = answers) -> None:
            answers.append(face.patch(path, [replace("/name", name)], etag))

        threads = [threading.Thread(target=change, args=(name,)) for name in ("a", "b")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(answer.status_code for answer in answers) == [200, 412]
        [won] = [answer.json() for answer in answers if answer.status_code == 200]
        assert shown(face, path)["name"] == won["name"]


def test_changes_that_demand_no_version_all_happen(face: Face) -> None:
    path = f"/flows/{face.flow(labels=[])}"
    codes: list[int] = []

    def add(label: str) -> None:
        codes.append(face.patch(path, [{"op": "add", "path": "/labels/-", "value": label}], "*").status_code)

    threads = [threading.Thread(target=add, args=(str(number),)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [200] * 4
    assert sorted(shown(face, path)["labels"]) == ["0", "1", "2", "3"]


POINTERS = {
    "connections": ("/name", "/auth", "/auth/params", "/auth/params/path", "/auth/specName"),
    "sourceConnections": (
        "/data",
        "/data/format",
        "/params",
        "/params/tableName",
        "/params/filters",
        "/params/columns",
    ),
    "targetConnections": ("/name", "/data", "/params", "/params/dataSetId", "/params/writeMode"),
    "flows": (
        "/labels",
        "/labels/-",
        "/policy",
        "/options",
        "/scheduleParams",
        "/scheduleParams/startTime",
        "/scheduleParams/frequency",
        "/scheduleParams/interval",
        "/transformations",
        "/transformations/-",
        "/transformations/0/params",
        "/sourceConnectionIds/0",
    ),
}
JSON = st.recursive(
    st.sampled_from((None, True, 0, -1, 2.5, "", "xxxx", "once", "hour", "1612310466", "Copy", NOBODY)),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(("name", "params", "specName", "frequency", "type", "value")), inner, max_size=2
        )
    ),
    max_leaves=4,
)


@pytest.fixture(scope="module")
def ids(face: Face) -> dict[str, str]:
    return {collection: make(face, collection) for collection in COLLECTIONS}


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_patch_is_done_whole_or_refused_whole(face: Face, ids: dict[str, str], data: st.DataObject) -> None:
    collection = data.draw(st.sampled_from(COLLECTIONS))
    operation = st.fixed_dictionaries(
        {
            "op": st.sampled_from(("add", "replace", "remove")),
            "path": st.sampled_from(POINTERS[collection]),
            "value": JSON,
        }
    )
    path = f"/{collection}/{ids[collection]}"
    before = shown(face, path)
    answer = face.patch(path, data.draw(st.lists(operation, min_size=1, max_size=3)), before["etag"])
    after = shown(face, path)
    if answer.status_code == 200:
        assert after == answer.json()["items"][0]
    else:
        assert answer.status_code in (400, 404), answer.text
        assert answer.json()["report"]["detailed-message"]
        assert after == before


# -- flows -----------------------------------------------------------------------------------------


def scheduled(face: Face, start: int, **members: Any) -> str:
    schedule = {"startTime": str(start), "frequency": "hour", "interval": 1, **members}
    return f"/flows/{face.flow(scheduleParams=schedule, transformations=[DELTA])}"


def test_start_is_fixed_once_it_has_passed(face: Face) -> None:
    path = scheduled(face, 1612310466)
    later = int(time.time()) + 9000
    refused(face.patch(path, [replace("/scheduleParams/startTime", str(later))], "*"), 400, "CONNECTOR-1366-400")
    once = [{"op": "remove", "path": "/scheduleParams/interval"}, replace("/scheduleParams/frequency", "once")]
    refused(face.patch(path, once, "*"), 400, "CONNECTOR-1403-400")
    backfill = {"op": "add", "path": "/scheduleParams/backfill", "value": "false"}
    refused(face.patch(path, [backfill], "*"), 400, "CONNECTOR-1404-400")
    # The same instant in another spelling, and the default spelled out, are no change.
    same = [replace("/scheduleParams/startTime", 1612310466000), {**backfill, "value": True}]
    assert face.patch(path, same, "*").status_code == 200
    assert face.patch(path, [replace("/scheduleParams/interval", "2")], "*").status_code == 200
    assert face.patch(path, [replace("/scheduleParams/frequency", "day")], "*").status_code == 200
    assert face.post(f"{path}/action?op=disable", None).status_code == 200
    refused(face.patch(path, [replace("/scheduleParams/startTime", str(later))], "*"), 400, "CONNECTOR-1366-400")


def test_start_that_lies_ahead_may_be_changed(face: Face) -> None:
    ahead = int(time.time()) + 9000
    path = scheduled(face, ahead, backfill=True)
    assert face.patch(path, [replace("/scheduleParams/startTime", ahead + 60)], "*").status_code == 200
    assert face.patch(path, [replace("/scheduleParams/backfill", False)], "*").status_code == 200
    refused(face.patch(path, [replace("/scheduleParams/startTime", 1612310466)], "*"), 400, "CONNECTOR-1360-400")
    refused(face.patch(path, [replace("/scheduleParams/startTime", "soon")], "*"), 400, "CONNECTOR-1340-400")
    assert shown(face, path)["scheduleParams"]["startTime"] == ahead + 60


def test_flow_on_demand_keeps_the_delta_column_of_its_first_run(face: Face) -> None:
    id_ = face.flow()
    path = f"/flows/{id_}"
    assert face.run(id_, deltaColumn={"name": "updated_at"}).status_code == 201
    [copy] = shown(face, path)["transformations"]
    # A client that sends back the flow as it read it is understood, and so is one that does not know of the Copy.
    assert face.patch(path, [replace("/transformations", [{**copy, "name": "copy"}])], "*").status_code == 200
    assert face.patch(path, [replace("/transformations", [])], "*").json()["transformations"] == [
        {**copy, "name": "copy"}
    ]
    other = {"name": "Copy", "params": {"deltaColumn": {"name": "created"}}}
    refused(face.patch(path, [replace("/transformations", [other])], "*"), 400, "CONNECTOR-1369-400")
    # Another source has its own.
    source = face.source(face.connection())
    answer = face.patch(path, [replace("/sourceConnectionIds", [source]), replace("/transformations", [])], "*")
    assert answer.json()["transformations"] == []
    assert face.run(id_, deltaColumn={"name": "created"}).status_code == 201


def test_flow_keeps_its_copies_unless_it_gets_another_end(face: Face) -> None:
    source, target = face.source(face.connection()), face.target()
    id_ = face.flow(sourceConnectionIds=[source], targetConnectionIds=[target])
    path, store = f"/flows/{id_}", face.scoped()
    frozen = store.get(Kind.FLOW, id_).frozen
    assert face.patch(f"/sourceConnections/{source}", [replace("/params/tableName", "other")], "*").status_code == 200
    assert face.patch(f"/targetConnections/{target}", [replace("/params/writeMode", "append")], "*").status_code == 200
    assert face.patch(path, [replace("/name", "renamed")], "*").status_code == 200
    assert store.get(Kind.FLOW, id_).frozen == frozen
    assert face.patch(path, [{"op": "add", "path": "/options/errorDiagnosticsEnabled", "value": True}], "*").status_code
    assert store.get(Kind.FLOW, id_).frozen == {**frozen, "options": {"errorDiagnosticsEnabled": True}}
    dataset = face.dataset("Other end")
    end = face.target(dataset)
    assert face.patch(path, [replace("/targetConnectionIds/0", end)], "*").status_code == 200
    now = store.get(Kind.FLOW, id_).frozen
    assert (now["source"], now["target"]["dataSetId"]) == (frozen["source"], dataset)
    assert face.delete(f"/targetConnections/{target}").status_code == 204  # no longer used
    refused(face.delete(f"/targetConnections/{end}"), 400, "FLOW-1447-400")
    assert face.get(f"{CATALOG}/dataSets/{dataset}").status_code == 200


def test_credentials_that_change_reach_the_flows_on_them(face: Face) -> None:
    connection = face.connection()
    id_ = face.flow(sourceConnectionIds=[face.source(connection)])
    moved = face.folder / "moved.db"
    moved.write_bytes((face.folder / "shop.db").read_bytes())
    path = f"/connections/{connection}"
    assert face.patch(path, [replace("/auth/params/path", str(face.folder / "gone.db"))], "*").status_code == 200
    refused(face.run(id_, deltaColumn={"name": "updated_at"}), 400, "CONNECTOR-1380-400")
    assert face.patch(path, [replace("/auth/params/path", str(moved))], "*").status_code == 200
    assert face.run(id_, deltaColumn={"name": "updated_at"}).status_code == 201


def test_state_that_passes_forbids_a_change(face: Face) -> None:
    id_ = face.flow()
    face.set_state(id_, "disabling")
    refused(face.patch(f"/flows/{id_}", [replace("/name", "x")], "*"), 400, "FLOW-1420-400")
    refused(face.post(f"/flows/{id_}/action?op=enable", None), 400, "FLOW-1421-400")
    refused(face.delete(f"/flows/{id_}"), 400, "FLOW-1458-400")
    face.set_state(id_, "disabled")
    assert face.delete(f"/flows/{id_}").status_code == 204


def test_source_without_an_account_is_patched(face: Face) -> None:
    path = f"/sourceConnections/{face.file_source('a.csv')}"
    assert face.patch(path, [replace("/params/path", "b.csv")], "*").json()["params"] == {"path": "b.csv"}
    base = {"op": "add", "path": "/baseConnectionId", "value": face.connection()}
    refused(face.patch(path, [base], "*"), 400, "CONNECTOR-1312-400")  # a connection of another spec
    assert shown(face, path)["connectionSpec"]["id"] == LOCAL_FILES
