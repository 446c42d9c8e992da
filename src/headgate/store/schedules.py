"""The plans of scheduled flows: a row each, kept in the transactions that change the flow or end its runs."""

from typing import Any

import sqlalchemy as sa

from headgate.model.resources import Resource
from headgate.model.runs import Run
from headgate.model.schedules import Plan, Schedule
from headgate.store import tables
from headgate.store.transactions import now

__all__ = ["follow", "landed", "plan_of", "values_of"]

_TABLE = tables.schedules
ENABLED, DRAFT = "enabled", "draft"


def follow(connection: sa.Connection, flow: Resource, before: Resource | None = None, *, initial_load: bool) -> None:
    """Make the plan follow the flow as it is stored in this transaction. A flow that is not enabled is never due.

    Enabling it again goes on from what is covered. `before` is the flow as it was, None for a new one. With
    `initial_load` a flow on demand is due once; one whose schedule was settled without is left as it is.
    """
    place = {"org_id": flow.scope.org_id, "sandbox_id": flow.scope.sandbox_id}
    mine = _TABLE.c.flow_id == flow.id
    params = flow.body.get("scheduleParams") if flow.state != DRAFT else None  # a draft's may lack members
    asked = Schedule.of(params, initial_load=initial_load) if params else None
    if asked is None:
        connection.execute(sa.delete(_TABLE).where(mine))
        return
    row = connection.execute(sa.select(_TABLE).where(mine).with_for_update()).first()
    if row is None and (flow.state != ENABLED or (asked.period_ms is None and _settled(flow, before))):
        return
    present = connection.execute(sa.select(now())).scalar_one()
    plan = plan_of(row).amended(asked, present) if row else Plan.begun(asked, present)
    values = values_of(plan, enabled=flow.state == ENABLED)
    if row is None:
        connection.execute(sa.insert(_TABLE).values(flow_id=flow.id, **place, **values))
    else:
        connection.execute(sa.update(_TABLE).where(mine).values(values))


def _settled(flow: Resource, before: Resource | None) -> bool:
    """Whether a change leaves the schedule of a flow as it was."""
    return (
        before is not None
        and before.state != DRAFT
        and before.body.get("scheduleParams") == flow.body.get("scheduleParams")
    )


def landed(connection: sa.Connection, run: Run) -> None:
    """Note that a run of a schedule, or one that repeats such a run, has landed its window."""
    mine = _TABLE.c.flow_id == run.flow_id
    row = connection.execute(sa.select(_TABLE).where(mine).with_for_update()).first()
    if row is not None:
        covered = plan_of(row).landed(run.window).covered_ms
        connection.execute(sa.update(_TABLE).where(mine).values(covered_until=covered))


def plan_of(row: Any) -> Plan:
    """The plan that a row holds."""
    schedule = Schedule(row.start_at, row.period, row.backfill)
    return Plan(schedule, row.asked_start, row.covered_until, row.made_until)


def values_of(plan: Plan, *, enabled: bool) -> dict[str, Any]:
    """The columns of a plan's row."""
    return {
        "start_at": plan.schedule.start_ms,
        "asked_start": plan.asked_ms,
        "period": plan.schedule.period_ms,
        "backfill": plan.schedule.backfill,
        "covered_until": plan.covered_ms,
        "made_until": plan.made_ms,
        "due_at": plan.due_ms if enabled else None,
    }
