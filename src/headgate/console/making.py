"""The requests that make what a draft says, in their order; and the same as a person would send them otherwise."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headgate.console.catalogue import SourceKind
from headgate.console.draft import Draft, resource_params
from headgate.console.page import Visit
from headgate.errors import HeadgateError
from headgate.model.addresses import CATALOG, CONVERSION, FLOW_SERVICE
from headgate.model.permissions import Permission
from headgate.model.resources import now_ms
from headgate.model.runs import Json

__all__ = ["Plan", "make", "planned", "written"]

_MAPPING_LETTERS = str.maketrans({letter: f"\\{letter}" for letter in ".[]\\"})
_SOON = 1  # seconds: its runs wait for a flow's start, which where the contract is kept strictly may not be past


@dataclass(frozen=True, slots=True)
class Plan:
    """The bodies of the requests. Where a body needs an id that an earlier request gives, it holds `$NAME`.

    `mapping` is None when all columns are kept, `dataset` when the rows go into one that is there.
    """

    source: Json
    dataset: Json | None
    target: Json
    mapping: Json | None
    flow: Json


def planned(visit: Visit, draft: Draft, kind: SourceKind, columns: Sequence[str]) -> Plan:
    """What is to be made of a draft whose source has these columns."""
    service, caller = visit.service, visit.caller
    lake = service.connection_specs.listing(caller, [("property", "name==datalake")])["items"][0]["id"]
    flow_spec = next(
        wire["id"]
        for wire in service.flow_specs.listing(caller, [])["items"]
        if kind.id in wire.get("sourceConnectionSpecIds", ()) and wire["attributes"]["status"] == "runnable"
    )
    mapping = mapping_body(draft, columns) if draft.mapped else None
    transformations: list[Json] = []
    if draft.frequency != "once" and not kind.files:
        transformations.append({"name": "Copy", "params": {"deltaColumn": dict(draft.delta_column)}})
    if mapping is not None:
        transformations.append({"name": "Mapping", "params": {"mappingId": "$MAPPING", "mappingVersion": 0}})
    return Plan(
        source=_source(draft, kind),
        dataset=None if draft.dataset else {"name": draft.dataset_name},
        target={
            "name": draft.name,
            "connectionSpec": {"id": lake, "version": "1.0"},
            "params": _target(draft),
        },
        mapping=mapping,
        flow={
            "name": draft.name,
            "flowSpec": {"id": flow_spec, "version": "1.0"},
            "sourceConnectionIds": ["$SOURCE"],
            "targetConnectionIds": ["$TARGET"],
            "scheduleParams": _schedule(draft),
            **({"transformations": transformations} if transformations else {}),
            **({"options": {"partialIngestionPercent": _number(draft.percent)}} if draft.percent else {}),
        },
    )


def mapping_body(draft: Draft, columns: Sequence[str]) -> Json:
    """The mapping set that keeps and renames columns as the draft says."""
    return {
        "name": draft.name or draft.subject,
        "mappings": [
            {
                "sourceType": "ATTRIBUTE",
                "source": old.translate(_MAPPING_LETTERS),
                "destination": new.translate(_MAPPING_LETTERS),
            }
            for old, new in draft.columns(columns)
        ],
    }


def make(visit: Visit, plan: Plan) -> str:
    """Make it; the flow's id. What was made before a request that is refused is removed again.

    Raises PermissionDenied and whatever the service refuses with.
    """
    service, caller = visit.service, visit.caller
    if plan.dataset is not None and not visit.may(Permission.MANAGE_DATASETS):
        service.record_denied(caller, Permission.MANAGE_DATASETS, "POST /wizard/finish")
        caller.require(Permission.MANAGE_DATASETS)
    undo: list[Any] = []
    ids: dict[str, str] = {}
    try:
        ids["$SOURCE"] = service.source_connections.create(caller, plan.source)["id"]
        undo.append(lambda: service.source_connections.delete(caller, ids["$SOURCE"]))
        if plan.dataset is not None:
            ids["$DATASET"] = service.datasets.create(caller, plan.dataset)
            undo.append(lambda: service.datasets.delete(caller, ids["$DATASET"]))
        ids["$TARGET"] = service.target_connections.create(caller, _filled(plan.target, ids))["id"]
        undo.append(lambda: service.target_connections.delete(caller, ids["$TARGET"]))
        if plan.mapping is not None:
            ids["$MAPPING"] = service.mapping_sets.create(caller, plan.mapping)["id"]
            undo.append(lambda: service.mapping_sets.delete(caller, ids["$MAPPING"]))
        made: str = service.flows.create(caller, _filled(plan.flow, ids))["id"]
    except HeadgateError:
        for each in reversed(undo):
            each()
        raise
    return made


def written(plan: Plan, base: str, org: str, sandbox: str) -> dict[str, str]:
    """The same by curl, by the command line and in Python. Secrets are not in it: they stay with the connection."""
    return {
        "curl": _curl(plan, base, org, sandbox),
        "CLI": _command_line(plan),
        "Python": _python(plan, base, org, sandbox),
    }


def _source(draft: Draft, kind: SourceKind) -> Json:
    body: dict[str, Any] = {
        "name": draft.name,
        "connectionSpec": {"id": kind.id, "version": "1.0"},
        **({"baseConnectionId": draft.connection} if draft.connection else {}),
    }
    if not kind.files:
        resource = kind.reads == "resource"
        return {**body, "params": resource_params(draft.object) if resource else {"tableName": draft.object}}
    properties = {name: value for name, value in draft.how.items() if value and name != "fileType"}
    params: dict[str, Any] = {"path": draft.path}
    if draft.path_type:
        params["type"] = draft.path_type
    if draft.reads == "folder" and draft.recursive:
        params["recursive"] = True
    return {**body, "data": {"format": draft.fileType, **properties}, "params": params}


def _target(draft: Draft) -> Json:
    return {
        "dataSetId": draft.dataset or "$DATASET",
        "writeMode": draft.mode,
        **({"primaryKey": draft.keys} if draft.mode == "upsert" else {}),
        **({"partitionBy": draft.partition} if draft.partition else {}),
    }


def _schedule(draft: Draft) -> Json:
    if draft.frequency == "once":
        return {"startTime": str(now_ms() // 1000 + _SOON), "frequency": "once"}
    return {
        "startTime": str(draft.begins),
        "frequency": draft.frequency,
        "interval": int(draft.interval),
        "backfill": bool(draft.backfill),
    }


def _number(text: str) -> float:
    value = float(text)
    return int(value) if value == int(value) else value


def _filled(body: Any, ids: Mapping[str, str]) -> Any:
    """`body` with the ids that are known by now."""
    match body:
        case str():
            return ids.get(body, body)
        case list():
            return [_filled(one, ids) for one in body]
        case dict():
            return {name: _filled(value, ids) for name, value in body.items()}
    return body


def _requests(plan: Plan) -> list[tuple[str, str, Json]]:
    """The variable that each request's id goes into, its address, and its body."""
    found: list[tuple[str, str, Json | None]] = [
        ("SOURCE", f"{FLOW_SERVICE}/sourceConnections", plan.source),
        ("DATASET", f"{CATALOG}/dataSets", plan.dataset),
        ("TARGET", f"{FLOW_SERVICE}/targetConnections", plan.target),
        ("MAPPING", f"{CONVERSION}/mappingSets", plan.mapping),
        ("FLOW", f"{FLOW_SERVICE}/flows", plan.flow),
    ]
    return [(name, address, body) for name, address, body in found if body is not None]


