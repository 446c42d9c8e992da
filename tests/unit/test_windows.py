"""Wire times, windows, and their bounds in the type of a delta column."""

import re
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.errors import BadTime
from headgate.model.windows import (
    Bounds,
    DeltaType,
    Window,
    parse_instant,
    sortable_pattern,
    text_format,
    text_regex,
)

EPOCH = datetime(1970, 1, 1)
LAST = 253_402_300_799_999
instants = st.integers(0, 4_102_444_800_000)


def at(milliseconds: int) -> datetime:
    return EPOCH + timedelta(milliseconds=milliseconds)


@pytest.mark.parametrize(
    ("value", "milliseconds"),
    [
        (0, 0),
        ("0", 0),
        (1612310466, 1612310466000),
        ("1612310466", 1612310466000),
        (1612310466123, 1612310466123),
        (99_999_999_999, 99_999_999_999_000),
        (16515859567, 16515859567000),
        (LAST, LAST),
    ],
)
def test_wire_times_are_told_apart_by_their_size(value: object, milliseconds: int) -> None:
    assert parse_instant(value, "windowStartTime") == milliseconds


@pytest.mark.parametrize("value", [True, None, 1.5, "", "1.5", "-1", "٣", " 1", "1e3", -1, LAST + 1, "9" * 19, []])
def test_other_wire_times_are_refused_by_name(value: object) -> None:
    with pytest.raises(BadTime, match="windowStartTime"):
        parse_instant(value, "windowStartTime")


def test_a_window_without_an_instant_is_empty() -> None:
    assert Window(5, 5).empty
    assert not Window(5, 6).empty


