"""What the metadata file of an Iceberg table says of its columns and snapshots.

Read as the JSON that it is (https://iceberg.apache.org/spec/#table-metadata-fields), so that who only wants to tell of
a table loads no library for it.
"""

import gzip
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headgate.model.runs import Json

__all__ = ["Described", "DescribedColumn", "DescribedSnapshot", "document_of"]

_RUN = "headgate.run-id"
_DECIMAL = re.compile(r"decimal\((\d+), ?(\d+)\)")
_SQL = {
    "boolean": "BOOLEAN",
    "int": "INTEGER",
    "long": "BIGINT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "date": "DATE",
    "time": "TIME",
    "timestamp": "TIMESTAMP",
    "timestamptz": "TIMESTAMP WITH TIME ZONE",
    "uuid": "UUID",
    "binary": "BLOB",
}


@dataclass(frozen=True, slots=True)
class DescribedColumn:
    """A column: its type in the words of the Iceberg specification, and in DuckDB's."""

    name: str
    type: str
    sql: str
    required: bool


@dataclass(frozen=True, slots=True)
class DescribedSnapshot:
    """A state of the table that can still be read. `at` is milliseconds; `figures` the counts of its summary.

    `run_id` is None for one that no run of ours made.
    """

    id: str
    parent_id: str | None
    at: int
    operation: str
    run_id: str | None
    figures: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Described:
    """A table as its metadata file describes it. `snapshots`: newest first; `current` is the present one's id."""

    columns: tuple[DescribedColumn, ...]
    partitioned_by: tuple[tuple[str, str], ...]
    snapshots: tuple[DescribedSnapshot, ...]
    current: str | None

    @classmethod
    def of(cls, document: Json) -> "Described":
        """Read a metadata file of format version 1, 2 or 3."""
        schemas = document.get("schemas") or [document["schema"]]
        schema = next(
            (each for each in schemas if each.get("schema-id") == document.get("current-schema-id")), schemas[-1]
        )
        names = {field["id"]: field["name"] for field in schema["fields"]}
        specs = {spec["spec-id"]: spec["fields"] for spec in document.get("partition-specs", [])}
        parts = specs.get(document.get("default-spec-id"), [])
        snapshots = [_snapshot(each) for each in document.get("snapshots") or ()]
        current = document.get("current-snapshot-id")
        return cls(
            columns=tuple(_column(field) for field in schema["fields"]),
            partitioned_by=tuple((names.get(part["source-id"], part["name"]), part["transform"]) for part in parts),
            snapshots=tuple(sorted(snapshots, key=lambda each: each.at, reverse=True)),
            current=None if current in (None, -1) else str(current),
        )


def document_of(content: bytes) -> Json:
    """The document that a metadata file holds, compressed or not."""
    document: Json = json.loads(gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content)
    return document


def _column(field: Json) -> DescribedColumn:
    type_ = field["type"]
    return DescribedColumn(field["name"], _text(type_), _sql(type_), bool(field.get("required")))


def _snapshot(told: Json) -> DescribedSnapshot:
    summary: dict[str, str] = told.get("summary") or {}
    parent = told.get("parent-snapshot-id")
    return DescribedSnapshot(
        id=str(told["snapshot-id"]),
        parent_id=None if parent is None else str(parent),
        at=int(told["timestamp-ms"]),
        operation=summary.get("operation", ""),
        run_id=summary.get(_RUN),
        figures={name: int(value) for name, value in summary.items() if value.isascii() and value.isdigit()},
    )


def _text(type_: Any) -> str:
    if isinstance(type_, str):
        return type_
    match type_["type"]:
        case "list":
            return f"list<{_text(type_['element'])}>"
        case "map":
            return f"map<{_text(type_['key'])}, {_text(type_['value'])}>"
    return "struct<" + ", ".join(f"{field['name']}: {_text(field['type'])}" for field in type_["fields"]) + ">"


def _sql(type_: Any) -> str:
    """The DuckDB type of the same values; text where DuckDB has none."""
    if isinstance(type_, str):
        if found := _DECIMAL.fullmatch(type_):
            return f"DECIMAL({found[1]},{found[2]})"
        return _SQL.get(type_, "BLOB" if type_.startswith("fixed") else "VARCHAR")
    match type_["type"]:
        case "list":
            return f"{_sql(type_['element'])}[]"
        case "map":
            return f"MAP({_sql(type_['key'])}, {_sql(type_['value'])})"
    members = ", ".join(
        '"' + field["name"].replace('"', '""') + f'" {_sql(field["type"])}' for field in type_["fields"]
    )
    return f"STRUCT({members})"
