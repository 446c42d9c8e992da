"""When a flow is due, and which window each of its scheduled runs takes.

A flow is due at its start time and every period after it. The run of a due time takes `[covered, due)`: from where
the flow's scheduled runs have landed everything to the due time. So windows neither overlap nor leave a hole, whatever
was missed meanwhile. A flow of the frequency once is due a single time, where that is asked for. Times are
integer milliseconds since the epoch, in UTC; a day always has 24 hours.
"""

from dataclasses import dataclass, replace
from typing import Any

from headgate.model.windows import Window, parse_instant

__all__ = ["Plan", "Schedule"]

_PERIODS = {"minute": 60_000, "hour": 3_600_000, "day": 86_400_000, "week": 604_800_000}


@dataclass(frozen=True, slots=True)
class Schedule:
    """Due at `start_ms` and every `period_ms` after it; only at `start_ms`, for everything there is, without a period.

    With `backfill` the run of the start time takes everything up to it; without, the first run is one period later
    and takes what appeared since the start time.
    """

    start_ms: int
    period_ms: int | None
    backfill: bool = True

    @classmethod
    def of(cls, params: dict[str, Any], *, initial_load: bool) -> "Schedule | None":
        """The schedule that a flow's `scheduleParams`, whose values may be texts, ask for.

        None for a flow that runs on demand; with `initial_load` it is due once. Raises BadTime.
        """
        frequency = str(params.get("frequency"))
        start = parse_instant(params.get("startTime"), "scheduleParams.startTime")
        if frequency in _PERIODS:
            backfill = str(params.get("backfill", True)).lower() != "false"
            return cls(start, _PERIODS[frequency] * int(params["interval"]), backfill)
        return cls(start, None) if initial_load else None

    def next(self, after_ms: int) -> int | None:
        """The first due time later than `after_ms`; None when there is none."""
        if after_ms < self.start_ms:
            return self.start_ms
        if self.period_ms is None:
            return None
        return self.start_ms + ((after_ms - self.start_ms) // self.period_ms + 1) * self.period_ms

    def last(self, present_ms: int) -> int | None:
        """The last due time not later than `present_ms`; None when there was none."""
        if present_ms < self.start_ms:
            return None
        if self.period_ms is None:
            return self.start_ms
        return present_ms - (present_ms - self.start_ms) % self.period_ms


@dataclass(frozen=True, slots=True)
class Plan:
    """A flow's schedule as it is followed.

    `asked_ms` is the start time the flow asks for; `schedule` begins at the present instead when that had passed.
    `covered_ms` is how far its scheduled runs have landed everything, `made_ms` the last due time one was made for.
    """

    schedule: Schedule
    asked_ms: int
    covered_ms: int
    made_ms: int

    @classmethod
    def begun(cls, asked: Schedule, present_ms: int) -> "Plan":
        """The plan of a flow that is enabled for the first time."""
        start = _start(asked, present_ms)
        covered = 0 if asked.backfill else start
        return cls(replace(asked, start_ms=start), asked.start_ms, covered, covered)

    def amended(self, asked: Schedule, present_ms: int) -> "Plan":
        """The plan once the flow asks for `asked`; what is covered stays so when the start has passed."""
        if present_ms < self.schedule.start_ms:
            return Plan.begun(asked, present_ms)
        start = self.schedule.start_ms if asked.start_ms == self.asked_ms else _start(asked, present_ms)
        return replace(self, schedule=replace(asked, start_ms=start), asked_ms=asked.start_ms)

    @property
    def due_ms(self) -> int | None:
        """When the next run is to be made; None when there is none to come."""
        return self.schedule.next(self.made_ms)

    def window(self, present_ms: int) -> Window | None:
        """The one window that all due times up to `present_ms` come to; None when nothing is due."""
        due, end = self.due_ms, self.schedule.last(present_ms)
        return Window(self.covered_ms, end) if due is not None and end is not None and due <= end else None

    def made(self, window: Window) -> "Plan":
        """The plan after a run over `window` was made."""
        return replace(self, made_ms=window.end_ms)

    def landed(self, window: Window) -> "Plan":
        """The plan after a scheduled run has landed `window`. One that begins later would leave a hole."""
        if window.start_ms <= self.covered_ms < window.end_ms:
            return replace(self, covered_ms=window.end_ms)
        return self


def _start(asked: Schedule, present_ms: int) -> int:
    """A start time that has passed counts as now, in whole seconds as the wire tells windows."""
    return max(asked.start_ms, -(-present_ms // 1000) * 1000)
