"""Oracle's SQL, and what its types become.

| Oracle | lake | read as, and refused |
|---|---|---|
| NUMBER(p,0), p to 9, to 18, to 38 | int, long, decimal(p,0) | |
| NUMBER(p,s), 0 < s <= p | decimal(p,s) | |
| INTEGER, NUMBER(*,0) | decimal(38,0) | more digits are refused |
| NUMBER of another shape, FLOAT | string | exact digits; or the decimal that `params.columns` declares, never rounded |
| BINARY_FLOAT, BINARY_DOUBLE | float, double | |
| CHAR, VARCHAR2, NCHAR, NVARCHAR2, CLOB, NCLOB, ROWID | string | padding kept; Oracle has no empty text but NULL |
| RAW, BLOB | binary | |
| BOOLEAN | boolean | |
| JSON | string | |
| DATE, TIMESTAMP(0) to (6) | timestamp | |
| TIMESTAMP(7) to (9) | timestamp | as text; nanoseconds that the lake cannot hold are refused |
| TIMESTAMP WITH TIME ZONE, WITH LOCAL TIME ZONE | timestamptz | the instant; the zone is not kept |
| INTERVAL | string | Oracle's text |
| LONG, BFILE, XMLTYPE, object types | - | leave it out with `params.columns`, or cast it in a view |
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import ClassVar

import pyarrow as pa

from headgate.model.lake import Column, LakeType
from headgate.sources.interface import Entry
from headgate.sources.sql.dialect import CatalogueColumn, Dialect, Rule, Table, decimal_rule, rule_of
from headgate.sources.sql.digits import exact_rule
from headgate.sources.sql.driver import Session
from headgate.sources.sql.filters import Kind, Value
from headgate.sources.sql.fractions import text_rule
from headgate.sources.sql.selection import Name, path_of

__all__ = ["OracleDialect"]

_DIGITS = "TO_CHAR({c}, 'TM9', 'NLS_NUMERIC_CHARACTERS=''.,''')"
_FORM = "'YYYY-MM-DD HH24:MI:SS.FF9'"
_UTC = "SYS_EXTRACT_UTC(CAST({c} AS TIMESTAMP(9) WITH TIME ZONE))"


class OracleDialect(Dialect):
    """Oracle: FETCH FIRST, a catalogue of its own, and names in upper case where they are not quoted."""

    title = "Oracle"
    probe = "SELECT 1 FROM dual"
    types: ClassVar[Mapping[str, Rule]] = {
        "binary_float": rule_of("float"),
        "binary_double": rule_of("double"),
        **dict.fromkeys(("char", "varchar2", "nchar", "nvarchar2"), rule_of("string")),
        **dict.fromkeys(("clob", "nclob"), Rule(LakeType("string"), pa.string())),
        "rowid": Rule(LakeType("string"), pa.string(), "ROWIDTOCHAR({c})"),
        "json": Rule(LakeType("string"), pa.string(), "JSON_SERIALIZE({c} RETURNING CLOB)"),
        **dict.fromkeys(
            ("interval year to month", "interval day to second"), Rule(LakeType("string"), pa.string(), "TO_CHAR({c})")
        ),
        **dict.fromkeys(("raw", "blob"), rule_of("binary")),
        "boolean": rule_of("boolean"),
        "date": rule_of("timestamp"),
    }
    casts: ClassVar[Mapping[Kind, str]] = {"float": "BINARY_FLOAT", "double": "BINARY_DOUBLE"}

    def constant(self, value: Value, kind: Kind, column: CatalogueColumn) -> str:
        """`value` as a literal that no setting of the session reads otherwise."""
        if isinstance(value, datetime):
            zone = " +00:00" if kind == "timestamptz" else ""
            return f"TIMESTAMP '{value.replace(tzinfo=None).isoformat(' ', 'microseconds')}{zone}'"
        return super().constant(value, kind, column)

    def fold(self, name: str) -> str:
        """Upper case."""
        return name.upper()

    def limited(self, values: str, source: str, where: str | None, rows: int) -> str:
        """The query for the first `rows` rows."""
        condition = f" WHERE {where}" if where else ""
        return f"SELECT {values} FROM {source}{condition} FETCH FIRST {rows} ROWS ONLY"

    def shortened(self, expression: str, kind: str, length: int) -> str:
        """Texts up to `length` characters; bytes as they are."""
        return f"SUBSTR({expression}, 1, {length})" if kind == "string" else expression

    def rule(self, column: CatalogueColumn) -> Rule | None:
        """How the column is read."""
        if column.type == "number":
            return _number(column.precision, column.scale)
        if column.type == "float":
            return Rule(LakeType("string"), pa.string(), _DIGITS)
        if not column.type.startswith("timestamp"):
            return super().rule(column)
        fine, zoned = (column.scale or 0) > 6, column.type != "timestamp"
        if fine:
            return text_rule("timestamptz" if zoned else "timestamp", f"TO_CHAR({_UTC if zoned else '{c}'}, {_FORM})")
        if not zoned:
            return rule_of("timestamp")
        # The driver leaves a zone out, so the time travels in UTC without one.
        tz = rule_of("timestamptz")
        at = "timezone('UTC', {v})"
        refused = (tz.refused or "false").replace("{v}", at)
        return Rule(tz.lake, pa.timestamp("us"), f"CAST({_UTC} AS TIMESTAMP(6))", at, refused, tz.reason, tz.kind)

    def declared_decimal(self, column: CatalogueColumn, decimal: LakeType) -> Rule | None:
        """Numbers of no fixed size can be declared."""
        if column.type not in ("number", "float") or (column.precision and column.type == "number"):
            return None
        return exact_rule(decimal, _DIGITS)

    def orders(self, column: Column) -> bool:
        """Whole numbers, and text that is not large."""
        return column.type.kind != "string" or column.source_type in ("CHAR", "VARCHAR2", "NCHAR", "NVARCHAR2")

    def within(self, column: CatalogueColumn, kind: Kind, lower: Value, upper: Value) -> str:
        """A DATE, which has whole seconds, is compared with one, so that its index serves."""
        if column.type != "date" or not isinstance(lower, datetime) or not isinstance(upper, datetime):
            return super().within(column, kind, lower, upper)
        lowest, highest = (
            f"TO_DATE('{_second(value).isoformat(' ')}', 'YYYY-MM-DD HH24:MI:SS')" for value in (lower, upper)
        )
        return f"{self.quote(column.name)} >= {lowest} AND {self.quote(column.name)} < {highest}"

    def entries(self, session: Session, path: str | None) -> Sequence[Entry] | None:
        """Every table and view that the account sees, but the system's."""
        if path is not None:
            return None
        rows = session.rows(
            "SELECT o.owner, o.object_name FROM all_objects o JOIN all_users u ON u.username = o.owner "
            "WHERE o.object_type IN ('TABLE', 'VIEW', 'MATERIALIZED VIEW') AND u.oracle_maintained = 'N' "
            "AND o.secondary = 'N' GROUP BY o.owner, o.object_name ORDER BY o.owner, o.object_name"
        )
        return [Entry("table", f"{owner}.{name}", path_of(name, owner)) for owner, name in rows]

    def table(self, session: Session, name: Name) -> Table | None:
        """The table or view called `name`."""
        owner = self.text(name.schema) if name.schema is not None else "SYS_CONTEXT('USERENV', 'CURRENT_SCHEMA')"
        rows = session.rows(
            "SELECT owner, table_name, column_name, data_type, nullable, data_precision, data_scale, char_length "
            f"FROM all_tab_columns WHERE table_name = {self.text(name.table)} AND owner = {owner} ORDER BY column_id"
        )
        return Table(Name(rows[0][1], rows[0][0]), tuple(_column(*row[2:]) for row in rows)) if rows else None


def _column(
    name: str, type_: str, nullable: str, precision: int | None, scale: int | None, length: int | None
) -> CatalogueColumn:
    word = re.sub(r"\([0-9, ]+\)", "", type_).strip().lower()
    whole = (None if number is None else int(number) for number in (precision, scale, length))
    precision, scale, length = whole
    declared = type_
    if word == "number" and (precision or scale is not None):
        declared = f"NUMBER({'*' if precision is None else precision},{scale or 0})"
    return CatalogueColumn(name, word, declared, nullable != "N", precision, scale, length)


def _number(precision: int | None, scale: int | None) -> Rule:
    if precision is None:
        return (
            exact_rule(LakeType("decimal", 38, 0), _DIGITS)
            if scale == 0
            else Rule(LakeType("string"), pa.string(), _DIGITS)
        )
    scale = scale or 0
    if not 0 <= scale <= precision <= 38:
        return Rule(LakeType("string"), pa.string(), _DIGITS)
    if scale == 0 and precision <= 18:
        return rule_of("int" if precision <= 9 else "long")
    return decimal_rule(precision, scale)


def _second(value: datetime) -> datetime:
    """The first whole second that is not before `value`."""
    return value if not value.microsecond else value.replace(microsecond=0) + timedelta(seconds=1)
