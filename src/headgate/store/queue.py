"""The queue: runs are the jobs, claimed by lease.

A claim gives a worker a run for `lease` seconds and raises the run's fence. Every later write of that worker
names the fence; once another worker has claimed the run, those writes find no row and raise AttemptLost.
Runs of one flow are executed one after another, in the order they were made; an index of the database allows one of
them to be inProgress. Leases are judged by the database's clock alone. Organisations take turns: the one with the
fewest runs under way is served first.
"""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.dml import ReturningUpdate

from headgate.errors import AttemptLost
from headgate.model.resources import Kind, new_etag, now_ms
from headgate.model.run_log import LogLine
from headgate.model.runs import Json, Run, RunState
from headgate.model.splits import StagedFile, StagedSplit
from headgate.store import schedules, tables, taken_files
from headgate.store.deliveries import announce
from headgate.store.rows import run_of
from headgate.store.run_log import write_lines
from headgate.store.transactions import Transactions, now

__all__ = ["Claim", "Queue"]

_RUNS = tables.runs
_SPLITS = tables.splits
_DATASETS = tables.resources
_WAITING = sa.text(tables.WAITING)
_BEFORE = sa.bindparam("before", type_=sa.Integer)
_NTH_WAITING = sa.select(_RUNS.c.seq).where(_WAITING, _RUNS.c.org_id == sa.bindparam("org_id")).limit(1).offset(_BEFORE)
_FINAL = tuple(state.value for state in RunState if state.final)
_AT_A_TIME = 500
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
        with self._transactions.read() as connection:
            return connection.execute(_NTH_WAITING, {"org_id": org_id, "before": most - 1}).first() is not None

    def tables(self) -> dict[tuple[str, ...], int | None]:
        """The table of every dataset, with the time in ms at which the newest run into it last changed."""
        last = (
            sa.select(_RUNS.c.updated_at)
            .where(*(_RUNS.c[name] == _DATASETS.c[name] for name in ("org_id", "sandbox_id")))
            .where(_RUNS.c.dataset_id == _DATASETS.c.id)
            .order_by(_RUNS.c.created_at.desc(), _RUNS.c.seq.desc())
            .limit(1)
            .scalar_subquery()
        )
        chosen = sa.select(_DATASETS.c.frozen, last.label("last")).where(_DATASETS.c.kind == Kind.DATASET.value)
        with self._transactions.read() as connection:
            return {tuple(row.frozen["table"]): row.last for row in connection.execute(chosen)}

    def waits(self) -> bool:
        """Whether a run is due, has lost its worker, or may have left files that are to go."""
        lost = _RUNS.c.state == RunState.IN_PROGRESS.value, _RUNS.c.lease_until < now()
        untidy = sa.text("untidy"), _RUNS.c.state.in_(_FINAL)
        with self._transactions.read() as connection:
            chosen = ((_WAITING, _RUNS.c.start_at <= now()), lost, untidy)
            return any(connection.execute(sa.select(_RUNS.c.seq).where(*each).limit(1)).first() for each in chosen)

    def unfinished(self, ids: Collection[str]) -> set[str]:
        """Those of the runs that are not in a final state."""
        chosen = sa.select(_RUNS.c.id).where(_RUNS.c.id.in_(list(ids)), _RUNS.c.state.not_in(_FINAL))
        with self._transactions.read() as connection:
            return set(connection.execute(chosen).scalars())

    def claim(self, worker: str, *, lease: float, most: int = 0) -> Claim | None:
        """Take a run that is due and free, for `lease` seconds. None when there is none.

        A run whose worker died goes first; then the oldest of the organisation that has the fewest under way, unless
        it has `most` already (0: any number).
        """
        for _ in range(_TRIES):
            try:
                with self._transactions.write() as connection:
                    return self._claim(connection, worker, lease, most)
            except sa.exc.IntegrityError:  # another worker took another run of the same flow at the same time
                continue
        return None

    def _claim(self, connection: sa.Connection, worker: str, lease: float, most: int = 0) -> Claim | None:
        connection.execute(_enqueuing(), _stamp())
        row = connection.execute(_next_lapsed()).first() or self._next_waiting(connection, most)
        if row is None:
            return None
        past, untidy, lines = row.past_attempts, row.untidy, []
        if row.state == RunState.IN_PROGRESS.value:  # its worker died, and it stays where it is
            past, untidy = [*past, _lost(row)], True
            lines.append(LogLine.now(f"{row.worker} was not heard of any more; the run is taken from it.", "warning"))
        else:
            RunState(row.state).transition(RunState.IN_PROGRESS)
        changes = {"worker": worker, "past_attempts": past, "untidy": untidy, **_stamp()}
        taken = connection.execute(_taking(), {"run_id": row.id, "lease": round(lease * 1000), **changes})
        run = run_of(taken.one())
        write_lines(connection, run.id, [*lines, LogLine.now(f"Attempt {run.attempt} begins on {worker}.")])
        if run.fence == 1:
            announce(connection, run.scope, run.id)
        return Claim(run, worker)

    def _next_waiting(self, connection: sa.Connection, most: int) -> Any:
        """The row of the run that is to begin next, None when none may."""
        in_turn = bool(most) and connection.dialect.name == "postgresql"
        for org_id, busy in connection.execute(_by_turn()).all():
            if most and busy >= most:
                continue
            if not in_turn:
                row = connection.execute(_next_free(), {"org_id": org_id}).first()
            else:
                # Claims of one organisation, one after another: else two could pass the limit at the same time.
                # Nothing taken, its lock goes back: who holds one and waits for another's may wait for ever.
                with connection.begin_nested() as turn:
                    connection.execute(_turn_of(org_id))
                    full = connection.execute(_under_way(org_id)).scalar_one() >= most
                    row = None if full else connection.execute(_next_free(), {"org_id": org_id}).first()
                    if row is None:
                        turn.rollback()
            if row is not None:
                return row
        return None

    def heartbeat(
        self,
        run: Run,
        *,
        lease: float,
        metrics: Json | None = None,
        staged: Sequence[StagedSplit] = (),
        lines: Sequence[LogLine] = (),
    ) -> bool:
        """Renew the lease, store the progress, splits and lines that are given; whether cancelling was asked for.

        Raises AttemptLost, and then nothing was stored.
        """
        changes: dict[str, Any] = {"lease_until": now() + round(lease * 1000)}
        if metrics is not None:
            changes |= {"metrics": metrics, **_times(metrics), **_stamp()}
        with self._transactions.write() as connection:
            cancelled = self._write(connection, run, changes)
            if staged:  # perhaps once more: the answer to an earlier heartbeat may have been lost
                ids = [split.split_id for split in staged]
                connection.execute(
                    sa.delete(_SPLITS).where(
                        _SPLITS.c.run_id == run.id, _SPLITS.c.fence == run.fence, _SPLITS.c.split_id.in_(ids)
                    )
                )
                connection.execute(sa.insert(_SPLITS), [{"run_id": run.id, **asdict(split)} for split in staged])
            write_lines(connection, run.id, lines)
            return cancelled

    def staged(self, run: Run) -> list[StagedSplit]:
        """The splits that attempts at a run have staged, the latest attempt's first."""
        columns = [column for column in _SPLITS.c if column.name != "run_id"]
        chosen = sa.select(*columns).where(_SPLITS.c.run_id == run.id).order_by(_SPLITS.c.fence.desc())
        with self._transactions.read() as connection:
            rows = connection.execute(chosen).all()
        return [
            StagedSplit(**{**row._mapping, "files": tuple(StagedFile(**file) for file in row.files)}) for row in rows
        ]

    def finish(
        self,
        run: Run,
        state: RunState,
        *,
        metrics: Json,
        activities: list[Json],
        snapshot_id: str | None = None,
        tidy: bool = False,
        files_fence: int | None = None,
        lines: Sequence[LogLine] = (),
    ) -> None:
        """Put a run into a final state, with what it reports, announce it, and forget the splits of one that landed.

        It is `tidy` when no file of it is left that did not land. Of the source's files that it noted to take, those
        count that it noted under `files_fence`. Raises AttemptLost.
        """
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
                    "untidy": not tidy,
                    "files_fence": files_fence,
                    "worker": None,
                    "lease_until": None,
                    **_stamp(),
                },
            )
            write_lines(connection, run.id, lines)
            if run.frozen["kind"] == "file":
                taken_files.forget(connection, run, but=files_fence)
            if state is RunState.SUCCESS:  # else they are of use until the files are gone
                connection.execute(sa.delete(_SPLITS).where(_SPLITS.c.run_id == run.id))
            announce(connection, run.scope, run.id)

    def retry(
        self,
        run: Run,
        *,
        pause: float,
        error: Json | None = None,
        undecided: bool = False,
        lines: Sequence[LogLine] = (),
    ) -> None:
        """Return a run to the queue for another attempt after `pause` seconds, because of `error`.

        With `undecided` its rows may have landed: it does not end before a worker has looked. Raises AttemptLost.
        """
        state = RunState.IN_PROGRESS.transition(RunState.QUEUED)
        with self._transactions.write() as connection:
            self._write(
                connection,
                run,
                {
                    "state": state.value,
                    "start_at": now() + round(pause * 1000),
                    "past_attempts": [*run.past_attempts, {"attempt": run.attempt, "error": error}],
                    "untidy": run.untidy or undecided,
                    "worker": None,
                    "lease_until": None,
                    **_stamp(),
                },
            )
            write_lines(connection, run.id, lines)

    def hand_back(self, run: Run, *, undecided: bool = False, lines: Sequence[LogLine] = ()) -> None:
        """Return a run to the queue as if it had not been claimed; `undecided` as in `retry()`. Raises AttemptLost."""
        state = RunState.IN_PROGRESS.transition(RunState.QUEUED)
        with self._transactions.write() as connection:
            self._write(
                connection,
                run,
                {
                    "state": state.value,
                    "attempt": run.attempt - 1,
                    "untidy": run.untidy or undecided,
                    "worker": None,
                    "lease_until": None,
                    **_stamp(),
                },
            )
            write_lines(connection, run.id, lines)

    def untidy(self, *, ended_before: float) -> list[Run]:
        """Runs that ended at least so many seconds ago and may have left files; some of them at a time."""
        ended = sa.text("untidy"), _RUNS.c.state.in_(_FINAL), _RUNS.c.updated_at < now() - round(ended_before * 1000)
        with self._transactions.read() as connection:
            return [run_of(row) for row in connection.execute(sa.select(_RUNS).where(*ended).limit(_AT_A_TIME))]

    def tidied(self, runs: Sequence[Run]) -> None:
        """Note that these ended runs have left no files; what is known of splits that did not land goes with them."""
        with self._transactions.write() as connection:
            ids = [run.id for run in runs]
            connection.execute(sa.update(_RUNS).where(_RUNS.c.id.in_(ids)).values(untidy=False))
            failed = [run.id for run in runs if run.state is not RunState.SUCCESS]
            connection.execute(sa.delete(_SPLITS).where(_SPLITS.c.run_id.in_(failed)))

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


