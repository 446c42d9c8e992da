"""Reaches Databricks through its own SQL connector, whose results come as Arrow."""

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
from headgate.sources.sql.batches import asked_for
from headgate.sources.sql.databricks.address import Address
from headgate.sources.sql.reach import first_listening

__all__ = ["DatabricksDriver", "missing"]

sql, urllib3 = library("databricks.sql"), library("urllib3")

_BUFFER = 16 << 20  # bytes of a result that the driver holds
_MISSING = re.compile(
    r"TABLE_OR_VIEW_NOT_FOUND|SCHEMA_NOT_FOUND|UNRESOLVED_COLUMN|CATALOG_NOT_FOUND|NO_SUCH_CATALOG|RESOURCE_DOES_NOT_EXIST"
)
_DENIED = re.compile(r"INSUFFICIENT_PERMISSIONS|PERMISSION_DENIED|does not have|[Ii]nvalid access token|Unauthorized")
_PASSING = re.compile(
    r"TEMPORARILY_UNAVAILABLE|QUOTA|RATE_LIMIT|REQUEST_LIMIT|timed out|is (starting|stopping)|CANCELLED"
)


def missing(error: Exception) -> bool:
    """Whether the server says with it that it does not have what was asked for."""
    return _MISSING.search(str(error)) is not None


class DatabricksSession:
    """One session of a cluster or a warehouse."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._cursor = connection.cursor(buffer_size_bytes=_BUFFER)
        self._closed = False

    def rows(self, query: str) -> Sequence[Sequence[Any]]:
        """The whole answer."""
        rows: list[Sequence[Any]] = []
        for batch in self.batches(query):
            rows += zip(*(column.to_pylist() for column in batch.columns), strict=True)
        return rows

    def batches(self, query: str, schema: pa.Schema | None = None) -> Iterator[pa.RecordBatch]:  # noqa: ARG002
        """The answer as it is fetched."""
        self._cursor.execute(query)
        yield from asked_for(self._cursor.fetchmany_arrow)

    def cancel(self) -> None:
        """Have the server stop the statement."""
        self._cursor.cancel()

    def close(self) -> None:
        """End the session."""
        if not self._closed:
            self._closed = True
            with suppress(Exception):  # a server that is gone has ended it
                self._connection.close()


class DatabricksDriver:
    """One workspace; its host was judged, and is connected to by name, which is Databricks' own.

    Results come from the workspace alone, and not from storage that its answers would lead to.
    """

    def __init__(self, address: Address, reached: Sequence[str], *, uri: str | None = None) -> None:
        self._address, self._reached, self._uri = address, reached, uri

    @property
    def secrets(self) -> Sequence[str]:
        """The token's spellings."""
        return self._address.secrets

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """What is raised on the way."""
        return (sql.exc.Error, urllib3.exceptions.HTTPError, OSError) if sql is not None else ()

    def connect(self) -> DatabricksSession:
        """A new session. Raises MissingExtra and the driver's errors."""
        needed(sql, "Databricks", "its SQL connector", "databricks")
        address = self._address
        first_listening("Databricks", address.host, address.port, self._reached)
        connection = sql.connect(
            server_hostname=address.host,
            http_path=address.path,
            access_token=address.token,
            catalog=address.catalog,
            schema=address.database,
            use_cloud_fetch=False,
            enable_telemetry=False,
            _use_arrow_native_complex_types=False,
            _retry_stop_after_attempts_count=2,
            _retry_stop_after_attempts_duration=float(CONNECT_SECONDS - 2),
            _socket_timeout=600,
            user_agent_entry="headgate",
            _connection_uri=self._uri,
        )
        return DatabricksSession(connection)

    def translate(self, error: Exception) -> HeadgateError:
        """The error of our tree, by Databricks' name for it."""
        if isinstance(error, HeadgateError):
            return error
        text = " ".join(str(error).split())
        for words, kind in (
            (_MISSING, SourceObjectMissing),
            (_DENIED, SourceAccessDenied),
            (_PASSING, SourceUnreachable),
        ):
            if words.search(text):
                return kind(f"Databricks: {text}")
        from_server = sql is not None and isinstance(error, sql.exc.ServerOperationError)
        return (SourceError if from_server else SourceUnreachable)(f"Databricks: {text}")
