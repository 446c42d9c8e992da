"""A run as it goes on: a bar for who watches, a line now and then for a log, an object a line for programs."""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Pace", "bar", "following", "long_words", "progress_option"]

Run = Mapping[str, Any]

_AT_LEAST = 2.0  # seconds that splits are watched before anything is said of the end
_ALMOST = 0.99  # which a run that goes on is at most, since estimates are too low at times
_COARSE = 10  # minutes, from where on seconds are not told
_STILL = 10.0  # seconds between two lines of progress when nobody watches
_LEFT = (
    "No longer watched. The run goes on where a service works on this data, else when the next one starts: "
    "`headgate runs list` shows it, `headgate runs cancel` ends it."
)
_MODES = ("interactive", "log", "json")

progress_option = click.option(
    "--progress",
    type=click.Choice(_MODES),
    help="A bar, a line every ten seconds, or a JSON object a line, on stderr.  [default: the bar on a terminal]",
)


@contextmanager
def following(mode: str | None, *, quiet: bool) -> Iterator[Callable[[Run], None]]:
    """What shows every run object that it is called with. Who breaks it off is told what becomes of the run."""
    mode = mode or ("interactive" if sys.stderr.isatty() else "log")
    try:
        if quiet:
            yield lambda _run: None
        elif mode == "interactive":
            from rich.console import Console

            with bar(Console(stderr=True)) as advance:
                yield advance
        else:
            yield _Lines(as_json=mode == "json")
    except KeyboardInterrupt:
        click.echo(_LEFT, err=True)
        raise


class _Lines:
    """Progress as lines on stderr: JSON whenever something has changed, else text every ten seconds."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._last, self._said = time.monotonic(), ""

    def __call__(self, run: Run) -> None:
        so_far = _so_far(run)
        if self._as_json:
            line = json.dumps(so_far)
            if line != self._said:
                self._said = line
                click.echo(json.dumps({"at": datetime.now(UTC).isoformat(), **so_far}), err=True)
        elif time.monotonic() - self._last >= _STILL:
            self._last = time.monotonic()
            splits = f", {so_far['splitsDone']} of {so_far['splitsTotal']} splits" if so_far["splitsTotal"] else ""
            click.echo(f"{so_far['state']}: {so_far['rows']:,} rows{splits}", err=True)


@contextmanager
def bar(console: "Console") -> Iterator[Callable[[Run], None]]:
    """A bar on `console`, by the run's rows or its splits; call what it gives with every run object read."""
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.fields[state]}"),
        BarColumn(),
        TextColumn("{task.fields[detail]}"),
        TimeElapsedColumn(),
    )
    pace = Pace()
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("run", total=None, state="scheduled", detail="")

        def advance(run: Run) -> None:
            so_far = _so_far(run)
            done, detail = pace.at(so_far, time.monotonic())
            progress.update(
                task,
                total=None if done is None else 1,
                completed=done or 0,
                state=so_far["state"],
                detail=detail,
            )

        yield advance


class Pace:
    """How fast a run goes, and so how long it will take: by its rows where it is known about how many there are."""

    def __init__(self) -> None:
        self._first: tuple[float, int] | None = None

    def at(self, so_far: Mapping[str, Any], now: float) -> tuple[float | None, str]:
        """The part that is done, None where it cannot be told, and rows, bytes, speed and time left in words."""
        rows, expected = so_far["rows"], so_far["rowsExpected"]
        parts = [f"{so_far['bytes'] / 1e6:,.1f} MB"]
        if rows or not so_far["bytes"]:  # rows are counted with the split that they are of
            parts.insert(0, f"{rows:,} rows" + (f" of about {expected:,}" if expected else ""))
        if so_far["rowsPerSecond"]:
            parts.append(f"{so_far['rowsPerSecond']:,} rows/s")
        if so_far["bytesPerSecond"]:
            parts.append(f"{so_far['bytesPerSecond'] / 1e6:,.1f} MB/s")
        if so_far["splitsTotal"]:
            parts.append(f"{so_far['splitsDone']}/{so_far['splitsTotal']} splits")
        if (left := self._left(so_far, now)) is not None and not so_far["ended"]:
            parts.append(f"about {long_words(left)} left")
        return _part(so_far), " · ".join(parts)

    def _left(self, so_far: Mapping[str, Any], now: float) -> float | None:
        """Seconds; None where they cannot be told. An estimate that was too low is not gone by."""
        expected, rate = so_far["rowsExpected"], so_far["rowsPerSecond"]
        if expected and rate and so_far["rows"] < expected:
            return float((expected - so_far["rows"]) / rate)
        done = so_far["splitsDone"]
        if self._first is None:
            self._first = now, done
        began, before = self._first
        if done == before or now - began < _AT_LEAST:
            return None
        return float((so_far["splitsTotal"] - done) * (now - began) / (done - before))


def _part(so_far: Mapping[str, Any]) -> float | None:
    if so_far["ended"]:
        return 1.0
    by_rows = so_far["rowsExpected"] and so_far["rows"]
    done, total = ("rows", "rowsExpected") if by_rows else ("splitsDone", "splitsTotal")
    return min(float(so_far[done] / so_far[total]), _ALMOST) if so_far[total] else None


def long_words(seconds: float) -> str:
    """A length of time for people, as coarse as it is long."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes >= _COARSE else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _so_far(run: Run) -> dict[str, Any]:
    metrics = run["metrics"]
    under_way = metrics.get("progress", {})
    return {
        "run": run["id"],
        "state": metrics["statusSummary"]["status"],
        "rows": metrics.get("recordSummary", {}).get("inputRecordCount", 0),
        "rowsPerSecond": under_way.get("recordsPerSecond", 0),
        "bytesPerSecond": under_way.get("bytesPerSecond", 0),
        "rowsExpected": under_way.get("estimatedRecordCount"),
        "bytes": under_way.get("stagedBytes", metrics.get("sizeSummary", {}).get("outputBytes", 0)),
        "splitsDone": under_way.get("splitsDone", 0),
        "splitsTotal": under_way.get("splitsTotal", 0),
        "ended": "completedAtUTC" in metrics.get("durationSummary", {}),
    }
