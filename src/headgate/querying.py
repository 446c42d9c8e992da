"""SQL that somebody else wrote, over tables of the lake: each is a view of an engine that reads nothing else.

As a program this answers one query: what is asked comes as JSON on standard input, the answer goes as JSON to standard
output. The process gives up what it does not need before it looks at the query, and does not outlive its time, whatever
becomes of who started it.
"""

import json
import os
import re
import resource
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headgate import dataplane
from headgate.dataplane import literal, quote
from headgate.errors import InvalidRequest
from headgate.model.plain import plain
from headgate.model.runs import Json
from headgate.model.table_metadata import Described, document_of

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

__all__ = ["QueryRefused", "View", "answered", "engine"]

_EXPLAIN = re.compile(r"\s*EXPLAIN\s+(?:ANALYZE\s+)?(?:\(\s*FORMAT\s+\w+\s*\)\s*)?", re.IGNORECASE)
# Functions that stand where a table does: these read no files, write none, and hide no SQL in a text.
_HARMLESS = {
    "duckdb_columns",
    "duckdb_constraints",
    "duckdb_functions",
    "duckdb_schemas",
    "duckdb_tables",
    "duckdb_types",
    "generate_series",
    "json_each",
    "json_tree",
    "pragma_table_info",
    "range",
    "repeat",
    "repeat_row",
    "unnest",
}
_CATALOGS = {"information_schema", "pg_catalog"}
_LISTS = {"duckdb_columns", "duckdb_schemas", "duckdb_tables", "pragma_table_info"}
_MEMORY = "700MB"  # of the engine; the rest of the process needs the difference to _BYTES
_BYTES = 1024**3
_ROWS = 256  # of a batch of the answer
_REASON = 2000  # characters of an engine's reason, in which a query may have it repeat what it likes
_HEAD = 1024 * 1024  # bytes of an answer for all but its rows
_NO_TABLE = re.compile(r"Table with name (\S+) does not exist")
_NAMED = 10  # tables that are told to who asks for one that is not there


class QueryRefused(InvalidRequest):
    """The query cannot be run."""


@dataclass(frozen=True, slots=True)
class View:
    """A table of the lake under its name; `metadata` is the file of its present state, None before its first run."""

    name: str
    metadata: Path | None


@contextmanager
def engine(views: Sequence[View], statement: str, *, locked: bool) -> "Iterator[duckdb.DuckDBPyConnection]":
    """An engine that has those of the `views` that one `statement` needs, which can only read.

    A `locked` one reads no other files than theirs, and calls no function that could. Raises QueryRefused.
    """
    import duckdb

    connection = dataplane.connect("avro", "iceberg", threads=_threads(), memory=_MEMORY if locked else "1GB")
    try:
        if locked:
            connection.execute("SET temp_directory = ''; SET python_enable_replacements = false")
        tree = _parsed(connection, statement)
        if locked:
            _see_harmless(tree)
        needed = _needed(views, tree)
        for view in needed:
            connection.execute(f"CREATE VIEW {quote(view.name)} AS {_rows_of(view)}")
        if locked:
            folders = [str(view.metadata.parent.parent) for view in needed if view.metadata is not None]
            connection.execute(f"SET allowed_directories = [{', '.join(map(literal, folders))}]")
            connection.execute("SET enable_external_access = false; SET lock_configuration = true")
        yield connection
    except duckdb.OutOfMemoryException as error:
        raise QueryRefused("The query takes more memory than there is for one. Ask for less at a time.") from error
    except duckdb.Error as error:
        raise QueryRefused(_refusal(str(error), sorted(view.name for view in views))) from error
    finally:
        connection.close()


def _refusal(reason: str, tables: Sequence[str]) -> str:
    """The engine's `reason`; of a table that is not there, the lake's own `tables` and not the engine's."""
    missing = _NO_TABLE.search(reason)
    if missing is None:
        return re.sub(r"\s+", " ", reason).strip()
    near = get_close_matches(missing[1], tables)
    if near:
        hint = f"Did you mean {' or '.join(near)}?"
    else:
        hint = (
            f"There are {', '.join(tables[:_NAMED])}{' and more' * (len(tables) > _NAMED)}."
            if tables
            else "It has none."
        )
    return f"The lake has no table {missing[1]!r}. {hint}"


def answered(views: Sequence[View], statement: str, *, rows: int, size: int) -> Json:
    """What a locked engine says: `{"columns":[{"name","type"}],"rows":[[…]],"truncated","milliseconds"}`.

    At most `rows` rows, and `size` bytes of them. Raises QueryRefused, also when the first row alone is larger.
    """
    with engine(views, statement, locked=True) as connection:
        began = time.perf_counter()
        found = connection.execute(statement)
        columns = [{"name": name, "type": str(type_)} for name, type_, *_ in found.description or ()]
        told, truncated = _collected(found.to_arrow_reader(_ROWS), rows, size)
        spent = round((time.perf_counter() - began) * 1000)
    return {"columns": columns, "rows": told, "truncated": truncated, "milliseconds": spent}


