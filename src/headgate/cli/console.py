"""`headgate console`."""

import os
import sys
import urllib.error
import urllib.request
from html import escape
from pathlib import Path

import click

from headgate.cli.options import data_option
from headgate.errors import Unavailable

__all__ = ["console"]


class NoService(Unavailable):
    """No service answers for this data folder."""


@click.command()
@data_option
@click.option("--user", default="local@headgate", show_default=True, help="Who is signed in.")
@click.option("--org", help="Organisation.  [default: the local one]")
@click.option("--no-browser", is_flag=True, help="Only print the link.")
def console(data: Path | None, user: str, org: str | None, no_browser: bool) -> None:
    """Print a link that signs in to the console, once and within ten minutes; open it where there is a browser."""
    from headgate.service.administration import sign_in_link
    from headgate.service.local import opened, settings_for

    with opened(data):
        link = sign_in_link(data, user, org_id=org)
    _see_service(link.partition("/sign-in")[0])
    click.echo(link)
    if not no_browser and sys.stdout.isatty() and (sys.platform == "darwin" or _has_display()):
        _open(link, settings_for(data).keys / "sign-in.html")


def _see_service(address: str) -> None:
    try:
        with urllib.request.urlopen(f"{address}/health/live", timeout=5):  # noqa: S310 - of our own settings
            return
    except (urllib.error.URLError, OSError) as error:
        raise NoService(f"No service answers at {address}. Start it by `headgate serve`.") from error


def _has_display() -> bool:
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _open(link: str, path: Path) -> None:
    """Open the link by a page that only this user can read: others see the arguments of a browser."""
    import webbrowser

    page = f'<!doctype html><meta http-equiv="refresh" content="0; url={escape(link, quote=True)}">'
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(page)
    webbrowser.open(path.resolve().as_uri())
