"""Which workers there are, and what waits for them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from headgate.model.resources import now_ms
from headgate.model.runs import RunState
from headgate.model.scope import Scope
from headgate.store import tables
from headgate.store.transactions import Transactions, now

__all__ = ["Load", "RegisteredWorker", "Workers"]

_WORKERS, _RUNS = tables.workers, tables.runs
_FORGOTTEN_MS = 86_400_000
_RUNNING = _RUNS.c.state == RunState.IN_PROGRESS.value


@dataclass(frozen=True, slots=True)
class RegisteredWorker:
    """A worker that said that it is there. Times are milliseconds; `silent_ms` is how long ago it last said so.

    It may execute `places` runs at a time, and has `runs`, whosever they are.
    """

    id: str
    host: str
    pid: int
    version: str
    places: int
    started_at: int
    seen_at: int
    silent_ms: int
    runs: int


@dataclass(frozen=True, slots=True)
class Load:
    """How many runs wait for a worker, are put off to a later time, and are under way.

    `due_at` is since when the first of those that wait does, in milliseconds; None when none does.
    """

    waiting: int = 0
    later: int = 0
    running: int = 0
    due_at: int | None = None


class Workers:
    """The register of workers, and the length of the queue. Every method may raise Unavailable."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def seen(self, id_: str, *, host: str, pid: int, version: str, places: int) -> None:
        """Note that a worker is there; the first time as a new one. Those not seen for a day are forgotten."""
        with self._transactions.write() as connection:
            again = connection.execute(sa.update(_WORKERS).where(_WORKERS.c.id == id_).values(seen_at=now()))
            if again.rowcount:
                return
            connection.execute(sa.delete(_WORKERS).where(_WORKERS.c.seen_at < now() - _FORGOTTEN_MS))
            about = {"host": host[:255], "pid": pid, "version": version, "places": places}
            connection.execute(sa.insert(_WORKERS).values(id=id_, **about, started_at=now(), seen_at=now()))

    def gone(self, id_: str) -> None:
        """Note that a worker has ended."""
        with self._transactions.write() as connection:
            connection.execute(sa.delete(_WORKERS).where(_WORKERS.c.id == id_))

    def all(self) -> list[RegisteredWorker]:
        """Every worker that has not said that it ended, oldest first."""
        held = (
            sa.select(sa.func.count())
            .where(_RUNNING, _RUNS.c.worker == _WORKERS.c.id)
            .correlate(_WORKERS)
            .scalar_subquery()
        )
        silent = (now() - _WORKERS.c.seen_at).label("silent_ms")
        chosen = sa.select(_WORKERS, silent, held.label("runs")).order_by(_WORKERS.c.started_at, _WORKERS.c.id)
        with self._transactions.read() as connection:
            return [RegisteredWorker(**row._mapping) for row in connection.execute(chosen)]

    def runs_of(self, scope: Scope) -> Mapping[str, list[str]]:
        """The runs of one sandbox that are under way, by their worker."""
        mine = (_RUNS.c.org_id == scope.org_id, _RUNS.c.sandbox_id == scope.sandbox_id)
        chosen = sa.select(_RUNS.c.worker, _RUNS.c.id).where(*mine, _RUNNING).order_by(_RUNS.c.seq)
        found: dict[str, list[str]] = {}
        with self._transactions.read() as connection:
            for row in connection.execute(chosen):
                found.setdefault(str(row.worker), []).append(row.id)
        return found

    def load(self, org_id: str) -> Load:
        """What an organisation has in the queue."""
        with self._transactions.read() as connection:
            found = connection.execute(_counted(_RUNS.c.org_id == org_id)).first()
        return _load(found)

    def loads(self, scope: Scope) -> Mapping[str, Load]:
        """What one sandbox has in the queue, by flow; who waits longest first."""
        mine = (_RUNS.c.org_id == scope.org_id, _RUNS.c.sandbox_id == scope.sandbox_id)
        chosen = _counted(*mine, by=_RUNS.c.flow_id)
        with self._transactions.read() as connection:
            rows = connection.execute(chosen).all()
        loads = {row.flow_id: _load(row) for row in rows}
        return dict(sorted(loads.items(), key=lambda each: (each[1].due_at or now_ms() * 2, each[0])))


def _counted(*chosen: sa.ColumnElement[bool], by: sa.ColumnElement[str] | None = None) -> sa.Select[Any]:
    open_ = [RunState.SCHEDULED.value, RunState.QUEUED.value, RunState.IN_PROGRESS.value]
    waits = sa.and_(_RUNS.c.state != RunState.IN_PROGRESS.value, _RUNS.c.start_at <= now())
    later = sa.and_(_RUNS.c.state != RunState.IN_PROGRESS.value, _RUNS.c.start_at > now())
    counts = (
        sa.func.coalesce(sa.func.sum(sa.case((waits, 1), else_=0)), 0).label("waiting"),
        sa.func.coalesce(sa.func.sum(sa.case((later, 1), else_=0)), 0).label("later"),
        sa.func.coalesce(sa.func.sum(sa.case((_RUNNING, 1), else_=0)), 0).label("running"),
        sa.func.min(sa.case((waits, _RUNS.c.start_at))).label("due_at"),
    )
    select = sa.select(*counts) if by is None else sa.select(by, *counts).group_by(by)
    return select.where(*chosen, _RUNS.c.state.in_(open_))


def _load(row: Any) -> Load:
    return Load() if row is None else Load(int(row.waiting), int(row.later), int(row.running), row.due_at)
