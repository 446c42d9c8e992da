"""Databricks' SQL, and what its types become.

| Databricks | lake | read as, and refused |
|---|---|---|
| boolean | boolean | |
| tinyint, smallint, int | int | |
| bigint | long | |
| float, double | float, double | NaN and infinity kept |
| decimal(p,s) | decimal(p,s) | |
| string, varchar, char | string | |
| binary, date | binary, date | |
| timestamp | timestamptz | |
| timestamp_ntz | timestamp | |
| array, map, struct, variant | string | JSON |
| interval | string | Databricks' text |
| void, geometry, geography | - | leave it out with `params.columns`, or cast it in a view |
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import ClassVar

import pyarrow as pa

from headgate.errors import SourceObjectMissing
from headgate.model.lake import Column, LakeType
from headgate.model.row_filter import Comparison, Op
from headgate.sources.interface import Entry
from headgate.sources.sql.databricks.driver import missing
from headgate.sources.sql.dialect import CatalogueColumn, Dialect, Rule, Table, rule_of
from headgate.sources.sql.driver import Session
from headgate.sources.sql.filters import Kind, Value
from headgate.sources.sql.selection import Name, path_of

__all__ = ["DatabricksDialect"]

_STRING = LakeType("string")
_ESCAPED = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\0": "\\0"}


class DatabricksDialect(Dialect):
    """Spark's SQL: backticks, backslashes in texts, and a catalogue that is asked by SHOW and DESCRIBE."""

    title = "Databricks"
    types: ClassVar[Mapping[str, Rule]] = {
        "boolean": rule_of("boolean"),
        **dict.fromkeys(("tinyint", "smallint", "int"), rule_of("int")),
        "bigint": rule_of("long"),
        "float": rule_of("float"),
        "double": rule_of("double"),
        **dict.fromkeys(("string", "varchar", "char"), rule_of("string")),
        "binary": rule_of("binary"),
        "date": rule_of("date"),
        "timestamp": rule_of("timestamptz"),
        "timestamp_ntz": rule_of("timestamp"),
        **dict.fromkeys(("array", "map", "struct", "variant"), Rule(_STRING, pa.string(), "to_json({c})")),
        "interval": Rule(_STRING, pa.string(), "CAST({c} AS STRING)"),
    }
    casts: ClassVar[Mapping[Kind, str]] = {"float": "FLOAT", "double": "DOUBLE", "integer": "BIGINT"}

    def quote(self, name: str) -> str:
        """`name` in backticks."""
        return "`" + name.replace("`", "``") + "`"

    def text(self, value: str) -> str:
        """`value` with C's escapes: here two quotes are the end of one text and the beginning of the next."""
        return "'" + "".join(_ESCAPED.get(sign, sign) for sign in value) + "'"

    def constant(self, value: Value, kind: Kind, column: CatalogueColumn) -> str:
        """`value` as a literal of its own type."""
        if isinstance(value, datetime):
            written = value.replace(tzinfo=None).isoformat(" ", "microseconds")
            return f"TIMESTAMP '{written}+00:00'" if kind == "timestamptz" else f"TIMESTAMP_NTZ '{written}'"
        if isinstance(value, date):
            return f"DATE '{value.isoformat()}'"
        return super().constant(value, kind, column)

    def shortened(self, expression: str, kind: str, length: int) -> str:
        """`expression` up to `length` characters or bytes."""
        return f"substring({expression}, 1, {length})" if kind in ("string", "binary") else expression

    def orders(self, column: Column) -> bool:
        """Whole numbers and text, but no JSON."""
        return _column("", column.source_type).type in ("int", "bigint", "string", "varchar", "char")

    def comparison(self, comparison: Comparison, column: CatalogueColumn, kind: Kind, values: Sequence[Value]) -> str:
        """A backslash escapes in LIKE without being declared."""
        if comparison.op is Op.LIKE:
            return f"{self.quote(column.name)} LIKE {self.text(str(values[0]))}"
        return super().comparison(comparison, column, kind, values)

    def entries(self, session: Session, path: str | None) -> Sequence[Entry] | None:
        """The schemas of the catalogue as folders, and what is in them."""
        if path is None:
            return [Entry("folder", str(row[0]), str(row[0])) for row in session.rows("SHOW SCHEMAS")]
        try:
            rows = session.rows(f"SHOW TABLES IN {self.quote(path)}")
        except Exception as error:
            if missing(error):
                return None
            raise
        return [Entry("table", str(name), path_of(str(name), path)) for schema, name, *_ in rows if schema]

    def table(self, session: Session, name: Name) -> Table | None:
        """The table or view called `name`."""
        try:
            rows = session.rows(f"DESCRIBE TABLE {self.named(name)}")
        except Exception as error:
            if missing(error):
                return None
            raise
        columns: list[CatalogueColumn] = []
        for column, type_, *_ in rows:
            if not column or column.startswith("# "):  # what follows repeats columns, and tells of other things
                break
            columns.append(_column(column, type_))
        if not columns:
            raise SourceObjectMissing(f"The table {name.table!r} has no columns.")
        return Table(name, tuple(columns))


def _column(name: str, declared: str) -> CatalogueColumn:
    word = re.split("[^a-z_]", declared.lower(), maxsplit=1)[0]
    numbers = re.fullmatch(r"decimal\(([0-9]+), ?([0-9]+)\)", declared.lower())
    precision, scale = (int(numbers[1]), int(numbers[2])) if numbers else (None, None)
    return CatalogueColumn(name, word, declared, True, precision, scale)
