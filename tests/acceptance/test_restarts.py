"""Services and their databases are killed while runs are made: what was answered stays, and lands exactly once."""

import os
import signal
import sqlite3
import threading
import time
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

from headgate.client import Client, RequestFailed
from tests.acceptance.conftest import embedded
from tests.acceptance.processes import Deployment, flow
from tests.conftest import on_postgresql

RUNS, KILLS = 15, 2
DAY = ("2024-01-01", "2024-01-02")


def crash(server: Any) -> None:
    """Have the server drop everything, as after a loss of power, and start it again."""
    pid = server.get_pid()
    os.kill(pid, signal.SIGQUIT)
    until = time.monotonic() + 20
    while Path(f"/proc/{pid}").exists() and time.monotonic() < until:
        time.sleep(0.02)
    server.ensure_postgres_running()


def test_runs_land_once_whatever_happens_to_the_metadata(tmp_path: Path, server: Any, events: dict[str, str]) -> None:
    deployment = Deployment(tmp_path, on_postgresql(server.get_uri()))
    deployment.environment |= {"HEADGATE_MAX_ATTEMPTS": "50", "HEADGATE_LEASE": "5"}
    made: list[str] = []
    refused: list[str] = []
    with ExitStack() as stack:
        stack.enter_context(deployment.service("--no-worker"))
        client = stack.enter_context(Client.of(deployment.credentials()))
        flows = [flow(client, "sqlite", events, mode="append", dataset=f"events{number}") for number in range(3)]
        for _ in range(2):
            stack.enter_context(deployment.process("worker"))
        pause, over = threading.Event(), threading.Event()
        stack.callback(over.set)

        def post() -> None:
            while len(made) < RUNS and not over.is_set():
                try:
                    made.append(client.runs.start(flows[len(made) % 3], window=DAY, delta_column="at").id)
                except RequestFailed as error:
                    refused.append(f"{error.status} {error.detail}")
                pause.wait(0.1)

        posting = threading.Thread(target=post)
        posting.start()
        for _ in range(KILLS):
            pause.wait(1.5)
            crash(server)
        posting.join()
        for id_ in made:
            client.runs.get(id_).wait(timeout=120)
        runs = [run.data for run in client.runs.list()]
        assert all(answer.startswith("503 ") for answer in refused), refused
        # Nothing that was answered is lost, and nothing that was refused is stored, unless the answer says: look.
        stored, unknown = {run["id"] for run in runs}, [answer for answer in refused if "look whether" in answer]
        assert stored >= set(made)
        assert len(stored) - len(made) <= len(unknown), refused
        for id_ in stored:
            client.runs.get(id_).wait(timeout=120)
    landed = " UNION ALL ".join(f"SELECT _headgate_run_id AS run FROM events{number}" for number in range(3))
    assert deployment.query(f"SELECT count(*) AS n, count(DISTINCT run) AS runs FROM ({landed})") == [
        {"n": 1000 * len(stored), "runs": len(stored)}
    ]


@embedded
def test_every_run_that_was_answered_outlives_the_service(tmp_path: Path, events: dict[str, str]) -> None:
    deployment = Deployment(tmp_path)
    answered: list[str] = []
    asked = threading.Semaphore(0)
    with deployment.service("--no-worker") as service, Client.of(deployment.credentials()) as client:
        made = flow(client, "sqlite", events)
        first = client.runs.start(made, window=DAY, delta_column="at").id

        def post() -> None:
            with suppress(RequestFailed):  # the service is gone
                while True:
                    answered.append(client.runs.start(made, window=DAY).id)
                    asked.release()

        posting = [threading.Thread(target=post) for _ in range(8)]
        for thread in posting:
            thread.start()
        for _ in range(150):
            assert asked.acquire(timeout=20)
        service.kill()
        for thread in posting:
            thread.join()
    with closing(sqlite3.connect(deployment.data / "metadata.db")) as database:
        stored = [id_ for (id_,) in database.execute("SELECT id FROM runs")]
        recorded = [id_ for (id_,) in database.execute("SELECT resource_id FROM audit WHERE kind = 'runs'")]
    assert set(stored) >= {first, *answered}
    assert len(stored) <= 1 + len(answered) + len(posting)  # those that were stored and not answered any more
    assert sorted(stored) == sorted(recorded)
