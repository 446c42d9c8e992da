"""Who may do what: roles in sandboxes and organisations, on every route."""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from fastapi.routing import APIRoute

from headgate.api.app import _ROUTERS
from headgate.auth import Tokens
from headgate.errors import NotFound
from headgate.model.orgs import BUILT_IN_ROLES, Client, Grant
from headgate.model.permissions import Permission
from headgate.model.scope import Principal
from headgate.store import Taken
from tests.integration.face import NOBODY, Face, refused

ALICE = "alice@example.com"


def person(face: Face, user: str = ALICE) -> Face:
    """The same client in the hands of somebody else."""
    credentials = face.credentials
    principal = Principal(user, credentials.client_id, "user", frozenset({credentials.org_id}))
    token = Tokens(face.settings.keys).issue(principal, 600)
    return Face(face.http, replace(credentials, access_token=token), face.settings, face.store)


def may(face: Face, role: str, sandbox: str | None = None, user: str = ALICE) -> Grant:
    grant = Grant(user, "user", role, sandbox)
    face.store.tenants.grant(face.credentials.org_id, grant)
    return grant


@pytest.fixture(autouse=True)
def nobody_has_a_role(face: Face) -> Iterator[None]:
    yield
    org_id = face.credentials.org_id
    for grant in face.store.tenants.grants(org_id):
        if grant.principal == ALICE:
            face.store.tenants.revoke(org_id, grant)


def audited(face: Face, action: str) -> list[dict[str, Any]]:
    engine = sa.create_engine(face.metadata)
    with engine.connect() as database:
        chosen = sa.text("SELECT * FROM audit WHERE action = :action ORDER BY seq")
        rows = [dict(row) for row in database.execute(chosen, {"action": action}).mappings()]
    engine.dispose()
    return rows


def test_without_a_role_nothing_is_allowed_and_that_is_recorded(face: Face) -> None:
    answer = person(face).get("/connections")
    sentence = refused(answer, 403, "FLOW-2121-403")
    assert "view-sources" in sentence
    assert ALICE in sentence
    row = audited(face, "denied")[-1]
    assert (row["principal"], row["client"], row["kind"]) == (ALICE, face.credentials.client_id, "view-sources")
    assert row["request_id"] == answer.headers["x-request-id"]
    assert row["resource_id"] == "GET /data/foundation/flowservice/connections"


def test_who_may_only_read_cannot_write(face: Face) -> None:
    may(face, "viewer")
    alice, connection = person(face), face.connection()
    assert alice.get(f"/connections/{connection}").status_code == 200
    refused(alice.post("/connections", {"name": "x"}), 403, "FLOW-2121-403")
    refused(alice.delete(f"/connections/{connection}"), 403, "FLOW-2121-403")
    refused(alice.post("/runs", {"flowId": NOBODY}), 403, "FLOW-2121-403")


def test_what_cannot_be_read_is_refused_before_its_body(face: Face) -> None:
    refused(person(face).send("POST", "/connections", b"{", Content_Type="text/plain"), 403, "FLOW-2121-403")


def test_an_operator_runs_what_a_developer_made(face: Face) -> None:
    may(face, "operator")
    alice, flow = person(face), face.flow()
    assert alice.run(flow, deltaColumn={"name": "updated_at"}).status_code == 201
    refused(alice.post("/flows", face.flow_body()), 403, "FLOW-2121-403")


def test_a_role_in_one_sandbox_is_none_in_another(face: Face) -> None:
    may(face, "developer", "dev")
    alice = person(face)
    assert alice.of("dev").get("/flows").status_code == 200
    assert alice.of("dev").post("/connections", {}).status_code == 400
    refused(alice.of("prod").get("/flows"), 403, "FLOW-2121-403")


def test_roles_add_up(face: Face) -> None:
    may(face, "viewer")
    may(face, "operator", "dev")
    alice = person(face)
    refused(alice.of("prod").post("/runs", {}), 403, "FLOW-2121-403")
    assert alice.of("dev").post("/runs", {}).status_code == 400
    assert alice.of("dev").get("/flows").status_code == 200


def test_a_role_that_is_taken_is_gone_at_once(face: Face) -> None:
    grant = may(face, "viewer")
    alice = person(face)
    for _ in range(3):
        assert alice.get("/flows").status_code == 200
    face.store.tenants.revoke(face.credentials.org_id, grant)
    refused(alice.get("/flows"), 403, "FLOW-2121-403")


