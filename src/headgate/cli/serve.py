"""`headgate serve` and `headgate worker`."""

import os
import shlex
import signal
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from headgate.cli.options import data_option

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from headgate.service.service import Service

__all__ = ["announce", "serve", "serving", "worker"]


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one.")
@data_option
@click.option("--no-worker", is_flag=True, help="Only answer; leave the runs to `headgate worker`.")
def serve(host: str, port: int, data: Path | None, no_worker: bool) -> None:
    """Start the service and, unless told otherwise, a worker. SIGTERM stops both."""
    serving(data, host=host, port=port, with_worker=not no_worker, ready=partial(announce, data))


def serving(
    data: Path | None,
    *,
    host: str,
    port: int,
    ready: Callable[[str], None],
    with_worker: bool = True,
    log_level: str = "INFO",
) -> None:
    """Serve a data folder, console and all, until SIGTERM or SIGINT; `ready` gets the address."""
    from headgate import faults, telemetry
    from headgate.api.server import serve as run
    from headgate.service.local import settings_for

    telemetry.configure(log_level)
    faults.arm(os.environ)
    settings = settings_for(data)
    run(settings, host=host, port=port, with_worker=with_worker, ready=ready, console=_console)


def announce(data: Path | None, address: str) -> None:
    """Say where a service answers, and how to sign in to its console; on a terminal, by a link that does so."""
    click.echo(f"Headgate answers at {address}")
    if sys.stdout.isatty():  # a log must not hold what signs somebody in
        from headgate.service.administration import sign_in_link

        click.echo(f"Its console, signed in once and within ten minutes: {sign_in_link(data)}")
    else:
        where = "" if data is None else f" --data {shlex.quote(str(data))}"
        click.echo(f"A link that signs in to its console is printed by: headgate console{where}")


def _console(service: "Service") -> "ASGIApp":
    from headgate.console import create_console  # here, since many a service never shows a page

    return create_console(service)


@click.command()
@data_option
def worker(data: Path | None) -> None:
    """Run a worker alone, beside a service with the same data folder. SIGTERM stops it."""
    from headgate import faults, telemetry
    from headgate.service.local import settings_for
    from headgate.service.working import working

    telemetry.configure()
    faults.arm(os.environ)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    settings = settings_for(data)
    with working(settings):
        click.echo(f"Headgate works on {settings.data}")
        stop.wait()
