"""Options that several commands share."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from headgate.client import Client

__all__ = ["connect", "data_option", "output_option"]

data_option = click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="HEADGATE_DATA",
    help="Folder of metadata, warehouse and keys.  [default: headgate-data]",
)
output_option = click.option(
    "--output",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="Form of the answer.",
)


def connect(data: Path | None) -> "Client":
    """The client of the folder's service."""
    from headgate.client import Client
    from headgate.service.local import credentials

    return Client.of(credentials(data, create=False))
