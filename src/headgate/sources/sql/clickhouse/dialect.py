"""ClickHouse's SQL, and what its types become.

| ClickHouse | lake | read as, and refused |
|---|---|---|
| Bool | boolean | |
| Int8, Int16, Int32, UInt8, UInt16 | int | |
| Int64, UInt32 | long | |
| UInt64 | decimal(20,0) | |
| Int128, UInt128, Int256, UInt256 | string | exact digits |
| Float32, Float64 | float, double | NaN and infinity kept |
| Decimal(p,s), p to 38 | decimal(p,s) | |
| Decimal(p,s), p over 38 | string | exact digits |
| String | string | bytes that are not UTF-8 are refused |
| FixedString(n) | binary | with its zero bytes |
| UUID | uuid | |
| Enum, IPv4, IPv6 | string | |
| Date, Date32 | date | |
| DateTime, DateTime64(0) to (6) | timestamptz | the instant |
| DateTime64(7) to (9) | timestamptz | as text; nanoseconds that the lake cannot hold are refused |
| Array, Tuple, Map, Nested, JSON | string | ClickHouse's JSON |
| aggregate states, intervals, Time, Variant, geometry | - | leave it out with `params.columns`, or cast it in a view |

`Nullable(T)` and `LowCardinality(T)` are as `T`.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import ClassVar
from uuid import UUID

import pyarrow as pa

from headgate.model.lake import Column, LakeType
from headgate.model.row_filter import Comparison, Op
from headgate.sources.interface import Entry
from headgate.sources.sql.dialect import CatalogueColumn, Dialect, Rule, Table, decimal_rule, rule_of
from headgate.sources.sql.driver import Session
from headgate.sources.sql.filters import Kind, Value
from headgate.sources.sql.fractions import text_rule
from headgate.sources.sql.selection import Name, path_of

__all__ = ["ClickHouseDialect"]

_WRAPPED = re.compile(r"(Nullable|LowCardinality)\((.*)\)", re.DOTALL)
_STRING = rule_of("string")
_ESCAPED = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_LAST_DATETIME = datetime(2106, 1, 1)


def _as(rule: Rule, value: str, kind: Kind | None) -> Rule:
    return Rule(rule.lake, rule.travels, value, rule.cast, rule.refused, rule.reason, kind)


_MOMENT = rule_of("timestamptz")


class ClickHouseDialect(Dialect):
    """ClickHouse: C's escapes in names and texts, functions in the place of typed literals."""

    title = "ClickHouse"
    default_schema = "currentDatabase()"
    types: ClassVar[Mapping[str, Rule]] = {
        "bool": rule_of("boolean"),
        **dict.fromkeys(("int8", "int16", "int32", "uint8", "uint16"), rule_of("int")),
        **dict.fromkeys(("int64", "uint32"), rule_of("long")),
        "uint64": _as(decimal_rule(20, 0), "toDecimal128({c}, 0)", "decimal"),
        **dict.fromkeys(("int128", "uint128", "int256", "uint256"), _as(_STRING, "toString({c})", None)),
        "float32": rule_of("float"),
        "float64": rule_of("double"),
        "string": _STRING,
        "fixedstring": rule_of("binary"),
        "uuid": _as(rule_of("uuid"), "toString({c})", "uuid"),
        **dict.fromkeys(("enum8", "enum16"), _as(_STRING, "toString({c})", "text")),
        **dict.fromkeys(("ipv4", "ipv6"), _as(_STRING, "toString({c})", None)),
        **dict.fromkeys(("date", "date32"), _as(rule_of("date"), "toDate32({c})", "date")),
        "datetime": _as(_MOMENT, "toDateTime64({c}, 0, 'UTC')", "timestamptz"),
        **dict.fromkeys(("array", "tuple", "map", "nested", "json"), _as(_STRING, "toJSONString({c})", None)),
    }

    def quote(self, name: str) -> str:
        """`name` in backticks."""
        return "`" + _escaped(name, "`") + "`"

    def text(self, value: str) -> str:
        """`value` with C's escapes."""
        return "'" + _escaped(value, "'") + "'"

    def constant(self, value: Value, kind: Kind, column: CatalogueColumn) -> str:  # noqa: ARG002 - as every dialect
        """`value` by the function that makes it exactly."""
        match value:
            case bool():
                return "true" if value else "false"
            case Decimal():
                digits = format(value, "f")
                return f"toDecimal256('{digits}', {len(digits.partition('.')[2])})"
            case float():
                return f"toFloat{'32' if kind == 'float' else '64'}('{value!r}')"
            case datetime():
                written = value.replace(tzinfo=None).isoformat(" ", "microseconds")
                return f"toDateTime64('{written}', 6, 'UTC')"
            case date():
                return f"toDate32('{value.isoformat()}')"
            case UUID():
                return f"toUUID('{value}')"
            case int():
                return str(value)
        return self.text(str(value))

    def fold(self, name: str) -> str:
        """The name as it stands."""
        return name

    def shortened(self, expression: str, kind: str, length: int) -> str:
        """`expression` up to `length` characters."""
        return f"substringUTF8({expression}, 1, {length})" if kind == "string" else expression

    def rule(self, column: CatalogueColumn) -> Rule | None:
        """How the column is read."""
        scale = column.scale or 0
        if column.type == "decimal":
            found = super().rule(column)
            return found or _as(_STRING, "toString({c})", "decimal")
        if column.type != "datetime64":
            return self.types.get(column.type)
        if scale > 6:
            return text_rule("timestamptz", "toString(toDateTime64({c}, 9, 'UTC'))")
        return _as(_MOMENT, "toDateTime64({c}, 6, 'UTC')", "timestamptz")

    def declared_decimal(self, column: CatalogueColumn, decimal: LakeType) -> Rule | None:
        """Numbers that are wider than the lake's can be declared."""
        if column.type not in ("int128", "uint128", "int256", "uint256", "decimal"):
            return None
        cast = f"TRY_CAST({{v}} AS {decimal.sql})"
        shape = f"-?[0-9]*([.][0-9]{{{{0,{decimal.scale}}}}}0*)?"
        refused = f"NOT regexp_full_match({{v}}, '{shape}') OR ({{v}} IS NOT NULL AND {cast} IS NULL)"
        why = f"which {decimal} cannot hold exactly"
        return Rule(decimal, pa.string(), "toString({c})", cast, refused, why, "decimal")

    def orders(self, column: Column) -> bool:
        """Whole numbers and text."""
        return _column("", column.source_type).type in ("int32", "uint32", "int64", "string")

    def within(self, column: CatalogueColumn, kind: Kind, lower: Value, upper: Value) -> str:
        """A DateTime, which has whole seconds, is compared with one, so that the table's order serves."""
        if column.type != "datetime" or not (isinstance(lower, datetime) and isinstance(upper, datetime)):
            return super().within(column, kind, lower, upper)
        lowest, highest = (self._second(value, kind, column) for value in (lower, upper))
        return f"{self.quote(column.name)} >= {lowest} AND {self.quote(column.name)} < {highest}"

    def _second(self, value: datetime, kind: Kind, column: CatalogueColumn) -> str:
        plain = value.replace(tzinfo=None)
        if plain >= _LAST_DATETIME:
            return self.constant(value, kind, column)
        first = plain if not plain.microsecond else plain.replace(microsecond=0) + timedelta(seconds=1)
        return f"toDateTime('{first.isoformat(' ')}', 'UTC')"

    def comparison(self, comparison: Comparison, column: CatalogueColumn, kind: Kind, values: Sequence[Value]) -> str:
        """An enumeration compares as its text; a backslash escapes in LIKE without being declared."""
        name = self.quote(column.name)
        written = f"toString({name})" if column.type.startswith("enum") else name
        if comparison.op is Op.LIKE:
            return f"{written} LIKE {self.text(str(values[0]))}"
        return written + super().comparison(comparison, column, kind, values).removeprefix(name)

    def entries(self, session: Session, path: str | None) -> Sequence[Entry] | None:
        """Every table and view that the user sees, of every database."""
        if path is not None:
            return None
        rows = session.rows(
            "SELECT database, name FROM system.tables WHERE NOT is_temporary AND database NOT IN "
            "('system', 'INFORMATION_SCHEMA', 'information_schema') ORDER BY database, name"
        )
        return [Entry("table", f"{schema}.{name}", path_of(name, schema)) for schema, name in rows]

    def table(self, session: Session, name: Name) -> Table | None:
        """The table or view called `name`."""
        database = self.text(name.schema) if name.schema is not None else self.default_schema
        rows = session.rows(
            "SELECT database, name, type FROM system.columns "
            f"WHERE table = {self.text(name.table)} AND database = {database} AND default_kind <> 'EPHEMERAL' "
            "ORDER BY position"
        )
        return Table(Name(name.table, rows[0][0]), tuple(_column(*row[1:]) for row in rows)) if rows else None


def _escaped(text: str, end: str) -> str:
    return "".join(f"\\{sign}" if sign == end else _ESCAPED.get(sign, sign) for sign in text)


def _column(name: str, declared: str) -> CatalogueColumn:
    inner, nullable = declared, False
    while found := _WRAPPED.fullmatch(inner):
        inner, nullable = found[2], nullable or found[1] == "Nullable"
    word, _, inside = inner.partition("(")
    numbers = [int(text) for text in re.findall(r"(?:^|, ?)([0-9]+)", inside)] if "'" not in inside[:1] else []
    precision, scale = None, None
    if word == "Decimal" and len(numbers) == 2:
        precision, scale = numbers
    elif word == "DateTime64":
        scale = numbers[0] if numbers else 3
    return CatalogueColumn(name, word.lower(), declared, nullable, precision, scale)
