"""A process with an ODBC driver in it: code of somebody else, that may abort or hang, and takes nothing with it."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, cast

from headgate.sources.sql.address import CONNECT_SECONDS

__all__ = ["CATALOGUE", "ROWS", "Failed", "Process"]

ROWS, CATALOGUE = (Path(__file__).with_name(name) for name in ("child.py", "catalogue.py"))
"""What a process may run: the queries of a session, or one question about the catalogue."""

_PATIENCE = 5  # seconds for a process to end
# A driver finds its configuration by these; nothing else of the service's own environment is its business.
_KEPT = (
    *("PATH", "LD_LIBRARY_PATH", "ODBCSYSINI", "PYTHONPATH", "NLSPATH", "VERTICAINI", "SIMBAINI", "SIMBAHIVEINI"),
    *("CLOUDERAHIVEINI", "HORTONWORKSHIVEINI", "SIMBAPHOENIXINI", "HORTONWORKSPHOENIXINI"),
)
# Nor is what the account that runs the service has: PostgreSQL's driver would use its passwords and certificates.
_NOWHERE = f"{os.devnull}/none"
_GIVEN = {
    **dict.fromkeys(("HOME", "PGPASSFILE", "PGSSLCERT", "PGSSLKEY", "PGSERVICEFILE"), _NOWHERE),
    "PGTZ": "UTC",
    # Text comes in the process's own encoding, in which it must not lose a character.
    **dict.fromkeys(("LANG", "LC_ALL"), "C.UTF-8"),
    "DB2CODEPAGE": "1208",
}


class Failed(Exception):
    """What the process said before it ended."""


class Process:
    """A process that runs one of the scripts beside this module, and is asked in lines of JSON."""

    def __init__(self, script: Path) -> None:
        environment = {key: os.environ[key] for key in _KEPT if key in os.environ} | _GIVEN
        said, says = os.pipe()
        self._said = os.fdopen(said, "rb")
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(script), str(says)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # a driver may write anything there, what it is asked and told too
                pass_fds=(says,),
                env=environment,
            )
        finally:
            os.close(says)
        self._asks, self.answers = cast(IO[bytes], self._process.stdin), cast(IO[bytes], self._process.stdout)

    def connect(self, request: Mapping[str, Any]) -> None:
        """Send the first request, which has the connection string, and wait for the connection. Raises Failed."""
        killer = threading.Timer(CONNECT_SECONDS, self._process.kill)
        killer.start()
        try:
            self.ask(request)
        finally:
            killer.cancel()

    def ask(self, request: Mapping[str, Any]) -> None:
        """Send a request, and wait until its answer begins. Raises Failed."""
        try:
            self._asks.write(json.dumps(request).encode() + b"\n")
            self._asks.flush()
        except (OSError, ValueError):
            raise self.failure() from None
        if self.answers.readline() != b"{}\n":
            raise self.failure()

    def kill(self) -> None:
        """End the process; from any thread, repeatedly."""
        self._process.kill()

    def close(self) -> None:
        """End the process, and forget it."""
        self._process.kill()
        self._process.wait(_PATIENCE)
        for pipe in (self._asks, self.answers, self._said):
            with suppress(OSError):
                pipe.close()

    def failure(self) -> Failed:
        """What went wrong, in the driver's words; that the process ended, where it gave none."""
        killer = threading.Timer(_PATIENCE, self._process.kill)
        killer.start()
        try:
            said = self._said.read().decode(errors="replace")
        except ValueError:  # the session is closed
            said = ""
        killer.cancel()
        return Failed(said or "State: 08S01, Message: the driver's process has ended")
