"""The calendar of a flow's windows, held against an instant-by-instant count."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.model.calendar import Mark, Span, calendar, mark_of
from headgate.model.runs import RunState
from headgate.model.windows import Window

SPANS = st.tuples(st.integers(0, 30), st.integers(0, 30)).map(lambda ends: Window(min(ends), max(ends)))
MARKS = st.lists(st.tuples(SPANS, st.sampled_from(Mark)), max_size=12)


@given(MARKS, SPANS)
def test_every_instant_has_the_greatest_mark_over_it(marks: list[tuple[Window, Mark]], within: Window) -> None:
    spans = calendar(marks, within)
    for instant in range(within.start_ms, within.end_ms):
        over = [mark for window, mark in marks if window.start_ms <= instant < window.end_ms]
        [span] = [span for span in spans if span.window.start_ms <= instant < span.window.end_ms]
        assert span.mark is max(over, default=Mark.MISSING)


@given(MARKS, SPANS)
def test_spans_follow_one_another_and_neighbours_differ(marks: list[tuple[Window, Mark]], within: Window) -> None:
    spans = calendar(marks, within)
    assert (spans == ()) is within.empty
    if spans:
        assert (spans[0].window.start_ms, spans[-1].window.end_ms) == (within.start_ms, within.end_ms)
    for one, next_ in itertools.pairwise(spans):
        assert one.window.end_ms == next_.window.start_ms
        assert one.mark is not next_.mark


@given(MARKS, SPANS)
def test_a_calendar_is_its_own_calendar_whatever_the_order(marks: list[tuple[Window, Mark]], within: Window) -> None:
    spans = calendar(marks, within)
    assert calendar(reversed(marks), within) == spans
    assert calendar([(span.window, span.mark) for span in spans], within) == spans


@pytest.mark.parametrize(
    ("state", "reverted_at", "mark"),
    [
        (RunState.SUCCESS, None, (Window(10, 15), Mark.INGESTED)),
        (RunState.SUCCESS, 99, None),
        (RunState.FAILED, None, (Window(10, 20), Mark.FAILED)),
        (RunState.CANCELLED, None, None),
        (RunState.SCHEDULED, None, (Window(10, 20), Mark.RUNNING)),
        (RunState.QUEUED, None, (Window(10, 20), Mark.RUNNING)),
        (RunState.IN_PROGRESS, None, (Window(10, 20), Mark.RUNNING)),
    ],
)
def test_what_a_run_says_that_began_in_the_middle_of_its_window(
    state: RunState, reverted_at: int | None, mark: tuple[Window, Mark] | None
) -> None:
    assert mark_of(state, Window(10, 20), 15, reverted_at) == mark


def test_a_run_that_began_before_its_window_has_brought_nothing() -> None:
    assert mark_of(RunState.SUCCESS, Window(10, 20), 5, None) is None


def test_words() -> None:
    [span] = calendar([], Window(0, 1))
    assert (span, span.mark.word) == (Span(Window(0, 1), Mark.MISSING), "missing")
