"""Ad hoc runs: one execution of a flow over one window."""

import hashlib
import json
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from headgate import faults
from headgate.config import Settings
from headgate.errors import (
    ActionUnsupported,
    BadMapping,
    BadRunParams,
    DeltaColumnDiffers,
    DeltaColumnMissing,
    FlowIdMissing,
    FlowNotEnabled,
    FrequencyNotOnce,
    KeyTooLong,
    NotFound,
    RetriggerOfFlow,
    RetriggerOfRun,
    RunRefused,
    RunUpdateForbidden,
    SourceError,
    TooManyRequests,
    UnknownAction,
    UnknownFlow,
    VersionConflict,
    WindowReversed,
)
from headgate.mapping import Unmappable, compiled, thawed
from headgate.model import wire
from headgate.model.lifecycle import folded
from headgate.model.query import Field
from headgate.model.resources import Kind, Resource, new_run, now_ms
from headgate.model.runs import Json, Run, RunState
from headgate.model.scope import Caller
from headgate.model.windows import DeltaColumn, Window, parse_instant
from headgate.service import provider_runs
from headgate.service.bodies import check_id, shown
from headgate.service.flows import copy_transformation
from headgate.service.limits import Limits
from headgate.service.paging import Listings, Parameters, known_parameters
from headgate.service.resources import AUDIT_FIELDS, touched
from headgate.service.specs import connection_spec
from headgate.sources import Selection, open_source
from headgate.store import ScopedStore, Store
from headgate.telemetry import redact

__all__ = [
    "Runs",
    "compare_delta",
    "delta_asked",
    "delta_of",
    "flow_asked",
    "given_params",
    "see_runnable",
    "since_last",
    "window_asked",
]

_STATE = Field("state", words=(*RunState, "partialSuccess"))
_FIELDS = {
    **AUDIT_FIELDS,
    "flowId": Field("flow_id"),
    "flowSpec.id": Field("flow_spec.id"),
    "flowSpec.version": Field("flow_spec.version"),
    "parentFlowRunId": Field("parent_id"),
    "providerRefId": Field("extra.providerRefId"),
    "recordTypes": Field("extra.recordTypes", open=True),
    "predecessors": Field("extra.predecessors", open=True),
    "state": _STATE,
    "metrics.statusSummary.status": _STATE,
    "metrics.durationSummary.startedAtUTC": Field("started_at", number=True),
    "metrics.durationSummary.completedAtUTC": Field("completed_at", number=True),
    **{
        f"metrics.{name}": Field(f"metrics.{name}", number=True)
        for name in (
            "sizeSummary.inputBytes",
            "sizeSummary.outputBytes",
            "recordSummary.inputRecordCount",
            "recordSummary.outputRecordCount",
            "recordSummary.failedRecordCount",
            "fileSummary.inputFileCount",
            "fileSummary.outputFileCount",
        )
    },
    **{name: Field(name, open=True) for name in ("params", "metrics", "activities")},
}
_FULL_SECONDS = 10  # after which a full queue is worth another try
_TRIES = 10  # how often a run is checked again because its flow changed meanwhile
_LONGEST_KEY = 255
_LONGEST_NAME = 1000


