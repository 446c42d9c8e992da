"""A deployment of real processes that are made to fail: one service, any number of workers, two organisations."""

import itertools
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg

from headgate.client import Client
from headgate.targets import Lake
from tests.faults.sources import PASSWORD

Json = dict[str, Any]
LEASE = 1.0  # seconds
_AMID = (
    "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
    "AND application_name = 'headgate' AND xact_start IS NOT NULL"
)
IN_TIME = LEASE + 30  # in which a run must end after its fault is over


def until(done: Callable[[], Any], seconds: float = 30, about: str = "") -> None:
    """Wait for it, but not for ever."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, f"waited {seconds:g} s in vain {about}"
        time.sleep(0.02)


@cache
def loaded() -> int:
    """What a process holds more, in bytes, once it has loaded what its first run takes or its first look at a table."""
    code = (
        "import headgate.service.working, psutil; size = lambda: psutil.Process().memory_info().rss; before = size(); "
        "import headgate.engine.attempt, headgate.sources.sql.postgres, headgate.sources.files; print(size() - before)"
    )
    return int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


class Process:
    """A running `headgate` whose every line is kept."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.log = log
        self._said = log.with_suffix(".out")
        with log.open("wb") as errors, self._said.open("wb") as output:
            self.popen = subprocess.Popen(command, env=environment, stdout=output, stderr=errors)
        self.pid = self.popen.pid

    def ready(self, seconds: float = 60) -> "Process":
        """Wait for its first line of text."""
        until(lambda: not self.alive or "Headgate " in self._said.read_text(), seconds, f"for {self.log}")
        assert "Headgate " in self._said.read_text(), self.log.read_text()
        self.files, self.memory = self.held()
        return self

    @property
    def alive(self) -> bool:
        """Whether it has not ended; a stopped one has not."""
        return self.popen.poll() is None

    @property
    def stopped(self) -> bool:
        """Whether SIGSTOP holds it."""
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"

    def held(self) -> tuple[int, int]:
        """Its open files, and its memory in bytes."""
        about = psutil.Process(self.pid)
        return about.num_fds(), about.memory_info().rss

    def events(self, name: str) -> list[Json]:
        """The lines it logged of that event."""
        lines = [line for line in self.log.read_text(errors="replace").splitlines() if line.startswith("{")]
        return [found for found in map(json.loads, lines) if found["event"] == name]

    def reached(self, point: str, times: int = 1, seconds: float = 30) -> None:
        """Wait until a fault has happened at `point`."""

        def seen() -> bool:
            return len([event for event in self.events("fault") if event["point"] == point]) >= times

        until(seen, seconds, f"for a fault at {point}; {self.log.read_text()[-3000:]}")

    def signal(self, number: signal.Signals) -> None:
        self.popen.send_signal(number)

    def freeze(self, locked: Callable[[], bool]) -> None:
        """Stop it as a machine that is put to sleep, but in no moment in which it keeps others out of a database.

        Raises ProcessLookupError when it has ended.
        """
        for _ in range(100):
            self.signal(signal.SIGSTOP)
            until(lambda: not self.alive or self.stopped, 5)
            if not self.alive:
                raise ProcessLookupError(self.pid)
            if not locked():
                return
            self.signal(signal.SIGCONT)
            time.sleep(0.005)
        raise AssertionError("it always holds a lock")

    def thaw(self) -> None:
        """Have it go on."""
        self.signal(signal.SIGCONT)

    def died(self, seconds: float = 30) -> int:
        """Wait for its end; the code it ended with."""
        return self.popen.wait(seconds)

    def kill(self) -> None:
        """End it now, if it has not."""
        if self.alive:
            self.popen.kill()
        self.popen.wait(30)

    def end(self) -> None:
        """Ask it to end, and wait."""
        with suppress(ProcessLookupError):
            self.popen.send_signal(signal.SIGCONT)
        self.popen.terminate()
        try:
            self.popen.wait(20)
        finally:
            self.kill()


