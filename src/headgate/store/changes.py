"""Changes of an organisation: one at a time, each noted in the audit log and moving the revision on."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from headgate.model.orgs import Client, Grant
from headgate.model.resources import now_ms
from headgate.model.scope import Caller
from headgate.store import tables
from headgate.store.transactions import Transactions

__all__ = ["SETUP", "Change", "Taken", "changing"]

SETUP = "setup"  # who acts where nobody called: a new data folder, the command line


class Taken(Exception):
    """Another organisation, sandbox, client or role has this id or name."""


@contextmanager
def changing(transactions: Transactions, org_id: str, by: str | Caller) -> Iterator["Change"]:
    """A transaction that changes the organisation as the doing of `by`. Raises Unavailable."""
    with transactions.write() as connection:
        # First of all, so that changes wait for one another and may look before they write.
        connection.execute(sa.update(tables.tenancy).values(revision=tables.tenancy.c.revision + 1))
        yield Change(connection, org_id, by)


class Change:
    """What a change writes, with the time and the person of it."""

    def __init__(self, connection: sa.Connection, org_id: str, by: str | Caller) -> None:
        self.connection, self.org_id, self.at = connection, org_id, now_ms()
        caller = by if isinstance(by, Caller) else None
        self.who = caller.principal.user_id if caller else str(by)
        self._through = caller.principal.client_id if caller else SETUP
        self._request_id = caller.request_id if caller else ""

    def has(self, table: sa.Table, id_: str) -> bool:
        """Whether the table has a row of this id."""
        return self.connection.execute(sa.select(table.c.id).where(table.c.id == id_)).first() is not None

    def insert(self, table: sa.Table, **values: Any) -> None:
        """Write one row."""
        self.connection.execute(sa.insert(table).values(values))

    def sandbox(self, name: str, title: str, type_: str, *, default: bool = False) -> None:
        """Make a sandbox."""
        self.insert(
            tables.sandboxes,
            id=str(uuid.uuid4()),
            org_id=self.org_id,
            name=name,
            title=title,
            type=type_,
            state="active",
            is_default=default,
            version=1,
            created_at=self.at,
            updated_at=self.at,
            created_by=self.who,
            updated_by=self.who,
        )
        self.record("create", "sandboxes", name, None, 1)

    def client(self, client: Client, secret_sha256: str | None) -> None:
        """Make a client, perhaps with its first secret."""
        row = {"id": client.id, "org_id": client.org_id, "name": client.name, "issuer": client.issuer}
        self.insert(tables.clients, **row, created_at=self.at)
        if secret_sha256 is not None:
            self.secret(client.id, secret_sha256)
        self.record("create", "clients", client.id)

    def secret(self, client_id: str, sha256: str) -> None:
        """Add a secret of a client."""
        id_ = str(uuid.uuid4())
        self.insert(tables.client_secrets, id=id_, client_id=client_id, sha256=sha256, created_at=self.at)

    def grant(self, grant: Grant, sandbox_id: str | None) -> None:
        """Give a role to a principal."""
        self.insert(
            tables.grants,
            id=str(uuid.uuid4()),
            org_id=self.org_id,
            sandbox_id=sandbox_id,
            kind=grant.kind,
            principal=grant.principal,
            role=grant.role,
            created_at=self.at,
            created_by=self.who,
        )
        self.record("grant", "grants", f"{grant.principal} {grant.role}")

    def record(self, action: str, kind: str, id_: str, before: int | None = None, after: int | None = None) -> None:
        """Write into the audit log what is done to `id_`, with its versions where it has any."""
        self.insert(
            tables.audit,
            at=self.at,
            org_id=self.org_id,
            sandbox_id="",
            principal=self.who,
            client=self._through,
            request_id=self._request_id,
            action=action,
            kind=kind,
            resource_id=id_[:64],
            etag_before=None if before is None else str(before),
            etag_after=None if after is None else str(after),
        )
