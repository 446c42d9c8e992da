"""Reading a lake table back: the files a run brought, what the table holds, its first rows."""

import sqlite3
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from pyiceberg.exceptions import CommitFailedException

from headgate.errors import DatasetNotFound, TargetUnavailable
from headgate.model.lake import RUN_ID, Column, LakeType
from headgate.model.permissions import EVERYTHING
from headgate.model.resources import Kind
from headgate.model.runs import RunState
from headgate.model.scope import Caller, Principal
from headgate.service.datasets import Datasets
from headgate.sources import connection_specs
from headgate.targets import LakeTable, TableStates, brought_files, first_rows
from headgate.targets.states import state_at
from tests.deployment import Deployment, multiset

SQLITE = next(spec.id for spec in connection_specs() if spec.name == "sqlite")
START = datetime(2024, 1, 1)
WHOLE = ("2024-01-01T00:00:00", "2024-01-03T00:00:00")
FIRST_DAY = ("2024-01-01T00:00:00", "2024-01-02T00:00:00")


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    made = Deployment(tmp_path)
    yield made
    made.close()


@pytest.fixture
def flow(deployment: Deployment, tmp_path: Path) -> str:
    """A flow from 480 rows, one every six minutes over two days."""
    path = tmp_path / "events.sqlite"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE events (id INTEGER, at TIMESTAMP, name TEXT)")
        rows = [(n, (START + timedelta(minutes=6 * n)).isoformat(" "), f"n{n}") for n in range(480)]
        database.executemany("INSERT INTO events VALUES (?, ?, ?)", rows)
    database.close()
    return deployment.flow(SQLITE, {"path": str(path)}, {"tableName": "events"})


def table_of(deployment: Deployment) -> LakeTable:
    found = deployment.lake.find(("org", "prod", "target"))
    assert found is not None
    return found


def test_the_files_of_a_run_are_those_with_its_rows(deployment: Deployment, flow: str) -> None:
    run = deployment.run(flow, *WHOLE, "at")
    table = table_of(deployment)
    files = brought_files(table, run.id)
    assert {file.path for file in files} == deployment.files()
    assert all(file.live and file.size == file.path.stat().st_size for file in files)
    assert sum(file.rows for file in files) == 480
    state = state_at(table.metadata_file)
    assert (state.rows, state.files, state.snapshot_id) == (480, len(files), table.snapshot_id)
    assert state.size == sum(file.size for file in files)


def test_rows_kept_of_an_earlier_run_are_not_the_later_run_s(deployment: Deployment, flow: str) -> None:
    earlier, later = deployment.run(flow, *WHOLE, "at"), deployment.run(flow, *FIRST_DAY, "at")
    table = table_of(deployment)
    assert [file.live for file in brought_files(table, earlier.id)] == [False]
    of_later = brought_files(table, later.id)
    assert [file.rows for file in of_later] == [240]
    assert pq.read_table(of_later[0].path)[RUN_ID].unique().to_pylist() == [later.id]
    assert state_at(table.metadata_file).rows == 480


def test_files_stay_live_when_other_runs_land(deployment: Deployment, flow: str) -> None:
    first = deployment.run(flow, *FIRST_DAY, "at")
    second = deployment.run(flow, FIRST_DAY[1], WHOLE[1], "at")
    table = table_of(deployment)
    assert [file.live for run in (first, second) for file in brought_files(table, run.id)] == [True, True]
    assert brought_files(table, "no such run") == ()


def test_a_reverted_run_s_rows_go_wherever_they_are_kept(deployment: Deployment, flow: str) -> None:
    earlier, later = deployment.run(flow, *WHOLE, "at"), deployment.run(flow, *FIRST_DAY, "at")
    table = table_of(deployment)
    table.revert(earlier.id)  # its rows of the second day are in a file that the later run wrote
    table = table_of(deployment)
    assert {row[RUN_ID] for row in first_rows(table, 1000)} == {later.id}
    assert state_at(table.metadata_file).rows == 240
    before = table.snapshot_id
    table.revert(earlier.id)
    assert table_of(deployment).snapshot_id == before
    deployment.run(flow, *WHOLE, "at")  # the sweep after a run takes nothing that is needed
    assert len(deployment.rows()) == 480


