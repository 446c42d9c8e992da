"""The administration of an organisation whose service runs elsewhere: the same as on its own machine, over HTTP."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from headgate.cli.calling import Call
from headgate.errors import InvalidRequest
from headgate.model.addresses import HEADGATE
from headgate.model.runs import Json

if TYPE_CHECKING:
    from headgate.client import Client
    from headgate.model.orgs import Grant

__all__ = ["administering"]


@contextmanager
def administering(data: Path | None, org: str | None = None) -> Iterator[Any]:
    """What may be done about an organisation: of a data folder, or of a service elsewhere when one is named."""
    call = Call.of(data)
    if not call.is_elsewhere:
        from headgate.service.administration import administering as here

        with here(data, org) as administration:
            yield administration
        return
    if org is not None and org != call.credentials()["orgId"]:
        raise click.UsageError("--org names another organisation than the one that the credentials are of.")
    with call.client() as client:
        yield _Elsewhere(client)


class _Elsewhere:
    """As `headgate.service.administration.Administration`, with the rights of who calls."""

    def __init__(self, client: "Client") -> None:
        self._client = client

    def orgs(self) -> list[Json]:
        """The organisations that the caller may act in."""
        found: list[Json] = self._client.request("GET", f"{HEADGATE}/organisations")["items"]
        return found

    def add_org(self, *_given: object) -> Json:
        """Organisations are made at the service's own machine."""
        raise InvalidRequest("An organisation is made on the machine of the service: leave HEADGATE_URL out there.")

    def sandboxes(self) -> list[Json]:
        """The sandboxes in which the caller has a role."""
        names = ("name", "title", "type", "state")
        return [{name: found[name] for name in names} for found in map(dict, self._client.sandboxes.list())]

    def add_sandbox(self, name: str, title: str | None, type_: str) -> None:
        """Make a sandbox."""
        self._client.sandboxes.create(name, title=title or name, type=type_)

    def rename_sandbox(self, name: str, title: str) -> None:
        """Give a sandbox another title."""
        self._client.sandboxes.update(name, title=title)

    def reset_sandbox(self, name: str) -> None:
        """Remove all that a sandbox holds."""
        self._client.sandboxes.reset(name)

    def delete_sandbox(self, name: str) -> None:
        """Close a sandbox for good."""
        self._client.sandboxes.delete(name)

    def clients(self) -> list[Json]:
        """Every client."""
        found = self._client.clients.list()
        return [{"clientId": one["id"], "name": one["name"], "issuer": one["issuer"]} for one in found]

    def add_client(self, name: str, client_id: str | None, issuer: str, grant: tuple[str, str | None] | None) -> Json:
        """Make a client, perhaps with a role."""
        role, sandbox = grant or (None, None)
        made = self._client.clients.create(name, id=client_id, issuer=issuer or None, role=role, sandbox=sandbox)
        return {"clientId": made["id"], "name": made["name"], "clientSecret": made.get("clientSecret")}

    def rotate(self, client_id: str, overlap: int) -> Json:
        """Give a client a new secret."""
        made = self._client.clients.rotate(client_id, overlap=overlap)
        return {"clientId": made["id"], "clientSecret": made["clientSecret"]}

    def remove_client(self, client_id: str) -> None:
        """Remove a client."""
        self._client.clients.delete(client_id)

    def code_of_person(self, user: str, client_id: str) -> str:
        """A code by which a person signs in, once."""
        return self._client.clients.code(client_id, user=user)["code"]

    def code_of_client(self, client_id: str, _days: int) -> str:
        """Codes of clients are made at the service's own machine."""
        raise InvalidRequest(f"A code for {client_id} is made on the machine of the service; a secret serves as well.")

    def roles(self) -> list[Json]:
        """Every role."""
        return [{"role": one["id"], "permissions": one["permissions"]} for one in self._client.roles.list()]

    def add_role(self, name: str, permissions: tuple[str, ...]) -> None:
        """Make a role."""
        self._client.roles.create(name, permissions)

    def remove_role(self, name: str) -> None:
        """Remove a role of the organisation's own that nobody has."""
        self._client.roles.delete(name)

    def grants(self) -> list[Json]:
        """Every grant."""
        names = ("principal", "kind", "role", "sandbox")
        return [{name: found.get(name) for name in names} for found in map(dict, self._client.grants.list())]

    def grant(self, grant: "Grant") -> None:
        """Give a role."""
        self._client.grants.create(grant.principal, grant.role, kind=grant.kind, sandbox=grant.sandbox)

    def revoke(self, grant: "Grant") -> None:
        """Take a role."""
        asked = (grant.principal, grant.kind, grant.role, grant.sandbox)
        for one in self._client.grants.list():
            if (one["principal"], one["kind"], one["role"], one.get("sandbox")) == asked:
                self._client.grants.delete(one["id"])
                return
        raise InvalidRequest(
            f"{grant.principal} has no role {grant.role} in {grant.sandbox or 'the whole organisation'}."
        )
