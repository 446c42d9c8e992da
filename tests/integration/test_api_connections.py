"""Connections, source connections and target connections."""

import re
from typing import Any

import httpx
import pytest

from headgate.model.lake import Column, LakeType
from headgate.model.resources import Kind
from headgate.targets import Lake, Layout
from tests.integration.face import (
    BASE,
    DATALAKE,
    LOCAL_FILES,
    NOBODY,
    POSTGRESQL,
    SQLITE,
    Face,
    Json,
    refused,
)

ETAG = re.compile(r'"[0-9a-f]{8}-0000-0200-0000-[0-9a-f]{8}0000"')
PARAMS = {"connectionString": "Server=db;Database=shop;Port=5432;UID=etl;Password=s3"}
NAMED = {"specName": "Connection String Based Authentication", "params": PARAMS}


def connection_body(**changes: Any) -> Json:
    body = {"name": "shop db", "auth": NAMED, "connectionSpec": {"id": POSTGRESQL, "version": "1.0"}, **changes}
    return {name: value for name, value in body.items() if value is not None}


def test_connection_as_it_comes_back(face: Face) -> None:
    answer = face.post("/connections", connection_body(description="ours", providerId="any", id=NOBODY))
    assert answer.status_code == 201
    made = answer.json()
    assert set(made) == {"id", "etag"}
    assert ETAG.fullmatch(made["etag"])
    assert made["id"] != NOBODY
    assert answer.headers["etag"] == made["etag"]
    assert answer.headers["location"] == f"{BASE}/connections/{made['id']}"
    found = face.get(f"/connections/{made['id']}")
    assert found.headers["etag"] == made["etag"]
    assert set(found.json()) == {"items", "_links"}
    [item] = found.json()["items"]
    created = item["createdAt"]
    assert abs(item["createdAt"] - created) < 60_000
    assert int(made["etag"].split("-")[-1][:8], 16) == created // 1000
    assert item == {
        "id": made["id"],
        "createdAt": created,
        "updatedAt": created,
        "createdBy": "local@headgate",
        "updatedBy": "local@headgate",
        "createdClient": face.credentials.client_id,
        "updatedClient": face.credentials.client_id,
        "sandboxId": item["sandboxId"],
        "sandboxName": "prod",
        "imsOrgId": face.credentials.org_id,
        "name": "shop db",
        "description": "ours",
        "connectionSpec": {"id": POSTGRESQL, "version": "1.0"},
        "state": "enabled",
        "auth": {"specName": NAMED["specName"], "params": {"connectionString": "xxxx"}},
        "version": made["etag"],
        "etag": made["etag"],
    }


def test_names_need_not_be_unique_and_the_version_has_a_default(face: Face) -> None:
    first = face.made("/connections", connection_body(connectionSpec={"id": POSTGRESQL}))
    assert face.made("/connections", connection_body()) != first
    assert face.get(f"/connections/{first}").json()["items"][0]["connectionSpec"]["version"] == "1.0"


def test_connection_without_an_account(face: Face) -> None:
    body = connection_body(connectionSpec={"id": LOCAL_FILES}, auth=None)
    item = face.get(f"/connections/{face.made('/connections', body)}").json()["items"][0]
    assert "auth" not in item


def test_listed_spec_can_be_connected(face: Face) -> None:
    spec = next(
        spec
        for spec in face.get("/connectionSpecs").json()["items"]
        if spec["attributes"]["status"] == "listed" and spec["authSpec"]
    )
    auth = spec["authSpec"][0]
    about = auth["spec"]["properties"]
    params = {name: 1 if "integer" in about[name]["type"] else "text" for name in auth["spec"]["required"]}
    body = connection_body(
        connectionSpec={"id": spec["id"]}, auth={"specName": auth["name"], "params": {**params, "extra": "e"}}
    )
    item = face.get(f"/connections/{face.made('/connections', body)}").json()["items"][0]
    for name, value in item["auth"]["params"].items():
        secret = name == "extra" or about[name].get("format") == "password"
        assert value == ("xxxx" if secret else params[name])


