"""BigQuery's SQL, and what its types become.

| BigQuery | lake | read as, and refused |
|---|---|---|
| BOOL, INT64, FLOAT64 | boolean, long, double | NaN and infinity kept |
| NUMERIC, NUMERIC(p,s) | decimal(38,9), decimal(p,s) | |
| BIGNUMERIC, BIGNUMERIC(p,s) | string | exact digits; or the decimal that `params.columns` declares, never rounded |
| STRING, BYTES, DATE, TIME | string, binary, date, time | |
| DATETIME | timestamp | |
| TIMESTAMP | timestamptz | |
| JSON, ARRAY, STRUCT | string | JSON |
| INTERVAL | string | BigQuery's text |
| GEOGRAPHY, RANGE, TIMESTAMP(12) | - | leave it out with `params.columns`, or cast it in a view |
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import ClassVar

import pyarrow as pa

from headgate.model.lake import Column, LakeType
from headgate.model.row_filter import Comparison, Op
from headgate.sources.interface import Entry
from headgate.sources.sql.bigquery.driver import datasets, missing
from headgate.sources.sql.dialect import CatalogueColumn, Dialect, Rule, Table, decimal_rule, rule_of
from headgate.sources.sql.driver import Session
from headgate.sources.sql.filters import Kind, Value
from headgate.sources.sql.selection import Name, path_of

__all__ = ["BigQueryDialect"]

_STRING = LakeType("string")
_JSON = Rule(_STRING, pa.string(), "TO_JSON_STRING({c})")
_ESCAPED = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_DATASET = re.compile(r"[A-Za-z0-9_]{1,1024}")


class BigQueryDialect(Dialect):
    """GoogleSQL: backticks, backslashes in texts, and a catalogue in every dataset."""

    title = "BigQuery"
    counts = False
    types: ClassVar[Mapping[str, Rule]] = {
        "bool": rule_of("boolean"),
        "int64": rule_of("long"),
        "float64": rule_of("double"),
        "string": rule_of("string"),
        "bytes": rule_of("binary"),
        "date": rule_of("date"),
        "time": rule_of("time"),
        "datetime": rule_of("timestamp"),
        "timestamp": rule_of("timestamptz"),
        **dict.fromkeys(("json", "array", "struct"), _JSON),
        "interval": Rule(_STRING, pa.string(), "CAST({c} AS STRING)"),
    }

    def quote(self, name: str) -> str:
        """`name` in backticks."""
        return "`" + _escaped(name, "`") + "`"

    def text(self, value: str) -> str:
        """`value` with C's escapes."""
        return "'" + _escaped(value, "'") + "'"

    def constant(self, value: Value, kind: Kind, column: CatalogueColumn) -> str:  # noqa: ARG002 - as every dialect
        """`value` as a literal of its own type."""
        match value:
            case bool() | int():
                return str(value).upper()
            case float():
                return f"CAST('{value!r}' AS FLOAT64)"
            case Decimal():
                return f"BIGNUMERIC '{format(value, 'f')}'"
            case datetime():
                written = value.replace(tzinfo=None).isoformat(" ", "microseconds")
                return f"TIMESTAMP '{written}+00'" if kind == "timestamptz" else f"DATETIME '{written}'"
            case date():
                return f"DATE '{value.isoformat()}'"
            case time():
                return f"TIME '{value.isoformat('microseconds')}'"
        return self.text(str(value))

    def fold(self, name: str) -> str:
        """The name as it stands."""
        return name

    def shortened(self, expression: str, kind: str, length: int) -> str:
        """`expression` up to `length` characters or bytes."""
        return f"SUBSTR({expression}, 1, {length})" if kind in ("string", "binary") else expression

    def rule(self, column: CatalogueColumn) -> Rule | None:
        """How the column is read."""
        if column.type == "numeric":
            return decimal_rule(column.precision or 38, (column.scale or 0) if column.precision else 9)
        if column.type == "bignumeric":
            return Rule(_STRING, pa.string(), "CAST({c} AS STRING)", kind="decimal")
        if column.type == "timestamp" and column.precision:
            return None
        return self.types.get(column.type)

    def declared_decimal(self, column: CatalogueColumn, decimal: LakeType) -> Rule | None:
        """BIGNUMERIC can be declared."""
        if column.type != "bignumeric":
            return None
        cast = f"TRY_CAST({{v}} AS {decimal.sql})"
        shape = f"-?[0-9]*([.][0-9]{{{{0,{decimal.scale}}}}}0*)?"
        refused = f"NOT regexp_full_match({{v}}, '{shape}') OR ({{v}} IS NOT NULL AND {cast} IS NULL)"
        why = f"which {decimal} cannot hold exactly"
        return Rule(decimal, pa.string(), "CAST({c} AS STRING)", cast, refused, why, "decimal")

    def orders(self, column: Column) -> bool:
        """Whole numbers and text, but no JSON."""
        return _column("", column.source_type, "YES").type in ("int64", "string")

    def comparison(self, comparison: Comparison, column: CatalogueColumn, kind: Kind, values: Sequence[Value]) -> str:
        """A backslash escapes in LIKE without being declared."""
        if comparison.op is Op.LIKE:
            return f"{self.quote(column.name)} LIKE {self.text(str(values[0]))}"
        return super().comparison(comparison, column, kind, values)

    def entries(self, session: Session, path: str | None) -> Sequence[Entry] | None:
        """The datasets of the project as folders, and the tables and views of each."""
        if path is None:
            return [Entry("folder", name, name) for name in datasets(session)]
        if not _DATASET.fullmatch(path):
            return None
        try:
            rows = session.rows(
                f"SELECT table_name FROM {self.quote(path)}.INFORMATION_SCHEMA.TABLES ORDER BY table_name"
            )
        except Exception as error:
            if missing(error):
                return None
            raise
        return [Entry("table", f"{path}.{name}", path_of(name, path)) for (name,) in rows]

    def table(self, session: Session, name: Name) -> Table | None:
        """The table or view called `name`, which is `dataset.table`."""
        if name.schema is None or not _DATASET.fullmatch(name.schema):
            return None
        try:
            rows = session.rows(
                "SELECT column_name, data_type, is_nullable "
                f"FROM {self.quote(name.schema)}.INFORMATION_SCHEMA.COLUMNS "
                f"WHERE table_name = {self.text(name.table)} ORDER BY ordinal_position"
            )
        except Exception as error:
            if missing(error):
                return None
            raise
        return Table(name, tuple(_column(*row) for row in rows)) if rows else None


def _escaped(text: str, end: str) -> str:
    return "".join(f"\\{sign}" if sign == end else _ESCAPED.get(sign, sign) for sign in text)


def _column(name: str, declared: str, nullable: str) -> CatalogueColumn:
    word = re.split("[^a-z0-9]", declared.lower(), maxsplit=1)[0]
    numbers = [int(text) for text in re.findall("[0-9]+", declared.partition("(")[2])] if "<" not in declared else []
    precision, scale = (*numbers, None, None)[:2]
    return CatalogueColumn(name, word, declared, nullable != "NO", precision, scale)
