"""Flows: from one source connection to one target connection."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from headgate.config import Settings
from headgate.errors import BadParameter, ConnectorUnsupported, SourceNotOnDemand, StateNotAllowed, TargetNotLake
from headgate.model.query import Field
from headgate.model.resources import Kind, Resource, now_ms
from headgate.model.runs import Json, Run, RunState
from headgate.service import flow_body
from headgate.service.bodies import check_id, check_schema, kept, optional_object, required_name, shown, spec_ref
from headgate.service.mapping_sets import frozen_mapping
from headgate.service.paging import Listings
from headgate.service.resources import Collection, Content, see_published
from headgate.service.specs import connection_spec, flow_spec
from headgate.service.target_layout import LAYOUT
from headgate.sources import FlowSpec
from headgate.store import ScopedStore, Store

__all__ = ["Flows", "copy_transformation"]


class Flows(Collection):
    """Flows. A flow keeps a copy of its source and target, so later changes of those do not reach it."""

    kind = Kind.FLOW
    fields: ClassVar = {
        "flowSpec.id": Field("body.flowSpec.id"),
        "flowSpec.version": Field("body.flowSpec.version"),
        "sourceConnectionIds[]": Field("body.sourceConnectionIds[]"),
        "targetConnectionIds[]": Field("body.targetConnectionIds[]"),
        "scheduleParams.frequency": Field("body.scheduleParams.frequency", folded=True),
        **{
            name: Field(f"body.{name}", open=True)
            for name in ("transformations", "scheduleParams", "options", "labels", "policy")
        },
        "inheritedAttributes.properties.isSourceFlow": Field("", always=True),
        "inheritedAttributes.properties.isDestinationFlow": Field("", always=False),
        **{
            f"inheritedAttributes.{name}": Field(f"frozen.{column}")
            for name, column in {
                "sourceConnections[].id": "source.sourceConnectionId",
                "sourceConnections[].connectionSpec.id": "source.specId",
                "sourceConnections[].baseConnection.id": "source.connectionId",
                "sourceConnections[].baseConnection.connectionSpec.id": "source.specId",
                "targetConnections[].id": "target.targetConnectionId",
                "targetConnections[].connectionSpec.id": "target.specId",
            }.items()
        },
        "lastRunDetails.id": Field("last_run.id"),
        "lastRunDetails.state": Field("last_run.state", words=tuple(RunState)),
        "lastRunDetails.startedAtUTC": Field("last_run.started_at", number=True),
        "lastRunDetails.completedAtUTC": Field("last_run.completed_at", number=True),
    }
    changeable = frozenset(
        {
            "name",
            "description",
            "labels",
            "options",
            "policy",
            "scheduleParams",
            "sourceConnectionIds",
            "targetConnectionIds",
            "transformations",
        }
    )

    def __init__(self, store: Store, listings: Listings, settings: Settings) -> None:
        super().__init__(store, listings)
        self._strict = settings.strict

    def _content(self, store: ScopedStore, body: Json, before: Resource | None = None) -> Content:
        if "state" in body:
            raise StateNotAllowed
        name, spec = required_name(body), flow_spec(spec_ref(body, "flowSpec").id, store)
        source_id = flow_body.the_one(body, "sourceConnectionIds")
        target_id = flow_body.the_one(body, "targetConnectionIds")
        flow_body.check_marks(body)
        frequency = flow_body.check_schedule(body)
        schedule, present = body["scheduleParams"], now_ms()
        if before is not None:
            flow_body.check_schedule_change(before.body["scheduleParams"], schedule, present)
        elif self._strict:
            flow_body.see_future(schedule, present)
        transformations = _transformations(body, spec, frequency, before)
        options = optional_object(body, "options")
        check_schema(options, spec.shape["optionSpec"]["spec"], "options")
        source, target = _ends(store, spec, source_id, target_id)
        frozen = _frozen(store, spec, source, target, before)
        if (mapping := _mapping(store, transformations, frozen, before)) is not None:
            frozen["mapping"] = mapping
            _check_key(frozen)
        content = {
            **kept(body, "name", "description", "scheduleParams", "labels", "policy"),
            "flowSpec": {"id": spec.id, "version": spec.version},
            "sourceConnectionIds": [source_id],
            "targetConnectionIds": [target_id],
            "transformations": transformations,
            "options": options,
        }
        return Content(name, content, _links(frozen), frozen={**frozen, "options": options})

    def _sketch(self, store: ScopedStore, body: Json) -> Content:
        if "state" in body:
            raise StateNotAllowed
        name, spec = required_name(body), flow_spec(spec_ref(body, "flowSpec").id, store)
        source_id = flow_body.the_one(body, "sourceConnectionIds")
        target_id = flow_body.the_one(body, "targetConnectionIds")
        flow_body.check_marks(body)
        source = store.get(Kind.SOURCE_CONNECTION, check_id(source_id, Kind.SOURCE_CONNECTION))
        target = store.get(Kind.TARGET_CONNECTION, check_id(target_id, Kind.TARGET_CONNECTION))
        content = {
            **kept(body, "name", "description", "labels", "policy"),
            "flowSpec": {"id": spec.id, "version": spec.version},
            "sourceConnectionIds": [source_id],
            "targetConnectionIds": [target_id],
            "transformations": flow_body.transformations(body, spec),
            "options": optional_object(body, "options"),
        }
        if schedule := optional_object(body, "scheduleParams"):
            content["scheduleParams"] = schedule
        frozen = {"kind": spec.kind, "source": _from(source), "target": _to(target)}
        return Content(name, content, _links(frozen), frozen=frozen)

    def _last_runs(self, store: ScopedStore, items: Sequence[Resource]) -> Mapping[str, Run]:
        return store.last_runs([item.id for item in items])


def copy_transformation(transformations: Sequence[Json]) -> Json | None:
    """The `Copy` transformation, which holds the flow's delta column; None when there is none."""
    return flow_body.found("Copy", transformations)