def test_no_source_passes_over_a_parameter_of_an_account(face: Face) -> None:
    for spec in face.get("/connectionSpecs").json()["items"]:
        if not spec["attributes"]["isSource"] or spec["attributes"]["status"] != "runnable":
            continue
        for auth in spec["authSpec"]:
            known = list(auth["spec"]["properties"])
            sent = {"specName": auth["name"], "params": {f"{known[-1]}s": "private"}}
            body = connection_body(connectionSpec={"id": spec["id"]}, auth=sent)
            said = refused(face.post("/connections", body), 400, "CONNECTOR-1312-400")
            assert said == f"auth.params has no '{known[-1]}s'. Did you mean {known[-1]}? Known: {', '.join(known)}."


def test_parameter_that_was_misspelled_is_not_passed_over_in_a_patch_and_in_a_draft(face: Face) -> None:
    files = {"connectionSpec": {"id": LOCAL_FILES}}
    body = connection_body(**files, auth={"specName": "Folder", "params": {"folder": "a"}})
    id_ = face.made("/connections", body)
    etag = face.get(f"/connections/{id_}").json()["items"][0]["etag"]
    replaced = [{"op": "replace", "path": "/auth/params", "value": {"Folder": "a"}}]
    said = refused(face.patch(f"/connections/{id_}", replaced, etag), 400, "CONNECTOR-1312-400")
    assert said == "auth.params has no 'Folder'. Did you mean folder? Known: folder."
    draft = connection_body(**files, auth={"specName": "Folder", "params": {"foldr": "a"}})
    id_ = face.made("/connections?mode=draft", draft)
    refused(face.post(f"/connections/{id_}/action?op=publish", {}), 400, "CONNECTOR-1312-400")


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"filter": {}}, "params has no 'filter'. Did you mean filters?"),
        ({"Columns": []}, "params has no 'Columns'. Did you mean columns?"),
        ({"encoding": "UTF-16"}, "params.encoding is not looked at; send it as data.encoding."),
    ],
)
def test_param_that_would_change_what_is_read_is_not_passed_over(face: Face, params: Json, said: str) -> None:
    body = {"name": "orders", "connectionSpec": {"id": SQLITE}, "baseConnectionId": face.connection()}
    body["params"] = {"tableName": "orders", **params}
    assert refused(face.post("/sourceConnections", body), 400, "CONNECTOR-1312-400").startswith(said)


def test_web_addresses_are_shown_unless_they_may_be_signed(face: Face) -> None:
    spec = "6b0f5a3c-7d21-4e58-9c4f-1a83e2d7b096"
    for urls, shown in (("https://a.example/x.csv", "https://a.example/x.csv"), ("https://a.example/x?sig=s", "xxxx")):
        body = connection_body(
            connectionSpec={"id": spec}, auth={"specName": "No Authentication", "params": {"urls": urls}}
        )
        item = face.get(f"/connections/{face.made('/connections', body)}").json()["items"][0]
        assert item["auth"]["params"] == {"urls": shown}


REFUSED_CONNECTIONS: dict[str, tuple[Json, str]] = {
    "no name": ({"name": None}, "CONNECTOR-1304-400"),
    "empty name": ({"name": " "}, "CONNECTOR-1304-400"),
    "name is a number": ({"name": 1}, "CONNECTOR-1312-400"),
    "name of 1001 characters": ({"name": "a" * 1001}, "CONNECTOR-1312-400"),
    "description is a list": ({"description": []}, "CONNECTOR-1312-400"),
    "no spec": ({"connectionSpec": None}, "CONNECTOR-1304-400"),
    "spec is a text": ({"connectionSpec": POSTGRESQL}, "CONNECTOR-1312-400"),
    "spec without id": ({"connectionSpec": {"version": "1.0"}}, "CONNECTOR-1304-400"),
    "spec id is a number": ({"connectionSpec": {"id": 5}}, "CONNECTOR-1312-400"),
    "unknown spec": ({"connectionSpec": {"id": NOBODY}}, "FLOW-1413-400"),
    "unknown version": ({"connectionSpec": {"id": POSTGRESQL, "version": "2.0"}}, "FLOW-1413-400"),
    "no auth": ({"auth": None}, "CONNECTOR-1304-400"),
    "auth is a list": ({"auth": [1]}, "CONNECTOR-1312-400"),
    "no auth spec": ({"auth": {"params": PARAMS}}, "CONNECTOR-1304-400"),
    "another auth spec": ({"auth": {"specName": "OAuth2", "params": PARAMS}}, "FLOW-1415-400"),
    "no params": ({"auth": {"specName": NAMED["specName"]}}, "CONNECTOR-1304-400"),
    "params is a text": ({"auth": {**NAMED, "params": "x"}}, "CONNECTOR-1312-400"),
    "missing param": ({"auth": {**NAMED, "params": {}}}, "CONNECTOR-1304-400"),
    "empty param": ({"auth": {**NAMED, "params": {"connectionString": ""}}}, "CONNECTOR-1304-400"),
    "param of another type": ({"auth": {**NAMED, "params": {"connectionString": 5}}}, "CONNECTOR-1312-400"),
    "forbidden option": (
        {"auth": {**NAMED, "params": {"connectionString": "Server=h;Database=d;UID=u;options=-c x"}}},
        "CONNECTOR-1312-400",
    ),
    "auth for a spec without": ({"connectionSpec": {"id": DATALAKE}}, "FLOW-1415-400"),
}


