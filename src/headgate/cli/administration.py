"""`headgate orgs`, `sandboxes`, `clients` and `roles`: who is served, and who may do what."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from headgate.cli.options import data_option, output_option, yes_option
from headgate.cli.output import show_many, show_one
from headgate.model.runs import Json

if TYPE_CHECKING:
    from headgate.model.orgs import Grant

__all__ = ["clients", "orgs", "roles", "sandboxes"]

org_option = click.option("--org", help="Organisation.  [default: the local one]")


@click.group()
def orgs() -> None:
    """Look after organisations."""


@orgs.command("list")
@data_option
@output_option
def list_orgs(data: Path | None, output: str) -> None:
    """Show the organisations."""
    from headgate.cli.elsewhere import administering

    with administering(data) as administration:
        _show(administration.orgs(), output)


@orgs.command("add")
@click.argument("name")
@click.option("--id", "id_", help="Its id.  [default: a new one]")
@click.option("--admin", "admins", multiple=True, help="User id of a person who may do everything there. Repeatable.")
@data_option
@output_option
def add_org(name: str, id_: str | None, admins: tuple[str, ...], data: Path | None, output: str) -> None:
    """Make an organisation with the sandboxes prod and dev and an admin client. Its secret is shown only now."""
    from headgate.cli.elsewhere import administering

    with administering(data) as administration:
        _show_one(administration.add_org(name, id_, admins), output)
    click.echo(
        "With several organisations, connections of all of them reach only the hosts that HEADGATE_ALLOWED_HOSTS "
        "lists, and the folders that HEADGATE_FILE_ROOTS names.",
        err=True,
    )


@click.group()
def sandboxes() -> None:
    """Look after the sandboxes of an organisation."""


@sandboxes.command("list")
@org_option
@data_option
@output_option
def list_sandboxes(org: str | None, data: Path | None, output: str) -> None:
    """Show the sandboxes."""
    from headgate.cli.elsewhere import administering

    with administering(data, org) as administration:
        _show(administration.sandboxes(), output)


@sandboxes.command("add")
@click.argument("name")
@click.option("--title", help="What people read.  [default: the name]")
@click.option(
    "--type",
    "type_",
    type=click.Choice(["development", "production"]),
    default="development",
    show_default=True,
    help="What it is for.",
)
@org_option
@data_option
def add_sandbox(name: str, title: str | None, type_: str, org: str | None, data: Path | None) -> None:
    """Make a sandbox."""
    from headgate.cli.elsewhere import administering

    with administering(data, org) as administration:
        administration.add_sandbox(name, title, type_)
    click.echo(f"The sandbox {name} can be used.")


@sandboxes.command("rename")
@click.argument("name")
@click.argument("title")
@org_option
@data_option
def rename_sandbox(name: str, title: str, org: str | None, data: Path | None) -> None:
    """Give a sandbox another title; its name stays."""
    from headgate.cli.elsewhere import administering

    with administering(data, org) as administration:
        administration.rename_sandbox(name, title)
    click.echo(f"The sandbox {name} is called {title}.")


@sandboxes.command("reset")
@click.argument("name")
@yes_option
@org_option
@data_option
def reset_sandbox(name: str, yes: bool, org: str | None, data: Path | None) -> None:
    """Remove all that a sandbox holds, its tables in the lake too. The default sandbox cannot be reset."""
    from headgate.cli.elsewhere import administering

    if not yes:
        click.confirm(f"Remove all connections, flows, runs, datasets and tables of the sandbox {name}?", abort=True)
    with administering(data, org) as administration:
        administration.reset_sandbox(name)
    click.echo(f"The sandbox {name} is empty.")


@sandboxes.command("delete")
@click.argument("name")
@yes_option
@org_option
@data_option
def delete_sandbox(name: str, yes: bool, org: str | None, data: Path | None) -> None:
    """Close a sandbox for good; its name stays taken. The default sandbox cannot be deleted."""
    from headgate.cli.elsewhere import administering

    if not yes:
        click.confirm(f"Let nobody into the sandbox {name} any more?", abort=True)
    with administering(data, org) as administration:
        administration.delete_sandbox(name)
    click.echo(f"The sandbox {name} is closed.")


@click.group()
def clients() -> None:
    """Look after the client applications of an organisation."""


@clients.command("list")
@org_option
@data_option
@output_option
def list_clients(org: str | None, data: Path | None, output: str) -> None:
    """Show the clients. The id is also the API key."""
    from headgate.cli.elsewhere import administering

    with administering(data, org) as administration:
        _show(administration.clients(), output)


@clients.command("add")
@click.argument("name")
@click.option("--id", "id_", help="Its id and API key.  [default: a new one]")
@click.option("--issuer", default="", help="URL of the issuer whose tokens name it; such a client has no secret here.")
@click.option("--role", help="Role of the client as a service.")
@click.option("--sandbox", help="Where the role is.  [default: the whole organisation]")
@org_option
@data_option
@output_option
def add_client(
    name: str,
    id_: str | None,
    issuer: str,
    role: str | None,
    sandbox: str | None,
    org: str | None,
    data: Path | None,
    output: str,
) -> None:
    """Make a client. Its secret is shown only now."""
    from headgate.cli.elsewhere import administering

    if sandbox and not role:
        raise click.UsageError("--sandbox says where a role is; name the role by --role.")
    with administering(data, org) as administration:
        made = administration.add_client(name, id_, issuer, (role, sandbox) if role else None)
        _show_one({key: value for key, value in made.items() if value is not None}, output)


@clients.command("rotate")
@click.argument("client_id")
@click.option(
    "--overlap", type=click.IntRange(0), default=86_400, show_default=True, help="Seconds the last secret stays good."
)
@org_option
@data_option
@output_option
def rotate_client(client_id: str, overlap: int, org: str | None, data: Path | None, output: str) -> None:
    """Give a client a new secret, which is shown only now. At most two are good at a time."""
    from headgate.cli.elsewhere import administering

    with administering(data, org) as administration:
        _show_one(administration.rotate(client_id, overlap), output)


@clients.command("code")
@click.argument("client_id")
@click.option("--days", type=click.IntRange(1, 3650), default=365, show_default=True, help="How long it is good.")
@org_option
@data_option
def code_of_client(client_id: str, days: int, org: str | None, data: Path | None) -> None:
    """Print an authorization code for programs that sign in as a service by code and secret."""
    from headgate.cli.elsewhere import administering

    with administering(data, org) as administration:
        click.echo(administration.code_of_client(client_id, days))


@clients.command("remove")
@click.argument("client_id")
@org_option
@data_option
def remove_client(client_id: str, org: str | None, data: Path | None) -> None:
    """Remove a client with its secrets and roles; its tokens are refused from now on."""
    from headgate.cli.elsewhere import administering

    with administering(data, org) as administration:
        administration.remove_client(client_id)
    click.echo(f"The client {client_id} is gone.")


@click.group()
def roles() -> None:
    """Look after who may do what in an organisation."""


@roles.command("list")
@org_option
@data_option
@output_option
def list_roles(org: str | None, data: Path | None, output: str) -> None:
    """Show the roles and what they allow."""
    from headgate.cli.elsewhere import administering

    with administering(data, org) as administration:
        _show(administration.roles(), output)


@roles.command("add")
@click.argument("name")
@click.option("--permission", "permissions", multiple=True, required=True, help="What it allows. Repeatable.")
@org_option
@data_option
def add_role(name: str, permissions: tuple[str, ...], org: str | None, data: Path | None) -> None:
    """Make a role of the organisation's own."""
    from headgate.cli.elsewhere import administering

    with administering(data, org) as administration:
        administration.add_role(name, permissions)
    click.echo(f"The role {name} can be granted.")


