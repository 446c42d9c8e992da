"""Transactions, the database's clock, and its errors in our words."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from headgate.errors import OutcomeUnknown, Unavailable
from headgate.telemetry import emit

__all__ = ["Transactions", "now"]

_AWAY = (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.InternalError, sa.exc.TimeoutError)
_ANY = 10_000  # as many as there are connections
_TURN_SECONDS = 10.0


class now(FunctionElement[int]):  # noqa: N801 - reads as the SQL function it is
    """The database's own clock, in milliseconds since the epoch. Leases are judged by no other."""

    type = sa.BigInteger()
    inherit_cache = True
    name = "now_ms"


@compiles(now, "sqlite")
def _now_sqlite(_element: now, _compiler: Any, **_options: Any) -> str:
    return "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"


@compiles(now, "postgresql")
def _now_postgresql(_element: now, _compiler: Any, **_options: Any) -> str:
    return "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)"


class Transactions:
    """Short transactions on one database. All errors of the database but those of its constraints are Unavailable."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        # SQLite takes one writer at a time, and lets those who wait sleep and look again: here they take turns.
        self._writers = threading.BoundedSemaphore(1 if engine.dialect.name == "sqlite" else _ANY)
        reading: dict[str, Any] = {"read_only": True}
        if engine.dialect.name == "postgresql":  # sent with the BEGIN
            reading |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        self._reader = engine.execution_options(**reading)

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction that writes: all or nothing.

        Raises Unavailable, and then nothing was stored; OutcomeUnknown when the database went away over the commit.
        """
        with _errors(), self._turn(), self._engine.connect() as connection:
            transaction = connection.begin()
            try:
                yield connection
            except BaseException:
                transaction.rollback()
                raise
            try:
                transaction.commit()
            except sa.exc.DBAPIError as error:
                if error.connection_invalidated:
                    raise OutcomeUnknown from error
                raise

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._writers.acquire(timeout=_TURN_SECONDS):
            raise Unavailable("The metadata database is busy; nothing was stored. Try again in a moment.")
        try:
            yield
        finally:
            self._writers.release()

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A transaction that only reads one consistent state. Raises Unavailable."""
        with _errors(), self._reader.connect() as connection:
            yield connection


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except (sa.exc.DBAPIError, sa.exc.TimeoutError) as error:
        # Lost connections, none free, timeouts, deadlocks; a server that went read-only or ended an idle transaction.
        lost = isinstance(error, sa.exc.DBAPIError) and error.connection_invalidated
        if not lost and not isinstance(error, _AWAY):
            raise
        # The reason may name hosts, and is the operator's to know.
        emit("store.unavailable", level="error", reason=str(getattr(error, "orig", None) or error))
        raise Unavailable(
            "The metadata database does not answer; nothing was stored. Try again in a moment."
        ) from error
