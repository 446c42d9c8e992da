"""Reaches SQL Server through mssql-python.

Its results are read as rows: version 1.16 has them as Arrow too, but holds the interpreter's lock while it waits for
them, so that a server which thinks between two rows would stop all else that this process does, heartbeats first.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import pyarrow as pa

from headgate.errors import (
    HeadgateError,
    SourceAccessDenied,
    SourceError,
    SourceObjectMissing,
    SourceUnreachable,
)
from headgate.sources.libraries import library, needed
from headgate.sources.sql.address import CONNECT_SECONDS
from headgate.sources.sql.reach import first_listening
from headgate.sources.sql.rows import batches_of
from headgate.sources.sql.sqlserver.address import Address

__all__ = ["SqlServerDriver"]

mssql_python = library("mssql_python")

_READS = """
SET NOCOUNT ON;
IF (SELECT snapshot_isolation_state FROM sys.databases WHERE database_id = DB_ID()) = 1
  SET TRANSACTION ISOLATION LEVEL SNAPSHOT;
"""
_BY_WORDS: tuple[tuple[str, type[SourceError]], ...] = (
    (r"Login failed|Cannot open (database|server)|The login is|certificate verify failed", SourceAccessDenied),
    (r"permission (was )?denied|not able to access the database", SourceAccessDenied),
    (r"Invalid (object|column) name|Could not find|does not exist", SourceObjectMissing),
    (r"deadlock victim|Lock request time out|Snapshot isolation transaction (aborted|failed)", SourceUnreachable),
    (
        r"TCP Provider|Communication link failure|Login timeout|not currently available|is busy|too many requests",
        SourceUnreachable,
    ),
    (
        r"has reached (its|the) (limit|size quota)|resource governor|transport-level error|is in the middle of",
        SourceUnreachable,
    ),
)


class SqlServerSession:
    """One connection; with `snapshot`, in the one that its database offers."""

    def __init__(self, connection: Any, *, snapshot: bool) -> None:
        self._connection = connection
        self._cursor = connection.cursor()
        self._closed = False
        if snapshot:
            self._cursor.execute(_READS)

    def rows(self, query: str) -> Sequence[Sequence[Any]]:
        """The whole answer."""
        self._cursor.execute(query)
        return [tuple(row) for row in self._cursor.fetchall()]

    def batches(self, query: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """The answer as it is fetched."""
        self._cursor.execute(query)
        yield from batches_of(self._cursor.fetchmany, schema)

    def cancel(self) -> None:
        """Have the server stop the statement."""
        statement = self._cursor.hstmt
        if statement is not None:
            statement._cancel()

    def close(self) -> None:
        """End the session."""
        if not self._closed:
            self._closed = True
            with suppress(mssql_python.Error):  # a server that is gone has closed it
                self._connection.close()


class SqlServerDriver:
    """One SQL Server, reached at the addresses that its host was judged by; of Synapse there is no `snapshot`."""

    def __init__(self, address: Address, reached: Sequence[str], *, snapshot: bool = True) -> None:
        self._address, self._reached, self._snapshot = address, reached, snapshot

    @property
    def secrets(self) -> Sequence[str]:
        """The password's spellings."""
        return self._address.secrets

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """What is raised on the way."""
        return (mssql_python.Error, RuntimeError) if mssql_python is not None else ()

    def connect(self) -> SqlServerSession:
        """A new connection to the first address. Raises MissingExtra, SourceUnreachable and the driver's errors."""
        needed(mssql_python, "SQL Server", "mssql-python", "sqlserver")
        address = self._address
        reached = first_listening("SQL Server", address.host, address.port, self._reached)
        mssql_python.pooling(enabled=False)  # a session that was used keeps its settings, and outlives its connection
        connection = mssql_python.connect(
            address.connection_string(reached), autocommit=True, timeout=CONNECT_SECONDS - 2
        )
        return SqlServerSession(connection, snapshot=self._snapshot)

    def translate(self, error: Exception) -> HeadgateError:
        """The error of our tree, by the server's words."""
        if isinstance(error, HeadgateError):
            return error
        said = re.sub(r"\[[A-Za-z ]+\](?=\[|\S)", "", str(getattr(error, "ddbc_error", "") or error)).strip()
        reason = f"{getattr(error, 'driver_error', '')}: {said}".removeprefix(": ")
        for words, kind in _BY_WORDS:
            if re.search(words, reason, re.IGNORECASE):
                return kind(f"SQL Server: {reason}")
        unreachable = mssql_python is not None and isinstance(error, mssql_python.OperationalError)
        return (SourceUnreachable if unreachable else SourceError)(f"SQL Server: {reason}")
