"""`headgate query`."""

from pathlib import Path

import click

from headgate.cli.calling import Call
from headgate.cli.options import data_option, output_option
from headgate.cli.output import show_rows
from headgate.model.addresses import HEADGATE
from headgate.model.plain import plain

__all__ = ["query"]


@click.command()
@data_option
@output_option
@click.argument("sql")
def query(data: Path | None, output: str, sql: str) -> None:
    """Ask the lake in SQL: each dataset is a table under its SQL-safe name.

    A service elsewhere gives 1,000 rows at most. As JSON the answer is a list of row objects; decimals are strings,
    times ISO 8601, bytes hexadecimal.
    """
    call = Call.of(data, output)
    if call.is_elsewhere:
        _elsewhere(call, sql)
        return
    from headgate.service.query import query as run

    table = run(data, sql)
    show_rows([plain(row) for row in table.to_pylist()], output, table.column_names)


def _elsewhere(call: Call, sql: str) -> None:
    """Have the service ask it, which it does within bounds."""
    with call.client() as client:
        found = client.request("POST", f"{HEADGATE}/queries", body={"sql": sql})
    names = [column["name"] for column in found["columns"]]
    show_rows([dict(zip(names, row, strict=True)) for row in found["rows"]], call.output, names)
    if found["truncated"]:
        call.note(f"There are more than these {len(found['rows']):,} rows.")