def test_rows_that_share_a_file_with_the_reverted_ones_stay(deployment: Deployment, flow: str) -> None:
    first, second = deployment.run(flow, *FIRST_DAY, "at"), deployment.run(flow, FIRST_DAY[1], WHOLE[1], "at")
    table = table_of(deployment)
    table.iceberg.overwrite(table.iceberg.scan().to_arrow())  # another engine compacts the table
    assert [file.live for file in brought_files(table_of(deployment), first.id)] == [False]
    table_of(deployment).revert(first.id)
    assert {row[RUN_ID] for row in first_rows(table_of(deployment), 1000)} == {second.id}
    assert len(deployment.rows()) == 240


@pytest.mark.parametrize("landed", [True, False])
def test_a_revert_whose_commit_is_in_doubt_takes_the_rows_once(
    deployment: Deployment, flow: str, landed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = deployment.run(flow, *WHOLE, "at")
    table = table_of(deployment)
    commit = table._catalog.commit_table
    tries: list[int] = []

    def fail_first(*arguments: Any) -> Any:
        tries.append(1)
        if len(tries) > 1:
            return commit(*arguments)
        if landed:
            commit(*arguments)
        raise CommitFailedException("the answer was lost")

    monkeypatch.setattr(table._catalog, "commit_table", fail_first)
    table.revert(run.id)
    assert len(tries) == (1 if landed else 2)
    assert deployment.rows() == []
    assert len(table_of(deployment).iceberg.snapshots()) == 2


def test_first_rows(deployment: Deployment, flow: str) -> None:
    deployment.run(flow, *FIRST_DAY, "at")
    deployment.run(flow, FIRST_DAY[1], WHOLE[1], "at")
    table = table_of(deployment)
    assert len(first_rows(table, 100)) == 100
    assert len(first_rows(table, 300)) == 300  # more than one file has
    everything = first_rows(table, 1000)
    paths = [str(path) for path in deployment.files()]
    with duckdb.connect() as connection:
        expected = connection.execute("SELECT * FROM read_parquet($1)", [paths]).to_arrow_table().to_pylist()
    assert multiset(tuple(row.values()) for row in everything) == multiset(tuple(row.values()) for row in expected)


def test_states_are_remembered_until_the_table_changes(deployment: Deployment, flow: str) -> None:
    states, name = TableStates(deployment.lake), ("org", "prod", "target")
    assert states.of(name) is None
    deployment.run(flow, *FIRST_DAY, "at")
    first = states.of(name)
    assert first is not None
    assert (first.rows, first.location) == (240, table_of(deployment).location)
    assert states.of(name) is first
    deployment.run(flow, *WHOLE, "at")
    second = states.of(name)
    assert second == state_at(table_of(deployment).metadata_file) != first
    deployment.lake.drop(name)
    assert states.of(name) is None


def test_an_empty_table_has_no_rows(deployment: Deployment, flow: str) -> None:
    run = deployment.run(flow, "2020-01-01T00:00:00", "2020-01-02T00:00:00", "at")
    table = table_of(deployment)
    assert first_rows(table, 100) == []
    assert brought_files(table, run.id) == ()
    assert state_at(table.metadata_file).rows == 0


def test_a_dataset_goes_even_when_its_table_cannot(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    principal = Principal("user", "client", "user", frozenset({"ORG"}))
    caller = Caller(principal, deployment.scope, EVERYTHING)
    datasets = Datasets(deployment.store, deployment.lake)
    id_ = datasets.create(caller, {"name": "Kept busy"})
    stored: Any = deployment.store.scoped(caller).get(Kind.DATASET, id_)
    deployment.lake.table(tuple(stored.frozen["table"]), (Column("id", LakeType("long")),))

    def busy(_identifier: tuple[str, ...]) -> None:
        raise TargetUnavailable("The lake is busy.")

    monkeypatch.setattr(deployment.lake, "drop", busy)
    datasets.delete(caller, id_)
    assert "dataset.table_left" in capsys.readouterr().out
    with pytest.raises(DatasetNotFound):
        datasets.get(caller, id_)
    next_id = datasets.create(caller, {"name": "Kept busy"})  # the rows that are left are nobody's
    assert datasets.get(caller, next_id)[next_id]["tags"]["adobe/pqs/table"] == ["kept_busy_2"]


def test_a_dropped_table_is_gone_with_its_files(deployment: Deployment, flow: str) -> None:
    deployment.run(flow, *WHOLE, "at")
    location = table_of(deployment).location
    deployment.lake.drop(("org", "prod", "target"))
    assert deployment.lake.find(("org", "prod", "target")) is None
    assert not location.exists()
    deployment.lake.drop(("org", "prod", "target"))
    assert deployment.run(flow, *WHOLE, "at").state is RunState.SUCCESS  # the name is free for a new table
    assert len(deployment.rows()) == 480
