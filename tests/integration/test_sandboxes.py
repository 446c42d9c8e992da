"""Sandbox management: seen, made, renamed, emptied and closed."""

import re
import uuid
from dataclasses import replace
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from headgate.auth import Tokens
from headgate.model.lake import Column, LakeType
from headgate.model.orgs import Grant
from headgate.model.scope import Principal
from headgate.service import sandboxes as service
from headgate.targets import Lake
from tests.integration.face import CATALOG, Face, Json, refused, second_org

BASE = "/data/foundation/sandbox-management"
ALL = f"{BASE}/sandboxes"


def sms(answer: httpx.Response, status: int, code: str) -> str:
    """See that `answer` is in sandbox management's envelope; its sentence."""
    body = answer.json()
    assert (answer.status_code, body["type"]) == (status, f"http://ns.adobe.com/aep/errors/{code}"), body
    assert set(body) == {"status", "title", "type"}
    assert body["status"] == status
    return str(body["title"])


def put(face: Face, path: str, body: object) -> httpx.Response:
    return face.http.put(path, json=body, headers=face.headers)


def patch(face: Face, path: str, body: object) -> httpx.Response:
    return face.http.patch(path, json=body, headers=face.headers)


def made(face: Face) -> str:
    """The name of a new sandbox."""
    name = f"s-{uuid.uuid4().hex[:12]}"
    answer = face.post(ALL, {"name": name, "title": "Trial", "type": "development"})
    assert answer.status_code == 202, answer.text
    return name


