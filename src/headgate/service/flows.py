"""Flows: from one source connection to one target connection."""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from headgate.errors import (
    BackfillForbidden,
    BadFrequency,
    BadMapping,
    BadParameter,
    BadSchedule,
    ConnectorUnsupported,
    DeltaColumnForbidden,
    DeltaColumnRequired,
    IdMissing,
    IntervalMissing,
    IntervalTooSmall,
    NotExactlyOne,
    ParameterMissing,
    ScheduleEmpty,
    SourceNotOnDemand,
    StateNotAllowed,
    TargetNotLake,
)
from headgate.model.query import Field
from headgate.model.resources import Kind, Resource
from headgate.model.runs import Json
from headgate.model.scope import Caller
from headgate.model.windows import parse_instant
from headgate.service import wire
from headgate.service.bodies import (
    check_id,
    check_schema,
    kept,
    optional_object,
    required_name,
    shown,
    spec_ref,
    text,
)
from headgate.service.resources import Collection, new_resource
from headgate.service.specs import connection_spec, flow_spec
from headgate.sources import FlowSpec
from headgate.store import ScopedStore

__all__ = ["Flows", "copy_transformation"]

_FREQUENCIES = ("once", "minute", "hour", "day", "week")


class Flows(Collection):
    """Flows. A flow keeps a copy of its source and target, so later changes of those do not reach it."""

    kind = Kind.FLOW
    fields: ClassVar = {
        "flowSpec.id": Field("body.flowSpec.id"),
        "flowSpec.version": Field("body.flowSpec.version"),
        "scheduleParams.frequency": Field("body.scheduleParams.frequency", folded=True),
    }

    def _read(self, caller: Caller, store: ScopedStore, body: Json) -> tuple[Resource, Iterable[str], Json | None]:
        if "state" in body:
            raise StateNotAllowed
        name, ref = required_name(body), spec_ref(body, "flowSpec")
        spec = flow_spec(ref.id)
        source_id = _the_one(body, "sourceConnectionIds")
        target_id = _the_one(body, "targetConnectionIds")
        frequency = _check_schedule(body)
        transformations = _transformations(body, spec, frequency)
        options = optional_object(body, "options")
        check_schema(options, spec.shape["optionSpec"]["spec"], "options")
        source = store.get(Kind.SOURCE_CONNECTION, check_id(source_id, Kind.SOURCE_CONNECTION))
        target = store.get(Kind.TARGET_CONNECTION, check_id(target_id, Kind.TARGET_CONNECTION))
        _check_specs(spec, source, target)
        dataset = store.get(Kind.DATASET, target.params["dataSetId"])
        connection_id = source.body.get("baseConnectionId")
        content = {
            **kept(body, "name", "description", "scheduleParams", "labels", "policy"),
            "flowSpec": {"id": ref.id, "version": ref.version},
            "sourceConnectionIds": [source_id],
            "targetConnectionIds": [target_id],
            "transformations": transformations,
            "options": options,
        }
        frozen = {
            "kind": spec.kind,
            "source": {
                "sourceConnectionId": source_id,
                "connectionId": connection_id,
                "specId": source.spec.id,
                "params": source.params,
                "data": source.body["data"],
            },
            "target": {
                "targetConnectionId": target_id,
                "specId": target.spec.id,
                "dataSetId": dataset.id,
                "table": dataset.frozen["table"],
                "writeMode": target.params["writeMode"],
            },
            "options": options,
        }
        links = [source_id, target_id, dataset.id, *([connection_id] if connection_id else [])]
        return new_resource(self.kind, caller, name, content, frozen=frozen), links, None

    def _shown(self, store: ScopedStore, items: Sequence[Resource]) -> list[Json]:
        newest = store.last_runs([item.id for item in items])
        return [wire.resource(item, newest.get(item.id)) for item in items]


def copy_transformation(transformations: Sequence[Json]) -> Json | None:
    """The `Copy` transformation, which holds the flow's delta column; None when there is none."""
    return next((entry for entry in transformations if entry["name"].lower() == "copy"), None)


