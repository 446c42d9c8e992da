"""Splits that an attempt has staged are taken over by the next one, where that cannot mix two states of the source."""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pyiceberg.catalog.sql import SqlCatalog
from sqlalchemy.exc import OperationalError

from headgate.engine.splits import Splits
from headgate.engine.upkeep import Upkeep
from headgate.errors import SnapshotGone, SourceChanged, SourceError, SourceUnreachable, TargetUnavailable
from headgate.model.runs import Run, RunState
from headgate.sources import connection_specs
from headgate.sources.sql.postgres import PostgresSource
from headgate.targets import LakeTable, iceberg
from tests.deployment import POSTGRESQL, Deployment, multiset

FILES = next(spec.id for spec in connection_specs() if spec.name == "local-files")
WINDOW = ("2024-01-01", "2025-01-01")


@pytest.fixture
def deployment(tmp_path: Path, own_metadata: str) -> Iterator[Deployment]:
    made = Deployment(tmp_path, metadata_url=own_metadata, parallel_splits=4)
    yield made
    made.close()


@pytest.fixture
def table(database: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a database with a table `events` that is read in four splits."""
    monkeypatch.setattr("headgate.sources.sql.postgres.PAGES_FROM_BYTES", 1)
    start = datetime(2024, 1, 1)
    rows = [(number, start + timedelta(minutes=number), "x" * 500) for number in range(400)]
    with psycopg.connect(database, autocommit=True) as server:
        server.execute("CREATE TABLE events (id bigint, at timestamp, name text)")
        with server.cursor() as cursor:
            cursor.executemany("INSERT INTO events VALUES (%s, %s, %s)", rows)
        server.execute("ANALYZE events")
    return database


class _Reading:
    """Counts the splits that are read, and makes the last one of a plan fail as often as it has errors."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *errors: SourceError) -> None:
        self.read: list[str] = []
        self._errors = list(errors)
        self._try = Splits._try
        reading = self

        def tried(splits: Splits, *arguments: Any) -> Any:
            return reading.tried(splits, *arguments)

        monkeypatch.setattr(Splits, "_try", tried)
        monkeypatch.setattr("headgate.engine.splits._PAUSE", 0.01)

    def tried(self, splits: Splits, *arguments: Any) -> Any:
        reading, split = arguments[1], arguments[-1]
        if split.id == reading.splits[-1].id and self._errors:
            self._others_done(splits, len(reading.splits) - 1)
            raise self._errors.pop(0)
        copied = self._try(splits, *arguments)
        self.read.append(split.id)
        return copied

    def _others_done(self, splits: Splits, count: int) -> None:
        end = time.monotonic() + 20
        while splits._report.splits_done < count:
            assert time.monotonic() < end
            time.sleep(0.01)


def _source(address: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(address) as server:
        return server.execute("SELECT id, at, name FROM events").fetchall()


def _again(deployment: Deployment, run: Run) -> Run:
    deployment.bring_forward(run)
    deployment.attempt().execute()
    return deployment.scoped.run(run.id)


def _exact(deployment: Deployment, run: Run, expected: list[tuple[Any, ...]]) -> None:
    assert run.state is RunState.SUCCESS, run.metrics
    assert multiset(deployment.rows()) == multiset(expected)
    assert run.metrics["recordSummary"]["outputRecordCount"] == len(expected)
    assert deployment.snapshots() == [run.id]
    assert deployment.store.queue.staged(run) == []
    found = deployment.lake.find(("org", "prod", "target"))
    assert found is not None
    assert deployment.files() == set(found._landed_files(run.id))


@pytest.mark.parametrize("own_metadata", ["sqlite"], indirect=True)  # what else the server writes makes another state
def test_an_attempt_reads_only_what_the_last_one_had_not_staged(
    deployment: Deployment, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading = _Reading(monkeypatch, SnapshotGone())
    run = deployment.run(
        deployment.flow(POSTGRESQL, {"connectionString": table}, {"tableName": "events"}), *WINDOW, "at"
    )
    assert run.state is RunState.QUEUED
    assert run.past_attempts == [{"attempt": 1, "error": {"code": SnapshotGone.code, "message": SnapshotGone().detail}}]
    assert len(reading.read) == 3
    assert len(deployment.files()) == 3
    finish = deployment.store.queue.finish
    recorded: list[int] = []

    def finishing(*arguments: Any, **options: Any) -> None:
        recorded.extend(split.fence for split in deployment.store.queue.staged(run))
        finish(*arguments, **options)

    monkeypatch.setattr(deployment.store.queue, "finish", finishing)
    finished = _again(deployment, run)
    assert len(set(reading.read)) == len(reading.read) == 4
    _exact(deployment, finished, _source(table))
    assert recorded.count(2) == 4


@pytest.mark.parametrize("own_metadata", ["sqlite"], indirect=True)
@pytest.mark.parametrize("change", ["UPDATE events SET name = 'new' WHERE id < 10", "DELETE FROM events WHERE id = 0"])
def test_nothing_is_taken_over_once_the_source_has_changed(
    deployment: Deployment, table: str, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    reading = _Reading(monkeypatch, SnapshotGone())
    run = deployment.run(
        deployment.flow(POSTGRESQL, {"connectionString": table}, {"tableName": "events"}), *WINDOW, "at"
    )
    with psycopg.connect(table) as server:
        server.execute(change)
    finished = _again(deployment, run)
    assert len(reading.read) == 3 + 4
    _exact(deployment, finished, _source(table))


@pytest.mark.parametrize("own_metadata", ["sqlite", "postgresql"], indirect=True)
def test_a_reading_that_was_staged_whole_is_committed_as_it_is(
    deployment: Deployment, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading = _Reading(monkeypatch)
    before = _source(table)
    flow = deployment.flow(POSTGRESQL, {"connectionString": table}, {"tableName": "events"})
    run = _staged_by_a_worker_that_died(deployment, flow, monkeypatch)
    with psycopg.connect(table) as server:
        server.execute("UPDATE events SET name = 'new'")
    finished = _again(deployment, run)
    assert len(reading.read) == 4
    _exact(deployment, finished, before)


@pytest.mark.parametrize("own_metadata", ["sqlite"], indirect=True)
@pytest.mark.parametrize("damage", ["gone", "short", "other rows"])
def test_a_staged_file_that_is_not_what_it_was_is_read_again(
    deployment: Deployment, table: str, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    reading = _Reading(monkeypatch)
    flow = deployment.flow(POSTGRESQL, {"connectionString": table}, {"tableName": "events"})
    run = _staged_by_a_worker_that_died(deployment, flow, monkeypatch)
    first, second, *_ = sorted(deployment.files())
    match damage:
        case "gone":
            first.unlink()
        case "short":
            os.truncate(first, first.stat().st_size - 1)
        case "other rows":
            content = second.read_bytes()
            first.write_bytes(content.ljust(first.stat().st_size, b"\0")[: first.stat().st_size])
    finished = _again(deployment, run)
    assert len(reading.read) == 4 + 1
    _exact(deployment, finished, _source(table))


@pytest.mark.parametrize("own_metadata", ["sqlite"], indirect=True)
def test_files_that_did_not_change_are_not_read_again(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(4):
        (folder / f"{number}.csv").write_text(f"id\n{number}\n")
    reading = _Reading(monkeypatch, SourceChanged())
    now = datetime.now()
    flow = deployment.flow(
        FILES, {}, {"path": str(folder), "type": "folder"}, data={"format": "delimited"}, kind="file"
    )
    run = deployment.run(flow, f"{now - timedelta(days=2):%Y-%m-%d}", f"{now + timedelta(days=2):%Y-%m-%d}")
    assert run.state is RunState.QUEUED
    (folder / "3.csv").write_text("id\n33\n")
    finished = _again(deployment, run)
    assert len(reading.read) == 3 + 1
    assert finished.metrics["fileSummary"]["inputFileCount"] == 4
    assert sorted(row[0] for row in deployment.rows()) == [0, 1, 2, 33]


# -- what may pass --------------------------------------------------------------------------------


@pytest.mark.parametrize("own_metadata", ["sqlite"], indirect=True)
def test_a_split_whose_source_is_away_for_a_moment_is_tried_again(
    deployment: Deployment, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading = _Reading(monkeypatch, SourceUnreachable(), SourceUnreachable())
    run = deployment.run(
        deployment.flow(POSTGRESQL, {"connectionString": table}, {"tableName": "events"}), *WINDOW, "at"
    )
    assert (run.attempt, len(reading.read)) == (1, 4)
    _exact(deployment, run, _source(table))


@pytest.mark.parametrize("own_metadata", ["sqlite"], indirect=True)
def test_a_split_whose_session_the_server_ends_is_read_again_in_the_same_snapshot(
    deployment: Deployment, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server ends a session that has joined the snapshot; what others write meanwhile stays unseen."""
    before, ended = _source(table), iter([True])
    real = PostgresSource.prepare

    def prepared(source: Any, connection: Any, reading: Any, split: Any) -> None:
        real(source, connection, reading, split)
        if next(ended, False):
            with psycopg.connect(table, autocommit=True) as server:
                server.execute("UPDATE events SET name = 'new'")
                server.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s",
                    [f"headgate {reading.token}"],
                )

    monkeypatch.setattr(PostgresSource, "prepare", prepared)
    run = deployment.run(
        deployment.flow(POSTGRESQL, {"connectionString": table}, {"tableName": "events"}), *WINDOW, "at"
    )
    assert run.attempt == 1
    _exact(deployment, run, before)


@pytest.mark.parametrize("own_metadata", ["sqlite"], indirect=True)
def test_what_does_not_pass_fails_at_once(deployment: Deployment, table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    reading = _Reading(monkeypatch, SourceError("The table is broken."))
    run = deployment.run(
        deployment.flow(POSTGRESQL, {"connectionString": table}, {"tableName": "events"}), *WINDOW, "at"
    )
    assert (run.state, run.attempt, len(reading.read)) == (RunState.FAILED, 1, 3)
    assert deployment.files() == set()


def _staged_by_a_worker_that_died(deployment: Deployment, flow: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run whose first attempt staged all splits and ended before its commit, without a word."""
    run = deployment.enqueue(flow, *WINDOW, "at")
    attempt, commit = deployment.attempt(lease=1), LakeTable.commit

    class _Killed(Exception):
        pass

    def killed(_table: LakeTable, *_arguments: Any, confirm: Any, **_options: Any) -> Any:
        confirm()
        raise _Killed

    monkeypatch.setattr(LakeTable, "commit", killed)
    with pytest.raises(_Killed), attempt.lease:
        attempt._ingest()
    monkeypatch.setattr(LakeTable, "commit", commit)
    time.sleep(1.05)
    return run


# -- cancelling -----------------------------------------------------------------------------------


@pytest.mark.parametrize("own_metadata", ["sqlite"], indirect=True)
def test_a_run_is_cancelled_while_its_database_makes_the_plan_wait(deployment: Deployment, table: str) -> None:
    run = deployment.enqueue(
        deployment.flow(POSTGRESQL, {"connectionString": table}, {"tableName": "events"}), *WINDOW, "at"
    )
    with psycopg.connect(table) as holder, ThreadPoolExecutor(1) as pool:
        holder.execute("LOCK TABLE events IN ACCESS EXCLUSIVE MODE")
        done = pool.submit(deployment.attempt().execute)
        _waited(lambda: "progress" in deployment.scoped.run(run.id).metrics)
        assert not done.done()
        deployment.scoped.cancel_run(run.id)
        done.result(timeout=20)
        assert deployment.scoped.run(run.id).state is RunState.CANCELLED


@pytest.mark.parametrize("own_metadata", ["sqlite"], indirect=True)
def test_a_run_is_cancelled_while_a_split_waits_to_be_tried_again(
    deployment: Deployment, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _Reading(monkeypatch, SourceUnreachable())
    monkeypatch.setattr("headgate.engine.splits._PAUSE", 60)
    run = deployment.enqueue(
        deployment.flow(POSTGRESQL, {"connectionString": table}, {"tableName": "events"}), *WINDOW, "at"
    )
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(deployment.attempt().execute)
        _waited(lambda: deployment.scoped.run(run.id).metrics.get("progress", {}).get("splitsDone") == 3)
        progress = deployment.scoped.run(run.id).metrics["progress"]
        assert 0 < progress["recordCount"] < 400
        assert {"splitsTotal", "stagedBytes", "recordsPerSecond", "bytesPerSecond"} < progress.keys()
        deployment.scoped.cancel_run(run.id)
        done.result(timeout=20)
    assert deployment.scoped.run(run.id).state is RunState.CANCELLED
    assert (deployment.rows(), deployment.files()) == ([], set())


@pytest.mark.parametrize("own_metadata", ["sqlite"], indirect=True)
def test_a_run_is_cancelled_while_another_holds_the_catalog(
    deployment: Deployment, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = deployment.flow(POSTGRESQL, {"connectionString": table}, {"tableName": "events"})
    first, catalog = deployment.run(flow, *WINDOW, "at"), deployment.settings.warehouse / "catalog.db"
    with closing(sqlite3.connect(catalog, check_same_thread=False)) as holder, ThreadPoolExecutor(1) as pool:
        run = deployment.enqueue(flow, *WINDOW, "at")
        attempt = deployment.attempt()
        copied = attempt._splits.read

        def read(*arguments: Any) -> Any:
            found = copied(*arguments)
            holder.execute("BEGIN EXCLUSIVE")
            return found

        monkeypatch.setattr(attempt._splits, "read", read)
        done = pool.submit(attempt.execute)
        _waited(lambda: attempt._committing is not None)
        deployment.scoped.cancel_run(run.id)
        _waited(lambda: deployment.scoped.run(run.id).state.final)
        assert deployment.scoped.run(run.id).state is RunState.CANCELLED
        assert holder.in_transaction
        holder.rollback()
        done.result(timeout=20)
    assert deployment.snapshots() == [first.id]
    assert multiset(deployment.rows()) == multiset(_source(table))


def _waited(done: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not done():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


@pytest.mark.parametrize("own_metadata", ["sqlite", "postgresql"], indirect=True)
def test_a_run_whose_commit_got_no_answer_is_cancelled_by_a_worker_that_looks(
    deployment: Deployment, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the attempt that landed its rows without hearing of it and the next."""
    flow = deployment.flow(POSTGRESQL, {"connectionString": table}, {"tableName": "events"})
    commit = SqlCatalog.commit_table

    def unanswered(*arguments: Any) -> None:
        raise TargetUnavailable

    def committed(*arguments: Any) -> None:
        commit(*arguments)
        lost.setattr(iceberg, "metadata_location", unanswered)
        raise OperationalError("", {}, Exception("the answer was lost"))

    with monkeypatch.context() as lost:
        lost.setattr(SqlCatalog, "commit_table", committed)
        run = deployment.run(flow, *WINDOW, "at")
    assert (run.state, len(run.past_attempts)) == (RunState.QUEUED, 1)
    assert deployment.scoped.cancel_run(run.id).state is RunState.QUEUED
    deployment.attempt().execute()
    _exact(deployment, deployment.scoped.run(run.id), _source(table))


# -- what is left ---------------------------------------------------------------------------------


@pytest.mark.parametrize("own_metadata", ["sqlite", "postgresql"], indirect=True)
def test_a_run_that_is_cancelled_between_two_attempts_leaves_no_files(
    deployment: Deployment, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _Reading(monkeypatch, SnapshotGone())
    run = deployment.run(
        deployment.flow(POSTGRESQL, {"connectionString": table}, {"tableName": "events"}), *WINDOW, "at"
    )
    assert len(deployment.files()) == 3
    assert deployment.scoped.cancel_run(run.id).state is RunState.CANCELLED
    upkeep = Upkeep(deployment.lake, deployment.store, deployment.settings.model_copy(update={"lease": 0.0}))
    upkeep._tidy_runs()
    assert deployment.files() == set()
    assert deployment.store.queue.staged(run) == []
    assert deployment.store.queue.untidy(ended_before=0) == []


@pytest.mark.parametrize("own_metadata", ["sqlite"], indirect=True)
def test_a_lost_worker_leaves_the_folder_to_its_successor(
    deployment: Deployment, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It notices at the moment at which the other is about to write its first file."""
    flow = deployment.flow(POSTGRESQL, {"connectionString": table}, {"tableName": "events"})
    run, reading = deployment.enqueue(flow, *WINDOW, "at"), _Reading(monkeypatch)
    lost, prepare = deployment.attempt(lease=0.5), PostgresSource.prepare

    def prepared(source: Any, connection: Any, reading: Any, split: Any) -> None:
        lost._sweep_own()
        prepare(source, connection, reading, split)

    time.sleep(0.55)
    monkeypatch.setattr(PostgresSource, "prepare", prepared)
    deployment.attempt().execute()
    assert len(reading.read) == 4
    _exact(deployment, deployment.scoped.run(run.id), _source(table))


@pytest.mark.parametrize("own_metadata", ["sqlite"], indirect=True)
def test_a_run_whose_worker_was_lost_is_cancelled_by_another(
    deployment: Deployment, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It could still be about to commit; so the table is moved on before the run is cancelled."""
    flow = deployment.flow(POSTGRESQL, {"connectionString": table}, {"tableName": "events"})
    run = _staged_by_a_worker_that_died(deployment, flow, monkeypatch)
    second = deployment.store.queue.claim("second", lease=30)
    assert second is not None
    assert [past["worker"] for past in second.run.past_attempts] == ["test"]
    deployment.store.queue.retry(second.run, pause=60)
    assert deployment.scoped.cancel_run(run.id).state is RunState.QUEUED
    deployment.attempt().execute()
    assert deployment.scoped.run(run.id).state is RunState.CANCELLED
    assert (deployment.rows(), deployment.files()) == ([], set())
