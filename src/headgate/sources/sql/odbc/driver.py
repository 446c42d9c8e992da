"""Asks ODBC drivers in processes of their own, one for each session."""

import base64
import json
import re
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import Any

import pyarrow as pa

from headgate.errors import (
    HeadgateError,
    MissingExtra,
    SourceAccessDenied,
    SourceError,
    SourceObjectMissing,
    SourceUnreachable,
)
from headgate.sources.libraries import lacking
from headgate.sources.sql.odbc.address import Address
from headgate.sources.sql.odbc.process import CATALOGUE, ROWS, Failed, Process

__all__ = ["OdbcDriver", "OdbcSession"]

_SAID = re.compile(r"State: ([0-9A-Z]{5}).*?Message: (.*)", re.DOTALL)
_BY_STATE: tuple[tuple[str, type[SourceError]], ...] = (
    ("28", SourceAccessDenied),
    ("42501", SourceAccessDenied),
    ("42S02", SourceObjectMissing),
    ("42P01", SourceObjectMissing),
    ("42S22", SourceObjectMissing),
    ("3D", SourceObjectMissing),
    ("08", SourceUnreachable),
    ("HYT0", SourceUnreachable),
    ("57P", SourceUnreachable),
    ("53", SourceUnreachable),
    ("40", SourceUnreachable),
)


class OdbcSession:
    """A process with one connection; for each question about the catalogue, another one."""

    def __init__(self, connection: str) -> None:
        self._connection = connection
        self._asking: Process | None = None
        self._cancelled = False
        self._process = Process(ROWS)
        try:
            self._process.connect({"connection": connection})
        except BaseException:
            self.close()
            raise

    def rows(self, query: str) -> Sequence[Sequence[Any]]:
        """The whole answer, numbers of no whole value as text."""
        found = pa.Table.from_batches(*self._asked(query, None))
        return list(zip(*(column.to_pylist() for column in found.columns), strict=True))

    def batches(self, query: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """The answer, as many rows at a time as fit into the driver's buffer."""
        yield from self._asked(query, schema)[0]

    def catalogue(self, ask: str, **about: str | None) -> dict[str, Any]:
        """What the driver's own functions tell: `facts`, and the `rows` of the question (see `catalogue.py`)."""
        process = self._asking = Process(CATALOGUE)
        try:
            if self._cancelled:
                process.kill()
            process.connect({"connection": self._connection, "ask": ask, **about})
            try:
                found: dict[str, Any] = json.loads(process.answers.readline())
            except ValueError:
                raise process.failure() from None
        finally:
            self._asking = None
            process.close()
        return found

    def cancel(self) -> None:
        """End the process, and with it the connection."""
        self._cancelled = True
        self._process.kill()
        if (asking := self._asking) is not None:
            asking.kill()

    def close(self) -> None:
        """End the process."""
        self._process.close()

    def _asked(self, query: str, schema: pa.Schema | None) -> tuple[Iterator[pa.RecordBatch], pa.Schema]:
        written = base64.b64encode(schema.serialize().to_pybytes()).decode() if schema is not None else None
        self._process.ask({"query": query, "schema": written})
        try:
            reader = pa.ipc.open_stream(self._process.answers)
        except (pa.ArrowException, OSError, ValueError):
            raise self._process.failure() from None
        return self._read(reader), reader.schema

    def _read(self, reader: Any) -> Iterator[pa.RecordBatch]:
        rows = 0
        try:
            for batch in reader:
                rows += batch.num_rows
                yield batch
            ended = self._process.answers.readline()
        except (pa.ArrowException, OSError, ValueError):
            raise self._process.failure() from None
        if ended != json.dumps({"rows": rows}).encode() + b"\n":  # Arrow takes a stream that breaks off for whole
            raise self._process.failure()


class OdbcDriver:
    """One server, reached at the address that its host was judged by."""

    errors: tuple[type[Exception], ...] = (Failed, OSError, pa.ArrowException)

    def __init__(self, address: Address, reached: str) -> None:
        self._address = address
        self._reached = reached

    @property
    def secrets(self) -> Sequence[str]:
        """The password's spellings."""
        return self._address.secrets

    def connect(self) -> OdbcSession:
        """A new process with a connection. Raises MissingExtra for packages and drivers, Failed."""
        for module, package in (("arrow_odbc", "arrow-odbc"), ("pyodbc", "pyodbc")):
            if find_spec(module) is None:
                raise lacking("ODBC", package, "odbc")
        if self._address.driver is None:
            system = self._address.system
            raise MissingExtra(
                f"{system.title} needs its ODBC driver: install {system.install}, and list the name that it has in "
                "odbcinst.ini in HEADGATE_ODBC_DRIVERS."
            )
        return OdbcSession(self._address.connection_string(self._reached))

    def translate(self, error: Exception) -> HeadgateError:
        """The error of our tree, by the SQLSTATE that the driver gave."""
        if isinstance(error, HeadgateError):
            return error
        text = str(error)
        if (said := _SAID.search(text)) is None:
            return SourceError(f"{self._address.system.title}: {' '.join(text.split())}")
        kind = next((kind for start, kind in _BY_STATE if said[1].startswith(start)), SourceError)
        if re.search(r"authentication failed|no password supplied|role .* does not exist", said[2]):
            kind = SourceAccessDenied  # some drivers give all that goes wrong at the beginning one state
        return kind(f"{self._address.system.title}: {' '.join(said[2].split())}")
