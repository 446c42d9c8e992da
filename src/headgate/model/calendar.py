"""Which spans of time a flow has brought, and which are missing: what its runs say, laid over one another."""

import itertools
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from headgate.model.runs import RunState
from headgate.model.windows import Window

__all__ = ["Mark", "Span", "calendar", "mark_of"]


class Mark(IntEnum):
    """What is known of a span. Where several runs say something, the greatest counts."""

    MISSING = 0
    """No run was over it, or what was brought is taken out again."""
    FAILED = 1
    INGESTED = 2
    """Brought, also if a later run failed: that one left the table as it was."""
    RUNNING = 3
    """A run that has not ended is over it."""

    @property
    def word(self) -> str:
        """As the API spells it."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a calendar, and what is known of all of it."""

    window: Window
    mark: Mark


def mark_of(state: RunState, window: Window, began_ms: int, reverted_at: int | None) -> tuple[Window, Mark] | None:
    """What a run says of its window; None when nothing.

    A run whose window reached beyond its own beginning has brought no more than there was then.
    """
    match state:
        case RunState.SUCCESS if reverted_at is None:
            window, mark = Window(window.start_ms, min(window.end_ms, began_ms)), Mark.INGESTED
        case RunState.FAILED:
            mark = Mark.FAILED
        case RunState.SCHEDULED | RunState.QUEUED | RunState.IN_PROGRESS:
            mark = Mark.RUNNING
        case _:
            return None
    return None if window.empty else (window, mark)


def calendar(marks: Iterable[tuple[Window, Mark]], within: Window) -> tuple[Span, ...]:
    """`within` in spans, in order and without gaps, each as long as what is known stays the same."""
    changes: dict[int, Counter[Mark]] = {}
    for window, mark in marks:
        start, end = max(window.start_ms, within.start_ms), min(window.end_ms, within.end_ms)
        if start < end:
            changes.setdefault(start, Counter())[mark] += 1
            changes.setdefault(end, Counter())[mark] -= 1
    spans: list[Span] = []
    over: Counter[Mark] = Counter()
    edges = sorted({*changes, within.start_ms, within.end_ms})
    for start, end in itertools.pairwise(edges):
        over.update(changes.get(start, Counter()))
        mark = max((mark for mark, count in over.items() if count > 0), default=Mark.MISSING)
        if spans and spans[-1].mark is mark:
            spans[-1] = Span(Window(spans[-1].window.start_ms, end), mark)
        else:
            spans.append(Span(Window(start, end), mark))
    return tuple(spans)
