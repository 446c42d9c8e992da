"""Lake types as Iceberg's, and Iceberg's as DuckDB writes them."""

from collections.abc import Iterator

from pyiceberg import types as iceberg
from pyiceberg.schema import Schema

from headgate.dataplane import quote
from headgate.errors import SchemaMismatch, UnsupportedType
from headgate.model.lake import PROVENANCE, Column, Kind, LakeType

__all__ = ["added_type", "check_columns", "field_ids", "lake_type", "schema_of"]

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


def schema_of(columns: tuple[Column, ...]) -> Schema:
    """The Iceberg schema of `columns`, all optional. Ids are provisional; the catalog assigns its own."""
    ids = iter(range(1, 1 << 31))
    return Schema(
        *(
            iceberg.NestedField(next(ids), column.name, _iceberg_type(column.type, ids), required=False)
            for column in columns
        )
    )


def check_columns(identifier: str, schema: Schema, columns: tuple[Column, ...]) -> None:
    """Raise SchemaMismatch when a table with `schema` cannot take `columns` as they are."""
    present = {field.name: field.field_type for field in schema.fields}
    for column in columns:
        if column.name not in present:
            if column.name in PROVENANCE:
                continue  # the table takes it up
            raise SchemaMismatch(
                f"The table {identifier} has no column {column.name!r}, the source has one ({column.type}). "
                "Select other columns with `params.columns` of the source connection, or use a new dataset.",
                column=column.name,
            )
        if (held := lake_type(present[column.name])) != column.type:
            raise SchemaMismatch(
                f"The table {identifier} holds {column.name!r} as {held}, the source as {column.type}. "
                "Declare its type with `params.columns` of the source connection, or use a new dataset.",
                column=column.name,
            )


def added_type(column: Column) -> iceberg.PrimitiveType:
    """The Iceberg type of a provenance column that a table takes up later."""
    return _PLAIN[column.type.kind]


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
        raise UnsupportedType(f"The lake table has a column of the type {type_}, which Headgate has not.")
    return LakeType(kind)


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
