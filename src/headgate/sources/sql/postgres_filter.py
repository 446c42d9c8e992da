"""Row filters as PostgreSQL evaluates them: every literal a constant of its column's own type."""

from collections.abc import Sequence
from datetime import date, datetime, time
from decimal import Decimal

from psycopg import sql

from headgate.model.row_filter import Comparison, Op
from headgate.sources.sql.filters import Kind, Value
from headgate.sources.sql.postgres_types import CatalogueColumn

__all__ = ["comparison_sql", "kind_of"]

_KINDS: dict[str, Kind] = {
    "bool": "boolean",
    "int2": "integer",
    "int4": "integer",
    "int8": "integer",
    "oid": "integer",
    "float4": "float",
    "float8": "double",
    "numeric": "decimal",
    "date": "date",
    "time": "time",
    "timestamp": "timestamp",
    "timestamptz": "timestamptz",
    "uuid": "uuid",
}
_TEXTS = ("text", "varchar", "bpchar", "name", "char", "citext")
_READ_AS = {"oid": "bigint", "char": "text"}
_CASTS: dict[Kind, str] = {
    "integer": "bigint",
    "float": "real",
    "double": "double precision",
    "decimal": "numeric",
    "date": "date",
    "time": "time",
    "timestamp": "timestamp",
    "timestamptz": "timestamptz",
    "uuid": "uuid",
}


def kind_of(column: CatalogueColumn) -> Kind | None:
    """How the values of `column` compare; None for types that a filter has no literals for."""
    if column.element is not None:
        return None
    if column.kind == "e" or column.type in _TEXTS:
        return "text"
    return _KINDS.get(column.type) if column.builtin else None


def comparison_sql(comparison: Comparison, column: CatalogueColumn, values: Sequence[Value]) -> sql.Composable:
    """One comparison as a condition, with `values` as its literals."""
    name: sql.Composable = sql.Identifier(column.name)
    if comparison.op is Op.IS_NULL:
        return name + sql.SQL(" IS NULL")
    if comparison.op is Op.LIKE or column.kind == "e":
        name += sql.SQL("::text")
    elif column.type in _READ_AS:
        name += sql.SQL("::" + _READ_AS[column.type])
    constants = [_constant(value, kind_of(column)) for value in values]
    match comparison.op:
        case Op.IN:
            return name + sql.SQL(" IN ({})").format(sql.SQL(", ").join(constants))
        case Op.LIKE:
            return name + sql.SQL(" LIKE ") + constants[0]
        case op:
            return name + sql.SQL(f" {'<>' if op is Op.NE else op} ") + constants[0]


def _constant(value: Value, kind: Kind | None) -> sql.Composable:
    if isinstance(value, bool | str):
        return sql.Literal(value)  # a text takes the type of what it is compared with: text, char(n) or citext
    if isinstance(value, Decimal):
        return sql.SQL("{}::numeric").format(sql.Literal(format(value, "f")))
    text = (
        value.isoformat()
        if isinstance(value, date | time | datetime)
        else repr(value)
        if isinstance(value, float)
        else str(value)
    )
    return sql.SQL("{}::" + _CASTS[kind or "integer"]).format(sql.Literal(text))
