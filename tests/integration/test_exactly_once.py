"""The promise: each row of the window once when a run succeeded, none of them when it did not."""

import random
import sqlite3
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pyiceberg.exceptions import CommitFailedException
from sqlalchemy.exc import OperationalError

from headgate.engine import Worker
from headgate.engine.lease import Lease
from headgate.errors import AttemptLost, Unavailable
from headgate.model.runs import RunState
from headgate.sources import connection_specs
from headgate.targets import LakeTable
from tests.deployment import POSTGRESQL, TOMORROW, Deployment, multiset

SQLITE = next(spec.id for spec in connection_specs() if spec.name == "sqlite")
START = datetime(2024, 1, 1)
Row = tuple[Any, ...]


def _rows() -> list[Row]:
    """600 rows, one every ten minutes, some on every boundary the tests use, some without a time."""
    rows: list[Row] = []
    for number in range(600):
        moment = START + timedelta(minutes=10 * number)
        rows.append((number, moment, Decimal(number).scaleb(-2), None if number % 7 == 0 else f"name {number}"))
    rows.append((600, None, Decimal("1.00"), ""))
    rows.append((601, START + timedelta(days=1), Decimal("1.00"), ""))  # a second row on a boundary
    rows.append((602, START + timedelta(days=1, microseconds=-1), Decimal("1.00"), "just before"))
    return rows


def _between(rows: list[Row], start: str, end: str) -> list[Row]:
    lower, upper = datetime.fromisoformat(start), datetime.fromisoformat(end)
    return [row for row in rows if row[1] is not None and lower <= row[1] < upper]


@pytest.fixture
def deployment(tmp_path: Path, own_metadata: str) -> Iterator[Deployment]:
    made = Deployment(tmp_path, metadata_url=own_metadata)
    yield made
    made.close()


@pytest.fixture
def source(request: pytest.FixtureRequest, tmp_path: Path, own_metadata: str) -> Iterator[tuple[str, dict[str, str]]]:
    """A table `events` of `_rows()`, in a database like the metadata's: the spec and the parameters that reach it."""
    if not own_metadata:
        path = tmp_path / "events.sqlite"
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE events (id INTEGER, at TIMESTAMP, amount DECIMAL(10,2), name TEXT)")
            connection.executemany(
                "INSERT INTO events VALUES (?, ?, ?, ?)",
                [(id_, at and at.isoformat(" "), float(amount), name) for id_, at, amount, name in _rows()],
            )
        connection.close()
        yield SQLITE, {"path": str(path)}
        return
    address = request.getfixturevalue("database")
    with psycopg.connect(address, autocommit=True) as server:
        server.execute("CREATE TABLE events (id bigint, at timestamp, amount numeric(10,2), name text)")
        with server.cursor() as cursor:
            cursor.executemany("INSERT INTO events VALUES (%s, %s, %s, %s)", _rows())
    yield POSTGRESQL, {"connectionString": address}


def _flow(deployment: Deployment, source: tuple[str, dict[str, str]], mode: str = "replaceWindow") -> str:
    return deployment.flow(*source, {"tableName": "events"}, mode=mode)


WINDOWS = [
    ("2024-01-01T00:00:00", "2024-01-02T00:00:00"),  # begins on the first row, ends on three rows
    ("2024-01-02T00:00:00", "2024-01-03T00:00:00"),
    ("2024-01-01T12:00:00", "2024-01-02T12:00:00"),  # overlaps both
    ("2023-01-01T00:00:00", "2030-01-01T00:00:00"),  # everything
    ("2020-01-01T00:00:00", "2021-01-01T00:00:00"),  # nothing
    ("2024-01-01T00:10:00", "2024-01-01T00:10:00"),  # no time at all
]


@pytest.mark.parametrize("window", WINDOWS)
def test_a_window_lands_as_the_source_has_it(
    deployment: Deployment, source: tuple[str, dict[str, str]], window: tuple[str, str]
) -> None:
    run = deployment.run(_flow(deployment, source), *window, "at")
    expected = _between(_rows(), *window)

    assert run.state is RunState.SUCCESS, run.metrics
    assert multiset(deployment.rows()) == multiset(expected)
    assert run.metrics["recordSummary"]["outputRecordCount"] == len(expected)
    assert deployment.snapshots() == [run.id]
    assert [activity["id"] for activity in run.activities] == ["copyActivity", "promotionActivity"]


