"""`headgate query`."""

from pathlib import Path

import click

from headgate.cli.options import data_option, output_option
from headgate.cli.output import show_rows
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
    show_rows([plain(row) for row in table.to_pylist()], output, table.column_names)
