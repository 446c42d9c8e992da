"""`headgate credentials`."""

import json
from pathlib import Path

import click

from headgate.cli.options import data_option

__all__ = ["credentials"]


@click.command()
@data_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def credentials(data: Path | None, as_json: bool) -> None:
    """Print what a client needs to call the service of this data folder.

    Makes the local organisation on first use. The token is a user's and valid for a day.
    """
    from headgate.service.local import credentials as local

    found = local(data)
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    for name, value in found.items():
        click.echo(f"{name:<13} {value}")
