"""Runs: their states, and the figures they report."""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from headgate.errors import IllegalTransition
from headgate.model.scope import Scope
from headgate.model.windows import DeltaColumn, Window

__all__ = ["Json", "Run", "RunState"]

Json = dict[str, Any]


class RunState(StrEnum):
    """Where a run stands. The values are the wire's spelling.

    scheduled → queued → inProgress → success | failed | cancelled; a run that has not begun may be
    cancelled, and an inProgress run goes back to queued when its worker hands it back.
    """

    SCHEDULED = "scheduled"
    QUEUED = "queued"
    IN_PROGRESS = "inProgress"
    SUCCESS = "success"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether nothing follows."""
        return not _EDGES[self]

    def transition(self, to: "RunState") -> "RunState":
        """Return `to`. Raises IllegalTransition when no edge leads there."""
        if to not in _EDGES[self]:
            raise IllegalTransition(f"A run that is {self} cannot become {to}.", state=self.value, to=to.value)
        return to


_EDGES: dict[RunState, frozenset[RunState]] = {
    RunState.SCHEDULED: frozenset({RunState.QUEUED, RunState.CANCELLED, RunState.FAILED}),
    RunState.QUEUED: frozenset({RunState.IN_PROGRESS, RunState.CANCELLED, RunState.FAILED}),
    RunState.IN_PROGRESS: frozenset({RunState.SUCCESS, RunState.FAILED, RunState.CANCELLED, RunState.QUEUED}),
    RunState.SUCCESS: frozenset(),
    RunState.FAILED: frozenset(),
    RunState.CANCELLED: frozenset(),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One execution of a flow over one window.

    `params` is what the client sent, echoed as it came. `metrics` and `activities` have the wire's shape.
    `frozen` is the flow's copy of its source and target. Times are milliseconds since the epoch. `attempt`
    counts tries at this run, `fence` grows with every claim and rejects a worker that no longer owns it.
    `reverted_at` is when its rows were taken out again. `parent_id` is the run that this one repeats; `due_ms`
    the due time of its flow's schedule that it, or the run it repeats, was made for, None for a run on demand;
    `extra` holds what providers add to the wire's shape. `past_attempts` says of each attempt that did not end the
    run what became of it; `untidy`, that one of them was lost without a word or without an answer to its commit, or
    that its files may still be there.
    """

    id: str
    scope: Scope
    flow_id: str
    flow_spec: Json
    state: RunState
    params: Json
    window: Window
    start_ms: int
    delta_column: DeltaColumn | None
    created_at: int
    updated_at: int
    created_by: str
    updated_by: str
    created_client: str
    updated_client: str
    etag: str
    frozen: Json
    metrics: Json = field(default_factory=dict)
    activities: list[Json] = field(default_factory=list)
    attempt: int = 0
    fence: int = 0
    cancel_requested: bool = False
    snapshot_id: str | None = None
    reverted_at: int | None = None
    parent_id: str | None = None
    due_ms: int | None = None
    extra: Json = field(default_factory=dict)
    past_attempts: list[Json] = field(default_factory=list)
    untidy: bool = False

    @property
    def dataset_id(self) -> str | None:
        """The dataset that it writes to."""
        id_: str | None = self.frozen.get("target", {}).get("dataSetId")
        return id_

    def evolve(self, **changes: Any) -> "Run":
        """This run with `changes`."""
        return replace(self, **changes)

    @property
    def repeatable(self) -> bool:
        """Whether it may be re-triggered: it failed, or succeeded without a record that is still there."""
        landed = self.metrics.get("recordSummary", {}).get("outputRecordCount", 0)
        empty = landed == 0 or self.reverted_at is not None
        return self.state is RunState.FAILED or (self.state is RunState.SUCCESS and empty)

    def again(self, frozen: Json, delta_column: DeltaColumn | None, id_: str, present: int) -> "Run":
        """A new run `id_` of this one's window and params, which begins at `present`."""
        return replace(
            self,
            id=id_,
            state=RunState.SCHEDULED,
            start_ms=present,
            delta_column=delta_column,
            created_at=present,
            updated_at=present,
            frozen=frozen,
            metrics={"statusSummary": {"status": RunState.SCHEDULED.value}},
            activities=[],
            attempt=0,
            fence=0,
            cancel_requested=False,
            snapshot_id=None,
            reverted_at=None,
            parent_id=self.id,
            extra={},
            past_attempts=[],
            untidy=False,
        )
