"""A table's metadata stays small however often it is committed to, and what it forgets is never needed again."""

import random
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyiceberg.manifest import ManifestEntryStatus

from headgate import dataplane
from headgate.dataplane import literal
from headgate.model.runs import RunState
from headgate.targets import Lake, Retention, brought_files
from tests.deployment import Deployment
from tests.integration.face import LOCAL_FILES
from tests.lake_tables import Ingest, held, manifests, summaries


@pytest.fixture
def ingest(tmp_path: Path) -> Iterator[Ingest]:
    made = Ingest(tmp_path / "warehouse", snapshots=5)
    yield made
    made.close()


def test_many_commits_leave_few_snapshots_manifests_and_descriptions(ingest: Ingest) -> None:
    rows = [(number, f"name {number}") for number in range(80)]
    for row in rows:
        ingest.bring([row])
    table = ingest.table
    listed = [(each.added_files_count or 0) + (each.existing_files_count or 0) for each in manifests(table)]

    assert len(table.iceberg.snapshots()) == 5
    assert len(listed) <= 7 * 3
    assert sum(listed) == 80
    assert len(list((table.location / "metadata").glob("*.metadata.json"))) <= 51
    assert held(table) == rows
    assert _as_duckdb_reads(table.metadata_file) == rows


def test_replacing_and_merging_keep_every_row_once(ingest: Ingest) -> None:
    chosen = random.Random(11)
    expected: dict[int, str] = {}
    for number in range(60):
        start = chosen.randrange(100)
        window = (start, start + chosen.randrange(1, 40))
        rows = [(at, f"{number}-{at}") for at in range(*window) if chosen.random() < 0.7]
        ingest.bring(rows or [(window[0], "one")], replacing=window)
        expected = {at: name for at, name in expected.items() if not window[0] <= at < window[1]}
        expected |= dict(rows or [(window[0], "one")])
        if number % 10 == 9:
            assert held(ingest.table) == sorted(expected.items())
    table = ingest.table
    assert _as_duckdb_reads(table.metadata_file) == sorted(expected.items())
    assert int(summaries(table)[-1]["total-records"]) == len(expected)


def test_manifests_say_which_snapshot_brought_each_file(ingest: Ingest) -> None:
    landed = [ingest.bring([(number, "x")]) for number in range(20)]
    table = ingest.table
    entries = [entry for manifest in manifests(table) for entry in manifest.fetch_manifest_entry(table.iceberg.io)]
    numbers = {entry.snapshot_id: entry.sequence_number for entry in entries}
    assert numbers == {each.snapshot_id: number for number, each in enumerate(landed, start=1)}
    assert {entry.status for entry in entries} == {ManifestEntryStatus.ADDED, ManifestEntryStatus.EXISTING}


def test_a_snapshot_that_is_too_old_goes_whatever_their_number(tmp_path: Path) -> None:
    ingest = Ingest(tmp_path / "warehouse", seconds=0.2)
    first, second = ingest.bring([(1, "a")]), ingest.bring([(2, "b")])
    time.sleep(0.3)
    third = ingest.bring([(3, "c")])
    kept = {snapshot.snapshot_id for snapshot in ingest.table.iceberg.snapshots()}
    ingest.close()
    assert first.snapshot_id not in kept
    assert kept == {second.snapshot_id, third.snapshot_id}  # the second was the present one


def test_snapshots_with_a_name_stay(ingest: Ingest) -> None:
    first = ingest.bring([(0, "first")])
    ingest.table.iceberg.manage_snapshots().create_tag(first.snapshot_id, "january").commit()
    for number in range(1, 12):
        ingest.bring([(number, "later")])
    iceberg = ingest.table.iceberg
    tagged = iceberg.scan(snapshot_id=first.snapshot_id).to_arrow()
    assert tagged["name"].to_pylist() == ["first"]
    assert len(iceberg.snapshots()) == 6


def test_a_run_that_has_not_ended_keeps_its_snapshot(ingest: Ingest) -> None:
    run_id = str(uuid.uuid4())
    ingest.unfinished.add(run_id)
    landed = ingest.bring([(0, "first")], run_id=run_id)
    for number in range(1, 12):
        ingest.bring([(number, "later")])
    assert ingest.table.landed(run_id) == landed

    ingest.unfinished.clear()
    ingest.bring([(12, "later")])
    assert ingest.table.iceberg.snapshot_by_id(landed.snapshot_id) is None


