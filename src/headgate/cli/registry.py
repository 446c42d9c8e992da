"""`headgate schemas`, `field-groups`, `classes`, `data-types`, `descriptors` and `behaviors`: the schema registry."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import click

from headgate.cli.calling import Call, calling
from headgate.cli.documents import file_option, put, read_object, set_option
from headgate.cli.kinds import BEHAVIORS, CLASSES, DATA_TYPES, DESCRIPTORS, FIELD_GROUPS, SCHEMAS, SOURCES
from headgate.cli.resources import Resources, limit_option
from headgate.model.addresses import REGISTRY

__all__ = ["behaviors", "classes", "data_types", "descriptors", "field_groups", "schemas"]


def _create(kind: Resources, group: click.Group) -> None:
    @group.command("create", help=f"Make a {kind.word}.")
    @set_option
    @file_option
    @calling
    def create(call: Call, sets: tuple[str, ...], file: str | None) -> None:
        body = read_object(file)
        put(body, sets)
        with call.client() as client:
            call.show_one(client.request("POST", kind.path, body=body), kind.fields, id_=kind.id)


def _of_documents(kind: Resources, help_: str, create: Callable[[Resources, click.Group], None]) -> click.Group:
    """The commands of a collection that an organisation adds documents to."""
    group = click.Group(kind.plural.replace(" ", "-"), help=help_)
    kind.add_reading(group)
    create(kind, group)

    @group.command("replace", help=f"Put another document in place of a {kind.word}.")
    @kind.argument()
    @set_option
    @file_option
    @calling
    def replace_(call: Call, which: str, sets: tuple[str, ...], file: str | None) -> None:
        body = read_object(file)
        put(body, sets)
        with call.client() as client:
            id_ = kind.find(client, which)[kind.id]
            client.request("PUT", kind.at(id_), body=body)
            call.show_one(kind.get(client, id_), kind.fields, id_=kind.id)

    kind.add_patch(group)
    kind.add_delete(group)
    return group


def _create_schema(kind: Resources, group: click.Group) -> None:
    @group.command("create")
    @click.option("--from-source", metavar="SOURCE", help="Source connection whose columns become the fields.")
    @set_option
    @file_option
    @calling
    def create(call: Call, from_source: str | None, sets: tuple[str, ...], file: str | None) -> None:
        """Make a schema: of a document, or of what a source connection reads."""
        body = read_object(file)
        put(body, sets)
        with call.client() as client:
            asked: dict[str, Any] = {}
            if from_source:
                asked = {"fromSource": SOURCES.find(client, from_source)["id"]}
            call.show_one(client.request("POST", kind.path, body=body, **asked), kind.fields, id_=kind.id)


schemas = _of_documents(SCHEMAS, "Look after the schemas of the registry.", _create_schema)
field_groups = _of_documents(FIELD_GROUPS, "Look after groups of fields that schemas are made of.", _create)
classes = _of_documents(CLASSES, "Look after the classes of schemas.", _create)
data_types = _of_documents(DATA_TYPES, "Look after types that fields can have.", _create)
descriptors = _of_documents(DESCRIPTORS, "Look after what is said of the fields of schemas.", _create)


@schemas.command()
@calling
def stats(call: Call) -> None:
    """Say what the registry holds: the tenant's id, and how many documents of each kind."""
    with call.client() as client:
        found = client.request("GET", f"{REGISTRY}/stats")
    call.show_one(
        found, (("tenant", "tenantId"), *((word, f"counts.{word}") for word in found["counts"])), id_="tenantId"
    )


@classes.command("list")
@click.option("--standard", is_flag=True, help="Those that every organisation has, instead of its own.")
@click.option("--filter", "filters", multiple=True, metavar="MEMBER==VALUE", help="Repeatable; all must hold.")
@limit_option
@calling
def list_classes(call: Call, standard: bool, filters: tuple[str, ...], limit: int) -> None:
    """List the classes of the organisation, or the standard ones."""
    kind = replace(CLASSES, path=CLASSES.path.replace("/tenant/", "/global/")) if standard else CLASSES
    with call.client() as client:
        call.show(kind.all(client, limit=limit, filters=filters), kind.columns, id_=kind.id)


@click.group()
def behaviors() -> None:
    """Show the behaviours that classes can have."""


BEHAVIORS.add_reading(behaviors)
