"""Attaches a database to DuckDB, read-only, under one name."""

from typing import TYPE_CHECKING

from headgate import dataplane
from headgate.dataplane import literal

if TYPE_CHECKING:
    import duckdb

__all__ = ["ATTACHED", "attach"]

ATTACHED = "src"


def attach(connection: "duckdb.DuckDBPyConnection", extension: str, address: str, type_: str) -> None:
    """Load `extension` and attach `address` as ATTACHED. Raises MissingExtra, duckdb.Error."""
    dataplane.load(connection, extension)
    connection.execute(f"ATTACH {literal(address)} AS {ATTACHED} (TYPE {type_}, READ_ONLY)")
