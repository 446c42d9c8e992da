"""DuckDB database files: read in an engine of their own, which reaches nothing but the file.

| DuckDB | lake | read as, and refused |
|---|---|---|
| BOOLEAN | boolean | |
| TINYINT, SMALLINT, INTEGER, UTINYINT, USMALLINT | int | |
| BIGINT, UINTEGER | long | |
| UBIGINT | decimal(20,0) | |
| HUGEINT, UHUGEINT | decimal(38,0) | more than 38 digits refused |
| BIGNUM | string | its digits |
| FLOAT, DOUBLE | float, double | NaN and infinity kept |
| DECIMAL(p,s) | decimal(p,s) | |
| VARCHAR, ENUM, JSON, BIT, INTERVAL, TIME WITH TIME ZONE | string | DuckDB's text |
| UUID, BLOB | uuid, binary | |
| DATE | date | infinity, BC and years after 9999 refused |
| TIME | time | 24:00:00 refused |
| TIMESTAMP, TIMESTAMP_S, TIMESTAMP_MS | timestamp | infinity, BC and years after 9999 refused |
| TIMESTAMP_NS | timestamp | parts of a microsecond refused |
| TIMESTAMP WITH TIME ZONE | timestamptz | infinity, BC and years after 9999 refused |
| lists and arrays, STRUCT of what arrives unchanged | list, struct | as their parts |
| MAP, UNION, anything else | - | UnsupportedType: leave it out with `params.columns` |
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import duckdb
import pyarrow as pa

from headgate.dataplane import literal
from headgate.errors import (
    BadParameter,
    HeadgateError,
    ParameterMissing,
    SourceError,
    SourceObjectMissing,
    SourceUnreachable,
)
from headgate.model.lake import LakeType
from headgate.sources.context import Context
from headgate.sources.interface import Entry
from headgate.sources.roots import Roots
from headgate.sources.sql.dialect import CatalogueColumn, Dialect, Rule, SplitBy, Table, decimal_rule, rule_of
from headgate.sources.sql.driver import Session
from headgate.sources.sql.filters import Kind
from headgate.sources.sql.reader import SqlSource
from headgate.sources.sql.selection import Name, path_of

__all__ = ["DuckdbDialect", "DuckdbFile", "open_duckdb"]

_DATABASE = "src"
_ROWS, _ROWS_OF_FIXED_SIZE = 2048, 16_384  # of a batch; DuckDB works on 2048 at a time
_TEXT = Rule(LakeType("string"), pa.string(), value="CAST({c} AS VARCHAR)", kind="text")
_HUGE = Rule(
    LakeType("decimal", 38, 0),
    pa.string(),
    value="CAST({c} AS VARCHAR)",
    cast="CAST({v} AS HUGEINT)",  # DuckDB reads its decimals from text a hundred times slower
    refused="length(ltrim({v}, '-')) > 38",
    reason="which decimal(38,0) cannot hold",
    kind="decimal",
)
_WHOLE_SECONDS = Rule(
    LakeType("timestamp"),
    pa.timestamp("us"),
    value="CAST({c} AS TIMESTAMP)",
    refused=rule_of("timestamp").refused,
    reason=rule_of("timestamp").reason,
    kind="timestamp",
)
_NANOSECONDS = Rule(
    LakeType("timestamp"),
    pa.int64(),
    value="epoch_ns({c})",
    cast="make_timestamp({v} // 1000)",
    refused="{v} % 1000 <> 0",
    reason="nanoseconds since 1970, which is no whole microsecond",
    kind="timestamp",
)
_BY_WORDS: tuple[tuple[str, type[SourceError]], ...] = (
    (r"could not set lock|conflicting lock|unique file handle conflict", SourceUnreachable),
    (r"does not exist|no such file", SourceObjectMissing),
)


class DuckdbDialect(Dialect):
    """DuckDB's own SQL. The file is attached under one name, so that its own matters nowhere."""

    title = "DuckDB"
    splits: ClassVar[tuple[SplitBy, ...]] = ("keys",)  # a file that is open for reading cannot be written
    holds = True
    types: ClassVar[Mapping[str, Rule]] = {
        "boolean": rule_of("boolean"),
        **dict.fromkeys(("tinyint", "smallint", "integer", "utinyint", "usmallint"), rule_of("int")),
        **dict.fromkeys(("bigint", "uinteger"), rule_of("long")),
        "ubigint": Rule(
            LakeType("decimal", 20, 0), pa.decimal128(20), value="CAST({c} AS DECIMAL(20,0))", kind="decimal"
        ),
        **dict.fromkeys(("hugeint", "uhugeint"), _HUGE),
        "float": rule_of("float"),
        "double": rule_of("double"),
        "varchar": rule_of("string"),
        **dict.fromkeys(("enum", "json", "bit", "interval", "time with time zone", "bignum"), _TEXT),
        "uuid": Rule(LakeType("uuid"), pa.string(), value="CAST({c} AS VARCHAR)", kind="uuid"),
        "blob": rule_of("binary"),
        "date": rule_of("date"),
        "time": rule_of("time"),
        "timestamp": rule_of("timestamp"),
        **dict.fromkeys(("timestamp_s", "timestamp_ms"), _WHOLE_SECONDS),
        "timestamp_ns": _NANOSECONDS,
        "timestamp with time zone": rule_of("timestamptz"),
    }
    casts: ClassVar[Mapping[Kind, str]] = {**Dialect.casts, "uuid": "UUID"}

    def named(self, name: Name) -> str:
        """The table's name, with the one that the file is attached under."""
        return super().named(Name(name.table, name.schema, _DATABASE))

    def rule(self, column: CatalogueColumn) -> Rule | None:
        """How the column is read; lists and structs by their parts."""
        return _rule(column.declared)

    def entries(self, session: Session, path: str | None) -> Sequence[Entry] | None:
        """Every table and view, by schema."""
        if path is not None:
            return None
        found = session.rows(
            "SELECT schema_name, table_name FROM duckdb_tables() "
            f"WHERE database_name = {self.text(_DATABASE)} AND NOT internal "
            "UNION ALL SELECT schema_name, view_name FROM duckdb_views() "
            f"WHERE database_name = {self.text(_DATABASE)} AND NOT internal ORDER BY ALL"
        )
        return [Entry("table", f"{schema}.{name}", path_of(name, schema)) for schema, name in found]

    def table(self, session: Session, name: Name) -> Table | None:
        """The table or view that is called `name`, in letters of any case if none is called exactly so."""
        schema, database = name.schema or "main", self.text(_DATABASE)
        found = session.rows(
            f"SELECT schema_name, name, rows FROM (SELECT database_name, schema_name, table_name AS name, internal, "
            "estimated_size AS rows FROM duckdb_tables() UNION ALL SELECT database_name, schema_name, view_name, "
            f"internal, NULL FROM duckdb_views()) WHERE database_name = {database} AND NOT internal "
            f"AND lower(name) = lower({self.text(name.table)}) AND lower(schema_name) = lower({self.text(schema)})"
        )
        if not found:
            return None
        schema, table, rows = found[0]
        columns = [
            CatalogueColumn(column, _word(declared), declared, bool(nullable))
            for column, declared, nullable in session.rows(
                f"SELECT column_name, data_type, is_nullable FROM duckdb_columns() WHERE database_name = {database} "
                f"AND schema_name = {self.text(schema)} AND table_name = {self.text(table)} ORDER BY column_index"
            )
        ]
        # Rows are numbered in every table; a column of that name stands before the number.
        numbered = rows is not None and all(column.name.lower() != "rowid" for column in columns)
        key = CatalogueColumn("rowid", "bigint", "BIGINT") if numbered else None
        return Table(Name(table, schema), tuple(columns), key, rows)

    def estimate(self, session: Session, table: Table, query: str) -> int | None:
        """The rows exactly, where DuckDB counts them by what it knows of each part of a table; None for a view."""
        if table.rows is None:
            return None
        return int(session.rows(f"SELECT count(*) FROM ({query})")[0][0])