def _collected(reader: "pa.RecordBatchReader", rows: int, size: int) -> tuple[list[list[Any]], bool]:
    told: list[list[Any]] = []
    for batch in reader:
        members = [_values(batch.column(at), batch.schema.field(at).name) for at in range(batch.num_columns)]
        for row in zip(*members, strict=True):
            size -= len(json.dumps(row))
            if size < 0 and not told:
                raise QueryRefused("The first row alone is larger than an answer may be. Ask for less of it.")
            if len(told) >= rows or size < 0:
                return told, True
            told.append(list(row))
    return told, False


def _values(column: "pa.Array[Any]", name: str) -> list[Any]:
    try:
        return [plain(value) for value in column.to_pylist()]
    except (ValueError, OverflowError) as error:
        raise QueryRefused(
            f"A value of the column {name!r} cannot be shown: {error}. Cast it: CAST({quote(name)} AS VARCHAR)."
        ) from error


# -- what the statement is ------------------------------------------------------------------------------


def _parsed(connection: "duckdb.DuckDBPyConnection", statement: str) -> Json:
    """The statement's tree. Raises QueryRefused unless it is one that reads."""
    explained = _EXPLAIN.match(statement)
    text = statement[explained.end() :] if explained else statement
    answer = connection.execute(f"SELECT json_serialize_sql({literal(text)})").fetchone()
    tree: Json = json.loads(answer[0]) if answer else {"error": True}
    if tree["error"] and tree.get("error_type") == "parser":
        raise QueryRefused(" ".join(str(tree["error_message"]).split()))
    if tree["error"] or len(tree["statements"]) != 1:
        raise QueryRefused("One SELECT, DESCRIBE, SHOW, SUMMARIZE or EXPLAIN statement can be run at a time.")
    return tree


def _see_harmless(tree: Json) -> None:
    for node in _nodes(tree):
        if node.get("type") == "TABLE_FUNCTION":
            name = str((node.get("function") or {}).get("function_name", "")).lower()
            if name not in _HARMLESS:
                raise QueryRefused(
                    f"The function {name!r} cannot be used here: queries read the sandbox's datasets, each by its name."
                )


def _needed(views: Sequence[View], tree: Json) -> list[View]:
    """The views that a statement names; all when it asks which there are."""
    named: set[str] = set()
    for node in _nodes(tree):
        match node.get("type"):
            case "BASE_TABLE":
                if str(node.get("schema_name", "")).lower() in _CATALOGS:
                    return list(views)
                named.add(str(node["table_name"]).lower())
            case "TABLE_FUNCTION" if str((node.get("function") or {}).get("function_name", "")).lower() in _LISTS:
                return list(views)
            case "SHOW_REF" if node.get("show_type") == "SHOW_UNQUALIFIED":
                return list(views)
    return [view for view in views if view.name.lower() in named]


def _nodes(tree: Any) -> Iterator[Json]:
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node


def _rows_of(view: View) -> str:
    if view.metadata is None:
        return "SELECT NULL AS no_run_has_filled_this_dataset_yet WHERE false"
    table = Described.of(document_of(view.metadata.read_bytes()))
    if table.current is not None:
        return f"SELECT * FROM iceberg_scan({literal(str(view.metadata))})"
    members = ", ".join(f"CAST(NULL AS {column.sql}) AS {quote(column.name)}" for column in table.columns)
    return f"SELECT {members} WHERE false"


def _threads() -> int:
    return min(4, os.cpu_count() or 1)


# -- the process ------------------------------------------------------------------------------------------


def _main() -> None:
    asked = json.load(sys.stdin)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(asked["seconds"] + 1)  # ends the process, also when who started it has gone
    import duckdb  # noqa: F401 - before the limits, which what is loaded would count towards
    import pyarrow as pa  # noqa: F401

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # nothing can be written to any file
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (_BYTES, _BYTES))
    views = [View(name, None if path is None else Path(path)) for name, path in asked["views"]]
    try:
        answer = answered(views, asked["sql"], rows=asked["rows"], size=asked["size"])
    except QueryRefused as error:
        answer = {"refused": error.detail[:_REASON]}
    except MemoryError:
        answer = {"refused": "The query takes more memory than there is for one. Ask for less at a time."}
    except FileNotFoundError:
        answer = {"changed": True}
    text = json.dumps(answer)
    if len(text) > asked["size"] + _HEAD:  # the service holds it whole
        text = json.dumps({"refused": "The names and types of the columns are larger than an answer may be."})
    sys.stdout.write(text)
    sys.stdout.flush()
    os._exit(0)  # without a clean-up of what is given back anyway


if __name__ == "__main__":
    _main()
