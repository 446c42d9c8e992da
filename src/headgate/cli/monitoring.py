"""`headgate workers`, `queue`, `people`, `activity` and `metrics`: who works, what waits, and what was brought."""

import click

from headgate.cli.calling import Call, calling
from headgate.cli.kinds import DATASETS, LINKED
from headgate.cli.output import Column, moment
from headgate.model.addresses import HEADGATE, INSIGHTS
from headgate.model.runs import Json

__all__ = ["activity", "metrics", "people", "queue", "workers"]

_STATES = ("success", "failed", "cancelled", "inProgress", "queued", "scheduled")
_PREFIX = "timeseries.ingestion.dataset."
_METRICS = ("recordsuccess.count", "batchsuccess.count", "batchfailed.count", "size", "dailysize", "new.count")

_WORKER: tuple[Column, ...] = (
    ("worker", "id"),
    ("host", "host"),
    ("pid", "pid"),
    ("state", "state"),
    ("runs", lambda worker: f"{worker['running']} of {worker['places']}"),
    ("since (UTC)", lambda worker: moment(worker["startedAt"])),
    ("seen (UTC)", lambda worker: moment(worker["seenAt"])),
)
_QUEUE: tuple[Column, ...] = (
    ("flow", "flowId"),
    ("name", "name"),
    ("waiting", "waiting"),
    ("later", "later"),
    ("running", "running"),
    ("seconds", "oldestWaitSeconds"),
)


@click.command()
@calling
def workers(call: Call) -> None:
    """List the workers that are there, oldest first."""
    with call.client() as client:
        call.show(LINKED.read(client, f"{HEADGATE}/workers", {}, 0), _WORKER)


@click.command()
@calling
def queue(call: Call) -> None:
    """Show what waits and runs in the sandbox, by flow, who waits longest first."""
    with call.client() as client:
        found = client.request("GET", f"{HEADGATE}/queue")
    if call.output in ("json", "yaml"):
        call.show_one(found, ())
    else:
        call.show(found["flows"], _QUEUE, id_="flowId")
        call.note(f"{found['waiting']} waiting, {found['later']} for later, {found['running']} running")


@click.command()
@calling
def people(call: Call) -> None:
    """List the people who were granted a role."""
    with call.client() as client:
        held: Column = (
            "roles",
            lambda one: [f"{each['role']} in {each.get('sandbox') or 'the organisation'}" for each in one["roles"]],
        )
        call.show(LINKED.read(client, f"{HEADGATE}/people", {}, 0), (("person", "id"), held))


@click.command()
@calling
def activity(call: Call) -> None:
    """Show the runs of the last 24 hours, by hour and state, and which flows their schedules start next."""
    with call.client() as client:
        found = client.request("GET", f"{HEADGATE}/activity")
    if call.output in ("json", "yaml"):
        call.show_one(found, ())
        return
    hour: Column = ("hour (UTC)", lambda each: moment(each["start"]))
    busy = [each for each in found["hours"] if any(each.get(state) for state in _STATES)]
    call.show(busy, (hour, *((state, state) for state in _STATES)), id_="start")
    for due in found["next"]:
        call.note(f"{due['name']} is due at {moment(due['dueAt'])}")


@click.command()
@click.argument("names", metavar="[METRIC]...", nargs=-1, type=click.Choice(_METRICS))
@click.option("--from", "start", default="-30d", show_default=True, help="Start, inclusive.")
@click.option("--to", "end", default="now", show_default=True, help="End, exclusive.")
@click.option("--by", type=click.Choice(["hour", "day"]), default="day", show_default=True, help="Length of a span.")
@click.option("--dataset", "datasets", multiple=True, help="Only of this dataset, by name or id. Repeatable.")
@calling
def metrics(call: Call, names: tuple[str, ...], start: str, end: str, by: str, datasets: tuple[str, ...]) -> None:
    """Show what was brought into the lake over time: by default rows, and runs that ended well or failed.

    Spans in which there was nothing are left out.
    """
    from headgate.client import parse_time

    asked = names or _METRICS[:3]
    with call.client() as client:
        chosen = "|".join(DATASETS.find(client, dataset)["id"] for dataset in datasets)
        filters: Json = {"filters": [{"name": "dataSetId", "value": chosen}]} if chosen else {}
        body = {
            "start": moment(parse_time(start)),
            "end": moment(parse_time(end)),
            "granularity": by,
            "metrics": [{"name": _PREFIX + name, **filters} for name in asked],
        }
        found = client.request("POST", f"{INSIGHTS}/metrics", body=body)
    if call.output in ("json", "yaml"):
        call.show_one(found, ())
        return
    spans: dict[str, Json] = {}
    for name, series in zip(asked, found["metricResponses"], strict=True):
        for points in series["datapoints"]:
            for at, value in points["dps"].items():
                spans.setdefault(at, {"at": at})[name.replace(".", " ")] = f"{value:,}"
    titles = [name.replace(".", " ") for name in asked]
    call.show(
        [spans[at] for at in sorted(spans)], ((f"{by} (UTC)", "at"), *((name, name) for name in titles)), id_="at"
    )
