"""The picture of a flow's windows."""

from headgate.console.timeline import calendar_bars
from headgate.model.runs import Json

HOUR = 3600


def found(*spans: tuple[str, int]) -> Json:
    """A calendar of spans that follow one another, each of so many hours."""
    at, items = 1_700_000_000, []
    for state, hours in spans:
        items.append({"state": state, "windowStartTime": at, "windowEndTime": at + hours * HOUR})
        at += hours * HOUR
    return {"from": 1_700_000_000, "to": at, "items": items}


def test_a_gap_longer_than_all_windows_is_drawn_as_long_as_they_are() -> None:
    bars = calendar_bars(found(("ingested", 2), ("missing", 1), ("failed", 1), ("missing", 996)))
    assert [bar.kind for bar in bars] == ["ingested", "missing", "failed", "cut"]
    assert [(round(bar.x, 2), round(bar.width, 2)) for bar in bars] == [
        (0, 28.57),
        (28.57, 14.29),
        (42.86, 14.29),
        (57.14, 42.86),
    ]
    assert bars[-1].end - bars[-1].start == 996 * HOUR * 1000  # what it says of itself stays true


def test_gaps_alone_are_drawn_as_they_are() -> None:
    assert [(bar.kind, bar.x, bar.width) for bar in calendar_bars(found(("missing", 24)))] == [("missing", 0, 100)]
