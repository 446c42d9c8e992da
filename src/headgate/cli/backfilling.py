"""`headgate backfill`: one run for each slice of a range of time."""

import re
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from headgate.cli.calling import Call, calling
from headgate.cli.kinds import FLOWS, RUNS
from headgate.cli.options import yes_option
from headgate.cli.output import Column, moment
from headgate.cli.progress import following, long_words, progress_option
from headgate.cli.runs import column_option, timeout_option, wait_option
from headgate.model.runs import Json

if TYPE_CHECKING:
    from headgate.client import Client

__all__ = ["backfill"]

_MILLISECONDS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_MOST = 10_000  # slices; what a service lets wait
_SHOWN = 20
_STILL = 10.0  # seconds between two lines about all runs


class _Span(click.ParamType[int]):
    """A length of time, in milliseconds: 90m, 6h, 1d, 2w."""

    name = "span"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read `value`."""
        found = re.fullmatch(r"([1-9][0-9]{0,6})([smhdw])", str(value))
        if found is None:
            self.fail(f"{value!r} is no length of time; send for instance 90m, 6h, 1d or 2w.", param, ctx)
        return int(found[1]) * _MILLISECONDS[found[2]]


@dataclass(frozen=True, slots=True)
class _Slice:
    """One window, in milliseconds, and what the flow's runs have done about it."""

    start: int
    end: int
    states: frozenset[str]

    @property
    def done(self) -> bool:
        """Whether all of it is ingested, or will be by a run that goes on."""
        return self.states <= {"ingested", "running"}

    @property
    def wire(self) -> Json:
        """The slice for programs."""
        return {"windowStartTime": self.start, "windowEndTime": self.end, "states": sorted(self.states)}


_COLUMNS: tuple[Column, ...] = (
    ("window (UTC)", lambda each: f"[{moment(each['windowStartTime'])}, {moment(each['windowEndTime'])})"),
    ("so far", "states"),
)


@click.command()
@FLOWS.argument("flow")
@click.option("--from", "start", required=True, help="Start of the first slice, inclusive.")
@click.option("--to", "end", default="now", show_default=True, help="End of the last slice, exclusive.")
@click.option("--every", type=_Span(), default="1d", show_default=True, help="Length of a slice: 90m, 6h, 1d, 2w.")
@click.option("--missing", is_flag=True, help="Leave out slices that are ingested already.")
@click.option("--dry-run", is_flag=True, help="Show the slices, and start nothing.")
@column_option
@wait_option
@timeout_option
@progress_option
@yes_option
@calling
def backfill(
    call: Call,
    flow: str,
    start: str,
    end: str,
    every: int,
    missing: bool,
    dry_run: bool,
    delta_column: str | None,
    wait: bool,
    timeout: float | None,
    progress: str | None,
    yes: bool,
) -> None:
    """Start one run of FLOW for each slice of the window [from, to). The slices are shown first.

    With the write mode replaceWindow a slice that was ingested is brought again and replaces what it had brought.
    """
    from headgate.client import parse_time

    first, last = parse_time(start), parse_time(end)
    if last <= first:
        raise click.UsageError(f"--to {moment(last)} is not after --from {moment(first)}.")
    if (last - first) // every >= _MOST:
        raise click.UsageError(f"That would be more than {_MOST:,} slices. Choose a longer --every.")
    with call.client() as client:
        found = FLOWS.find(client, flow)
        slices = list(_slices(_calendar(client, found["id"], first, last), first, last, every))
        slices = [each for each in slices if not (missing and each.done)]
        _see_future(call, slices)
        if dry_run:
            call.show([each.wire for each in slices], _COLUMNS, id_="windowStartTime")
            return
        if not slices:
            call.note(f"Nothing of [{moment(first)}, {moment(last)}) is missing.")
            return
        _preview(call, slices)
        call.confirm(f"Start {len(slices):,} runs of {found['name']}?", yes=yes)
        runs = [
            client.runs.start({"id": found["id"]}, window=(each.start, each.end), delta_column=delta_column)
            for each in slices
        ]
        if wait:
            _await(call, runs, timeout, progress)
        call.show([dict(run.data) for run in runs], RUNS.columns)
    if empty := sum(run.state == "success" and run.rows == 0 for run in runs):
        call.note(f"Note: nothing was found by {empty:,} of {len(runs):,} runs.")
    if wait and any(run.state != "success" for run in runs):
        sys.exit(1)


def _calendar(client: "Client", flow_id: str, start: int, end: int) -> Sequence[Json]:
    spans: Sequence[Json] = client.request(
        "GET", FLOWS.at(flow_id, "/windows"), **{"from": _wire(start), "to": _wire(end)}
    )["items"]
    return spans


def _slices(calendar: Sequence[Json], start: int, end: int, every: int) -> Iterator[_Slice]:
    """The slices, each with the states of the spans that it shares time with; both are in order."""
    spans = [
        (_milliseconds(one["windowStartTime"]), _milliseconds(one["windowEndTime"]), one["state"]) for one in calendar
    ]
    begin = 0
    for at in range(start, end, every):
        until = min(at + every, end)
        while begin < len(spans) and spans[begin][1] <= at:
            begin += 1
        states = set()
        for left, _, state in spans[begin:]:
            if left >= until:
                break
            states.add(state)
        yield _Slice(at, until, frozenset(states))


def _preview(call: Call, slices: Sequence[_Slice]) -> None:
    for each in slices[:_SHOWN]:
        call.note(f"  [{moment(each.start)}, {moment(each.end)})  {', '.join(sorted(each.states))}")
    if len(slices) > _SHOWN:
        call.note(f"  … and {len(slices) - _SHOWN:,} more, to {moment(slices[-1].end)}")


def _see_future(call: Call, slices: Sequence[_Slice]) -> None:
    """Say of slices that have not ended that a run made now cannot bring all that will be in them."""
    present = round(time.time() * 1000)
    if late := [each for each in slices if each.end > present]:
        call.note(
            f"Note: {len(late):,} of {len(slices):,} windows reach into the future, from {moment(late[0].start)} on; "
            f"it is {moment(present // 1000)} now. What comes later is not in them: bring these again then."
        )


def _await(call: Call, runs: Sequence[Any], timeout: float | None, progress: str | None) -> None:
    """Follow the runs in order, and say how far they all are. One that fails does not stop the others."""
    from headgate.client import RunFailed

    began, said = time.monotonic(), time.monotonic()
    for number, run in enumerate(runs, start=1):
        with following(progress, quiet=call.quiet) as show:
            try:
                run.wait(timeout=timeout, on_progress=lambda seen: show(seen.data))
            except RunFailed as error:
                call.note(error.detail)
        now = time.monotonic()
        if now - said >= _STILL and number < len(runs):
            said = now
            left = (now - began) * (len(runs) - number) / number
            call.note(f"{number:,} of {len(runs):,} runs have ended, about {long_words(left)} left")


def _milliseconds(wire: str | int) -> int:
    return int(wire) if abs(int(wire)) >= 10**11 else int(wire) * 1000


def _wire(milliseconds: int) -> int:
    return milliseconds // 1000 if milliseconds % 1000 == 0 else milliseconds
