"""SQL Server's SQL, and what its types become.

| SQL Server | lake | read as, and refused |
|---|---|---|
| bit | boolean | |
| tinyint, smallint, int | int | |
| bigint | long | |
| real, float | float, double | |
| decimal(p,s), numeric(p,s) | decimal(p,s) | |
| money, smallmoney | decimal(19,4), decimal(10,4) | |
| char, varchar, nchar, nvarchar, text, ntext, xml, json | string | |
| binary, varbinary, image, rowversion | binary | |
| uniqueidentifier | uuid | |
| date | date | |
| datetime | timestamp | to the millisecond, as it is shown |
| smalldatetime, datetime2(0) to (6) | timestamp | |
| datetime2(7), time(7), datetimeoffset(7) | timestamp, time, timestamptz | finer than microseconds refused |
| time(0) to (6) | time | |
| datetimeoffset(0) to (6) | timestamptz | the instant; the offset is not kept |
| sql_variant, hierarchyid, geometry, geography, vector | - | leave it out with `params.columns`, or cast it in a view |
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import ClassVar

import pyarrow as pa

from headgate.model.lake import Column, LakeType
from headgate.model.row_filter import Comparison, Op
from headgate.sources.interface import Entry
from headgate.sources.sql.dialect import CatalogueColumn, Dialect, Rule, Table, decimal_rule, rule_of
from headgate.sources.sql.driver import Session
from headgate.sources.sql.filters import Kind, Value
from headgate.sources.sql.fractions import text_rule
from headgate.sources.sql.selection import Name, path_of

__all__ = ["SqlServerDialect"]

_TICKS = {0: 0, 1: 3, 2: 3, 3: 3, 4: 7, 5: 7, 6: 7, 7: 7, 8: 10, 9: 10}  # a datetime's last digit, rounded up


def _cast(rule: Rule, type_: str) -> Rule:
    return Rule(rule.lake, rule.travels, f"CAST({{c}} AS {type_})", rule.cast, rule.refused, rule.reason, rule.kind)


_STRING, _BINARY = rule_of("string"), rule_of("binary")
_NOT_COMPARED = Rule(LakeType("string"), pa.string(), "CAST({c} AS nvarchar(max))")


class SqlServerDialect(Dialect):
    """Transact-SQL: names in brackets, TOP, and a catalogue whose names are upper case where case matters."""

    title = "SQL Server"
    default_schema = "SCHEMA_NAME()"
    types: ClassVar[Mapping[str, Rule]] = {
        "bit": rule_of("boolean"),
        **dict.fromkeys(("tinyint", "smallint", "int"), rule_of("int")),
        "bigint": rule_of("long"),
        "real": rule_of("float"),
        "float": rule_of("double"),
        "money": _cast(decimal_rule(19, 4), "decimal(19,4)"),
        "smallmoney": _cast(decimal_rule(10, 4), "decimal(10,4)"),
        **dict.fromkeys(("char", "varchar", "nchar", "nvarchar"), _STRING),
        **dict.fromkeys(("text", "ntext", "xml", "json"), _NOT_COMPARED),
        **dict.fromkeys(("binary", "varbinary"), _BINARY),
        "image": _cast(_BINARY, "varbinary(max)"),
        **dict.fromkeys(("timestamp", "rowversion"), _cast(_BINARY, "binary(8)")),
        "uniqueidentifier": rule_of("uuid"),
        "date": rule_of("date"),
        "datetime": _cast(rule_of("timestamp"), "datetime2(3)"),
        "smalldatetime": _cast(rule_of("timestamp"), "datetime2(0)"),
        "datetime2": rule_of("timestamp"),
        "time": rule_of("time"),
        "datetimeoffset": rule_of("timestamptz"),
    }
    casts: ClassVar[Mapping[Kind, str]] = {
        "boolean": "bit",
        "integer": "bigint",
        "float": "real",
        "double": "float",
        "date": "date",
        "time": "time(7)",
        "timestamp": "datetime2(7)",
        "timestamptz": "datetimeoffset(7)",
        "uuid": "uniqueidentifier",
    }

    def quote(self, name: str) -> str:
        """`name` in brackets."""
        return "[" + name.replace("]", "]]") + "]"

    def text(self, value: str) -> str:
        """`value` as Unicode text."""
        return "N'" + value.replace("'", "''") + "'"

    def written(self, value: Value) -> str:
        """A time in the form that no setting of the session reads otherwise."""
        match value:
            case bool():
                return "1" if value else "0"
            case datetime():
                return f"'{value.isoformat()}'"
        return super().written(value)

    def fold(self, name: str) -> str:
        """The name as it stands: the database's collation says what is the same."""
        return name

    def limited(self, values: str, source: str, where: str | None, rows: int) -> str:
        """The query for the first `rows` rows."""
        return f"SELECT TOP ({rows}) {values} FROM {source}" + (f" WHERE {where}" if where else "")

    def shortened(self, expression: str, kind: str, length: int) -> str:
        """`expression` up to `length` characters or bytes."""
        return f"SUBSTRING({expression}, 1, {length})" if kind in ("string", "binary") else expression

    def rule(self, column: CatalogueColumn) -> Rule | None:
        """How the column is read; times finer than a microsecond as text, which keeps all their digits."""
        if column.type not in ("datetime2", "time", "datetimeoffset") or (column.scale or 0) <= 6:
            return super().rule(column)
        if column.type == "time":
            return text_rule("time", "CONVERT(char(16), {c}, 121)")
        if column.type == "datetime2":
            return text_rule("timestamp", "CONVERT(char(27), {c}, 121)")
        return text_rule("timestamptz", "CONVERT(char(27), CAST(SWITCHOFFSET({c}, '+00:00') AS datetime2(7)), 121)")

    def orders(self, column: Column) -> bool:
        """Whole numbers and text, but no large text and no XML."""
        return column.source_type not in ("text", "ntext", "xml", "json")

    def within(self, column: CatalogueColumn, kind: Kind, lower: Value, upper: Value) -> str:
        """A `datetime` is compared with one, so that its index serves: each bound becomes the next that there is."""
        if column.type != "datetime" or not isinstance(lower, datetime) or not isinstance(upper, datetime):
            return super().within(column, kind, lower, upper)
        lowest, highest = (
            f"CAST('{_tick(value).isoformat('T', 'milliseconds')}' AS datetime)" for value in (lower, upper)
        )
        return f"{self.quote(column.name)} >= {lowest} AND {self.quote(column.name)} < {highest}"

    def comparison(self, comparison: Comparison, column: CatalogueColumn, kind: Kind, values: Sequence[Value]) -> str:
        """A `datetime` compares as it is shown; a bracket in LIKE means itself."""
        if comparison.op is Op.LIKE:
            values = [re.sub(r"\[", r"\\[", str(value)) for value in values]
        found = super().comparison(comparison, column, kind, values)
        if column.type == "datetime":
            name = self.quote(column.name)
            return f"CAST({name} AS datetime2(3))" + found.removeprefix(name)
        return found

    def entries(self, session: Session, path: str | None) -> Sequence[Entry] | None:
        """Every table and view that the login sees."""
        if path is not None:
            return None
        rows = session.rows(
            "SELECT TABLE_SCHEMA, TABLE_NAME FROM INFORMATION_SCHEMA.TABLES "
            "WHERE TABLE_SCHEMA NOT IN (N'sys', N'INFORMATION_SCHEMA') ORDER BY TABLE_SCHEMA, TABLE_NAME"
        )
        return [Entry("table", f"{schema}.{name}", path_of(name, schema)) for schema, name in rows]

    def table(self, session: Session, name: Name) -> Table | None:
        """The table or view called `name`; as everywhere in SQL Server, its collation says what is the same name."""
        schema = self.text(name.schema) if name.schema is not None else self.default_schema
        rows = session.rows(
            "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, DATA_TYPE, IS_NULLABLE, "
            "CAST(NUMERIC_PRECISION AS int), CAST(COALESCE(DATETIME_PRECISION, NUMERIC_SCALE) AS int), "
            "CAST(CHARACTER_MAXIMUM_LENGTH AS int) FROM INFORMATION_SCHEMA.COLUMNS "
            f"WHERE TABLE_NAME = {self.text(name.table)} AND TABLE_SCHEMA = {schema} ORDER BY ORDINAL_POSITION"
        )
        columns = tuple(
            CatalogueColumn(
                column, type_.lower(), _declared(type_, precision, scale), null != "NO", precision, scale, size
            )
            for _, _, column, type_, null, precision, scale, size in rows
        )
        return Table(Name(rows[0][1], rows[0][0]), columns) if rows else None


def _declared(type_: str, precision: int | None, scale: int | None) -> str:
    if type_ in ("decimal", "numeric"):
        return f"{type_}({precision},{scale})"
    return f"{type_}({scale})" if type_ in ("datetime2", "time", "datetimeoffset") else type_


def _tick(value: datetime) -> datetime:
    """The first of datetime's values, which are 3 or 4 ms apart, that is not before `value`."""
    milliseconds = -(-value.microsecond // 1000)
    whole = value.replace(microsecond=0) + timedelta(milliseconds=milliseconds)
    digit = whole.microsecond // 1000 % 10
    return whole + timedelta(milliseconds=_TICKS[digit] - digit)