class DuckdbFile:
    """Opens one DuckDB file for reading, in engines that reach nothing else."""

    secrets = ()
    errors = (duckdb.Error,)

    def __init__(self, path: str, roots: Roots) -> None:
        """Raises SourcePathForbidden."""
        self._path = path
        self._roots = roots
        self._real()

    def connect(self) -> "DuckdbSession":
        """An engine with nothing but the file, read-only. Raises SourceObjectMissing, duckdb.Error."""
        real = self._real()
        if not Path(real).is_file():
            raise SourceObjectMissing(f"There is no file {self._path!r}.")
        engine = duckdb.connect(
            config={
                "threads": 1,
                "memory_limit": "256MB",
                "temp_directory": "",
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            }
        )
        try:
            engine.execute(f"ATTACH {literal(real)} AS {_DATABASE} (TYPE duckdb, READ_ONLY)")
            engine.execute(f"USE {_DATABASE}")
            engine.execute("SET TimeZone = 'UTC'")
            engine.execute("SET enable_external_access = false")  # what a view of the file could read or write
            engine.execute("SET lock_configuration = true")
        except duckdb.Error:
            engine.close()
            raise
        return DuckdbSession(engine)

    def translate(self, error: Exception) -> HeadgateError:
        """The error of our tree for one of DuckDB, without where the file really lies."""
        words = str(error).split("\n\nLINE ")[0].split("Candidate bindings")[0]
        words = " ".join(words.replace(self._real(), self._path).split())
        kind = next((kind for pattern, kind in _BY_WORDS if re.search(pattern, words, re.IGNORECASE)), SourceError)
        return kind(f"DuckDB: {words}")

    def _real(self) -> str:
        real = self._roots.real(str(self._roots.first / self._path))
        self._roots.real(f"{real}.wal")  # which DuckDB reads as well
        return real


