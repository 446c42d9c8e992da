"""Bars along time: what a picture of a run or of a flow's windows is made of, in per cent of its width."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from headgate.model.runs import Json

__all__ = ["Bar", "calendar_bars", "run_bars"]

_LEAST = 0.4  # per cent, so that what was short is seen
_MOST = 40  # splits that are drawn
_GAP = "missing"


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: where it begins and how wide it is, in per cent; `kind` chooses its look. Times in milliseconds."""

    label: str
    kind: str
    start: int
    end: int
    x: float
    width: float
    note: str = ""


def run_bars(run: Json, splits: Sequence[Json], present_ms: int) -> list[Bar]:
    """The time line of a run until its end or now: waiting, copying with its splits, committing."""
    duration = run["metrics"].get("durationSummary", {})
    begun, ended = duration.get("startedAtUTC"), duration.get("completedAtUTC")
    last = ended or max(present_ms, run["updatedAt"])
    pieces = [("Waiting", "wait", run["createdAt"], begun or last, "")]
    for activity in run["activities"]:
        pieces += _of_activity(activity, splits, last)
    if begun and not run["activities"]:
        progress = run["metrics"].get("progress", {})
        note = f"{progress['splitsDone']} of {progress['splitsTotal']} splits" if progress.get("splitsTotal") else ""
        pieces.append(("Copying", "copy", begun, last, note))
        pieces += _of_splits(splits)
    return [*_placed(pieces, min(start for _, _, start, _, _ in pieces), last)]


def calendar_bars(found: Json) -> list[Bar]:
    """The spans of a flow's calendar, one after the other.

    A gap that would leave the windows too narrow to be seen, longer than all of them together, is drawn as long as
    they are; its `kind` is then `cut`.
    """
    spans = [
        (each["state"], *(_milliseconds(each[name]) for name in ("windowStartTime", "windowEndTime")))
        for each in found["items"]
    ]
    brought = sum(last - first for state, first, last in spans if state != _GAP)
    shown = [min(last - first, brought) if state == _GAP and brought else last - first for state, first, last in spans]
    whole, at, bars = max(1, sum(shown)), 0, []
    for (state, first, last), length in zip(spans, shown, strict=True):
        cut = length < last - first
        x, width = at / whole * 100, max(_LEAST, length / whole * 100)
        kind, note = ("cut", ", drawn shorter") if cut else (state, "")
        bars.append(Bar(state, kind, first, last, round(min(100 - _LEAST, x), 3), round(width, 3), note))
        at += length
    return bars


def _of_activity(activity: Json, splits: Sequence[Json], last: int) -> list[tuple[str, str, int, int, str]]:
    duration = activity.get("durationSummary", {})
    if (start := duration.get("startedAtUTC")) is None:
        return []
    copies = activity["id"] == "copyActivity"
    piece = (
        "Copying" if copies else "Committing",
        "copy" if copies else "commit",
        start,
        duration.get("completedAtUTC") or last,
        "",
    )
    return [piece, *(_of_splits(splits) if copies else [])]


def _of_splits(splits: Sequence[Json]) -> list[tuple[str, str, int, int, str]]:
    return [
        (split["id"], "split", split["startedAtUTC"], split["completedAtUTC"], f"{split['recordCount']:,} records")
        for split in splits[:_MOST]
    ]


def _placed(pieces: Sequence[tuple[str, str, int, int, str]], start: int, end: int) -> Iterator[Bar]:
    whole = max(1, end - start)
    for label, kind, first, last, note in pieces:
        x = min(100 - _LEAST, max(0.0, (first - start) / whole * 100))
        width = min(100 - x, max(_LEAST, (last - first) / whole * 100))
        yield Bar(label, kind, first, last, round(x, 3), round(width, 3), note)


def _milliseconds(wire: int) -> int:
    return wire * 1000 if wire < 10**11 else wire
