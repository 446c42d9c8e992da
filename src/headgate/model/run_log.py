"""The log of a run: what its workers and the people around it did, a line each."""

from dataclasses import dataclass
from typing import Literal

from headgate.model.resources import now_ms
from headgate.model.runs import Json, Run

__all__ = ["Level", "LogLine", "first_line"]

Level = Literal["info", "warning", "error"]


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line: `at` in milliseconds since the epoch. `number` grows along a run's log; 0 before it is stored."""

    at: int
    level: Level
    text: str
    number: int = 0

    @classmethod
    def now(cls, text: str, level: Level = "info") -> "LogLine":
        """A line about this moment."""
        return cls(now_ms(), level, text)

    @property
    def wire(self) -> Json:
        """As the API shows it."""
        return {"id": self.number, "at": self.at, "level": self.level, "text": self.text}


def first_line(run: Run) -> LogLine:
    """The line that every log begins with; it is stored with no log."""
    again = f", which repeats {run.parent_id}" if run.parent_id is not None else ""
    window = str(run.window).replace(".000000Z", "Z")
    return LogLine(run.created_at, "info", f"Made by {run.created_by} for the window {window}{again}.")
