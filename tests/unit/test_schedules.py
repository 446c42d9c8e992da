"""When flows are due, and which windows their scheduled runs take."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.errors import BadTime
from headgate.model.schedules import Plan, Schedule
from headgate.model.windows import Window

MINUTE, HOUR, DAY, WEEK = 60_000, 3_600_000, 86_400_000, 604_800_000


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


START = ms("2024-02-28T06:00:00")  # a Wednesday of a leap year


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"startTime": 1709100000, "frequency": "minute", "interval": 15}, Schedule(1709100000_000, 15 * MINUTE)),
        ({"startTime": "1709100000", "frequency": "hour", "interval": "6"}, Schedule(1709100000_000, 6 * HOUR)),
        ({"startTime": 1709100000123, "frequency": "day", "interval": 1}, Schedule(1709100000_123, DAY)),
        (
            {"startTime": 1709100000, "frequency": "week", "interval": 2, "backfill": False},
            Schedule(1709100000_000, 2 * WEEK, False),
        ),
        (
            {"startTime": 1709100000, "frequency": "day", "interval": 1, "backfill": "false"},
            Schedule(1709100000_000, DAY, False),
        ),
        (
            {"startTime": 1709100000, "frequency": "day", "interval": 1, "backfill": "true"},
            Schedule(1709100000_000, DAY),
        ),
        ({"startTime": 1709100000, "frequency": "once"}, None),
    ],
)
def test_schedule_params_are_read(params: dict[str, Any], expected: Schedule | None) -> None:
    assert Schedule.of(params, initial_load=False) == expected


def test_an_initial_load_is_due_once_at_its_start_or_at_once_when_that_has_passed() -> None:
    asked = Schedule.of({"startTime": 1709100000, "frequency": "once"}, initial_load=True)
    assert asked == Schedule(1709100000_000, None)
    for present in (1709000000_000, 1709200000_000):
        plan = Plan.begun(asked, present)
        due = max(1709100000_000, present)
        assert plan.due_ms == due
        assert plan.window(due - 1) is None
        window = plan.window(due + 5)
        assert window == Window(0, due)
        assert plan.made(window).due_ms is None
        assert plan.made(window).window(due + 10**12) is None
        assert plan.made(window).landed(window).amended(asked, due + 5).due_ms is None


def test_a_start_time_that_is_none_is_refused() -> None:
    with pytest.raises(BadTime):
        Schedule.of({"startTime": "soon", "frequency": "day", "interval": 1}, initial_load=False)


@pytest.mark.parametrize(
    ("period", "after", "expected"),
    [
        (DAY, "2024-02-28T05:59:59", "2024-02-28T06:00:00"),
        (DAY, "2024-02-28T06:00:00", "2024-02-29T06:00:00"),  # the leap day is a day as any other
        (DAY, "2024-02-29T06:00:00", "2024-03-01T06:00:00"),
        (DAY, "2024-03-31T05:00:00", "2024-03-31T06:00:00"),  # where clocks change, UTC does not
        (WEEK, "2024-02-28T06:00:00", "2024-03-06T06:00:00"),  # weeks are counted from the start, not from Monday
        (2 * WEEK, "2024-12-30T00:00:00", "2025-01-01T06:00:00"),
        (15 * MINUTE, "2024-02-28T06:14:59.999", "2024-02-28T06:15:00"),
        (15 * MINUTE, "2024-02-28T06:15:00", "2024-02-28T06:30:00"),
        (7 * HOUR, "2024-02-28T13:00:00", "2024-02-28T20:00:00"),
    ],
)
def test_the_next_due_time(period: int, after: str, expected: str) -> None:
    assert Schedule(START, period).next(ms(after)) == ms(expected)


def test_the_last_due_time() -> None:
    schedule = Schedule(START, 15 * MINUTE)
    assert schedule.last(START - 1) is None
    assert schedule.last(START) == START
    assert schedule.last(START + 44 * MINUTE) == START + 30 * MINUTE


def test_backfill_takes_everything_up_to_the_start() -> None:
    plan = Plan.begun(Schedule(START, DAY), START - 1)
    assert plan.due_ms == START
    assert plan.window(START - 1) is None
    assert plan.window(START) == Window(0, START)


def test_without_backfill_the_first_window_begins_at_the_start() -> None:
    plan = Plan.begun(Schedule(START, DAY, backfill=False), START - 1)
    assert plan.due_ms == START + DAY
    assert plan.window(START + DAY - 1) is None
    assert plan.window(START + DAY) == Window(START, START + DAY)


def test_a_start_that_has_passed_is_now_in_whole_seconds() -> None:
    present = START + 5 * DAY + 1
    plan = Plan.begun(Schedule(START, DAY), present)
    assert plan.due_ms == present + 999
    assert plan.window(present + 999) == Window(0, present + 999)


def test_missed_due_times_become_one_window() -> None:
    plan = Plan.begun(Schedule(START, HOUR), START - 1)
    first = plan.window(START + 5 * HOUR + 10)
    assert first == Window(0, START + 5 * HOUR)
    plan = plan.made(first).landed(first)
    assert plan.due_ms == START + 6 * HOUR
    assert plan.window(START + 6 * HOUR - 1) is None


def test_a_window_that_did_not_land_is_part_of_the_next() -> None:
    plan = Plan.begun(Schedule(START, HOUR), START - 1)
    first = Window(0, START)
    plan = plan.made(first)  # and it failed
    assert plan.window(START + HOUR - 1) is None  # not tried again before the next due time
    assert plan.window(START + HOUR) == Window(0, START + HOUR)
    plan = plan.landed(first)  # it was re-triggered meanwhile
    assert plan.window(START + HOUR) == Window(START, START + HOUR)


def test_a_late_landing_never_moves_back_and_never_leaps() -> None:
    plan = Plan(Schedule(START, HOUR), START, covered_ms=START, made_ms=START)
    assert plan.landed(Window(0, START - HOUR)) == plan
    assert plan.landed(Window(START + HOUR, START + 2 * HOUR)) == plan
    assert plan.landed(Window(START - HOUR, START + HOUR)).covered_ms == START + HOUR


def test_another_period_goes_on_from_what_is_covered() -> None:
    plan = Plan.begun(Schedule(START, DAY), START - 1).made(Window(0, START)).landed(Window(0, START))
    plan = plan.amended(Schedule(START, 4 * HOUR), START + 9 * HOUR)
    assert plan.due_ms == START + 4 * HOUR
    assert plan.window(START + 9 * HOUR) == Window(START, START + 8 * HOUR)


def test_before_the_start_everything_may_be_chosen_anew() -> None:
    plan = Plan.begun(Schedule(START, DAY), START - DAY)
    later = START + WEEK
    assert plan.amended(Schedule(later, DAY, backfill=False), START - 1) == Plan(
        Schedule(later, DAY, backfill=False), later, later, later
    )
    assert plan.amended(Schedule(START - WEEK, DAY), START - DAY).due_ms == START - DAY


def test_a_new_start_after_the_first_one_keeps_what_is_covered() -> None:
    plan = Plan.begun(Schedule(START, DAY), START - 1).made(Window(0, START)).landed(Window(0, START))
    plan = plan.amended(Schedule(START + 3 * DAY, DAY), START + HOUR)
    assert plan.due_ms == START + 3 * DAY
    assert plan.window(START + 3 * DAY) == Window(START, START + 3 * DAY)


@given(
    st.integers(0, 40 * 365 * DAY),
    st.sampled_from([15 * MINUTE, HOUR, 5 * HOUR, DAY, WEEK, 3 * WEEK]),
    st.booleans(),
    st.lists(st.tuples(st.integers(1, 30 * DAY), st.booleans()), max_size=30),
)
def test_landed_windows_join_without_hole_or_overlap(
    start: int, period: int, backfill: bool, looks: list[tuple[int, bool]]
) -> None:
    """Whenever one looks, and whichever of the runs fail, the windows that landed lie end to end."""
    present = start
    plan = Plan.begun(Schedule(start, period, backfill), present)
    end = plan.covered_ms
    for pause, succeeds in looks:
        present += pause
        window = plan.window(present)
        if window is None:
            assert plan.due_ms is not None
            assert plan.due_ms > present
            continue
        assert window.start_ms == end
        assert present - period < window.end_ms <= present
        assert (window.end_ms - plan.schedule.start_ms) % period == 0
        plan = plan.made(window)
        if succeeds:
            plan, end = plan.landed(window), window.end_ms
