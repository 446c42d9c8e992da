"""Transactions, the database's clock, and its errors in our words."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from headgate.errors import OutcomeUnknown, Unavailable
from headgate.telemetry import emit

__all__ = ["Transactions", "now"]

_AWAY = (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.InternalError, sa.exc.TimeoutError)
_ANY = 10_000  # as many as there are connections
_TURN_SECONDS = 10.0

_T = TypeVar("_T")


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
        self._in_turn = engine.dialect.name == "sqlite"
        self._writers = threading.BoundedSemaphore(1 if self._in_turn else _ANY)
        self._waiting: list[_Part[Any]] = []
        self._led = False  # whether one of those who wait is to write for all
        self._guard = threading.Lock()  # of the two above
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

    def together(self, work: Callable[[sa.Connection], _T]) -> _T:
        """What `work` gives, called with a transaction that writes: all or nothing of it.

        Where writers take turns, those who wait for theirs share the next transaction and its flush; what one of them
        raises undoes its own part alone. So `work` may be done by another caller's thread. Raises as `write()`.
        """
        if not self._in_turn:
            with self.write() as connection:
                return work(connection)
        part = _Part(work)
        try:
            with self._guard:
                self._waiting.append(part)
                if not self._led:
                    self._call_leader()
            part.called.wait()
            if not part.over:
                self._lead()
        except BaseException:  # a signal to this thread
            self._withdraw(part)
            raise
        return part.outcome()

    def _lead(self) -> None:
        """Write for all who wait, then have the first of those who came meanwhile do so."""
        parts: list[_Part[Any]] = []
        try:
            with self.write() as connection:
                parts = self._take()
                for part in parts:
                    part.write(connection, alone=len(parts) == 1)
        except Exception as error:  # noqa: BLE001 - each raises it
            parts = parts or self._take()
            for part in parts:
                part.error = error
        except BaseException:
            for part in parts:
                part.error = OutcomeUnknown()
            raise
        finally:
            with self._guard:
                self._call_leader()
                for part in parts:
                    part.over = True
                    part.called.set()

    def _take(self) -> "list[_Part[Any]]":
        with self._guard:
            parts, self._waiting = self._waiting, []
        return parts

    def _call_leader(self) -> None:
        self._led = bool(self._waiting)
        for part in self._waiting[:1]:
            part.called.set()

    def _withdraw(self, part: "_Part[Any]") -> None:
        """Have a caller that gives up waiting write nothing, unless its part is being written; nor lead."""
        with self._guard:
            if part in self._waiting:
                self._waiting.remove(part)
                if part.called.is_set():
                    self._call_leader()

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


class _Part(Generic[_T]):
    """What one caller writes in a transaction that it shares, and how that went."""

    def __init__(self, work: Callable[[sa.Connection], _T]) -> None:
        self._work = work
        self._given: _T | None = None
        self.error: BaseException | None = None
        self.over = False
        self.called = threading.Event()  # when it is over, or its caller is to write for all who wait

    def write(self, connection: sa.Connection, *, alone: bool) -> None:
        """Do the work. What is raised undoes the whole transaction, and with it the parts of the others."""
        if alone:
            self._given = self._work(connection)
            return
        connection.exec_driver_sql("SAVEPOINT part")
        try:
            with _errors():
                self._given = self._work(connection)
        except Exception as error:  # noqa: BLE001 - its caller raises it
            self.error = error
            connection.exec_driver_sql("ROLLBACK TO part")
        connection.exec_driver_sql("RELEASE part")

    def outcome(self) -> _T:
        """What the work gave. Raises what it raised, or what kept the transaction from being stored."""
        if self.error is not None:
            raise self.error
        return cast(_T, self._given)


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
