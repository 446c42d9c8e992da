"""The commands and what their exit codes mean.

0 done · 1 the run failed · 2 wrong usage · 3 not found · 4 conflict · 5 not allowed · 6 the service cannot be
reached · 124 the time to wait was over.
"""

import importlib
import sys
from typing import Any

import click

from headgate import __version__
from headgate.errors import HeadgateError

__all__ = ["main"]

_COMMANDS = {
    "serve": ("headgate.cli.serve", "Start the service and its worker."),
    "worker": ("headgate.cli.serve", "Run a worker alone."),
    "credentials": ("headgate.cli.credentials", "Print what a client needs to call the service."),
    "login": ("headgate.cli.login", "Act for a person."),
    "logout": ("headgate.cli.login", "Act for the local user again."),
    "orgs": ("headgate.cli.administration", "Look after organisations."),
    "sandboxes": ("headgate.cli.administration", "Look after sandboxes."),
    "clients": ("headgate.cli.administration", "Look after client applications and their secrets."),
    "roles": ("headgate.cli.administration", "Say who may do what."),
    "secrets": ("headgate.cli.secrets", "Rotate the keys that credentials are sealed with."),
    "audit": ("headgate.cli.audit", "Show who did what."),
    "runs": ("headgate.cli.runs", "Start, follow and cancel flow runs."),
    "webhooks": ("headgate.cli.webhooks", "Have receivers told how runs begin and end."),
    "query": ("headgate.cli.query", "Ask the lake in SQL."),
}
_HTTP = {400: 2, 401: 5, 403: 5, 404: 3, 409: 4, 412: 4, 413: 2, 422: 4, 0: 6, 502: 6, 503: 6, 504: 6}


class _Commands(click.Group):
    """Commands by name, each imported only when it is called."""

    # ruff: noqa: ARG002 - the signatures are Click's

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = getattr(importlib.import_module(_COMMANDS[cmd_name][0]), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="headgate")
def cli() -> None:
    """Headgate: one window of a source into an Iceberg table, exactly once."""


def main(arguments: list[str] | None = None) -> None:
    """Run a command and exit with its code."""
    try:
        cli.main(arguments, prog_name="headgate", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit(130)
    except HeadgateError as error:
        click.echo(f"headgate: {error.detail}", err=True)
        sys.exit(_exit_code(error))


def _exit_code(error: HeadgateError) -> int:
    kind = type(error).__name__
    if kind == "RunFailed":
        return 1
    if kind == "WaitTimedOut":
        return 124
    if getattr(error, "error_code", "") == "FLOW-1422-400":  # the run's state does not allow it
        return 4
    status: Any = getattr(error, "http_status", error.status)
    return _HTTP.get(status, 1)