@pytest.mark.parametrize(("changes", "code"), REFUSED_CONNECTIONS.values(), ids=REFUSED_CONNECTIONS.keys())
def test_connection_is_refused(face: Face, changes: Json, code: str) -> None:
    before = face.get("/connections", count="true").json()
    refused(face.post("/connections", connection_body(**changes)), 400, code)
    assert face.get("/connections", count="true").json() == before


def test_missing_param_is_named(face: Face) -> None:
    auth = {"specName": "Basic Authentication", "params": {"server": "db", "database": "d", "username": "u"}}
    answer = face.post("/connections", connection_body(auth=auth))
    assert "auth.params.password" in refused(answer, 400, "CONNECTOR-1304-400")
    assert answer.json()["report"]["parameter"] == "auth.params.password"


def test_connection_is_deleted_once_and_not_while_a_flow_uses_it(face: Face) -> None:
    connection = face.connection()
    source = face.source(connection)
    target = face.target()
    flow = face.flow(sourceConnectionIds=[source], targetConnectionIds=[target])
    assert flow in refused(face.delete(f"/connections/{connection}"), 400, "FLOW-1418-400")
    refused(face.delete(f"/sourceConnections/{source}"), 400, "FLOW-1447-400")
    refused(face.delete(f"/targetConnections/{target}"), 400, "FLOW-1447-400")
    assert face.delete(f"/flows/{flow}").status_code == 204
    for path in (f"/sourceConnections/{source}", f"/targetConnections/{target}", f"/connections/{connection}"):
        answer = face.delete(path)
        assert (answer.status_code, answer.content) == (204, b"")
        refused(face.get(path), 404, "FLOW-1439-404")
        refused(face.delete(path), 404, "FLOW-1439-404")


def test_connection_goes_although_an_idle_source_connection_names_it(face: Face) -> None:
    connection = face.connection()
    source = face.source(connection)
    assert face.delete(f"/connections/{connection}").status_code == 204
    assert face.get(f"/sourceConnections/{source}").status_code == 200
    answer = face.post("/flows", face.flow_body(sourceConnectionIds=[source]))
    refused(answer, 404, "FLOW-1439-404")


def test_source_connection_as_it_comes_back(face: Face) -> None:
    connection = face.connection()
    body = {
        "name": "orders",
        "connectionSpec": {"id": SQLITE},
        "baseConnectionId": connection,
        "params": {"tableName": "orders", "note": "kept"},
    }
    [item] = face.get(f"/sourceConnections/{face.made('/sourceConnections', body)}").json()["items"]
    assert item["data"] == {"format": "tabular"}
    assert item["params"] == body["params"]
    assert item["baseConnectionId"] == connection
    assert item["state"] == "enabled"
    spec = {"id": SQLITE, "version": "1.0"}
    assert item["inheritedAttributes"] == {"baseConnection": {"id": connection, "connectionSpec": spec}}


