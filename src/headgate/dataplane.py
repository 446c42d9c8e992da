"""Opens DuckDB, the one engine that reads sources and writes files, without ever downloading anything.

Extensions come from their wheels (`duckdb-extension-*`, the same version as DuckDB) and must be signed.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import resources
from pathlib import Path

import duckdb

from headgate.errors import MissingExtra

__all__ = ["connect", "literal", "load", "opened", "quote"]


def connect(*extensions: str, threads: int = 1, memory: str = "256MB") -> duckdb.DuckDBPyConnection:
    """A fresh in-memory engine with `extensions` loaded.

    `extensions` are names such as `postgres_scanner`; `memory` is a size such as `256MB`. Row order is not
    kept.
    Raises MissingExtra when an extension's wheel is not installed.
    """
    connection = duckdb.connect(
        config={
            "threads": threads,
            "memory_limit": memory,
            "preserve_insertion_order": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_unsigned_extensions": False,
        }
    )
    connection.execute("SET TimeZone = 'UTC'")
    for name in extensions:
        load(connection, name)
    return connection


@contextmanager
def opened(*extensions: str, threads: int = 1, memory: str = "256MB") -> Iterator[duckdb.DuckDBPyConnection]:
    """As `connect()`, for as long as the context is open. An open transaction is rolled back before the end.

    DuckDB 1.5.5 ends the process when closing an engine finds the server gone from an open transaction.
    """
    connection = connect(*extensions, threads=threads, memory=memory)
    try:
        yield connection
    finally:
        with suppress(duckdb.Error):  # there is none, or its server is gone: either way it is over
            connection.rollback()
        connection.close()


def load(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """Load an extension from its wheel. Raises MissingExtra."""
    connection.execute(f"LOAD {literal(str(_extension(name)))}")


def quote(name: str) -> str:
    """`name` as an identifier in DuckDB's SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """`text` as a string constant in DuckDB's SQL, for what takes no bind: LOAD, ATTACH, COPY."""
    return "'" + text.replace("'", "''") + "'"


def _extension(name: str) -> Path:
    try:
        package = resources.files(f"duckdb_extension_{name}")
    except ModuleNotFoundError:
        raise MissingExtra(
            f"The DuckDB extension {name} is not installed. Run: pip install "
            f"duckdb-extension-{name.replace('_', '-')}=={duckdb.__version__}"
        ) from None
    path = Path(str(package)) / "extensions" / f"v{duckdb.__version__}" / f"{name}.duckdb_extension"
    if not path.exists():
        raise MissingExtra(
            f"The installed DuckDB extension {name} is not built for DuckDB {duckdb.__version__}. Run: "
            f"pip install duckdb-extension-{name.replace('_', '-')}=={duckdb.__version__}"
        )
    return path
