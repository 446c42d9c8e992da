"""Real processes of a deployment, and a client's first steps with it."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, ClassVar

from click.testing import CliRunner

from headgate.cli.commands import cli as headgate
from headgate.client import Client
from tests.conftest import new_database, on_postgresql

Json = dict[str, Any]
WORKERS = 3
LAKE = {"id": "c604ff05-7f1a-43c0-8e18-33bf874cb11c", "version": "1.0"}


class Deployment:
    """A data folder, the processes that serve it, and the command line beside them."""

    server: ClassVar[str] = ""
    """The PostgreSQL server that has the metadata of all deployments, each served by workers of its own, if set."""

    def __init__(self, folder: Path, metadata: str = "") -> None:
        self.data = folder / "data"
        if self.server and not metadata:
            metadata = on_postgresql(new_database(self.server))
        self.metadata = metadata or f"sqlite:///{self.data / 'metadata.db'}"
        self.environment = os.environ | {
            "HEADGATE_FILE_ROOTS": str(folder),
            "HEADGATE_METADATA_URL": metadata,
            "HEADGATE_LEASE": "2",
            "HEADGATE_POLL": "0.1",
            "NO_COLOR": "1",
            "COLUMNS": "200",
        }

    @contextmanager
    def process(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """`headgate` with these arguments, once it has said its first line; stopped at the end."""
        with tempfile.TemporaryFile("w+") as log:  # a pipe that nobody reads stops who writes into it
            process = subprocess.Popen(
                [sys.executable, "-m", "headgate.cli", *arguments, "--data", str(self.data)],
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
            try:
                assert process.stdout is not None
                line = process.stdout.readline()
                if not line.startswith("Headgate "):
                    log.seek(0)
                    raise AssertionError(log.read())
                yield process
            finally:
                process.kill()
                process.communicate()

    @contextmanager
    def service(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """`headgate serve`; scaled out with workers beside it, unless the test brings its own."""
        beside = WORKERS if self.server and not arguments else 0
        with ExitStack() as processes:
            alone = ["--no-worker"] if beside else []
            service = processes.enter_context(self.process("serve", "--port", "0", *arguments, *alone))
            for _ in range(beside):
                processes.enter_context(self.process("worker"))
            yield service

    def cli(self, *arguments: str, code: int = 0) -> str:
        """What `headgate` prints for these arguments; it must exit with `code`. It runs in this process."""
        done = CliRunner().invoke(headgate, [*arguments, "--data", str(self.data)], env=self.environment)
        assert done.exit_code == code, (done.exit_code, done.output, done.exception)
        return done.stdout if code == 0 else done.stderr

    def command(self, *arguments: str, code: int = 0) -> str:
        """The same by a process of its own."""
        done = subprocess.run(
            [sys.executable, "-m", "headgate.cli", *arguments, "--data", str(self.data)],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return done.stdout if code == 0 else done.stderr

    def credentials(self) -> Json:
        found: Json = json.loads(self.cli("credentials", "--json"))
        return found

    def query(self, sql: str) -> list[Json]:
        rows: list[Json] = json.loads(self.cli("query", "--output", "json", sql))
        return rows


def flow(
    client: Client,
    spec_name: str,
    auth: Json,
    *,
    mode: str = "replaceWindow",
    dataset: str = "events",
    dataset_id: str = "",
    schedule: Json | None = None,
    delta: str | None = None,
    **source: Any,
) -> str:
    """A flow from a source into a new dataset, or one that is there; its id."""
    params = dict(source.pop("params", {"tableName": "events"}))
    connection = client.connections.create_for(spec_name, auth, name="events")
    made = client.flows.create_for(
        connection,
        name="events",
        dataset=dataset_id or client.datasets.create(dataset),
        table=params.pop("tableName", None),
        path=params.pop("path", None),
        format=source.pop("data", {"format": "tabular"})["format"],
        source=params,
        target={"writeMode": mode},
        transformations=[{"name": "Copy", "params": {"deltaColumn": {"name": delta}}}] if delta else [],
        scheduleParams=schedule or {"startTime": "1704067200", "frequency": "once"},
    )
    assert not source, source
    return made["id"]


def state(client: Client, run: Mapping[str, object]) -> str:
    return client.runs.get(str(run["id"])).state


def until(done: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)
