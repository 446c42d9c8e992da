"""`headgate query`."""

import json
import math
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import click

from headgate.cli.options import data_option, output_option

__all__ = ["query"]


@click.command()
@data_option
@output_option
@click.argument("sql")
def query(data: Path | None, output: str, sql: str) -> None:
    """Ask the lake in SQL: each dataset is a table under its SQL-safe name.

    As JSON the answer is a list of row objects; decimals are strings, times ISO 8601, bytes hexadecimal.
    """
    from headgate.service.query import query as run

    table = run(data, sql)
    if output == "json":
        click.echo(json.dumps([_plain(row) for row in table.to_pylist()], ensure_ascii=False))
        return
    from headgate.cli.tables import print_table

    rows = ([_cell(value) for value in row.values()] for row in table.to_pylist())
    print_table(table.column_names, rows)


def _cell(value: Any) -> str:
    return "" if value is None else str(_plain(value))


def _plain(value: Any) -> Any:
    match value:
        case dict():
            return {key: _plain(member) for key, member in value.items()}
        case list() | tuple():  # a map is a list of pairs
            return [_plain(member) for member in value]
        case Decimal() | UUID():
            return str(value)
        case datetime() | date() | time():
            return value.isoformat()
        case bytes():
            return value.hex()
        case float() if not math.isfinite(value):
            return str(value)
    return value