def _the_one(body: Json, name: str) -> str:
    ids = body.get(name)
    if ids is None or ids in ([], "", [None], [""]):
        raise IdMissing(f"{name} is missing or empty; send a list with one id.", parameter=name)
    if not isinstance(ids, list) or len(ids) != 1:
        raise NotExactlyOne(f"{name} is {shown(ids)}; send a list with exactly one id.", parameter=name)
    if not isinstance(ids[0], str):
        raise IdMissing(f"{name} holds {shown(ids[0])}; send an id.", parameter=name)
    return ids[0]


def _check_schedule(body: Json) -> str:
    """The frequency of `scheduleParams`, whose members may all be texts. A past startTime is allowed."""
    schedule = optional_object(body, "scheduleParams")
    if not schedule:
        raise ScheduleEmpty
    frequency = schedule.get("frequency")
    if frequency not in _FREQUENCIES:
        raise BadFrequency(
            f"scheduleParams.frequency is {shown(frequency)}; send one of {', '.join(_FREQUENCIES)}.",
            parameter="scheduleParams.frequency",
        )
    if schedule.get("startTime") is None:
        raise ParameterMissing("scheduleParams.startTime is missing.", parameter="scheduleParams.startTime")
    parse_instant(schedule["startTime"], "scheduleParams.startTime")
    interval, backfill = schedule.get("interval"), schedule.get("backfill")
    if frequency == "once":
        if interval is not None:
            raise BadSchedule(f"scheduleParams.interval is {shown(interval)}; `once` has none.")
        if backfill is not None:
            raise BackfillForbidden(f"scheduleParams.backfill is {shown(backfill)}; `once` has none.")
        return "once"
    if interval is None:
        raise IntervalMissing(f"scheduleParams.interval is missing; the frequency {frequency!r} needs it.")
    least = 15 if frequency == "minute" else 1
    if not _whole(interval) or int(interval) < least:
        raise IntervalTooSmall(
            f"scheduleParams.interval is {shown(interval)}; with {frequency!r} it is {least} or more."
        )
    if backfill not in (None, True, False, "true", "false"):
        raise BadParameter(f"scheduleParams.backfill is {shown(backfill)}; send true or false.")
    return str(frequency)


def _whole(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) < 10 and value.isascii() and value.isdigit()
    return isinstance(value, int) and not isinstance(value, bool)


def _transformations(body: Json, spec: FlowSpec, frequency: str) -> list[Json]:
    given = body.get("transformations")
    if given is None:
        given = []
    if not isinstance(given, list) or not all(isinstance(entry, dict) for entry in given):
        raise BadParameter(f"transformations is {shown(given)}; send a list of objects.")
    for entry in given:
        name = text(entry, "name", where="transformations[].")
        if not name:
            raise ParameterMissing("A transformation has no name.", parameter="transformations[].name")
        known = [about["name"] for about in spec.shape["transformationSpec"]]
        if name.lower() not in [name.lower() for name in known]:
            raise BadParameter(
                f"The transformation {shown(name)} is not known; this kind of flow has: {', '.join(known)}."
            )
        optional_object(entry, "params")
        if name.lower() == "mapping":
            raise BadMapping
    if spec.needs_delta_column:
        _check_copy(given, spec, frequency)
    return given


def _check_copy(transformations: list[Json], spec: FlowSpec, frequency: str) -> None:
    copies = [entry for entry in transformations if entry["name"].lower() == "copy"]
    if len(copies) > 1:
        raise BadParameter("transformations holds more than one Copy.")
    params = optional_object(copies[0], "params") if copies else {}
    if frequency == "once":
        if params.get("deltaColumn") is not None:
            raise DeltaColumnForbidden
    elif params.get("deltaColumn") is None:
        raise DeltaColumnRequired
    else:
        [about] = [about for about in spec.shape["transformationSpec"] if about["name"] == "Copy"]
        check_schema(params, about["spec"], "transformations[].params")


def _check_specs(spec: FlowSpec, source: Resource, target: Resource) -> None:
    of_source = connection_spec(source.spec.id)
    if of_source.id not in spec.source_connection_spec_ids:
        raise ConnectorUnsupported(
            f"The flow spec {spec.name} does not take the connection spec {of_source.name}.", id=of_source.id
        )
    if not of_source.runnable:
        raise SourceNotOnDemand(
            f"{of_source.title} is listed in the catalogue, but this version cannot read it.", id=of_source.id
        )
    if target.spec.id not in spec.target_connection_spec_ids:
        raise TargetNotLake
