"""Specs that an organisation describes itself: who may, what they are made of, and that nothing runs by them."""

from dataclasses import replace
from typing import Any

import pytest

from headgate.auth import Tokens
from headgate.model.orgs import Client, Grant
from headgate.model.scope import Principal
from tests.integration.face import BASE, DATALAKE, NOBODY, POSTGRESQL, TABLES, Face, Json, refused, second_org

COLLECTIONS = ("connectionSpecs", "flowSpecs")
SCHEMA = {
    "type": "object",
    "properties": {
        "host": {"type": "string", "pattern": "^(a+)+$"},
        "token": {"type": "string", "format": "password"},
        "more": {"type": "object"},
        "odd": True,
    },
    "required": ["host"],
}
CONNECTION: Json = {
    "name": "ledger",
    "providerId": "acme",
    "description": "The company's own ledger.",
    "type": "ledger",
    "authSpec": [{"name": "Token", "type": "KeyBased", "spec": SCHEMA}],
    "sourceSpec": {"name": "Ledger", "type": "Table", "spec": {"$ref": "http://127.0.0.1:9/schema"}},
    "exploreSpec": {"name": "Ledger", "type": "Tabular", "requestSpec": {"type": "object"}},
    "attributes": {"category": "ours", "status": "runnable"},
    "unknown": "member",
}
FLOW: Json = {
    "name": "LedgerToAEP",
    "providerId": "acme",
    "sourceConnectionSpecIds": [POSTGRESQL],
    "targetConnectionSpecIds": [DATALAKE],
    "optionSpec": {"name": "O", "type": "O", "spec": {"type": "object"}},
    "transformationSpecDTOS": [{"name": "Copy", "type": "Copy", "spec": {"type": "object"}}],
}
BODIES = {"connectionSpecs": CONNECTION, "flowSpecs": FLOW}


def put(face: Face, path: str, body: object) -> Any:
    return face.http.put(f"{BASE}{path}", json=body, headers=face.headers)


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_spec_is_listed_beside_the_catalogue(face: Face, collection: str) -> None:
    before = len(face.get(f"/{collection}").json()["items"])
    answer = face.post(f"/{collection}", BODIES[collection])
    assert answer.status_code == 201, answer.text
    spec = answer.json()
    assert answer.headers["location"] == f"{BASE}/{collection}/{spec['id']}"
    assert (spec["name"], spec["providerId"], spec["version"]) == (BODIES[collection]["name"], "acme", "1.0")
    assert "unknown" not in spec
    assert spec["attributes"]["status"] == "listed"
    assert spec["attributes"]["publicId"] is False
    assert face.get(f"/{collection}/{spec['id']}").json() == {**spec, "items": [spec], "_links": {}}
    listed = face.get(f"/{collection}").json()["items"]
    assert (len(listed), listed[-1]) == (before + 1, spec)
    assert face.get(f"/{collection}", property=f"name=={spec['name']}").json()["items"] == [spec]
    changed = put(face, f"/{collection}/{spec['id']}", {**BODIES[collection], "name": "renamed"})
    assert (changed.status_code, changed.json()) == (200, {**spec, "name": "renamed"})
    assert face.get(f"/{collection}/{spec['id']}").json()["name"] == "renamed"


def test_spellings_of_transformations(face: Face) -> None:
    shown = [{"name": "Copy", "type": "Copy", "spec": {"type": "object"}}]
    for spelling in ("transformationSpec", "transformationSpecs", "transformationSpecDTOS"):
        body = {**{name: FLOW[name] for name in ("name", "providerId")}, spelling: shown}
        spec = face.post("/flowSpecs", body).json()
        assert spec["transformationSpec"] == spec["transformationSpecs"] == shown
        assert "transformationSpecDTOS" not in spec


def test_organisations_do_not_see_each_others_specs(face: Face) -> None:
    other = second_org(face)
    for collection in COLLECTIONS:
        spec = face.post(f"/{collection}", BODIES[collection]).json()
        assert spec["id"] not in other.get(f"/{collection}").text
        refused(other.get(f"/{collection}/{spec['id']}"), 404, "FLOW-1439-404")
        refused(put(other, f"/{collection}/{spec['id']}", BODIES[collection]), 404, "FLOW-1439-404")
    spec = face.post("/connectionSpecs", CONNECTION).json()
    body = {"name": "c", "connectionSpec": {"id": spec["id"]}}
    refused(other.post("/connections", body), 400, "FLOW-1413-400")


