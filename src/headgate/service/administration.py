"""What is done about who is served: organisations, sandboxes, clients and roles.

Whoever may read a data folder's keys may do all of this on the command line, with the service running or not; it is
recorded in the audit log under the name of the machine's user. `service.people` does some of it for callers.
"""

import getpass
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headgate.auth import LOCAL_USER, local_credentials, new_client_id, new_code, new_org_id, new_secret, sha256
from headgate.errors import BadParameter, NotFound
from headgate.model.orgs import BUILT_IN_ROLES, Client, Grant, Org
from headgate.model.permissions import Permission
from headgate.model.runs import Json
from headgate.model.scope import Caller, Tenancy
from headgate.service.local import address, settings_for
from headgate.service.sandboxes import check_new, empty, see_not_default
from headgate.store import Store, Taken, open_store

__all__ = ["CODE_SECONDS", "Administration", "IdTaken", "administering", "sign_in_link"]

CODE_SECONDS = 600
_LONGEST_ID = 64


class IdTaken(BadParameter):
    """There is one of this id or name already."""

    status = 409


@contextmanager
def administering(data: Path | None, org_id: str | None = None) -> Iterator["Administration"]:
    """What may be done about one organisation of a data folder, the local one unless `org_id` names another.

    The folder and the local organisation are made on first use. Raises NotFound, Unavailable.
    """
    settings = settings_for(data)
    store = open_store(settings)
    try:
        local = local_credentials(settings, store).org_id
        if org_id is not None and all(org.id != org_id for org in store.tenants.orgs()):
            raise NotFound(f"No organisation {org_id!r} exists. `headgate orgs list` shows those there are.")
        yield Administration(store, settings.warehouse, org_id or local, _machine_user())
    finally:
        store.close()


def sign_in_link(data: Path | None, user: str = LOCAL_USER, *, org_id: str | None = None) -> str:
    """An address of the console that signs `user` in, once and within CODE_SECONDS.

    It is where clients reach the service, or where it was last started at. Raises NotFound, Unavailable.
    """
    with administering(data, org_id) as administration:
        client = next((one["clientId"] for one in administration.clients() if not one["issuer"]), None)
        if client is None:
            raise NotFound(f"The organisation {administration.org_id!r} has no client of ours. Add one: clients add.")
        code = administration.code_of_person(user, client)
    settings = settings_for(data)
    return f"{(settings.public_url or address(settings)).rstrip('/')}/sign-in?code={code}"


