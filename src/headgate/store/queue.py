"""The queue: runs are the jobs, claimed by lease.

A claim gives a worker a run for `lease` seconds and raises the run's fence. Every later write of that worker
names the fence; once another worker has claimed the run, those writes find no row and raise AttemptLost.
Runs of one flow are executed one after another, in the order they were made; an index of the database allows one of
them to be inProgress. Leases are judged by the database's clock alone.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from headgate.errors import AttemptLost
from headgate.model.resources import new_etag, now_ms
from headgate.model.runs import Json, Run, RunState
from headgate.store import schedules, tables
from headgate.store.deliveries import announce
from headgate.store.scoped import run_of
from headgate.store.transactions import Transactions, now

__all__ = ["Claim", "Queue"]

_RUNS = tables.runs
_TRIES = 5  # how often a worker looks again because another took a run of the same flow


@dataclass(frozen=True, slots=True)
class Claim:
    """A run that a worker owns while its lease lasts."""

    run: Run
    worker: str


class Queue:
    """What workers need of the store."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def full(self, org_id: str, most: int) -> bool:
        """Whether `most` runs of the organisation, or more, wait for a worker."""
        waiting = _RUNS.c.state.in_((RunState.SCHEDULED.value, RunState.QUEUED.value))
        nth = sa.select(_RUNS.c.seq).where(waiting, _RUNS.c.org_id == org_id).limit(1).offset(most - 1)
        with self._transactions.read() as connection:
            return connection.execute(nth).first() is not None

    def unfinished(self, ids: Collection[str]) -> set[str]:
        """Those of the runs that are not in a final state."""
        final = [state.value for state in RunState if state.final]
        chosen = sa.select(_RUNS.c.id).where(_RUNS.c.id.in_(list(ids)), _RUNS.c.state.not_in(final))
        with self._transactions.read() as connection:
            return set(connection.execute(chosen).scalars())

    def claim(self, worker: str, *, lease: float) -> Claim | None:
        """Take the oldest run that is due and free, for `lease` seconds. None when there is none."""
        for _ in range(_TRIES):
            try:
                with self._transactions.write() as connection:
                    return self._claim(connection, worker, lease)
            except sa.exc.IntegrityError:  # another worker took another run of the same flow at the same time
                continue
        return None

    def _claim(self, connection: sa.Connection, worker: str, lease: float) -> Claim | None:
        self._enqueue_due(connection)
        row = connection.execute(_next_free()).first()
        if row is None:
            return None
        if row.state != RunState.IN_PROGRESS.value:  # else its worker died, and it stays where it is
            RunState(row.state).transition(RunState.IN_PROGRESS)
        taken = connection.execute(
            sa.update(_RUNS)
            .where(_RUNS.c.id == row.id)
            .values(
                state=RunState.IN_PROGRESS.value,
                worker=worker,
                attempt=row.attempt + 1,
                fence=row.fence + 1,
                lease_until=now() + round(lease * 1000),
                **_stamp(),
            )
            .returning(_RUNS)
        )
        run = run_of(taken.one())
        if run.fence == 1:
            announce(connection, run.scope, run.id)
        return Claim(run, worker)

    def heartbeat(self, run: Run, *, lease: float, metrics: Json | None = None) -> bool:
        """Renew the lease, store the progress if given, and say whether cancelling was asked for.

        Raises AttemptLost.
        """
        changes: dict[str, Any] = {"lease_until": now() + round(lease * 1000)}
        if metrics is not None:
            changes |= {"metrics": metrics, **_times(metrics), **_stamp()}
        with self._transactions.write() as connection:
            return self._write(connection, run, changes)

    def finish(
        self,
        run: Run,
        state: RunState,
        *,
        metrics: Json,
        activities: list[Json],
        snapshot_id: str | None = None,
    ) -> None:
        """Put a run into a final state, with what it reports, and announce it. Raises AttemptLost."""
        RunState.IN_PROGRESS.transition(state)
        with self._transactions.write() as connection:
            if run.due_ms is not None and state is RunState.SUCCESS:
                schedules.landed(connection, run)
            self._write(
                connection,
                run,
                {
                    "state": state.value,
                    "metrics": metrics,
                    "activities": activities,
                    **_times(metrics),
                    "snapshot_id": snapshot_id,
                    "worker": None,
                    "lease_until": None,
                    **_stamp(),
                },
            )
            announce(connection, run.scope, run.id)

    def retry(self, run: Run, *, pause: float) -> None:
        """Return a run to the queue for another attempt after `pause` seconds. Raises AttemptLost."""
        state = RunState.IN_PROGRESS.transition(RunState.QUEUED)
        with self._transactions.write() as connection:
            self._write(
                connection,
                run,
                {
                    "state": state.value,
                    "start_at": now() + round(pause * 1000),
                    "worker": None,
                    "lease_until": None,
                    **_stamp(),
                },
            )

    def hand_back(self, run: Run) -> None:
        """Return a run to the queue as if it had not been claimed. Raises AttemptLost."""
        state = RunState.IN_PROGRESS.transition(RunState.QUEUED)
        with self._transactions.write() as connection:
            self._write(
                connection,
                run,
                {
                    "state": state.value,
                    "attempt": run.attempt - 1,
                    "worker": None,
                    "lease_until": None,
                    **_stamp(),
                },
            )

    def _enqueue_due(self, connection: sa.Connection) -> None:
        due = (
            sa.select(_RUNS.c.seq)
            .where(_RUNS.c.state == RunState.SCHEDULED.value, _RUNS.c.start_at <= now())
            .with_for_update(skip_locked=True)
        )
        connection.execute(
            sa.update(_RUNS)
            .where(_RUNS.c.seq.in_(due))
            .values(state=RunState.SCHEDULED.transition(RunState.QUEUED).value, **_stamp())
        )

    def _write(self, connection: sa.Connection, run: Run, changes: dict[str, Any]) -> bool:
        """Change a run that is still ours; whether cancelling it was asked for. Raises AttemptLost."""
        written = connection.execute(
            sa.update(_RUNS)
            .where(
                _RUNS.c.id == run.id,
                _RUNS.c.fence == run.fence,
                _RUNS.c.state == RunState.IN_PROGRESS.value,
            )
            .values(**changes)
            .returning(_RUNS.c.cancel_requested)
        ).first()
        if written is None:
            raise AttemptLost(id=run.id)
        return bool(written.cancel_requested)


