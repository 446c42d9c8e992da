"""Snowflake's SQL, and what its types become.

| Snowflake | lake | read as, and refused |
|---|---|---|
| NUMBER(p,0), p to 18 | long | |
| NUMBER(p,s), so INTEGER, which is NUMBER(38,0) | decimal(p,s) | |
| FLOAT | double | |
| BOOLEAN, TEXT, BINARY, DATE | boolean, string, binary, date | |
| TIME, TIMESTAMP_NTZ | time, timestamp | as text when declared finer than (6); finer values are refused |
| TIMESTAMP_LTZ, TIMESTAMP_TZ | timestamptz | the same; the instant, the zone is not kept |
| VARIANT, OBJECT, ARRAY | string | JSON |
| GEOGRAPHY, GEOMETRY, VECTOR, MAP | - | leave it out with `params.columns`, or cast it in a view |
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar

import pyarrow as pa

from headgate.model.lake import Column, LakeType
from headgate.sources.interface import Entry
from headgate.sources.sql.dialect import CatalogueColumn, Dialect, Rule, Table, rule_of
from headgate.sources.sql.driver import Session
from headgate.sources.sql.filters import Kind, Value
from headgate.sources.sql.fractions import text_rule
from headgate.sources.sql.selection import Name, path_of

__all__ = ["SnowflakeDialect"]

_FORM = "'YYYY-MM-DD HH24:MI:SS.FF9'"
_UTC = "CONVERT_TIMEZONE('UTC', {c})"
_JSON = Rule(LakeType("string"), pa.string(), "TO_JSON({c})")


class SnowflakeDialect(Dialect):
    """Snowflake: backslashes in texts mean something, names are upper case where they are not quoted."""

    title = "Snowflake"
    types: ClassVar[Mapping[str, Rule]] = {
        "float": rule_of("double"),
        "boolean": rule_of("boolean"),
        "text": rule_of("string"),
        "binary": rule_of("binary"),
        "date": rule_of("date"),
        **dict.fromkeys(("variant", "object", "array"), _JSON),
    }
    casts: ClassVar[Mapping[Kind, str]] = {
        "double": "FLOAT",
        "date": "DATE",
        "time": "TIME(9)",
        "timestamp": "TIMESTAMP_NTZ(9)",
        "timestamptz": "TIMESTAMP_TZ(9)",
    }

    def text(self, value: str) -> str:
        """`value` with its backslashes doubled as well."""
        return super().text(value.replace("\\", "\\\\"))

    def written(self, value: Value) -> str:
        """A time in ISO form."""
        return f"'{value.isoformat()}'" if isinstance(value, datetime) else super().written(value)

    def fold(self, name: str) -> str:
        """Upper case."""
        return name.upper()

    def rule(self, column: CatalogueColumn) -> Rule | None:
        """How the column is read."""
        precision = column.precision or 0
        match column.type:
            case "number" if column.scale == 0 and 0 < precision <= 18:
                return rule_of("long")
            case "number":
                numeric = CatalogueColumn(column.name, "numeric", column.declared, True, column.precision, column.scale)
                return super().rule(numeric)
            case "time":
                return text_rule("time", "TO_VARCHAR({c}, 'HH24:MI:SS.FF9')") if precision > 6 else rule_of("time")
            case "timestamp_ntz":
                fine = text_rule("timestamp", f"TO_VARCHAR({{c}}, {_FORM})")
                return fine if precision > 6 else rule_of("timestamp")
            case "timestamp_ltz" | "timestamp_tz":
                return text_rule("timestamptz", f"TO_VARCHAR({_UTC}, {_FORM})")
        return super().rule(column)

    def orders(self, column: Column) -> bool:
        """Whole numbers and text, but no JSON."""
        return column.source_type.startswith(("NUMBER", "TEXT"))

    def entries(self, session: Session, path: str | None) -> Sequence[Entry] | None:
        """Every table and view of the database that the role sees."""
        if path is not None:
            return None
        rows = session.rows(
            "SELECT table_schema, table_name FROM information_schema.tables "
            "WHERE table_schema <> 'INFORMATION_SCHEMA' ORDER BY table_schema, table_name"
        )
        return [Entry("table", f"{schema}.{name}", path_of(name, schema)) for schema, name in rows]

    def table(self, session: Session, name: Name) -> Table | None:
        """The table or view called `name`."""
        schema = self.text(name.schema) if name.schema is not None else "CURRENT_SCHEMA()"
        rows = session.rows(
            "SELECT table_schema, table_name, column_name, data_type, is_nullable, "
            "COALESCE(numeric_precision, datetime_precision) AS digits, numeric_scale, character_maximum_length "
            f"FROM information_schema.columns WHERE table_name = {self.text(name.table)} AND table_schema = {schema} "
            "ORDER BY ordinal_position"
        )
        return Table(Name(rows[0][1], rows[0][0]), tuple(_column(*row[2:]) for row in rows)) if rows else None


def _column(name: str, type_: str, nullable: str, precision: object, scale: object, length: object) -> CatalogueColumn:
    whole = [None if number is None else int(str(number)) for number in (precision, scale, length)]
    numbers = [str(number) for number in whole[:2] if number is not None]
    declared = f"{type_}({','.join(numbers)})" if numbers and type_ not in ("FLOAT", "DATE") else type_
    return CatalogueColumn(name, type_.lower(), declared, nullable != "NO", *whole)
