"""The forms an answer can have: a table for people, JSON or YAML for programs, ids alone for scripts."""

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import click

from headgate.model.runs import Json

__all__ = ["FORMS", "Column", "at", "moment", "show_document", "show_many", "show_one", "show_rows"]

FORMS = ("table", "json", "yaml", "id")

Column = tuple[str, str | Callable[[Json], object]]
"""What stands above a column, and which member it shows: a path with dots, or a function."""


def show_many(items: Iterable[Json], output: str, columns: Sequence[Column], *, id_: str = "id") -> None:
    """Print a listing; as ids, one a line."""
    if output == "id":
        for item in items:
            click.echo(str(at(item, id_)))
        return
    if output != "table":
        show_document(list(items), output)
        return
    from headgate.cli.tables import print_table

    print_table([title for title, _ in columns], ([_cell(item, what) for _, what in columns] for item in items))


def show_one(item: Json, output: str, fields: Sequence[Column], *, id_: str = "id") -> None:
    """Print one thing; as a table, a line for each field that is there."""
    if output == "id":
        click.echo(str(at(item, id_)))
    elif output != "table":
        show_document(item, output)
    else:
        width = max(9, *(len(title) for title, _ in fields))
        for title, what in fields:
            if text := _cell(item, what):
                click.echo(f"{title:<{width}} {text}")


def show_rows(rows: Sequence[Json], output: str, names: Sequence[str] = ()) -> None:
    """Print rows of data under their own names; as ids, their first members."""
    names = names or (list(rows[0]) if rows else [])
    show_many(rows, output, [(name, partial(_member, name)) for name in names], id_=names[0] if names else "id")


def _member(name: str, row: Json) -> object:
    return row.get(name)


def show_document(value: object, output: str) -> None:
    """Print a value as JSON, indented where somebody watches, or as YAML."""
    if output == "yaml":
        import yaml

        click.echo(yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=10_000), nl=False)
        return
    click.echo(json.dumps(value, ensure_ascii=False, indent=2 if sys.stdout.isatty() else None))


def at(item: Any, path: str) -> Any:
    """The member that a path with dots leads to; None where there is none."""
    for name in path.split("."):
        if isinstance(item, list):
            item = item[0] if item else None
        item = item.get(name) if isinstance(item, dict) else None
    return item


def moment(wire: str | int) -> str:
    """A time of the wire, seconds or milliseconds, in ISO 8601 and UTC."""
    number = int(wire)
    seconds = number if abs(number) < 10**11 else number / 1000
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _cell(item: Json, what: str | Callable[[Json], object]) -> str:
    value = at(item, what) if isinstance(what, str) else what(item)
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)
