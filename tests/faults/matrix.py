"""The fault matrix: which fault a test makes, and the one table of what was seen."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import pytest

_Test = TypeVar("_Test", bound=Callable[..., Any])
QUICK = pytest.mark.quick
INVARIANTS = {
    "I1": "the rows are those of the windows that succeeded, each once, and no others",
    "I2": "a run has one snapshot when it succeeded, else none",
    "I3": "every run ends in time",
    "I4": "no data file is left that no snapshot lists, once the upkeep's grace is over",
    "I5": "the figures a run reports are the truth",
    "I6": "runs of others are not touched",
    "I7": "no log holds a secret",
    "I8": "open files and memory of what still runs are back where they were",
}
NOT_YET = {
    "F33": ("a Singer or Airbyte child hangs, floods, lies", "there are no such sources yet"),
    "F36": ("upgraded with runs in flight", "there is no earlier release whose worker could be left running"),
}


def absent(means: str) -> NoReturn:
    """Leave a fault out that cannot be made here; where CI is true, that is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(means)
    pytest.skip(means)


@dataclass(slots=True)
class Row:
    """One line of the table."""

    number: str
    fault: str
    metadata: str
    seen: str
    invariants: str


@dataclass(slots=True)
class Table:
    """What the tests of this session saw."""

    rows: list[Row] = field(default_factory=list)

    def text(self) -> str:
        """The table in Markdown, by number of the fault."""
        rows = [
            *self.rows,
            *(Row(number, about, "-", f"not yet: {why}", "-") for number, (about, why) in NOT_YET.items()),
        ]
        rows.sort(key=lambda row: (int("".join(c for c in row.number if c.isdigit())), row.number, row.fault))
        lines = ["| | fault | metadata | seen | invariants |", "|---|---|---|---|---|"]
        for row in rows:
            cells = (row.number, row.fault, row.metadata, row.seen, row.invariants)
            lines.append("| " + " | ".join(cell.replace("|", "/").replace("\n", " ") for cell in cells) + " |")
        return "\n".join(lines)

    def write(self) -> None:
        """Keep the table in the file that FAULT_TABLE names, if one is."""
        if path := os.environ.get("FAULT_TABLE"):
            Path(path).write_text(self.text() + "\n")


TABLE = Table()


def fault(number: str, about: str) -> Callable[[_Test], _Test]:
    """Mark a test as one that makes the fault `number`; `about` says which, `{}` in it stands for its parameters."""

    def marked(test: _Test) -> _Test:
        found: _Test = pytest.mark.fault(number, about)(test)
        return found

    return marked
