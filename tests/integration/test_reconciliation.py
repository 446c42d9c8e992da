"""The metadata and the lake, restored from two moments: what differs is found and corrected, and no row comes twice."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from headgate.model.resources import Kind, Resource
from headgate.model.runs import Run, RunState
from headgate.service.reconciliation import Kind as Differs
from headgate.service.reconciliation import Reconciliation
from headgate.sources import connection_specs
from headgate.store import tables
from tests.deployment import Deployment, _audit

SQLITE = next(spec.id for spec in connection_specs() if spec.name == "sqlite")
START = datetime(2024, 1, 1)
DAY1, DAY2, DAY3, DAY4 = [(f"2024-01-0{day}T00:00:00", f"2024-01-0{day + 1}T00:00:00") for day in range(1, 5)]
NEW = {"state": "queued", "fence": 0, "attempt": 0, "snapshot_id": None, "metrics": {}, "completed_at": None}
TABLE = ("org", "prod", "target")


@pytest.fixture
def deployment(request: pytest.FixtureRequest, tmp_path: Path, own_metadata: str) -> Iterator[Deployment]:
    made = Deployment(tmp_path, metadata_url=own_metadata, **getattr(request, "param", {}))
    dataset = Resource(
        kind=Kind.DATASET,
        id="0" * 24,
        scope=made.scope,
        name="target",
        state="enabled",
        body={},
        frozen={"table": [*TABLE]},
        **_audit(),
    )
    made.scoped.add(dataset)
    yield made
    made.close()


@pytest.fixture
def flow(deployment: Deployment, tmp_path: Path) -> str:
    return _flow(deployment, tmp_path)


def _flow(deployment: Deployment, folder: Path, **about: Any) -> str:
    path = folder / "events.sqlite"
    if not path.exists():
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("CREATE TABLE events (id INTEGER, at TIMESTAMP)")
            rows = [(n, (START + timedelta(hours=n)).isoformat(" ")) for n in range(96)]
            database.executemany("INSERT INTO events VALUES (?, ?)", rows)
    return deployment.flow(SQLITE, {"path": str(path)}, {"tableName": "events"}, mode="append", **about)


def reconciliation(deployment: Deployment) -> Reconciliation:
    return Reconciliation(deployment.settings, deployment.store, deployment.lake)


def found(deployment: Deployment) -> dict[Differs, list[str]]:
    differs: dict[Differs, list[str]] = {}
    for each in reconciliation(deployment).differences():
        differs.setdefault(each.kind, []).append(each.run_id)
    return differs


def change(deployment: Deployment, statement: sa.Executable) -> None:
    with deployment.store._engine.begin() as connection:
        connection.execute(statement)


def forget(deployment: Deployment, run: Run) -> None:
    change(deployment, sa.delete(tables.runs).where(tables.runs.c.id == run.id))


def ids(deployment: Deployment) -> list[int]:
    return sorted(row[0] for row in deployment.rows())


def test_runs_that_only_the_lake_knows_to_have_landed_end_or_are_taken_up(
    deployment: Deployment, flow: str, tmp_path: Path
) -> None:
    other = _flow(deployment, tmp_path)
    one, two, three = (deployment.run(flow, *day, "at") for day in (DAY1, DAY2, DAY3))
    foreign = deployment.run(other, *DAY4, "at")
    assert found(deployment) == {}
    # The metadata of an hour ago: before the second run began, the third was made, and the other flow was.
    change(deployment, sa.update(tables.runs).where(tables.runs.c.id == two.id).values(NEW))
    forget(deployment, three)
    forget(deployment, foreign)
    change(deployment, sa.delete(tables.resources).where(tables.resources.c.id == other))

    differs = reconciliation(deployment).differences()
    kinds = {each.run_id: each.kind for each in differs}
    assert kinds == {two.id: Differs.LANDED, three.id: Differs.UNKNOWN, foreign.id: Differs.FOREIGN}
    left = reconciliation(deployment).correct(differs)
    assert [each.run_id for each in left] == [foreign.id]
    assert found(deployment) == {Differs.FOREIGN: [foreign.id]}
    assert deployment.store.queue.claim("worker", lease=5) is None  # nothing is read again
    assert ids(deployment) == [*range(96)]
    for before in (two, three):
        run = deployment.scoped.run(before.id)
        assert (run.state, run.snapshot_id, run.window) == (RunState.SUCCESS, before.snapshot_id, before.window)
        assert run.metrics["recordSummary"]["outputRecordCount"] == 24
    assert reconciliation(deployment).correct(left, take_out=True) == []
    assert (found(deployment), ids(deployment)) == ({}, [*range(72)])
    assert deployment.scoped.run(one.id) == one


def test_a_run_whose_rows_the_lake_lost_may_be_repeated(deployment: Deployment, flow: str) -> None:
    deployment.run(flow, *DAY1, "at")
    catalog = deployment.settings.warehouse / "catalog.db"
    with closing(sqlite3.connect(catalog)) as database:
        earlier = database.execute("SELECT metadata_location FROM iceberg_tables").fetchone()
    lost = deployment.run(flow, *DAY2, "at")
    with closing(sqlite3.connect(catalog)) as database, database:
        database.execute("UPDATE iceberg_tables SET metadata_location = ?", earlier)
    assert not deployment.scoped.run(lost.id).repeatable
    assert found(deployment) == {Differs.MISSING: [lost.id]}
    assert reconciliation(deployment).correct(reconciliation(deployment).differences()) == []
    assert deployment.scoped.run(lost.id).repeatable
    deployment.run(flow, *DAY2, "at")
    assert (found(deployment), ids(deployment)) == ({}, [*range(48)])
    deployment.lake.drop(TABLE)
    assert len(found(deployment)[Differs.MISSING]) == 2


@pytest.mark.parametrize("deployment", [{"snapshots": 1}], indirect=True)
def test_snapshots_that_went_in_time_are_no_difference(deployment: Deployment, flow: str) -> None:
    runs = [deployment.run(flow, *day, "at") for day in (DAY1, DAY2, DAY3)]
    assert runs[0].id not in deployment.snapshots()
    assert found(deployment) == {}
    # One that has not ended is known by its rows, even so; its worker, who is gone, holds up nobody.
    change(deployment, sa.update(tables.runs).where(tables.runs.c.id == runs[0].id).values(NEW))
    later = deployment.enqueue(flow, *DAY4, "at")
    under_way = {"state": "inProgress", "lease_until": 1, "worker": "gone", "fence": 1, "attempt": 1}
    change(deployment, sa.update(tables.runs).where(tables.runs.c.id == later.id).values(under_way))
    differs = reconciliation(deployment).differences()
    assert [(each.kind, each.run_id) for each in differs] == [(Differs.LANDED, runs[0].id)]
    assert reconciliation(deployment).correct(differs) == []
    assert deployment.scoped.run(later.id).state is RunState.QUEUED
    deployment.attempt().execute()
    assert (found(deployment), ids(deployment)) == ({}, [*range(96)])


@pytest.mark.parametrize("deployment", [{"lease": 0.5}], indirect=True)
def test_a_run_that_a_worker_holds_is_left_to_it(deployment: Deployment, flow: str) -> None:
    run = deployment.run(flow, *DAY1, "at")
    held = {**NEW, "state": "inProgress", "lease_until": 2**45, "worker": "other", "fence": 1, "attempt": 1}
    change(deployment, sa.update(tables.runs).where(tables.runs.c.id == run.id).values(held))
    differs = reconciliation(deployment).differences()
    assert reconciliation(deployment).correct(differs) == differs
    assert deployment.scoped.run(run.id).state is RunState.IN_PROGRESS


def test_a_schedule_goes_on_after_a_window_that_the_lake_holds(deployment: Deployment, tmp_path: Path) -> None:
    schedule = {"startTime": "1704067200", "frequency": "hour", "interval": "1"}
    flow = _flow(deployment, tmp_path, body={"scheduleParams": schedule})
    mine = tables.schedules.c.flow_id == flow
    change(deployment, sa.update(tables.schedules).where(mine).values(start_at=1704067200000, due_at=1704067200000))
    with deployment.store._engine.connect() as connection:
        before = dict(connection.execute(sa.select(tables.schedules).where(mine)).one()._mapping)
    made = deployment.store.planner.make_due()
    assert made is not None
    change(
        deployment, sa.update(tables.runs).values(delta_column={"name": "at", "date_format": None, "timezone": None})
    )
    deployment.attempt().execute()
    assert ids(deployment) == [*range(96)]
    forget(deployment, made)
    change(deployment, sa.update(tables.schedules).where(mine).values(before))
    assert deployment.store.planner.due()
    assert reconciliation(deployment).correct(reconciliation(deployment).differences()) == []
    assert deployment.store.planner.make_due() is None
    assert deployment.scoped.run(made.id).due_ms == made.window.end_ms
    with deployment.store._engine.connect() as connection:
        after = connection.execute(sa.select(tables.schedules.c.covered_until).where(mine)).scalar_one()
    assert after == made.window.end_ms
    assert ids(deployment) == [*range(96)]


def test_a_table_that_is_no_datasets_is_shown(deployment: Deployment, flow: str) -> None:
    deployment.run(flow, *DAY1, "at")
    change(deployment, sa.delete(tables.resources).where(tables.resources.c.id == "0" * 24))
    differs = reconciliation(deployment).differences()
    assert [(each.kind, each.table) for each in differs] == [(Differs.LOOSE, TABLE)]
    assert reconciliation(deployment).correct(differs) == differs


def test_a_worker_that_comes_before_it_writes_over_nothing(deployment: Deployment, flow: str, tmp_path: Path) -> None:
    before = deployment.run(flow, *DAY1, "at")
    change(deployment, sa.update(tables.runs).where(tables.runs.c.id == before.id).values(NEW))
    with closing(sqlite3.connect(tmp_path / "events.sqlite")) as database, database:
        database.execute("DELETE FROM events WHERE id < 12")  # to read it again would give other rows
    deployment.attempt().execute()
    run = deployment.scoped.run(before.id)
    assert (run.state, run.snapshot_id) == (RunState.SUCCESS, before.snapshot_id)
    assert (found(deployment), ids(deployment)) == ({}, [*range(24)])
