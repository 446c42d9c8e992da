"""`headgate runs`: start, list, show, wait, cancel."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from headgate.cli.options import connect, data_option, moment, output_option
from headgate.model.runs import Json

__all__ = ["runs"]

_STATES = ("scheduled", "queued", "inProgress", "success", "failed", "cancelled")
_STILL = 10.0  # seconds between two lines of progress when nobody watches


@click.group()
def runs() -> None:
    """Start, follow and cancel flow runs."""


@runs.command()
@click.argument("flow")
@click.option("--from", "start", required=True, help="Start of the window, inclusive: 2013-03-01, yesterday, -7d …")
@click.option("--to", "end", default="now", show_default=True, help="End of the window, exclusive.")
@click.option("--delta-column", help="Column that is compared with the window; needed on a table flow's first run.")
@click.option("--wait", is_flag=True, help="Follow the run to its end.")
@click.option("--timeout", type=float, help="Seconds to wait at most.")
@data_option
@output_option
def start(
    flow: str,
    start: str,
    end: str,
    delta_column: str | None,
    wait: bool,
    timeout: float | None,
    data: Path | None,
    output: str,
) -> None:
    """Start a run of FLOW (its name or id) over the window [from, to)."""
    if timeout is not None and not wait:
        raise click.UsageError("--timeout goes with --wait.")
    with connect(data) as client:
        run = client.start_run(flow, window=(start, end), delta_column=delta_column)
        if output == "table":
            click.echo(f"run {run['id']} over {_window(run)}", err=wait)
        if wait:
            with _progress(quiet=output == "json") as show:
                run = client.wait(run["id"], timeout=timeout, on_progress=show)
        _print(run, output)


@runs.command("list")
@click.option("--flow", help="Only runs of this flow (name or id).")
@click.option("--state", type=click.Choice(_STATES, case_sensitive=False), help="Only runs in this state.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000), help="At most so many.")
@data_option
@output_option
def list_(flow: str | None, state: str | None, limit: int, data: Path | None, output: str) -> None:
    """List runs, newest first."""
    with connect(data) as client:
        filters = [f"flowId=={client.flow(flow)['id']}"] if flow else []
        filters += [f"state=={state}"] if state else []
        found = []
        for run in client.list("runs", property=filters, limit=limit):
            found.append(run)
            if len(found) == limit:
                break
    if output == "json":
        click.echo(json.dumps(found))
        return
    from headgate.cli.tables import print_table

    print_table(
        ("run", "state", "created (UTC)", "window (UTC)", "rows"),
        ((run["id"], _state(run), moment(run["createdAt"]), _window(run), _landed(run)) for run in found),
    )


@runs.command()
@click.argument("run_id")
@data_option
@output_option
def show(run_id: str, data: Path | None, output: str) -> None:
    """Show one run."""
    with connect(data) as client:
        _print(client.run(run_id), output)


@runs.command()
@click.argument("run_id")
@click.option("--timeout", type=float, help="Seconds to wait at most.")
@data_option
@output_option
def wait(run_id: str, timeout: float | None, data: Path | None, output: str) -> None:
    """Follow a run to its end."""
    with connect(data) as client, _progress(quiet=output == "json") as show_run:
        run = client.wait(run_id, timeout=timeout, on_progress=show_run)
    _print(run, output)


@runs.command()
@click.argument("run_id")
@data_option
@output_option
def cancel(run_id: str, data: Path | None, output: str) -> None:
    """Cancel a run; its rows will not be in the table."""
    with connect(data) as client:
        _print(client.cancel(run_id), output)


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Callable[[Json], None]]:
    """Shows a run as it goes on: a bar where someone watches, else a line every ten seconds."""
    from rich.console import Console

    console = Console(stderr=True)
    if quiet:
        yield lambda _run: None
    elif console.is_terminal:
        from headgate.cli.progress import bar

        with bar(console) as advance:
            yield advance
    else:
        last = time.monotonic()

        def line(run: Json) -> None:
            nonlocal last
            if time.monotonic() - last >= _STILL:
                last = time.monotonic()
                click.echo(f"{_state(run)}: {_rows(run)} rows", err=True)

        yield line


def _print(run: Json, output: str) -> None:
    if output == "json":
        click.echo(json.dumps(run))
        return
    summary = run["metrics"]
    click.echo(f"run       {run['id']}")
    click.echo(f"flow      {run['flowId']}")
    click.echo(f"state     {_state(run)}")
    click.echo(f"window    {_window(run)}")
    if summary.get("recordSummary"):
        click.echo(f"rows      {_landed_of_read(summary['recordSummary'])}")
        click.echo(f"bytes     {summary['sizeSummary']['outputBytes']:,}")
    duration = summary.get("durationSummary", {})
    if "completedAtUTC" in duration:
        click.echo(f"seconds   {(duration['completedAtUTC'] - duration['startedAtUTC']) / 1000:.2f}")
    for change in summary.get("schemaChanges", []):
        click.echo(f"columns   {_change(change)}")
    for error in summary["statusSummary"].get("errors", []):
        click.echo(f"error     {error['code']}: {error['message']}")


def _change(change: Json) -> str:
    if change["change"] == "more":
        return f"and {change['count']:,} more"
    before = f"{change['before']} to " if "before" in change else ""
    return f"{change['column']} {change['change']}: {before}{change['type']}"


def _state(run: Json) -> str:
    return str(run["metrics"]["statusSummary"]["status"])


def _landed_of_read(records: Json) -> str:
    landed, read = records.get("outputRecordCount", 0), records.get("inputRecordCount", 0)
    return f"{landed:,}" if landed == read else f"{landed:,} of {read:,} read"


def _rows(run: Json) -> str:
    return f"{run['metrics'].get('recordSummary', {}).get('inputRecordCount', 0):,}"


def _landed(run: Json) -> str:
    return str(run["metrics"].get("recordSummary", {}).get("outputRecordCount", ""))


def _window(run: Json) -> str:
    params = run["params"]
    if "windowStartTime" not in params:
        return "since the last successful run"
    return f"[{moment(params['windowStartTime'])}, {moment(params['windowEndTime'])})"