def names(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [sandbox["name"] for sandbox in answer.json()["sandboxes"]]


def person(face: Face, sandbox: str | None, role: str = "viewer") -> Face:
    """Somebody who has a role there alone."""
    user = f"{uuid.uuid4()}@example.com"
    org_id, client_id = face.credentials.org_id, face.credentials.client_id
    face.store.tenants.grant(org_id, Grant(user, "user", role, sandbox))
    token = Tokens(face.settings.keys).issue(Principal(user, client_id, "user", frozenset({org_id})), 600)
    return Face(face.http, replace(face.credentials, access_token=token), face.settings, face.store)


def test_a_fresh_organisation_has_two(face: Face) -> None:
    for path in (BASE, f"{BASE}/"):
        body = face.get(path).json()
        assert body["_page"]["limit"] == 200
        prod = next(sandbox for sandbox in body["sandboxes"] if sandbox["name"] == "prod")
        id_, when = prod.pop("id"), prod.pop("createdDate")
        assert uuid.UUID(id_)
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", when)
        assert prod == {
            "name": "prod",
            "title": "Production",
            "state": "active",
            "type": "production",
            "region": "LOCAL",
            "isDefault": True,
            "eTag": 1,
            "etag": 1,
            "lastModifiedDate": when,
            "createdBy": "setup",
            "modifiedBy": "setup",
        }
    assert {"prod", "dev"} <= set(names(face.get(ALL)))
    types = [{"id": "production", "title": "Production"}, {"id": "development", "title": "Development"}]
    assert face.get(f"{BASE}/sandboxTypes").json() == {"sandboxTypes": types}


def test_one_by_name(face: Face) -> None:
    dev = face.get(f"{ALL}/dev").json()
    assert (dev["name"], dev["isDefault"]) == ("dev", False)
    sms(face.get(f"{ALL}/nowhere"), 404, "SMS-2003-404")
    sms(face.get(f"{ALL}/%00"), 404, "SMS-2003-404")


def test_one_is_made_and_used_at_once(face: Face) -> None:
    body = {"name": f"n-{uuid.uuid4().hex[:8]}", "title": "New", "type": "production"}
    answer = face.post(ALL, body)
    assert answer.status_code == 202
    assert answer.json()["state"] == "creating"
    assert answer.json()["createdBy"] == "local@headgate"
    assert face.get(f"{ALL}/{body['name']}").json()["state"] == "active"
    assert face.of(body["name"]).get("/flows").status_code == 200
    assert "already" in sms(face.post(ALL, body), 409, "SMS-2004-409")


@pytest.mark.parametrize(
    "changes",
    [
        {"name": None},
        {"name": ""},
        {"name": "Upper"},
        {"name": "with space"},
        {"name": "dots.and/slashes"},
        {"name": "-first"},
        {"name": "x" * 65},
        {"name": 5},
        {"name": "*"},
        {"title": None},
        {"title": "  "},
        {"title": "x" * 256},
        {"type": None},
        {"type": "staging"},
        {"type": ["production"]},
    ],
    ids=repr,
)
def test_one_that_cannot_be_made(face: Face, changes: Json) -> None:
    body = {"name": "fine", "title": "Fine", "type": "development", **changes}
    sms(face.post(ALL, {key: value for key, value in body.items() if value is not None}), 400, "SMS-2001-400")
    assert "fine" not in names(face.get(ALL))


def test_the_title_and_nothing_else_changes(face: Face) -> None:
    name = made(face)
    changed = patch(face, f"{ALL}/{name}", {"title": "Other"}).json()
    assert (changed["title"], changed["eTag"], changed["modifiedBy"]) == ("Other", 2, "local@headgate")
    assert face.get(f"{ALL}/{name}").json()["title"] == "Other"
    for body in ({}, {"title": ""}, {"name": "other"}, {"title": "x", "state": "deleted"}):
        sms(patch(face, f"{ALL}/{name}", body), 400, "SMS-2001-400")
    sms(patch(face, f"{ALL}/nowhere", {"title": "x"}), 404, "SMS-2003-404")


def test_a_deleted_one_is_closed_and_remembered(face: Face) -> None:
    name = made(face)
    validated = face.delete(f"{ALL}/{name}?validationOnly=true")
    assert (validated.status_code, validated.json()["state"]) == (202, "active")
    deleted = face.delete(f"{ALL}/{name}")
    assert (deleted.status_code, deleted.json()["state"]) == (202, "deleted")
    refused(face.of(name).get("/flows"), 404, "FLOW-2100-404")
    assert name not in names(face.get(BASE))
    assert name in names(face.get(ALL, property="state==deleted"))
    assert face.get(f"{ALL}/{name}").json()["state"] == "deleted"
    sms(face.delete(f"{ALL}/{name}"), 404, "SMS-2003-404")
    sms(put(face, f"{ALL}/{name}", {"action": "reset"}), 404, "SMS-2003-404")
    sms(patch(face, f"{ALL}/{name}", {"title": "x"}), 404, "SMS-2003-404")
    sms(face.post(ALL, {"name": name, "title": "Again", "type": "development"}), 409, "SMS-2004-409")


def test_the_default_one_stays(face: Face) -> None:
    sms(face.delete(f"{ALL}/prod"), 400, "SMS-2002-400")
    sms(put(face, f"{ALL}/prod", {"action": "reset"}), 400, "SMS-2002-400")


def filled(face: Face) -> tuple[str, str, tuple[str, ...]]:
    """Ids of a flow and a run there, and the lake table of its dataset, which holds a row."""
    dataset = face.dataset("Reset me")
    flow = face.flow(targetConnectionIds=[face.target(dataset)])
    run = face.run(flow, deltaColumn={"name": "updated_at"}).json()["id"]
    sandbox = face.store.sandboxes.get(face.credentials.org_id, face.credentials.sandbox)
    [table] = face.store.sandboxes.lake_tables(sandbox)
    lake = Lake(face.settings.warehouse)
    lake.table(table, (Column("id", LakeType("long")),))
    lake.close()
    return flow, run, table


def test_a_reset_removes_all_that_is_there_and_nothing_else(face: Face) -> None:
    name = made(face)
    sandbox, beside = face.of(name), face.connection()
    flow, run, table = filled(sandbox)
    validated = put(face, f"{ALL}/{name}?validationOnly=true&ignoreWarnings=true", {"action": "reset"})
    assert (validated.status_code, validated.json()["state"]) == (202, "active")
    assert sandbox.get(f"/flows/{flow}").status_code == 200
    before = face.get(f"{ALL}/{name}").json()
    reset = put(face, f"{ALL}/{name}", {"action": "reset"})
    assert (reset.status_code, reset.json()["state"]) == (202, "resetting"), reset.text
    after = face.get(f"{ALL}/{name}").json()
    assert (after["state"], after["id"]) == ("active", before["id"])
    assert after["eTag"] > before["eTag"]
    refused(sandbox.get(f"/flows/{flow}"), 404, "FLOW-1439-404")
    refused(sandbox.get(f"/runs/{run}"), 404, "FLOW-1439-404")
    for path in ("/connections", "/sourceConnections", "/targetConnections", "/flows", "/runs"):
        assert sandbox.get(path).json()["items"] == []
    assert sandbox.get(f"{CATALOG}/dataSets").json() == {}
    lake = Lake(face.settings.warehouse)
    assert lake.find(table) is None
    lake.close()
    assert face.get(f"/connections/{beside}").status_code == 200
    filled(sandbox)  # the names are free again


def test_a_reset_waits_for_the_runs_that_have_begun(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "_PATIENCE", 0.3)
    name = made(face)
    sandbox = face.of(name)
    flow, run, _ = filled(sandbox)
    claim = face.store.queue.claim("worker", lease=60)
    while claim is not None and claim.run.id != run:  # runs of other tests come first
        claim = face.store.queue.claim("worker", lease=60)
    assert claim is not None
    assert "has not ended" in sms(put(face, f"{ALL}/{name}", {"action": "reset"}), 409, "SMS-2005-409")
    refused(sandbox.get(f"/flows/{flow}"), 404, "FLOW-2100-404")  # nobody is let in meanwhile
    assert face.get(f"{ALL}/{name}").json()["state"] == "resetting"
    engine = sa.create_engine(face.metadata)
    with engine.begin() as database:  # as the worker does once it has seen that the run is cancelled
        database.execute(sa.text("UPDATE runs SET state = 'cancelled' WHERE id = :id"), {"id": run})
    engine.dispose()
    assert put(face, f"{ALL}/{name}", {"action": "reset"}).status_code == 202
    assert face.get(f"{ALL}/{name}").json()["state"] == "active"


@pytest.mark.parametrize("body", [{}, {"action": None}, {"action": "Reset"}, {"action": 1}], ids=repr)
def test_an_action_that_is_not_known(face: Face, body: Json) -> None:
    sms(put(face, f"{ALL}/dev", body), 400, "SMS-2001-400")


# -- listings ------------------------------------------------------------------------------------------


def test_pages(face: Face) -> None:
    mine = sorted(made(face) for _ in range(3))
    everything = names(face.get(ALL, orderBy="name"))
    assert [name for name in everything if name in mine] == mine
    assert names(face.get(ALL, orderBy="-name")) == names(face.get(ALL, orderBy="desc:name")) == everything[::-1]
    first = face.get(ALL, limit=2, orderBy="name").json()
    assert (first["_page"], [item["name"] for item in first["sandboxes"]]) == ({"limit": 2, "count": 2}, everything[:2])
    assert first["_links"]["next"] == {"href": "/sandboxes?limit=2&offset=2", "templated": False}
    assert "prev" not in first["_links"]
    second = face.get(ALL, limit=2, offset=2, orderBy="name").json()
    assert [item["name"] for item in second["sandboxes"]] == everything[2:4]
    assert second["_links"]["prev"]["href"] == "/sandboxes?limit=2&offset=0"
    assert face.get(ALL).json()["_links"] == {}


def test_filters(face: Face) -> None:
    assert names(face.get(ALL, property="name==dev")) == ["dev"]
    assert names(face.get(ALL, property="isDefault==true")) == ["prod"]
    assert "prod" not in names(face.get(ALL, property="type!=production"))
    assert names(face.get(ALL, property=["state==active", "name==dev,prod"])) == ["prod", "dev"]


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"limit": "0"}, "CONNECTOR-1394-400"),
        ({"limit": "x"}, "FLOW-1452-400"),
        ({"offset": "-1"}, "FLOW-1452-400"),
        ({"orderBy": "size"}, "FLOW-1452-400"),
        ({"property": "size==1"}, "FLOW-1449-400"),
        ({"start": "1"}, "FLOW-1451-400"),
    ],
    ids=repr,
)
def test_a_listing_that_cannot_be_read(face: Face, parameters: dict[str, Any], code: str) -> None:
    sms(face.get(ALL, **parameters), 400, code)