# Statements of every claim, each made once: making one takes longer than the database's answer, and on SQLite all who
# write wait meanwhile.


@cache
def _enqueuing() -> sa.Update:
    """Have the runs wait in the queue whose time has come."""
    due = (
        sa.select(_RUNS.c.seq)
        .where(_RUNS.c.state == RunState.SCHEDULED.value, _RUNS.c.start_at <= now())
        .with_for_update(skip_locked=True)
    )
    queued = RunState.SCHEDULED.transition(RunState.QUEUED).value
    return sa.update(_RUNS).where(_RUNS.c.seq.in_(due)).values(state=queued)


@cache
def _taking() -> ReturningUpdate[Any]:
    """Have a worker own the run `run_id` for `lease` milliseconds."""
    changes = {
        "state": RunState.IN_PROGRESS.value,
        "attempt": _RUNS.c.attempt + 1,
        "fence": _RUNS.c.fence + 1,
        "lease_until": now() + sa.bindparam("lease", type_=sa.BigInteger),
    }
    return sa.update(_RUNS).where(_RUNS.c.id == sa.bindparam("run_id")).values(changes).returning(_RUNS)


@cache
def _next_lapsed() -> sa.Select[Any]:
    """The oldest run whose worker did not renew its lease."""
    lapsed = _RUNS.c.state == RunState.IN_PROGRESS.value, _RUNS.c.lease_until < now()
    return sa.select(_RUNS).where(*lapsed).order_by(_RUNS.c.seq).limit(1).with_for_update(skip_locked=True)


