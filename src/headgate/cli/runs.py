"""`headgate runs`: estimate, start, list, show, logs, events, wait, cancel, retry."""

import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from headgate.cli.calling import Call, calling
from headgate.cli.kinds import FLOWS, RUNS, state_of, window_of
from headgate.cli.output import Column, moment, show_document
from headgate.cli.progress import following, progress_option
from headgate.cli.resources import limit_option
from headgate.cli.wording import Filling
from headgate.model.runs import Json

if TYPE_CHECKING:
    from headgate.client import Client
    from headgate.client.shapes import RunObject

__all__ = [
    "FIELDS",
    "FILLED_BY_COLUMN",
    "FILLED_BY_FROM",
    "column_option",
    "runs",
    "timeout_option",
    "to_option",
    "wait_option",
]

_STATES = ("scheduled", "queued", "inProgress", "success", "failed", "cancelled")
FILLED_BY_FROM = ("params.windowStartTime", "windowStartTime")
FILLED_BY_COLUMN = ("params.deltaColumn.name", "params.deltaColumn", "deltaColumn.name", "deltaColumn")
from_option = click.option(
    "--from",
    "start",
    cls=Filling,
    fills=FILLED_BY_FROM,
    help="Start of the window, inclusive: 2013-03-01, yesterday, -7d …  [default: the last success]",
)
to_option = click.option(
    "--to",
    "end",
    cls=Filling,
    fills=("params.windowEndTime", "windowEndTime"),
    default="now",
    show_default=True,
    help="End of the window, exclusive.",
)
column_option = click.option(
    "--delta-column",
    cls=Filling,
    fills=FILLED_BY_COLUMN,
    help="Column that is compared with the window; needed on a table flow's first run.",
)
timeout_option = click.option("--timeout", type=float, help="Seconds to wait at most.")
wait_option = click.option("--wait", is_flag=True, help="Follow the run to its end.")


@click.group()
def runs() -> None:
    """Start, follow and cancel flow runs."""


@runs.command()
@FLOWS.argument("flow")
@from_option
@to_option
@column_option
@click.option(
    "--key",
    cls=Filling,
    fills=("Idempotency-Key",),
    help="Idempotency key: sent again under the same key, the same request makes no second run.",
)
@click.option("--dry-run", is_flag=True, help="Start nothing; say what the run would do.")
@wait_option
@timeout_option
@progress_option
@calling
def start(
    call: Call,
    flow: str,
    start: str | None,
    end: str,
    delta_column: str | None,
    key: str | None,
    dry_run: bool,
    wait: bool,
    timeout: float | None,
    progress: str | None,
) -> None:
    """Start a run of FLOW (its name or id) over the window [from, to).

    Without --from it goes on where the last successful run ended.
    """
    if timeout is not None and not wait:
        raise click.UsageError("--timeout goes with --wait.")
    window = (start, end) if start is not None else None
    with call.client() as client:
        if dry_run:
            _estimate(call, client, flow, window, delta_column)
            return
        run = client.runs.start(
            {"id": FLOWS.find(client, flow)["id"]}, window=window, delta_column=delta_column, idempotency_key=key
        )
        call.note(f"run {run.id} over {window_of(run.data)}")
        see_future(run.data, call.note)
        if wait:
            with following(progress, quiet=call.quiet) as show_run:
                run.wait(timeout=timeout, on_progress=lambda seen: show_run(seen.data))
        _print(call, run.data)


@runs.command()
@FLOWS.argument("flow")
@from_option
@to_option
@column_option
@calling
def estimate(call: Call, flow: str, start: str | None, end: str, delta_column: str | None) -> None:
    """Say what a run of FLOW would do: its window, rows or files, what was brought of it before. Nothing is stored."""
    with call.client() as client:
        _estimate(call, client, flow, (start, end) if start is not None else None, delta_column)


def _estimate(
    call: Call, client: "Client", flow: str, window: tuple[str, str] | None, delta_column: str | None
) -> None:
    from headgate.client import parse_time

    params: Json = {}
    if window is not None:
        params = {"windowStartTime": str(parse_time(window[0])), "windowEndTime": str(parse_time(window[1]))}
    if delta_column is not None:
        params["deltaColumn"] = {"name": delta_column}
    body = {"flowId": FLOWS.find(client, flow)["id"], **({"params": params} if params else {})}
    call.show_one(client.request("POST", f"{RUNS.path}:estimate", body=body), _ESTIMATE, id_="flowId")


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
@click.option("--details", is_flag=True, help="Its attempts, splits, snapshot and log too; as JSON or YAML.")
@calling
def show(call: Call, run_id: str, details: bool) -> None:
    """Show one run."""
    with call.client() as client:
        run = client.runs.get(run_id)
        if details:
            show_document({**run.data, "details": run.details()}, "yaml" if call.output == "table" else call.output)
        else:
            _print(call, run.data)