class Runs:
    """The runs of a sandbox. `wake` is called when there is a new one to execute."""

    def __init__(
        self, settings: Settings, store: Store, listings: Listings, limits: Limits, wake: Callable[[], None]
    ) -> None:
        self._settings = settings
        self._store = store
        self._listings = listings
        self._limits = limits
        self._wake = wake

    def create(self, caller: Caller, body: Json, *, key: str | None = None) -> Json:
        """Store and enqueue a run of the flow `body["flowId"]` over `body["params"]`'s window.

        With an idempotency `key` that an equal request had before, the run of that time is given. The first
        run of a flow on a table also sets the flow's delta column. Raises InvalidRequest, TooManyRequests.
        """
        store = self._store.scoped(caller)
        claim = _claim(key, body)
        if claim and (known := store.run_of_key(*claim)):
            return _superset(store, known)
        self._admit(caller)
        for _ in range(_TRIES):
            flow = flow_asked(store, body)
            run, changed = self._check(caller, store, flow, body)
            faults.point("api.before_insert")
            try:
                run = store.add_run(run, flow=changed, flow_etag=flow.etag, key=claim)
            except VersionConflict:  # another first run set the delta column: judge by the flow as it is now
                continue
            except NotFound as error:
                raise UnknownFlow(flowId=flow.id) from error
            faults.point("api.after_insert")
            self._wake()
            return wire.run_superset(wire.run(run))
        raise RunRefused("The flow kept changing while the run was checked; nothing was stored. Try again.")

    def listing(self, caller: Caller, parameters: Parameters) -> Json:
        """One page of runs, newest first. Raises InvalidRequest."""
        query = self._listings.read(caller.scope, "runs", parameters, _FIELDS)
        store = self._store.scoped(caller)
        page = store.runs(query)
        return self._listings.answer(caller.scope, "runs", query, page, lambda items: _shown(store, items))

    def listing_of_flow(self, caller: Caller, flow_id: str, parameters: Parameters) -> Json:
        """One page of the runs of one flow. Raises NotFound, InvalidRequest."""
        self._store.scoped(caller).get(Kind.FLOW, check_id(flow_id, Kind.FLOW))
        return self.listing(caller, [*parameters, ("property", f"flowId=={flow_id}")])

    def get(self, caller: Caller, id_: str) -> Json:
        """The run with this id. Raises NotFound."""
        store = self._store.scoped(caller)
        [item] = _shown(store, [store.run(check_id(id_, "runs"))])
        return item

    def details(self, caller: Caller, id_: str) -> Json:
        """What is known of a run besides: its window, attempts, splits, snapshot and log. Raises NotFound."""
        store = self._store.scoped(caller)
        run = store.run(check_id(id_, "runs"))
        delta = run.delta_column
        about = {"name": delta.name, "dateFormat": delta.date_format, "timezone": delta.timezone} if delta else {}
        last = [{"attempt": run.attempt, "state": run.state.value}] if run.fence else []
        return {
            "id": run.id,
            "window": run.window.wire,
            "writeMode": run.frozen["target"].get("writeMode"),
            "attempts": [*run.past_attempts, *last],
            "splits": self._splits(run),
            "log": [line.wire for line in store.log(run.id)],
            **({"deltaColumn": {name: value for name, value in about.items() if value is not None}} if delta else {}),
            **({"snapshotId": run.snapshot_id} if run.snapshot_id else {}),
        }

    def _splits(self, run: Run) -> list[Json]:
        """The splits that were read, as far as they are known: of the attempt under way, or of the last one."""
        if run.state.final:
            return [split for each in run.activities for split in _kept_splits(each)]
        staged = [split for split in self._store.queue.staged(run) if split.fence == run.fence]
        return [split.wire for split in sorted(staged, key=lambda split: split.staged_at)]

    def put(self, caller: Caller, id_: str, body: Json, *, etag: str | None) -> Json:
        """Store what a source provider says of a run, in place of what it said before; the run.

        `etag` is the version it must have, None for any. Raises NotFound, InvalidRequest, VersionConflict.
        """
        if caller.principal.kind != "service":
            raise RunUpdateForbidden
        store = self._store.scoped(caller)
        run = store.run(check_id(id_, "runs"))
        if etag is not None and run.etag != etag:
            raise VersionConflict(id=id_)
        [current] = _shown(store, [run])
        extra, parent_id = provider_runs.added(store, current, body), provider_runs.parent(store, run, body)
        changed = store.update_run(touched(run.evolve(extra=extra, parent_id=parent_id), caller), etag=run.etag)
        return wire.run(changed, current.get("childFlowRunIds", ()))

    def act(self, caller: Caller, id_: str, parameters: Parameters, *, etag: str | None = None) -> Json:
        """Do what the parameter `op` says to a run: `cancel`, which gives that run, or `re-trigger`, a new one.

        `etag` is the version the run must have, if given. Raises NotFound, InvalidRequest, VersionConflict.
        """
        check_id(id_, "runs")
        _, single = known_parameters(parameters, ("op", "subOp"))
        store, op = self._store.scoped(caller), single.get("op", "")
        match folded(op):
            case "cancel":
                return _superset(store, store.cancel_run(id_, etag=etag))
            case "retrigger":  # nothing is read any more: a 5xx for a stored run would make clients send it again
                return wire.run_superset(wire.run(self._retrigger(caller, store, id_, etag)))
            case _:
                raise UnknownAction(
                    f"The action {shown(op)} is not known. Runs take op=cancel and op=re-trigger.", op=op[:80]
                )

    def _retrigger(self, caller: Caller, store: ScopedStore, id_: str, etag: str | None) -> Run:
        """A new run of the same window, params and delta column, by the flow as it is now."""
        self._admit(caller)
        for _ in range(_TRIES):
            old = store.run(id_)
            if etag is not None and old.etag != etag:
                raise VersionConflict(id=id_)
            flow = _flow_to_retrigger(store, old)
            if not old.repeatable:
                raise RetriggerOfRun(
                    f"The run is {old.state.value}; it is re-triggered when it failed, or succeeded without a record.",
                    state=old.state.value,
                )
            run = old.again(flow.frozen, _delta_again(flow, old), str(uuid.uuid4()), now_ms())
            user, client = caller.principal.user_id, caller.principal.client_id
            run = touched(run.evolve(created_by=user, created_client=client), caller)
            try:
                store.add_run(run, flow_etag=flow.etag)
            except VersionConflict:  # the flow changed meanwhile: judge by what it is now
                continue
            except NotFound as error:
                raise RetriggerOfFlow(f"The flow {flow.id} is gone.", id=flow.id) from error
            self._wake()
            return run
        raise RunRefused("The flow kept changing while the run was checked; nothing was stored. Try again.")

    def _admit(self, caller: Caller) -> None:
        """See that the caller may make one run more. Raises TooManyRequests."""
        self._limits.run(caller)
        most = self._settings.waiting_runs
        if self._store.queue.full(caller.scope.org_id, most):
            raise TooManyRequests(f"{most} runs of this organisation wait for a worker.", after=_FULL_SECONDS)

    def _check(self, caller: Caller, store: ScopedStore, flow: Resource, body: Json) -> tuple[Run, Resource | None]:
        """The run that `body` asks for, and the flow with its delta column if this run sets it."""
        see_runnable(flow)
        present = now_ms()
        params = given_params(body)
        if params is None and self._settings.strict:
            raise BadRunParams("params is missing; send windowStartTime and windowEndTime in it.")
        window = since_last(store, flow.id, present) if params is None else window_asked(params)
        params = window.wire if params is None else params
        start = params.get("startTime")
        start_ms = present if start is None else max(present, parse_instant(start, "params.startTime"))
        delta, changed = None, None
        if flow.frozen["kind"] in ("table", "rest"):
            asked, delta = delta_asked(params), flow.delta_column
            if delta is None:
                if asked is None and flow.frozen["kind"] == "table":
                    raise DeltaColumnMissing
                asked = self._try_delta(store, flow, asked)
                delta = delta_of(asked)
                changed = _with_delta(flow, asked, caller)
            elif asked is not None:
                compare_delta(delta, asked)
        by = caller.principal.user_id, caller.principal.client_id
        run = new_run(flow, params, window, delta, start_ms=start_ms, present=present, by=by)
        return run, changed

    def _try_delta(self, store: ScopedStore, flow: Resource, asked: Json | None) -> Json:
        """See that the source is there, a delta column orders its rows and the mapping set fits its columns.

        It is the one that is asked for, else the source's own. Raises RunRefused, BadRunParams, BadMapping,
        DeltaColumnMissing.
        """
        about = flow.frozen["source"]
        secret = store.secret(about["connectionId"]) if about["connectionId"] else {}
        try:
            source = open_source(about["specId"], secret, self._settings, self._store.tenants.tenancy(store.scope))
            relation = source.describe(Selection(about["params"], about["data"]))
            if asked is None and relation.delta is None:
                raise DeltaColumnMissing
            found = asked or {"name": relation.delta}
            delta = delta_of(found)
            reason = source.delta_error(relation, delta)
        except SourceError as error:
            names = {name for auth in connection_spec(about["specId"]).auth_specs for name in auth.secrets}
            text = redact(error.detail, [str(value) for name, value in secret.items() if name in names])
            raise RunRefused(f"The source cannot be read: {text}", reason=error.code) from error
        if reason is not None:
            raise BadRunParams(reason, deltaColumn=shown(delta.name))
        if (mapping := flow.frozen.get("mapping")) is not None:
            try:
                rules, schema = thawed(mapping)
                compiled(rules, relation.columns, schema)
            except Unmappable as error:
                raise BadMapping(
                    f"The flow's mapping set does not fit its source. {error}", id=mapping["id"]
                ) from error
        return found


