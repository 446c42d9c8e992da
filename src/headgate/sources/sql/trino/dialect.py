"""Trino's SQL, and what its types become.

| Trino | lake | read as, and refused |
|---|---|---|
| boolean | boolean | |
| tinyint, smallint, integer | int | |
| bigint | long | |
| real, double | float, double | NaN and infinity kept |
| decimal(p,s) | decimal(p,s) | |
| varchar, char, ipaddress | string | |
| varbinary | binary | |
| json, array, map, row | string | Trino's JSON |
| uuid | uuid | |
| date | date | years outside 1 to 9999 refused |
| time(p), timestamp(p) | time, timestamp | finer than microseconds refused |
| timestamp(p) with time zone | timestamptz | the same; the instant, the zone is not kept |
| time with time zone, interval | string | Trino's text |
| sketches, geometry, other types of connectors | - | leave it out with `params.columns`, or cast it in a view |

Everything but booleans, integers and floating point travels as text, which is how Trino's protocol writes it.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import ClassVar
from uuid import UUID

import pyarrow as pa

from headgate.model.lake import Column, LakeType
from headgate.sources.interface import Entry
from headgate.sources.sql.dialect import CatalogueColumn, Dialect, Rule, Table, rule_of
from headgate.sources.sql.driver import Session
from headgate.sources.sql.filters import Kind, Value
from headgate.sources.sql.fractions import text_rule
from headgate.sources.sql.selection import Name, path_of

__all__ = ["TrinoDialect"]

_VARCHAR = "CAST({c} AS varchar)"
_STRING = LakeType("string")
_JSON = Rule(_STRING, pa.string(), "json_format(CAST({c} AS json))")
_TEXT = Rule(_STRING, pa.string(), _VARCHAR)
_DAY = "TRY_CAST({v} AS DATE)"


class TrinoDialect(Dialect):
    """Trino, which is close to the standard."""

    title = "Trino"
    default_schema = "current_schema"
    types: ClassVar[Mapping[str, Rule]] = {
        "boolean": rule_of("boolean"),
        **dict.fromkeys(("tinyint", "smallint", "integer"), rule_of("int")),
        "bigint": rule_of("long"),
        "real": rule_of("float"),
        "double": rule_of("double"),
        **dict.fromkeys(("varchar", "char"), Rule(_STRING, pa.string(), _VARCHAR, kind="text")),
        **dict.fromkeys(("ipaddress", "interval year to month", "interval day to second"), _TEXT),
        "time with time zone": _TEXT,
        "varbinary": Rule(LakeType("binary"), pa.string(), "to_hex({c})", "from_hex({v})"),
        "json": Rule(_STRING, pa.string(), "json_format({c})"),
        **dict.fromkeys(("array", "map", "row"), _JSON),
        "uuid": Rule(LakeType("uuid"), pa.string(), _VARCHAR, kind="uuid"),
        "date": Rule(
            LakeType("date"),
            pa.string(),
            _VARCHAR,
            _DAY,
            "NOT regexp_full_match({v}, '[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}') OR "
            f"({{v}} IS NOT NULL AND ({_DAY} IS NULL OR {_DAY} < DATE '0001-01-01'))",
            "which lies outside the years 1 to 9999 that the lake holds",
            "date",
        ),
        "time": text_rule("time", _VARCHAR),
        "timestamp": text_rule("timestamp", _VARCHAR),
        "timestamp with time zone": text_rule(
            "timestamptz", "CAST(CAST(at_timezone({c}, 'UTC') AS timestamp(12)) AS varchar)"
        ),
    }

    def constant(self, value: Value, kind: Kind, column: CatalogueColumn) -> str:  # noqa: ARG002 - as every dialect
        """`value` as a literal of its own type."""
        match value:
            case bool():
                return "true" if value else "false"
            case int():
                return f"BIGINT '{value}'"
            case Decimal():
                return f"DECIMAL '{format(value, 'f')}'"
            case float():
                return f"{'REAL' if kind == 'float' else 'DOUBLE'} '{value!r}'"
            case datetime():
                zone = " UTC" if kind == "timestamptz" else ""
                return f"TIMESTAMP '{value.replace(tzinfo=None).isoformat(' ', 'microseconds')}{zone}'"
            case date():
                return f"DATE '{value.isoformat()}'"
            case time():
                return f"TIME '{value.isoformat('microseconds')}'"
            case UUID():
                return f"UUID '{value}'"
        return self.text(str(value))

    def shortened(self, expression: str, kind: str, length: int) -> str:
        """Texts up to `length` characters."""
        return f"substr({expression}, 1, {length})" if kind == "string" else expression

    def rule(self, column: CatalogueColumn) -> Rule | None:
        """How the column is read; decimals as text as well."""
        found = super().rule(column)
        if column.type == "decimal" and found is not None:
            return Rule(found.lake, found.travels, _VARCHAR, kind="decimal")
        return found

    def orders(self, column: Column) -> bool:
        """Whole numbers and text, but nothing that only travels as text."""
        return _column("", column.source_type, "YES").type in ("integer", "bigint", "varchar", "char")

    def entries(self, session: Session, path: str | None) -> Sequence[Entry] | None:
        """Every table and view of the catalog."""
        if path is not None:
            return None
        rows = session.rows(
            "SELECT table_schema, table_name FROM information_schema.tables "
            "WHERE table_schema <> 'information_schema' ORDER BY table_schema, table_name"
        )
        return [Entry("table", f"{schema}.{name}", path_of(name, schema)) for schema, name in rows]

    def table(self, session: Session, name: Name) -> Table | None:
        """The table or view called `name`."""
        schema = self.text(name.schema) if name.schema is not None else self.default_schema
        rows = session.rows(
            "SELECT table_schema, table_name, column_name, data_type, is_nullable FROM information_schema.columns "
            f"WHERE table_name = {self.text(name.table)} AND table_schema = {schema} ORDER BY ordinal_position"
        )
        return Table(Name(rows[0][1], rows[0][0]), tuple(_column(*row[2:]) for row in rows)) if rows else None


def _column(name: str, declared: str, nullable: str) -> CatalogueColumn:
    found = re.fullmatch(r"([a-z0-9_ ]+?)(?:\(([^()]*)\)|\(.*\))?((?: with time zone)?)", declared.lower(), re.DOTALL)
    word = (found[1] + found[3]) if found else declared.lower()
    numbers = [int(text) for text in re.findall("[0-9]+", found[2] or "")] if found else []
    precision = numbers[0] if numbers else None
    scale = numbers[1] if len(numbers) > 1 else None
    return CatalogueColumn(name, word, declared, nullable != "NO", precision, scale)
