"""Options that several commands share, and how they show a time."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from headgate.client import Client

__all__ = ["connect", "data_option", "moment", "output_option"]

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


def moment(wire: str | int) -> str:
    """A time of the wire, seconds or milliseconds, in ISO 8601 and UTC."""
    number = int(wire)
    seconds = number if number < 10**11 else number / 1000
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
