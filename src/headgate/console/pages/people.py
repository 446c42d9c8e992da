"""People, keys and roles: who may do what in the organisation."""

from collections.abc import Callable
from typing import Any

from starlette.responses import Response

from headgate.console.page import Pages, Visit
from headgate.errors import HeadgateError, InvalidRequest, NotFound, PermissionDenied
from headgate.model.permissions import Permission
from headgate.model.runs import Json

__all__ = ["pages"]

pages = Pages()
_MANAGE = Permission.MANAGE_ACCESS
_ALL = [("limit", "1000")]
_REFUSALS = (InvalidRequest, NotFound, PermissionDenied)


@pages.get("/people", needs=_MANAGE, in_org=True)
def people(visit: Visit) -> Response:
    """Who has which role where, the clients and the roles."""
    return _shown(visit)


@pages.post("/people/grants", needs=_MANAGE, in_org=True)
def grant(visit: Visit) -> Response:
    """Give somebody a role."""
    body = {name: visit.form.get(name, "") for name in ("principal", "kind", "role", "sandbox")}
    try:
        visit.service.people.grant(visit.caller, body)
    except _REFUSALS as error:
        return _shown(visit, failed="grant", error=error)
    where = f"the sandbox {body['sandbox']}" if body["sandbox"] else "the whole organisation"
    return visit.go("/people", said=f"{body['principal']} has the role {body['role']} in {where}.")


@pages.post("/people/grants/{id}/revoke", needs=_MANAGE, in_org=True)
def revoke(visit: Visit) -> Response:
    """Take a role back."""
    return _done(visit, "The role is taken.", visit.service.people.revoke, visit.of("id"))


@pages.post("/people/clients", needs=_MANAGE, in_org=True)
def add_client(visit: Visit) -> Response:
    """Make a client, and show its secret this once."""
    body = {name: value for name in ("name", "id", "issuer", "role", "sandbox") if (value := visit.form.get(name))}
    try:
        made = visit.service.people.add_client(visit.caller, body)
    except _REFUSALS as error:
        return _shown(visit, failed="client", error=error)
    return _shown(visit, secret=made)


@pages.post("/people/clients/{id:path}/rotate", needs=_MANAGE, in_org=True)
def rotate(visit: Visit) -> Response:
    """Give a client a new secret, and show it this once."""
    try:
        made = visit.service.people.rotate(visit.caller, visit.of("id"), {})
    except _REFUSALS as error:
        return visit.go("/people", said=error.detail, tone="bad")
    return _shown(visit, secret=made)


@pages.post("/people/clients/{id:path}/remove", needs=_MANAGE, in_org=True)
def remove_client(visit: Visit) -> Response:
    """Remove a client."""
    return _done(visit, "The client is removed.", visit.service.people.remove_client, visit.of("id"))


@pages.post("/people/codes", needs=_MANAGE, in_org=True)
def sign_in_code(visit: Visit) -> Response:
    """Make a sign-in code for a person, and show it this once."""
    client = visit.form.get("client", "")
    try:
        made = visit.service.people.code(visit.caller, client, {"user": visit.form.get("user", "")})
    except _REFUSALS as error:
        return _shown(visit, failed="code", error=error)
    return _shown(visit, secret=made)


@pages.post("/people/roles", needs=_MANAGE, in_org=True)
def add_role(visit: Visit) -> Response:
    """Make a role."""
    chosen = [value for name, value in visit.fields if name == "permission"]
    try:
        visit.service.people.add_role(visit.caller, {"name": visit.form.get("name", ""), "permissions": chosen})
    except _REFUSALS as error:
        return _shown(visit, failed="role", error=error, chosen=chosen)
    return visit.go("/people", said=f"The role {visit.form['name']} can be given.")


@pages.post("/people/roles/{id:path}/remove", needs=_MANAGE, in_org=True)
def remove_role(visit: Visit) -> Response:
    """Remove a role that nobody has."""
    return _done(visit, "The role is removed.", visit.service.people.remove_role, visit.of("id"))


def _done(visit: Visit, said: str, act: Callable[..., None], id_: str) -> Response:
    try:
        act(visit.caller, id_)
    except _REFUSALS as error:
        return visit.go("/people", said=error.detail, tone="bad")
    return visit.go("/people", said=said)


def _shown(
    visit: Visit,
    *,
    failed: str = "",
    error: HeadgateError | None = None,
    secret: Json | None = None,
    chosen: list[Any] | None = None,
) -> Response:
    service, caller = visit.service.people, visit.caller
    roles = service.roles(caller, _ALL)["items"]
    return visit.page(
        "people/people.html",
        status=error.status if error else 200,
        grants=service.grants(caller, _ALL)["items"],
        clients=service.clients(caller, _ALL)["items"],
        roles=roles,
        role_names=[one["id"] for one in roles],
        places=[("", "the whole organisation"), *((one["name"], one["title"]) for one in visit.sandboxes)],
        permissions=sorted(permission.value for permission in caller.permissions),
        failed=failed,
        error=error,
        secret=secret,
        form=visit.form if failed else {},
        chosen=chosen or [],
    )