def test_file_source_connection_needs_no_base_connection(face: Face) -> None:
    [item] = face.get(f"/sourceConnections/{face.file_source()}").json()["items"]
    assert item["data"] == {"format": "delimited"}
    shouted = {"data": {"format": "JSON"}, "params": {"path": "*.json"}}
    id_ = face.made("/sourceConnections", {"name": "files", "connectionSpec": {"id": LOCAL_FILES}, **shouted})
    assert face.get(f"/sourceConnections/{id_}").json()["items"][0]["data"] == {"format": "json"}
    assert "baseConnectionId" not in item
    assert "inheritedAttributes" not in item


def source_body(face: Face, spec_id: str, **changes: Any) -> Json:
    body: Json = {"name": "s", "connectionSpec": {"id": spec_id}, **changes}
    if spec_id == SQLITE:
        body = {"baseConnectionId": face.connection(), "params": {"tableName": "orders"}, **body}
    elif spec_id == LOCAL_FILES:
        body = {"params": {"path": "*.csv"}, "data": {"format": "delimited"}, **body}
    return {name: value for name, value in body.items() if value is not None}


REFUSED_SOURCES: dict[str, tuple[str, Json, int, str]] = {
    "no name": (SQLITE, {"name": None}, 400, "CONNECTOR-1304-400"),
    "unknown spec": (NOBODY, {}, 400, "FLOW-1413-400"),
    "a target": (DATALAKE, {}, 400, "CONNECTOR-1305-400"),
    "no base connection": (SQLITE, {"baseConnectionId": None}, 400, "CONNECTOR-1304-400"),
    "base connection is a number": (SQLITE, {"baseConnectionId": 7}, 400, "CONNECTOR-1312-400"),
    "unknown base connection": (SQLITE, {"baseConnectionId": NOBODY}, 404, "FLOW-1439-404"),
    "base connection without form": (SQLITE, {"baseConnectionId": "x"}, 404, "FLOW-1439-404"),
    "table as files": (SQLITE, {"data": {"format": "delimited"}}, 400, "CONNECTOR-1327-400"),
    "data is a list": (SQLITE, {"data": [1]}, 400, "CONNECTOR-1312-400"),
    "no params": (SQLITE, {"params": None}, 400, "CONNECTOR-1304-400"),
    "params is a text": (SQLITE, {"params": "orders"}, 400, "CONNECTOR-1312-400"),
    "no table": (SQLITE, {"params": {"path": "x"}}, 400, "CONNECTOR-1304-400"),
    "empty table": (SQLITE, {"params": {"tableName": ""}}, 400, "CONNECTOR-1304-400"),
    "table is a list": (SQLITE, {"params": {"tableName": ["orders"]}}, 400, "CONNECTOR-1312-400"),
    "columns is a text": (
        SQLITE,
        {"params": {"tableName": "orders", "columns": "id"}},
        400,
        "CONNECTOR-1312-400",
    ),
    "files without format": (LOCAL_FILES, {"data": None}, 400, "CONNECTOR-1327-400"),
    "files as a table": (LOCAL_FILES, {"data": {"format": "tabular"}}, 400, "CONNECTOR-1327-400"),
    "no path": (LOCAL_FILES, {"params": {}}, 400, "CONNECTOR-1304-400"),
    "recursive is a number": (
        LOCAL_FILES,
        {"params": {"path": "a", "recursive": 1}},
        400,
        "CONNECTOR-1312-400",
    ),
    "delimiter of two characters": (
        LOCAL_FILES,
        {"data": {"format": "delimited", "columnDelimiter": "||"}},
        400,
        "CONNECTOR-1331-400",
    ),
    "delimiter in the properties": (
        LOCAL_FILES,
        {"data": {"format": "delimited", "properties": {"columnDelimiter": ""}}},
        400,
        "CONNECTOR-1331-400",
    ),
}


@pytest.mark.parametrize(("spec_id", "changes", "status", "code"), REFUSED_SOURCES.values(), ids=REFUSED_SOURCES.keys())
def test_source_connection_is_refused(face: Face, spec_id: str, changes: Json, status: int, code: str) -> None:
    refused(face.post("/sourceConnections", source_body(face, spec_id, **changes)), status, code)


