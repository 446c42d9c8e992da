"""A real service process over a socket, driven as its users drive it: by HTTP and by the command line."""

import json
import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest

from headgate.client import Client
from tests.acceptance.conftest import START, amid, embedded, hurried
from tests.acceptance.processes import Deployment, flow, state, until

Json = dict[str, Any]
on_both = pytest.mark.parametrize("deployment", ["sqlite", "postgresql"], indirect=True)


@on_both
def test_the_founding_call_lands_the_right_rows(deployment: Deployment, events: dict[str, str]) -> None:
    with deployment.service():
        known = deployment.credentials()
        with Client.of(known) as client:
            flow_id = flow(client, "sqlite", events)
            params = {
                "windowStartTime": "1704067200",
                "windowEndTime": "16515859567",
                "deltaColumn": {"name": "at"},
            }
            answer = httpx.post(
                f"{known['baseUrl']}/data/foundation/flowservice/runs",
                headers={
                    "Authorization": f"Bearer {known['accessToken']}",
                    "x-api-key": known["apiKey"],
                    "x-gw-ims-org-id": known["orgId"],
                    "x-sandbox-name": known["sandbox"],
                    "Content-Type": "application/json",
                },
                content=json.dumps({"flowId": flow_id, "params": params}),
            )
            made = answer.json()
            run = client.runs.get(made["id"]).wait(timeout=20).data

    assert answer.status_code == 201
    assert made["items"] == [{"id": made["id"], "etag": made["etag"]}]
    assert made["flowId"] == flow_id
    assert made["params"] == params
    assert made["metrics"]["statusSummary"]["status"] == "scheduled"
    assert made["activities"] == []
    for member in ("createdAt", "updatedAt", "createdBy", "updatedBy", "createdClient", "updatedClient"):
        assert made[member]
    assert (made["imsOrgId"], made["sandboxName"]) == (known["orgId"], "prod")
    assert len(made["sandboxId"]) == 36

    assert run["metrics"]["recordSummary"]["outputRecordCount"] == 1000
    assert [activity["id"] for activity in run["activities"]] == ["copyActivity", "promotionActivity"]
    assert deployment.query("SELECT count(*) AS n, count(DISTINCT id) AS ids, sum(amount) AS total FROM events") == [
        {"n": 1000, "ids": 1000, "total": "124875.00"}
    ]


def test_the_command_line_starts_follows_and_reads(deployment: Deployment, events: dict[str, str]) -> None:
    with deployment.service():
        with Client.of(deployment.credentials()) as client:
            flow_id = flow(client, "sqlite", events)
        window = ["--from", "2024-01-01", "--to", "2024-01-01T10:00:00"]
        first = deployment.command("runs", "start", "events", *window, "--delta-column", "at", "--wait")
        assert "rows      600" in first
        assert "window    [2024-01-01T00:00:00Z, 2024-01-01T10:00:00Z)" in first
        second = json.loads(deployment.cli("runs", "start", flow_id, *window, "--wait", "--output", "json"))
        assert second["metrics"]["recordSummary"]["deletedRecordCount"] == 600
        assert deployment.query("SELECT count(*) AS n FROM events") == [{"n": 600}]

        listed = json.loads(deployment.cli("runs", "list", "--flow", "events", "--output", "json"))
        assert listed[0]["id"] == second["id"]
        assert len(listed) == 2
        assert "success" in deployment.cli("runs", "show", second["id"])
        assert "success" in deployment.cli("runs", "wait", second["id"])

        assert "no flow 'nothing'" in deployment.command("runs", "start", "nothing", *window, code=3)
        assert "is no time" in deployment.cli("runs", "start", "events", "--from", "someday", code=2)
        assert deployment.cli("runs", "show", "00000000-0000-4000-8000-000000000000", code=3)
        assert "cannot become cancelled" in deployment.cli("runs", "cancel", second["id"], code=4)
        assert deployment.cli("query", "DROP VIEW events", code=2)
        assert second["id"] in deployment.cli("runs", "list")
        for odd in ("", "..", "../flows", "a?b"):
            assert deployment.cli("runs", "show", odd, code=3)
    assert "headgate serve" in deployment.cli("runs", "list", code=6)