def test_a_client_that_is_removed_is_refused_at_once(face: Face) -> None:
    org_id = face.credentials.org_id
    tenants = face.store.tenants
    tenants.add_client(Client("hg_short_lived", org_id, "short"), "0" * 64)
    tenants.grant(org_id, Grant("hg_short_lived", "service", "viewer", None))
    token = Tokens(face.settings.keys).issue(
        Principal("hg_short_lived", "hg_short_lived", "service", frozenset({org_id})), 600
    )
    credentials = replace(face.credentials, api_key="hg_short_lived", access_token=token)
    service = Face(face.http, credentials, face.settings, face.store)
    assert service.get("/flows").status_code == 200
    tenants.remove_client("hg_short_lived")
    answer = service.get("/flows")
    assert (answer.status_code, answer.json()["error_code"]) == (403, "403003")
    assert "hg_short_lived" not in {grant.principal for grant in tenants.grants(org_id)}


def test_a_role_of_a_client_is_not_one_of_the_people_who_use_it(face: Face) -> None:
    refused(person(face, "somebody@example.com").get("/flows"), 403, "FLOW-2121-403")


def test_a_person_named_like_a_client_has_not_its_role(face: Face) -> None:
    refused(person(face, face.credentials.client_id).get("/flows"), 403, "FLOW-2121-403")


def test_a_role_of_ones_own(face: Face) -> None:
    org_id, tenants = face.credentials.org_id, face.store.tenants
    tenants.add_role(org_id, "looker", frozenset({Permission.VIEW_DATASETS}))
    may(face, "looker")
    alice = person(face)
    assert alice.get("/data/foundation/catalog/dataSets").status_code == 200
    refused(alice.get("/flows"), 403, "FLOW-2121-403")
    with pytest.raises(Taken):
        tenants.add_role(org_id, "looker", frozenset())
    with pytest.raises(Taken):
        tenants.add_role(org_id, "admin", frozenset())


def test_a_grant_must_name_what_exists(face: Face) -> None:
    with pytest.raises(NotFound, match="'king'"):
        may(face, "king")
    with pytest.raises(NotFound, match="'moon'"):
        may(face, "viewer", "moon")
    with pytest.raises(NotFound, match="does not have the role"):
        face.store.tenants.revoke(face.credentials.org_id, Grant(ALICE, "user", "viewer", "dev"))


def test_granting_twice_is_granting_once(face: Face) -> None:
    grant = may(face, "viewer", "dev")
    may(face, "viewer", "dev")
    assert face.store.tenants.grants(face.credentials.org_id).count(grant) == 1


def test_grants_are_recorded(face: Face) -> None:
    grant = may(face, "viewer")
    face.store.tenants.revoke(face.credentials.org_id, grant)
    for action in ("grant", "revoke"):
        assert audited(face, action)[-1]["resource_id"] == f"{ALICE} viewer"


def test_built_in_roles_hold_one_another() -> None:
    order = [BUILT_IN_ROLES[name] for name in ("viewer", "operator", "developer", "admin")]
    assert all(less < more for less, more in itertools.pairwise(order))
    assert order[-1] == frozenset(Permission)


# -- every route, with and without the permission it declares -----------------------------------------


def routes() -> list[tuple[str, str, Permission]]:
    """Method, address and permission of every route that declares one."""
    found = []
    for prefix, routers in _ROUTERS.items():
        for route in (route for router in routers for route in router.routes):
            assert isinstance(route, APIRoute)
            needed = [getattr(each.dependency, "permission", None) for each in route.dependencies]
            path = "/".join(NOBODY if part.startswith("{") else part for part in (prefix + route.path).split("/"))
            found += [(method, path, need) for need in needed if need for method in sorted(route.methods or ())]
    return found


ROUTES = routes()


def test_the_routes_are_found() -> None:
    assert len(ROUTES) > 20
    assert {permission for _, _, permission in ROUTES} <= set(Permission)


def denied(answer: httpx.Response) -> bool:
    told = answer.request.method == "HEAD" or "The permission '" in answer.text
    return answer.status_code == 403 and told


@pytest.mark.parametrize(("method", "path", "permission"), ROUTES, ids=[f"{way} {path}" for way, path, _ in ROUTES])
def test_every_route_asks_for_its_permission(face: Face, method: str, path: str, permission: Permission) -> None:
    name = f"all but {permission.value}"
    org_id, tenants = face.credentials.org_id, face.store.tenants
    if name not in tenants.roles(org_id):
        tenants.add_role(org_id, name, frozenset(Permission) - {permission})
        tenants.add_role(org_id, f"only {permission.value}", frozenset({permission}))
    alice = person(face)
    grant = may(face, name)
    assert denied(alice.send(method, path, b"{}" if method in ("POST", "PUT", "PATCH") else None))
    tenants.revoke(org_id, grant)
    may(face, f"only {permission.value}")
    assert not denied(alice.send(method, path, b"{}" if method in ("POST", "PUT", "PATCH") else None))