class Administration:
    """All about one organisation. Secrets are given once, when they are made; they are not kept."""

    def __init__(self, store: Store, warehouse: Path, org_id: str, by: str | Caller) -> None:
        self._store, self._tenants = store, store.tenants
        self._warehouse = warehouse
        self._by = by
        self.org_id = org_id

    # -- organisations and sandboxes -----------------------------------------------------------------

    def orgs(self) -> list[Json]:
        """Every organisation: `{"orgId","name"}`."""
        return [{"orgId": org.id, "name": org.name} for org in self._tenants.orgs()]

    def add_org(self, name: str, org_id: str | None, admins: tuple[str, ...]) -> Json:
        """Make an organisation with the sandboxes prod and dev, an admin client and these people as admins.

        `{"orgId","name","clientId","clientSecret"}`. Raises IdTaken, BadParameter.
        """
        org_id = _id(org_id or new_org_id(), "An organisation's id")
        for org in self._tenants.orgs():
            if org.id == org_id:
                raise IdTaken(f"There is an organisation {org_id!r} already.")
            one, other = Tenancy(org_id, shared=True).variables, Tenancy(org.id, shared=True).variables
            if one.startswith(other) or other.startswith(one):  # then one could refer to what is meant for the other
                raise IdTaken(
                    f"{org_id!r} cannot be told from the organisation {org.id!r} in names of environment variables, "
                    f"which begin with {one} and {other}. Choose another id."
                )
        client, secret = Client(new_client_id(), org_id, f"First client of {name}"), new_secret()
        self._tenants.ensure_org(Org(org_id, name), client, sha256(secret), admins=admins, by=self._by)
        return {"orgId": org_id, "name": name, "clientId": client.id, "clientSecret": secret}

    def sandboxes(self) -> list[Json]:
        """Every sandbox: `{"name","title","type","state"}`."""
        found = self._store.sandboxes.all(self.org_id)
        return [{"name": one.name, "title": one.title, "type": one.type, "state": one.state} for one in found]

    def add_sandbox(self, name: str, title: str | None, type_: str) -> None:
        """Make a sandbox. Raises BadSandbox, IdTaken."""
        check_new({"name": name, "title": title or name, "type": type_})
        try:
            self._store.sandboxes.add(self.org_id, name, title or name, type_, by=self._by)
        except Taken as error:
            raise IdTaken(f"There is a sandbox {name!r} already, perhaps a deleted one.") from error

    def rename_sandbox(self, name: str, title: str) -> None:
        """Give a sandbox another title. Raises NotFound."""
        self._store.sandboxes.rename(self.org_id, name, title, by=self._by)

    def reset_sandbox(self, name: str) -> None:
        """Remove all that a sandbox holds. Raises NotFound, SandboxProtected, SandboxBusy."""
        from headgate.targets import Lake  # here, since no other command needs what it loads

        lake = Lake(self._warehouse)
        try:
            empty(self._store.sandboxes, lake, self._store.sandboxes.get(self.org_id, name), by=self._by)
        finally:
            lake.close()

    def delete_sandbox(self, name: str) -> None:
        """Close a sandbox for good; its name stays taken. Raises NotFound, SandboxProtected."""
        see_not_default(self._store.sandboxes.get(self.org_id, name), "deleted")
        self._store.sandboxes.close(self.org_id, name, by=self._by)

    # -- clients -------------------------------------------------------------------------------------

    def clients(self) -> list[Json]:
        """Every client: `{"clientId","name","issuer"}`; the issuer is empty for ours."""
        found = self._tenants.clients(self.org_id)
        return [{"clientId": one.id, "name": one.name, "issuer": one.issuer} for one in found]

    def add_client(self, name: str, client_id: str | None, issuer: str, grant: tuple[str, str | None] | None) -> Json:
        """Make a client, perhaps with a role and its sandbox: `{"clientId","name","clientSecret"}`.

        A client of another issuer has no secret here. Raises IdTaken, BadParameter, NotFound.
        """
        client_id = _id(client_id or new_client_id(), "A client's id", longest=128)
        secret = None if issuer else new_secret()
        if grant is not None:
            self._see(grant[0], grant[1])
        try:
            client = Client(client_id, self.org_id, name, issuer)
            self._tenants.add_client(client, sha256(secret) if secret else None, by=self._by)
        except Taken as error:
            raise IdTaken(f"There is a client {client_id!r} already.") from error
        if grant is not None:
            self._tenants.grant(self.org_id, Grant(client_id, "service", *grant), by=self._by)
        return {"clientId": client_id, "name": name, "clientSecret": secret}

    def rotate(self, client_id: str, overlap: int) -> Json:
        """Give a client a new secret; its last one is good for `overlap` seconds more. Raises NotFound, BadParameter.

        `{"clientId","clientSecret"}`.
        """
        if self._client(client_id).issuer:
            raise BadParameter(f"The client {client_id!r} is another issuer's; its secret is not kept here.")
        secret = new_secret()
        self._tenants.rotate_secret(client_id, sha256(secret), overlap_ms=overlap * 1000, by=self._by)
        return {"clientId": client_id, "clientSecret": secret}

    def remove_client(self, client_id: str, *, keep_admin: bool = False) -> None:
        """Remove a client; its tokens are refused from now on. Raises NotFound; with `keep_admin`, LastAdmin."""
        self._tenants.remove_client(self._client(client_id).id, keep_admin=keep_admin, by=self._by)

    # -- roles ---------------------------------------------------------------------------------------

    def roles(self) -> list[Json]:
        """Every role: `{"role","permissions"}`."""
        found = self._tenants.roles(self.org_id)
        return [{"role": name, "permissions": sorted(permissions)} for name, permissions in found.items()]

    def add_role(self, name: str, permissions: tuple[str, ...]) -> None:
        """Make a role. Raises IdTaken, BadParameter."""
        try:
            chosen = frozenset(Permission(permission) for permission in permissions)
        except ValueError as error:
            raise BadParameter(f"{error}. Permissions: {', '.join(Permission)}.") from error
        try:
            self._tenants.add_role(self.org_id, _id(name, "A role's name"), chosen, by=self._by)
        except Taken as error:
            raise IdTaken(f"There is a role {name!r} already.") from error

    def remove_role(self, name: str) -> None:
        """Remove a role of the organisation's own that nobody has. Raises NotFound, RoleInUse, BadParameter."""
        if name in BUILT_IN_ROLES:
            raise BadParameter(f"The role {name!r} is built in and stays.", parameter="name")
        self._tenants.remove_role(self.org_id, name, by=self._by)

    def grants(self) -> list[Json]:
        """Every grant: `{"principal","kind","role","sandbox"}`; the sandbox is None for the whole organisation."""
        found = self._tenants.grants(self.org_id)
        return [
            {"principal": one.principal, "kind": one.kind, "role": one.role, "sandbox": one.sandbox} for one in found
        ]

    def grant(self, grant: Grant) -> None:
        """Give a role. Raises NotFound for a role, sandbox or client that does not exist."""
        if grant.kind == "service":
            self._client(grant.principal)
        self._tenants.grant(self.org_id, grant, by=self._by)

    def revoke(self, grant: Grant, *, keep_admin: bool = False) -> None:
        """Take a role. Raises NotFound; with `keep_admin`, LastAdmin."""
        self._tenants.revoke(self.org_id, grant, keep_admin=keep_admin, by=self._by)

    def code_of_person(self, user: str, client_id: str) -> str:
        """A code by which `user` gets a token, once and within CODE_SECONDS, through a client. Raises NotFound."""
        return self._code(user, self._client(client_id), CODE_SECONDS)

    def code_of_client(self, client_id: str, days: int) -> str:
        """A code by which a client gets tokens of its own, as often as it likes for `days`. Raises NotFound."""
        client = self._client(client_id)
        return self._code(client.id, client, days * 86_400)

    def _code(self, user: str, client: Client, seconds: int) -> str:
        if client.issuer:
            raise BadParameter(f"The client {client.id!r} is another issuer's; its codes are not made here.")
        code, ends = new_code(), int((time.time() + seconds) * 1000)
        self._tenants.add_code(sha256(code), client, user, expires_at=ends, by=self._by)
        return code

    def _client(self, client_id: str) -> Client:
        client = self._tenants.client(client_id)
        if client is None or client.org_id != self.org_id:
            raise NotFound(f"No client {client_id!r} exists. `headgate clients list` shows those there are.")
        return client

    def _see(self, role: str, sandbox: str | None) -> None:
        if role not in (roles := self._tenants.roles(self.org_id)):
            raise NotFound(f"No role {role!r} exists. There are {', '.join(roles)}.")
        if sandbox is not None:
            self._store.sandboxes.get(self.org_id, sandbox)


def _machine_user() -> str:
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):  # a container may know its user by number only
        return f"cli:{os.getuid()}"


def _id(value: str, what: str, *, longest: int = _LONGEST_ID) -> str:
    if not 1 <= len(value) <= longest or not value.isprintable() or value != value.strip():
        raise BadParameter(f"{what} is {value[:80]!r}; send 1 to {longest} characters without blanks around them.")
    return value
