"""Records that a query leaves out instead of failing: how it says so while it runs, and what it said.

The way out of a running query is DuckDB's own log, in a file of one engine, because nothing else costs a query that
leaves nothing out as little. docs/adr tells what else was tried.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from headgate.dataplane import literal
from headgate.model.runs import Json

if TYPE_CHECKING:
    import duckdb

__all__ = ["LONGEST", "MOST", "SEPARATOR", "Reject", "Rejects", "cut", "leave_out", "listening", "record_of"]

MOST = 1000
"""So many records of a split are kept; the others are counted."""

LONGEST = 4000
"""A record is kept up to so many characters of its text."""

SEPARATOR = chr(31)
"""Stands between the parts of a reason, column and words; text that people write has none."""

_TYPE = "headgate-reject"
_SAID = "CREATE OR REPLACE TEMP VIEW said AS SELECT message AS m FROM duckdb_logs WHERE type = 'headgate-reject'"
_REASONS = "SELECT m->>'code', count(*), first(m->>'message') FROM said GROUP BY 1 ORDER BY 1"
_KEPT = "SELECT m FROM said LIMIT ?"


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that was left out, and why.

    `record` is a JSON object of the source's own values by column, as text; None where what was read is no record,
    or too long to keep whole. Then `text` is what there was, cut at LONGEST characters. `line` counts from 1.
    """

    code: str
    message: str
    column: str | None = None
    file: str | None = None
    line: int | None = None
    record: str | None = None
    text: str | None = None

    @property
    def error(self) -> Json:
        """What was wrong, and where, in the wire's shape."""
        about = {
            "code": self.code,
            "message": self.message,
            "column": self.column,
            "file": self.file,
            "line": self.line,
        }
        return {name: value for name, value in about.items() if value is not None}


@dataclass(slots=True)
class Rejects:
    """What a read left out: by code how many records and the first one's message, and some of the records.

    Of records that a source gave and nobody asked for, it is only counted how many lay `outside` of the window, and how
    many were `repeated`.
    """

    reasons: dict[str, tuple[int, str]] = field(default_factory=dict)
    kept: list[Reject] = field(default_factory=list)
    outside: int = 0
    repeated: int = 0

    @property
    def count(self) -> int:
        """How many records were left out."""
        return sum(count for count, _ in self.reasons.values())

    def merge(self, other: "Rejects") -> None:
        """Take up what another read left out."""
        for code, (count, message) in other.reasons.items():
            known, first = self.reasons.get(code, (0, message))
            self.reasons[code] = (known + count, first)
        self.kept += other.kept[: MOST - len(self.kept)]
        self.outside += other.outside
        self.repeated += other.repeated


def leave_out(message: str, *, code: str, column: str = "NULL", file: str = "NULL", record: str = "NULL") -> str:
    """A SQL condition that is false, and says why. For a WHERE, in a branch that only bad records come into.

    All but `code` are SQL for text; `record` is of `record_of()`, or the text that is no record. What of the message
    is not UTF-8, as databases that do not check may give it, is not told.
    """
    told = {"message": f"TRY(decode(encode({message})))", "column": column, "file": file}
    told["record"] = cut(record)
    said = ", ".join(f"{literal(name)}, {value}" for name, value in told.items())
    return (
        f"write_log(json_object('code', {literal(code)}, {said})::VARCHAR, "
        f"log_type := {literal(_TYPE)}, level := 'error', return_value := false)"
    )


def record_of(columns: Mapping[str, str]) -> str:
    """SQL for a record as the text of a JSON object: the SQL of a value by the name of its column.

    Texts should be `cut()`.
    """
    return f"json_object({', '.join(f'{literal(name)}, {value}' for name, value in columns.items())})::VARCHAR"


def cut(text: str) -> str:
    """SQL for a text of a record, no longer than it takes to see that the record is too long to be kept whole."""
    return f"left({text}, {LONGEST + 1})"


@contextmanager
def listening(connection: "duckdb.DuckDBPyConnection", path: Path) -> Iterator[Rejects]:
    """Hear what the queries on `connection` leave out; it is there once the context has ended well.

    `path` is a file for the meantime, whose name ends in .csv; it may take as much room as the rejected records do.
    """
    settings = f"storage_config = {{'path': {literal(str(path))}}}"
    connection.execute(f"CALL enable_logging(level = 'error', storage = 'file', {settings})")
    told = Rejects()
    try:
        yield told
        if not path.exists():  # it comes with the first message
            return
        connection.execute(_SAID)
        told.reasons = {code: (count, first) for code, count, first in connection.execute(_REASONS).fetchall()}
        told.kept = [_reject(text) for (text,) in connection.execute(_KEPT, [MOST]).fetchall()]
    finally:
        connection.execute("CALL disable_logging()")
        path.unlink(missing_ok=True)


def _reject(told: str) -> Reject:
    about = json.loads(told)
    text = about.pop("record")
    if text is not None and len(text) <= LONGEST and text.startswith("{") and _is_json(text):
        return Reject(**about, record=text)
    return Reject(**about, text=text[:LONGEST] if text is not None else None)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