def _next_free() -> sa.Select[Any]:
    other = _RUNS.alias("other")
    of_flow = other.c.flow_id == _RUNS.c.flow_id
    waits = sa.exists().where(
        of_flow,
        other.c.seq < _RUNS.c.seq,
        other.c.state.in_((RunState.QUEUED.value, RunState.SCHEDULED.value)),
        sa.or_(other.c.state == RunState.QUEUED.value, other.c.start_at <= now()),
    )
    # A run under way goes first, whichever was made first: even one whose worker died, which another takes over.
    blocked = sa.exists().where(of_flow, other.c.state == RunState.IN_PROGRESS.value)
    free = sa.or_(
        sa.and_(_RUNS.c.state == RunState.QUEUED.value, _RUNS.c.start_at <= now(), ~waits, ~blocked),
        sa.and_(_RUNS.c.state == RunState.IN_PROGRESS.value, _RUNS.c.lease_until < now()),
    )
    return sa.select(_RUNS).where(free).order_by(_RUNS.c.seq).limit(1).with_for_update(skip_locked=True)


def _times(metrics: Json) -> dict[str, Any]:
    """What listings are filtered by of the times that `metrics` shows."""
    shown = metrics.get("durationSummary", {})
    return {"started_at": shown.get("startedAtUTC"), "completed_at": shown.get("completedAtUTC")}


def _stamp() -> dict[str, Any]:
    present = now_ms()
    return {"updated_at": present, "etag": new_etag(present)}
