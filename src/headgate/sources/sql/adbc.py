"""What systems have in common that are reached through an ADBC driver."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import pyarrow as pa

from headgate.sources.sql.batches import sliced

__all__ = ["AdbcSession"]


class AdbcSession:
    """One ADBC connection. `cancelled` is called after the driver was told to stop, for a system that goes on."""

    def __init__(self, connection: Any, options: dict[str, str] | None = None) -> None:
        self._connection = connection
        self._options = options or {}
        self._cursor: Any = None
        self._closed = False
        self._lock = threading.Lock()

    @property
    def connection(self) -> Any:
        """The driver's own connection."""
        return self._connection

    def rows(self, query: str) -> Sequence[Sequence[Any]]:
        """The whole answer."""
        return self._asked(query, lambda cursor: list(cursor.fetchall()))

    def batches(self, query: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:  # noqa: ARG002 - the driver's own
        """The answer as the driver brings it."""
        cursor = self._opened()
        try:
            cursor.execute(query)
            yield from sliced(cursor.fetch_record_batch())
        finally:
            self._ended(cursor)

    def cancel(self) -> None:
        """Have the driver stop the statement, and the system with it."""
        with self._lock:
            cursor = self._cursor
        if cursor is not None:
            cursor.adbc_cancel()

    def close(self) -> None:
        """End the session."""
        if not self._closed:
            self._closed = True
            with suppress(Exception):  # a connection that is gone is closed
                self._connection.close()

    def _asked(self, query: str, answer: Callable[[Any], list[Any]]) -> list[Any]:
        cursor = self._opened()
        try:
            cursor.execute(query)
            return answer(cursor)
        finally:
            self._ended(cursor)

    def _opened(self) -> Any:
        cursor = self._connection.cursor(adbc_stmt_kwargs=self._options)
        with self._lock:
            self._cursor = cursor
        return cursor

    def _ended(self, cursor: Any) -> None:
        with self._lock:
            self._cursor = None
        with suppress(Exception):  # what went wrong is being raised already
            cursor.close()