def client(face: Face, role: str, kind: str) -> Face:
    """A client of a principal of `kind` that has `role`."""
    org_id, tenants = face.credentials.org_id, face.store.tenants
    name = f"hg_specs_{role}_{kind}"
    tenants.add_client(Client(name, org_id, name), "0" * 64)
    user = name if kind == "service" else f"{name}@example.com"
    tenants.grant(org_id, Grant(user, kind, role, None))  # type: ignore[arg-type]
    token = Tokens(face.settings.keys).issue(Principal(user, name, kind, frozenset({org_id})), 600)  # type: ignore[arg-type]
    return Face(face.http, replace(face.credentials, api_key=name, access_token=token), face.settings, face.store)


def test_only_administrators_describe_specs(face: Face) -> None:
    person, service = client(face, "developer", "user"), client(face, "developer", "service")
    for collection in COLLECTIONS:
        spec = face.post(f"/{collection}", BODIES[collection]).json()
        refused(person.post(f"/{collection}", BODIES[collection]), 400, "FLOW-1426-400")
        refused(put(person, f"/{collection}/{spec['id']}", BODIES[collection]), 400, "FLOW-1426-400")
        refused(service.post(f"/{collection}", BODIES[collection]), 403, "FLOW-2121-403")
        assert person.get(f"/{collection}/{spec['id']}").status_code == 200
    admin = client(face, "admin", "service")
    assert admin.post("/connectionSpecs", CONNECTION).status_code == 201


REFUSED: dict[str, tuple[str, Json, int, str]] = {
    "no name": ("connectionSpecs", {"name": None}, 400, "CONNECTOR-1304-400"),
    "no provider": ("flowSpecs", {"providerId": ""}, 400, "CONNECTOR-1304-400"),
    "provider is a number": ("flowSpecs", {"providerId": 7}, 400, "CONNECTOR-1312-400"),
    "auth is an object": ("connectionSpecs", {"authSpec": {}}, 400, "CONNECTOR-1312-400"),
    "nameless auth": ("connectionSpecs", {"authSpec": [{"spec": {}}]}, 400, "CONNECTOR-1304-400"),
    "no schema": (
        "connectionSpecs",
        {"authSpec": [{"name": "a", "spec": {"type": "text"}}]},
        400,
        "CONNECTOR-1312-400",
    ),
    "schema is a list": ("connectionSpecs", {"sourceSpec": {"spec": []}}, 400, "CONNECTOR-1312-400"),
    "explore is a text": ("connectionSpecs", {"exploreSpec": "x"}, 400, "CONNECTOR-1312-400"),
    "ids are numbers": ("flowSpecs", {"sourceConnectionSpecIds": [1]}, 400, "CONNECTOR-1312-400"),
    "schedule is no schema": ("flowSpecs", {"scheduleSpec": {"spec": {"required": "x"}}}, 400, "CONNECTOR-1312-400"),
    "too large": ("flowSpecs", {"attributes": {"x": "x" * 70_000}}, 413, "FLOW-1100-413"),
}


@pytest.mark.parametrize(("collection", "changes", "status", "code"), REFUSED.values(), ids=REFUSED.keys())
def test_spec_is_refused(face: Face, collection: str, changes: Json, status: int, code: str) -> None:
    refused(face.post(f"/{collection}", {**BODIES[collection], **changes}), status, code)


def test_what_cannot_be_replaced(face: Face) -> None:
    refused(put(face, f"/connectionSpecs/{POSTGRESQL}", CONNECTION), 400, "FLOW-1426-400")
    refused(put(face, f"/flowSpecs/{TABLES}", FLOW), 400, "FLOW-1426-400")
    refused(put(face, f"/connectionSpecs/{NOBODY}", CONNECTION), 404, "FLOW-1439-404")
    refused(put(face, "/flowSpecs/x", FLOW), 404, "FLOW-1439-404")


