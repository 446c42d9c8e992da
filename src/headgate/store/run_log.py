"""The logs of runs, and what is new of the runs that somebody watches.

Who writes a line has locked its run before, so that the lines of one run become visible in the order of their numbers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from headgate.model.run_log import LogLine, first_line
from headgate.model.runs import Run
from headgate.store import tables
from headgate.store.rows import run_of
from headgate.store.transactions import Transactions

__all__ = ["News", "RunFeed", "Seen", "lines_after", "write_lines"]

_LOG = tables.run_log
_RUNS = tables.runs
_AT_A_TIME = 500
_MOST_LINES = 5000


@dataclass(frozen=True, slots=True)
class Seen:
    """How much of a run somebody has seen: its record's version and state, and the number of its log's last line."""

    etag: str = ""
    state: str = ""
    line: int = -1


@dataclass(slots=True)
class News:
    """What came since: the run, if its record changed, and the new lines of its log."""

    run: Run | None = None
    lines: list[LogLine] = field(default_factory=list)


class RunFeed:
    """Tells what is new of runs of any scope: for those who have been let in to each of them."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def news(self, seen: Mapping[str, Seen]) -> dict[str, News]:
        """What is new of these runs, by their ids; a long log comes in several calls. Raises Unavailable."""
        found: dict[str, News] = {}
        ids = [*seen]
        with self._transactions.read() as connection:
            for at in range(0, len(ids), _AT_A_TIME):
                self._look(connection, {id_: seen[id_] for id_ in ids[at : at + _AT_A_TIME]}, found)
        return found

    def _look(self, connection: sa.Connection, seen: Mapping[str, Seen], found: dict[str, News]) -> None:
        known = connection.execute(sa.select(_RUNS.c.id, _RUNS.c.etag, _RUNS.c.state).where(_RUNS.c.id.in_(seen)))
        changed = [row.id for row in known if (row.etag, row.state) != (seen[row.id].etag, seen[row.id].state)]
        if changed:
            for row in connection.execute(sa.select(_RUNS).where(_RUNS.c.id.in_(changed))):
                run = run_of(row)
                found[run.id] = News(run, [first_line(run)] if seen[run.id].line < 0 else [])
        least = min(each.line for each in seen.values())
        chosen = sa.select(_LOG).where(_LOG.c.run_id.in_(seen), _LOG.c.seq > least).order_by(_LOG.c.seq)
        for row in connection.execute(chosen.limit(_MOST_LINES)):
            if row.seq > seen[row.run_id].line:
                found.setdefault(row.run_id, News()).lines.append(_line(row))


def write_lines(connection: sa.Connection, run_id: str, lines: Sequence[LogLine]) -> None:
    """Add lines to the log of a run, which this transaction has locked."""
    if lines:
        rows = [{"run_id": run_id, "at": line.at, "level": line.level, "text": line.text} for line in lines]
        connection.execute(_ADDING, rows)


def lines_after(connection: sa.Connection, run: Run, number: int, most: int) -> list[LogLine]:
    """The lines of a run's log that follow the one with this number (-1: all), at most so many."""
    chosen = sa.select(_LOG).where(_LOG.c.run_id == run.id, _LOG.c.seq > number).order_by(_LOG.c.seq).limit(most)
    return [*([first_line(run)] if number < 0 else []), *(_line(row) for row in connection.execute(chosen))]


_ADDING = sa.insert(_LOG)


def _line(row: Any) -> LogLine:
    return LogLine(row.at, row.level, row.text, row.seq)
