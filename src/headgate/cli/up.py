"""`headgate up`: all of Headgate in one process, for somebody who sits in front of it."""

import shlex
import sqlite3
import threading
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import click

from headgate.cli.options import data_option
from headgate.cli.serve import announce, serving
from headgate.errors import HeadgateError
from headgate.model.runs import Json

__all__ = ["up"]

_NAME = "demo orders"
_HOURS = 90 * 24


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one.")
@click.option("--demo", is_flag=True, help="Make a small shop in SQLite, and a flow that reads it.")
@data_option
def up(host: str, port: int, demo: bool, data: Path | None) -> None:
    """Start the service, a worker and the console, and say how to go on. Ctrl-C stops all of it."""
    serving(data, host=host, port=port, ready=partial(_ready, data, demo), log_level="WARNING")


def _ready(data: Path | None, demo: bool, address: str) -> None:
    announce(data, address)
    if demo:  # in a thread: the service answers from the one that calls this
        threading.Thread(target=_make_demo, args=(data,), name="demo", daemon=True).start()


def _make_demo(data: Path | None) -> None:
    from headgate.cli.applying import apply_document
    from headgate.client import Client
    from headgate.service.local import credentials, settings_for

    settings = settings_for(data)
    try:
        with Client.of(credentials(settings.data, create=False)) as client:
            for _ in apply_document(client, _document(_shop(settings.data / "demo" / "shop.db"))):
                pass
    except HeadgateError as error:
        click.echo(f"headgate: the demo could not be made: {error.detail}", err=True)
        return
    where = "" if data is None else f" --data {shlex.quote(str(data))}"
    click.echo("In another terminal:")
    click.echo(f"  headgate runs start '{_NAME}' --from -7d --delta-column updated_at --wait{where}")
    click.echo(f"  headgate query 'FROM demo_orders LIMIT 10'{where}")


def _document(shop: Path) -> Json:
    return {
        "connections": {"demo shop": {"spec": "sqlite", "params": {"path": str(shop)}}},
        "datasets": {_NAME: {}},
        "sources": {_NAME: {"connection": "demo shop", "params": {"tableName": "orders"}}},
        "targets": {_NAME: {"dataset": _NAME}},
        "flows": {_NAME: {"source": _NAME, "target": _NAME}},
    }


def _shop(path: Path) -> Path:
    """A database with an order for each of the last 90 days' hours, unless an earlier demo has made one."""
    if path.exists():
        return path.resolve()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0, tzinfo=None)
    rows = [
        (
            number,
            f"customer {number % 37}",
            round(5 + number * 7919 % 9500 / 100, 2),
            str(now - timedelta(hours=_HOURS - number)),
        )
        for number in range(_HOURS)
    ]
    draft = path.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    with sqlite3.connect(draft) as database:
        database.execute(
            "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT, total REAL, updated_at TIMESTAMP)"
        )
        database.executemany("INSERT INTO orders VALUES (?, ?, ?, ?)", rows)
        database.execute("CREATE INDEX orders_updated_at ON orders (updated_at)")
    database.close()
    draft.rename(path)
    return path.resolve()