# -- who may -------------------------------------------------------------------------------------------


def test_a_role_in_one_sandbox_shows_that_one(face: Face) -> None:
    alice = person(face, "dev", "admin")
    assert names(alice.get(BASE)) == names(alice.get(ALL)) == ["dev"]
    sms(alice.get(f"{ALL}/prod"), 404, "SMS-2003-404")
    for answer in (
        alice.post(ALL, {"name": "mine", "title": "Mine", "type": "development"}),
        patch(alice, f"{ALL}/dev", {"title": "x"}),
        put(alice, f"{ALL}/dev", {"action": "reset"}),
        alice.delete(f"{ALL}/dev"),
    ):
        sms(answer, 403, "FLOW-2121-403")


def test_the_sandbox_of_the_headers_is_not_read(face: Face) -> None:
    assert "dev" in names(face.of("not-made-yet").get(BASE))


def test_a_role_in_the_organisation_shows_all(face: Face) -> None:
    assert {"prod", "dev"} <= set(names(person(face, None).get(BASE)))


def test_another_organisation_has_its_own(face: Face) -> None:
    other = second_org(face)
    name = made(face)
    assert sorted(names(other.get(ALL))) == ["dev", "prod"]
    for answer in (other.get(f"{ALL}/{name}"), other.delete(f"{ALL}/{name}")):
        sms(answer, 404, "SMS-2003-404")
    assert other.get(f"{ALL}/prod").json()["id"] != face.get(f"{ALL}/prod").json()["id"]