@given(instants, instants, st.integers(0, 4_102_444_800_000_000))
def test_a_value_is_taken_exactly_when_its_instant_lies_in_the_window(start: int, end: int, micros: int) -> None:
    window = Window(start, end)
    inside = start * 1000 <= micros < end * 1000
    value = EPOCH + timedelta(microseconds=micros)

    def takes(type_: DeltaType, native: object) -> bool:
        bounds = Bounds.of(window, type_)
        return bool(bounds.lower <= native < bounds.upper)  # type: ignore[operator]

    assert takes(DeltaType.TIMESTAMP, value) == inside
    assert takes(DeltaType.TIMESTAMPTZ, value.replace(tzinfo=UTC)) == inside
    assert takes(DeltaType.EPOCH_US, micros) == inside
    assert takes(DeltaType.EPOCH_MS, micros // 1000) == inside


@given(instants, instants, instants)
def test_a_coarse_value_stands_for_the_first_instant_it_names(start: int, end: int, value: int) -> None:
    window = Window(start, end)
    second = value // 1000
    bounds = Bounds.of(window, DeltaType.EPOCH_S)
    assert (bounds.lower <= second < bounds.upper) == (start <= second * 1000 < end)  # type: ignore[operator]
    day = at(value).date()
    bounds = Bounds.of(window, DeltaType.DATE)
    midnight = (datetime(day.year, day.month, day.day) - EPOCH) // timedelta(milliseconds=1)
    assert (bounds.lower <= day < bounds.upper) == (start <= midnight < end)  # type: ignore[operator]


SPELLINGS = st.sampled_from(["", "Z", "+00", "+0000", "+00:00"])


@given(
    st.integers(0, 100_000),
    st.integers(0, 100_000),
    st.integers(0, 100_000),
    st.integers(0, 999_999_999),
    st.integers(0, 9),
    SPELLINGS,
    st.sampled_from(" T"),
)
def test_text_sorts_into_windows_of_whole_seconds(
    start: int, end: int, second: int, nanos: int, digits: int, mark: str, separator: str
) -> None:
    """Whatever its fraction and mark: a text is taken exactly when its instant lies in the window."""
    fraction = f".{nanos:09d}"[: digits + 1] if digits else ""
    text = at(second * 1000).strftime(f"%Y-%m-%d{separator}%H:%M:%S") + fraction + mark
    pattern = text_format(text)
    assert pattern is not None
    assert re.fullmatch(text_regex(pattern), text)
    bounds = Bounds.of(Window(start * 1000, end * 1000), DeltaType.TEXT, pattern=pattern)
    assert (str(bounds.lower) <= text < str(bounds.upper)) == (start <= second < end)


@given(instants, instants, instants, SPELLINGS)
def test_text_of_minutes_sorts_into_any_window(start: int, end: int, value: int, mark: str) -> None:
    minute = value // 60_000 * 60_000
    text = at(minute).strftime("%Y-%m-%d %H:%M") + mark
    assert text_format(text) == "yyyy-MM-dd HH:mm"
    bounds = Bounds.of(Window(start, end), DeltaType.TEXT, pattern="yyyy-MM-dd HH:mm")
    assert (str(bounds.lower) <= text < str(bounds.upper)) == (start <= minute < end)


@given(instants, instants, instants)
def test_text_of_days_sorts_into_any_window(start: int, end: int, value: int) -> None:
    day = at(value).date()
    bounds = Bounds.of(Window(start, end), DeltaType.TEXT, pattern="yyyy-MM-dd")
    typed = Bounds.of(Window(start, end), DeltaType.DATE)
    taken = str(bounds.lower) <= day.isoformat() < str(bounds.upper)
    assert taken == (typed.lower <= day < typed.upper)  # type: ignore[operator]


def test_a_zone_moves_the_bounds_of_values_without_one() -> None:
    window = Window(1372672800000, 1372680000000)  # 2013-07-01 10:00 to 12:00 UTC
    assert Bounds.of(window, DeltaType.TIMESTAMP, timezone="Europe/Berlin").lower == datetime(2013, 7, 1, 12)
    assert Bounds.of(window, DeltaType.TIMESTAMPTZ, timezone="Europe/Berlin").lower == datetime(
        2013, 7, 1, 10, tzinfo=UTC
    )
    tokyo = Bounds.of(Window(1372604400000, 1372690800000), DeltaType.DATE, timezone="Asia/Tokyo")
    assert (tokyo.lower, tokyo.upper) == (date(2013, 7, 1), date(2013, 7, 2))


@pytest.mark.parametrize(
    ("type_", "zone", "pattern"),
    [
        (DeltaType.DATE, None, None),
        (DeltaType.TIMESTAMP, "Asia/Tokyo", None),
        (DeltaType.TEXT, None, "yyyy-MM-dd"),
        (DeltaType.TEXT, None, "yyyy-MM-dd HH:mm"),
    ],
)
def test_a_window_to_the_end_of_time_is_refused_where_it_cannot_be_said(
    type_: DeltaType, zone: str | None, pattern: str | None
) -> None:
    with pytest.raises(BadTime, match="9999"):
        Bounds.of(Window(0, LAST), type_, timezone=zone, pattern=pattern)
    assert Bounds.of(Window(0, LAST), DeltaType.TIMESTAMP).upper == datetime(9999, 12, 31, 23, 59, 59, 999000)


@pytest.mark.parametrize(
    ("sample", "pattern"),
    [
        ("2013-01-31", "yyyy-MM-dd"),
        ("2013-01-31 10:00", "yyyy-MM-dd HH:mm"),
        ("2013-01-31T10:00Z", "yyyy-MM-ddTHH:mm"),
        ("2013-01-31 10:00:00", "yyyy-MM-dd HH:mm:ss"),
        ("2013-01-31T10:00:00.123456789+00:00", "yyyy-MM-ddTHH:mm:ss"),
        ("2013-01-31Z", None),
        ("2013-01-31 10:00:00+02:00", None),
        ("2013-01-31 10:00:00.1234567890", None),
        ("2013-1-31", None),
        ("20130131", None),
        ("31.01.2013", None),
        ("", None),
        ("2013-01-31\n", None),
    ],
)
def test_the_pattern_of_a_text(sample: str, pattern: str | None) -> None:
    assert text_format(sample) == pattern


@pytest.mark.parametrize(
    ("date_format", "pattern"),
    [
        ("yyyy-MM-dd", "yyyy-MM-dd"),
        ("YYYY-MM-DD", "yyyy-MM-dd"),
        ("yyyy-MM-dd HH:mm:ss", "yyyy-MM-dd HH:mm:ss"),
        ("yyyy-MM-dd'T'HH:mm:ss.SSS'Z'", "yyyy-MM-ddTHH:mm:ss"),
        ("yyyy-MM-ddTHH:mm:ssXXX", "yyyy-MM-ddTHH:mm:ss"),
        ("dd/MM/yyyy", None),
        ("yyyy-mm-dd HH:MM:ss", None),
        ("yyyy-MM-dd hh:mm:ss a", None),
        ("epoch_s", None),
        ("", None),
    ],
)
def test_the_pattern_that_a_date_format_means(date_format: str, pattern: str | None) -> None:
    assert sortable_pattern(date_format) == pattern


def test_marked_text_can_be_excluded() -> None:
    assert re.fullmatch(text_regex("yyyy-MM-dd HH:mm:ss"), "2013-01-31 10:00:00Z")
    assert not re.fullmatch(text_regex("yyyy-MM-dd HH:mm:ss", marked=False), "2013-01-31 10:00:00Z")