def test_base_connection_of_another_spec_is_refused(face: Face) -> None:
    postgres = face.made("/connections", connection_body())
    body = source_body(face, SQLITE, baseConnectionId=postgres)
    assert POSTGRESQL in refused(face.post("/sourceConnections", body), 400, "CONNECTOR-1312-400")


def test_base_connection_is_forbidden_where_no_account_is_needed(face: Face) -> None:
    free = [
        spec["id"]
        for spec in face.get("/connectionSpecs").json()["items"]
        if not spec["authSpec"] and spec["attributes"]["isSource"]
    ]
    assert free
    connection = face.connection()
    for spec_id in free:
        body = source_body(face, spec_id, baseConnectionId=connection, params={"path": "x"})
        refused(face.post("/sourceConnections", body), 400, "CONNECTOR-1332-400")


def test_target_connection_as_it_comes_back(face: Face) -> None:
    dataset = face.dataset()
    schema = {"id": "https://ns.example/schemas/orders", "version": "application/vnd.adobe.xed-full+json;version=1"}
    body = {"name": "to lake", "data": {"schema": schema}, "connectionSpec": {"id": DATALAKE, "version": "1.0"}}
    made = face.made("/targetConnections", {**body, "params": {"dataSetId": dataset}})
    [item] = face.get(f"/targetConnections/{made}").json()["items"]
    assert item["params"] == {"dataSetId": dataset, "writeMode": "replaceWindow"}
    assert item["data"] == {"schema": schema}
    assert item["name"] == "to lake"
    assert item["state"] == "enabled"


def test_target_connection_in_older_spellings(face: Face) -> None:
    dataset = face.dataset()
    body = {"connectionSpec": {"id": DATALAKE}, "params": {"datasetId": dataset, "writeMode": "append"}}
    [item] = face.get(f"/targetConnections/{face.made('/targetConnections', body)}").json()["items"]
    assert item["params"]["dataSetId"] == dataset
    assert item["params"]["writeMode"] == "append"
    assert "name" not in item


REFUSED_TARGETS: dict[str, tuple[Json, str]] = {
    "no spec": ({"connectionSpec": None}, "CONNECTOR-1304-400"),
    "unknown spec": ({"connectionSpec": {"id": NOBODY}}, "FLOW-1413-400"),
    "a source": ({"connectionSpec": {"id": SQLITE}}, "CONNECTOR-1307-400"),
    "no params": ({"params": None}, "CONNECTOR-1325-400"),
    "no dataset": ({"params": {"writeMode": "append"}}, "CONNECTOR-1325-400"),
    "unknown dataset": ({"params": {"dataSetId": "0" * 24}}, "CONNECTOR-1325-400"),
    "dataset is a list": ({"params": {"dataSetId": []}}, "CONNECTOR-1312-400"),
    "unknown write mode": ({"writeMode": "merge"}, "CONNECTOR-1312-400"),
    "no key to upsert by": ({"writeMode": "upsert"}, "CONNECTOR-1304-400"),
    "an empty key": ({"writeMode": "upsert", "primaryKey": []}, "CONNECTOR-1304-400"),
    "a key that is no list": ({"writeMode": "upsert", "primaryKey": "id"}, "CONNECTOR-1312-400"),
    "a key of other things": ({"writeMode": "upsert", "primaryKey": ["id", 1]}, "CONNECTOR-1312-400"),
    "a key twice": ({"writeMode": "upsert", "primaryKey": ["id", "id"]}, "CONNECTOR-1312-400"),
    "a key of our own": ({"writeMode": "upsert", "primaryKey": ["_headgate_run_id"]}, "CONNECTOR-1312-400"),
    "a key without upsert": ({"writeMode": "append", "primaryKey": ["id"]}, "CONNECTOR-1312-400"),
    "partitions of an hour": ({"partitionBy": "hour"}, "CONNECTOR-1312-400"),
    "partitions of nothing": ({"partitionBy": None, "sortBy": []}, "CONNECTOR-1312-400"),
    "partitions in a list": ({"partitionBy": ["day"]}, "CONNECTOR-1312-400"),
    "an order that is no list": ({"sortBy": "id"}, "CONNECTOR-1312-400"),
    "an order of nothing": ({"sortBy": []}, "CONNECTOR-1312-400"),
    "an order of other things": ({"sortBy": [1]}, "CONNECTOR-1312-400"),
    "an order that repeats itself": ({"sortBy": ["id", "id"]}, "CONNECTOR-1312-400"),
    "an order of our own": ({"sortBy": ["_headgate_run_id"]}, "CONNECTOR-1312-400"),
    "files of no size": ({"targetFileSizeMb": 0}, "CONNECTOR-1312-400"),
    "files of half a size": ({"targetFileSizeMb": 1.5}, "CONNECTOR-1312-400"),
    "files of a yes": ({"targetFileSizeMb": True}, "CONNECTOR-1312-400"),
    "files too large": ({"targetFileSizeMb": 10_001}, "CONNECTOR-1312-400"),
    "write mode is a list": ({"writeMode": ["append"]}, "CONNECTOR-1312-400"),
    "empty name": ({"name": ""}, "CONNECTOR-1304-400"),
}


