"""`headgate schemas`, `headgate mapping-sets` and `headgate landing-zone`."""

import sys

import click

from headgate.cli.calling import Call, calling
from headgate.cli.documents import read_object
from headgate.cli.kinds import MAPPING_SETS, SCHEMAS
from headgate.cli.output import show_document
from headgate.model.addresses import CONNECTORS
from headgate.model.runs import Json

__all__ = ["landing_zone", "mapping_sets", "schemas"]

_body_option = click.option(
    "--file",
    "-f",
    "file",
    metavar="FILE",
    required=True,
    help="JSON or YAML; - for standard input.",
)


@click.group()
def schemas() -> None:
    """Look after the schemas of the registry."""


SCHEMAS.add_reading(schemas)


@schemas.command()
@_body_option
@calling
def create(call: Call, file: str) -> None:
    """Make a schema."""
    with call.client() as client:
        made = client.request("POST", SCHEMAS.path, body=read_object(file))
        call.show_one(made, SCHEMAS.fields, id_="$id")


@schemas.command()
@click.argument("schema")
@_body_option
@calling
def replace(call: Call, schema: str, file: str) -> None:
    """Put another document in place of a schema."""
    with call.client() as client:
        id_ = SCHEMAS.find(client, schema)["$id"]
        client.request("PUT", SCHEMAS.at(id_), body=read_object(file))
        call.show_one(SCHEMAS.get(client, id_), SCHEMAS.fields, id_="$id")


SCHEMAS.add_delete(schemas)


@click.group("mapping-sets")
def mapping_sets() -> None:
    """Look after the mapping sets: which column becomes which."""


MAPPING_SETS.add_reading(mapping_sets)


@mapping_sets.command("create")
@_body_option
@calling
def create_mapping_set(call: Call, file: str) -> None:
    """Make a mapping set."""
    with call.client() as client:
        made = client.request("POST", MAPPING_SETS.path, body=read_object(file))
        call.show_one(MAPPING_SETS.get(client, made["id"]), MAPPING_SETS.fields)


@mapping_sets.command("replace")
@click.argument("mapping_set")
@_body_option
@calling
def replace_mapping_set(call: Call, mapping_set: str, file: str) -> None:
    """Make the next version of a mapping set. Flows keep the version they have."""
    with call.client() as client:
        id_ = MAPPING_SETS.find(client, mapping_set)["id"]
        client.request("PUT", MAPPING_SETS.at(id_), body=read_object(file))
        call.show_one(MAPPING_SETS.get(client, id_), MAPPING_SETS.fields)


@mapping_sets.command()
@_body_option
@calling
def validate(call: Call, file: str) -> None:
    """See what is wrong with each mapping of a set that is not stored. Exits with 1 when something is."""
    with call.client() as client:
        found = client.request("POST", f"{MAPPING_SETS.path}/validate", body=read_object(file))
    if call.output == "table":
        call.show(found["validationResponse"], (("status", "status"), ("reason", _reason)))
    else:
        show_document(found, call.output)
    if any(verdict["status"] != "SUCCESS" for verdict in found["validationResponse"]):
        sys.exit(1)


def _reason(verdict: Json) -> object:
    return "; ".join(str(error.get("message") or error) for error in verdict["errors"] or ())


MAPPING_SETS.add_delete(mapping_sets)


@click.group("landing-zone")
def landing_zone() -> None:
    """Show where files are put so that flows find them."""


@landing_zone.command()
@calling
def show(call: Call) -> None:
    """Show the sandbox's zone, and where it is reached."""
    with call.client() as client:
        zone = client.request("GET", f"{CONNECTORS}/landingzone")
        zone |= client.request("GET", f"{CONNECTORS}/landingzone/credentials")
    call.show_one(
        zone, (("zone", "containerName"), ("days kept", "containerTTL"), ("address", "SASUri")), id_="containerName"
    )
