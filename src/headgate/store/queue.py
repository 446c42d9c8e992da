"""The queue: runs are the jobs, claimed by lease.

A claim gives a worker a run for `lease` seconds and raises the run's fence. Every later write of that worker
names the fence; once another worker has claimed the run, those writes find no row and raise AttemptLost.
Runs of one flow are executed one after another, in the order they were made. Leases are judged by the
database's clock alone.
"""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from headgate.errors import AttemptLost
from headgate.model.resources import new_etag, now_ms
from headgate.model.runs import Json, Run, RunState
from headgate.store import tables
from headgate.store.scoped import run_of
from headgate.store.transactions import Transactions, now

__all__ = ["Claim", "Queue"]

_RUNS = tables.runs
_UNFINISHED = (RunState.QUEUED.value, RunState.IN_PROGRESS.value)


@dataclass(frozen=True, slots=True)
class Claim:
    """A run that a worker owns while its lease lasts."""

    run: Run
    worker: str


class Queue:
    """What workers need of the store."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def claim(self, worker: str, *, lease: float) -> Claim | None:
        """Take the oldest run that is due and free, for `lease` seconds. None when there is none."""
        with self._transactions.write() as connection:
            self._enqueue_due(connection)
            row = connection.execute(_next_free()).first()
            if row is None:
                return None
            if row.state != RunState.IN_PROGRESS.value:  # else its worker died, and it stays where it is
                RunState(row.state).transition(RunState.IN_PROGRESS)
            connection.execute(
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
            )
            row = connection.execute(sa.select(_RUNS).where(_RUNS.c.id == row.id)).one()
            return Claim(run_of(row), worker)

    def heartbeat(self, run: Run, *, lease: float, metrics: Json | None = None) -> bool:
        """Renew the lease, store the progress if given, and say whether cancelling was asked for.

        Raises AttemptLost.
        """
        changes: dict[str, Any] = {"lease_until": now() + round(lease * 1000)}
        if metrics is not None:
            changes |= {"metrics": metrics, **_times(metrics), **_stamp()}
        with self._transactions.write() as connection:
            self._write(connection, run, changes)
            return bool(connection.execute(sa.select(_RUNS.c.cancel_requested).filter_by(id=run.id)).scalar())

    def finish(
        self,
        run: Run,
        state: RunState,
        *,
        metrics: Json,
        activities: list[Json],
        snapshot_id: str | None = None,
    ) -> None:
        """Put a run into a final state, with what it reports. Raises AttemptLost."""
        RunState.IN_PROGRESS.transition(state)
        with self._transactions.write() as connection:
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
        connection.execute(
            sa.update(_RUNS)
            .where(_RUNS.c.state == RunState.SCHEDULED.value, _RUNS.c.start_at <= now())
            .values(state=RunState.SCHEDULED.transition(RunState.QUEUED).value, **_stamp())
        )

    def _write(self, connection: sa.Connection, run: Run, changes: dict[str, Any]) -> None:
        written = connection.execute(
            sa.update(_RUNS)
            .where(
                _RUNS.c.id == run.id,
                _RUNS.c.fence == run.fence,
                _RUNS.c.state == RunState.IN_PROGRESS.value,
            )
            .values(**changes)
        )
        if written.rowcount == 0:
            raise AttemptLost(id=run.id)


def _next_free() -> sa.Select[Any]:
    free = sa.or_(
        sa.and_(_RUNS.c.state == RunState.QUEUED.value, _RUNS.c.start_at <= now()),
        sa.and_(_RUNS.c.state == RunState.IN_PROGRESS.value, _RUNS.c.lease_until < now()),
    )
    earlier, begun = _RUNS.alias("earlier"), _RUNS.alias("begun")
    waits_for_earlier = sa.exists().where(
        earlier.c.flow_id == _RUNS.c.flow_id,
        earlier.c.seq < _RUNS.c.seq,
        earlier.c.state.in_(_UNFINISHED),
    )
    # A later run of the flow may have begun before this one was due.
    waits_for_later = sa.exists().where(
        begun.c.flow_id == _RUNS.c.flow_id,
        begun.c.seq > _RUNS.c.seq,
        begun.c.state == RunState.IN_PROGRESS.value,
        begun.c.lease_until >= now(),
    )
    return (
        sa.select(_RUNS)
        .where(free, ~waits_for_earlier, ~waits_for_later)
        .order_by(_RUNS.c.seq)
        .limit(1)
        .with_for_update(skip_locked=True)
    )


def _times(metrics: Json) -> dict[str, Any]:
    """What listings are filtered by of the times that `metrics` shows."""
    shown = metrics.get("durationSummary", {})
    return {"started_at": shown.get("startedAtUTC"), "completed_at": shown.get("completedAtUTC")}


def _stamp() -> dict[str, Any]:
    present = now_ms()
    return {"updated_at": present, "etag": new_etag(present)}
