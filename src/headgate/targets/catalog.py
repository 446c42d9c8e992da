"""The lake's catalog: which state of a table is the present one. One process at a time can hold its file."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import sqlalchemy as sa
from pyiceberg.catalog.sql import IcebergTables, SqlCatalog
from sqlalchemy.exc import OperationalError

from headgate.dataplane import Breaking
from headgate.errors import TargetUnavailable

__all__ = ["answering", "await_unlocked", "metadata_location"]

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


@contextmanager
def answering() -> Iterator[None]:
    """Turns a catalog that does not answer into an error of our tree; what it was asked may or may not be done."""
    try:
        yield
    except OperationalError as error:
        raise TargetUnavailable(f"The lake's catalog does not answer: {error.orig}") from error


def metadata_location(catalog: SqlCatalog, identifier: tuple[str, ...]) -> str | None:
    """The address of the file that describes the table's present state; None when there is no table."""
    *namespace, name = identifier
    rows = IcebergTables.__table__.c
    chosen = sa.select(rows.metadata_location).where(
        rows.catalog_name == catalog.name,
        rows.table_namespace == ".".join(namespace),
        rows.table_name == name,
    )
    with answering(), catalog.engine.connect() as connection:
        location: str | None = connection.execute(chosen).scalar()
    return location


def _nothing() -> None:
    """What is waited for needs no telling."""