@pytest.mark.parametrize(("changes", "code"), REFUSED_TARGETS.values(), ids=REFUSED_TARGETS.keys())
def test_target_connection_is_refused(face: Face, changes: Json, code: str) -> None:
    body: Json = {"connectionSpec": {"id": DATALAKE}, "params": {"dataSetId": face.dataset()}, **changes}
    for name in ("writeMode", "primaryKey", "partitionBy", "sortBy", "targetFileSizeMb"):
        if name in changes:
            body["params"][name] = body.pop(name)
    body = {name: value for name, value in body.items() if value is not None}
    refused(face.post("/targetConnections", body), 400, code)


def test_a_layout_must_fit_the_table_that_is_there(face: Face) -> None:
    dataset = face.dataset()

    def sent(**layout: Any) -> httpx.Response:
        params = {"dataSetId": dataset, **layout}
        return face.post("/targetConnections", {"connectionSpec": {"id": DATALAKE}, "params": params})

    layout = {"partitionBy": "day", "sortBy": ["anything"], "targetFileSizeMb": 128}
    made = sent(**layout)  # there is no table yet
    assert made.status_code == 201
    flow = face.flow(targetConnectionIds=[made.json()["id"]])
    assert face.scoped().get(Kind.FLOW, flow).frozen["target"]["layout"] == layout
    lake = Lake(face.settings.warehouse)
    columns = (Column("at", LakeType("date")), Column("list", LakeType("list", element=LakeType("int"))))
    lake.table(tuple(face.scoped().get(Kind.DATASET, dataset).frozen["table"]), columns, Layout("month", "at"))
    lake.close()
    assert "partitioned by the month of 'at'" in refused(sent(partitionBy="day"), 400, "CONNECTOR-1312-400")
    for name in ("anything", "list"):
        assert name in refused(sent(sortBy=[name]), 400, "CONNECTOR-1312-400")
    assert sent(partitionBy="month", sortBy=["at"]).status_code == 201


def test_a_key_must_be_of_the_columns_that_the_table_has(face: Face) -> None:
    dataset = face.dataset()
    body = {"connectionSpec": {"id": DATALAKE}, "params": {"dataSetId": dataset, "writeMode": "upsert"}}

    def sent(*names: str) -> httpx.Response:
        return face.post("/targetConnections", {**body, "params": {**body["params"], "primaryKey": list(names)}})

    assert sent("anything").status_code == 201  # there is no table yet
    lake = Lake(face.settings.warehouse)
    key = LakeType("struct", fields=(("id", LakeType("long")), ("ratio", LakeType("double"))))
    columns = (Column("a.b", LakeType("string")), Column("key", key), Column("size", LakeType("double")))
    lake.table(tuple(face.scoped().get(Kind.DATASET, dataset).frozen["table"]), columns)
    lake.close()
    for name in ("anything", "key", "size", "key.ratio", "key.id.x", "a"):
        text = refused(sent(name), 400, "CONNECTOR-1312-400")
        assert name in text
    made = sent("a.b", "key.id").json()["id"]
    flow = face.flow(targetConnectionIds=[made])
    assert face.scoped().get(Kind.FLOW, flow).frozen["target"]["primaryKey"] == ["a.b", "key.id"]