def test_replace_window_holds_each_row_once_whatever_is_repeated(
    deployment: Deployment, source: tuple[str, dict[str, str]]
) -> None:
    flow = _flow(deployment, source)
    chosen = random.Random(7)
    covered: list[tuple[str, str]] = []
    for window in [*WINDOWS, *chosen.choices(WINDOWS, k=8)]:
        assert deployment.run(flow, *window, "at").state is RunState.SUCCESS
        covered.append(window)
        expected = {row for past in covered for row in _between(_rows(), *past)}
        assert multiset(deployment.rows()) == multiset(expected)


def test_append_adds_the_rows_again(deployment: Deployment, source: tuple[str, dict[str, str]]) -> None:
    flow = _flow(deployment, source, mode="append")
    expected: list[Row] = []
    for window in (WINDOWS[0], WINDOWS[2], WINDOWS[0]):
        assert deployment.run(flow, *window, "at").state is RunState.SUCCESS
        expected += _between(_rows(), *window)
    assert multiset(deployment.rows()) == multiset(expected)


def test_replacing_touches_no_other_flow(deployment: Deployment, source: tuple[str, dict[str, str]]) -> None:
    first, second = _flow(deployment, source), _flow(deployment, source)
    for flow in (first, second, first):
        deployment.run(flow, *WINDOWS[0], "at")
    assert multiset(deployment.rows()) == multiset(_between(_rows(), *WINDOWS[0]) * 2)


def test_a_repeated_run_counts_what_it_replaced(deployment: Deployment, source: tuple[str, dict[str, str]]) -> None:
    flow = _flow(deployment, source)
    deployment.run(flow, *WINDOWS[0], "at")
    run = deployment.run(flow, *WINDOWS[2], "at")
    both = _between(_between(_rows(), *WINDOWS[0]), *WINDOWS[2])
    assert run.metrics["recordSummary"]["deletedRecordCount"] == len(both) > 0


# -- workers that die ------------------------------------------------------------------------------


def test_a_run_whose_worker_died_is_finished_by_another(
    deployment: Deployment, source: tuple[str, dict[str, str]]
) -> None:
    flow = _flow(deployment, source)
    run = deployment.enqueue(flow, *WINDOWS[0], "at")
    assert deployment.store.queue.claim("dead", lease=0.2) is not None
    worker = Worker(deployment.store, deployment.lake, deployment.settings)
    worker.start()
    try:
        _wait(lambda: deployment.scoped.run(run.id).state.final)
    finally:
        worker.stop()
    finished = deployment.scoped.run(run.id)
    assert (finished.state, finished.attempt) == (RunState.SUCCESS, 2)
    assert multiset(deployment.rows()) == multiset(_between(_rows(), *WINDOWS[0]))


