"""`headgate webhooks`: who is told of runs, and what they were told."""

import json
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

import click

from headgate.cli.options import connect, data_option, moment, output_option
from headgate.model.addresses import FLOW_SERVICE
from headgate.model.webhooks import EventCode

__all__ = ["webhooks"]

_PREFIX = "sources_flow_run_"
_WORDS = [code.value.removeprefix(_PREFIX) for code in EventCode]


@click.group()
def webhooks() -> None:
    """Have receivers told how runs begin and end."""


@webhooks.command("list")
@data_option
@output_option
def list_(data: Path | None, output: str) -> None:
    """List webhooks, newest first."""
    with connect(data) as client:
        found = list(client.list("webhooks"))
    if output == "json":
        click.echo(json.dumps(found))
        return
    from headgate.cli.tables import print_table

    rows = ((hook["id"], hook["name"], hook["url"], _words(hook["eventTypes"])) for hook in found)
    print_table(("webhook", "name", "url", "events"), rows)


@webhooks.command()
@click.argument("url")
@click.option("--name", help="What people read.  [default: the host]")
@click.option(
    "--event", "events", multiple=True, type=click.Choice(_WORDS), help="Repeatable.  [default: success, failure]"
)
@data_option
@output_option
def add(url: str, name: str | None, events: tuple[str, ...], data: Path | None, output: str) -> None:
    """Have URL told of runs. It must answer the challenge. The secret is shown only now."""
    body = {
        "name": name or urlsplit(url).hostname or url,
        "url": url,
        "eventTypes": [_PREFIX + event for event in events],
    }
    with connect(data) as client:
        made = client.request("POST", f"{FLOW_SERVICE}/webhooks", body=body)
    if output == "json":
        click.echo(json.dumps(made))
        return
    click.echo(f"webhook   {made['id']}")
    click.echo(f"secret    {made['secret']}")


@webhooks.command()
@click.argument("webhook_id", type=click.UUID)
@data_option
def remove(webhook_id: UUID, data: Path | None) -> None:
    """Remove a webhook; what it was not sent yet is not sent any more."""
    with connect(data) as client:
        client.request("DELETE", f"{FLOW_SERVICE}/webhooks/{webhook_id}")
    click.echo(f"The webhook {webhook_id} is gone.")


@webhooks.command()
@click.argument("webhook_id", type=click.UUID)
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000), help="At most so many.")
@data_option
@output_option
def deliveries(webhook_id: UUID, limit: int, data: Path | None, output: str) -> None:
    """Show what a webhook was and will be sent, newest first."""
    with connect(data) as client:
        path = f"{FLOW_SERVICE}/webhooks/{webhook_id}/deliveries"
        found = client.request("GET", path, limit=limit)["items"]
    if output == "json":
        click.echo(json.dumps(found))
        return
    from headgate.cli.tables import print_table

    print_table(
        ("event", "of", "run", "created (UTC)", "state", "tries", "last try"),
        (
            (
                sent["eventId"],
                sent["eventCode"].removeprefix(_PREFIX),
                sent["runId"],
                moment(sent["createdAt"]),
                sent["state"],
                str(sent["tries"]),
                sent.get("reason") or str(sent.get("status", "")),
            )
            for sent in found
        ),
    )


def _words(codes: list[str]) -> str:
    return ", ".join(code.removeprefix(_PREFIX) for code in codes)
