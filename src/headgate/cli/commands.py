"""The commands and what their exit codes mean.

0 done · 1 the run failed · 2 wrong usage · 3 not found · 4 conflict · 5 not allowed · 6 the service cannot be
reached · 124 the time to wait was over · 130 broken off.
"""

import importlib
import sys
from typing import Any

import click

from headgate import __version__
from headgate.cli.wording import did_you_mean, in_words
from headgate.errors import HeadgateError

__all__ = ["cli", "main"]

_SECTIONS = {
    "Begin": {
        "up": ("up", "Start the service, a worker and the console; --demo with something to see."),
        "serve": ("serve", "Start the service and its worker."),
        "console": ("console", "Open the console in a browser."),
        "worker": ("serve", "Run a worker alone."),
        "copy": ("copying", "Copy one window of a table or files into the lake, without a server."),
        "credentials": ("credentials", "Print what a client needs to call the service."),
        "login": ("login", "Act for a person."),
        "logout": ("login", "Act for the local user again."),
    },
    "Flows": {
        "specs": ("specs", "Show what can be connected to."),
        "flow-specs": ("specs", "Show the kinds of flows."),
        "connections": ("connections", "Say how systems are reached, and look into them."),
        "source-connections": ("connections", "Say which table or files are read."),
        "target-connections": ("connections", "Say which dataset is written, and how."),
        "apply": ("applying", "Make what a document says."),
        "export": ("applying", "Write a sandbox down as such a document."),
        "flows": ("flows", "Say what is brought where, and when."),
        "runs": ("runs", "Estimate, start, follow and cancel flow runs."),
        "backfill": ("backfilling", "Start one run for each slice of a range of time."),
        "webhooks": ("webhooks", "Have receivers told how runs begin and end."),
        "landing-zone": ("landing_zone", "Show where files are put so that flows find them."),
    },
    "The lake": {
        "query": ("query", "Ask the lake in SQL."),
        "datasets": ("datasets", "Look after the tables of the lake."),
        "batches": ("datasets", "Look after what each run brought."),
        "metrics": ("monitoring", "Show what was brought into the lake over time."),
        "mapping-sets": ("mapping", "Say which column becomes which."),
        "mappings": ("mapping", "Change single mappings of a set."),
        "schemas": ("registry", "Look after the schemas of the registry."),
        "field-groups": ("registry", "Look after groups of fields that schemas are made of."),
        "classes": ("registry", "Look after the classes of schemas."),
        "data-types": ("registry", "Look after types that fields can have."),
        "descriptors": ("registry", "Look after what is said of fields of schemas."),
        "behaviors": ("registry", "Show the behaviours that classes can have."),
    },
    "The deployment": {
        "orgs": ("administration", "Look after organisations."),
        "sandboxes": ("administration", "Look after sandboxes."),
        "clients": ("administration", "Look after client applications and their secrets."),
        "roles": ("administration", "Say who may do what."),
        "permissions": ("access", "Show what can be allowed, and what is."),
        "whoami": ("access", "Say whom the commands act for."),
        "doctor": ("doctor", "See whether all is well here, and what to do."),
        "config": ("doctor", "Show each setting and where it comes from."),
        "completion": ("completion", "Have the shell complete commands and names."),
        "db": ("database", "Upgrade the metadata database, or move it to PostgreSQL."),
        "secrets": ("secrets", "Rotate the keys that credentials are sealed with."),
        "backup": ("backup", "Save the data folder while the service runs."),
        "restore": ("backup", "Bring a data folder back from a backup."),
        "people": ("monitoring", "List who was granted a role."),
        "audit": ("audit", "Show who did what."),
        "workers": ("monitoring", "List the workers."),
        "queue": ("monitoring", "Show what waits and runs."),
        "activity": ("monitoring", "Show the last day, and what is due next."),
        "api": ("api", "Call any address of the API."),
    },
}
_COMMANDS = {name: about for section in _SECTIONS.values() for name, about in section.items()}
_HTTP = {400: 2, 401: 5, 403: 5, 404: 3, 409: 4, 412: 4, 413: 2, 422: 4, 0: 6, 502: 6, 503: 6, 504: 6}


class _Commands(click.Group):
    """Commands by name, each imported only when it is called."""

    # ruff: noqa: ARG002 - the signatures are Click's

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"headgate.cli.{_COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in _COMMANDS and not args[0].startswith("-"):
            hint = did_you_mean(args[0], _COMMANDS) or "`headgate --help` lists those there are."
            ctx.fail(f"There is no command {args[0]!r}. {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, commands in _SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, text) for name, (_, text) in commands.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; what goes wrong is one line on stderr and an exit code."""
        try:
            return super().invoke(ctx)
        except HeadgateError as error:
            click.echo(f"headgate: {in_words(error.detail, ctx)}", err=True)
            ctx.exit(_exit_code(error))


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="headgate")
def cli() -> None:
    """Headgate: one window of a source into an Iceberg table, exactly once."""


def main(arguments: list[str] | None = None) -> None:
    """Run a command and exit with its code."""
    try:
        code = cli.main(arguments, prog_name="headgate", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit(130)
    if code:
        sys.exit(code)


def _exit_code(error: HeadgateError) -> int:
    kind = type(error).__name__
    if kind == "RunFailed":
        return 1
    if kind == "WaitTimedOut":
        return 124
    if error.code == "FLOW-1422-400":  # the run's state does not allow it
        return 4
    return _HTTP.get(error.status, 1)
