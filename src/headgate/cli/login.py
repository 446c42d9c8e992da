"""`headgate login` and `headgate logout`."""

from datetime import UTC, datetime
from pathlib import Path

import click

from headgate.cli.options import data_option

__all__ = ["login", "logout"]


@click.command()
@data_option
@click.option("--user", default="local@headgate", show_default=True, help="Who logs in.")
@click.option("--org", help="Organisation.  [default: the local one]")
@click.option("--sandbox", help="Sandbox that commands use.  [default: the default one, or that of a role]")
@click.option("--client", help="Client to act through.  [default: the organisation's first]")
@click.option(
    "--code", is_flag=True, help="Print a sign-in code, for the console or the token endpoint, instead of logging in."
)
def login(data: Path | None, user: str, org: str | None, sandbox: str | None, client: str | None, code: bool) -> None:
    """Get a token of the built-in issuer for a person, and keep it for the commands of this data folder.

    The person needs a role: `headgate roles grant`. With --code nothing is kept: the code signs the person
    in to the console, or whoever has the client's secret exchanges it for the person's token at /ims/token/v1 by
    grant_type=authorization_code; once, and within ten minutes.
    """
    from headgate.cli.elsewhere import administering
    from headgate.service.local import log_in

    if code:
        with administering(data, org) as administration:
            client = client or administration.clients()[0]["clientId"]
            click.echo(administration.code_of_person(user, client))
        return
    known = log_in(data, user, org_id=org, sandbox=sandbox, client_id=client)
    ends = datetime.fromtimestamp(known["expiresAt"], UTC).isoformat(sep=" ", timespec="minutes")
    click.echo(f"{user} is logged in to {known['orgId']}, sandbox {known['sandbox']}, until {ends}.")


@click.command()
@data_option
def logout(data: Path | None) -> None:
    """Forget the person who logged in; commands act for the local user again."""
    from headgate.service.local import log_out

    log_out(data)
    click.echo("Commands act for the local user.")
