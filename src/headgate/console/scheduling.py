"""The form of a flow's schedule: what it shows, and what it stands for in the flow's `scheduleParams`."""

from collections.abc import Mapping
from dataclasses import dataclass

from headgate.console.moments import moment, written
from headgate.errors import (
    BackfillTooLate,
    BadFrequency,
    BadTime,
    HeadgateError,
    IntervalMissing,
    IntervalTooSmall,
    OnceTooLate,
    StartInPast,
    StartPassed,
)
from headgate.model.resources import now_ms
from headgate.model.runs import Json
from headgate.model.windows import parse_instant

__all__ = ["Plan", "field_of", "plan_of", "schedule_of"]

_WORDS = {"once": "on demand", "minute": "minutes", "hour": "hours", "day": "days", "week": "weeks"}
_FIELDS: tuple[tuple[str, tuple[type[HeadgateError], ...]], ...] = (
    ("frequency", (BadFrequency, OnceTooLate)),
    ("interval", (IntervalMissing, IntervalTooSmall)),
    ("start", (BadTime, StartInPast, StartPassed)),
    ("backfill", (BackfillTooLate,)),
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What the form shows. Once the start has `passed` it is fixed, and so is what the first run brings.

    `start` is in UTC, as a field for a time has it. `frequencies` are those that can be chosen, with their words.
    """

    frequency: str
    frequencies: tuple[tuple[str, str], ...]
    interval: str
    start: str
    backfill: bool
    passed: bool
    by_itself: bool


def plan_of(flow: Json, form: Mapping[str, str] | None = None) -> Plan:
    """The form for a flow's schedule as it is, or as it was just sent."""
    schedule = flow.get("scheduleParams") or {}
    begins = parse_instant(schedule.get("startTime", "0"), "startTime")
    passed, by_itself = begins <= now_ms(), schedule.get("frequency", "once") != "once"
    held = {
        "frequency": str(schedule.get("frequency", "once")),
        "interval": str(schedule.get("interval", 1)),
        "start": written(begins),
        "backfill": "true" if str(schedule.get("backfill")).lower() == "true" else "",
    }
    shown = held if form is None else {**held, "backfill": "", **form}
    words = tuple(item for item in _WORDS.items() if item[0] != "once" or not (passed and by_itself))
    return Plan(
        shown["frequency"],
        words,
        shown["interval"],
        held["start"] if passed else shown["start"],
        bool(shown["backfill"]),
        passed,
        by_itself,
    )


def schedule_of(form: Mapping[str, str], held: Json) -> Json:
    """The `scheduleParams` that the form stands for; what it does not ask for stays as it is `held`. Raises BadTime."""
    frequency = form.get("frequency", "")
    start = moment(form["start"], "start") // 1000 if "start" in form else held["startTime"]
    if frequency == "once":
        return {"frequency": "once", "startTime": start}
    interval = form.get("interval", "").strip()
    schedule: Json = {
        "frequency": frequency,
        "startTime": start,
        "interval": int(interval) if _whole(interval) else interval,
    }
    if form.get("backfill"):
        schedule["backfill"] = True
    elif "backfill" in held and form.get("fixed"):
        schedule["backfill"] = held["backfill"]
    return schedule


def field_of(error: HeadgateError | None) -> str:
    """The field of the form that an error is about; empty when it is about none."""
    return next((name for name, kinds in _FIELDS if isinstance(error, kinds)), "")


def _whole(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10