def _curl(plan: Plan, base: str, org: str, sandbox: str) -> str:
    headers = " ".join(
        f'-H "{name}: {value}"'
        for name, value in {
            "Authorization": "Bearer $TOKEN",
            "x-api-key": "$API_KEY",
            "x-gw-ims-org-id": org,
            "x-sandbox-name": sandbox,
            "Content-Type": "application/json",
        }.items()
    )
    lines = [f'call() {{ curl -sS {headers} "$@"; }}']
    for name, address, body in _requests(plan):
        text = json.dumps(body, ensure_ascii=False).replace("'", "'\\''")
        for known in ("SOURCE", "DATASET", "TARGET", "MAPPING"):
            text = text.replace(f'"${known}"', f'"\'"${known}"\'"')
        take = "jq -r '.[0] | ltrimstr(\"@/dataSets/\")'" if name == "DATASET" else "jq -r .id"
        lines.append(f"{name}=$(call {shlex.quote(base + address)} -d '{text}' | {take})")
    return "\n".join(lines)


def _command_line(plan: Plan) -> str:
    commands = {
        "SOURCE": "source-connections",
        "DATASET": "datasets",
        "TARGET": "target-connections",
        "MAPPING": "mapping-sets",
        "FLOW": "flows",
    }
    lines = []
    for name, _, body in _requests(plan):
        text = json.dumps(body, ensure_ascii=False)
        lines.append(f"{name}=$(headgate {commands[name]} create -o id -f - <<BODY\n{_shell_text(text)}\nBODY\n)")
    return "\n".join(lines)


def _shell_text(text: str) -> str:
    """`text` in a here-document in which only the variables of earlier lines are filled in."""
    escaped = text.replace("\\", "\\\\").replace("`", "\\`").replace("$", "\\$")
    for known in ("SOURCE", "DATASET", "TARGET", "MAPPING"):
        escaped = escaped.replace(f'"\\${known}"', f'"${known}"')
    return escaped


def _python(plan: Plan, base: str, org: str, sandbox: str) -> str:
    groups = {
        "SOURCE": "source_connections",
        "TARGET": "target_connections",
        "MAPPING": "mapping_sets",
        "FLOW": "flows",
    }
    lines = [
        "import os",
        "",
        "from headgate import Client",
        "",
        'options = {"token": os.environ["TOKEN"], "api_key": os.environ["API_KEY"]}',
        f"client = Client({base!r}, org={org!r}, sandbox={sandbox!r}, **options)",
    ]
    for name, _, body in _requests(plan):
        if name == "DATASET":
            lines.append(f"dataset = client.datasets.create({body['name']!r})")
            continue
        text = repr(body)
        for known in ("SOURCE", "DATASET", "TARGET", "MAPPING"):
            text = text.replace(f"'${known}'", known.lower())
        lines.append(f'{name.lower()} = client.{groups[name]}.create({text})["id"]')
    return "\n".join(lines)
