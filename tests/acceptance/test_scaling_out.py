"""A deployment grows out of its embedded default: the same folder, then PostgreSQL, a service and three workers."""

import json
import os
import signal
from contextlib import ExitStack
from pathlib import Path

import psycopg

from headgate.client import Client
from tests.acceptance.conftest import amid, embedded, hurried, paced
from tests.acceptance.processes import Deployment, flow, state, until
from tests.conftest import on_postgresql

DAY = ("2024-01-01", "2024-01-02")
FLOWS, RUNS = 3, 6


@embedded
def test_from_one_process_to_several_hosts(
    tmp_path: Path, events: dict[str, str], slow_events: dict[str, str], metadata_database: str
) -> None:
    here, address = Deployment(tmp_path), on_postgresql(metadata_database)
    paced(slow_events, 0.2)  # it outlasts the start of all processes
    with here.service("--no-worker"), Client.of(here.credentials()) as client:
        flows = [flow(client, "sqlite", events, mode="append", dataset=f"events{n}") for n in range(FLOWS)]
        slow = client.runs.start(flow(client, "postgresql", slow_events, dataset="slow"), window=DAY, delta_column="at")
        assert "in use" in here.cli("db", "move", "--to", address, code=4)
    moved = json.loads(here.cli("db", "move", "--to", address, "-o", "json"))["tables"]
    assert (moved["runs"], moved["secrets"]) == (1, FLOWS + 1)
    assert "HEADGATE_METADATA_URL" in here.cli("credentials", code=1)

    there = Deployment(tmp_path, address)
    with ExitStack() as processes:
        processes.enter_context(there.service("--no-worker"))
        client = processes.enter_context(Client.of(there.credentials()))
        workers = [processes.enter_context(there.process("worker")) for _ in range(3)]
        until(lambda: state(client, {"id": slow.id}) == "inProgress" and amid(slow_events))
        # The host of the slow run is cut off, for longer than its lease, and comes back.
        frozen = next(each for each in workers if each.pid == _pid_of(metadata_database, slow.id))
        os.kill(frozen.pid, signal.SIGSTOP)
        hurried(slow_events)
        made = [client.runs.start(flows[n % FLOWS], window=DAY, delta_column="at").id for n in range(RUNS)]
        # Another is told to end in the middle of it.
        drained = next(each for each in workers if each is not frozen)
        drained.send_signal(signal.SIGTERM)
        assert drained.wait(timeout=20) == 0
        ended = [client.runs.get(run).wait(timeout=60) for run in (slow.id, *made)]
        os.kill(frozen.pid, signal.SIGCONT)
        ended += [client.runs.start(each, window=DAY, delta_column="at").wait(timeout=60) for each in flows]
        frozen.send_signal(signal.SIGTERM)
        assert frozen.wait(timeout=20) == 0
    assert {run.state for run in ended} == {"success"}
    attempts = [run.data["activities"][0]["statusSummary"]["extensions"]["attempt"] for run in ended]
    assert attempts == [2] + [1] * (RUNS + FLOWS)
    landed = " UNION ALL ".join(f"SELECT id, _headgate_run_id AS run FROM events{n}" for n in range(FLOWS))
    runs = RUNS + FLOWS
    assert there.query(f"SELECT count(*) AS n, count(DISTINCT (run, id)) AS once FROM ({landed})") == [
        {"n": 1000 * runs, "once": 1000 * runs}
    ]
    assert there.query("SELECT count(*) AS n, count(DISTINCT id) AS ids FROM slow") == [{"n": 600, "ids": 600}]


def _pid_of(metadata: str, run: str) -> int:
    """The process of the worker that has a run."""
    with psycopg.connect(metadata) as connection:
        found = connection.execute(
            "SELECT pid FROM workers JOIN runs ON runs.worker = workers.id WHERE runs.id = %s", [run]
        ).fetchone()
    assert found is not None
    return int(found[0])
