"""Reading the parts of a flow's body: its schedule and its transformations."""

from collections.abc import Sequence
from typing import Any

from headgate.errors import (
    BackfillForbidden,
    BackfillTooLate,
    BadFrequency,
    BadParameter,
    BadSchedule,
    DeltaColumnForbidden,
    DeltaColumnRequired,
    IdMissing,
    IntervalMissing,
    IntervalTooSmall,
    NotExactlyOne,
    OnceTooLate,
    ParameterMissing,
    PolicyEmpty,
    ScheduleEmpty,
    StartInPast,
    StartPassed,
    TransformationsUnreadable,
)
from headgate.model.runs import Json
from headgate.model.windows import parse_instant
from headgate.service.bodies import check_schema, optional_object, shown, text, texts
from headgate.sources import FlowSpec

__all__ = [
    "check_delta_column",
    "check_marks",
    "check_schedule",
    "check_schedule_change",
    "delta_column",
    "found",
    "see_future",
    "the_one",
    "transformations",
]

_FREQUENCIES = ("once", "minute", "hour", "day", "week")


def the_one(body: Json, name: str) -> str:
    """The one id in the list `body[name]`. Raises IdMissing, NotExactlyOne."""
    ids = body.get(name)
    if ids is None or ids in ([], "", [None], [""]):
        raise IdMissing(f"{name} is missing or empty; send a list with one id.", parameter=name)
    if not isinstance(ids, list) or len(ids) != 1:
        raise NotExactlyOne(f"{name} is {shown(ids)}; send a list with exactly one id.", parameter=name)
    if not isinstance(ids[0], str):
        raise IdMissing(f"{name} holds {shown(ids[0])}; send an id.", parameter=name)
    return ids[0]


def check_marks(body: Json) -> None:
    """See that `labels` is a list of texts, and that `policy` names something. Raises BadParameter, PolicyEmpty."""
    texts(body, "labels")
    if body.get("policy") is None:
        return
    refs = texts(optional_object(body, "policy"), "enforcementRefs", where="policy.")
    if not refs or not all(refs):
        raise PolicyEmpty


def check_schedule(body: Json) -> str:
    """The frequency of `scheduleParams`, whose members may all be texts. A past startTime is allowed."""
    schedule = optional_object(body, "scheduleParams")
    if not schedule:
        raise ScheduleEmpty
    frequency = schedule.get("frequency")
    if frequency not in _FREQUENCIES:
        raise BadFrequency(
            f"scheduleParams.frequency is {shown(frequency)}; send one of {', '.join(_FREQUENCIES)}.",
            parameter="scheduleParams.frequency",
        )
    if schedule.get("startTime") is None:
        raise ParameterMissing("scheduleParams.startTime is missing.", parameter="scheduleParams.startTime")
    _start(schedule)
    interval, backfill = schedule.get("interval"), schedule.get("backfill")
    if frequency == "once":
        if interval is not None:
            raise BadSchedule(f"scheduleParams.interval is {shown(interval)}; `once` has none.")
        if backfill is not None:
            raise BackfillForbidden(f"scheduleParams.backfill is {shown(backfill)}; `once` has none.")
        return "once"
    if interval is None:
        raise IntervalMissing(f"scheduleParams.interval is missing; the frequency {frequency!r} needs it.")
    least = 15 if frequency == "minute" else 1
    if not _whole(interval) or int(interval) < least:
        raise IntervalTooSmall(
            f"scheduleParams.interval is {shown(interval)}; with {frequency!r} it is {least} or more."
        )
    if backfill not in (None, True, False, "true", "false"):
        raise BadParameter(f"scheduleParams.backfill is {shown(backfill)}; send true or false.")
    return str(frequency)


def check_schedule_change(old: Json, new: Json, present: int) -> None:
    """See that the schedule of a flow that is under way may become `new`; both are checked already.

    Once the start has passed it is fixed, and so are what the first run takes and that there is more than one.
    Raises StartPassed, StartInPast, OnceTooLate, BackfillTooLate.
    """
    passed = _start(old) <= present
    if _start(new) != _start(old):
        if passed:
            raise StartPassed(f"scheduleParams.startTime {shown(old['startTime'])} has passed; it cannot be changed.")
        see_future(new, present)
    if not passed:
        return
    if new["frequency"] == "once" != old["frequency"]:
        raise OnceTooLate
    if new["frequency"] != "once" != old["frequency"] and _backfill(new) != _backfill(old):
        raise BackfillTooLate


def see_future(schedule: Json, present: int) -> None:
    """See that the start lies ahead. Raises StartInPast."""
    if _start(schedule) < present:
        raise StartInPast(f"scheduleParams.startTime {shown(schedule['startTime'])} lies in the past.")


def transformations(body: Json, spec: FlowSpec) -> list[Json]:
    """`transformations`, none of which appears twice; empty when absent. Raises ParameterMissing, BadParameter."""
    given = body.get("transformations")
    if given is None:
        given = []
    if not isinstance(given, list) or not all(isinstance(entry, dict) for entry in given):
        raise TransformationsUnreadable(f"transformations is {shown(given)}; send a list of objects.")
    seen: set[str] = set()
    for entry in given:
        name = text(entry, "name", where="transformations[].")
        if not name:
            raise ParameterMissing("A transformation has no name.", parameter="transformations[].name")
        known = [about["name"] for about in spec.shape["transformationSpec"]]
        if name.lower() not in [name.lower() for name in known]:
            raise BadParameter(
                f"The transformation {shown(name)} is not known; this kind of flow has: {', '.join(known)}."
            )
        if name.lower() in seen:
            raise BadParameter(f"transformations holds more than one {name}.")
        seen.add(name.lower())
        optional_object(entry, "params")
    return given


def found(name: str, given: Sequence[Json]) -> Json | None:
    """The transformation of this name, in any letter case; None when there is none."""
    return next((entry for entry in given if entry["name"].lower() == name.lower()), None)


def delta_column(given: Sequence[Json]) -> Any:
    """The delta column in the `Copy` transformation; None when there is none."""
    return ((found("Copy", given) or {}).get("params") or {}).get("deltaColumn")


def check_delta_column(given: Sequence[Json], spec: FlowSpec, frequency: str, known: Any = None) -> None:
    """See that a scheduled flow has a delta column, and one with the frequency `once` none of its own.

    `known` is the one such a flow took from its first run, which clients send back with the flow.
    Raises DeltaColumnForbidden, DeltaColumnRequired, ParameterMissing, BadParameter.
    """
    delta = delta_column(given)
    if frequency == "once":
        if delta is not None and delta != known:
            raise DeltaColumnForbidden
    elif delta is None:
        raise DeltaColumnRequired
    else:
        [about] = [about for about in spec.shape["transformationSpec"] if about["name"] == "Copy"]
        copy = found("Copy", given) or {}
        check_schema(copy["params"], about["spec"], "transformations[].params")


def _start(schedule: Json) -> int:
    return parse_instant(schedule["startTime"], "scheduleParams.startTime")


def _backfill(schedule: Json) -> bool:
    return str(schedule.get("backfill", True)).lower() != "false"


def _whole(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) < 10 and value.isascii() and value.isdigit()
    return isinstance(value, int) and not isinstance(value, bool)
