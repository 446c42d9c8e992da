"""Windows in an API's own words: texts with places, grains, slices."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from headgate.model.windows import Window
from headgate.sources.rest.loading import stream_of
from headgate.sources.rest.slices import slices
from headgate.sources.rest.templates import Filling, Span, Template, compiled, filled

NAMES = {"host", "key", "window", "window.start", "window.end"}


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def span(start: str, end: str, grain: str = "second", zone: str | None = None) -> Span:
    return Span.around(ms(start), ms(end), grain, zone)


def text(template: str, of: Span | None = None, **values: Any) -> Any:
    return Template.of(template, NAMES).filled(Filling(values, of))


@pytest.mark.parametrize(
    ("template", "wanted"),
    [
        ("{window.start|iso}", "2026-03-01T10:00:00Z"),
        ("{window.end|iso_ms}", "2026-03-02T00:00:01.000Z"),
        ("{window.start|epoch}/{window.end|ms}", "1772359200/1772409601000"),
        ("{window.end|minus_1|iso}", "2026-03-02T00:00:00Z"),
        ("{window.start|date}", "2026-03-01"),
        ("{window.end|date_before}", "2026-03-02"),
        ("{window.start|strftime:%Y%m%d%H}", "2026030110"),
        ('{{"a": "{window.start|date}"}}', '{"a": "2026-03-01"}'),
    ],
)
def test_times_are_written_as_the_filter_says(template: str, wanted: str) -> None:
    assert text(template, span("2026-03-01T10:00:00.5", "2026-03-02T00:00:00.001")) == wanted


def test_a_window_is_rounded_out_to_its_grain() -> None:
    found = span("2026-03-01T10:30:00", "2026-03-02T00:00:00", "day")
    assert (text("{window.start|date}", found), text("{window.end|date}", found)) == ("2026-03-01", "2026-03-02")
    assert text("{window.end|date_before}", found) == "2026-03-01"
    found = span("2026-03-01T00:00:00", "2026-03-02T00:00:01", "day")
    assert text("{window.end|date_before}", found) == "2026-03-02"
    found = span("2026-03-01T10:59:59.999", "2026-03-01T11:00:00", "hour")
    assert (text("{window.start|iso}", found), text("{window.end|iso}", found)) == (
        "2026-03-01T10:00:00Z",
        "2026-03-01T11:00:00Z",
    )


def test_days_are_those_of_the_zone() -> None:
    # In Berlin, the clocks go on at 2026-03-29T01:00Z: that day has 23 hours.
    found = span("2026-03-28T23:30:00", "2026-03-29T21:30:00", "day", "Europe/Berlin")
    assert (found.start.astimezone(UTC), found.end.astimezone(UTC)) == (
        datetime(2026, 3, 28, 23, tzinfo=UTC),
        datetime(2026, 3, 29, 22, tzinfo=UTC),
    )
    assert text("{window.start|date}..{window.end|date_before}", found) == "2026-03-29..2026-03-29"


def test_what_is_filled_in_is_no_template_and_what_is_absent_is_left_out() -> None:
    assert text("https://{host}/x", host="{key}") == "https://{key}/x"
    query = compiled({"a": "{key}", "b": "x{key}", "c": {"d": "{host}"}, "e": ["{key}", "1"], "n": 5}, NAMES)
    assert filled(query, Filling({"host": "h"})) == {"b": "x", "c": {"d": "h"}, "e": ["1"], "n": 5}
    assert filled(compiled("{key|int}", NAMES), Filling({"key": "7"})) == 7


@pytest.mark.parametrize(
    "wrong", ["{other}", "{host", "host}", "{window.start}", "{host|up}", "{window.start|minus_1}"]
)
def test_a_text_that_cannot_be_filled_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"brace|names|filter|written"):
        Template.of(wrong, NAMES)


def _filter(**about: Any) -> Any:
    columns = {"id": "long", "at": "timestamptz"}
    window = {"query": {}, "grain": "second", "sides": "both", **about}
    return stream_of(
        "s", {"request": {"path": "/"}, "columns": columns, "windows": {"at": window}}, frozenset()
    ).windows[0]


@pytest.mark.parametrize(
    ("about", "at_least", "parallel", "wanted"),
    [
        ({}, None, 4, 1),
        ({}, timedelta(hours=1), 4, 4),
        ({}, timedelta(hours=16), 4, 2),
        ({"sides": "start"}, timedelta(hours=1), 4, 1),  # each slice would bring all that follows it
        ({"longest_days": 0.25}, None, 1, 4),
        ({"longest_days": 0.25}, timedelta(hours=1), 8, 8),
        ({"grain": "day"}, timedelta(hours=1), 4, 1),
    ],
)
def test_a_window_is_sliced_as_the_vendor_allows(about: Any, at_least: Any, parallel: int, wanted: int) -> None:
    window = Window(ms("2026-03-01T00:00:00"), ms("2026-03-02T00:00:00"))
    found = slices(window, _filter(**about), at_least, parallel, None)
    assert len(found) == wanted
    assert [part.start_ms for part in found] == [window.start_ms, *(part.end_ms for part in found[:-1])]
    assert found[-1].end_ms == window.end_ms


def test_slices_of_days_touch_at_the_zones_midnight() -> None:
    window = Window(ms("2026-03-27T10:00:00"), ms("2026-04-02T10:00:00"))
    found = slices(window, _filter(grain="day", longest_days=1), None, 1, "Europe/Berlin")
    inner = {datetime.fromtimestamp(part.end_ms / 1000, UTC).strftime("%d %H") for part in found[:-1]}
    assert inner <= {"27 23", "28 23", "29 22", "30 22", "31 22", "01 22"}
    assert [part.start_ms for part in found[1:]] == [part.end_ms for part in found[:-1]]
    assert all(part.end_ms - part.start_ms <= 86_400_000 for part in found)
