"""Organisations, their clients, roles and grants: who is served, and who may do what."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from headgate.errors import LastAdmin, NotFound, RoleInUse
from headgate.model.orgs import BUILT_IN_ROLES, Client, Grant, Org, Standing
from headgate.model.permissions import Permission
from headgate.model.resources import now_ms
from headgate.model.scope import Caller, Principal, Scope, Tenancy
from headgate.store import tables
from headgate.store.changes import SETUP, Taken, changing
from headgate.store.sandboxes import sandbox_of
from headgate.store.transactions import Transactions

__all__ = ["Tenants"]

_ACTIVE_SECRETS = 2
_FIRST_SANDBOXES = (("prod", "Production", "production", True), ("dev", "Development", "development", False))


class Tenants:
    """Who is served. The only part of the store, beside the queue, that looks across organisations.

    Every change moves `revision()` on, in its own transaction, and is written into the audit log as the doing
    of `by`. Changes wait for one another. Every method may raise Unavailable.
    """

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def revision(self) -> int:
        """A number that grows with every change made here, by any process."""
        with self._transactions.read() as connection:
            return int(connection.execute(sa.select(tables.tenancy.c.revision)).scalar_one())

    # -- organisations ---------------------------------------------------------------------------

    def ensure_org(
        self, org: Org, client: Client, secret_sha256: str, *, admins: Iterable[str] = (), by: str | Caller = SETUP
    ) -> None:
        """Make the organisation with its first sandboxes, this client and these people as admins.

        What exists already stays as it is; a client that is made is an admin too.
        """
        known = sa.select(tables.clients.c.id).where(tables.clients.c.id == client.id)
        with self._transactions.read() as connection:
            if connection.execute(known).first() is not None:
                return
        with changing(self._transactions, org.id, by) as change:
            fresh = not change.has(tables.orgs, org.id)
            if fresh:
                change.insert(tables.orgs, id=org.id, name=org.name, created_at=change.at)
                change.record("create", "orgs", org.id)
                for name, title, type_, default in _FIRST_SANDBOXES:
                    change.sandbox(name, title, type_, default=default)
            if not change.has(tables.clients, client.id):
                change.client(client, secret_sha256)
                change.grant(Grant(client.id, "service", "admin", None), None)
            for admin in admins if fresh else ():
                change.grant(Grant(admin, "user", "admin", None), None)

    def orgs(self) -> tuple[Org, ...]:
        """Every organisation, oldest first."""
        table = tables.orgs
        with self._transactions.read() as connection:
            rows = connection.execute(sa.select(table).order_by(table.c.created_at, table.c.id)).all()
        return tuple(Org(row.id, row.name) for row in rows)

    def tenancy(self, scope: Scope) -> Tenancy:
        """What `open_source()` must know of the organisation and sandbox that it opens a source for."""
        others = sa.select(tables.orgs.c.id).where(tables.orgs.c.id != scope.org_id).limit(1)
        with self._transactions.read() as connection:
            shared = connection.execute(others).first() is not None
        return Tenancy(scope.org_id, shared, scope.sandbox_name)

    # -- sandboxes -------------------------------------------------------------------------------

    def scope(self, org_id: str, sandbox_name: str | None, sandbox_id: str | None = None) -> Scope | None:
        """The active sandbox of the organisation with this name or id; the default one when neither is given."""
        sandboxes = tables.sandboxes
        if sandbox_name is not None:
            chosen = sandboxes.c.name == sandbox_name
        elif sandbox_id is not None:
            chosen = sandboxes.c.id == sandbox_id
        else:
            chosen = sandboxes.c.is_default.expression
        with self._transactions.read() as connection:
            row = connection.execute(
                sa.select(sandboxes.c.id, sandboxes.c.name).where(
                    sandboxes.c.org_id == org_id, sandboxes.c.state == "active", chosen
                )
            ).first()
        return Scope(org_id, row.id, row.name) if row else None

    # -- clients, their secrets, sign-in codes -----------------------------------------------------

    def client(self, client_id: str) -> Client | None:
        """The client application with this id."""
        table = tables.clients
        with self._transactions.read() as connection:
            row = connection.execute(sa.select(table).where(table.c.id == client_id)).first()
        return Client(row.id, row.org_id, row.name, row.issuer) if row else None

    def clients(self, org_id: str) -> tuple[Client, ...]:
        """The clients of the organisation, oldest first."""
        table = tables.clients
        with self._transactions.read() as connection:
            rows = connection.execute(
                sa.select(table).where(table.c.org_id == org_id).order_by(table.c.created_at, table.c.id)
            ).all()
        return tuple(Client(row.id, row.org_id, row.name, row.issuer) for row in rows)

    def add_client(self, client: Client, secret_sha256: str | None, *, by: str | Caller = SETUP) -> None:
        """Store a client, which may do nothing yet; without a secret it only names itself. Raises Taken, NotFound."""
        with changing(self._transactions, client.org_id, by) as change:
            if not change.has(tables.orgs, client.org_id):
                raise NotFound(f"No organisation {client.org_id!r} exists.")
            if change.has(tables.clients, client.id):
                raise Taken(client.id)
            change.client(client, secret_sha256)

    def remove_client(self, client_id: str, *, keep_admin: bool = False, by: str | Caller = SETUP) -> None:
        """Remove a client with its secrets and grants; its tokens are refused from now on.

        Raises NotFound; with `keep_admin`, LastAdmin.
        """
        client = self._client(client_id)
        with changing(self._transactions, client.org_id, by) as change:
            grants, clients = tables.grants, tables.clients
            mine = sa.delete(grants).where(grants.c.kind == "service", grants.c.principal == client_id)
            with _keeping_admin(change.connection, client.org_id, keep_admin):
                change.connection.execute(mine)
            change.connection.execute(sa.delete(clients).where(clients.c.id == client_id))
            change.record("delete", "clients", client_id)

    def secrets(self, client_id: str) -> tuple[str, ...]:
        """The SHA-256 of every secret of the client that is valid now."""
        table = tables.client_secrets
        with self._transactions.read() as connection:
            rows = connection.execute(
                sa.select(table.c.sha256).where(
                    table.c.client_id == client_id,
                    sa.or_(table.c.expires_at.is_(None), table.c.expires_at > now_ms()),
                )
            )
            return tuple(rows.scalars())

    def rotate_secret(self, client_id: str, secret_sha256: str, *, overlap_ms: int, by: str | Caller = SETUP) -> None:
        """Add a secret. The last one is good for `overlap_ms` more, older ones no longer. Raises NotFound."""
        client = self._client(client_id)
        table = tables.client_secrets
        with changing(self._transactions, client.org_id, by) as change:
            until = change.at + overlap_ms
            old = change.connection.execute(
                sa.select(table.c.id, table.c.expires_at)
                .where(table.c.client_id == client_id)
                .order_by(table.c.created_at.desc(), table.c.id)
            ).all()
            for row in old[: _ACTIVE_SECRETS - 1]:
                ends = until if row.expires_at is None else min(row.expires_at, until)
                change.connection.execute(sa.update(table).where(table.c.id == row.id).values(expires_at=ends))
            gone = [row.id for row in old[_ACTIVE_SECRETS - 1 :]]
            change.connection.execute(sa.delete(table).where(table.c.id.in_(gone)))
            change.secret(client_id, secret_sha256)
            change.record("rotate", "clients", client_id)

    def add_code(self, sha256: str, client: Client, user_id: str, *, expires_at: int, by: str | Caller = SETUP) -> None:
        """Store a sign-in code of a client, for a person or, with its own id as `user_id`, for the client itself."""
        with changing(self._transactions, client.org_id, by) as change:
            change.connection.execute(sa.delete(tables.codes).where(tables.codes.c.expires_at <= change.at))
            change.insert(
                tables.codes,
                sha256=sha256,
                org_id=client.org_id,
                client_id=client.id,
                user_id=user_id,
                expires_at=expires_at,
            )
            change.record("create", "codes", user_id)

    def take_code(self, sha256: str, client_id: str) -> str | None:
        """Whom a sign-in code of this client stands for, None when it is not valid.

        A person's code is used up; the client's own stays good until it ends.
        """
        table = tables.codes
        mine = (table.c.sha256 == sha256, table.c.client_id == client_id, table.c.expires_at > now_ms())
        with self._transactions.write() as connection:
            user = connection.execute(sa.select(table.c.user_id).where(*mine)).scalar()
            if user is None or user == client_id:
                return user
            return user if connection.execute(sa.delete(table).where(*mine)).rowcount else None

    def take_persons_code(self, sha256: str) -> tuple[str, str] | None:
        """The client and the person that a sign-in code stands for, None when it is no person's or not valid.

        The code is used up.
        """
        table = tables.codes
        mine = (table.c.sha256 == sha256, table.c.user_id != table.c.client_id, table.c.expires_at > now_ms())
        with self._transactions.write() as connection:
            row = connection.execute(sa.select(table.c.client_id, table.c.user_id).where(*mine)).first()
            if row is None or not connection.execute(sa.delete(table).where(*mine)).rowcount:
                return None
            return row.client_id, row.user_id

    # -- roles and grants --------------------------------------------------------------------------

    def roles(self, org_id: str) -> dict[str, frozenset[Permission]]:
        """The roles that can be granted in the organisation, the built-in ones first."""
        table = tables.roles
        with self._transactions.read() as connection:
            rows = connection.execute(sa.select(table).where(table.c.org_id == org_id).order_by(table.c.name)).all()
        return {**BUILT_IN_ROLES, **{row.name: _known(row.permissions) for row in rows}}

    def add_role(self, org_id: str, name: str, permissions: frozenset[Permission], *, by: str | Caller = SETUP) -> None:
        """Make a role. Raises Taken, NotFound."""
        with changing(self._transactions, org_id, by) as change:
            if not change.has(tables.orgs, org_id):
                raise NotFound(f"No organisation {org_id!r} exists.")
            table = tables.roles
            known = sa.select(table.c.name).where(table.c.org_id == org_id, table.c.name == name)
            if name in BUILT_IN_ROLES or change.connection.execute(known).first():
                raise Taken(name)
            change.insert(table, org_id=org_id, name=name, permissions=sorted(permissions))
            change.record("create", "roles", name)

    def remove_role(self, org_id: str, name: str, *, by: str | Caller = SETUP) -> None:
        """Remove a role of the organisation's own. Raises NotFound, and RoleInUse while anybody has it."""
        table, grants = tables.roles, tables.grants
        with changing(self._transactions, org_id, by) as change:
            held = sa.select(grants.c.principal).where(grants.c.org_id == org_id, grants.c.role == name)
            if users := tuple(change.connection.execute(held.distinct()).scalars()):
                raise RoleInUse(f"The role {name!r} is granted to {', '.join(users[:5])}. Take it from them first.")
            gone = change.connection.execute(sa.delete(table).where(table.c.org_id == org_id, table.c.name == name))
            if gone.rowcount == 0:
                raise NotFound(f"No role {name!r} of the organisation's own exists.")
            change.record("delete", "roles", name)

    def grants(self, org_id: str) -> tuple[Grant, ...]:
        """Every grant of the organisation, oldest first."""
        with self._transactions.read() as connection:
            rows = connection.execute(_grants(org_id).order_by(tables.grants.c.created_at, tables.grants.c.id)).all()
        return tuple(Grant(*row) for row in rows)

    def standing(self, principal: Principal, org_id: str) -> Standing:
        """What the principal was granted in the organisation, here and by its token."""
        table = tables.grants
        mine = _grants(org_id).where(table.c.kind == principal.kind, table.c.principal == principal.user_id)
        with self._transactions.read() as connection:
            rows = connection.execute(mine).all()
        told = (Grant(principal.user_id, principal.kind, role, sandbox) for role, sandbox in principal.roles)
        return Standing(frozenset([*(Grant(*row) for row in rows), *told]), self.roles(org_id))

    def grant(self, org_id: str, grant: Grant, *, by: str | Caller = SETUP) -> None:
        """Give a role to a principal; again changes nothing. Raises NotFound for an unknown role or sandbox."""
        roles = self.roles(org_id)
        if grant.role not in roles:
            raise NotFound(f"No role {grant.role!r} exists. There are {', '.join(roles)}.")
        with changing(self._transactions, org_id, by) as change:
            place = _place(change.connection, org_id, grant)
            if change.connection.execute(sa.select(tables.grants.c.id).where(*_same(org_id, grant, place))).first():
                return
            change.grant(grant, place)

    def revoke(self, org_id: str, grant: Grant, *, keep_admin: bool = False, by: str | Caller = SETUP) -> None:
        """Take a role from a principal. Raises NotFound; with `keep_admin`, LastAdmin."""
        with changing(self._transactions, org_id, by) as change:
            place = _place(change.connection, org_id, grant)
            with _keeping_admin(change.connection, org_id, keep_admin):
                gone = change.connection.execute(sa.delete(tables.grants).where(*_same(org_id, grant, place)))
            if gone.rowcount == 0:
                raise NotFound(f"{grant.principal} does not have the role {grant.role!r} there.")
            change.record("revoke", "grants", f"{grant.principal} {grant.role}")

    # -- inside ------------------------------------------------------------------------------------

    def _client(self, client_id: str) -> Client:
        client = self.client(client_id)
        if client is None:
            raise NotFound(f"No client {client_id!r} exists. `headgate clients list` shows those there are.")
        return client