def flow_asked(store: ScopedStore, body: Json) -> Resource:
    """The flow that `body["flowId"]` names. Raises FlowIdMissing, UnknownFlow."""
    id_ = body.get("flowId")
    if not isinstance(id_, str) or not id_:
        raise FlowIdMissing(f"flowId is {shown(id_)}; send the id of a flow." if id_ is not None else None)
    try:
        return store.get(Kind.FLOW, check_id(id_, Kind.FLOW))
    except NotFound as error:
        raise UnknownFlow(f"No flow {shown(id_)} exists in this organisation and sandbox.", flowId=id_[:80]) from error


def see_runnable(flow: Resource) -> None:
    """See that a flow takes runs on demand. Raises FlowNotEnabled, FrequencyNotOnce."""
    if flow.state != "enabled":
        raise FlowNotEnabled(f"The flow is {flow.state}, so it takes no runs.", id=flow.id)
    frequency = flow.body["scheduleParams"]["frequency"]
    if frequency != "once":
        raise FrequencyNotOnce(
            f"The flow runs by its schedule (scheduleParams.frequency is {frequency!r}), and takes no runs on demand. "
            "For another window make a flow with the frequency `once` that reads the same.",
            id=flow.id,
        )


def window_asked(params: Json) -> Window:
    """The window of a run's `params`; an empty one is legal. Raises BadRunParams, BadTime, WindowReversed."""
    ends = []
    for name in ("windowStartTime", "windowEndTime"):
        if name not in params:
            raise BadRunParams(f"params.{name} is missing.", parameter=f"params.{name}")
        ends.append(parse_instant(params[name], f"params.{name}"))
    if ends[1] < ends[0]:
        raise WindowReversed(
            f"params.windowEndTime {shown(params['windowEndTime'])} is before "
            f"params.windowStartTime {shown(params['windowStartTime'])}."
        )
    return Window(*ends)


