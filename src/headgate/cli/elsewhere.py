"""The administration of an organisation whose service runs elsewhere: the same as on its own machine, over HTTP."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click

from headgate.cli.calling import Call
from headgate.cli.kinds import LINKED
from headgate.errors import InvalidRequest
from headgate.model.addresses import HEADGATE, SANDBOXES
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
        found = self._client.request("GET", f"{SANDBOXES}/sandboxes", limit=200)["sandboxes"]
        return [{name: one[name] for name in ("name", "title", "type", "state")} for one in found]

    def add_sandbox(self, name: str, title: str | None, type_: str) -> None:
        """Make a sandbox."""
        body = {"name": name, "title": title or name, "type": type_}
        self._client.request("POST", f"{SANDBOXES}/sandboxes", body=body)

    def rename_sandbox(self, name: str, title: str) -> None:
        """Give a sandbox another title."""
        self._client.request("PATCH", _one(f"{SANDBOXES}/sandboxes", name), body={"title": title})

    def reset_sandbox(self, name: str) -> None:
        """Remove all that a sandbox holds."""
        self._client.request("PUT", _one(f"{SANDBOXES}/sandboxes", name), body={"action": "reset"})

    def delete_sandbox(self, name: str) -> None:
        """Close a sandbox for good."""
        self._client.request("DELETE", _one(f"{SANDBOXES}/sandboxes", name))

    def clients(self) -> list[Json]:
        """Every client."""
        return [
            {"clientId": one["id"], "name": one["name"], "issuer": one["issuer"]} for one in self._listed("clients")
        ]

    def add_client(self, name: str, client_id: str | None, issuer: str, grant: tuple[str, str | None] | None) -> Json:
        """Make a client, perhaps with a role."""
        role, sandbox = grant or (None, None)
        given = {"name": name, "id": client_id, "issuer": issuer or None, "role": role, "sandbox": sandbox}
        body = {member: value for member, value in given.items() if value is not None}
        made = self._client.request("POST", f"{HEADGATE}/clients", body=body)
        return {"clientId": made["id"], "name": made["name"], "clientSecret": made.get("clientSecret")}

    def rotate(self, client_id: str, overlap: int) -> Json:
        """Give a client a new secret."""
        path = _one(f"{HEADGATE}/clients", client_id) + "/rotate"
        made = self._client.request("POST", path, body={"overlapSeconds": overlap})
        return {"clientId": made["id"], "clientSecret": made["clientSecret"]}

    def remove_client(self, client_id: str) -> None:
        """Remove a client."""
        self._client.request("DELETE", _one(f"{HEADGATE}/clients", client_id))

    def code_of_person(self, user: str, client_id: str) -> str:
        """A code by which a person signs in, once."""
        made = self._client.request("POST", _one(f"{HEADGATE}/clients", client_id) + "/code", body={"user": user})
        return str(made["code"])

    def code_of_client(self, client_id: str, _days: int) -> str:
        """Codes of clients are made at the service's own machine."""
        raise InvalidRequest(f"A code for {client_id} is made on the machine of the service; a secret serves as well.")

    def roles(self) -> list[Json]:
        """Every role."""
        return [{"role": one["id"], "permissions": one["permissions"]} for one in self._listed("roles")]

    def add_role(self, name: str, permissions: tuple[str, ...]) -> None:
        """Make a role."""
        self._client.request("POST", f"{HEADGATE}/roles", body={"name": name, "permissions": list(permissions)})

    def remove_role(self, name: str) -> None:
        """Remove a role of the organisation's own that nobody has."""
        self._client.request("DELETE", _one(f"{HEADGATE}/roles", name))

    def grants(self) -> list[Json]:
        """Every grant."""
        return [
            {name: one.get(name) for name in ("principal", "kind", "role", "sandbox")} for one in self._listed("grants")
        ]

    def grant(self, grant: "Grant") -> None:
        """Give a role."""
        given = {"principal": grant.principal, "kind": grant.kind, "role": grant.role, "sandbox": grant.sandbox}
        body = {member: value for member, value in given.items() if value is not None}
        self._client.request("POST", f"{HEADGATE}/grants", body=body)

    def revoke(self, grant: "Grant") -> None:
        """Take a role."""
        asked = (grant.principal, grant.kind, grant.role, grant.sandbox)
        for one in self._listed("grants"):
            if (one["principal"], one["kind"], one["role"], one.get("sandbox")) == asked:
                self._client.request("DELETE", _one(f"{HEADGATE}/grants", one["id"]))
                return
        raise InvalidRequest(
            f"{grant.principal} has no role {grant.role} in {grant.sandbox or 'the whole organisation'}."
        )

    def _listed(self, collection: str) -> Iterator[Json]:
        return LINKED.read(self._client, f"{HEADGATE}/{collection}", {}, 0)


def _one(path: str, id_: str) -> str:
    return f"{path}/{quote(id_, safe='')}"
