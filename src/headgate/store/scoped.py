"""The store as one sandbox of one organisation sees it: there is no other way to a resource or a run."""

import time
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from headgate.errors import KeyReused, NotFound, OutcomeUnknown, Unavailable, VersionConflict
from headgate.model.calendar import Mark, mark_of
from headgate.model.query import Query
from headgate.model.resources import Kind, Resource, new_etag, now_ms
from headgate.model.run_log import LogLine
from headgate.model.runs import Json, Run, RunState
from headgate.model.scope import Caller, Scope
from headgate.model.windows import Window
from headgate.store import schedules, specs, tables
from headgate.store.listing import Page, list_page, newest_run
from headgate.store.rows import resource_of, row_of, row_of_resource, run_of
from headgate.store.run_log import lines_after, write_lines
from headgate.store.transactions import Transactions
from headgate.store.vault import Place, Vault

__all__ = ["InUse", "NameTaken", "ScopedStore", "cancel_runs"]

_LONGEST_ID = 64
_LONGEST_QUERY = 2000
_LOOKS = (0.1, 0.2, 0.5, 1, 2, 4, 6, 6)  # seconds between looks for a run whose commit was not answered
_ITSELF = "headgate"  # who acts where no caller does

# What every run that is posted asks and stores, made once: making a statement takes as long as SQLite's answer to it.
_THIS = [tables.resources.c[name] == sa.bindparam(name) for name in ("org_id", "sandbox_id", "kind", "id")]
_RESOURCE = sa.select(tables.resources).where(*_THIS)
_ETAG_LOCKED = sa.select(tables.resources.c.etag).where(*_THIS).with_for_update()
_NEW_RUN, _NEW_ENTRY = sa.insert(tables.runs), sa.insert(tables.audit)


class NameTaken(Exception):
    """Another dataset of the sandbox has this name."""


class InUse(Exception):
    """The resource cannot go while `users` refer to it."""

    def __init__(self, users: Sequence[str]) -> None:
        super().__init__(", ".join(users))
        self.users = tuple(users)


class _KeyTaken(Exception):
    """Another request has this idempotency key."""


