"""The states of connections, source and target connections and flows, and the actions that change them.

    POST ?mode=draft → draft ──publish──▶ enabled ⇄ disabled    (flows are disabled and enabled)
    POST ──────────────────────────────▶ enabled

An action is answered once its state is final, so the states that only pass (`enabling` and its like) are known
because the contract names them, and nothing can be done to a resource in one of them.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from headgate.errors import (
    BadSubAction,
    BadSubStatus,
    ConnectionForbidsUpdate,
    FinalizeForbidden,
    FinalizeInState,
    IllegalTransition,
    NotFinal,
    ProgressCombined,
    ProgressOfFailure,
    StateForbidsChange,
    StateForbidsDeletion,
    StateForbidsUpdate,
    SubActionForbidden,
    TransitionUnderWay,
    UnknownOperation,
)
from headgate.model.resources import Kind

__all__ = ["Op", "ResourceState", "after", "changeable", "check_report", "folded", "read_op", "removable"]


class ResourceState(StrEnum):
    """Where a resource stands. The values are the wire's spelling."""

    DRAFT = "draft"
    ENABLED = "enabled"
    DISABLED = "disabled"
    INITIALIZING = "initializing"
    ENABLING = "enabling"
    DISABLING = "disabling"
    UPDATING = "updating"
    DELETING = "deleting"

    @property
    def stable(self) -> bool:
        """Whether it lasts until somebody acts."""
        return self in (ResourceState.DRAFT, ResourceState.ENABLED, ResourceState.DISABLED)


class Op(StrEnum):
    """What can be done to a resource. The values are folded: small letters only."""

    PUBLISH = "publish"
    ENABLE = "enable"
    DISABLE = "disable"
    FINALIZE = "finalize"
    FINALIZE_UPDATE = "finalizeupdate"

    @property
    def finalizes(self) -> bool:
        """Whether it ends a transition that a provider carries out."""
        return self in (Op.FINALIZE, Op.FINALIZE_UPDATE)


_EDGES = {
    (ResourceState.DRAFT, Op.PUBLISH): ResourceState.ENABLED,
    (ResourceState.ENABLED, Op.DISABLE): ResourceState.DISABLED,
    (ResourceState.DISABLED, Op.ENABLE): ResourceState.ENABLED,
}
_OF_FLOWS = (Op.ENABLE, Op.DISABLE)
_SUB_OPS = ("apply", "rollback", "progress")
_FAILED = ("failed", "partialfailure")
_FINAL = ("completed", "success", "partialsuccess", *_FAILED)
_STATUSES = (*_FINAL, "inprogress", "queued", "scheduled")


def folded(word: str) -> str:
    """A word of the action vocabulary without regard to letter case, `-` and `_`."""
    return word.lower().replace("-", "").replace("_", "")


def read_op(kind: Kind, word: str, sub_ops: str | None, *, by_service: bool) -> Op:
    """The action that `op` and `subOp` ask for.

    Raises UnknownOperation, FinalizeForbidden, BadSubAction, SubActionForbidden, ProgressCombined.
    """
    known = [op for op in Op if kind is Kind.FLOW or op not in _OF_FLOWS]
    op = next((op for op in known if op == folded(word)), None)
    if op is None:
        raise UnknownOperation(
            f"The action {word[:40]!r} is not known. {kind} take op={', '.join(known)}.", op=word[:40]
        )
    if op.finalizes and not by_service:
        raise FinalizeForbidden(op=op.value)
    parts = [folded(part) for part in sub_ops.split(",")] if sub_ops else []
    if any(part not in _SUB_OPS for part in parts):
        raise BadSubAction(f"subOp is {(sub_ops or '')[:40]!r}; send apply, rollback or progress.")
    if len(parts) > 1 and "progress" in parts:
        raise ProgressCombined
    if parts and not op.finalizes and (op is not Op.PUBLISH or parts != ["apply"]):
        raise SubActionForbidden(f"op={op} takes no subOp {parts[0]!r}.", op=op.value)
    return op


def check_report(report: Mapping[str, Any], sub_ops: str | None) -> None:
    """See that a provider's report on an action makes sense: `{percentCompleted, status: {value}}`.

    Raises BadSubStatus, ProgressOfFailure, NotFinal.
    """
    status = report.get("status")
    if status is None:
        return
    value = status.get("value") if isinstance(status, Mapping) else status
    word = folded(value) if isinstance(value, str) else ""
    if word not in _STATUSES:
        raise BadSubStatus(f"status.value is {repr(value)[:80]}; send COMPLETED, IN_PROGRESS or FAILED for instance.")
    progress = folded(sub_ops or "") == "progress"
    if progress and word in _FAILED:
        raise ProgressOfFailure
    percent = report.get("percentCompleted")
    if not progress and word in _FINAL and percent is not None and percent != 100:
        raise NotFinal(f"percentCompleted is {repr(percent)[:40]}; {value} needs 100.")


def after(state: ResourceState, op: Op) -> ResourceState:
    """The state that `op` leads to. Raises TransitionUnderWay, FinalizeInState, IllegalTransition."""
    if op.finalizes:
        raise FinalizeInState(f"Nothing is to be finalized in the state {state}.", state=state.value)
    if not state.stable:
        raise TransitionUnderWay(f"The state is {state}; wait until it is final.", state=state.value)
    to = _EDGES.get((state, op))
    if to is None:
        raise IllegalTransition(f"op={op} is not possible in the state {state}.", state=state.value, op=op.value)
    return to


def changeable(kind: Kind, state: ResourceState) -> None:
    """See that a resource in this state may be changed.

    Raises ConnectionForbidsUpdate, StateForbidsChange (source and target connections), StateForbidsUpdate (flows).
    """
    if state.stable:
        return
    refusal = {Kind.CONNECTION: ConnectionForbidsUpdate, Kind.FLOW: StateForbidsUpdate}.get(kind, StateForbidsChange)
    raise refusal(f"The state is {state}; a resource is changed when its state is final.", state=state.value)


def removable(kind: Kind, state: ResourceState) -> None:
    """See that a resource in this state may be deleted. Raises ConnectionForbidsUpdate, StateForbidsDeletion."""
    if state.stable:
        return
    refusal = ConnectionForbidsUpdate if kind is Kind.CONNECTION else StateForbidsDeletion
    raise refusal(f"The state is {state}; a resource is deleted when its state is final.", state=state.value)
