"""Scheduled flows of a real service: made by clients, run by worker processes."""

import sqlite3
from datetime import UTC, datetime
from typing import Any, cast

import pytest
import sqlalchemy as sa

from headgate.client import Client, RequestFailed
from tests.acceptance.processes import Deployment, flow, until

Json = dict[str, Any]


@pytest.mark.parametrize("deployment", ["sqlite", "postgresql"], indirect=True)
def test_a_scheduled_flow_runs_by_itself_and_goes_on_after_a_restart(
    deployment: Deployment, events: dict[str, str]
) -> None:
    schedule = {"startTime": "1704067200", "frequency": "minute", "interval": "15", "backfill": "true"}
    with deployment.service("--no-worker"), Client.of(deployment.credentials()) as client:
        flow_id = flow(client, "sqlite", events, schedule=schedule, delta="at")
        with deployment.process("worker"), deployment.process("worker"):
            until(lambda: [run["metrics"]["statusSummary"]["status"] for run in runs(client, flow_id)] == ["success"])
        [first] = runs(client, flow_id)
        owner = client.flows.get(flow_id)
        assert first["metrics"]["recordSummary"]["outputRecordCount"] == 1000
        assert first["params"]["windowStartTime"] == 0
        assert abs(first["params"]["windowEndTime"] - owner["createdAt"] / 1000) < 2
        assert first["params"]["deltaColumn"] == {"name": "at"}
        assert first["createdBy"] == owner["createdBy"]
        with pytest.raises(RequestFailed, match="once"):
            client.runs.start(flow_id, window=("2024-01-01", "2024-01-02"))

    insert(events, first["params"]["windowEndTime"] - 60)
    a_quarter_passes(deployment)
    with deployment.service(), Client.of(deployment.credentials()) as client:
        until(lambda: [run["metrics"]["statusSummary"]["status"] for run in runs(client, flow_id)] == ["success"] * 2)
        second, _ = runs(client, flow_id)
        assert second["params"]["windowStartTime"] == first["params"]["windowEndTime"] - 900
        assert second["params"]["windowEndTime"] == first["params"]["windowEndTime"]
    assert deployment.query("SELECT count(*) AS n, max(id) AS last FROM events") == [{"n": 1001, "last": 1000}]


def a_quarter_passes(deployment: Deployment) -> None:
    """Put the schedules of a deployment that stands still back by 15 minutes, which is as if these had passed."""
    engine = sa.create_engine(deployment.metadata)
    columns = ("start_at", "covered_until", "made_until", "due_at")
    with engine.begin() as connection:
        changes = ", ".join(f"{column} = {column} - 900000" for column in columns)
        connection.execute(sa.text(f"UPDATE schedules SET {changes}"))
        connection.execute(sa.text("UPDATE runs SET due_at = due_at - 900000"))
    engine.dispose()


def runs(client: Client, flow_id: str) -> list[Json]:
    return [cast(Json, run.data) for run in client.runs.list(f"flowId=={flow_id}")]


def insert(events: dict[str, str], at: float) -> None:
    with sqlite3.connect(events["path"]) as connection:
        moment = datetime.fromtimestamp(at, UTC).replace(tzinfo=None).isoformat(" ")
        connection.execute("INSERT INTO events VALUES (1000, ?, 1, 'new')", (moment,))
    connection.close()
