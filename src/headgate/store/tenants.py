"""Organisations, their sandboxes and the client applications that may call for them."""

import uuid
from dataclasses import dataclass

import sqlalchemy as sa

from headgate.model.resources import now_ms
from headgate.model.scope import Scope, Tenancy
from headgate.store import tables
from headgate.store.transactions import Transactions

__all__ = ["Client", "Tenants"]

_FIRST_SANDBOXES = (("prod", "Production", "production", True), ("dev", "Development", "development", False))


@dataclass(frozen=True, slots=True)
class Client:
    """A client application of an organisation. Of its secret only the SHA-256 is kept."""

    id: str
    org_id: str
    name: str
    secret_sha256: str


class Tenants:
    """Who is served. The only part of the store, beside the queue, that looks across organisations."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def ensure_org(self, org_id: str, name: str, client: Client) -> None:
        """Make the organisation with its first sandboxes and this client, where they do not exist yet."""
        present = now_ms()
        with self._transactions.write() as connection:
            if connection.execute(sa.select(tables.orgs.c.id).filter_by(id=org_id)).first() is None:
                connection.execute(sa.insert(tables.orgs).values(id=org_id, name=name, created_at=present))
                for sandbox, title, type_, default in _FIRST_SANDBOXES:
                    connection.execute(
                        sa.insert(tables.sandboxes).values(
                            id=str(uuid.uuid4()),
                            org_id=org_id,
                            name=sandbox,
                            title=title,
                            type=type_,
                            is_default=default,
                            created_at=present,
                        )
                    )
            if connection.execute(sa.select(tables.clients.c.id).filter_by(id=client.id)).first() is None:
                connection.execute(
                    sa.insert(tables.clients).values(
                        id=client.id,
                        org_id=client.org_id,
                        name=client.name,
                        secret_sha256=client.secret_sha256,
                        created_at=present,
                    )
                )

    def client(self, client_id: str) -> Client | None:
        """The client application with this id."""
        with self._transactions.read() as connection:
            row = connection.execute(sa.select(tables.clients).filter_by(id=client_id)).mappings().first()
        return Client(row["id"], row["org_id"], row["name"], row["secret_sha256"]) if row else None

    def scope(self, org_id: str, sandbox_name: str | None, sandbox_id: str | None = None) -> Scope | None:
        """The sandbox of the organisation with this name or id; the default one when neither is given."""
        sandboxes = tables.sandboxes
        if sandbox_name is not None:
            chosen = sandboxes.c.name == sandbox_name
        elif sandbox_id is not None:
            chosen = sandboxes.c.id == sandbox_id
        else:
            chosen = sandboxes.c.is_default.expression
        with self._transactions.read() as connection:
            row = connection.execute(
                sa.select(sandboxes.c.id, sandboxes.c.name).where(sandboxes.c.org_id == org_id, chosen)
            ).first()
        return Scope(org_id, row.id, row.name) if row else None

    def tenancy(self, org_id: str) -> Tenancy:
        """What `open_source()` must know of the organisation that it opens a source for."""
        others = sa.select(tables.orgs.c.id).where(tables.orgs.c.id != org_id).limit(1)
        with self._transactions.read() as connection:
            return Tenancy(org_id, shared=connection.execute(others).first() is not None)
