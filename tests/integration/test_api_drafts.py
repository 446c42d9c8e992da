"""Drafts, publishing, enabling and disabling."""

from typing import Any

import pytest

from tests.integration.face import BASE, CATALOG, DATALAKE, NOBODY, POSTGRESQL, SQLITE, TABLES, Face, Json, refused

ONCE = {"startTime": "1612310466", "frequency": "once"}


def shown(face: Face, path: str) -> Json:
    [item] = face.get(path).json()["items"]
    return dict(item)


def draft(face: Face, collection: str, body: Json) -> str:
    return f"/{collection}/{face.made(f'/{collection}?mode=draft', body)}"


def act(face: Face, path: str, op: str) -> Any:
    return face.post(f"{path}/action?op={op}", None)


def test_all_is_drafted_filled_in_and_published(face: Face) -> None:
    connection = draft(face, "connections", {"name": "c", "connectionSpec": {"id": SQLITE}})
    about = {"name": "s", "connectionSpec": {"id": SQLITE}, "baseConnectionId": connection.rpartition("/")[2]}
    source = draft(face, "sourceConnections", about)
    target = draft(face, "targetConnections", {"connectionSpec": {"id": DATALAKE}})
    flow = draft(
        face,
        "flows",
        {
            "name": "f",
            "flowSpec": {"id": TABLES},
            "sourceConnectionIds": [source.rpartition("/")[2]],
            "targetConnectionIds": [target.rpartition("/")[2]],
        },
    )
    everything = (connection, source, target, flow)
    assert [shown(face, path)["state"] for path in everything] == ["draft"] * 4
    inherited = shown(face, flow)["inheritedAttributes"]
    assert inherited["targetConnections"][0]["connectionSpec"]["id"] == DATALAKE
    assert inherited["sourceConnections"][0]["baseConnection"]["id"] == about["baseConnectionId"]

    refused(act(face, connection, "publish"), 400, "CONNECTOR-1304-400")  # no auth
    refused(act(face, source, "publish"), 400, "FLOW-1444-400")  # its connection is a draft
    refused(act(face, target, "publish"), 400, "CONNECTOR-1325-400")
    refused(act(face, flow, "publish"), 400, "CONNECTOR-1317-400")
    refused(face.run(flow.rpartition("/")[2], deltaColumn={"name": "updated_at"}), 400, "FLOW-1444-400")

    auth = {"specName": "Database File", "params": {"path": str(face.folder / "shop.db")}}
    for path, member, value in (
        (connection, "/auth", auth),
        (source, "/params/tableName", "orders"),
        (target, "/params/dataSetId", face.dataset("Drafted")),
        (flow, "/scheduleParams", ONCE),
    ):
        answer = face.patch(path, [{"op": "add", "path": member, "value": value}], "*")
        assert (answer.status_code, answer.json().get("state")) == (200, "draft"), answer.text

    refused(act(face, flow, "publish"), 400, "FLOW-1444-400")  # its ends are drafts
    for path in everything:
        before = shown(face, path)["etag"]
        answer = act(face, path, "PUBLISH")
        assert answer.status_code == 200, answer.text
        assert set(answer.json()) == {"id", "etag"}
        after = shown(face, path)
        assert (after["state"], after["etag"]) == ("enabled", answer.json()["etag"])
        assert after["etag"] == answer.headers["etag"] != before
        refused(act(face, path, "publish"), 400, "FLOW-1422-400")
    assert face.run(flow.rpartition("/")[2], deltaColumn={"name": "updated_at"}).status_code == 201


