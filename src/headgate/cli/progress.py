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

__all__ = ["bar", "following", "progress_option"]

Run = Mapping[str, Any]

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
    """A bar on `console`, as long as the run has splits; call what it gives with every run object read."""
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.fields[state]}"),
        BarColumn(),
        TextColumn("{task.fields[detail]}"),
        TimeElapsedColumn(),
    )
    began = time.monotonic()
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("run", total=None, state="scheduled", detail="")

        def advance(run: Run) -> None:
            so_far = _so_far(run)
            done, total = so_far["splitsDone"], so_far["splitsTotal"]
            progress.update(
                task,
                total=1 if so_far["ended"] else total or None,
                completed=1 if so_far["ended"] else done,
                state=so_far["state"],
                detail=_detail(so_far, time.monotonic() - began),
            )

        yield advance


def _detail(so_far: dict[str, Any], seconds: float) -> str:
    """Rows and bytes, how many a second, and the splits."""
    rows, megabytes = so_far["rows"], so_far["bytes"] / 1e6
    parts = [f"{rows:,} rows", f"{megabytes:,.1f} MB"]
    if rows and seconds >= 1:
        parts += [f"{rows / seconds:,.0f} rows/s", f"{megabytes / seconds:,.1f} MB/s"]
    if so_far["splitsTotal"]:
        parts.append(f"{so_far['splitsDone']}/{so_far['splitsTotal']} splits")
    return " · ".join(parts)


def _so_far(run: Run) -> dict[str, Any]:
    metrics = run["metrics"]
    under_way = metrics.get("progress", {})
    return {
        "run": run["id"],
        "state": metrics["statusSummary"]["status"],
        "rows": metrics.get("recordSummary", {}).get("inputRecordCount", 0),
        "bytes": under_way.get("stagedBytes", metrics.get("sizeSummary", {}).get("outputBytes", 0)),
        "splitsDone": under_way.get("splitsDone", 0),
        "splitsTotal": under_way.get("splitsTotal", 0),
        "ended": "completedAtUTC" in metrics.get("durationSummary", {}),
    }
