"""The sandboxes of an organisation: made, renamed, emptied and closed."""

from collections.abc import Sequence
from dataclasses import replace

import sqlalchemy as sa

from headgate.errors import NotFound
from headgate.model.orgs import Sandbox
from headgate.model.resources import Kind
from headgate.model.runs import RunState
from headgate.model.scope import Caller
from headgate.store import tables
from headgate.store.changes import SETUP, Change, Taken, changing
from headgate.store.scoped import cancel_runs
from headgate.store.transactions import Transactions

__all__ = ["Sandboxes", "sandbox_of"]

_KEPT = frozenset({"audit", "grants"})  # what outlives the resources of a sandbox that is emptied


class Sandboxes:
    """Sandboxes by name. Every method may raise Unavailable; those that take a name raise NotFound."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def all(self, org_id: str) -> tuple[Sandbox, ...]:
        """The sandboxes of the organisation in any state, oldest first."""
        table = tables.sandboxes
        with self._transactions.read() as connection:
            rows = connection.execute(
                sa.select(table).where(table.c.org_id == org_id).order_by(table.c.created_at, table.c.is_default.desc())
            ).all()
        return tuple(Sandbox(**row._mapping) for row in rows)

    def get(self, org_id: str, name: str) -> Sandbox:
        """The sandbox of this name, in any state."""
        with self._transactions.read() as connection:
            return sandbox_of(connection, org_id, name)

    def add(self, org_id: str, name: str, title: str, type_: str, *, by: str | Caller = SETUP) -> Sandbox:
        """Make a sandbox. Raises Taken, also for the name of a closed one; NotFound without the organisation."""
        with changing(self._transactions, org_id, by) as change:
            if not change.has(tables.orgs, org_id):
                raise NotFound(f"No organisation {org_id!r} exists.")
            table = tables.sandboxes
            same = sa.select(table.c.id).where(table.c.org_id == org_id, table.c.name == name)
            if change.connection.execute(same).first():
                raise Taken(name)
            change.sandbox(name, title, type_)
            return sandbox_of(change.connection, org_id, name)

    def rename(self, org_id: str, name: str, title: str, *, by: str | Caller = SETUP) -> Sandbox:
        """Give a sandbox another title."""
        with changing(self._transactions, org_id, by) as change:
            return _changed(change, name, "update", title=title)

    def close(self, org_id: str, name: str, *, by: str | Caller = SETUP) -> Sandbox:
        """Let nobody into the sandbox any more, and run nothing there. What it holds stays."""
        with changing(self._transactions, org_id, by) as change:
            closed = _changed(change, name, "delete", state="deleted")
            _stop(change.connection, closed)
            return closed

    def begin_reset(self, org_id: str, name: str, *, by: str | Caller = SETUP) -> Sandbox:
        """Let nobody into the sandbox and run nothing there until `finish_reset()`."""
        with changing(self._transactions, org_id, by) as change:
            resetting = _changed(change, name, "reset", state="resetting")
            _stop(change.connection, resetting)
            return resetting

    def busy(self, sandbox: Sandbox) -> bool:
        """Whether a worker still has a run of the sandbox."""
        with self._transactions.read() as connection:
            return _busy(connection, sandbox)

    def lake_tables(self, sandbox: Sandbox) -> Sequence[tuple[str, ...]]:
        """The names of the lake tables that the datasets of the sandbox have."""
        table = tables.resources
        mine = sa.select(table.c.frozen).where(
            table.c.org_id == sandbox.org_id, table.c.sandbox_id == sandbox.id, table.c.kind == Kind.DATASET.value
        )
        with self._transactions.read() as connection:
            return [tuple(frozen["table"]) for frozen in connection.execute(mine).scalars()]

    def finish_reset(self, org_id: str, name: str, *, by: str | Caller = SETUP) -> bool:
        """Remove all that the sandbox holds but its audit log, and let callers in again.

        False, and nothing removed, when a worker has taken a run meanwhile that was let in before the reset.
        """
        with changing(self._transactions, org_id, by) as change:
            sandbox = sandbox_of(change.connection, org_id, name)
            _stop(change.connection, sandbox)
            if _busy(change.connection, sandbox):
                return False
            emptied = _changed(change, name, "emptied", state="active")
            # By their columns, so that a table of tomorrow is not forgotten; children before their parents.
            for table in reversed(tables.metadata.sorted_tables):
                if "sandbox_id" in table.c and table.name not in _KEPT:
                    mine = (table.c.org_id == org_id, table.c.sandbox_id == emptied.id)
                    change.connection.execute(sa.delete(table).where(*mine))
            return True


def sandbox_of(connection: sa.Connection, org_id: str, name: str) -> Sandbox:
    """The sandbox of this name, in any state. Raises NotFound."""
    table = tables.sandboxes
    row = connection.execute(sa.select(table).where(table.c.org_id == org_id, table.c.name == name)).first()
    if row is None:
        raise NotFound(f"No sandbox {name[:80]!r} exists in the organisation.")
    return Sandbox(**row._mapping)


def _changed(change: Change, name: str, action: str, *, title: str | None = None, state: str | None = None) -> Sandbox:
    before = sandbox_of(change.connection, change.org_id, name)
    after = replace(
        before,
        title=title or before.title,
        state=state or before.state,
        version=before.version + 1,
        updated_at=change.at,
        updated_by=change.who,
    )
    table = tables.sandboxes
    values = {key: getattr(after, key) for key in ("title", "state", "version", "updated_at", "updated_by")}
    change.connection.execute(sa.update(table).where(table.c.id == before.id).values(values))
    change.record(action, "sandboxes", name, before.version, after.version)
    return after


def _busy(connection: sa.Connection, sandbox: Sandbox) -> bool:
    table = tables.runs
    mine = sa.select(table.c.id).where(
        table.c.org_id == sandbox.org_id,
        table.c.sandbox_id == sandbox.id,
        table.c.state == RunState.IN_PROGRESS.value,
    )
    return connection.execute(mine.limit(1)).first() is not None


def _stop(connection: sa.Connection, sandbox: Sandbox) -> None:
    """Let no schedule make runs of a sandbox, and cancel its open ones.

    The schedules first, as whoever makes or ends a run of one takes them: who came before is waited for, and the run
    that it made is met here.
    """
    runs, schedules = tables.runs, tables.schedules
    connection.execute(
        sa.update(schedules)
        .where(schedules.c.org_id == sandbox.org_id, schedules.c.sandbox_id == sandbox.id)
        .values(due_at=None)
    )
    cancel_runs(connection, runs.c.org_id == sandbox.org_id, runs.c.sandbox_id == sandbox.id)