DRAFTS_REFUSED: dict[str, tuple[str, Json, int, str]] = {
    "nameless connection": ("connections", {"connectionSpec": {"id": SQLITE}}, 400, "CONNECTOR-1304-400"),
    "connection without a spec": ("connections", {"name": "c"}, 400, "CONNECTOR-1304-400"),
    "unknown spec": ("connections", {"name": "c", "connectionSpec": {"id": NOBODY}}, 400, "FLOW-1413-400"),
    "auth is a text": (
        "connections",
        {"name": "c", "connectionSpec": {"id": SQLITE}, "auth": "x"},
        400,
        "CONNECTOR-1312-400",
    ),
    "unknown base connection": (
        "sourceConnections",
        {"name": "s", "connectionSpec": {"id": SQLITE}, "baseConnectionId": NOBODY},
        404,
        "FLOW-1439-404",
    ),
    "params is a list": (
        "sourceConnections",
        {"name": "s", "connectionSpec": {"id": SQLITE}, "params": [1]},
        400,
        "CONNECTOR-1312-400",
    ),
    "flow without ends": ("flows", {"name": "f", "flowSpec": {"id": TABLES}}, 400, "CONNECTOR-1320-400"),
    "flow of an unknown source": (
        "flows",
        {"name": "f", "flowSpec": {"id": TABLES}, "sourceConnectionIds": [NOBODY], "targetConnectionIds": [NOBODY]},
        404,
        "FLOW-1439-404",
    ),
    "state of a flow": ("flows", {"name": "f", "flowSpec": {"id": TABLES}, "state": "draft"}, 400, "FLOW-1410-400"),
}


@pytest.mark.parametrize(("collection", "body", "status", "code"), DRAFTS_REFUSED.values(), ids=DRAFTS_REFUSED.keys())
def test_draft_is_refused(face: Face, collection: str, body: Json, status: int, code: str) -> None:
    refused(face.post(f"/{collection}?mode=draft", body), status, code)


def test_draft_of_a_flow_takes_its_schedule_piece_by_piece(face: Face) -> None:
    path = draft(face, "flows", face.flow_body(scheduleParams={"frequency": "hour"}))
    refused(act(face, path, "publish"), 400, "CONNECTOR-1304-400")
    changes = [
        {"op": "add", "path": "/scheduleParams/startTime", "value": 1612310466},
        {"op": "replace", "path": "/scheduleParams/frequency", "value": "once"},
    ]
    assert face.patch(path, changes, "*").status_code == 200
    assert act(face, path, "publish").status_code == 200


def test_mode(face: Face) -> None:
    body = {"name": "c", "connectionSpec": {"id": SQLITE}}
    assert face.post("/connections?mode=DRAFT", body).status_code == 201
    refused(face.post("/connections?mode=final", body), 400, "CONNECTOR-1368-400")
    refused(face.post("/connections?mode=", body), 400, "CONNECTOR-1368-400")
    refused(face.post("/connections?draft=true", body), 400, "FLOW-1451-400")


def test_draft_hides_its_secrets_and_may_change_how_it_authenticates(face: Face) -> None:
    body = {
        "name": "c",
        "connectionSpec": {"id": POSTGRESQL},
        "auth": {"specName": "not yet known", "params": {"password": "s3cret"}},
    }
    path = draft(face, "connections", body)
    assert shown(face, path)["auth"] == {"specName": "not yet known", "params": {"password": "xxxx"}}
    refused(act(face, path, "publish"), 400, "FLOW-1415-400")
    address = {"server": "127.0.0.1", "database": "shop", "username": "etl"}
    changes = [
        {"op": "replace", "path": "/auth/specName", "value": "Basic Authentication"},
        {"op": "replace", "path": "/auth/params", "value": {**address, "password": "xxxx"}},
    ]
    assert face.patch(path, changes, "*").status_code == 200
    assert face.scoped().secret(path.rpartition("/")[2])["password"] == "s3cret"
    assert act(face, path, "publish").status_code == 200
    assert face.scoped().secret(path.rpartition("/")[2])["password"] == "s3cret"


