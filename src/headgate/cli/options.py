"""Options that several commands share."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from headgate.cli.output import FORMS, moment

if TYPE_CHECKING:
    from headgate.client import Client

__all__ = ["connect", "data_option", "moment", "output_option", "yes_option"]

data_option = click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="HEADGATE_DATA",
    help="Folder of metadata, warehouse and keys.  [default: headgate-data]",
)
output_option = click.option(
    "--output",
    "-o",
    type=click.Choice(FORMS),
    default="table",
    show_default=True,
    help="Form of the answer.",
)
yes_option = click.option("--yes", "-y", is_flag=True, help="Do not ask.")


def connect(data: Path | None) -> "Client":
    """The client of the folder's service."""
    from headgate.client import Client
    from headgate.service.local import credentials

    return Client.of(credentials(data, create=False))