@roles.command("remove")
@click.argument("role")
@org_option
@data_option
def remove_role(role: str, org: str | None, data: Path | None) -> None:
    """Remove a role of the organisation's own that nobody has."""
    from headgate.cli.elsewhere import administering

    with administering(data, org) as administration:
        administration.remove_role(role)
    click.echo(f"The role {role} is gone.")


@roles.command("grants")
@org_option
@data_option
@output_option
def list_grants(org: str | None, data: Path | None, output: str) -> None:
    """Show who has which role where."""
    from headgate.cli.elsewhere import administering

    with administering(data, org) as administration:
        _show(administration.grants(), output)


def _whom(command: Callable[..., None]) -> Callable[..., None]:
    """The argument and options that name a grant."""
    for option in (
        data_option,
        org_option,
        click.option("--sandbox", help="Where.  [default: the whole organisation]"),
        click.option("--client", help="Id of the client that has it as a service."),
        click.option("--user", help="User id of the person who has it."),
        click.argument("role"),
    ):
        command = option(command)
    return command


@roles.command("grant")
@_whom
def grant_role(
    role: str, user: str | None, client: str | None, sandbox: str | None, org: str | None, data: Path | None
) -> None:
    """Give a role to a person or a client. Several roles add up."""
    from headgate.cli.elsewhere import administering

    grant = _grant(role, user, client, sandbox)
    with administering(data, org) as administration:
        administration.grant(grant)
    click.echo(f"{grant.principal} has the role {role} in {sandbox or 'the whole organisation'}.")


@roles.command("revoke")
@_whom
def revoke_role(
    role: str, user: str | None, client: str | None, sandbox: str | None, org: str | None, data: Path | None
) -> None:
    """Take a role from a person or a client, at once."""
    from headgate.cli.elsewhere import administering

    grant = _grant(role, user, client, sandbox)
    with administering(data, org) as administration:
        administration.revoke(grant)
    click.echo(f"{grant.principal} no longer has the role {role} in {sandbox or 'the whole organisation'}.")


def _grant(role: str, user: str | None, client: str | None, sandbox: str | None) -> "Grant":
    from headgate.model.orgs import Grant

    if user and not client:
        return Grant(user, "user", role, sandbox)
    if client and not user:
        return Grant(client, "service", role, sandbox)
    raise click.UsageError("Name either a person by --user or a client by --client.")


def _show(items: Sequence[Json], output: str) -> None:
    names = tuple(items[0]) if items else ()
    show_many(items, output, [(name, name) for name in names], id_=names[0] if names else "")


def _show_one(item: Json, output: str) -> None:
    show_one(item, output, [(name, name) for name in item], id_=next(iter(item)))
