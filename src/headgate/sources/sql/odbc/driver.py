"""Asks ODBC drivers in processes of their own, one for each session."""

import base64
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, cast

import pyarrow as pa

from headgate.errors import (
    HeadgateError,
    MissingExtra,
    SourceAccessDenied,
    SourceError,
    SourceObjectMissing,
    SourceUnreachable,
)
from headgate.sources.sql.address import CONNECT_SECONDS
from headgate.sources.sql.odbc.address import Address

__all__ = ["OdbcDriver", "OdbcSession"]

_CHILD = Path(__file__).with_name("child.py")
_PATIENCE = 5  # seconds for a process to end
# A driver finds its configuration by these; nothing of the service's own environment is its business.
_KEPT = ("PATH", "LANG", "LD_LIBRARY_PATH", "ODBCSYSINI", "PYTHONPATH")
# Nor is what the account that runs the service has: PostgreSQL's driver would use its passwords and certificates.
_NOWHERE = f"{os.devnull}/none"
_GIVEN = {**dict.fromkeys(("HOME", "PGPASSFILE", "PGSSLCERT", "PGSSLKEY", "PGSERVICEFILE"), _NOWHERE), "PGTZ": "UTC"}
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


class Failed(Exception):
    """What the process said before it ended."""


class OdbcSession:
    """A process with one connection."""

    def __init__(self, connection: str) -> None:
        environment = {key: os.environ[key] for key in _KEPT if key in os.environ} | _GIVEN
        said, says = os.pipe()
        self._said = os.fdopen(said, "rb")
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(_CHILD), str(says)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # a driver may write anything there, what it is asked and told too
                pass_fds=(says,),
                env=environment,
            )
        finally:
            os.close(says)
        self._asks, self._answers = cast(IO[bytes], self._process.stdin), cast(IO[bytes], self._process.stdout)
        killer = threading.Timer(CONNECT_SECONDS, self._process.kill)
        killer.start()
        try:
            self._send({"connection": connection})
            self._expect()
        except BaseException:
            self.close()
            raise
        finally:
            killer.cancel()

    def rows(self, query: str) -> Sequence[Sequence[Any]]:
        """The whole answer, numbers of no whole value as text."""
        found = pa.Table.from_batches(*self._asked(query, None))
        return list(zip(*(column.to_pylist() for column in found.columns), strict=True))

    def batches(self, query: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """The answer, as many rows at a time as fit into the driver's buffer."""
        yield from self._asked(query, schema)[0]

    def cancel(self) -> None:
        """End the process, and with it the connection."""
        self._process.kill()

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait(_PATIENCE)
        for pipe in (self._asks, self._answers, self._said):
            with suppress(OSError):
                pipe.close()

    def _asked(self, query: str, schema: pa.Schema | None) -> tuple[Iterator[pa.RecordBatch], pa.Schema]:
        written = base64.b64encode(schema.serialize().to_pybytes()).decode() if schema is not None else None
        self._send({"query": query, "schema": written})
        self._expect()
        try:
            reader = pa.ipc.open_stream(self._answers)
        except (pa.ArrowException, OSError, ValueError):
            raise self._failure() from None
        return self._read(reader), reader.schema

    def _read(self, reader: Any) -> Iterator[pa.RecordBatch]:
        rows = 0
        try:
            for batch in reader:
                rows += batch.num_rows
                yield batch
            ended = self._answers.readline()
        except (pa.ArrowException, OSError, ValueError):
            raise self._failure() from None
        if ended != json.dumps({"rows": rows}).encode() + b"\n":  # Arrow takes a stream that breaks off for whole
            raise self._failure()

    def _send(self, request: dict[str, Any]) -> None:
        try:
            self._asks.write(json.dumps(request).encode() + b"\n")
            self._asks.flush()
        except OSError:
            raise self._failure() from None

    def _expect(self) -> None:
        if self._answers.readline() != b"{}\n":
            raise self._failure()

    def _failure(self) -> Failed:
        """What went wrong, in the driver's words; that the process ended, where it gave none."""
        killer = threading.Timer(_PATIENCE, self._process.kill)
        killer.start()
        try:
            said = self._said.read().decode(errors="replace")
        except ValueError:  # the session is closed
            said = ""
        killer.cancel()
        return Failed(said or "State: 08S01, Message: the driver's process has ended")


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
        """A new process with a connection. Raises MissingExtra, Failed."""
        if find_spec("arrow_odbc") is None:
            raise MissingExtra("ODBC needs arrow-odbc. Run: pip install 'headgate[odbc]'")
        return OdbcSession(self._address.connection_string(self._reached))

    def translate(self, error: Exception) -> HeadgateError:
        """The error of our tree, by the SQLSTATE that the driver gave."""
        if isinstance(error, HeadgateError):
            return error
        text = str(error)
        if (said := _SAID.search(text)) is None:
            return SourceError(f"ODBC: {' '.join(text.split())}")
        kind = next((kind for start, kind in _BY_STATE if said[1].startswith(start)), SourceError)
        if re.search(r"authentication failed|no password supplied|role .* does not exist", said[2]):
            kind = SourceAccessDenied  # some drivers give all that goes wrong at the beginning one state
        return kind(f"ODBC: {' '.join(said[2].split())}")