def test_a_sandbox_of_another_organisation_is_none_by_its_id_too(face: Face) -> None:
    client_id, org_id = face.credentials.client_id, face.credentials.org_id
    token = Tokens(face.settings.keys).issue(Principal(client_id, client_id, "service", frozenset({org_id})), 600)
    service = Face(face.http, replace(face.credentials, access_token=token), face.settings, face.store)
    theirs = second_org(face).get(f"{ALL}/prod").json()["id"]
    for id_ in (theirs, str(uuid.uuid4())):
        headers = {key: value for key, value in service.headers.items() if key != "x-sandbox-name"}
        answer = face.http.get("/data/foundation/flowservice/flows", headers={**headers, "x-sandbox-id": id_})
        assert id_ in refused(answer, 404, "FLOW-2100-404")


def test_a_run_that_came_in_late_is_waited_for(face: Face) -> None:
    """A worker takes a run after the sandbox was seen to be free, and before it is emptied."""
    name = made(face)
    flow, run, _ = filled(face.of(name))
    store, org_id = face.store.sandboxes, face.credentials.org_id
    engine = sa.create_engine(face.metadata)
    with engine.begin() as database:
        database.execute(sa.text("UPDATE runs SET state = 'inProgress' WHERE id = :id"), {"id": run})
    assert not store.finish_reset(org_id, name)
    assert face.of(name).get(f"/flows/{flow}").status_code == 200
    with engine.begin() as database:
        assert database.execute(sa.text("SELECT cancel_requested FROM runs WHERE id = :id"), {"id": run}).scalar()
        database.execute(sa.text("UPDATE runs SET state = 'cancelled' WHERE id = :id"), {"id": run})
    engine.dispose()
    assert store.finish_reset(org_id, name)
    assert face.of(name).get("/flows").json()["items"] == []


def test_headers_are_checked_in_the_gateways_envelope(face: Face) -> None:
    answer = face.http.get(BASE)
    assert (answer.status_code, answer.json()["error_code"]) == (403, "403010")


# -- access control ------------------------------------------------------------------------------------

ACCESS = "/data/foundation/access-control/acl"


def test_permissions_and_what_they_allow(face: Face) -> None:
    found = face.get(f"{ACCESS}/reference").json()
    assert found["permissions"]["manage-datasets"] == {"datasets": ["read", "write", "delete"]}
    assert found["permissions"]["view-sources"] == {"sources": ["read"]}
    assert found["resource-types"]["schemas"] == ["read", "write", "delete"]


def test_what_the_caller_may_do_here(face: Face) -> None:
    asked = [
        "/permissions/manage-datasets",
        "/permissions/view-datasets",
        "/resource-types/schemas",
        "/resource-types/runs",
        "/permissions/unknown",
        "nonsense",
    ]
    everything = ["read", "write", "delete"]
    policies = face.post(f"{ACCESS}/effective-policies", asked).json()["policies"]
    assert policies == dict(zip(asked, [everything, ["read"], everything, ["write"], [], []], strict=True))
    alice = person(face, "dev")
    policies = alice.of("dev").post(f"{ACCESS}/effective-policies", asked).json()["policies"]
    assert policies == dict(zip(asked, [[], ["read"], ["read"], [], [], []], strict=True))
    policies = alice.of("prod").post(f"{ACCESS}/effective-policies", asked).json()["policies"]
    assert set(map(tuple, policies.values())) == {()}


@pytest.mark.parametrize("content", [b"{}", b"[1]", b'"x"', b"[", b""])
def test_policies_that_cannot_be_read(face: Face, content: bytes) -> None:
    answer = face.send("POST", f"{ACCESS}/effective-policies", content, Content_Type="application/json")
    assert answer.status_code == 400, answer.text