def _transformations(body: Json, spec: FlowSpec, frequency: str, before: Resource | None) -> list[Json]:
    """The flow's transformations. One on demand keeps the `Copy` of its first run for as long as its source."""
    given = flow_body.transformations(body, spec)
    if not spec.needs_delta_column:
        return given
    kept_copy = None
    if before is not None and before.body["sourceConnectionIds"] == body["sourceConnectionIds"]:
        kept_copy = copy_transformation(before.body["transformations"])
    known: Any = flow_body.delta_column([kept_copy]) if kept_copy else None
    flow_body.check_delta_column(given, spec, frequency, known)
    if frequency == "once" and kept_copy is not None and flow_body.delta_column(given) is None:
        return [kept_copy, *(entry for entry in given if entry["name"].lower() != "copy")]
    return given


def _ends(store: ScopedStore, spec: FlowSpec, source_id: str, target_id: str) -> tuple[Resource, Resource]:
    """The flow's source and target connection, seen to be published and to suit `spec`."""
    source = store.get(Kind.SOURCE_CONNECTION, check_id(source_id, Kind.SOURCE_CONNECTION))
    target = store.get(Kind.TARGET_CONNECTION, check_id(target_id, Kind.TARGET_CONNECTION))
    of_source = connection_spec(source.spec.id, store)
    if not of_source.runnable:
        raise SourceNotOnDemand(
            f"{of_source.title} is listed in the catalogue, but this version cannot read it.", id=of_source.id
        )
    if of_source.id not in spec.source_connection_spec_ids:
        raise ConnectorUnsupported(
            f"The flow spec {spec.name} does not take the connection spec {of_source.name}.", id=of_source.id
        )
    if target.spec.id not in spec.target_connection_spec_ids:
        raise TargetNotLake
    see_published(source)
    see_published(target)
    return source, target


def _frozen(store: ScopedStore, spec: FlowSpec, source: Resource, target: Resource, before: Resource | None) -> Json:
    """Copies of the flow's source and target; of those it had before, the copies it has."""
    old = before.frozen if before is not None else {}
    frozen: Json = {"kind": spec.kind}
    if old and old["source"]["sourceConnectionId"] == source.id:
        frozen["source"] = old["source"]
    else:
        frozen["source"] = {**_from(source), "params": source.params, "data": source.body["data"]}
    if old and old["target"]["targetConnectionId"] == target.id:
        frozen["target"] = old["target"]
    else:
        dataset = store.get(Kind.DATASET, target.params["dataSetId"])
        layout = {name: target.params[name] for name in LAYOUT if name in target.params}
        frozen["target"] = {
            **_to(target),
            "dataSetId": dataset.id,
            "table": dataset.frozen["table"],
            "writeMode": target.params["writeMode"],
            **({"primaryKey": target.params["primaryKey"]} if "primaryKey" in target.params else {}),
            **({"layout": layout} if layout else {}),
        }
    return frozen


def _mapping(store: ScopedStore, given: Sequence[Json], frozen: Json, before: Resource | None) -> Json | None:
    """The mapping set that the flow keeps; the one it has, while neither the transformation nor the target changes."""
    asked = flow_body.found("Mapping", given)
    if asked is None:
        return None
    if before is not None and before.frozen.get("target") == frozen["target"]:
        held: Json | None = before.frozen.get("mapping")
        if held is not None and flow_body.found("Mapping", before.body["transformations"]) == asked:
            return held
    dataset = store.get(Kind.DATASET, frozen["target"]["dataSetId"])
    return frozen_mapping(store, optional_object(asked, "params"), dataset)


def _check_key(frozen: Json) -> None:
    """See that the key by which rows replace each other is among what is mapped."""
    destinations = [each["destination"] for each in frozen["mapping"]["mappings"]]
    for name in frozen["target"].get("primaryKey", ()):
        if not any(name == path or name.startswith(f"{path}.") for path in destinations):
            raise BadParameter(
                f"params.primaryKey of the target connection names {shown(name)}, which no mapping gives. Map it, or "
                f"make a target connection whose key is of: {', '.join(destinations)}.",
                parameter="params.primaryKey",
            )


def _from(source: Resource) -> Json:
    return {
        "sourceConnectionId": source.id,
        "connectionId": source.body.get("baseConnectionId"),
        "specId": source.spec.id,
    }


def _to(target: Resource) -> Json:
    return {"targetConnectionId": target.id, "specId": target.spec.id}


def _links(frozen: Json) -> list[str]:
    """The ids that a flow refers to."""
    source, target = frozen["source"], frozen["target"]
    ids = (source["sourceConnectionId"], target["targetConnectionId"], source["connectionId"], target.get("dataSetId"))
    return [id_ for id_ in (*ids, (frozen.get("mapping") or {}).get("id")) if id_]
