"""SQL for any system with an ODBC driver: what the driver tells of it, and its columns by ODBC's codes of types.

| ODBC | lake | read as, and refused |
|---|---|---|
| BIT | boolean | |
| TINYINT, SMALLINT, INTEGER | int | as 64 bits; what has more than 32 is refused |
| BIGINT, unsigned INTEGER | long | |
| unsigned BIGINT | decimal(20,0) | as text |
| REAL; FLOAT, DOUBLE | float; double | |
| NUMERIC(p,s), DECIMAL(p,s), p <= 38 | decimal(p,s) | as text; what does not fit that exactly is refused |
| NUMERIC, DECIMAL of another size | - | the decimal that `params.columns` declares |
| CHAR, VARCHAR, LONGVARCHAR and wide ones | string | padding kept; longer than 256 kB, or than the driver says, fails |
| BINARY, VARBINARY, LONGVARBINARY | binary | the same |
| GUID | uuid | |
| DATE | date | years after 9999 refused |
| TIME, TIMESTAMP with up to 6 decimals | time, timestamp | the same |
| TIME, TIMESTAMP with more | time, timestamp | as text; nanoseconds that the lake cannot hold are refused |
| TIMESTAMP WITH TIME ZONE of Vertica, Teradata, PostgreSQL | timestamptz | the instant |
| GRAPHIC, CLOB, DECFLOAT, XML; BLOB of Db2 | string; binary | |
| anything else | - | UnsupportedType: leave it out with `params.columns` |
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, time
from typing import Any

import pyarrow as pa

from headgate.errors import BadParameter, SourceError
from headgate.model.lake import LakeType
from headgate.sources.interface import Entry
from headgate.sources.sql.dialect import CatalogueColumn, Dialect, Rule, Table, rule_of
from headgate.sources.sql.digits import exact_rule
from headgate.sources.sql.driver import Session
from headgate.sources.sql.filters import Kind, Value
from headgate.sources.sql.fractions import text_rule
from headgate.sources.sql.odbc.driver import OdbcSession
from headgate.sources.sql.odbc.systems import System, system_called
from headgate.sources.sql.selection import Name, path_of

__all__ = ["OdbcDialect"]

_INT = Rule(
    LakeType("int"),
    pa.int64(),  # some drivers cut what does not fit
    refused="{v} NOT BETWEEN -2147483648 AND 2147483647",
    reason="which its type cannot hold",
    kind="integer",
)
_CODES: Mapping[int, Rule] = {
    **dict.fromkeys((-7, 16), rule_of("boolean")),
    **dict.fromkeys((-6, 5, 4), _INT),
    -5: rule_of("long"),
    7: rule_of("float"),
    **dict.fromkeys((6, 8), rule_of("double")),
    **dict.fromkeys((1, 12, -1, -8, -9, -10), rule_of("string")),
    **dict.fromkeys((-2, -3, -4), rule_of("binary")),
    -11: rule_of("uuid"),
    **dict.fromkeys((91, 9), rule_of("date")),
}
_DECIMALS, _TEXTS, _TIMES, _TIMESTAMPS = (2, 3), (1, 12, -8, -9), (92, 10), (93, 11)
_ZONED = re.compile(r"with (local )?time zone|tz$|^datetimeoffset")
_FINEST = 6  # decimals of a second
_HIDDEN = r"information_schema|pg_catalog|pg_toast.*"
_OF_TABLES = re.compile(r"(?!SYSTEM)(.*(?<!TEMPORARY )(TABLE|VIEW)|ALIAS|SYNONYM|NICKNAME)", re.IGNORECASE)
_USUAL_SCHEMAS = ("public", "default", "dbo", "main")
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class OdbcDialect(Dialect):
    """What the driver's own functions tell, and the few things of `systems.py` that they do not."""

    def __init__(self, system: System) -> None:
        self.title = system.title  # type: ignore[misc]
        self._system = system
        self._facts: Mapping[str, str] = {}

    def answer(self, session: Session) -> None:
        """Connect, and run the system's cheapest query where it is known."""
        self._asked(session, "facts")
        if self._system.probe is not None:
            session.rows(self._system.probe)

    # -- words

    def quote(self, name: str) -> str:
        """`name` between the quotes that the driver names."""
        mark = self._facts.get("quote", "").strip()
        if mark in ('"', "`"):
            return mark + name.replace(mark, mark * 2) + mark
        if _PLAIN.fullmatch(name):
            return name
        raise SourceError(f"{self.title}: the name {name[:80]!r} needs quotes, and its ODBC driver knows none.")

    def text(self, value: str) -> str:
        """`value` as a constant of text. Raises BadParameter for a backslash where nobody knows what it means."""
        if "\\" in value and self._system.backslash is None:
            raise BadParameter(
                f"The row filter holds {value[:80]!r}. What a backslash means in {self.title} is not known here; "
                "compare with another text.",
                field="filters",
            )
        if self._system.backslash == "escape":
            return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
        return super().text(value)

    def constant(self, value: Value, kind: Kind, column: CatalogueColumn) -> str:  # noqa: ARG002 - as every dialect
        """`value` as a constant in ODBC's own form, where the system has no other."""
        match value:
            case datetime() if kind == "timestamptz":
                zoned = self._system.zoned or ("", "TIMESTAMP WITH TIME ZONE")
                return f"{zoned[1]} '{value.replace(tzinfo=None).isoformat(' ', 'microseconds')}+00:00'"
            case datetime():
                return self._timely("ts", "TIMESTAMP", value.isoformat(" ", "microseconds"))
            case date():
                return self._timely("d", "DATE", value.isoformat())
            case time():
                return f"TIME '{value.isoformat()}'"  # ODBC's own has no fractions
            case float():
                digits = repr(value)
                number = digits if "e" in digits else f"{digits}E0"
                return f"CAST({number} AS {self._system.real})" if kind == "float" else number
        return self.written(value)

    def fold(self, name: str) -> str:
        """What the system takes a name for that is not quoted."""
        return name.upper() if self._system.upper else name.lower()

    def limited(self, values: str, source: str, where: str | None, rows: int) -> str:
        """The query for the first `rows` rows."""
        condition = f" WHERE {where}" if where else ""
        match self._system.limit:
            case "top":
                return f"SELECT TOP {rows} {values} FROM {source}{condition}"
            case "limit":
                return f"SELECT {values} FROM {source}{condition} LIMIT {rows}"
        return f"SELECT {values} FROM {source}{condition} FETCH FIRST {rows} ROWS ONLY"

    def shortened(self, expression: str, kind: str, length: int) -> str:
        """The whole: what cuts a text is not the same anywhere, and few rows are shown."""
        del kind, length
        return expression

    def like(self, name: str, pattern: str) -> str:
        """Without ESCAPE where the system has none, or the pattern does without."""
        return super().like(name, pattern) if self._system.escaping and "\\" in pattern else f"{name} LIKE {pattern}"

    def _timely(self, escape: str, word: str, text: str) -> str:
        return f"{{{escape} '{text}'}}" if self._system.braces else f"{word} '{text}'"

    # -- types

    def rule(self, column: CatalogueColumn) -> Rule | None:
        """How the column is read, by the code of its type and, where that is not enough, the type's name."""
        code, zoned = column.about, _ZONED.search(column.type) is not None
        if code in _DECIMALS:
            precision, scale = column.precision or 0, column.scale or 0
            fits = 0 <= scale <= precision <= 38 and precision
            return exact_rule(LakeType("decimal", precision, scale)) if fits else None
        if code in _TIMES and not zoned:
            return text_rule("time", "{c}") if _fine(column, 9) else rule_of("time")
        if code in _TIMESTAMPS and not zoned:
            return text_rule("timestamp", "{c}") if _fine(column, 20) else rule_of("timestamp")
        if code in _TIMESTAMPS and self._system.zoned is not None:
            return replace(rule_of("timestamptz"), value=self._system.zoned[0])
        if "unsigned" in column.type and code in (4, -5):
            return rule_of("long") if code == 4 else exact_rule(LakeType("decimal", 20, 0))
        if not isinstance(code, int) or (zoned and code in (*_TIMES, *_TIMESTAMPS)):
            return None
        return self._system.types.get(code) or _CODES.get(code)

    def declared_decimal(self, column: CatalogueColumn, decimal: LakeType) -> Rule | None:
        """Any number with decimals: it comes as text, and drivers do not always know its size."""
        return exact_rule(decimal) if column.about in _DECIMALS else None

    # -- catalogue

    def entries(self, session: Session, path: str | None) -> Sequence[Entry] | None:
        """The tables and views that the driver lists, but the system's own."""
        if path is not None:
            return None
        rows = self._here(self._asked(session, "tables"))
        hidden = re.compile(f"{_HIDDEN}|{self._system.hidden}", re.IGNORECASE)
        found = sorted(
            {
                (schema or catalogue or "", table)
                for catalogue, schema, table, kind in rows
                if table and _OF_TABLES.fullmatch(kind or "") and not hidden.fullmatch(schema or catalogue or "")
            }
        )
        return [
            Entry("table", f"{schema}.{table}" if schema else table, path_of(table, schema or None))
            for schema, table in found
        ]

    def table(self, session: Session, name: Name) -> Table | None:
        """The table or view called exactly `name`. Raises BadParameter when several schemas have it."""
        rows = self._here(self._asked(session, "columns", table=name.table, schema=name.schema))
        if not rows:
            return None
        schema = self._one_of({row[1] or row[0] or "" for row in rows}, name.table)
        columns = tuple(_column(row) for row in rows if (row[1] or row[0] or "") == schema)
        return Table(Name(name.table, schema or None), columns)

    def _one_of(self, schemas: set[str], table: str) -> str:
        for usual in (self._facts.get("user", ""), *_USUAL_SCHEMAS):
            found = [schema for schema in schemas if schema.lower() == usual.lower()]
            if len(schemas) > 1 and len(found) == 1:
                return found[0]
        if len(schemas) > 1:
            listed = ", ".join(path_of(table, schema) for schema in sorted(schemas)[:5])
            raise BadParameter(f"Several schemas have a table {table[:80]!r}; say which: {listed}.", field="tableName")
        return schemas.pop()

    def _here(self, rows: list[list[Any]]) -> list[list[Any]]:
        """Those of the database that is connected to, where the driver tells of others as well."""
        here = [row for row in rows if row[0] and row[0] == self._facts.get("database")]
        return here or rows

    def _asked(self, session: Session, ask: str, **about: str | None) -> list[list[Any]]:
        """The rows that the driver answers; what it tells of its system is kept."""
        if not isinstance(session, OdbcSession):
            raise TypeError(session)
        found = session.catalogue(ask, **about)
        self._facts = found["facts"]
        self._system = system_called(self._facts["dbms"]) or self._system
        rows: list[list[Any]] = found["rows"]
        return rows


def _fine(column: CatalogueColumn, length: int) -> bool:
    """Whether times are finer than microseconds; a driver that says so has room for it after the first `length`."""
    scale = column.scale or 0
    return scale > _FINEST and (column.precision or 0) >= length + scale


def _column(row: Sequence[Any]) -> CatalogueColumn:
    _, _, _, name, code, type_, size, digits, nullable = row
    declared = type_
    if "(" not in type_ and size and code in (*_DECIMALS, *_TEXTS):
        declared = f"{type_}({size},{digits or 0})" if code in _DECIMALS else f"{type_}({size})"
    word = re.sub(r"\([^)]*\)", "", type_).strip().lower()
    return CatalogueColumn(name, word, declared, nullable != 0, size, digits, size, about=code)