def test_published_is_not_built_on_a_draft(face: Face) -> None:
    connection = draft(face, "connections", {"name": "c", "connectionSpec": {"id": SQLITE}}).rpartition("/")[2]
    about = {"name": "s", "connectionSpec": {"id": SQLITE}, "params": {"tableName": "orders"}}
    refused(face.post("/sourceConnections", {**about, "baseConnectionId": connection}), 400, "FLOW-1444-400")
    source = draft(face, "sourceConnections", about).rpartition("/")[2]
    refused(face.post("/flows", face.flow_body(sourceConnectionIds=[source])), 400, "FLOW-1444-400")
    target = draft(face, "targetConnections", {"connectionSpec": {"id": DATALAKE}}).rpartition("/")[2]
    refused(face.post("/flows", face.flow_body(targetConnectionIds=[target])), 400, "FLOW-1444-400")
    assert face.delete(f"/targetConnections/{target}").status_code == 204


def test_flow_is_disabled_and_enabled(face: Face) -> None:
    id_ = face.flow()
    path = f"/flows/{id_}"
    refused(act(face, path, "enable"), 400, "FLOW-1422-400")
    etag = shown(face, path)["etag"]
    assert face.send("POST", f"{path}/action?op=disable", If_Match=etag).status_code == 200
    assert shown(face, path)["state"] == "disabled"
    refused(face.run(id_, deltaColumn={"name": "updated_at"}), 400, "FLOW-1444-400")
    refused(act(face, path, "disable"), 400, "FLOW-1422-400")
    refused(act(face, path, "publish"), 400, "FLOW-1422-400")
    refused(face.send("POST", f"{path}/action?op=enable", If_Match=etag), 412, "FLOW-1404-412")
    assert act(face, path, "ENABLE").status_code == 200
    assert shown(face, path)["state"] == "enabled"
    assert face.run(id_, deltaColumn={"name": "updated_at"}).status_code == 201


@pytest.mark.parametrize("content_type", [None, "application/json", "text/plain"])
@pytest.mark.parametrize("content", [None, b"", b"null", b"{}", b'{"percentCompleted": 100}'])
def test_body_and_content_type_of_an_action_may_be_absent(
    face: Face, content: bytes | None, content_type: str | None
) -> None:
    path = f"/flows/{face.flow()}/action?op=disable"
    headers = {"Content_Type": content_type} if content_type else {}
    assert face.send("POST", path, content, **headers).status_code == 200


@pytest.mark.parametrize(
    ("query", "content", "status", "code"),
    [
        ("", None, 400, "CONNECTOR-1398-400"),
        ("?op=bogus", None, 400, "CONNECTOR-1398-400"),
        ("?op=finalize", None, 400, "FLOW-1402-400"),
        ("?op=FINALIZE_UPDATE", None, 400, "FLOW-1402-400"),
        ("?op=enable&subOp=apply", None, 400, "FLOW-1436-400"),
        ("?op=publish&subOp=bogus", None, 400, "FLOW-1435-400"),
        ("?op=disable", b'{"status": {"value": "DONE"}}', 400, "FLOW-1437-400"),
        ("?op=disable", b'{"status": {"value": "FAILED"}, "percentCompleted": 1}', 400, "FLOW-1408-400"),
        ("?op=disable", b"[1]", 400, "BadRequestError"),
        ("?op=disable", b"{", 400, "BadRequestError"),
        ("?op=disable&more=1", None, 400, "FLOW-1451-400"),
    ],
)
def test_action_is_refused(face: Face, query: str, content: bytes | None, status: int, code: str) -> None:
    path = f"/flows/{face.flow()}"
    refused(face.send("POST", f"{path}/action{query}", content), status, code)
    assert shown(face, path)["state"] == "enabled"


@pytest.mark.parametrize("collection", ["connections", "sourceConnections", "targetConnections", "flows"])
def test_action_on_nothing(face: Face, collection: str) -> None:
    refused(act(face, f"/{collection}/{NOBODY}", "publish"), 404, "FLOW-1439-404")
    refused(act(face, f"/{collection}/x", "publish"), 404, "FLOW-1439-404")


def test_addresses(face: Face) -> None:
    answer = face.post("/connections?mode=draft", {"name": "c", "connectionSpec": {"id": SQLITE}})
    assert answer.headers["location"] == f"{BASE}/connections/{answer.json()['id']}"
    assert face.get(f"{CATALOG}/dataSets").status_code == 200
