"""Lake types as Iceberg's, Iceberg's as DuckDB writes them, and how a table's schema follows its sources."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pyiceberg import types as iceberg
from pyiceberg.schema import Schema

from headgate.dataplane import quote
from headgate.errors import SchemaMismatch, UnsupportedType
from headgate.model.lake import PROVENANCE, Column, Kind, LakeType
from headgate.model.runs import Json

if TYPE_CHECKING:
    from pyiceberg.table import Transaction
    from pyiceberg.table.metadata import TableMetadata
    from pyiceberg.table.update.schema import UpdateSchema

__all__ = ["SchemaChange", "copy_options", "evolve", "field_ids", "fitted", "lake_type", "schema_of", "wire"]

_PLAIN: dict[Kind, iceberg.PrimitiveType] = {
    "boolean": iceberg.BooleanType(),
    "int": iceberg.IntegerType(),
    "long": iceberg.LongType(),
    "float": iceberg.FloatType(),
    "double": iceberg.DoubleType(),
    "string": iceberg.StringType(),
    "binary": iceberg.BinaryType(),
    "date": iceberg.DateType(),
    "time": iceberg.TimeType(),
    "timestamp": iceberg.TimestampType(),
    "timestamptz": iceberg.TimestamptzType(),
    "uuid": iceberg.UUIDType(),
}
_KINDS: dict[str, Kind] = {str(type_): kind for kind, type_ in _PLAIN.items()}
_MOST_SHOWN = 100  # changes: they are part of the table's metadata, which every commit writes
_WHOLE_DIGITS = {"int": 10, "long": 19}


@dataclass(frozen=True, slots=True)
class SchemaChange:
    """How the columns of a run differ from those its table had.

    `path` leads to the column, through the members of structs and the `element` of lists. One that is `absent`
    has no values from this run. `before` is the type that a widened one had.
    """

    path: tuple[str, ...]
    change: Literal["added", "widened", "absent"]
    type: LakeType
    before: LakeType | None = None

    def wire(self) -> Json:
        """As a run shows it."""
        shown = {"column": ".".join(self.path), "change": self.change, "type": str(self.type)}
        return shown if self.before is None else {**shown, "before": str(self.before)}


def wire(changes: tuple[SchemaChange, ...]) -> list[Json]:
    """As a run shows them: a hundred at most, those that change the table first, and how many more there are."""
    ordered = sorted(changes, key=lambda change: change.change == "absent")
    more = [{"change": "more", "count": len(changes) - _MOST_SHOWN}] if len(changes) > _MOST_SHOWN else []
    return [change.wire() for change in ordered[:_MOST_SHOWN]] + more


def schema_of(columns: tuple[Column, ...]) -> Schema:
    """The Iceberg schema of `columns`, all optional. Ids are provisional; the catalog assigns its own."""
    ids = iter(range(1, 1 << 31))
    return Schema(
        *(
            iceberg.NestedField(next(ids), column.name, _iceberg_type(column.type, ids), required=False)
            for column in columns
        )
    )


def evolve(transaction: "Transaction", name: str, columns: tuple[Column, ...]) -> tuple[SchemaChange, ...]:
    """Have the table `name` hold `columns`, as part of `transaction`; what of that is more than provenance.

    Columns are added, and widened where Iceberg allows; none is taken away. Raises SchemaMismatch when a column
    would have to become another one, unless the table has never had a row: its columns are those of a run that failed.
    """
    schema = transaction.table_metadata.schema()
    held = {field.name: lake_type(field.field_type) for field in schema.fields}
    given = {column.name: column.type for column in columns}
    replaced: list[str] = []
    while True:
        try:
            changes = tuple(_member_differences((), held, given))
            break
        except _Misfit as misfit:
            if not _replaceable(transaction.table_metadata, misfit.held):
                raise SchemaMismatch(f"The table {name} {misfit}", column=misfit.column) from None
            replaced.append(misfit.held)
            del held[misfit.held]
    if replaced or any(change.change != "absent" or _required(schema, change) for change in changes):
        with transaction.update_schema() as update:
            for column in replaced:
                update.delete_column((column,))
            for change in changes:
                _apply(update, schema, change)
    return tuple(change for change in changes if change.path[0] not in PROVENANCE)


def _replaceable(metadata: "TableMetadata", name: str) -> bool:
    """Whether no row was ever brought to the column, and the table's files are not laid out by it."""
    used = {field.source_id for field in metadata.spec().fields} | {f.source_id for f in metadata.sort_order().fields}
    return not metadata.snapshots and metadata.schema().find_field(name).field_id not in used


def fitted(schema: Schema, columns: tuple[Column, ...]) -> str:
    """What DuckDB selects from rows of `columns`, so that they have the types of `schema`."""
    types = {field.name: lake_type(field.field_type) for field in schema.fields}
    return ", ".join(
        quote(column.name)
        if types[column.name] == column.type
        else f"CAST({quote(column.name)} AS {types[column.name].sql}) AS {quote(column.name)}"
        for column in columns
    )


def copy_options(schema: Schema, names: tuple[str, ...], *others: str) -> str:
    """What follows DuckDB's COPY … TO … so that a file with the columns `names` belongs to a table of `schema`."""
    return f"({', '.join(('FORMAT parquet, COMPRESSION snappy', f'FIELD_IDS {field_ids(schema, names)}', *others))})"


def field_ids(schema: Schema, names: tuple[str, ...]) -> str:
    """The FIELD_IDS of DuckDB's COPY that make the columns `names` readable by id, as Iceberg wants them."""
    fields = {field.name: field for field in schema.fields}
    return "{" + ", ".join(f"{quote(name)}: {_ids(fields[name])}" for name in names) + "}"


