"""What rows of the metadata hold: resources and runs, and how these become rows."""

from typing import Any

from headgate.model.resources import Kind, Resource
from headgate.model.runs import Run, RunState
from headgate.model.scope import Scope
from headgate.model.windows import DeltaColumn, Window

__all__ = ["resource_of", "row_of", "row_of_resource", "run_of"]

_AUDIT = (
    "created_at",
    "updated_at",
    "created_by",
    "updated_by",
    "created_client",
    "updated_client",
    "etag",
)


def resource_of(row: Any, scope: Scope) -> Resource:
    """The resource of `scope` that a row of the resources table holds."""
    return Resource(
        kind=Kind(row.kind),
        id=row.id,
        scope=scope,
        name=row.name,
        state=row.state,
        body=row.body,
        frozen=row.frozen,
        **{key: getattr(row, key) for key in _AUDIT},
    )


def row_of_resource(resource: Resource) -> dict[str, Any]:
    """What the resources table holds of a new resource, without its place."""
    return {
        "id": resource.id,
        "kind": resource.kind.value,
        "name": resource.name,
        "state": resource.state,
        "body": resource.body,
        "frozen": resource.frozen,
        **{key: getattr(resource, key) for key in _AUDIT},
    }


def run_of(row: Any) -> Run:
    """The run that a row of the runs table holds."""
    delta = row.delta_column
    return Run(
        id=row.id,
        scope=Scope(row.org_id, row.sandbox_id, row.sandbox_name),
        flow_id=row.flow_id,
        flow_spec=row.flow_spec,
        state=RunState(row.state),
        params=row.params,
        window=Window(row.window_start, row.window_end),
        start_ms=row.start_at,
        delta_column=DeltaColumn(**delta) if delta else None,
        frozen=row.frozen,
        metrics=row.metrics,
        activities=row.activities,
        attempt=row.attempt,
        fence=row.fence,
        cancel_requested=row.cancel_requested,
        snapshot_id=row.snapshot_id,
        reverted_at=row.reverted_at,
        parent_id=row.parent_id,
        due_ms=row.due_at,
        extra=row.extra,
        past_attempts=row.past_attempts,
        untidy=row.untidy,
        **{key: getattr(row, key) for key in _AUDIT},
    )


def row_of(run: Run) -> dict[str, Any]:
    """What the runs table holds of a new run, without its place."""
    delta = run.delta_column
    return {
        "id": run.id,
        "sandbox_name": run.scope.sandbox_name,
        "flow_id": run.flow_id,
        "dataset_id": run.dataset_id,
        "flow_spec": run.flow_spec,
        "state": run.state.value,
        "params": run.params,
        "window_start": run.window.start_ms,
        "window_end": run.window.end_ms,
        "start_at": run.start_ms,
        "delta_column": (
            {"name": delta.name, "date_format": delta.date_format, "timezone": delta.timezone} if delta else None
        ),
        "frozen": run.frozen,
        "metrics": run.metrics,
        "activities": run.activities,
        "attempt": run.attempt,
        "fence": run.fence,
        "cancel_requested": run.cancel_requested,
        "parent_id": run.parent_id,
        "due_at": run.due_ms,
        "extra": run.extra,
        **{key: getattr(run, key) for key in _AUDIT},
    }