def test_a_worker_that_died_after_its_commit_is_not_repeated(
    deployment: Deployment, source: tuple[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = _flow(deployment, source)
    run = deployment.enqueue(flow, *WINDOWS[0], "at")
    attempt = deployment.attempt(lease=0.5)
    with attempt.lease:  # as far as the commit; the worker dies before it can say so
        attempt._ingest()
    deployment.abandon(run)
    monkeypatch.setattr("headgate.engine.attempt.open_source", _forbidden)
    deployment.attempt().execute()

    finished = deployment.scoped.run(run.id)
    expected = _between(_rows(), *WINDOWS[0])
    assert finished.state is RunState.SUCCESS
    assert finished.metrics["recordSummary"]["outputRecordCount"] == len(expected)
    assert multiset(deployment.rows()) == multiset(expected)
    assert deployment.snapshots() == [run.id]


def test_a_worker_that_comes_back_too_late_commits_nothing(
    deployment: Deployment, source: tuple[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = _flow(deployment, source)
    run = deployment.enqueue(flow, *WINDOWS[0], "at")
    monkeypatch.setattr(Lease, "_beat", lambda _lease: None)  # its heart stops with it
    zombie = deployment.attempt(lease=2)
    monkeypatch.undo()
    commit = LakeTable.commit

    def late(table: LakeTable, *arguments: Any, **options: Any) -> Any:
        monkeypatch.setattr(LakeTable, "commit", commit)
        time.sleep(2.1)
        deployment.attempt().execute()
        return commit(table, *arguments, **options)

    monkeypatch.setattr(LakeTable, "commit", late)
    zombie.execute()

    assert deployment.scoped.run(run.id).state is RunState.SUCCESS
    assert deployment.snapshots() == [run.id]
    assert multiset(deployment.rows()) == multiset(_between(_rows(), *WINDOWS[0]))


def test_a_run_that_kills_every_worker_is_failed(deployment: Deployment, source: tuple[str, dict[str, str]]) -> None:
    run = deployment.enqueue(_flow(deployment, source), *WINDOWS[0], "at")
    for _ in range(deployment.settings.max_attempts):
        assert deployment.store.queue.claim("dead", lease=0.01) is not None
        time.sleep(0.05)
    deployment.attempt().execute()
    failed = deployment.scoped.run(run.id)
    assert failed.state is RunState.FAILED
    [error] = failed.metrics["statusSummary"]["errors"]
    assert error["code"] == "CONNECTOR-2003-500"
    assert error["message"].count("dead was not heard of after 20") == deployment.settings.max_attempts


def test_a_lease_that_was_taken_over_cannot_be_written_with(
    deployment: Deployment, source: tuple[str, dict[str, str]]
) -> None:
    deployment.enqueue(_flow(deployment, source), *WINDOWS[0], "at")
    claim = deployment.store.queue.claim("first", lease=0.01)
    assert claim is not None
    time.sleep(0.05)
    assert deployment.store.queue.claim("second", lease=5) is not None
    with pytest.raises(AttemptLost):
        deployment.store.queue.finish(claim.run, RunState.SUCCESS, metrics={}, activities=[])


# -- commits that meet others ----------------------------------------------------------------------


def test_many_writers_of_one_table_all_land(deployment: Deployment, source: tuple[str, dict[str, str]]) -> None:
    flows = [_flow(deployment, source) for _ in range(6)]
    for flow in flows:
        for _ in range(2):
            deployment.enqueue(flow, *WINDOWS[0], "at")
    workers = [Worker(deployment.store, deployment.lake, deployment.settings) for _ in range(3)]
    for worker in workers:
        worker.start()
    try:
        _wait(lambda: all(deployment.scoped.last_run(flow, succeeded=True) for flow in flows))
        _wait(lambda: len(deployment.snapshots()) == 12)
    finally:
        for worker in workers:
            worker.stop()
    assert multiset(deployment.rows()) == multiset(_between(_rows(), *WINDOWS[0]) * 6)


@pytest.mark.parametrize("error", [TimeoutError, CommitFailedException], ids=["timeout", "conflict"])
def test_a_commit_whose_answer_is_lost_is_looked_up(
    deployment: Deployment,
    source: tuple[str, dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
    error: type[Exception],
) -> None:
    real = deployment.lake._tables._catalog.commit_table
    lost = iter([True])

    def commit(*arguments: Any, **options: Any) -> Any:
        answer = real(*arguments, **options)
        if next(lost, False):
            raise error("the answer was lost")
        return answer

    monkeypatch.setattr(deployment.lake._tables._catalog, "commit_table", commit)
    run = deployment.run(_flow(deployment, source), *WINDOWS[0], "at")
    assert run.state is RunState.SUCCESS
    assert deployment.snapshots() == [run.id]
    assert multiset(deployment.rows()) == multiset(_between(_rows(), *WINDOWS[0]))


def test_a_commit_that_fails_leaves_no_rows_and_no_files(
    deployment: Deployment, source: tuple[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = _flow(deployment, source)
    before = deployment.run(flow, *WINDOWS[0], "at")
    files = deployment.files()

    def commit(*_arguments: Any, **_options: Any) -> Any:
        raise OSError("the disk is gone")

    monkeypatch.setattr(deployment.lake._tables._catalog, "commit_table", commit)
    run = deployment.run(flow, *WINDOWS[2], "at")
    assert run.state is RunState.FAILED
    assert deployment.snapshots() == [before.id]
    assert deployment.files() == files


# -- cancelling ------------------------------------------------------------------------------------


def test_a_waiting_run_is_cancelled_at_once(deployment: Deployment, source: tuple[str, dict[str, str]]) -> None:
    run = deployment.enqueue(_flow(deployment, source), *WINDOWS[0], "at")
    assert deployment.scoped.cancel_run(run.id).state is RunState.CANCELLED
    assert deployment.store.queue.claim("test", lease=1) is None


def test_a_running_run_is_cancelled_without_rows_or_files(
    deployment: Deployment, source: tuple[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = deployment.enqueue(_flow(deployment, source), *WINDOWS[0], "at")
    commit = LakeTable.commit

    def cancelled(table: LakeTable, *arguments: Any, **options: Any) -> Any:
        deployment.scoped.cancel_run(run.id)
        return commit(table, *arguments, **options)

    monkeypatch.setattr(LakeTable, "commit", cancelled)
    deployment.attempt().execute()
    assert deployment.scoped.run(run.id).state is RunState.CANCELLED
    assert deployment.rows() == []
    assert deployment.files() == set()


def test_a_lost_worker_cannot_land_rows_for_a_run_that_was_cancelled(
    deployment: Deployment, source: tuple[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = _flow(deployment, source)
    run = deployment.enqueue(flow, *WINDOWS[0], "at")
    monkeypatch.setattr(Lease, "_beat", lambda _lease: None)
    zombie = deployment.attempt(lease=1)
    monkeypatch.undo()
    build = LakeTable._try

    def stalled(table: LakeTable, *arguments: Any) -> Any:
        monkeypatch.setattr(LakeTable, "_try", build)
        time.sleep(1.1)  # between the last look at the lease and the commit
        deployment.scoped.cancel_run(run.id)
        deployment.attempt().execute()
        assert deployment.scoped.run(run.id).state is RunState.CANCELLED
        return build(table, *arguments)

    monkeypatch.setattr(LakeTable, "_try", stalled)
    zombie.execute()
    assert deployment.scoped.run(run.id).state is RunState.CANCELLED
    assert deployment.rows() == []
    assert deployment.files() == set()


def test_a_run_whose_end_could_not_be_stored_reports_what_landed(
    deployment: Deployment, source: tuple[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = _flow(deployment, source)
    run = deployment.enqueue(flow, *WINDOWS[0], "at")
    finish = deployment.store.queue.finish
    failures = iter([Unavailable("the store is away")])

    def failing(*arguments: Any, **options: Any) -> None:
        if (error := next(failures, None)) is not None:
            raise error
        finish(*arguments, **options)

    monkeypatch.setattr(deployment.store.queue, "finish", failing)
    deployment.attempt().execute()
    assert deployment.scoped.run(run.id).state is RunState.QUEUED
    monkeypatch.setattr("headgate.engine.attempt.open_source", _forbidden)
    deployment.bring_forward(run)
    deployment.attempt().execute()
    finished = deployment.scoped.run(run.id)
    assert finished.state is RunState.SUCCESS
    expected = _between(_rows(), *WINDOWS[0])
    assert finished.metrics["recordSummary"]["outputRecordCount"] == len(expected)
    assert deployment.snapshots() == [run.id]


def test_a_catalog_that_is_locked_is_tried_again(
    deployment: Deployment, source: tuple[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = deployment.lake._tables._catalog.commit_table
    locked = iter([True])

    def commit(*arguments: Any, **options: Any) -> Any:
        if next(locked, False):
            raise OperationalError("UPDATE", {}, sqlite3.OperationalError("database is locked"))
        return real(*arguments, **options)

    monkeypatch.setattr(deployment.lake._tables._catalog, "commit_table", commit)
    run = deployment.run(_flow(deployment, source), *WINDOWS[0], "at")
    assert run.state is RunState.QUEUED
    deployment.bring_forward(run)
    deployment.attempt().execute()
    assert deployment.scoped.run(run.id).state is RunState.SUCCESS
    assert deployment.snapshots() == [run.id]


# -- runs of one flow ------------------------------------------------------------------------------


def test_runs_of_one_flow_go_one_after_another_and_flows_side_by_side(
    deployment: Deployment, source: tuple[str, dict[str, str]]
) -> None:
    first, second = _flow(deployment, source), _flow(deployment, source)
    expected = [deployment.enqueue(flow, *WINDOWS[0], "at").id for flow in (first, first, second)]
    claims = [deployment.store.queue.claim("test", lease=5) for _ in range(3)]
    assert [claim and claim.run.id for claim in claims] == [expected[0], expected[2], None]


def test_a_run_that_waited_for_its_time_does_not_meet_a_later_one(
    deployment: Deployment, source: tuple[str, dict[str, str]]
) -> None:
    flow = _flow(deployment, source)
    waiting = deployment.enqueue(flow, *WINDOWS[0], "at", start_ms=TOMORROW)
    later = deployment.enqueue(flow, *WINDOWS[0], "at")
    claim = deployment.store.queue.claim("test", lease=15)
    assert claim is not None
    assert claim.run.id == later.id
    deployment.bring_forward(waiting)
    assert deployment.store.queue.claim("test", lease=15) is None
    deployment.store.queue.finish(claim.run, RunState.SUCCESS, metrics={}, activities=[])
    following = deployment.store.queue.claim("test", lease=15)
    assert following is not None
    assert following.run.id == waiting.id


def _forbidden(*_arguments: object) -> None:
    raise AssertionError("the source was read again")


def _wait(done: Any, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "waited too long"
        threading.Event().wait(0.02)
