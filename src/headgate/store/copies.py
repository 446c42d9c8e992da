"""Copies of SQLite databases that are in use, all of one moment."""

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from headgate.errors import Unavailable

__all__ = ["copied_together"]

_BUSY_SECONDS = 10


def copied_together(small: Path, large: Path | None, into: Path) -> None:
    """Copy one or two databases into the folder `into`, under their names, as both were at one moment.

    Who writes to either waits while the `small` one is copied; only the copy of that moment of the `large` one, which
    must have a write-ahead log, takes longer and holds nobody up. A small one that is not there is left out.
    Raises Unavailable, and OSError when there is no room for them.
    """
    try:
        with ExitStack() as stack:
            reader = stack.enter_context(closing(_opened(large))) if large is not None else None
            with _unwritten(large):
                if small.exists():
                    with _unwritten(small), closing(_opened(small)) as other:
                        _copy(other, into / small.name)
                if reader is not None:
                    reader.execute("BEGIN")
                    reader.execute("SELECT count(*) FROM sqlite_master").fetchone()  # it sees this moment from now on
            if reader is not None and large is not None:
                _copy(reader, into / large.name)
                reader.rollback()
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:  # not every error has one
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(into)) from error
        raise Unavailable(f"The databases in {small.parent} and above cannot be copied: {error}. Try again.") from error


@contextmanager
def _unwritten(database: Path | None) -> Iterator[None]:
    """While open, nobody writes to the database, but all may read it."""
    if database is None:
        yield
        return
    with closing(_opened(database)) as connection, ExitStack() as stack:
        connection.execute("BEGIN IMMEDIATE")
        stack.callback(connection.rollback)
        yield


def _opened(database: Path) -> sqlite3.Connection:
    address = f"{database.absolute().as_uri()}?mode=rw"  # which makes no database where there is none
    return sqlite3.connect(address, uri=True, timeout=_BUSY_SECONDS, isolation_level=None)


def _copy(source: sqlite3.Connection, path: Path) -> None:
    path.unlink(missing_ok=True)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    with closing(sqlite3.connect(path)) as target:
        source.backup(target)
        target.execute("PRAGMA journal_mode = DELETE")  # one file that holds all; who opens it chooses anew
