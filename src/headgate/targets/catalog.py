"""The file of the lake's catalog, which one process at a time can hold."""

import sqlite3
import time
from contextlib import closing

from pyiceberg.catalog.sql import SqlCatalog

from headgate.dataplane import Breaking
from headgate.errors import TargetUnavailable

__all__ = ["await_unlocked"]

_LOCKED_SECONDS = 30
_GLANCE_SECONDS = 0.2


def await_unlocked(catalog: SqlCatalog, breaking: Breaking) -> None:
    """Wait while another holds the catalog's file. What asks it next could wait too, but nothing could break that off.

    Raises TargetUnavailable, and what `breaking` raises.
    """
    end = time.monotonic() + _LOCKED_SECONDS
    while True:
        with breaking(_nothing):
            pass
        try:
            with closing(sqlite3.connect(catalog.engine.url.database or "", timeout=_GLANCE_SECONDS)) as connection:
                connection.execute("BEGIN IMMEDIATE")
                connection.rollback()
                return
        except sqlite3.OperationalError as error:
            if time.monotonic() > end:
                raise TargetUnavailable(f"The lake's catalog does not answer: {error}") from error
            time.sleep(_GLANCE_SECONDS / 10)


def _nothing() -> None:
    """What is waited for needs no telling."""
