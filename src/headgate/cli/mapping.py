"""`headgate mapping-sets` and `headgate mappings`: which column becomes which."""

import sys
from typing import Any
from urllib.parse import quote

import click

from headgate.cli.calling import Call, calling
from headgate.cli.documents import read_document, read_object
from headgate.cli.kinds import MAPPING_SETS
from headgate.cli.options import yes_option
from headgate.cli.output import Column, show_document, show_rows
from headgate.model.addresses import CONVERSION
from headgate.model.runs import Json

__all__ = ["mapping_sets", "mappings"]

_LANGUAGE = f"{CONVERSION}/languages/el"
_body_option = click.option(
    "--file",
    "-f",
    "file",
    metavar="FILE",
    required=True,
    help="JSON or YAML; - for standard input.",
)


@click.group("mapping-sets")
def mapping_sets() -> None:
    """Look after the mapping sets: which column becomes which."""


MAPPING_SETS.add_reading(mapping_sets)


@mapping_sets.command()
@_body_option
@calling
def create(call: Call, file: str) -> None:
    """Make a mapping set."""
    with call.client() as client:
        made = client.request("POST", MAPPING_SETS.path, body=read_object(file))
        call.show_one(MAPPING_SETS.get(client, made["id"]), MAPPING_SETS.fields)


@mapping_sets.command("replace")
@MAPPING_SETS.argument("mapping_set")
@_body_option
@calling
def replace_set(call: Call, mapping_set: str, file: str) -> None:
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


@mapping_sets.command()
@click.argument("mapping_set", required=False)
@click.option("--records", "-r", "records", metavar="FILE", required=True, help="A record, or a list of at most 100.")
@click.option("--file", "-f", "file", metavar="FILE", help="A set that is not stored, instead of MAPPING_SET.")
@calling
def preview(call: Call, mapping_set: str | None, records: str, file: str | None) -> None:
    """Show what a mapping set makes of sample records. Exits with 1 when it cannot map them all."""
    if (mapping_set is None) is (file is None):
        raise click.UsageError("Name a mapping set, or give one that is not stored by --file.")
    with call.client() as client:
        about = read_object(file) if mapping_set is None else MAPPING_SETS.find(client, mapping_set)
        about = {name: about[name] for name in ("mappings", "outputSchema", "name") if about.get(name) is not None}
        body = {"data": read_document(records), "mappingSet": about}
        found = client.request("POST", f"{MAPPING_SETS.path}/preview", body=body)
    if call.output == "table":
        made = found["data"]
        show_rows(made if isinstance(made, list) else [made], call.output)
        for problem in found["errors"]:
            call.note(_problem(problem))
    else:
        show_document(found, call.output)
    if found["errors"]:
        sys.exit(1)


@mapping_sets.command()
@click.argument("expression", required=False)
@calling
def language(call: Call, expression: str | None) -> None:
    """Say which functions and operators expressions may use; of EXPRESSION whether it can be carried out, else 1."""
    with call.client() as client:
        if expression is not None:
            works = client.request("POST", f"{_LANGUAGE}/validate", body={"expression": expression})
            call.show_one({"expression": expression, "works": works}, _EXPRESSION, id_="works")
            sys.exit(0 if works else 1)
        found = {name: client.request("GET", f"{_LANGUAGE}/{name}") for name in ("functions", "operators")}
    call.show_one(found, (("functions", _names("functions")), ("operators", _names("operators"))), id_="functions")


_EXPRESSION: tuple[Column, ...] = (("expression", "expression"), ("works", "works"))


def _names(member: str) -> Any:
    return lambda found: ", ".join(str(one) for one in found[member]) or "none yet"


def _reason(verdict: Json) -> object:
    return "; ".join(_problem(error) for error in verdict["errors"] or ())


def _problem(error: Json) -> str:
    return f"{error.get('source')} -> {error.get('destination')}: {error.get('exception')}"


MAPPING_SETS.add_delete(mapping_sets)


# -- single mappings -------------------------------------------------------------------------------

_MAPPING: tuple[Column, ...] = (
    ("mapping", "id"),
    ("from", lambda found: found.get("source") or found.get("sourceAttribute")),
    ("to", lambda found: found.get("destination") or found.get("destinationXdmPath")),
    ("type", "sourceType"),
)


@click.group()
def mappings() -> None:
    """Look after single mappings; each change makes the next version of their set."""


@mappings.command("list")
@MAPPING_SETS.argument("mapping_set")
@calling
def list_(call: Call, mapping_set: str) -> None:
    """List the mappings of a set."""
    with call.client() as client:
        call.show(client.request("GET", _at(MAPPING_SETS.find(client, mapping_set))), _MAPPING)


@mappings.command()
@MAPPING_SETS.argument("mapping_set")
@click.argument("mapping")
@calling
def show(call: Call, mapping_set: str, mapping: str) -> None:
    """Show one mapping of a set, by its id."""
    with call.client() as client:
        call.show_one(client.request("GET", _at(MAPPING_SETS.find(client, mapping_set), mapping)), _MAPPING)


@mappings.command()
@MAPPING_SETS.argument("mapping_set")
@click.argument("source", required=False)
@click.argument("destination", required=False)
@click.option("--file", "-f", "file", metavar="FILE", help="The mapping as the API takes it, JSON or YAML.")
@calling
def add(call: Call, mapping_set: str, source: str | None, destination: str | None, file: str | None) -> None:
    """Add a mapping of the column SOURCE to the field DESTINATION."""
    with call.client() as client:
        found = MAPPING_SETS.find(client, mapping_set)
        call.show_one(client.request("POST", _at(found), body=_mapping(source, destination, file)), _MAPPING)


@mappings.command()
@MAPPING_SETS.argument("mapping_set")
@click.argument("mapping")
@click.argument("source", required=False)
@click.argument("destination", required=False)
@click.option("--file", "-f", "file", metavar="FILE", help="The mapping as the API takes it, JSON or YAML.")
@calling
def replace(
    call: Call, mapping_set: str, mapping: str, source: str | None, destination: str | None, file: str | None
) -> None:
    """Put another mapping in place of one."""
    with call.client() as client:
        path = _at(MAPPING_SETS.find(client, mapping_set), mapping)
        call.show_one(client.request("PUT", path, body=_mapping(source, destination, file)), _MAPPING)


@mappings.command()
@MAPPING_SETS.argument("mapping_set")
@click.argument("mapping")
@yes_option
@calling
def delete(call: Call, mapping_set: str, mapping: str, yes: bool) -> None:
    """Take a mapping out of a set."""
    with call.client() as client:
        found = MAPPING_SETS.find(client, mapping_set)
        call.confirm(f"Take the mapping {mapping} out of {found.get('name') or found['id']}?", yes=yes)
        client.request("DELETE", _at(found, mapping))
        call.note(f"The mapping {mapping} is gone.")


def _at(mapping_set: Json, mapping: str | None = None) -> str:
    path = MAPPING_SETS.at(mapping_set["id"], "/mappings")
    return path if mapping is None else f"{path}/{quote(mapping, safe='')}"


def _mapping(source: str | None, destination: str | None, file: str | None) -> Json:
    if (file is None) is (destination is None):
        raise click.UsageError("Send SOURCE and DESTINATION, or the mapping by --file.")
    return read_object(file) or {"sourceType": "ATTRIBUTE", "source": source, "destination": destination}
