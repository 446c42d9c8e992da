"""`headgate webhooks`: who is told of runs, and what they were told."""

from urllib.parse import urlsplit

import click

from headgate.cli.calling import Call, calling
from headgate.cli.output import Column, moment
from headgate.cli.resources import Pages, Resources, limit_option
from headgate.model.addresses import FLOW_SERVICE
from headgate.model.webhooks import EventCode

__all__ = ["webhooks"]

_PREFIX = "sources_flow_run_"
_WORDS = [code.value.removeprefix(_PREFIX) for code in EventCode]


_WEBHOOKS = Resources(
    "webhook",
    f"{FLOW_SERVICE}/webhooks",
    columns=(("webhook", "id"), ("name", "name"), ("url", "url"), ("events", lambda hook: _words(hook["eventTypes"]))),
    fields=(
        ("webhook", "id"),
        ("name", "name"),
        ("url", "url"),
        ("events", lambda hook: _words(hook["eventTypes"])),
        ("state", "state"),
    ),
    paged=Pages(lambda page: page["items"]),
    one=lambda answer: answer["items"][0],
)
_DELIVERY: tuple[Column, ...] = (
    ("event", "eventId"),
    ("of", lambda sent: sent["eventCode"].removeprefix(_PREFIX)),
    ("run", "runId"),
    ("created (UTC)", lambda sent: moment(sent["createdAt"])),
    ("state", "state"),
    ("tries", "tries"),
    ("last try", lambda sent: sent.get("reason") or sent.get("status", "")),
)


@click.group()
def webhooks() -> None:
    """Have receivers told how runs begin and end."""


_WEBHOOKS.add_reading(webhooks)


@webhooks.command()
@click.argument("url")
@click.option("--name", help="What people read.  [default: the host]")
@click.option(
    "--event", "events", multiple=True, type=click.Choice(_WORDS), help="Repeatable.  [default: success, failure]"
)
@calling
def add(call: Call, url: str, name: str | None, events: tuple[str, ...]) -> None:
    """Have URL told of runs. It must answer the challenge. The secret is shown only now."""
    body = {
        "name": name or urlsplit(url).hostname or url,
        "url": url,
        "eventTypes": [_PREFIX + event for event in events],
    }
    with call.client() as client:
        made = client.request("POST", _WEBHOOKS.path, body=body)
    call.show_one(made, (("webhook", "id"), ("secret", "secret")))


_WEBHOOKS.add_patch(webhooks)


@webhooks.command()
@_WEBHOOKS.argument("webhook")
@calling
def remove(call: Call, webhook: str) -> None:
    """Remove a webhook; what it was not sent yet is not sent any more."""
    with call.client() as client:
        id_ = _WEBHOOKS.find(client, webhook)["id"]
        client.request("DELETE", _WEBHOOKS.at(id_))
    click.echo(f"The webhook {id_} is gone.")


@webhooks.command()
@_WEBHOOKS.argument("webhook")
@limit_option
@calling
def deliveries(call: Call, webhook: str, limit: int) -> None:
    """Show what a webhook was and will be sent, newest first."""
    with call.client() as client:
        id_ = _WEBHOOKS.find(client, webhook)["id"]
        found = _WEBHOOKS.paged.read(client, _WEBHOOKS.at(id_, "/deliveries"), {}, limit)
        call.show(found, _DELIVERY, id_="eventId")


def _words(codes: list[str]) -> str:
    return ", ".join(code.removeprefix(_PREFIX) for code in codes)
