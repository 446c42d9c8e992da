"""`headgate specs` and `headgate flow-specs`: what can be connected to, and what kinds of flows there are."""

from pathlib import Path

import click

from headgate.cli.bodies import Specs, secret_names
from headgate.cli.calling import Call, calling
from headgate.cli.connections import ENDINGS, explored, show_explored
from headgate.cli.documents import pairs, read_object
from headgate.cli.kinds import CONNECTION_SPECS, FLOW_SPECS
from headgate.cli.output import at
from headgate.cli.resources import Resources

__all__ = ["flow_specs", "specs"]

_described = click.option(
    "--file", "-f", "file", metavar="FILE", required=True, help="The spec, JSON or YAML; - for standard input."
)


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
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def check(file: Path) -> None:
    """See whether FILE is a manifest of an API that can be read, and what it offers. Nothing is reached."""
    from headgate.sources.rest.manifest import BadManifest
    from headgate.sources.rest.own import checked

    try:
        manifest = checked(file)
    except BadManifest as error:
        raise click.ClickException(f"{file}: {error}") from None
    click.echo(f"{file} describes {manifest.name}, {manifest.verified}.")
    for stream in manifest.streams.values():
        windows = ", ".join(f"{one.column} ({one.sides}, by {one.grain})" for one in stream.windows) or "none"
        click.echo(f"  {stream.name}: {len(stream.columns)} columns, windows the API filters by: {windows}")


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


def _add_describing(kind: Resources, group: click.Group) -> None:
    """Add `add` and `replace`: specs that the organisation describes itself."""

    @group.command("add", help=f"Describe a {kind.word} for the organisation. It is listed, and never run.")
    @_described
    @calling
    def add(call: Call, file: str) -> None:
        with call.client() as client:
            made = client.request("POST", kind.path, body=read_object(file))
            call.show_one(kind.get(client, made["id"]), kind.fields)

    @group.command("replace", help=f"Describe anew a {kind.word} that the organisation has described itself.")
    @click.argument("spec")
    @_described
    @calling
    def replace(call: Call, spec: str, file: str) -> None:
        with call.client() as client:
            id_ = kind.find(client, spec)["id"]
            client.request("PUT", kind.at(id_), body=read_object(file))
            call.show_one(kind.get(client, id_), kind.fields)


@specs.command()
@click.argument("spec")
@click.argument("object_", metavar="[OBJECT]", required=False)
@click.option("--format", "file_type", type=click.Choice([*dict.fromkeys(ENDINGS.values())]), help="Of a file.")
@click.option("--param", "params", multiple=True, metavar="NAME=VALUE", help="More of the address, repeatable.")
@calling
def explore(call: Call, spec: str, object_: str | None, file_type: str | None, params: tuple[str, ...]) -> None:
    """Show what a spec that needs no connection reaches, such as the landing zone; of OBJECT its columns."""
    with call.client() as client:
        kind = Specs(client).named(spec)
        address = CONNECTION_SPECS.at(kind["id"], "/explore")
        found = explored(client, address, kind, object_, file_type, pairs(params, "--param"))
    show_explored(call, found)


_add_describing(CONNECTION_SPECS, specs)


@click.group("flow-specs")
def flow_specs() -> None:
    """Show the kinds of flows."""


FLOW_SPECS.add_reading(flow_specs)
_add_describing(FLOW_SPECS, flow_specs)
