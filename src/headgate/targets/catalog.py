"""The lake's catalog: which state of a table is the present one. One process at a time can hold its file."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy.exc import OperationalError

from headgate.dataplane import Breaking
from headgate.errors import TargetUnavailable

__all__ = ["BUSY_SECONDS", "NAME", "answering", "await_unlocked", "file_uri", "local_path", "metadata_location"]

NAME = "lake"
"""What the catalog calls itself in its rows."""

BUSY_SECONDS = 10
"""So long who asks waits for who writes."""

_LOCKED_SECONDS = 30
_GLANCE_SECONDS = 0.2
_LOCATION = """
SELECT metadata_location FROM iceberg_tables WHERE catalog_name = ? AND table_namespace = ? AND table_name = ?"""


def await_unlocked(database: Path, breaking: Breaking) -> None:
    """Wait while another holds `database`, the catalog's file.

    What asks it next could wait too, but nothing could break that off.

    Raises TargetUnavailable, and what `breaking` raises.
    """
    end = time.monotonic() + _LOCKED_SECONDS
    while True:
        with breaking(_nothing):
            pass
        try:
            with closing(sqlite3.connect(database, timeout=_GLANCE_SECONDS)) as connection:
                connection.execute("BEGIN IMMEDIATE")
                connection.rollback()
                return
        except sqlite3.OperationalError as error:
            if time.monotonic() > end:
                raise TargetUnavailable(f"The lake's catalog does not answer: {error}") from error
            time.sleep(_GLANCE_SECONDS / 10)


@contextmanager
def answering() -> Iterator[None]:
    """Turns a catalog that does not answer into an error of our tree; what it was asked may or may not be done."""
    try:
        yield
    except OperationalError as error:
        raise TargetUnavailable(f"The lake's catalog does not answer: {error.orig}") from error


def metadata_location(database: Path, identifier: tuple[str, ...]) -> str | None:
    """The address of the file that describes the table's present state; None when there is no table.

    Raises TargetUnavailable.
    """
    if not database.exists():  # no run has made a table yet
        return None
    *namespace, name = identifier
    try:
        with closing(sqlite3.connect(database, timeout=BUSY_SECONDS)) as connection:
            row = connection.execute(_LOCATION, (NAME, ".".join(namespace), name)).fetchone()
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):  # the first run is just making the catalog
            return None
        raise TargetUnavailable(f"The lake's catalog does not answer: {error}") from error
    return str(row[0]) if row is not None and row[0] is not None else None


def file_uri(path: Path) -> str:
    """What a table's metadata calls a file."""
    return f"file://{path}"  # not percent-encoded: PyIceberg and DuckDB take what follows as it stands


def local_path(uri: str) -> Path:
    """The file that a table's metadata calls `uri`."""
    return Path(uri.removeprefix("file://"))


def _nothing() -> None:
    """What is waited for needs no telling."""
