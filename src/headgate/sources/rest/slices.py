"""A window in parts: no longer than the vendor takes, and as many as may be read at the same time."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from headgate.model.windows import Window
from headgate.sources.rest.manifest import WindowFilter
from headgate.sources.rest.templates import Span, grain_of

__all__ = ["slices"]


def slices(
    window: Window, filter_: WindowFilter, at_least: timedelta | None, parallel: int, zone: str | None
) -> Sequence[Window]:
    """The parts of `window`, in order; they touch on a multiple of the vendor's grain."""
    length = timedelta(milliseconds=window.end_ms - window.start_ms)
    longest = length
    if at_least is not None and filter_.sides == "both" and parallel > 1:
        longest = max(length / parallel, at_least)
    if filter_.longest is not None:
        longest = min(longest, filter_.longest)
    asked = Span.around(window.start_ms, window.end_ms, filter_.grain, zone)
    if longest >= length and (filter_.longest is None or asked.end - asked.start <= filter_.longest):
        return (window,)
    step = max(longest // grain_of(filter_.grain), 1) * grain_of(filter_.grain)
    parts, at = [], window.start_ms
    while at < window.end_ms:
        until = datetime.fromtimestamp(at / 1000, UTC) + step
        grain = Span.around(int(until.timestamp() * 1000), int(until.timestamp() * 1000), filter_.grain, zone)
        end = min(int(grain.start.timestamp() * 1000), window.end_ms)
        if end <= at:  # a day that a clock was put back in
            end = min(at + int(step.total_seconds() * 1000), window.end_ms)
        parts.append(Window(at, end))
        at = end
    return parts