def test_a_repeated_commit_of_a_forgotten_run_sweeps_none_of_its_files(ingest: Ingest) -> None:
    run_id = str(uuid.uuid4())
    ingest.bring([(0, "first")], run_id=run_id)
    for number in range(1, 12):
        ingest.bring([(number, "later")])
    table = ingest.table
    assert run_id not in [each["headgate.run-id"] for each in summaries(table)]
    table.sweep(run_id)  # as a worker does that slept since it ended the run
    assert held(table)[0] == (0, "first")
    assert [file.live for file in brought_files(table, run_id)] == [True]


def test_another_engine_may_expire_the_same_snapshots_at_the_same_time(tmp_path: Path) -> None:
    ingest = Ingest(tmp_path / "warehouse", snapshots=3)
    rows = [(number, "x") for number in range(10)]
    for row in rows[:5]:
        ingest.bring([row])
    found = ingest.table.iceberg
    races = [True]

    def unfinished(_runs: object) -> set[str]:
        if races:  # between our look at the table and our commit
            races.clear()
            oldest = min(found.snapshots(), key=lambda snapshot: snapshot.sequence_number or 0)
            found.refresh().maintenance.expire_snapshots().by_id(oldest.snapshot_id).commit()
        return set()

    racing = Lake(tmp_path / "warehouse", Retention(3, 86_400.0, unfinished))
    ingest.lake.close()
    ingest.lake = racing
    for row in rows[5:]:
        ingest.bring([row])
    assert not races
    assert held(ingest.table) == rows
    ingest.close()
    found.catalog.close()


# -- tables that another engine expired --------------------------------------------------------------


@pytest.fixture
def deployment(tmp_path: Path, own_metadata: str) -> Iterator[Deployment]:
    made = Deployment(tmp_path, metadata_url=own_metadata, snapshots=3)
    yield made
    made.close()


def test_the_rows_tell_a_successor_what_another_engine_took_from_the_history(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, others = _died_after_its_commit(deployment, tmp_path)
    _expire_as_another_engine(deployment)
    monkeypatch.setattr("headgate.engine.attempt.open_source", _forbidden)
    deployment.attempt().execute()

    finished = deployment.scoped.run(run)
    assert finished.state is RunState.SUCCESS
    assert finished.metrics["recordSummary"]["outputRecordCount"] == 2
    assert sorted(deployment.rows()) == sorted([(1, "a"), (2, "b")] + [(3, "c")] * others)


def test_the_snapshot_of_a_run_whose_worker_died_outlives_all_others(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, others = _died_after_its_commit(deployment, tmp_path)
    snapshots = deployment.snapshots()
    assert run in snapshots
    assert len(snapshots) == 4  # three, and that one
    monkeypatch.setattr("headgate.engine.attempt.open_source", _forbidden)
    deployment.attempt().execute()

    finished = deployment.scoped.run(run)
    assert finished.state is RunState.SUCCESS
    assert finished.snapshot_id is not None
    assert len(deployment.rows()) == 2 + others


def _died_after_its_commit(deployment: Deployment, folder: Path) -> tuple[str, int]:
    """A run that landed without its end being stored, and how many runs landed after it."""
    flows = []
    for name, text in (("first", "id,name\n1,a\n2,b\n"), ("other", "id,name\n3,c\n")):
        (folder / name).mkdir()
        (folder / name / "rows.csv").write_text(text)
        auth, data = {"folder": str(folder)}, {"format": "delimited"}
        flows.append(deployment.flow(LOCAL_FILES, auth, {"path": name}, data=data, kind="file", mode="append"))
    run = deployment.enqueue(flows[0], "2000-01-01T00:00:00", "2100-01-01T00:00:00")
    dying = deployment.attempt()
    with dying.lease:
        dying._ingest()
    others = 5
    for _ in range(others):
        assert deployment.run(flows[1], "2000-01-01T00:00:00", "2100-01-01T00:00:00").state is RunState.SUCCESS
    deployment.abandon(run)
    return run.id, others


def _expire_as_another_engine(deployment: Deployment) -> None:
    table = deployment.lake.find(("org", "prod", "target"))
    assert table is not None
    iceberg = table.iceberg
    old = [each.snapshot_id for each in iceberg.snapshots() if each != iceberg.current_snapshot()]
    iceberg.maintenance.expire_snapshots().by_ids(old).commit()


def _forbidden(*_arguments: Any, **_options: Any) -> Any:
    raise AssertionError("The source was read again.")


def _as_duckdb_reads(metadata: Path) -> list[tuple[Any, ...]]:
    with dataplane.opened("avro", "iceberg") as connection:
        query = f'SELECT "at", name FROM iceberg_scan({literal(str(metadata))}) ORDER BY 1'
        return connection.execute(query).fetchall()
