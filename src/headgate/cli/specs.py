"""`headgate specs` and `headgate flow-specs`: what can be connected to, and what kinds of flows there are."""

import click

from headgate.cli.bodies import Specs, secret_names
from headgate.cli.calling import Call, calling
from headgate.cli.kinds import CONNECTION_SPECS, FLOW_SPECS
from headgate.cli.output import at

__all__ = ["flow_specs", "specs"]


@click.group()
def specs() -> None:
    """Show the systems that connections can be made to."""


@specs.command("list")
@click.option("--category", help="Only of this category, for instance database.")
@click.option("--all", "everything", is_flag=True, help="Those too that are listed and cannot be read yet.")
@click.option("--search", default="", help="Only those whose name has this text.")
@calling
def list_(call: Call, category: str | None, everything: bool, search: str) -> None:
    """List connection specs by category."""
    with call.client() as client:
        found = [
            spec
            for spec in Specs(client).connections
            if (everything or at(spec, "attributes.status") == "runnable")
            and category in (None, at(spec, "attributes.category"))
            and search.lower() in f"{spec['name']} {at(spec, 'attributes.connectorName')}".lower()
        ]
    found.sort(key=lambda spec: (str(at(spec, "attributes.category")), spec["name"]))
    call.show(found, CONNECTION_SPECS.columns)


@specs.command()
@click.argument("spec")
@calling
def show(call: Call, spec: str) -> None:
    """Show one, by its name or id: how it lets in, what a connection and a source connection on it need."""
    with call.client() as client:
        found = Specs(client).named(spec)
    call.show_one(found, CONNECTION_SPECS.fields)
    if call.output != "table":
        return
    for auth in found.get("authSpec", []):
        secret, needed = secret_names(auth), auth["spec"].get("required", [])
        names = [
            f"{name}{'' if name in needed else '?'}{' (secret)' if name in secret else ''}"
            for name in auth["spec"].get("properties", {})
        ]
        click.echo(f"{auth['name']}: {', '.join(names)}")
    if reads := at(found, "sourceSpec.spec.properties"):
        click.echo(f"source connection: {', '.join(reads)}")


@click.group("flow-specs")
def flow_specs() -> None:
    """Show the kinds of flows."""


FLOW_SPECS.add_reading(flow_specs)
