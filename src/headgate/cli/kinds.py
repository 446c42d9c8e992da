"""The kinds of things a service holds, and what is shown of each."""

from collections.abc import Mapping
from typing import Any

from headgate.cli.output import Column, at, moment
from headgate.cli.resources import Pages, Resources, catalog_items
from headgate.model.addresses import CATALOG, CONVERSION, FLOW_SERVICE, REGISTRY
from headgate.model.runs import Json

__all__ = [
    "BATCHES",
    "BEHAVIORS",
    "CLASSES",
    "CONNECTIONS",
    "CONNECTION_SPECS",
    "DATASETS",
    "DATA_TYPES",
    "DESCRIPTORS",
    "FIELD_GROUPS",
    "FLOWS",
    "FLOW_SPECS",
    "LINKED",
    "MAPPING_SETS",
    "RUNS",
    "SCHEMAS",
    "SOURCES",
    "TARGETS",
    "state_of",
    "window_of",
]

LINKED = Pages(lambda page: page["items"])


def _first(answer: Any) -> Json:
    found: Json = answer["items"][0]
    return found


def _time(member: str) -> Column:
    title = {"createdAt": "created (UTC)", "updatedAt": "updated (UTC)"}.get(member, f"{member} (UTC)")
    return title, lambda item: moment(item[member]) if item.get(member) is not None else ""


_STATE: Column = ("state", "state")
_CREATED, _UPDATED = _time("createdAt"), _time("updatedAt")
_KEPT = (_STATE, _CREATED, ("by", "createdBy"), _UPDATED)


def _about(item: Json) -> str:
    params = item.get("params", {})
    return str(params.get("tableName") or params.get("path") or params.get("fileList") or "")


def _schedule(flow: Json) -> str:
    schedule = flow.get("scheduleParams") or {}
    frequency = schedule.get("frequency", "")
    return f"every {schedule['interval']} {frequency}" if schedule.get("interval") else str(frequency)


def _last_run(flow: Json) -> str:
    last = flow.get("lastRunDetails")
    return f"{last['state']} {moment(last['startedAtUTC']) if 'startedAtUTC' in last else ''}".strip() if last else ""


CONNECTIONS = Resources(
    "connection",
    f"{FLOW_SERVICE}/connections",
    columns=(("connection", "id"), ("name", "name"), ("auth", "auth.specName"), _STATE, _CREATED),
    fields=(
        ("connection", "id"),
        ("name", "name"),
        ("about", "description"),
        ("spec", "connectionSpec.id"),
        ("auth", "auth.specName"),
        ("params", "auth.params"),
        *_KEPT,
    ),
    paged=LINKED,
    one=_first,
)
SOURCES = Resources(
    "source connection",
    f"{FLOW_SERVICE}/sourceConnections",
    columns=(("source", "id"), ("name", "name"), ("reads", _about), ("connection", "baseConnectionId"), _CREATED),
    fields=(
        ("source", "id"),
        ("name", "name"),
        ("connection", "baseConnectionId"),
        ("spec", "connectionSpec.id"),
        ("data", "data"),
        ("params", "params"),
        *_KEPT,
    ),
    paged=LINKED,
    one=_first,
)
TARGETS = Resources(
    "target connection",
    f"{FLOW_SERVICE}/targetConnections",
    columns=(
        ("target", "id"),
        ("name", "name"),
        ("dataset", "params.dataSetId"),
        ("writes", "params.writeMode"),
        _CREATED,
    ),
    fields=(("target", "id"), ("name", "name"), ("spec", "connectionSpec.id"), ("params", "params"), *_KEPT),
    paged=LINKED,
    one=_first,
)
FLOWS = Resources(
    "flow",
    f"{FLOW_SERVICE}/flows",
    columns=(("flow", "id"), ("name", "name"), _STATE, ("schedule", _schedule), ("last run (UTC)", _last_run)),
    fields=(
        ("flow", "id"),
        ("name", "name"),
        ("about", "description"),
        ("schedule", _schedule),
        ("source", "sourceConnectionIds"),
        ("target", "targetConnectionIds"),
        ("transforms", lambda flow: [entry["name"] for entry in flow.get("transformations", [])]),
        ("labels", "labels"),
        ("last run", _last_run),
        *_KEPT,
    ),
    paged=LINKED,
    one=_first,
)
CONNECTION_SPECS = Resources(
    "connection spec",
    f"{FLOW_SERVICE}/connectionSpecs",
    columns=(
        ("spec", "name"),
        ("system", "attributes.connectorName"),
        ("category", "attributes.category"),
        ("status", "attributes.status"),
        ("verified", "attributes.verified"),
        ("id", "id"),
    ),
    fields=(
        ("spec", "name"),
        ("id", "id"),
        ("system", "attributes.connectorName"),
        ("category", "attributes.category"),
        ("status", "attributes.status"),
        ("verified", "attributes.verified"),
    ),
    paged=Pages(lambda page: page["items"], sized=False),
    one=_first,
)
FLOW_SPECS = Resources(
    "flow spec",
    f"{FLOW_SERVICE}/flowSpecs",
    columns=(("spec", "name"), ("id", "id"), ("status", "attributes.status")),
    fields=(
        ("spec", "name"),
        ("id", "id"),
        ("status", "attributes.status"),
        ("transforms", lambda spec: [entry["name"] for entry in spec.get("transformationSpec", [])]),
    ),
    paged=Pages(lambda page: page["items"], sized=False),
    one=_first,
)
DATASETS = Resources(
    "dataset",
    f"{CATALOG}/dataSets",
    columns=(("dataset", "id"), ("name", "name"), ("state", "state"), _time("created")),
    fields=(
        ("dataset", "id"),
        ("name", "name"),
        ("about", "description"),
        ("schema", "schemaRef.id"),
        ("state", "state"),
        _time("created"),
        _time("updated"),
        ("by", "createdUser"),
    ),
    paged=Pages(catalog_items, "start"),
    one=lambda answer: catalog_items(answer)[0],
    asks="member",
)
BATCHES = Resources(
    "batch",
    f"{CATALOG}/batches",
    columns=(
        ("batch", "id"),
        ("status", "status"),
        ("dataset", lambda batch: at(batch, "relatedObjects.id")),
        ("rows", "recordCount"),
        _time("created"),
    ),
    fields=(
        ("batch", "id"),
        ("status", "status"),
        ("dataset", lambda batch: at(batch, "relatedObjects.id")),
        ("rows", "recordCount"),
        ("failed rows", "failedRecordCount"),
        ("bytes", "size"),
        _time("created"),
        _time("completed"),
    ),
    paged=Pages(catalog_items, "start"),
    one=lambda answer: catalog_items(answer)[0],
    named="id",
    asks="member",
)


