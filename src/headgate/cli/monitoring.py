"""`headgate workers`, `queue` and `people`: who works, what waits, and who may do something."""

import click

from headgate.cli.calling import Call, calling
from headgate.cli.kinds import LINKED
from headgate.cli.output import Column, moment
from headgate.model.addresses import HEADGATE

__all__ = ["people", "queue", "workers"]

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