def test_a_failed_run_says_why(deployment: Deployment, database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE events (at date, price numeric(10,2))")
        connection.execute("INSERT INTO events VALUES ('2024-01-01', 1), ('2024-01-02', 'NaN')")
    with deployment.service():
        with Client.of(deployment.credentials()) as client:
            flow(client, "postgresql", {"connectionString": database})
        arguments = ["runs", "start", "events", "--delta-column", "at", "--wait"]
        said = deployment.cli(*arguments, "--from", "2024-01-01", "--to", "2024-01-03", code=1)
        assert "CONNECTOR-2001-400" in said
        assert "price" in said
        assert deployment.query("SELECT count(*) AS n FROM events") == [{"n": 0}]
        assert "rows      1" in deployment.cli(*arguments, "--from", "2024-01-01", "--to", "2024-01-02")


def test_files_are_taken_by_their_last_modified_time(deployment: Deployment, tmp_path: Path) -> None:
    folder = tmp_path / "events"
    folder.mkdir()
    for day in range(1, 6):
        path = folder / f"{day}.csv"
        path.write_text(f'day,name\n{day},"a, b"\n{day},""\n{day},\n')
        os.utime(path, ((START + timedelta(days=day - 1) - datetime(1970, 1, 1)).total_seconds(),) * 2)
    with deployment.service():
        with Client.of(deployment.credentials()) as client:
            flow(
                client,
                "local-files",
                {"folder": str(tmp_path)},
                params={"path": "events", "type": "folder"},
                data={"format": "delimited"},
            )
        for _ in range(2):
            deployment.cli("runs", "start", "events", "--from", "2024-01-02", "--to", "2024-01-04", "--wait")
        rows = deployment.query("SELECT day, name FROM events ORDER BY ALL NULLS LAST")
    assert rows == [{"day": day, "name": name} for day in (2, 3) for name in ("", "a, b", None)]


@pytest.mark.parametrize(
    ("victim", "deployment"),
    [
        pytest.param("service", "sqlite", marks=embedded),
        pytest.param("its worker", "sqlite", marks=embedded),
        ("worker", "sqlite"),
        ("worker", "postgresql"),
    ],
    indirect=["deployment"],
)
def test_after_kill_9_the_run_is_finished_once(
    deployment: Deployment, slow_events: dict[str, str], victim: str
) -> None:
    arguments = ["--no-worker"] if victim == "worker" else []
    with ExitStack() as processes:
        service = processes.enter_context(deployment.service(*arguments))
        client = processes.enter_context(Client.of(deployment.credentials()))
        flow_id = flow(client, "postgresql", slow_events)
        killed = processes.enter_context(deployment.process("worker")).pid if victim == "worker" else service.pid
        run = client.runs.start(flow_id, window=("2024-01-01", "2024-01-02"), delta_column="at").data
        until(lambda: state(client, run) == "inProgress" and amid(slow_events))
        os.kill(worker_of(service) if victim == "its worker" else killed, signal.SIGKILL)
        hurried(slow_events)
        if victim == "worker":
            processes.enter_context(deployment.process("worker"))
        if victim != "service":
            finished = client.runs.get(run["id"]).wait(timeout=30).data
    if victim == "service":
        with deployment.service(), Client.of(deployment.credentials()) as client:
            finished = client.runs.get(run["id"]).wait(timeout=30).data

    # The worker of a service that was killed gives its run back; one that was killed itself leaves it to its successor.
    attempt = finished["activities"][0]["statusSummary"]["extensions"]["attempt"]
    assert attempt == (1 if victim == "service" else 2)
    assert finished["metrics"]["recordSummary"]["outputRecordCount"] == 600
    assert deployment.query("SELECT count(*) AS n, count(DISTINCT id) AS ids FROM events") == [{"n": 600, "ids": 600}]


def worker_of(service: "subprocess.Popen[str]") -> int:
    """The process in which the worker of a service runs."""
    [worker] = psutil.Process(service.pid).children()
    return int(worker.pid)


@embedded
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_its_service(deployment: Deployment, end: signal.Signals) -> None:
    with deployment.service() as service:
        deployment.credentials()
        forked = worker_of(service)
        os.kill(forked, signal.SIGKILL)  # so that there is one that was not
        until(lambda: any(one.pid != forked for one in psutil.Process(service.pid).children()))
        others = psutil.Process(service.pid).children(recursive=True)
        service.send_signal(end)
        assert service.wait(timeout=20) == (0 if end is signal.SIGTERM else -end)
        _, alive = psutil.wait_procs(others, timeout=20)
    assert alive == []


@embedded
@on_both
def test_a_worker_with_nothing_to_do_ends_until_there_is_something(
    deployment: Deployment, events: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who stores the run may tell the service, or be another process."""
    monkeypatch.setitem(deployment.environment, "HEADGATE_WORKER_REST", "0.5")
    with deployment.service() as service, Client.of(deployment.credentials()) as client:
        flow_id = flow(client, "sqlite", events)
        for _ in range(2):
            run = client.runs.start(flow_id, window=("2024-01-01", "2024-01-02"), delta_column="at")
            assert run.wait(timeout=30).state == "success"
            until(lambda: not psutil.Process(service.pid).children())
        with deployment.service("--no-worker"), Client.of(deployment.credentials()) as other:  # which wakes nobody
            again = other.runs.start(flow_id, window=("2024-01-01", "2024-01-02"), delta_column="at")
            assert again.wait(timeout=30).state == "success"
        service.send_signal(signal.SIGTERM)
        assert service.wait(timeout=20) == 0


def test_a_run_is_cancelled_without_rows(deployment: Deployment, slow_events: dict[str, str]) -> None:
    with deployment.service(), Client.of(deployment.credentials()) as client:
        flow_id = flow(client, "postgresql", slow_events)
        run = client.runs.start(flow_id, window=("2024-01-01", "2024-01-02"), delta_column="at").data
        until(lambda: state(client, run) == "inProgress")
        deployment.cli("runs", "cancel", run["id"])
        deployment.cli("runs", "wait", run["id"], "--timeout", "20", code=1)
        assert state(client, run) == "cancelled"
        assert deployment.query("SELECT count(*) AS n FROM events") == [{"n": 0}]


@embedded
@on_both
def test_sigterm_hands_the_run_back_and_ends_cleanly(deployment: Deployment, slow_events: dict[str, str]) -> None:
    with deployment.service() as service, Client.of(deployment.credentials()) as client:
        flow_id = flow(client, "postgresql", slow_events)
        run = client.runs.start(flow_id, window=("2024-01-01", "2024-01-02"), delta_column="at").data
        until(lambda: state(client, run) == "inProgress" and amid(slow_events))
        service.send_signal(signal.SIGTERM)
        assert service.wait(timeout=20) == 0
    hurried(slow_events)
    with deployment.service(), Client.of(deployment.credentials()) as client:
        finished = client.runs.get(run["id"]).wait(timeout=30).data
    assert finished["activities"][0]["statusSummary"]["extensions"]["attempt"] == 1
    assert deployment.query("SELECT count(*) AS n FROM events") == [{"n": 600}]


def test_query_shows_values_as_they_are(deployment: Deployment) -> None:
    assert "no Headgate data" in deployment.command("query", "SELECT 1", code=3)
    deployment.credentials()
    assert deployment.query("SELECT 1 AS a, 2 AS a, map {'k': date '2020-01-01'} AS m, NULL AS n, 1.50 AS d") == [
        {"a": 1, "a_1": 2, "m": [["k", "2020-01-01"]], "n": None, "d": "1.50"}
    ]
    assert "root:x:0 [bold]x [/b]" in deployment.command("query", "SELECT 'root:x:0 [bold]x [/b]' AS \"[c]\"")


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys, headgate.cli.commands as m\n"
        "try: m.main(['--help'])\n"
        "finally: print([n for n in ('pyarrow', 'duckdb', 'sqlalchemy', 'httpx', 'fastapi') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