def delta_asked(params: Json) -> Json | None:
    """`params.deltaColumn`, checked; None when absent. Raises DeltaColumnMissing, BadRunParams."""
    asked = params.get("deltaColumn")
    if asked is None:
        return None
    if not isinstance(asked, dict):
        raise BadRunParams(f"params.deltaColumn is {shown(asked)}; send an object with a name.")
    if asked.get("name") in (None, ""):
        raise DeltaColumnMissing("params.deltaColumn.name is missing or empty.")
    for name in ("name", "dateFormat", "timezone"):
        value = asked.get(name)
        if value is not None and (not isinstance(value, str) or len(value) > _LONGEST_NAME):
            raise BadRunParams(
                f"params.deltaColumn.{name} is {shown(value)}; send a text, at most {_LONGEST_NAME} long."
            )
    return asked


def delta_of(asked: Json) -> DeltaColumn:
    """The delta column that `delta_asked()` gave."""
    return DeltaColumn(asked["name"], asked.get("dateFormat"), asked.get("timezone"))


def _claim(key: str | None, body: Json) -> tuple[str, str] | None:
    if key is None:
        return None
    if not 1 <= len(key) <= _LONGEST_KEY:
        raise KeyTooLong
    return key, hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def given_params(body: Json) -> Json | None:
    """The body's `params`; None when it has no such member, as some clients send."""
    if "params" not in body:
        return None
    params = body["params"]
    if not isinstance(params, dict) or not params:
        raise BadRunParams(f"params is {shown(params)}; send windowStartTime and windowEndTime in it.")
    return params


