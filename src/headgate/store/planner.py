"""Makes the runs of scheduled flows when they are due, each once however many workers look."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from headgate.model.resources import Resource, new_run
from headgate.model.runs import Json, Run, RunState
from headgate.model.scope import Scope
from headgate.model.windows import DeltaColumn, Window, wire_time
from headgate.store import tables
from headgate.store.rows import resource_of
from headgate.store.schedules import plan_of, values_of
from headgate.store.scoped import ScopedStore
from headgate.store.transactions import Transactions, now

__all__ = ["Planner"]

_PLANS = tables.schedules
_OPEN = (RunState.SCHEDULED.value, RunState.QUEUED.value, RunState.IN_PROGRESS.value)


class Planner:
    """What a worker needs of the schedules."""

    def __init__(self, transactions: Transactions, scoped: Callable[[Scope], ScopedStore]) -> None:
        self._transactions = transactions
        self._scoped = scoped

    def due(self) -> bool:
        """Whether a flow is due."""
        with self._transactions.read() as connection:
            return connection.execute(_due()).first() is not None

    def make_due(self) -> Run | None:
        """Store and enqueue the run of a flow that is due, by the database's clock. None when none is.

        A flow whose last scheduled run has not ended waits for it: only then is it known which window comes next.
        """
        if not self.due():
            return None
        with self._transactions.write() as connection:
            row = connection.execute(_due().with_for_update(of=_PLANS, skip_locked=True)).first()
            # Looked at anew once the row is ours: a transaction that had it may have ended in between.
            row = connection.execute(_due(row.flow_id)).first() if row else None
            if row is None:
                return None
            plan = plan_of(row)
            window = plan.window(row.present)
            if window is None:
                return None
            scope = Scope(row.org_id, row.sandbox_id, row.sandbox_name)
            flow = tables.resources
            stored = connection.execute(sa.select(flow).where(flow.c.id == row.flow_id)).one()
            flow_now = resource_of(stored, scope)
            # The one run of a flow on demand brings everything, so that no column chooses its rows.
            delta = flow_now.delta_column if plan.schedule.period_ms is not None else None
            run = _run(flow_now, window, delta, row.present)
            self._scoped(scope).enqueue(connection, run)
            made = values_of(plan.made(window), enabled=True)
            connection.execute(sa.update(_PLANS).where(_PLANS.c.flow_id == row.flow_id).values(made))
            return run


def _due(flow_id: str | None = None) -> sa.Select[Any]:
    runs, sandboxes = tables.runs, tables.sandboxes
    unfinished = sa.exists().where(
        runs.c.flow_id == _PLANS.c.flow_id, runs.c.due_at.is_not(None), runs.c.state.in_(_OPEN)
    )
    chosen = [_PLANS.c.flow_id == flow_id] if flow_id is not None else []
    return (
        sa.select(_PLANS, now().label("present"), sandboxes.c.name.label("sandbox_name"))
        .join(sandboxes, sandboxes.c.id == _PLANS.c.sandbox_id)
        .where(_PLANS.c.due_at <= now(), sandboxes.c.state == "active", ~unfinished, *chosen)
        .order_by(_PLANS.c.due_at)
        .limit(1)
    )


def _run(flow: Resource, window: Window, delta: DeltaColumn | None, present: int) -> Run:
    """The run of a due time, made in the name of the flow's owner, with the params that an ad hoc run would have."""
    params: Json = {
        "startTime": wire_time(window.end_ms),
        "windowStartTime": wire_time(window.start_ms),
        "windowEndTime": wire_time(window.end_ms),
    }
    if delta is not None:
        given = {"name": delta.name, "dateFormat": delta.date_format, "timezone": delta.timezone}
        params["deltaColumn"] = {name: value for name, value in given.items() if value is not None}
    by = flow.created_by, flow.created_client
    return new_run(flow, params, window, delta, start_ms=window.end_ms, present=present, by=by, due_ms=window.end_ms)