class World:
    """A data folder, its service process, and clients of two organisations."""

    def __init__(self, folder: Path, metadata: str, *, sockets: str = "", **settings: str) -> None:
        """Start the service. `sockets` is the folder of the sockets of a PostgreSQL server that is read."""
        self.folder = folder
        self.data = folder / "data"
        self.metadata = metadata
        self._logs = folder / "logs"
        self._logs.mkdir(parents=True)
        self._number = itertools.count(1)
        self.port = _free_port()
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("HEADGATE_")}
        self.environment |= {
            "HEADGATE_DATA": str(self.data),
            "HEADGATE_METADATA_URL": metadata,
            "HEADGATE_FILE_ROOTS": str(folder),
            "HEADGATE_ALLOWED_HOSTS": f"127.0.0.0/8,{sockets}",
            "HEADGATE_LEASE": str(LEASE),
            "HEADGATE_POLL": "0.1",
            "HEADGATE_PARALLEL_SPLITS": "4",
            "HEADGATE_SNAPSHOTS": "10000",  # the checker asks the table's history what each run did
            **settings,
        }
        self.processes: list[Process] = []
        self.secrets: set[str] = {PASSWORD}
        self.api: Process | None = None
        self.client, self.neighbour = self._first_clients()

    def _first_clients(self) -> tuple[Client, Client]:
        """Make the second organisation before anything serves, and clients of both."""
        ours = json.loads(self.cli("credentials", "--json"))
        theirs = json.loads(self.cli("orgs", "add", "Neighbour", "--id", "NEIGHBOUR", "--output", "json"))
        self.secrets |= {ours["clientSecret"], ours["accessToken"], theirs["clientSecret"]}
        self.start_api()
        base = f"http://127.0.0.1:{self.port}"
        grant = {
            "grant_type": "client_credentials",
            "client_id": theirs["clientId"],
            "client_secret": theirs["clientSecret"],
            "scope": "openid",
        }
        token = httpx.post(f"{base}/ims/token/v3", data=grant).json()["access_token"]
        self.secrets.add(token)
        self.headers = {
            "Authorization": f"Bearer {ours['accessToken']}",
            "x-api-key": ours["apiKey"],
            "x-gw-ims-org-id": ours["orgId"],
            "x-sandbox-name": "prod",
        }
        return (
            Client(base, token=ours["accessToken"], api_key=ours["apiKey"], org=ours["orgId"]),
            Client(base, token=token, api_key=theirs["clientId"], org="NEIGHBOUR"),
        )

    def cli(self, *arguments: str) -> str:
        """What `headgate` prints for these arguments."""
        done = subprocess.run(
            [sys.executable, "-m", "headgate.cli", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, (done.stdout, done.stderr)
        return done.stdout

    def start(
        self, *arguments: str, faults: str = "", environment: Mapping[str, str] | None = None, under: Sequence[str] = ()
    ) -> Process:
        """`headgate` with these arguments and faults, its command after that of `under`; not yet ready."""
        known = {"HEADGATE_FAULTS": faults, "HEADGATE_FAULTS_MEANT": "yes"} if faults else {}
        process = Process(
            [*under, sys.executable, "-m", "headgate.cli", *arguments],
            {**self.environment, **known, **(environment or {})},
            self._logs / f"{next(self._number):03}-{arguments[0]}.log",
        )
        self.processes.append(process)
        return process

    def start_api(self, faults: str = "", **more: Any) -> Process:
        """The service without a worker, always at the same address; one that is there is ended before."""
        if self.api is not None:
            self.api.end()
        self.api = self.start("serve", "--no-worker", "--port", str(self.port), faults=faults, **more).ready()
        return self.api

    def http(self) -> httpx.Client:
        """A plain client of the first organisation, to be closed."""
        return httpx.Client(base_url=f"http://127.0.0.1:{self.port}", headers=self.headers, timeout=60)

    def lake(self) -> Lake:
        """The lake as another process sees it, to be closed."""
        return Lake(self.data / "warehouse")

    def locked(self) -> bool:
        """Whether somebody is amid a transaction of the metadata or the catalog."""
        if self.metadata:
            with psycopg.connect(self.metadata.replace("+psycopg", "")) as connection:
                return connection.execute(_AMID).fetchone() is not None
        return not (_free(self.data / "metadata.db") and _free(self.data / "warehouse" / "catalog.db"))

    def leaks(self) -> list[str]:
        """The logs that hold a secret."""
        return [log.name for log in self._logs.iterdir() for secret in self.secrets if secret in _text(log)]

    def close(self) -> None:
        """End all processes."""
        self.client.close()
        self.neighbour.close()
        for process in self.processes:
            process.kill()


def _text(log: Path) -> str:
    return re.sub(r"\\u([0-9a-f]{4})", lambda found: chr(int(found[1], 16)), log.read_text(errors="replace"))


def _free(database: Path) -> bool:
    connection = sqlite3.connect(database, timeout=0.05, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError:
        return False
    finally:
        connection.close()
    return True


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])
