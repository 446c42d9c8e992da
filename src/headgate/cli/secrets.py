"""`headgate secrets`: the keys that connections' credentials are sealed with."""

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from headgate.cli.options import data_option, output_option
from headgate.cli.output import show_document
from headgate.cli.tables import print_table

__all__ = ["secrets"]


@click.group()
def secrets() -> None:
    """Look after the keys that connections' credentials are sealed with."""


@secrets.command()
@data_option
@output_option
def status(data: Path | None, output: str) -> None:
    """Show the known keys, and how many secrets each holds. Exits with 1 when the key of some is not known."""
    from headgate.service.secrets import status as look

    found = look(data)
    if output == "id":
        for key in found["keys"]:
            click.echo(key["id"])
    elif output != "table":
        show_document(found, output)
    else:
        rows = [
            (key["id"], "current" if key["id"] == found["current"] else "", str(key["secrets"]))
            for key in found["keys"]
        ]
        print_table(("key", "", "secrets"), rows)
    _complain(found["locked"])


@secrets.command()
@data_option
@output_option
def rotate(data: Path | None, output: str) -> None:
    """Seal every secret with a new key, while the service runs. May be broken off and repeated.

    A key of the data folder is made anew. Keys of HEADGATE_SECRETS_KEY or HEADGATE_SECRETS_KEY_COMMAND are the
    operator's: put the new one before the old one, rotate, then take the old one away.
    """
    from headgate.service.secrets import rotate as turn

    done = turn(data)
    if output == "id":
        click.echo(done["key"])
    elif output != "table":
        show_document(done, output)
    else:
        click.echo(f"Sealed with the key {done['key']}, secrets: {done['rewrapped']}.")
        for id_ in done["forgotten"]:
            click.echo(f"Deleted the key {id_}, which no secret needs any more.")
    _complain(done["locked"])


def _complain(locked: Sequence[str]) -> None:
    if locked:
        click.echo(f"headgate: the key of these connections is not known: {', '.join(locked)}", err=True)
        sys.exit(1)
