"""`headgate landing-zone`."""

import click

from headgate.cli.calling import Call, calling
from headgate.model.addresses import CONNECTORS

__all__ = ["landing_zone"]


@click.group("landing-zone")
def landing_zone() -> None:
    """Show where files are put so that flows find them."""


@landing_zone.command()
@click.option("--object", "object_", metavar="PATH", help="A file that is to be put into a zone in a bucket.")
@calling
def show(call: Call, object_: str | None) -> None:
    """Show the sandbox's zone, and where it is reached; of a file in a bucket the address that it may be PUT to."""
    with call.client() as client:
        zone = client.request("GET", f"{CONNECTORS}/landingzone")
        zone |= client.request(
            "GET", f"{CONNECTORS}/landingzone/credentials", **({"object": object_} if object_ else {})
        )
    call.show_one(
        zone,
        (
            ("zone", "containerName"),
            ("days kept", "containerTTL"),
            ("address", "SASUri"),
            ("until", "expiryTime"),
        ),
        id_="containerName",
    )
