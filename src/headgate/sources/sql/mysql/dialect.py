"""How MySQL and MariaDB write SQL, and what their types become.

| MySQL, MariaDB | lake | read as, and refused |
|---|---|---|
| tinyint, smallint, mediumint, int, year | int | tinyint(1), which `bool` stands for, holds more than 0 and 1 |
| int unsigned, bigint | long | |
| bigint unsigned | decimal(20,0) | |
| bit(1) | boolean | |
| bit(n) | int, long, decimal(20,0) | the number its bits make: n < 32, n < 64, 64 |
| decimal(p,s), p <= 38 | decimal(p,s) | |
| decimal of more digits | string | exact text; or the decimal that `params.columns` declares, never rounded |
| float, double | float, double | all their digits, of which float shows six |
| char, varchar, the texts, enum, set, json | string | of any character set; char without its padding |
| binary, varbinary, the blobs | binary | |
| date, datetime, timestamp | date, timestamp, timestamptz | zero dates, zero days or months, and the year 0 refused |
| time | time | negative ones, and from 24:00:00 on, refused |
| uuid, inet4, inet6 | uuid, string, string | of MariaDB |
| geometry, vector, anything else | - | UnsupportedType: leave it out with `params.columns` |
"""

import re
import struct
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from typing import ClassVar

import pyarrow as pa

from headgate.model.lake import Column, LakeType
from headgate.sources.sql.dialect import CatalogueColumn, Dialect, Rule, SplitBy, Table, decimal_rule, rule_of
from headgate.sources.sql.driver import Session
from headgate.sources.sql.filters import Kind, Value
from headgate.sources.sql.mysql.answers import WORD
from headgate.sources.sql.selection import Name

__all__ = ["MariadbDialect", "MysqlDialect"]

_ORDERING = re.compile(r"(?i)(int|bigint)\b(?!.*zerofill).*|(char|varchar|(tiny|medium|long)?text)\b.*")
_INTEGERS = ("tinyint", "smallint", "mediumint", "int", "bigint")
_NO_TIME = "which is no time that the lake holds"

_DATE = Rule(
    LakeType("date"),
    WORD,
    cast="TRY_CAST({v} AS DATE)",
    refused="{v} IS NOT NULL AND coalesce(TRY_CAST({v} AS DATE) < DATE '0001-01-01', true)",
    reason="which is no date that the lake holds",
    kind="date",
)
_DATETIME = Rule(
    LakeType("timestamp"),
    WORD,
    cast="TRY_CAST({v} AS TIMESTAMP)",
    refused="{v} IS NOT NULL AND coalesce(TRY_CAST({v} AS TIMESTAMP) < TIMESTAMP '0001-01-01', true)",
    reason=_NO_TIME,
    kind="timestamp",
)
_TIMESTAMP = Rule(
    LakeType("timestamptz"),
    WORD,
    cast="TRY_CAST({v} || '+00' AS TIMESTAMPTZ)",  # sessions are in UTC
    refused="{v} IS NOT NULL AND TRY_CAST({v} || '+00' AS TIMESTAMPTZ) IS NULL",
    reason=_NO_TIME,
    kind="timestamptz",
)
_TIME = Rule(
    LakeType("time"),
    WORD,
    cast="TRY_CAST({v} AS TIME)",
    refused="{v} IS NOT NULL AND coalesce(TRY_CAST({v} AS TIME) >= TIME '24:00:00', true)",
    reason="which the lake's time of day cannot hold",
    kind="time",
)
_TEXT, _BYTES = rule_of("string"), rule_of("binary")
_BIGGEST = decimal_rule(20, 0)
_DIGITS = Rule(LakeType("string"), WORD, kind="decimal")
_BOOLEAN = Rule(LakeType("boolean"), pa.bool_(), "{c} + 0", kind="boolean")