def _of_registry(word: str, collection: str, *columns: Column, container: str = "tenant") -> Resources:
    """A collection of the schema registry."""
    return Resources(
        word,
        f"{REGISTRY}/{container}/{collection}",
        columns=((word, "$id"), ("title", "title"), *columns, ("version", "version")),
        fields=(
            (word, "$id"),
            ("alt id", "meta:altId"),
            ("title", "title"),
            ("about", "description"),
            *columns,
            ("members", lambda found: list(found.get("properties", {}))),
        ),
        paged=Pages(lambda page: page["results"], "start"),
        id="$id",
        named="title",
        asks="bare",
        versioned=False,
    )


SCHEMAS = _of_registry("schema", "schemas", ("class", "meta:class"))
FIELD_GROUPS = _of_registry("field group", "fieldgroups", ("for", "meta:intendedToExtend"))
CLASSES = _of_registry("class", "classes")
DATA_TYPES = _of_registry("data type", "datatypes")
BEHAVIORS = _of_registry("behavior", "behaviors", container="global")
DESCRIPTORS = Resources(
    "descriptor",
    f"{REGISTRY}/tenant/descriptors",
    columns=(("descriptor", "@id"), ("type", "@type"), ("schema", "xdm:sourceSchema"), ("of", "xdm:sourceProperty")),
    fields=(
        ("descriptor", "@id"),
        ("type", "@type"),
        ("schema", "xdm:sourceSchema"),
        ("of", "xdm:sourceProperty"),
    ),
    paged=Pages(lambda page: page["results"], "start"),
    id="@id",
    named="@id",
    asks="bare",
    versioned=False,
)
MAPPING_SETS = Resources(
    "mapping set",
    f"{CONVERSION}/mappingSets",
    columns=(
        ("mapping set", "id"),
        ("name", "name"),
        ("version", "version"),
        ("mappings", lambda found: len(found.get("mappings", []))),
    ),
    fields=(
        ("mapping set", "id"),
        ("name", "name"),
        ("version", "version"),
        ("schema", "outputSchema.schemaRef.id"),
        (
            "mappings",
            lambda found: [
                f"{entry.get('source') or entry.get('sourceAttribute')} -> "
                f"{entry.get('destination') or entry.get('destinationXdmPath')}"
                for entry in found.get("mappings", [])
            ],
        ),
    ),
    paged=Pages(lambda page: page["data"], "start"),
    asks="member",
)


def state_of(run: Mapping[str, Any]) -> str:
    """The state of a run, as the API says it."""
    return str(run["metrics"]["statusSummary"]["status"])


def window_of(run: Mapping[str, Any]) -> str:
    """The window of a run, half-open and in UTC."""
    params = run["params"]
    if "windowStartTime" not in params:
        return "since the last successful run"
    return f"[{moment(params['windowStartTime'])}, {moment(params['windowEndTime'])})"


RUNS = Resources(
    "run",
    f"{FLOW_SERVICE}/runs",
    columns=(
        ("run", "id"),
        ("state", state_of),
        _CREATED,
        ("window (UTC)", window_of),
        ("rows", "metrics.recordSummary.outputRecordCount"),
    ),
    fields=(),
    paged=LINKED,
    one=_first,
    named="id",
)
