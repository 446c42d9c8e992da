"""Clients, roles, grants and people over HTTP: what is made, who may, and what nobody may."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from headgate.auth import Tokens
from headgate.model.orgs import Grant
from headgate.model.permissions import Permission
from headgate.model.scope import Principal
from headgate.store import AuditFilter
from tests.integration.face import Face, refused, second_org
from tests.integration.test_roles import may, person

MANAGER, ALICE = "manager@example.com", "alice@example.com"
AT = "/headgate"


@pytest.fixture(autouse=True)
def nobody_has_a_role(face: Face) -> Iterator[None]:
    yield
    org_id, tenants = face.credentials.org_id, face.store.tenants
    for grant in tenants.grants(org_id):
        if grant.principal in (ALICE, MANAGER):
            tenants.revoke(org_id, grant)


@pytest.fixture
def manager(face: Face) -> Face:
    """Somebody who looks after access and may see sources, and no more."""
    org_id, tenants = face.credentials.org_id, face.store.tenants
    if "manager" not in tenants.roles(org_id):
        allowed = {Permission.MANAGE_ACCESS, *tenants.roles(org_id)["viewer"]}
        tenants.add_role(org_id, "manager", frozenset(allowed))
    may(face, "manager", user=MANAGER)
    return person(face, MANAGER)


def made(face: Face, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = face.post(AT + path, body)
    assert answer.status_code in (200, 201), answer.text
    found: dict[str, Any] = answer.json()
    return found


def audited(face: Face, answer: Any) -> tuple[str, str, str]:
    request_id = answer.headers["x-request-id"]
    [entry] = [each for each in face.store.audit.newest(AuditFilter(), 20) if each.request_id == request_id]
    assert (entry.principal, entry.sandbox) == ("local@headgate", "")
    return entry.action, entry.kind, entry.resource_id


def token(face: Face, **fields: str) -> Any:
    return face.http.post("/ims/token/v3", data=fields)


def test_a_client_from_its_making_to_its_end(face: Face) -> None:
    answer = face.post(f"{AT}/clients", {"name": "nightly", "role": "operator", "sandbox": "prod"})
    client = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"{AT}/clients/{client['id']}"
    asked = {"grant_type": "client_credentials", "client_id": client["id"]}
    assert token(face, **asked, client_secret=client["clientSecret"]).status_code == 200
    listed = next(one for one in face.get(f"{AT}/clients").json()["items"] if one["id"] == client["id"])
    assert listed == {
        "id": client["id"],
        "name": "nightly",
        "issuer": "",
        "roles": [{"role": "operator", "sandbox": "prod"}],
    }
    rotated = face.post(f"{AT}/clients/{client['id']}/rotate", {"overlapSeconds": 0})
    assert audited(face, rotated) == ("rotate", "clients", client["id"])
    assert token(face, **asked, client_secret=client["clientSecret"]).status_code == 401
    assert token(face, **asked, client_secret=rotated.json()["clientSecret"]).status_code == 200
    gone = face.delete(f"{AT}/clients/{client['id']}")
    assert gone.status_code == 204
    assert audited(face, gone) == ("delete", "clients", client["id"])
    assert token(face, **asked, client_secret=rotated.json()["clientSecret"]).status_code == 401
    refused(face.delete(f"{AT}/clients/{client['id']}"), 404, "FLOW-1439-404")
    assert client["clientSecret"] not in str(face.store.audit.newest(AuditFilter(), 50))


def test_a_sign_in_code_for_a_person(face: Face) -> None:
    may(face, "viewer", user=ALICE)
    client = made(face, "/clients", {"name": "web"})
    answer = face.post(f"{AT}/clients/{client['id']}/code", {"user": ALICE})
    assert audited(face, answer) == ("create", "codes", ALICE)
    given = {"grant_type": "authorization_code", "client_id": client["id"], "client_secret": client["clientSecret"]}
    assert token(face, **given, code=answer.json()["code"]).status_code == 200
    assert token(face, **given, code=answer.json()["code"]).status_code == 400
    refused(face.post(f"{AT}/clients/{client['id']}/code", {"user": client["id"]}), 400, "CONNECTOR-1312-400")
    refused(face.post(f"{AT}/clients/none/code", {"user": ALICE}), 404, "FLOW-1439-404")
    refused(face.post(f"{AT}/clients/{client['id']}/code", {"user": "nobody@example.com"}), 404, "FLOW-1439-404")


def test_a_role_and_who_has_it(face: Face) -> None:
    answer = face.post(f"{AT}/roles", {"name": "looker", "permissions": ["view-datasets"]})
    assert audited(face, answer) == ("create", "roles", "looker")
    assert answer.json() == {"id": "looker", "permissions": ["view-datasets"], "builtIn": False}
    refused(face.post(f"{AT}/roles", {"name": "looker", "permissions": ["view-datasets"]}), 409, "CONNECTOR-1312-400")
    granted = face.post(f"{AT}/grants", {"principal": ALICE, "role": "looker", "sandbox": "dev"})
    assert audited(face, granted) == ("grant", "grants", f"{ALICE} looker")
    again = made(face, "/grants", {"principal": ALICE, "role": "looker", "sandbox": "dev"})
    assert again == granted.json()
    assert again in face.get(f"{AT}/grants").json()["items"]
    people = {one["id"]: one["roles"] for one in face.get(f"{AT}/people").json()["items"]}
    assert people[ALICE] == [{"role": "looker", "sandbox": "dev"}]
    assert person(face, ALICE).of("dev").get("/data/foundation/catalog/dataSets").status_code == 200
    assert "alice" in refused(face.delete(f"{AT}/roles/looker"), 409, "FLOW-EXT-ACCESS-409")
    taken = face.delete(f"{AT}/grants/{again['id']}")
    assert audited(face, taken) == ("revoke", "grants", f"{ALICE} looker")
    assert person(face, ALICE).of("dev").get("/data/foundation/catalog/dataSets").status_code == 403
    refused(face.delete(f"{AT}/grants/{again['id']}"), 404, "FLOW-1439-404")
    gone = face.delete(f"{AT}/roles/looker")
    assert audited(face, gone) == ("delete", "roles", "looker")
    refused(face.delete(f"{AT}/roles/looker"), 404, "FLOW-1439-404")
    refused(face.delete(f"{AT}/roles/viewer"), 400, "CONNECTOR-1312-400")


def test_lists_have_pages(face: Face) -> None:
    first = face.get(f"{AT}/roles", limit=3).json()
    second = face.http.get(first["_links"]["next"]["href"], headers=face.headers).json()
    assert [one["id"] for one in first["items"]] == ["admin", "developer", "operator"]
    assert second["items"][0]["id"] == "viewer"
    assert face.get(f"{AT}/roles", limit=0).status_code == 400
    assert face.get(f"{AT}/roles", continuationToken="x").status_code == 400
    assert face.get(f"{AT}/roles", order="x").status_code == 400


def test_nobody_gives_more_than_they_have(face: Face, manager: Face) -> None:
    for role in ("admin", "developer", "operator"):
        refused(manager.post(f"{AT}/grants", {"principal": MANAGER, "role": role}), 403, "FLOW-2121-403")
        refused(
            manager.post(f"{AT}/grants", {"principal": ALICE, "role": role, "sandbox": "dev"}), 403, "FLOW-2121-403"
        )
        refused(manager.post(f"{AT}/clients", {"name": "x", "role": role}), 403, "FLOW-2121-403")
    refused(manager.post(f"{AT}/roles", {"name": "x", "permissions": ["run-on-demand"]}), 403, "FLOW-2121-403")
    assert "x" not in [one["name"] for one in manager.get(f"{AT}/clients").json()["items"]]
    assert made(manager, "/grants", {"principal": ALICE, "role": "viewer"})["role"] == "viewer"
    may(face, "operator", "dev", user=MANAGER)  # what they have in one sandbox they may give there and nowhere else
    made(manager, "/grants", {"principal": ALICE, "role": "operator", "sandbox": "dev"})
    refused(manager.post(f"{AT}/grants", {"principal": ALICE, "role": "operator"}), 403, "FLOW-2121-403")


def test_nobody_becomes_or_removes_who_may_more(face: Face, manager: Face) -> None:
    own = face.credentials.client_id
    refused(manager.post(f"{AT}/clients/{own}/rotate", {}), 403, "FLOW-2121-403")
    refused(manager.post(f"{AT}/clients/{own}/code", {"user": "local@headgate"}), 403, "FLOW-2121-403")
    refused(manager.delete(f"{AT}/clients/{own}"), 403, "FLOW-2121-403")
    for grant in manager.get(f"{AT}/grants").json()["items"]:
        if grant["role"] == "admin":
            refused(manager.delete(f"{AT}/grants/{grant['id']}"), 403, "FLOW-2121-403")
    made(face, "/roles", {"name": "runner", "permissions": ["run-on-demand"]})
    refused(manager.delete(f"{AT}/roles/runner"), 403, "FLOW-2121-403")
    assert face.delete(f"{AT}/roles/runner").status_code == 204
    client = made(manager, "/clients", {"name": "harmless", "role": "viewer"})
    assert manager.post(f"{AT}/clients/{client['id']}/rotate", {}).status_code == 200
    assert manager.delete(f"{AT}/clients/{client['id']}").status_code == 204


def test_the_last_admin_stays(face: Face) -> None:
    other = second_org(face)
    org_id = other.credentials.org_id
    grants = {one["principal"]: one["id"] for one in other.get(f"{AT}/grants").json()["items"]}
    assert set(grants) == {"hg_second", "second@headgate"}
    extra = made(other, "/grants", {"principal": ALICE, "role": "viewer"})
    assert other.delete(f"{AT}/grants/{grants['second@headgate']}").status_code == 204
    service = Principal("hg_second", "hg_second", "service", frozenset({org_id}))
    last = replace(other.credentials, access_token=Tokens(face.settings.keys).issue(service, 600))
    last_face = Face(face.http, last, face.settings, face.store)
    sentence = refused(last_face.delete(f"{AT}/grants/{grants['hg_second']}"), 409, "FLOW-EXT-ACCESS-409")
    assert "Nobody would be left" in sentence
    refused(last_face.delete(f"{AT}/clients/hg_second"), 409, "FLOW-EXT-ACCESS-409")
    assert last_face.delete(f"{AT}/grants/{extra['id']}").status_code == 204
    assert Grant("hg_second", "service", "admin", None) in face.store.tenants.grants(org_id)
    face.store.tenants.grant(org_id, Grant("second@headgate", "user", "admin", None))


def test_nothing_of_another_organisation(face: Face) -> None:
    other = second_org(face)
    foreign = other.get(f"{AT}/grants").json()["items"][0]
    refused(face.delete(f"{AT}/grants/{foreign['id']}"), 404, "FLOW-1439-404")
    refused(face.post(f"{AT}/clients/hg_second/rotate", {}), 404, "FLOW-1439-404")
    refused(face.post(f"{AT}/clients/hg_second/code", {"user": ALICE}), 404, "FLOW-1439-404")
    refused(face.delete(f"{AT}/clients/hg_second"), 404, "FLOW-1439-404")
    assert "hg_second" not in face.get(f"{AT}/clients").text


def test_a_role_in_one_sandbox_does_not_do(face: Face) -> None:
    may(face, "admin", "prod", user=ALICE)
    refused(person(face, ALICE).get(f"{AT}/people"), 403, "FLOW-2121-403")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/clients", {}),
        ("/clients", {"name": "x", "nickname": "y"}),
        ("/clients", {"name": "x", "sandbox": "dev"}),
        ("/clients", {"name": " x"}),
        ("/roles", {"name": "x"}),
        ("/roles", {"name": "x", "permissions": ["fly"]}),
        ("/roles", {"name": "a/b", "permissions": ["view-datasets"]}),
        ("/grants", {"principal": ALICE}),
        ("/grants", {"principal": "a\nb", "role": "viewer"}),
        ("/grants", {"principal": ALICE, "role": "viewer", "kind": "god"}),
        ("/clients/x/rotate", {"overlapSeconds": -1}),
    ],
)
def test_what_cannot_be_read(face: Face, path: str, body: dict[str, Any]) -> None:
    answer = face.post(AT + path, body)
    assert answer.status_code == 400, answer.text


def test_what_does_not_exist(face: Face) -> None:
    assert face.post(f"{AT}/grants", {"principal": ALICE, "role": "king"}).status_code == 404
    assert face.post(f"{AT}/grants", {"principal": ALICE, "role": "viewer", "sandbox": "moon"}).status_code == 404
    assert face.post(f"{AT}/grants", {"principal": "hg_no", "role": "viewer", "kind": "service"}).status_code == 404
