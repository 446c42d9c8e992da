"""`headgate runs`: start, list, show, wait, cancel, retry."""

from collections.abc import Callable

import click

from headgate.cli.calling import Call, calling
from headgate.cli.kinds import FLOWS, RUNS, state_of, window_of
from headgate.cli.output import Column
from headgate.cli.progress import following, progress_option
from headgate.cli.resources import limit_option
from headgate.model.runs import Json

__all__ = ["FIELDS", "runs", "timeout_option", "wait_option"]

_STATES = ("scheduled", "queued", "inProgress", "success", "failed", "cancelled")
timeout_option = click.option("--timeout", type=float, help="Seconds to wait at most.")
wait_option = click.option("--wait", is_flag=True, help="Follow the run to its end.")


@click.group()
def runs() -> None:
    """Start, follow and cancel flow runs."""


@runs.command()
@click.argument("flow")
@click.option("--from", "start", required=True, help="Start of the window, inclusive: 2013-03-01, yesterday, -7d …")
@click.option("--to", "end", default="now", show_default=True, help="End of the window, exclusive.")
@click.option("--delta-column", help="Column that is compared with the window; needed on a table flow's first run.")
@wait_option
@timeout_option
@progress_option
@calling
def start(
    call: Call,
    flow: str,
    start: str,
    end: str,
    delta_column: str | None,
    wait: bool,
    timeout: float | None,
    progress: str | None,
) -> None:
    """Start a run of FLOW (its name or id) over the window [from, to)."""
    if timeout is not None and not wait:
        raise click.UsageError("--timeout goes with --wait.")
    with call.client() as client:
        run = client.start_run(flow, window=(start, end), delta_column=delta_column)
        call.note(f"run {run['id']} over {window_of(run)}")
        if wait:
            with following(progress, quiet=call.quiet) as show_run:
                run = client.wait(run["id"], timeout=timeout, on_progress=show_run)
        _print(call, run)


@runs.command("list")
@click.option("--flow", help="Only runs of this flow (name or id).")
@click.option("--state", type=click.Choice(_STATES, case_sensitive=False), help="Only runs in this state.")
@click.option("--since", help="Only runs made from then on: 2013-03-01, yesterday, -7d …")
@click.option("--until", help="Only runs made before then.")
@click.option("--by", help="Only runs of this person or client.")
@click.option("--filter", "filters", multiple=True, metavar="MEMBER==VALUE", help="Repeatable; all must hold.")
@limit_option
@calling
def list_(
    call: Call,
    flow: str | None,
    state: str | None,
    since: str | None,
    until: str | None,
    by: str | None,
    filters: tuple[str, ...],
    limit: int,
) -> None:
    """List runs, newest first."""
    from headgate.client import parse_time

    with call.client() as client:
        wanted = [
            *filters,
            *([f"flowId=={FLOWS.find(client, flow)['id']}"] if flow else ()),
            *([f"state=={state}"] if state else ()),
            *([f"createdAt>={parse_time(since)}"] if since else ()),
            *([f"createdAt<{parse_time(until)}"] if until else ()),
            *([f'createdBy=="{by}"'] if by else ()),
        ]
        call.show(RUNS.all(client, limit=limit, filters=wanted), RUNS.columns)


@runs.command()
@click.argument("run_id")
@calling
def show(call: Call, run_id: str) -> None:
    """Show one run."""
    with call.client() as client:
        _print(call, client.run(run_id))


@runs.command()
@click.argument("run_id")
@timeout_option
@progress_option
@calling
def wait(call: Call, run_id: str, timeout: float | None, progress: str | None) -> None:
    """Follow a run to its end."""
    with call.client() as client, following(progress, quiet=call.quiet) as show_run:
        run = client.wait(run_id, timeout=timeout, on_progress=show_run)
    _print(call, run)


@runs.command()
@click.argument("run_ids", metavar="RUN_ID...", nargs=-1, required=True)
@calling
def cancel(call: Call, run_ids: tuple[str, ...]) -> None:
    """Cancel runs; their rows will not be in the table."""
    with call.client() as client:
        for run_id in run_ids:
            _print(call, client.cancel(run_id))


@runs.command()
@click.argument("run_id")
@wait_option
@timeout_option
@progress_option
@calling
def retry(call: Call, run_id: str, wait: bool, timeout: float | None, progress: str | None) -> None:
    """Make a new run over the window of one that failed, by the flow as it is now."""
    with call.client() as client:
        made = client.request("POST", RUNS.at(run_id, "/action"), op="re-trigger")
        call.note(f"run {made['id']} repeats {run_id}")
        with following(progress, quiet=call.quiet or not wait) as show_run:
            run = client.wait(made["id"], timeout=timeout, on_progress=show_run) if wait else client.run(made["id"])
        _print(call, run)


def _print(call: Call, run: Json) -> None:
    call.show_one(run, FIELDS)
    if call.output != "table":
        return
    for change in run["metrics"].get("schemaChanges", []):
        click.echo(f"columns   {_change(change)}")
    for error in run["metrics"]["statusSummary"].get("errors", []):
        click.echo(f"error     {error['code']}: {error['message']}")


def _change(change: Json) -> str:
    if change["change"] == "more":
        return f"and {change['count']:,} more"
    before = f"{change['before']} to " if "before" in change else ""
    return f"{change['column']} {change['change']}: {before}{change['type']}"


def _landed_of_read(records: Json) -> str:
    landed, read = records.get("outputRecordCount", 0), records.get("inputRecordCount", 0)
    return f"{landed:,}" if landed == read else f"{landed:,} of {read:,} read"


def _of_metrics(block: str, shown: Callable[[Json], str]) -> Callable[[Json], str]:
    return lambda run: shown(run["metrics"][block]) if run["metrics"].get(block) else ""


def _seconds(duration: Json) -> str:
    if "completedAtUTC" not in duration:
        return ""
    return f"{(duration['completedAtUTC'] - duration['startedAtUTC']) / 1000:.2f}"


FIELDS: tuple[Column, ...] = (
    ("run", "id"),
    ("flow", "flowId"),
    ("state", state_of),
    ("window", window_of),
    ("repeats", "parentFlowRunId"),
    ("rows", _of_metrics("recordSummary", _landed_of_read)),
    ("bytes", _of_metrics("sizeSummary", lambda sizes: f"{sizes.get('outputBytes', 0):,}")),
    ("seconds", _of_metrics("durationSummary", _seconds)),
)
