"""Runs by itself, with pyodbc alone: connects, and answers one question about the catalogue by ODBC's own functions.

The first line that comes in has the connection string and the question: nothing but facts about the system, its
tables, or the columns of one. The answer is an empty object once it is connected, and then a line with `facts` and
`rows`. What goes wrong is written to the file that the first argument numbers, and ends the process.
"""

import json
import os
import sys
from collections.abc import Iterator
from typing import Any

try:
    import pyodbc
except (ImportError, OSError) as missing:  # it is linked with the manager of drivers
    os.write(int(sys.argv[1]), f"unixODBC cannot be loaded ({missing}); it is a package of the system".encode())
    sys.exit(1)

_FACTS = {
    "dbms": pyodbc.SQL_DBMS_NAME,
    "quote": pyodbc.SQL_IDENTIFIER_QUOTE_CHAR,
    "escape": pyodbc.SQL_SEARCH_PATTERN_ESCAPE,
    "database": pyodbc.SQL_DATABASE_NAME,
    "user": pyodbc.SQL_USER_NAME,
}
# Of what SQLColumns answers, by position, for drivers do not agree on the names: the catalogue, the schema, the table,
# the column, its type's code and name, its size and decimals, and whether it may be null.
_PLACES = (0, 1, 2, 3, 4, 5, 6, 8, 10)


def _fact(connection: Any, number: int) -> str:
    try:
        found = connection.getinfo(number)
    except pyodbc.Error:
        return ""
    return found if isinstance(found, str) else ""


def _columns(connection: Any, table: str, schema: str | None, escape: str) -> list[list[Any]]:
    """The columns of the tables called exactly `table`, in the one schema or in all of them."""
    failed: pyodbc.Error | None = None
    for arguments in _ways(table, schema, escape):
        try:
            rows = connection.cursor().columns(**arguments).fetchall()
        except pyodbc.Error as error:
            failed = error
            continue
        found = [row for row in rows if row[2] == table and schema in (None, row[1] or row[0])]
        if found:
            return [[row[place] for place in _PLACES] for row in found]
        failed = None
    if failed is not None:
        raise failed
    return []


def _ways(table: str, schema: str | None, escape: str) -> Iterator[dict[str, str]]:
    """How to ask: the arguments are patterns, but not every driver knows its own escape, or has schemas at all."""
    yield {"table": _exactly(table, escape)} | ({} if schema is None else {"schema": _exactly(schema, escape)})
    yield {"table": table} | ({} if schema is None else {"schema": schema})
    if schema is not None:
        yield {"table": _exactly(table, escape), "catalog": schema}


def _exactly(name: str, escape: str) -> str:
    """The pattern that `name` alone matches, where the driver has an escape."""
    if not escape:
        return name
    return "".join(escape + letter if letter in ("%", "_", escape) else letter for letter in name)


def main() -> None:
    """Connect, answer, end."""
    out = sys.stdout.buffer
    request = json.loads(sys.stdin.buffer.readline())
    try:
        connection = pyodbc.connect(request["connection"], timeout=10, autocommit=True)
        out.write(b"{}\n")
        out.flush()
        facts = {name: _fact(connection, number) for name, number in _FACTS.items()}
        rows: list[Any] = []
        if request["ask"] == "tables":
            rows = [list(row)[:4] for row in connection.cursor().tables().fetchall()]
        elif request["ask"] == "columns":
            rows = _columns(connection, request["table"], request["schema"], facts["escape"])
        out.write(json.dumps({"facts": facts, "rows": rows}).encode() + b"\n")
        out.flush()
    except pyodbc.Error as error:
        state, words = ([*map(str, error.args), "", ""])[:2]
        os.write(int(sys.argv[1]), f"State: {state}, Message: {words}".encode()[:60_000])
        sys.exit(1)


main()
