"""`headgate query`."""

import json
from pathlib import Path
from typing import Any

import click

from headgate.cli.options import data_option, output_option
from headgate.model.plain import plain

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
        click.echo(json.dumps([plain(row) for row in table.to_pylist()], ensure_ascii=False))
        return
    from headgate.cli.tables import print_table

    rows = ([_cell(value) for value in row.values()] for row in table.to_pylist())
    print_table(table.column_names, rows)


def _cell(value: Any) -> str:
    return "" if value is None else str(plain(value))
