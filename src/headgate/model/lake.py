"""Lake types and columns: what a table of the lake can hold, independent of engine and catalog.

The kinds are those of the Iceberg specification, version 2 (https://iceberg.apache.org/spec/#schemas-and-data-types).
"""

from dataclasses import dataclass
from typing import Literal

__all__ = [
    "FLOW_ID",
    "PROVENANCE",
    "RUN_ID",
    "SOURCE_FILE",
    "SOURCE_MODIFIED",
    "Column",
    "LakeType",
    "column_named",
    "kept_delta",
    "key_path",
]

FLOW_ID = "_headgate_flow_id"
RUN_ID = "_headgate_run_id"
SOURCE_FILE = "_headgate_source_file"
SOURCE_MODIFIED = "_headgate_source_modified"


Kind = Literal[
    "boolean",
    "int",
    "long",
    "float",
    "double",
    "decimal",
    "string",
    "binary",
    "date",
    "time",
    "timestamp",
    "timestamptz",
    "uuid",
    "list",
    "struct",
]

_SQL = {
    "boolean": "BOOLEAN",
    "int": "INTEGER",
    "long": "BIGINT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "string": "VARCHAR",
    "binary": "BLOB",
    "date": "DATE",
    "time": "TIME",
    "timestamp": "TIMESTAMP",
    "timestamptz": "TIMESTAMP WITH TIME ZONE",
    "uuid": "UUID",
}


_DELTA = {kind: f"_headgate_delta_{kind}" for kind in ("int", "long", "string", "date", "timestamp", "timestamptz")}
PROVENANCE = (FLOW_ID, RUN_ID, SOURCE_FILE, SOURCE_MODIFIED, *_DELTA.values())


@dataclass(frozen=True, slots=True)
class LakeType:
    """One type of the lake. Times are in microseconds; `precision` and `scale` are a decimal's."""

    kind: Kind
    precision: int = 0
    scale: int = 0
    element: "LakeType | None" = None
    fields: tuple[tuple[str, "LakeType"], ...] = ()

    @property
    def sql(self) -> str:
        """The DuckDB type of the same values."""
        if self.kind == "decimal":
            return f"DECIMAL({self.precision},{self.scale})"
        if self.kind == "list" and self.element is not None:
            return f"{self.element.sql}[]"
        if self.kind == "struct":
            inner = ", ".join('"' + name.replace('"', '""') + f'" {type_.sql}' for name, type_ in self.fields)
            return f"STRUCT({inner})"
        return _SQL[self.kind]

    def __str__(self) -> str:
        if self.kind == "decimal":
            return f"decimal({self.precision},{self.scale})"
        if self.kind == "list":
            return f"list<{self.element}>"
        if self.kind == "struct":
            return "struct<" + ", ".join(f"{name}: {type_}" for name, type_ in self.fields) + ">"
        return self.kind


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a source and the lake type its values take. `source_type` is the source's own word."""

    name: str
    type: LakeType
    source_type: str = ""
    nullable: bool = True


def column_named(columns: tuple[Column, ...], name: str) -> Column | None:
    """The column with exactly this name."""
    return next((column for column in columns if column.name == name), None)


def key_path(columns: tuple[Column, ...], name: str) -> tuple[str, ...] | None:
    """The path of the column `name`, or of a member of structs whose path is joined by dots; None when there is none.

    None as well for a column whose values cannot tell rows apart: floating point, lists and structs.
    """
    fields, path, rest = {column.name: column.type for column in columns}, [], name
    while True:
        step = rest if rest in fields else rest.partition(".")[0]
        type_ = fields.get(step)
        if type_ is None:
            return None
        path.append(step)
        if step == rest:
            return None if type_.kind in ("float", "double", "list", "struct") else tuple(path)
        fields, rest = dict(type_.fields), rest.removeprefix(step + ".")


def kept_delta(kind: str) -> str:
    """The provenance column that keeps the delta values of a mapped flow, whose mapping may rename or drop them.

    One for each type a delta column has, so that flows with different ones can share a table.
    """
    return _DELTA[kind]
