"""What is held against the lake after one of the two was restored: which runs the metadata says have landed or may."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

import sqlalchemy as sa

from headgate.model.resources import Kind, Resource, new_run
from headgate.model.run_log import LogLine
from headgate.model.runs import Run, RunState
from headgate.model.scope import Scope
from headgate.model.windows import Window, wire_time
from headgate.store import tables
from headgate.store.queue import Claim
from headgate.store.rows import resource_of, run_of
from headgate.store.run_log import write_lines
from headgate.store.schedules import plan_of, values_of
from headgate.store.scoped import ScopedStore
from headgate.store.transactions import Transactions, now

__all__ = ["Reconciling", "Target"]

_RUNS, _FLOWS, _PLANS = tables.runs, tables.resources, tables.schedules
_OPEN = tuple(state.value for state in RunState if not state.final)
_AT_A_TIME = 500
_AHEAD = 2  # the least fence with which an attempt first looks whether another one has landed


@dataclass(frozen=True, slots=True)
class Target:
    """A dataset and the name of its table in the lake."""

    id: str
    scope: Scope
    table: tuple[str, ...]


class Reconciling:
    """All of a deployment's runs, by the datasets they write to."""

    def __init__(self, transactions: Transactions, scoped: Callable[[Scope], ScopedStore]) -> None:
        self._transactions = transactions
        self._scoped = scoped

    def targets(self) -> list[Target]:
        """Every dataset."""
        sandboxes = tables.sandboxes
        chosen = (
            sa.select(_FLOWS.c.id, _FLOWS.c.org_id, _FLOWS.c.sandbox_id, _FLOWS.c.frozen, sandboxes.c.name)
            .join(sandboxes, sandboxes.c.id == _FLOWS.c.sandbox_id)
            .where(_FLOWS.c.kind == Kind.DATASET.value)
            .order_by(_FLOWS.c.seq)
        )
        with self._transactions.read() as connection:
            return [
                Target(row.id, Scope(row.org_id, row.sandbox_id, row.name), tuple(row.frozen["table"]))
                for row in connection.execute(chosen)
            ]

    def unfinished(self, target: Target) -> list[Run]:
        """The runs into the dataset that have not ended, those under way first."""
        under_way = sa.case((_RUNS.c.state == RunState.IN_PROGRESS.value, 0), else_=1)
        chosen = sa.select(_RUNS).where(*_into(target), _RUNS.c.state.in_(_OPEN)).order_by(under_way, _RUNS.c.seq)
        with self._transactions.read() as connection:
            return [run_of(row) for row in connection.execute(chosen)]

    def landed(self, target: Target, ended_since: int = 0) -> list[Run]:
        """The runs that are said to have brought rows, which nobody took out, and to have ended since then (ms)."""
        said = _RUNS.c.state == RunState.SUCCESS.value, _RUNS.c.snapshot_id.is_not(None), _RUNS.c.reverted_at.is_(None)
        since = sa.func.coalesce(_RUNS.c.completed_at, _RUNS.c.updated_at) >= ended_since
        chosen = sa.select(_RUNS).where(*_into(target), *said, since).order_by(_RUNS.c.seq)
        with self._transactions.read() as connection:
            return [run_of(row) for row in connection.execute(chosen)]

    def known(self, ids: Collection[str]) -> set[str]:
        """Those of the ids that are of runs."""
        ordered, found = sorted(ids), set[str]()
        with self._transactions.read() as connection:
            for at in range(0, len(ordered), _AT_A_TIME):
                chosen = sa.select(_RUNS.c.id).where(_RUNS.c.id.in_(ordered[at : at + _AT_A_TIME]))
                found.update(connection.execute(chosen).scalars())
        return found

    def flow(self, target: Target, id_: str) -> Resource | None:
        """The flow with this id, if it writes to the dataset."""
        mine = _FLOWS.c.org_id == target.scope.org_id, _FLOWS.c.sandbox_id == target.scope.sandbox_id
        with self._transactions.read() as connection:
            row = connection.execute(
                sa.select(_FLOWS).where(*mine, _FLOWS.c.kind == Kind.FLOW.value, _FLOWS.c.id == id_)
            ).first()
        found = resource_of(row, target.scope) if row is not None else None
        return found if found is not None and found.frozen.get("target", {}).get("dataSetId") == target.id else None

    def adopt(self, flow: Resource, run_id: str, window: Window, at: int) -> None:
        """Store the run of a flow that the lake says to have landed `window` at that time (ms), as one that waits.

        Nothing happens if it is known. What its flow's schedule goes on from becomes due after the window, as if the
        schedule had made the run.
        """
        params = {"windowStartTime": wire_time(window.start_ms), "windowEndTime": wire_time(window.end_ms)}
        with self._transactions.write() as connection:
            if connection.execute(sa.select(_RUNS.c.id).where(_RUNS.c.id == run_id)).first() is not None:
                return
            due = self._follow(connection, flow, window)
            by = flow.created_by, flow.created_client
            run = new_run(flow, params, window, flow.delta_column, start_ms=at, present=at, by=by, due_ms=due)
            # Whoever claims it looks in the lake before anything is read.
            self._scoped(flow.scope).enqueue(connection, run.evolve(id=run_id, fence=_AHEAD - 1))

    def _follow(self, connection: sa.Connection, flow: Resource, window: Window) -> int | None:
        """Move the flow's schedule past a window that it had still to bring; the due time that the window was for."""
        mine = _PLANS.c.flow_id == flow.id
        row = connection.execute(sa.select(_PLANS).where(mine).with_for_update()).first()
        if row is None or not row.covered_until < window.end_ms or window.start_ms > row.covered_until:
            return None
        plan = plan_of(row)
        if window.end_ms > plan.made_ms:
            values = values_of(plan.made(window), enabled=row.due_at is not None)
            connection.execute(sa.update(_PLANS).where(mine).values(values))
        taken = _RUNS.c.flow_id == flow.id, _RUNS.c.due_at == window.end_ms, _RUNS.c.parent_id.is_(None)
        return None if connection.execute(sa.select(_RUNS.c.id).where(*taken)).first() else window.end_ms

    def take(self, run: Run, worker: str, *, lease: float) -> Claim | None:
        """Claim a run whose rows are in the lake, however much else waits; None when it has ended or is another's.

        A run of the same flow whose worker is gone goes back to the queue.
        """
        live = sa.func.coalesce(_RUNS.c.lease_until >= now(), sa.false()).label("live")
        mine = _RUNS.c.flow_id == run.flow_id, _RUNS.c.state.in_(_OPEN)
        with self._transactions.write() as connection:
            rows = connection.execute(sa.select(_RUNS, live).where(*mine).with_for_update()).all()
            under_way = [row for row in rows if row.state == RunState.IN_PROGRESS.value]
            row = next((row for row in rows if row.id == run.id), None)
            if row is None or any(each.live for each in under_way):
                return None
            for other in under_way:
                if other.id != run.id:
                    self._put_back(connection, other)
            state = RunState(row.state)
            for step in (RunState.QUEUED, RunState.IN_PROGRESS):
                if state not in (step, RunState.IN_PROGRESS):
                    state = state.transition(step)
            changes = {
                "state": state.value,
                "attempt": max(1, row.attempt),
                "fence": max(_AHEAD, row.fence + 1),
                "worker": worker,
                "lease_until": now() + round(lease * 1000),
                "untidy": True,
            }
            taken = sa.update(_RUNS).where(_RUNS.c.id == run.id).values(changes).returning(_RUNS)
            claimed = run_of(connection.execute(taken).one())
            write_lines(connection, run.id, [LogLine.now("The lake holds its rows; it ends by what the lake says.")])
            return Claim(claimed, worker)

    def _put_back(self, connection: sa.Connection, row: sa.Row[tuple[object, ...]]) -> None:
        state = RunState.IN_PROGRESS.transition(RunState.QUEUED)
        gone = {"state": state.value, "worker": None, "lease_until": None, "untidy": True}
        connection.execute(sa.update(_RUNS).where(_RUNS.c.id == row.id).values(gone))
        write_lines(connection, str(row.id), [LogLine.now(f"{row.worker} is gone; the run waits again.", "warning")])

    def noted(self, run: Run) -> bool:
        """Whether the metadata knows which files the run has taken, or need not."""
        files = tables.taken_files
        with self._transactions.read() as connection:
            found = connection.execute(sa.select(files.c.run_id).where(files.c.run_id == run.id).limit(1)).first()
        return run.frozen["kind"] != "file" or found is not None or run.fence >= _AHEAD

    def forget_reading(self, run: Run) -> None:
        """Have no file count as late because the run, whose files are not known, has read its window."""
        with self._transactions.write() as connection:
            connection.execute(sa.update(_RUNS).where(_RUNS.c.id == run.id).values(files_fence=None))


def _into(target: Target) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        _RUNS.c.org_id == target.scope.org_id,
        _RUNS.c.sandbox_id == target.scope.sandbox_id,
        _RUNS.c.dataset_id == target.id,
    )