def compare_delta(known: DeltaColumn, asked: Json) -> None:
    """See that `asked`, which may leave out what it does not care for, is the flow's. Raises DeltaColumnDiffers."""
    pairs: tuple[tuple[str, Any], ...] = (
        ("name", known.name),
        ("dateFormat", known.date_format),
        ("timezone", known.timezone),
    )
    for name, value in pairs:
        if asked.get(name) not in (None, value):
            raise DeltaColumnDiffers(
                f"The flow's delta column has the {name} {shown(value)}, not {shown(asked[name])}. "
                "Leave deltaColumn out, or make another flow.",
                deltaColumn=known.name,
            )


def _delta_again(flow: Resource, old: Run) -> DeltaColumn | None:
    """The delta column of a run that repeats `old`; an initial load, which had none, brings everything again."""
    return (flow.delta_column or old.delta_column) if old.delta_column is not None else None


def _with_delta(flow: Resource, asked: Json, caller: Caller) -> Resource:
    """The flow with its delta column in the `Copy` transformation, which comes first when it is new."""
    delta = {name: asked[name] for name in ("name", "dateFormat", "timezone") if asked.get(name) is not None}
    transformations = [dict(entry) for entry in flow.body["transformations"]]
    if (copy := copy_transformation(transformations)) is None:
        copy = {"name": "Copy"}
        transformations.insert(0, copy)
    copy["params"] = {**(copy.get("params") or {}), "deltaColumn": delta}
    return touched(flow.evolve(body={**flow.body, "transformations": transformations}), caller)


def since_last(store: ScopedStore, flow_id: str, present: int) -> Window:
    """From where the last successful run ended to now, in whole seconds.

    A run whose window reached into the future has read no further than its own time.
    """
    last = store.last_run(flow_id, succeeded=True)
    end = present // 1000 * 1000
    start = min(last.window.end_ms, last.start_ms) // 1000 * 1000 if last else 0
    return Window(min(start, end), end)


def _flow_to_retrigger(store: ScopedStore, run: Run) -> Resource:
    """The run's flow, seen to be there, enabled and readable. Raises RetriggerOfFlow, ActionUnsupported."""
    try:
        flow = store.get(Kind.FLOW, run.flow_id)
    except NotFound as error:
        raise RetriggerOfFlow(f"The flow {run.flow_id} is gone.", id=run.flow_id) from error
    if flow.state != "enabled":
        raise RetriggerOfFlow(f"The flow is {flow.state}; enable it first.", id=flow.id)
    spec = connection_spec(flow.frozen["source"]["specId"])
    if not spec.runnable:
        raise ActionUnsupported(f"{spec.title} is only listed in the catalogue; it is not read.", id=spec.id)
    return flow


def _kept_splits(activity: Json) -> list[Json]:
    splits: list[Json] = activity.get("statusSummary", {}).get("extensions", {}).get("splits", [])
    return splits


def _superset(store: ScopedStore, run: Run) -> Json:
    [item] = _shown(store, [run])
    return wire.run_superset(item)


def _shown(store: ScopedStore, items: Sequence[Run]) -> list[Json]:
    children = store.children([item.id for item in items])
    return [wire.run(item, children.get(item.id, ())) for item in items]
