"""Opens DuckDB, the one engine that reads sources and writes files, without ever downloading anything.

Extensions come from their wheels (`duckdb-extension-*`, the same version as DuckDB) and must be signed. DuckDB
itself is loaded when an engine is first opened: a service that only accepts runs opens none.
"""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from headgate.errors import MissingExtra

if TYPE_CHECKING:
    import duckdb

__all__ = ["ROWS", "Breaking", "connect", "lent", "literal", "load", "opened", "quote", "unbroken", "value_at"]

Breaking = Callable[[Callable[[], None]], AbstractContextManager[None]]
"""Has what it is given called, from another thread, when the work inside the context is to be broken off."""

ROWS = "_headgate_rows"
"""What rows that a source brings itself are registered as on a split's engine."""

_ATTACHED = "SELECT database_name FROM duckdb_databases() WHERE NOT internal AND database_name <> 'memory'"
_MOST_IDLE = 4  # engines of one size that are kept
_idle: "dict[tuple[int, str], list[duckdb.DuckDBPyConnection]]" = defaultdict(list)
_idle_lock = threading.Lock()


def connect(*extensions: str, threads: int = 1, memory: str = "256MB") -> "duckdb.DuckDBPyConnection":
    """A fresh in-memory engine with `extensions` loaded.

    `extensions` are names such as `postgres_scanner`; `memory` is a size such as `256MB`. Row order is not
    kept.
    Raises MissingExtra when an extension's wheel is not installed.
    """
    import duckdb

    connection = duckdb.connect(
        config={
            "threads": threads,
            "memory_limit": memory,
            "preserve_insertion_order": False,
            "enable_external_file_cache": False,  # nothing is read twice, and engines are used again
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
def opened(
    *extensions: str, threads: int = 1, memory: str = "256MB", spill: Path | None = None
) -> "Iterator[duckdb.DuckDBPyConnection]":
    """As `connect()`, for as long as the context is open. An open transaction is rolled back before the end.

    What does not fit into memory goes to the folder `spill`, which is there for as long as it is needed.

    DuckDB 1.5.5 ends the process when closing an engine finds the server gone from an open transaction.
    """
    import duckdb

    connection = connect(*extensions, threads=threads, memory=memory)
    try:
        if spill is not None:
            _spill_to(connection, str(spill))
        yield connection
    finally:
        with suppress(duckdb.Error):  # there is none, or its server is gone: either way it is over
            connection.rollback()
        connection.close()


@contextmanager
def lent(
    *, threads: int = 1, memory: str = "256MB", spill: Path | None = None
) -> "Iterator[duckdb.DuckDBPyConnection]":
    """As `opened()`, but an engine that another use left behind if there is one; without `spill` in memory alone.

    It has its extensions still: loading one takes longer than reading a small window does. What was attached is
    detached at the end and ROWS forgotten; settings must not be changed, nor anything logged. An engine that something
    went wrong with, that spilled, or that has tables left, is not used again.
    """
    import duckdb

    alike = _idle[threads, memory]
    with _idle_lock:
        connection = alike.pop() if alike else None
    connection = connection or connect(threads=threads, memory=memory)
    clean = False
    try:
        _spill_to(connection, str(spill or ""))
        yield connection
        clean = spill is None or not spill.exists()
    finally:
        try:
            connection.rollback()
        except duckdb.TransactionException:  # there is none
            pass
        except duckdb.Error:  # its server is gone: either way it is over
            clean = False
        if not (clean and _emptied(connection) and _kept(connection, alike)):
            connection.close()


def _spill_to(connection: "duckdb.DuckDBPyConnection", folder: str) -> None:
    connection.execute(f"SET temp_directory = {literal(folder)}")


def _emptied(connection: "duckdb.DuckDBPyConnection") -> bool:
    """Detach all that is attached; whether nothing is left."""
    import duckdb

    try:
        connection.unregister(ROWS)
        for (name,) in connection.execute(_ATTACHED).fetchall():
            connection.execute(f"DETACH {quote(name)}")
        return connection.execute("SELECT table_name FROM duckdb_tables()").fetchone() is None
    except duckdb.Error:
        return False


def _kept(connection: "duckdb.DuckDBPyConnection", alike: "list[duckdb.DuckDBPyConnection]") -> bool:
    """Keep an engine for the next one who needs it, unless there are enough."""
    with _idle_lock:
        if len(alike) >= _MOST_IDLE:
            return False
        alike.append(connection)
        return True


@contextmanager
def unbroken(_break_off: Callable[[], None]) -> Iterator[None]:
    """For work that nothing breaks off."""
    yield


def load(connection: "duckdb.DuckDBPyConnection", name: str) -> None:
    """Load an extension from its wheel. Raises MissingExtra."""
    connection.execute(f"LOAD {literal(str(_extension(name)))}")


def quote(name: str) -> str:
    """`name` as an identifier in DuckDB's SQL."""
    return '"' + name.replace('"', '""') + '"'


def value_at(path: Sequence[str], row: str) -> str:
    """The value at `path`, a column and members of structs, in the row that the SQL calls `row`."""
    value = f"{row}.{quote(path[0])}"
    for member in path[1:]:
        value = f"struct_extract({value}, {literal(member)})"
    return value


def literal(text: str) -> str:
    """`text` as a string constant in DuckDB's SQL, for what takes no bind: LOAD, ATTACH, COPY."""
    return "'" + text.replace("'", "''") + "'"


def _extension(name: str) -> Path:
    import duckdb

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
