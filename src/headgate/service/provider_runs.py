"""What a source provider may write into a run, by PUT: its own reference, where the run comes from, more figures.

The engine alone says what a run has done. Its blocks of `metrics`, its activities and the run's state are read-only:
sent back as they were read they are understood, anything else is refused. What a provider adds stands beside them.
"""

from collections.abc import Mapping

from headgate.errors import (
    BadParameter,
    IllegalTransition,
    NotFound,
    RunFixed,
    UnknownPredecessorFlow,
    UnknownPredecessorRun,
)
from headgate.model.resources import Kind
from headgate.model.runs import Json, Run
from headgate.service.bodies import check_id, objects, shown, text, texts
from headgate.store import ScopedStore

__all__ = ["added", "parent"]

_FIXED = ("id", "flowId", "flowSpec", "params", "childFlowRunIds", "createdAt", "createdBy", "createdClient")
_OF_ENGINE = frozenset({"durationSummary", "sizeSummary", "recordSummary", "fileSummary", "statusSummary", "progress"})
_ACTIVITIES = frozenset({"copyActivity", "promotionActivity"})
_LONGEST = 1000
_MOST = 100


def added(store: ScopedStore, current: Json, body: Json) -> Json:
    """What `body` adds to the run that is shown as `current`. Raises InvalidRequest."""
    for name in _FIXED:
        if body.get(name) is not None and body[name] != current.get(name):
            raise RunFixed(f"{name} is {shown(body[name])}; it cannot be changed, leave it out.", parameter=name)
    reference = text(body, "providerRefId")
    if reference is not None and len(reference) > _LONGEST:
        raise BadParameter(f"providerRefId has {len(reference)} characters; {_LONGEST} are allowed.")
    types = texts(body, "recordTypes", most=_MOST)
    predecessors = objects(body, "predecessors", most=_MOST)
    extra: Json = {
        "providerRefId": reference,
        "recordTypes": types,
        "predecessors": [_predecessor(store, entry) for entry in predecessors],
        "metrics": _metrics(current, body),
        "activities": _activities(current, body),
    }
    return {name: value for name, value in extra.items() if value}


def parent(store: ScopedStore, run: Run, body: Json) -> str | None:
    """The run that `run` repeats, as `body` says. Raises UnknownPredecessorRun, RunFixed, BadParameter."""
    id_ = text(body, "parentFlowRunId")
    if not id_ or id_ == run.parent_id:
        return run.parent_id
    if run.parent_id is not None or id_ == run.id:
        raise RunFixed(f"parentFlowRunId is {shown(id_)}; the run's is {shown(run.parent_id)}.")
    return _run(store, id_, "parentFlowRunId").id


def _predecessor(store: ScopedStore, entry: Json) -> Json:
    run_id, flow_id = (text(entry, name, where="predecessors[].") or "" for name in ("flowRunId", "flowId"))
    before = _run(store, run_id, "predecessors[].flowRunId")
    if flow_id != before.flow_id:
        raise UnknownPredecessorFlow(f"predecessors[].flowId is {shown(flow_id)}; its run is of {before.flow_id!r}.")
    try:
        store.get(Kind.FLOW, flow_id)
    except NotFound as error:
        raise UnknownPredecessorFlow(f"predecessors[].flowId names no flow {shown(flow_id)}.") from error
    return {"flowId": flow_id, "flowRunId": run_id, "flowSpec": before.flow_spec}


def _run(store: ScopedStore, id_: str, where: str) -> Run:
    try:
        return store.run(check_id(id_, "runs"))
    except NotFound as error:
        raise UnknownPredecessorRun(f"{where} names no run {shown(id_)} of this sandbox.", id=id_[:80]) from error


def _metrics(current: Json, body: Json) -> Json:
    given = body.get("metrics")
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise BadParameter(f"metrics is {shown(given)}; send an object.", parameter="metrics")
    own: Json = current["metrics"]
    status = given.get("statusSummary")
    if (
        isinstance(status, Mapping)
        and status.get("status", own["statusSummary"]["status"]) != (own["statusSummary"]["status"])
    ):
        raise IllegalTransition(
            f"metrics.statusSummary.status is {shown(status['status'])}; what a run does is the worker's to say, "
            f"and it says {own['statusSummary']['status']!r}."
        )
    extra: Json = {}
    for name, block in given.items():
        if name == "customSummary" or (name in _OF_ENGINE and block != own.get(name)):
            raise RunFixed(f"metrics.{name} is read-only; leave it out.", parameter=f"metrics.{name}")
        if name not in _OF_ENGINE:
            extra[name] = block
    return extra


def _activities(current: Json, body: Json) -> list[Json]:
    own = {activity["id"]: activity for activity in current["activities"]}
    extra: list[Json] = []
    for activity in objects(body, "activities", most=_MOST):
        id_ = text(activity, "id", where="activities[].")
        if not id_ or any(id_ == known["id"] for known in extra):
            raise BadParameter(f"activities[].id is {shown(id_)}; every activity has an id of its own.")
        if id_ not in _ACTIVITIES:
            extra.append(activity)
        elif activity != own.get(id_):
            raise RunFixed(f"The activity {id_} is read-only; leave it out.", parameter="activities")
    return extra