@cache
def _by_turn() -> sa.Select[Any]:
    """The organisations whose runs wait, and how many each has under way: fewest first, then who waits longest."""
    orgs, under_way = tables.orgs, _RUNS.c.state == RunState.IN_PROGRESS.value
    busy = sa.select(_RUNS.c.org_id, sa.func.count().label("runs")).where(under_way).group_by(_RUNS.c.org_id).subquery()
    queued = _WAITING, _RUNS.c.state == RunState.QUEUED.value, _RUNS.c.org_id == orgs.c.id
    oldest = sa.select(sa.func.min(_RUNS.c.seq)).where(*queued).scalar_subquery().label("oldest")
    waiting = sa.select(orgs.c.id, oldest).subquery()
    count = sa.func.coalesce(busy.c.runs, 0)
    return (
        sa.select(waiting.c.id, count)
        .join_from(waiting, busy, busy.c.org_id == waiting.c.id, isouter=True)
        .where(waiting.c.oldest.is_not(None))
        .order_by(count, waiting.c.oldest)
    )


def _turn_of(org_id: str) -> sa.Select[Any]:
    return sa.select(tables.orgs.c.id).where(tables.orgs.c.id == org_id).with_for_update(key_share=True)


def _under_way(org_id: str) -> sa.Select[Any]:
    mine = _RUNS.c.state == RunState.IN_PROGRESS.value, _RUNS.c.org_id == org_id
    return sa.select(sa.func.count()).select_from(_RUNS).where(*mine)


