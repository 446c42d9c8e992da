"""Reading what a request says about a dataset."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from headgate.errors import BadParameter
from headgate.model.patch import Operation
from headgate.model.runs import Json
from headgate.service.bodies import kept, optional_object, required_name, shown, texts

__all__ = ["WRITABLE", "dataset_content", "lenient", "merged", "sql_name"]

_TABLE_TAG = "adobe/pqs/table"
_BEHAVIOURS = ("record", "time-series", "adhoc")
_DURATION = re.compile(r"P(?=[0-9])([0-9]{1,4}Y)?([0-9]{1,4}M)?([0-9]{1,4}W)?([0-9]{1,5}D)?")
WRITABLE = (
    "name",
    "description",
    "schemaRef",
    "tags",
    "fileDescription",
    "classification",
    "enableErrorDiagnostics",
    "unifiedTags",
    "systemLabels",
    "extensions",
)
_RESERVED = frozenset(  # DuckDB takes none of these for the name of a table
    """
    all analyse analyze and anti any array as asc asof asymmetric at authorization binary both by
    case cast check collate collation column columns concurrently constraint create cross default
    deferrable desc describe distinct do else end except false fetch for foreign freeze from full
    generated glob group having ilike in initially inner intersect into is isnull join lambda
    lateral leading left like limit map natural not notnull null offset on only or order outer
    overlaps pivot pivot_longer pivot_wider placing positional primary qualify references returning
    right select semi show similar some struct summarize symmetric table tablesample then to
    trailing true try_cast union unique unpack unpivot using variadic verbose when where window with
    """.split()  # noqa: SIM905 - read as prose
)


def sql_name(name: str) -> str:
    """A table name made of `name` that SQL needs not quote: small letters, digits and `_`."""
    words = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:100].rstrip("_")
    if not words or words[0].isdigit() or words in _RESERVED:
        return f"t_{words}".rstrip("_")
    return words


def dataset_content(body: Json, table: str) -> Json:
    """What is kept of a dataset's body; `table` is its SQL name. Raises ParameterMissing, BadParameter."""
    required_name(body)
    if not isinstance(diagnostics := body.get("enableErrorDiagnostics", False), bool):
        raise BadParameter(f"enableErrorDiagnostics is {shown(diagnostics)}; send true or false.")
    return {
        **kept(body, "name", "description", "enableErrorDiagnostics"),
        **_objects(body),
        "fileDescription": {
            "persisted": True,
            "containerFormat": "parquet",
            "format": "parquet",
            **optional_object(body, "fileDescription"),
        },
        # The server's own tags win: they say under which name the table can be queried.
        "tags": {**_tags(body), _TABLE_TAG: [table], "adobe/siphon/table/format": ["iceberg"]},
        "classification": {"dataBehavior": _behaviour(body), "managedBy": "CUSTOMER"},
    }


def _objects(body: Json) -> Json:
    content: Json = {}
    if schema := optional_object(body, "schemaRef"):
        content["schemaRef"] = schema
    if extensions := _extensions(body):
        content["extensions"] = extensions
    for name in ("unifiedTags", "systemLabels"):
        if body.get(name) is not None:
            content[name] = texts(body, name)
    return content


def _extensions(body: Json) -> Json:
    """`extensions` without what the server says of the table, which clients send back with the rest."""
    extensions = {name: value for name, value in optional_object(body, "extensions").items() if name != "lake"}
    if "adobe_lakeHouse" not in extensions:
        return extensions
    house = optional_object(extensions, "adobe_lakeHouse")
    house = {name: value for name, value in house.items() if name not in ("metrics", "tableHealthMetrics")}
    lifetime = optional_object(house, "rowExpiration").get("ttlValue")
    if lifetime is not None and not (isinstance(lifetime, str) and _DURATION.fullmatch(lifetime)):
        raise BadParameter(
            f"extensions.adobe_lakeHouse.rowExpiration.ttlValue is {shown(lifetime)}; send a duration such as P3M."
        )
    rest = {name: value for name, value in extensions.items() if name != "adobe_lakeHouse"}
    return {**rest, "adobe_lakeHouse": house} if house else rest


def _tags(body: Json) -> Json:
    tags = optional_object(body, "tags")
    for tag, values in tags.items():
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise BadParameter(f"tags[{shown(tag)}] is {shown(values)}; send a list of texts.", parameter="tags")
    return tags


def _behaviour(body: Json) -> str:
    behaviour = optional_object(body, "classification").get("dataBehavior", "record")
    if behaviour not in _BEHAVIOURS:
        raise BadParameter(
            f"classification.dataBehavior is {shown(behaviour)}; send one of {', '.join(_BEHAVIOURS)}.",
            parameter="classification.dataBehavior",
        )
    return str(behaviour)


def merged(before: Mapping[str, Any], changes: Mapping[str, Any]) -> Json:
    """`before` with `changes` merged in (RFC 7396): objects member by member, and null takes a member away."""
    after = dict(before)
    for name, value in changes.items():
        if value is None:
            after.pop(name, None)
        elif isinstance(value, dict):
            known = after.get(name)
            after[name] = merged(known if isinstance(known, dict) else {}, value)
        else:
            after[name] = value
    return after


def lenient(operation: Operation) -> Operation:
    """The operation, when it changes what a client may change; `replace` may set what is not there yet.

    Clients switch a tag on with `replace` whether or not the dataset has it.
    """
    if operation.tokens[0] not in WRITABLE:
        raise BadParameter(f"path is {shown(operation.path)}; what can be changed is {', '.join(WRITABLE)}.")
    if operation.op == "replace" and len(operation.tokens) <= 2:
        return replace(operation, op="add")
    return operation
