"""`headgate credentials`."""

import json
from pathlib import Path

import click

from headgate.cli.options import data_option

__all__ = ["credentials"]


@click.command()
@data_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--headers", is_flag=True, help="Print the headers of a call, one a line, as curl's -H @FILE reads them.")
def credentials(data: Path | None, as_json: bool, headers: bool) -> None:
    """Print what a client needs to call the service of this data folder.

    Makes the local organisation on first use. The token is a user's and valid for a day.
    """
    from headgate.service.local import credentials as local

    if as_json and headers:
        raise click.UsageError("Send one of --json and --headers.")
    found = local(data)
    if headers:
        click.echo(f"Authorization: Bearer {found['accessToken']}")
        click.echo(f"x-api-key: {found['apiKey']}")
        click.echo(f"x-gw-ims-org-id: {found['orgId']}")
        click.echo(f"x-sandbox-name: {found['sandbox']}")
        return
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    for name, value in found.items():
        click.echo(f"{name:<13} {value}")