@cache
def _next_free() -> sa.Select[Any]:
    """The oldest run of organisation `org_id` that is due, whose flow has neither one under way nor an earlier one."""
    other = _RUNS.alias("other")
    waits = sa.exists().where(
        other.c.flow_id == _RUNS.c.flow_id,
        other.c.seq < _RUNS.c.seq,
        other.c.state.in_((RunState.QUEUED.value, RunState.SCHEDULED.value)),
        sa.or_(other.c.state == RunState.QUEUED.value, other.c.start_at <= now()),
    )
    # A run under way goes first, whichever was made first: even one whose worker died, which another takes over.
    blocked = sa.select(other.c.flow_id).where(other.c.state == RunState.IN_PROGRESS.value)
    return (
        sa.select(_RUNS)
        .where(
            _WAITING,
            _RUNS.c.state == RunState.QUEUED.value,
            _RUNS.c.org_id == sa.bindparam("org_id"),
            sa.or_(_RUNS.c.start_at <= now(), _RUNS.c.cancel_requested),
            _RUNS.c.flow_id.not_in(blocked),
            ~waits,
        )
        .order_by(_RUNS.c.seq)
        .limit(1)
        .with_for_update(skip_locked=True)
    )


def _lost(row: Any) -> Json:
    """What is known of an attempt whose worker died: up to when it held the run, and how far it had come."""
    return {
        "attempt": row.attempt,
        "worker": row.worker,
        "leaseEndedAtUTC": row.lease_until,
        "progress": row.metrics.get("progress", {}),
    }


def _times(metrics: Json) -> dict[str, Any]:
    """What listings are filtered by of the times that `metrics` shows."""
    shown = metrics.get("durationSummary", {})
    return {"started_at": shown.get("startedAtUTC"), "completed_at": shown.get("completedAtUTC")}


def _stamp() -> dict[str, Any]:
    present = now_ms()
    return {"updated_at": present, "etag": new_etag(present)}