def test_connection_by_a_described_spec_hides_its_secrets_and_runs_nothing(face: Face) -> None:
    spec = face.post("/connectionSpecs", CONNECTION).json()["id"]
    about = {"connectionSpec": {"id": spec}}
    # The schema's pattern would take ages on this text, and its $ref leads elsewhere: neither is followed.
    params = {
        "host": "a" * 40 + "!",
        "token": "s3cret",
        "more": {"inner": "s3cret"},
        "other": "s3cret",
        "odd": "s3cret",
    }
    auth = {"specName": "Token", "params": params}
    refused(
        face.post("/connections", {"name": "c", **about, "auth": {**auth, "specName": "Key"}}), 400, "FLOW-1415-400"
    )
    connection = face.made("/connections", {"name": "c", **about, "auth": auth})
    answer = face.get(f"/connections/{connection}")
    assert "s3cret" not in answer.text
    assert answer.json()["items"][0]["auth"]["params"]["host"] == params["host"]
    body = {"name": "s", **about, "baseConnectionId": connection, "data": {"format": "json"}}
    source = face.made("/sourceConnections", {**body, "params": {"anything": 1}})
    message = refused(face.post("/flows", face.flow_body(sourceConnectionIds=[source])), 400, "CONNECTOR-1385-400")
    assert "ledger" in message
    refused(face.post("/targetConnections", {**about, "params": {"dataSetId": "x"}}), 400, "CONNECTOR-1307-400")
    flow_spec = face.post("/flowSpecs", FLOW).json()["id"]
    for mode in ("", "?mode=draft"):
        body = face.flow_body(flowSpec={"id": flow_spec})
        assert "LedgerToAEP" in refused(face.post(f"/flows{mode}", body), 400, "CONNECTOR-1385-400")


def test_streams_and_exports_are_described_and_refused_by_name(face: Face) -> None:
    by_name = {spec["name"]: spec for spec in face.get("/connectionSpecs").json()["items"]}
    stream, lake, zone = (
        by_name[name] for name in ("Streaming Connection", "activation-datalake", "Data Landing Zone")
    )
    assert stream["attributes"]["frequency"] == "streaming"
    auth = {"specName": "Streaming Connection", "params": {"sourceId": "s", "dataType": "xdm", "name": "n"}}
    connection = face.made("/connections", {"name": "c", "connectionSpec": {"id": stream["id"]}, "auth": auth})
    body = {"name": "s", "connectionSpec": {"id": stream["id"]}, "baseConnectionId": connection}
    streaming = face.made("/sourceConnections", {**body, "data": {"format": "delimited"}})
    params = {"datasets": [{"dataSetId": face.dataset("Exported")}]}
    body = {"name": "s", "connectionSpec": {"id": lake["id"]}, "data": {"format": "json"}}
    refused(face.post("/sourceConnections", body), 400, "CONNECTOR-1304-400")
    exporting = face.made("/sourceConnections", {**body, "params": params})
    base = face.made("/connections", {"name": "zone", "connectionSpec": {"id": zone["id"]}})
    keys = {"specName": "Access Key", "params": {"s3AccessKey": "a", "s3SecretKey": "b"}}
    bucket = {"name": "out", "connectionSpec": {"id": by_name["amazon-s3-destination"]["id"]}}
    refused(face.post("/connections", bucket), 400, "CONNECTOR-1304-400")
    face.made("/connections", {**bucket, "auth": keys})
    body = {"name": "t", "connectionSpec": {"id": zone["id"]}, "params": {"path": "/out"}}
    refused(face.post("/targetConnections", {**body, "baseConnectionId": NOBODY}), 404, "FLOW-1439-404")
    target = face.made("/targetConnections", {**body, "baseConnectionId": base})
    [item] = face.get(f"/targetConnections/{target}").json()["items"]
    assert item["inheritedAttributes"]["baseConnection"]["id"] == item["baseConnectionId"] == base

    for source in (streaming, exporting):
        refused(face.post("/flows", face.flow_body(sourceConnectionIds=[source])), 400, "CONNECTOR-1385-400")
    refused(face.post("/flows", face.flow_body(targetConnectionIds=[target])), 400, "CONNECTOR-1307-400")
    listed = [spec for spec in face.get("/flowSpecs").json()["items"] if spec["attributes"]["status"] == "listed"]
    ids = {
        spec["id"]: spec["name"] for spec in listed if spec["version"] == "1.0" and "publicId" not in spec["attributes"]
    }
    assert {"StreamingToAEP", "DatasetsToLandingZone"} <= set(ids.values())
    for id_, name in ids.items():
        body = {
            "name": "f",
            "flowSpec": {"id": id_},
            "sourceConnectionIds": [exporting],
            "targetConnectionIds": [target],
        }
        assert name in refused(face.post("/flows", body), 400, "CONNECTOR-1385-400")