def _grants(org_id: str) -> sa.Select[Any]:
    table, sandboxes = tables.grants, tables.sandboxes
    return (
        sa.select(table.c.principal, table.c.kind, table.c.role, sandboxes.c.name, table.c.id)
        .join(sandboxes, sandboxes.c.id == table.c.sandbox_id, isouter=True)
        .where(table.c.org_id == org_id)
    )


def _place(connection: sa.Connection, org_id: str, grant: Grant) -> str | None:
    return None if grant.sandbox is None else sandbox_of(connection, org_id, grant.sandbox).id


@contextmanager
def _keeping_admin(connection: sa.Connection, org_id: str, wanted: bool) -> Iterator[None]:
    """If so wanted, raise LastAdmin when what is done inside leaves no admin of the whole organisation."""
    table = tables.grants
    admins = sa.select(sa.func.count()).where(
        table.c.org_id == org_id, table.c.role == "admin", table.c.sandbox_id.is_(None)
    )
    before = connection.execute(admins).scalar_one() if wanted else 0
    yield
    if before and not connection.execute(admins).scalar_one():
        raise LastAdmin


def _same(org_id: str, grant: Grant, sandbox_id: str | None) -> tuple[sa.ColumnElement[bool], ...]:
    table = tables.grants
    return (
        table.c.org_id == org_id,
        table.c.kind == grant.kind,
        table.c.principal == grant.principal,
        table.c.role == grant.role,
        table.c.sandbox_id.is_(None) if sandbox_id is None else table.c.sandbox_id == sandbox_id,
    )


def _known(names: Iterable[str]) -> frozenset[Permission]:
    """Permissions by name; one of a newer release that this one lacks gives no right."""
    return frozenset(permission for permission in Permission if permission.value in set(names))