class MysqlDialect(Dialect):
    """What a session of `MysqlSession` understands; its settings decide how texts and times are written."""

    title: ClassVar[str] = "MySQL"
    splits: ClassVar[tuple[SplitBy, ...]] = ("keys",)  # each session sees a state of its own
    system_schemas: ClassVar[tuple[str, ...]] = ("information_schema", "mysql", "performance_schema", "sys")
    default_schema: ClassVar[str] = "database()"
    kinds_of_tables: ClassVar[tuple[str, ...]] = ("BASE TABLE", "VIEW", "SYSTEM VERSIONED")
    types: ClassVar[Mapping[str, Rule]] = {
        **dict.fromkeys(
            ("char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set", "json"), _TEXT
        ),
        **dict.fromkeys(("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"), _BYTES),
        # Added to nothing, they are written with all their digits.
        "float": Rule(LakeType("float"), pa.float32(), "{c} + 0e0", kind="float"),
        "double": Rule(LakeType("double"), pa.float64(), "{c} + 0e0", kind="double"),
        "year": rule_of("int"),
        "date": _DATE,
        "datetime": _DATETIME,
        "timestamp": _TIMESTAMP,
        "time": _TIME,
        "uuid": Rule(LakeType("uuid"), WORD, "CAST({c} AS CHAR)", kind="uuid"),
        **dict.fromkeys(("inet4", "inet6"), Rule(LakeType("string"), WORD, "CAST({c} AS CHAR)")),
    }

    # -- words

    def quote(self, name: str) -> str:
        """`name` between backquotes."""
        return "`" + name.replace("`", "``") + "`"

    def constant(self, value: Value, kind: Kind, column: CatalogueColumn) -> str:  # noqa: ARG002 - as every dialect
        """`value` as a constant of its own type; of a float as the number that it stands for."""
        match value:
            case datetime():
                moment = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
                return f"TIMESTAMP{self.text(moment.isoformat(' ', 'microseconds'))}"
            case date():
                return f"DATE{self.text(value.isoformat())}"
            case time():
                return f"TIME{self.text(value.isoformat('microseconds'))}"
            case float():
                number = struct.unpack("<f", struct.pack("<f", value))[0] if kind == "float" else value
                return f"{number!r}" if "e" in repr(number) else f"{number!r}e0"
        return self.written(value)

    def fold(self, name: str) -> str:
        """Names are taken as they stand, and without regard to case where the server has them so."""
        return name

    def shortened(self, expression: str, kind: str, length: int) -> str:  # noqa: ARG002 - alike for both
        """The beginning of a text, or of bytes."""
        return f"LEFT({expression}, {length})"

    # -- types

    def rule(self, column: CatalogueColumn) -> Rule | None:
        """How the column is read; numbers by whether they have a sign, and by their size."""
        declared = column.declared.lower()
        if column.type in _INTEGERS:
            return _integer(column.type, "unsigned" in declared, "zerofill" in declared)
        if column.type == "decimal":
            precision, scale = column.precision or 0, column.scale or 0
            if precision > 38:
                return _DIGITS
            rule = decimal_rule(precision, scale)
            return rule if "zerofill" not in declared else Rule(rule.lake, rule.travels, "{c} + 0", kind=rule.kind)
        if column.type == "bit":
            return _bits(column.precision or 1)
        return self.types.get(column.type)

    def declared_decimal(self, column: CatalogueColumn, decimal: LakeType) -> Rule | None:
        """A decimal of any size as one that the lake holds, without rounding."""
        if column.type != "decimal":
            return None
        fits = f"'-?[0-9]*([.][0-9]{{{{0,{decimal.scale}}}}}0*)?'"
        cast = f"TRY_CAST({{v}} AS {decimal.sql})"
        return Rule(
            decimal,
            WORD,
            cast=cast,
            refused=f"{{v}} IS NOT NULL AND ({cast} IS NULL OR NOT regexp_full_match({{v}}, {fits}))",
            reason=f"which {decimal} cannot hold exactly",
            kind="decimal",
        )

    def orders(self, column: Column) -> bool:
        """Whether integers or text of this type may stand for times."""
        return _ORDERING.fullmatch(column.source_type) is not None

    # -- catalogue

    def table(self, session: Session, name: Name) -> Table | None:
        """The table or view that is called `name`; in letters of any case where the server has no other names."""
        schema = self.text(name.schema) if name.schema is not None else self.default_schema
        found = session.rows(
            "SELECT table_schema, table_name, table_rows, @@lower_case_table_names FROM information_schema.tables "
            f"WHERE table_schema = {schema} AND table_name = {self.text(name.table)}"
        )
        # The catalogue may compare names more loosely than the server does.
        exact = [row for row in found if row[1] == name.table and name.schema in (None, row[0])]
        folded = [row for row in found if row[3] and row[1].lower() == name.table.lower()]
        if not (exact or folded):
            return None
        schema, table, rows, _ = (exact or folded)[0]
        of_it = f"table_schema = {self.text(schema)} AND table_name = {self.text(table)}"
        columns = [
            CatalogueColumn(column, type_.lower(), declared, nullable != "NO", precision, scale)
            for column, type_, declared, nullable, precision, scale in session.rows(
                "SELECT column_name, data_type, column_type, is_nullable, numeric_precision, numeric_scale "
                f"FROM information_schema.columns WHERE {of_it} ORDER BY ordinal_position"
            )
        ]
        first = session.rows(
            "SELECT column_name FROM information_schema.statistics "
            f"WHERE {of_it} AND index_name = 'PRIMARY' AND seq_in_index = 1"
        )
        key = next((c for c in columns if first and c.name == first[0][0] and c.type in _INTEGERS), None)
        return Table(Name(table, schema), tuple(columns), key, rows)

    # -- how a read is planned

    def estimate(self, session: Session, table: Table, query: str) -> int | None:  # noqa: ARG002 - as every dialect
        """The rows that the server expects to look at, less those it expects to leave out."""
        expected = 1.0
        for row in session.rows(f"EXPLAIN {query}"):
            if len(row) < 10:
                return None  # a tree, by a setting of MySQL's
            if row[0] != 1:
                continue
            # … rows, Extra; MySQL has the share of the rows that is left between them.
            rows, share = (row[-3], row[-2]) if len(row) > 10 else (row[-2], 100)
            if rows is None:
                return None
            expected *= int(rows) * float(share or 100) / 100
        return int(expected)


class MariadbDialect(MysqlDialect):
    """The same, under its own name."""

    title: ClassVar[str] = "MariaDB"


def _integer(type_: str, unsigned: bool, padded: bool) -> Rule:
    if type_ == "bigint":
        rule = _BIGGEST if unsigned else rule_of("long")
    else:
        rule = rule_of("long" if type_ == "int" and unsigned else "int")
    return Rule(rule.lake, rule.travels, "{c} + 0", kind=rule.kind) if padded else rule


def _bits(count: int) -> Rule:
    if count == 1:
        return _BOOLEAN
    rule = rule_of("int" if count < 32 else "long") if count < 64 else _BIGGEST
    return Rule(rule.lake, rule.travels, "{c} + 0", kind=rule.kind)
