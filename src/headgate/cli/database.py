"""`headgate db`: where the metadata is kept, and in which form."""

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import click
from click.core import ParameterSource

from headgate.cli.backup import reconcile
from headgate.cli.options import data_option, output_option
from headgate.cli.output import show_document, show_one
from headgate.cli.tables import print_table

__all__ = ["db"]


@click.group()
def db() -> None:
    """Look after the metadata database."""


@db.command()
@data_option
@output_option
def status(data: Path | None, output: str) -> None:
    """Show where the metadata is and the revision of its tables. Changes nothing."""
    from headgate.service.metadata import status as look

    fields = (("place", "place"), ("state", "state"), ("revision", "revision"), ("newest", "newest"))
    show_one(look(data), output, fields, id_="state")


@db.command()
@data_option
@output_option
def upgrade(data: Path | None, output: str) -> None:
    """Bring the tables to the revision that this Headgate needs; all of it or nothing.

    Stop what works with them first, and save them. Those of a data folder are upgraded at the next start anyway.
    """
    from headgate.service.metadata import upgrade as bring

    done = bring(data)
    if output == "id":
        click.echo(done["to"])
    elif output != "table":
        show_document(done, output)
    elif done["from"] == done["to"]:
        click.echo(f"{done['place']} has the newest revision, {done['to']}.")
    else:
        click.echo(f"{done['place']}: from {done['from'] or 'no tables'} to the revision {done['to']}.")


@db.command()
@click.option(
    "--to",
    envvar="HEADGATE_MOVE_TO",
    required=True,
    metavar="URL",
    help="An empty database, postgresql+psycopg://USER@HOST/DATABASE.  [env var: HEADGATE_MOVE_TO]",
)
@data_option
@output_option
@click.pass_context
def move(ctx: click.Context, to: str, data: Path | None, output: str) -> None:
    """Move the metadata of a data folder to PostgreSQL: all of it or nothing, compared row by row.

    Stop the service and the workers first. The folder's own metadata is kept, and refused by every start from then on.
    Broken off, it may be repeated. A password is taken from HEADGATE_MOVE_TO, PGPASSWORD or ~/.pgpass.
    """
    from headgate.service.metadata import move as carry

    if ctx.get_parameter_source("to") is ParameterSource.COMMANDLINE and _has_password(to):
        raise click.UsageError(
            "A password on the command line can be read by everybody on this machine. Leave it out and set PGPASSWORD, "
            "or give the whole address in HEADGATE_MOVE_TO."
        )
    done = carry(data, to)
    if output == "id":
        click.echo(done["place"])
    elif output != "table":
        show_document(done, output)
    else:
        print_table(("table", "rows"), [(name, str(rows)) for name, rows in done["tables"].items()])
        click.echo(f"All of it is in {done['place']} now, compared by count and checksum.")
        click.echo("Set HEADGATE_METADATA_URL to its address wherever Headgate runs, then start it.")


def _has_password(address: str) -> bool:
    parts = urlsplit(address)
    return bool(parts.password or "password" in parse_qs(parts.query))


db.add_command(reconcile)