class DuckdbSession:
    """An engine with one file."""

    def __init__(self, engine: duckdb.DuckDBPyConnection) -> None:
        self._engine = engine

    def rows(self, query: str) -> Sequence[Sequence[Any]]:
        """The whole answer; by way of Arrow, as DuckDB itself needs another library for times with a zone."""
        found = self._engine.execute(query).to_arrow_table()
        return list(zip(*(column.to_pylist() for column in found.columns), strict=True))

    def batches(self, query: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """The answer, as DuckDB computes it."""
        fixed = all(pa.types.is_primitive(type_) for type_ in schema.types)
        yield from self._engine.execute(query).to_arrow_reader(_ROWS_OF_FIXED_SIZE if fixed else _ROWS)

    def cancel(self) -> None:
        """Stop the query that runs."""
        self._engine.interrupt()

    def close(self) -> None:
        """Close the file."""
        self._engine.close()


def open_duckdb(auth_params: Mapping[str, Any], context: Context) -> SqlSource:
    """The source of the spec `duckdb`. Raises BadParameter, ParameterMissing, SourcePathForbidden."""
    for key in auth_params:
        if key != "path":
            raise BadParameter(f"The connection parameter {key!r} is not allowed here; leave it out.", field=key)
    path = auth_params.get("path")
    if not isinstance(path, str) or not path:
        raise ParameterMissing("The connection to a DuckDB file needs its path.", field="path")
    return SqlSource(DuckdbFile(path, context.roots), DuckdbDialect())


def _word(declared: str) -> str:
    return declared.split("(")[0].strip().lower()


def _rule(declared: str) -> Rule | None:
    """How values of a type are read; None when the lake cannot hold them."""
    if "(" not in declared and "[" not in declared:
        return DuckdbDialect.types.get(declared.lower())
    type_ = duckdb.sqltype(declared)
    match type_.id:
        case "decimal":
            parts: dict[str, Any] = dict(type_.children)
            return decimal_rule(parts["precision"], parts["scale"])
        case "enum":
            return _TEXT
        case "list" | "array":
            return _list(str(dict(type_.children)["child"]))
        case "struct":
            return _struct({name: str(part) for name, part in type_.children})
    return None


def _plain(declared: str) -> Rule | None:
    """The rule of a part, if it arrives unchanged."""
    rule = _rule(declared)
    return rule if rule is not None and (rule.value, rule.cast) == ("{c}", "{v}") else None


def _list(declared: str) -> Rule | None:
    element = _plain(declared)
    if element is None:
        return None
    refused = None
    if element.refused:
        refused = f"len(list_filter({{v}}, lambda part: {element.refused.format(v='part')})) > 0"
    lake = LakeType("list", element=element.lake)
    value = f"CAST({{c}} AS {element.lake.sql}[])"  # an array of a fixed length is a list
    return Rule(lake, pa.list_(element.travels), value=value, refused=refused, reason=element.reason)


def _struct(parts: Mapping[str, str]) -> Rule | None:
    fields, travels, refusals, reason = [], [], [], ""
    for name, declared in parts.items():
        rule = _plain(declared)
        if rule is None:
            return None
        fields.append((name, rule.lake))
        travels.append((name, rule.travels))
        if rule.refused:
            member = f"struct_extract({{v}}, {literal(name).replace('{', '{{').replace('}', '}}')})"
            refusals.append(rule.refused.replace("{v}", member))
            reason = rule.reason
    refused = " OR ".join(f"({refusal})" for refusal in refusals) or None
    return Rule(LakeType("struct", fields=tuple(fields)), pa.struct(travels), refused=refused, reason=reason)
