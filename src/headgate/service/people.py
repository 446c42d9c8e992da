"""Who may do what in the caller's organisation, for those who may manage that.

Nobody gives or takes what they do not have themselves: a role that allows more, the secret of a client or the sign-in
code of a person who may do more. Somebody who may do everything is always left.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from headgate.config import Settings
from headgate.errors import BadParameter, NotFound, ParameterMissing, PermissionDenied
from headgate.model.addresses import HEADGATE
from headgate.model.orgs import BUILT_IN_ROLES, Grant
from headgate.model.permissions import Permission
from headgate.model.runs import Json
from headgate.model.scope import Caller
from headgate.service.administration import CODE_SECONDS, Administration
from headgate.service.bodies import shown, text, texts
from headgate.service.paging import Parameters, counted
from headgate.store import Store

__all__ = ["People"]

_OVERLAP, _LONGEST_OVERLAP = 86_400, 30 * 86_400
_LONGEST = 255


class People:
    """Clients, roles, grants and people of an organisation."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings, self._store, self._tenants = settings, store, store.tenants

    # -- clients -------------------------------------------------------------------------------------

    def clients(self, caller: Caller, parameters: Parameters) -> Json:
        """One page of `{"id","name","issuer","roles":[{"role","sandbox"}]}`, oldest first. Raises InvalidRequest."""
        held = self._held(caller, "service")
        items = [
            {"id": one.id, "name": one.name, "issuer": one.issuer, "roles": held.get(one.id, [])}
            for one in self._tenants.clients(caller.scope.org_id)
        ]
        return counted(items, parameters, f"{HEADGATE}/clients")

    def add_client(self, caller: Caller, body: Mapping[str, Any]) -> Json:
        """Make a client, perhaps with a role: `{"id","name","clientSecret"}`; the secret is given only now.

        `body` has `name`, and perhaps `id`, `issuer`, `role` and that role's `sandbox`. Raises InvalidRequest,
        NotFound, PermissionDenied.
        """
        _known(body, "name", "id", "issuer", "role", "sandbox")
        name, role, sandbox = _required(body, "name"), text(body, "role"), text(body, "sandbox")
        if sandbox and not role:
            raise BadParameter("sandbox says where a role is; name the role by role.", parameter="sandbox")
        if role:
            self._see_own(caller, [Grant("", "service", role, sandbox or None)], f"the role {role!r}")
        made = self._administration(caller).add_client(
            name, text(body, "id") or None, text(body, "issuer") or "", (role, sandbox or None) if role else None
        )
        secret = {"clientSecret": made["clientSecret"]} if made["clientSecret"] else {}
        return {"id": made["clientId"], "name": name, **secret}

    def rotate(self, caller: Caller, client_id: str, body: Mapping[str, Any]) -> Json:
        """Give a client a new secret: `{"id","clientSecret","overlapSeconds"}`; it is given only now.

        The last one stays good for `overlapSeconds`, a day unless the body says otherwise. Raises as `add_client()`.
        """
        _known(body, "overlapSeconds")
        overlap = body.get("overlapSeconds", _OVERLAP)
        if not isinstance(overlap, int) or isinstance(overlap, bool) or not 0 <= overlap <= _LONGEST_OVERLAP:
            raise BadParameter(
                f"overlapSeconds is {shown(overlap)}; send 0 to {_LONGEST_OVERLAP}.", parameter="overlapSeconds"
            )
        self._see_own(caller, self._grants(caller, "service", client_id), f"the client {client_id!r}")
        made = self._administration(caller).rotate(client_id, overlap)
        return {"id": client_id, "clientSecret": made["clientSecret"], "overlapSeconds": overlap}

    def code(self, caller: Caller, client_id: str, body: Mapping[str, Any]) -> Json:
        """A sign-in code for the person `user`, good once and through this client: `{"code","user","expiresIn"}`.

        The person must have a role here, and none that the caller has not; its token is good in this organisation only.
        Raises as `add_client()`.
        """
        _known(body, "user")
        user = _required(body, "user")
        if user == client_id:
            raise BadParameter(f"user is {shown(user)}, which is the client; name a person.", parameter="user")
        held = self._grants(caller, "user", user)
        if not held:  # whoever holds the code's token would have what the person is given later
            raise NotFound(f"Nobody called {shown(user)} has a role in this organisation; give them one first.")
        self._see_own(caller, held, user)
        code = self._administration(caller).code_of_person(user, client_id)
        return {"code": code, "user": user, "expiresIn": CODE_SECONDS}

    def remove_client(self, caller: Caller, client_id: str) -> None:
        """Remove a client; its tokens are refused from now on. Raises NotFound, PermissionDenied, LastAdmin."""
        self._see_own(caller, self._grants(caller, "service", client_id), f"the client {client_id!r}")
        self._administration(caller).remove_client(client_id, keep_admin=True)

    # -- roles ---------------------------------------------------------------------------------------

    def roles(self, caller: Caller, parameters: Parameters) -> Json:
        """One page of `{"id","permissions","builtIn"}`, the built-in ones first. Raises InvalidRequest."""
        items = [
            {"id": name, "permissions": sorted(permissions), "builtIn": name in BUILT_IN_ROLES}
            for name, permissions in self._tenants.roles(caller.scope.org_id).items()
        ]
        return counted(items, parameters, f"{HEADGATE}/roles")

    def add_role(self, caller: Caller, body: Mapping[str, Any]) -> Json:
        """Make a role of the organisation's own from `name` and `permissions`. Raises as `add_client()`."""
        _known(body, "name", "permissions")
        name, permissions = _required(body, "name"), texts(body, "permissions", most=len(Permission))
        if "/" in name:
            raise BadParameter(f"A role's name is {shown(name)}; send one without a slash.", parameter="name")
        if not permissions:
            raise ParameterMissing("permissions is missing or empty.", parameter="permissions")
        if beyond := sorted(set(permissions) & set(Permission) - set(caller.permissions)):
            raise _beyond(caller, f"the permission {beyond[0]}")
        self._administration(caller).add_role(name, tuple(dict.fromkeys(permissions)))
        return {"id": name, "permissions": sorted(set(permissions)), "builtIn": False}

    def remove_role(self, caller: Caller, name: str) -> None:
        """Remove a role that nobody has. Raises NotFound, RoleInUse, PermissionDenied, BadParameter."""
        if name not in BUILT_IN_ROLES:
            self._see_own(caller, [Grant("", "user", name, None)], f"the role {name!r}")
        self._administration(caller).remove_role(name)

    # -- grants and people -----------------------------------------------------------------------------

    def grants(self, caller: Caller, parameters: Parameters) -> Json:
        """One page of `{"id","principal","kind","role","sandbox"}`, oldest first. Raises InvalidRequest.

        `kind` is `user` or `service`, `sandbox` None for the whole organisation.
        """
        items = [_wire(grant) for grant in self._tenants.grants(caller.scope.org_id)]
        return counted(items, parameters, f"{HEADGATE}/grants")

    def people(self, caller: Caller, parameters: Parameters) -> Json:
        """One page of `{"id","roles":[{"role","sandbox"}]}` of those who were granted one here; by id."""
        held = self._held(caller, "user")
        items = [{"id": person, "roles": roles} for person, roles in sorted(held.items())]
        return counted(items, parameters, f"{HEADGATE}/people")

    def grant(self, caller: Caller, body: Mapping[str, Any]) -> Json:
        """Give a `role` to a `principal`, whose `kind` is user unless said otherwise, in a `sandbox` or everywhere.

        Raises as `add_client()`. Again changes nothing.
        """
        _known(body, "principal", "kind", "role", "sandbox")
        kind = text(body, "kind") or "user"
        if kind not in ("user", "service"):
            raise BadParameter(f"kind is {shown(kind)}; send user or service.", parameter="kind")
        wanted = Grant(
            _required(body, "principal"),
            "service" if kind == "service" else "user",
            _required(body, "role"),
            text(body, "sandbox") or None,
        )
        self._see_own(caller, [wanted], f"the role {wanted.role!r}")
        self._administration(caller).grant(wanted)
        return _wire(next(one for one in self._tenants.grants(caller.scope.org_id) if one == wanted))

    def revoke(self, caller: Caller, id_: str) -> None:
        """Take a grant back, at once. Raises NotFound, PermissionDenied, LastAdmin."""
        found = next((one for one in self._tenants.grants(caller.scope.org_id) if one.id == id_), None)
        if found is None:
            raise NotFound(f"No grant {shown(id_)} exists in this organisation.", id=id_[:80])
        self._see_own(caller, [found], f"the role {found.role!r}")
        self._administration(caller).revoke(found, keep_admin=True)

    # -- inside ----------------------------------------------------------------------------------------

    def _administration(self, caller: Caller) -> Administration:
        return Administration(self._store, self._settings.warehouse, caller.scope.org_id, caller)

    def _held(self, caller: Caller, kind: str) -> dict[str, list[Json]]:
        held: dict[str, list[Json]] = {}
        for grant in self._tenants.grants(caller.scope.org_id):
            if grant.kind == kind:
                held.setdefault(grant.principal, []).append({"role": grant.role, "sandbox": grant.sandbox})
        return held

    def _grants(self, caller: Caller, kind: str, principal: str) -> list[Grant]:
        found = self._tenants.grants(caller.scope.org_id)
        return [one for one in found if (one.kind, one.principal) == (kind, principal)]

    def _see_own(self, caller: Caller, grants: Iterable[Grant], what: str) -> None:
        """Raise PermissionDenied unless the caller may do all that the grants allow, where they hold."""
        standing = self._tenants.standing(caller.principal, caller.scope.org_id)
        if not all(standing.allows(grant) for grant in grants if grant.role in standing.roles):
            raise _beyond(caller, what)


def _beyond(caller: Caller, what: str) -> PermissionDenied:
    return PermissionDenied(
        f"{what[0].upper()}{what[1:]} allows more than {caller.principal.user_id} may do. Nobody gives or takes "
        "what they do not have; ask somebody who does.",
        permission=Permission.MANAGE_ACCESS.value,
    )


def _known(body: Mapping[str, Any], *names: str) -> None:
    for name in body:
        if name not in names:
            raise BadParameter(
                f"The member {shown(name)} is not known here. Known: {', '.join(names)}.", parameter=name[:40]
            )


def _required(body: Mapping[str, Any], name: str) -> str:
    value = text(body, name)
    if not value or not value.strip():
        raise ParameterMissing(f"{name} is missing or empty.", parameter=name)
    if len(value) > _LONGEST or not value.isprintable() or value != value.strip():
        raise BadParameter(
            f"{name} is {shown(value)}; send 1 to {_LONGEST} characters without blanks around them.", parameter=name
        )
    return value


def _wire(grant: Grant) -> Json:
    return {
        "id": grant.id,
        "principal": grant.principal,
        "kind": grant.kind,
        "role": grant.role,
        "sandbox": grant.sandbox,
    }