class ScopedStore:
    """Resources, runs and secrets of one scope. Every method may raise Unavailable.

    What is written is recorded in the audit log, in the same transaction, as the doing of `caller`; without
    one as the service's own.
    """

    def __init__(
        self,
        transactions: Transactions,
        vault: Vault,
        scope: Scope,
        caller: Caller | None = None,
        *,
        initial_load: bool = False,
    ) -> None:
        self._initial_load = initial_load
        self._transactions = transactions
        self._vault = vault
        self._caller = caller
        self.scope = scope

    # -- resources -------------------------------------------------------------------------------

    def add(self, resource: Resource, *, links: Iterable[str] = (), secret: Json | None = None) -> None:
        """Store a new resource, the ids it refers to, and for a connection its credentials, sealed.

        Raises NotFound when an id it refers to is gone, NameTaken for a dataset whose name is not new.
        """
        links = tuple(dict.fromkeys(links))
        with self._transactions.write() as connection:
            self._require(connection, links)
            try:
                connection.execute(sa.insert(tables.resources).values(**self._place, **row_of_resource(resource)))
            except sa.exc.IntegrityError as error:
                if resource.kind is Kind.DATASET:
                    raise NameTaken(resource.name) from error
                raise
            for to_id in links:
                connection.execute(sa.insert(tables.links).values(from_id=resource.id, to_id=to_id, **self._place))
            if secret is not None:
                connection.execute(
                    sa.insert(tables.secrets).values(
                        connection_id=resource.id,
                        **self._place,
                        sealed=self._vault.seal(secret, self._safe(resource.id)),
                    )
                )
            if resource.kind is Kind.FLOW:
                schedules.follow(connection, resource, initial_load=self._initial_load)
            self._record(connection, "create", resource.kind, resource.id, after=resource.etag)

    def update(
        self,
        changed: Resource,
        *,
        etag: str | None,
        links: Iterable[str] | None = None,
        secret: Json | None = None,
    ) -> None:
        """Replace what is stored of a resource, in one transaction with what it refers to and its credentials.

        `etag` is the version it must have, None for any. `links` and `secret` stay as they are when None.
        Raises NotFound, VersionConflict, and NotFound when an id it refers to is gone.
        """
        table = tables.resources
        with self._transactions.write() as connection:
            before = self._locked(connection, changed.kind, changed.id)
            if etag is not None and before.etag != etag:
                raise VersionConflict(id=changed.id)
            connection.execute(
                sa.update(table)
                .where(*self._mine(table), table.c.id == changed.id)
                .values(
                    name=changed.name,
                    state=changed.state,
                    body=changed.body,
                    frozen=changed.frozen,
                    updated_at=changed.updated_at,
                    updated_by=changed.updated_by,
                    updated_client=changed.updated_client,
                    etag=changed.etag,
                )
            )
            if links is not None:
                self._relink(connection, changed.id, tuple(dict.fromkeys(links)))
            if secret is not None:
                self._reseal(connection, changed.id, secret)
            if changed.kind is Kind.FLOW:
                schedules.follow(connection, changed, before, initial_load=self._initial_load)
            self._record(connection, "update", changed.kind, changed.id, before=before.etag, after=changed.etag)

    def get(self, kind: Kind, id_: str) -> Resource:
        """The resource with this id. Raises NotFound."""
        with self._transactions.read() as connection:
            return self._get(connection, kind, id_)

    def find(self, kind: Kind, name: str) -> Resource | None:
        """The newest resource with this name."""
        table = tables.resources
        with self._transactions.read() as connection:
            row = connection.execute(
                self._resources(kind).where(table.c.name == name).order_by(table.c.seq.desc()).limit(1)
            ).first()
        return self._resource(row) if row else None

    def list(self, kind: Kind, query: Query) -> Page[Resource]:
        """One page of the resources that match."""
        table = tables.resources
        with self._transactions.read() as connection:
            return list_page(connection, table, (*self._mine(table), table.c.kind == kind.value), query, self._resource)

    def delete(self, kind: Kind, id_: str, *, unless_used_by: Kind | None = None) -> None:
        """Remove the resource with its links and secret, and cancel the open runs of a deleted flow.

        Raises NotFound, and InUse when resources of the kind `unless_used_by` refer to it.
        """
        table = tables.resources
        with self._transactions.write() as connection:
            before = self._locked(connection, kind, id_)
            if unless_used_by and (users := self._users(connection, id_, unless_used_by)):
                raise InUse(users)
            connection.execute(sa.delete(table).where(*self._mine(table), table.c.id == id_))
            if kind is Kind.FLOW:
                self._cancel(connection, tables.runs.c.flow_id == id_)
            self._record(connection, "delete", kind, id_, before=before.etag)

    def users(self, id_: str, kind: Kind) -> tuple[str, ...]:
        """Ids of the resources of `kind` that refer to this id."""
        with self._transactions.read() as connection:
            return self._users(connection, id_, kind)

    def secret(self, connection_id: str) -> Json:
        """The credentials of a connection; empty when it has none. Raises VaultLocked."""
        table = tables.secrets
        with self._transactions.read() as connection:
            sealed = connection.execute(
                sa.select(table.c.sealed).where(*self._mine(table), table.c.connection_id == connection_id)
            ).scalar()
        return self._vault.open(sealed, self._safe(connection_id)) if sealed else {}

    # -- specs that the organisation describes, for all of its sandboxes ---------------------------

    def specs(self, collection: str) -> tuple[Json, ...]:
        """All specs of `collection`, oldest first."""
        with self._transactions.read() as connection:
            return specs.all_of(connection, self.scope.org_id, collection)

    def spec(self, collection: str, id_: str) -> Json | None:
        """The spec with this id."""
        with self._transactions.read() as connection:
            return specs.one(connection, self.scope.org_id, collection, id_)

    def put_spec(self, collection: str, body: Json) -> None:
        """Store a spec under the id in `body`, in place of the one with that id if there is one."""
        principal = self._caller.principal if self._caller else None
        who = (principal.user_id, principal.client_id) if principal else (_ITSELF, _ITSELF)
        with self._transactions.write() as connection:
            before, after = specs.put(connection, self.scope.org_id, collection, body, who)
            action = "create" if before is None else "update"
            self._record(connection, action, collection, body["id"], before=before, after=after)

    # -- runs ------------------------------------------------------------------------------------

    def add_run(
        self, run: Run, *, flow: Resource | None = None, flow_etag: str, key: tuple[str, str] | None = None
    ) -> Run:
        """Store and enqueue a run, in one transaction with the change of its flow, if any.

        `flow_etag` is the version of the flow the run was checked against: VersionConflict when it changed
        since. `key` is an idempotency key with the SHA-256 of its request: when it was used before, the run
        of that time is given and nothing is stored; KeyReused when the request differs.
        """
        while True:
            try:
                return self._add_run(run, flow, flow_etag, key)
            except OutcomeUnknown:
                return self._look_up(run)
            except _KeyTaken:
                if key is not None and (known := self.run_of_key(*key)) is not None:
                    return known

    def _add_run(self, run: Run, flow: Resource | None, flow_etag: str, key: tuple[str, str] | None) -> Run:
        table = tables.resources

        def work(connection: sa.Connection) -> Run:
            if key is not None:
                self._take_key(connection, run, key)
            etag = connection.execute(_ETAG_LOCKED, self._this(Kind.FLOW, run.flow_id)).scalar()
            if etag is None:
                raise _not_found(Kind.FLOW, run.flow_id)
            if etag != flow_etag:
                raise VersionConflict(id=run.flow_id)
            if flow is not None:
                connection.execute(
                    sa.update(table)
                    .where(*self._mine(table), table.c.id == flow.id)
                    .values(
                        body=flow.body,
                        updated_at=flow.updated_at,
                        updated_by=flow.updated_by,
                        updated_client=flow.updated_client,
                        etag=flow.etag,
                    )
                )
            self.enqueue(connection, run)
            return run

        return self._transactions.together(work)

    def _look_up(self, run: Run) -> Run:
        """The run whose commit was not answered, once the database says that it is stored.

        A 5xx for a stored run would make clients send it again. Raises Unavailable, OutcomeUnknown.
        """
        for pause in _LOOKS:
            time.sleep(pause)
            try:
                return self.run(run.id)
            except NotFound as error:
                raise Unavailable from error
            except Unavailable:
                continue
        raise OutcomeUnknown(id=run.id)

    def enqueue(self, connection: sa.Connection, run: Run) -> None:
        """Store and enqueue a run in a transaction that others of the store have begun."""
        connection.execute(_NEW_RUN, {**self._place, **row_of(run)})
        self._record(connection, "create", "runs", run.id, after=run.etag)

    def run_of_key(self, key: str, body_sha256: str) -> Run | None:
        """The run that an earlier request with this idempotency key made. Raises KeyReused."""
        with self._transactions.read() as connection:
            return self._known(connection, key, body_sha256)

    def run(self, id_: str) -> Run:
        """The run with this id. Raises NotFound."""
        with self._transactions.read() as connection:
            return self._run(connection, id_)

    def runs(self, query: Query) -> Page[Run]:
        """One page of the runs that match."""
        table = tables.runs
        with self._transactions.read() as connection:
            return list_page(connection, table, self._mine(table), query, run_of)

    def last_run(self, flow_id: str, *, succeeded: bool = False) -> Run | None:
        """The newest run of a flow; the newest whose rows were brought, and are not taken out, if so asked."""
        table = tables.runs
        chosen = [table.c.state == RunState.SUCCESS.value, table.c.reverted_at.is_(None)] if succeeded else []
        with self._transactions.read() as connection:
            row = connection.execute(
                sa.select(table)
                .where(*self._mine(table), table.c.flow_id == flow_id, *chosen)
                .order_by(table.c.created_at.desc(), table.c.seq.desc())
                .limit(1)
            ).first()
        return run_of(row) if row else None

    def runs_over(self, flow_id: str, window: Window | None, most: int) -> tuple[Run, ...]:
        """The newest runs of a flow whose windows share an instant with `window`, or of any; at most so many."""
        table = tables.runs
        shared = (table.c.window_start < window.end_ms, table.c.window_end > window.start_ms) if window else ()
        chosen = sa.select(table).where(*self._mine(table), table.c.flow_id == flow_id, *shared)
        with self._transactions.read() as connection:
            rows = connection.execute(chosen.order_by(table.c.created_at.desc(), table.c.seq.desc()).limit(most)).all()
        return tuple(run_of(row) for row in rows)

    def marks(self, flow_id: str, within: Window, most: int) -> tuple[tuple[Window, Mark], ...]:
        """What each run of a flow says of its part of `within`; at most so many of the newest."""
        runs = tables.runs.c
        chosen = (
            sa.select(runs.window_start, runs.window_end, runs.state, runs.start_at, runs.reverted_at)
            .where(*self._mine(tables.runs), runs.flow_id == flow_id)
            .where(runs.window_start < within.end_ms, runs.window_end > within.start_ms)
            .order_by(runs.created_at.desc(), runs.seq.desc())
            .limit(most)
        )
        with self._transactions.read() as connection:
            rows = connection.execute(chosen).all()
        found = (
            mark_of(RunState(row.state), Window(row.window_start, row.window_end), row.start_at, row.reverted_at)
            for row in rows
        )
        return tuple(mark for mark in found if mark is not None)

    def last_runs(self, flow_ids: Sequence[str]) -> dict[str, Run]:
        """The newest run of each of these flows that has any, by flow id."""
        runs, flows = tables.runs, tables.resources
        newest = sa.select(newest_run("seq")).where(*self._mine(flows), flows.c.id.in_(flow_ids))
        with self._transactions.read() as connection:
            rows = connection.execute(sa.select(runs).where(*self._mine(runs), runs.c.seq.in_(newest))).all()
        return {row.flow_id: run_of(row) for row in rows}

    def cancel_run(self, id_: str, *, etag: str | None = None) -> Run:
        """Cancel a run that has not begun, or ask the worker of one that has.

        Raises NotFound, IllegalTransition, and VersionConflict when `etag` is given and not the run's.
        """
        table = tables.runs
        with self._transactions.write() as connection:
            run = self._run(connection, id_, lock=True)
            if etag is not None and run.etag != etag:
                raise VersionConflict(id=id_)
            if run.state is RunState.CANCELLED:
                return run
            run.state.transition(RunState.CANCELLED)
            self._cancel(connection, table.c.id == id_)
            cancelled = self._run(connection, id_)
            who = self._caller.principal.user_id if self._caller else _ITSELF
            ended = "Cancelled" if cancelled.state.final else "Asked to stop"
            write_lines(connection, id_, [LogLine.now(f"{ended} by {who}.", "warning")])
            self._record(connection, "cancel", "runs", id_, before=run.etag, after=cancelled.etag)
            return cancelled

    def update_run(self, changed: Run, *, etag: str) -> Run:
        """Replace what providers say of a run: `extra` and the parent, with who did so. The run as it is then.

        Raises NotFound, VersionConflict when `etag` is not the run's. What the engine says of it stays as it is.
        """
        table = tables.runs
        with self._transactions.write() as connection:
            if self._run(connection, changed.id, lock=True).etag != etag:
                raise VersionConflict(id=changed.id)
            connection.execute(
                sa.update(table)
                .where(*self._mine(table), table.c.id == changed.id)
                .values(
                    extra=changed.extra,
                    parent_id=changed.parent_id,
                    updated_at=changed.updated_at,
                    updated_by=changed.updated_by,
                    updated_client=changed.updated_client,
                    etag=changed.etag,
                )
            )
            self._record(connection, "update", "runs", changed.id, before=etag, after=changed.etag)
            return self._run(connection, changed.id)

    def children(self, ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """The ids of the runs that repeat each of these, oldest first, by the repeated run's id."""
        table = tables.runs
        with self._transactions.read() as connection:
            rows = connection.execute(
                sa.select(table.c.id, table.c.parent_id)
                .where(*self._mine(table), table.c.parent_id.in_(ids))
                .order_by(table.c.seq)
            ).all()
        found: dict[str, tuple[str, ...]] = {}
        for row in rows:
            found[row.parent_id] = (*found.get(row.parent_id, ()), row.id)
        return found

    def log(self, id_: str, *, after: int = -1, most: int = 10_000) -> tuple[LogLine, ...]:
        """The log of a run after the line with the number `after`. Raises NotFound."""
        with self._transactions.read() as connection:
            return tuple(lines_after(connection, self._run(connection, id_), after, most))

    # -- the audit log -----------------------------------------------------------------------------

    def record_denied(self, permission: str, what: str) -> None:
        """Write down that the caller lacked a permission for `what`; the end of it is kept."""
        with self._transactions.write() as connection:
            self._record(connection, "denied", permission, what[-_LONGEST_ID:])

    def record_query(self, statement: str) -> None:
        """Write down that the caller asks this of the lake; the beginning of it is kept."""
        text = " ".join(statement.split())
        with self._transactions.write() as connection:
            self._record(connection, "query", "queries", text[:_LONGEST_ID], detail=text[:_LONGEST_QUERY])

    # -- inside ----------------------------------------------------------------------------------

    @property
    def _place(self) -> dict[str, str]:
        return {"org_id": self.scope.org_id, "sandbox_id": self.scope.sandbox_id}

    def _safe(self, connection_id: str) -> Place:
        return Place(self.scope.org_id, self.scope.sandbox_id, connection_id)

    def _mine(self, table: sa.Table) -> tuple[sa.ColumnElement[bool], ...]:
        return (table.c.org_id == self.scope.org_id, table.c.sandbox_id == self.scope.sandbox_id)

    def _resources(self, kind: Kind) -> sa.Select[Any]:
        table = tables.resources
        return sa.select(table).where(*self._mine(table), table.c.kind == kind.value)

    def _this(self, kind: Kind, id_: str) -> dict[str, str]:
        return {**self._place, "kind": kind.value, "id": id_}

    def _users(self, connection: sa.Connection, id_: str, kind: Kind) -> tuple[str, ...]:
        table, link = tables.resources, tables.links
        rows = connection.execute(
            sa.select(table.c.id)
            .join(link, link.c.from_id == table.c.id)
            .where(*self._mine(table), table.c.kind == kind.value, link.c.to_id == id_)
        )
        return tuple(rows.scalars())

    def _require(self, connection: sa.Connection, ids: Sequence[str]) -> None:
        """See that these resources exist, and keep them from going before this transaction ends."""
        table = tables.resources
        found = connection.execute(
            sa.select(table.c.id).where(*self._mine(table), table.c.id.in_(ids)).with_for_update(read=True)
        )
        for missing in set(ids).difference(found.scalars()):
            raise NotFound(f"No resource {missing!r} exists in this sandbox any more.", id=missing)

    def _get(self, connection: sa.Connection, kind: Kind, id_: str) -> Resource:
        row = connection.execute(_RESOURCE, self._this(kind, id_)).first()
        if row is None:
            raise _not_found(kind, id_)
        return self._resource(row)

    def _locked(self, connection: sa.Connection, kind: Kind, id_: str) -> Resource:
        """The resource, which no other transaction changes before this one ends."""
        row = connection.execute(self._resources(kind).where(tables.resources.c.id == id_).with_for_update()).first()
        if row is None:
            raise _not_found(kind, id_)
        return self._resource(row)

    def _relink(self, connection: sa.Connection, from_id: str, ids: Sequence[str]) -> None:
        self._require(connection, ids)
        connection.execute(sa.delete(tables.links).where(*self._mine(tables.links), tables.links.c.from_id == from_id))
        for to_id in ids:
            connection.execute(sa.insert(tables.links).values(from_id=from_id, to_id=to_id, **self._place))

    def _reseal(self, connection: sa.Connection, connection_id: str, secret: Json) -> None:
        table = tables.secrets
        connection.execute(sa.delete(table).where(*self._mine(table), table.c.connection_id == connection_id))
        sealed = self._vault.seal(secret, self._safe(connection_id))
        connection.execute(sa.insert(table).values(connection_id=connection_id, **self._place, sealed=sealed))

    def _record(
        self,
        connection: sa.Connection,
        action: str,
        kind: str,
        id_: str,
        *,
        before: str | None = None,
        after: str | None = None,
        detail: str | None = None,
    ) -> None:
        """Write into the audit log what this transaction does to the resource `id_`, with its versions."""
        caller = self._caller
        connection.execute(
            _NEW_ENTRY,
            {
                "at": now_ms(),
                **self._place,
                "principal": caller.principal.user_id if caller else _ITSELF,
                "client": caller.principal.client_id if caller else _ITSELF,
                "request_id": caller.request_id if caller else "",
                "action": action,
                "kind": str(kind),
                "resource_id": id_,
                "etag_before": before,
                "etag_after": after,
                "detail": detail,
            },
        )

    def _run(self, connection: sa.Connection, id_: str, *, lock: bool = False) -> Run:
        table = tables.runs
        chosen = sa.select(table).where(*self._mine(table), table.c.id == id_)
        row = connection.execute(chosen.with_for_update() if lock else chosen).first()
        if row is None:
            raise NotFound(f"No run {id_!r} exists in this sandbox.", id=id_, type="runs")
        return run_of(row)

    def _take_key(self, connection: sa.Connection, run: Run, key: tuple[str, str]) -> None:
        try:
            connection.execute(
                sa.insert(tables.idempotency).values(
                    **self._place, key=key[0], body_sha256=key[1], run_id=run.id, created_at=run.created_at
                )
            )
        except sa.exc.IntegrityError as error:
            raise _KeyTaken from error

    def _known(self, connection: sa.Connection, key: str, body_sha256: str) -> Run | None:
        table = tables.idempotency
        row = connection.execute(sa.select(table).where(*self._mine(table), table.c.key == key)).first()
        if row is None:
            return None
        if row.body_sha256 != body_sha256:
            raise KeyReused
        return self._run(connection, row.run_id)

    def _cancel(self, connection: sa.Connection, chosen: sa.ColumnElement[bool]) -> None:
        cancel_runs(connection, *self._mine(tables.runs), chosen)

    def _resource(self, row: Any) -> Resource:
        return resource_of(row, self.scope)


def cancel_runs(connection: sa.Connection, *chosen: sa.ColumnElement[bool]) -> None:
    """Cancel those of the chosen runs that wait, and ask the workers of those under way to stop.

    One of which an attempt was lost, or had no answer to its commit, waits for a worker all the same: to make sure
    that it lands no rows, or to find those that it landed.
    """
    table, present = tables.runs, now_ms()
    waiting = (RunState.SCHEDULED.value, RunState.QUEUED.value)
    ends = sa.and_(table.c.state.in_(waiting), ~table.c.untidy)
    # In one statement: a run that a worker takes or gives back meanwhile is met in either state.
    connection.execute(
        sa.update(table)
        .where(*chosen, table.c.state.in_((*waiting, RunState.IN_PROGRESS.value)))
        .values(
            state=sa.case((ends, RunState.CANCELLED.value), else_=table.c.state),
            untidy=sa.case((ends, table.c.fence > 0), else_=table.c.untidy),
            cancel_requested=True,
            updated_at=present,
            etag=new_etag(present),
        )
    )


def _not_found(kind: Kind, id_: str) -> NotFound:
    return NotFound(f"No {kind.value} entry {id_!r} exists in this sandbox.", id=id_, type=kind.value)