@runs.command()
@click.argument("run_id")
@click.option("--follow", "-f", is_flag=True, help="Go on until the run has ended.")
@calling
def logs(call: Call, run_id: str, follow: bool) -> None:
    """Show the log of a run, a line each; as JSON, an object a line."""
    with call.client() as client:
        run = client.runs.get(run_id)
        if follow:
            for event in run.events():
                if event.name == "log":
                    _log_line(dict(event.data), call.output)
        else:
            for line in run.details()["log"]:
                _log_line(dict(line), call.output)


def _log_line(line: Json, output: str) -> None:
    if output == "json":
        click.echo(json.dumps(line, ensure_ascii=False))
    elif output == "table":
        click.echo(f"{moment(line['at'])} {line['level']:<7} {line['text']}")
    else:
        show_document([line] if output == "yaml" else line["id"], output)


@runs.command()
@click.argument("run_id")
@click.option("--after", help="Id of the last event that was seen.")
@calling
def events(call: Call, run_id: str, after: str | None) -> None:
    """Print what happens to a run, as it happens, as a JSON object a line, until it has ended."""
    with call.client() as client:
        for event in client.runs.get(run_id).events(after=after):
            click.echo(json.dumps({"id": event.id, "event": event.name, "data": event.data}, ensure_ascii=False))


@runs.command()
@click.argument("run_id")
@timeout_option
@progress_option
@calling
def wait(call: Call, run_id: str, timeout: float | None, progress: str | None) -> None:
    """Follow a run to its end."""
    with call.client() as client, following(progress, quiet=call.quiet) as show_run:
        run = client.runs.get(run_id)
        run.wait(timeout=timeout, on_progress=lambda seen: show_run(seen.data))
    _print(call, run.data)


@runs.command()
@click.argument("run_ids", metavar="RUN_ID...", nargs=-1, required=True)
@calling
def cancel(call: Call, run_ids: tuple[str, ...]) -> None:
    """Cancel runs; their rows will not be in the table."""
    with call.client() as client:
        for run_id in run_ids:
            _print(call, client.runs.get(run_id).cancel().data)


@runs.command()
@click.argument("run_id")
@wait_option
@timeout_option
@progress_option
@calling
def retry(call: Call, run_id: str, wait: bool, timeout: float | None, progress: str | None) -> None:
    """Make a new run over the window of one that failed, by the flow as it is now."""
    with call.client() as client:
        run = client.runs.get(run_id).retrigger()
        call.note(f"run {run.id} repeats {run_id} over {window_of(run.data)}")
        if wait:
            with following(progress, quiet=call.quiet) as show_run:
                run.wait(timeout=timeout, on_progress=lambda seen: show_run(seen.data))
        _print(call, run.data)


def _print(call: Call, run: "RunObject") -> None:
    call.show_one(dict(run), FIELDS)
    see_empty(run, call.note)
    if call.output != "table":
        return
    for change in run["metrics"].get("schemaChanges", []):
        click.echo(f"columns   {_change(change)}")
    for error in run["metrics"]["statusSummary"].get("errors", []):
        click.echo(f"error     {error['code']}: {error['message']}")


def see_future(run: "RunObject", say: Callable[[str], None]) -> None:
    """Say of a window that has not begun that nothing can be in it yet."""
    from headgate.client.times import in_milliseconds

    start = run["params"].get("windowStartTime")
    if start is not None and in_milliseconds(int(start)) > time.time() * 1000:
        say(f"Note: the window lies in the future, from {moment(start)} on; it is {moment(int(time.time()))} now.")


def see_empty(run: "RunObject", say: Callable[[str], None]) -> None:
    """Say of a run that found nothing why that may be, and what the reading had to note."""
    notes = [
        note
        for each in run.get("activities", ())
        for note in each["statusSummary"].get("extensions", {}).get("notes", ())
    ]
    for note in notes:
        say(f"Warning: {note}")
    metrics = run["metrics"]
    found = metrics.get("recordSummary", {}).get("inputRecordCount")
    if metrics["statusSummary"]["status"] == "success" and found == 0 and not notes:
        say(
            f"Note: nothing was found in {window_of(run)}. Its start is included, its end is not; rows count by their "
            "delta column, files by when they were last modified."
        )


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


def _per_column(found: Json) -> str:
    about = found.get("deltaColumn")
    if not about:
        return ""
    between = f", {about['least']} to {about['greatest']}" if about.get("least") is not None else ""
    return f"{about['name']} ({about.get('chosenBy', '')}){between}"


_ESTIMATE: tuple[Column, ...] = (
    ("window", "windowInWords"),
    ("delta", _per_column),
    ("rows", lambda found: f"{found['rows']:,} ({found.get('rowsAre', '')})" if "rows" in found else ""),
    ("files", lambda found: f"{found['files']:,} ({found.get('filesAre', '')})" if "files" in found else ""),
    ("bytes", "bytes"),
    ("writes", "writeMode.name"),
    ("earlier", lambda found: [f"{run['id']} ({run.get('state', '')})" for run in found.get("earlierRuns", ())]),
    ("missing", lambda found: "; ".join(f"{each['what']}: {each['reason']}" for each in found.get("missing", ()))),
)