def lake_type(type_: iceberg.IcebergType) -> LakeType:
    """The lake type of an Iceberg one. Raises UnsupportedType for those that Headgate never makes."""
    match type_:
        case iceberg.DecimalType():
            return LakeType("decimal", type_.precision, type_.scale)
        case iceberg.ListType():
            return LakeType("list", element=lake_type(type_.element_type))
        case iceberg.StructType():
            return LakeType("struct", fields=tuple((field.name, lake_type(field.field_type)) for field in type_.fields))
    kind = _KINDS.get(str(type_))
    if kind is None:
        raise UnsupportedType(
            f"The lake table has a column of the type {type_}, which another engine added and Headgate cannot keep. "
            "Take it out of the table there, or use a new dataset."
        )
    return LakeType(kind)


class _Misfit(Exception):
    """Says what a table has and what the source has, and what to do. `held` is the table's column."""

    def __init__(self, path: tuple[str, ...], reason: str, held: str = "") -> None:
        self.column = path[0]
        self.held = held or self.column
        super().__init__(
            f"{reason} Declare the type of {self.column!r} with `params.columns` of the source connection, leave it "
            "out there, or use a new dataset."
        )


def _differences(path: tuple[str, ...], held: LakeType, given: LakeType) -> Iterator[SchemaChange]:
    """What has to change in the type `held` for it to take every value of `given`. Raises _Misfit."""
    if held.kind == given.kind == "struct":
        yield from _member_differences(path, dict(held.fields), dict(given.fields))
    elif held.kind == given.kind == "list" and held.element is not None and given.element is not None:
        yield from _differences((*path, "element"), held.element, given.element)
    elif (wider := _wider(held, given)) is None:
        raise _Misfit(
            path,
            f"holds {'.'.join(path)!r} as {held}, the source as {given}, and neither type takes all values of the "
            "other.",
        )
    elif wider != held:
        yield SchemaChange(path, "widened", wider, held)


def _member_differences(
    path: tuple[str, ...], held: dict[str, LakeType], given: dict[str, LakeType]
) -> Iterator[SchemaChange]:
    spellings = {name.lower(): name for name in held}
    for name, type_ in given.items():
        spelled = spellings.setdefault(name.lower(), name)
        if spelled != name:
            raise _Misfit(
                (*path, name),
                f"has a column {'.'.join((*path, spelled))!r}, the source {'.'.join((*path, name))!r}; names that "
                "differ in case only cannot stand side by side.",
                held=path[0] if path else spelled,
            )
        if name in held:
            yield from _differences((*path, name), held[name], type_)
        else:
            yield SchemaChange((*path, name), "added", type_)
    for name, type_ in held.items():
        if name not in given:
            yield SchemaChange((*path, name), "absent", type_)


def _wider(held: LakeType, given: LakeType) -> LakeType | None:
    """What `held` becomes so that it takes every value of `given` unchanged; None when Iceberg cannot make it so."""
    match held.kind, given.kind:
        case _ if held == given:
            return held
        case ("long", "int") | ("double", "float") | ("double", "int"):
            return held
        case ("int", "long") | ("float", "double"):
            return given
        case "decimal", "decimal" if given.scale <= held.scale:
            return _decimal(held, given.precision - given.scale)
        case "decimal", "int" | "long":
            return _decimal(held, _WHOLE_DIGITS[given.kind])
    return None


def _decimal(held: LakeType, whole_digits: int) -> LakeType | None:
    """`held` with at least so many digits before the point; None when those are more than a decimal has."""
    precision = max(held.precision, whole_digits + held.scale)
    return LakeType("decimal", precision, held.scale) if precision <= 38 else None


def _apply(update: "UpdateSchema", schema: Schema, change: SchemaChange) -> None:
    type_ = _iceberg_type(change.type, iter(range(1, 1 << 31)))
    match change.change:
        case "added":
            update.add_column(change.path, type_)
        case "widened":
            update.update_column(change.path, type_)
        case "absent" if _required(schema, change):
            update.make_column_optional(change.path)


def _required(schema: Schema, change: SchemaChange) -> bool:
    """Whether another engine has seen to it that the column always has a value."""
    return change.change == "absent" and schema.find_field(".".join(change.path)).required


def _iceberg_type(type_: LakeType, ids: Iterator[int]) -> iceberg.IcebergType:
    if type_.kind == "decimal":
        return iceberg.DecimalType(type_.precision, type_.scale)
    if type_.kind == "list" and type_.element is not None:
        return iceberg.ListType(next(ids), _iceberg_type(type_.element, ids), element_required=False)
    if type_.kind == "struct":
        return iceberg.StructType(
            *(
                iceberg.NestedField(next(ids), name, _iceberg_type(inner, ids), required=False)
                for name, inner in type_.fields
            )
        )
    return _PLAIN[type_.kind]


def _ids(field: iceberg.NestedField) -> str:
    inner = _inner_ids(field.field_type)
    return f"{{__duckdb_field_id: {field.field_id}, {inner}}}" if inner else str(field.field_id)


def _inner_ids(type_: iceberg.IcebergType) -> str:
    match type_:
        case iceberg.ListType():
            inner = _inner_ids(type_.element_type)
            own = f"{{__duckdb_field_id: {type_.element_id}, {inner}}}" if inner else str(type_.element_id)
            return f"element: {own}"
        case iceberg.StructType():
            return ", ".join(f"{quote(field.name)}: {_ids(field)}" for field in type_.fields)
    return ""
