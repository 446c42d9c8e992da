"""Scheduled flows: which runs are made, when, and what they land, on either database, by a clock of our own."""

import os
import sqlite3
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from headgate.engine import Worker
from headgate.errors import NotFound
from headgate.model.query import Query
from headgate.model.resources import Kind, new_etag, now_ms
from headgate.model.runs import Run, RunState
from headgate.sources import connection_specs
from tests.deployment import Deployment, multiset

SPECS = {spec.name: spec.id for spec in connection_specs()}
MINUTE, HOUR, DAY = 60, 3600, 86_400  # seconds
COPY = {"name": "Copy", "params": {"deltaColumn": {"name": "at"}}}


class Clock:
    """The database's clock, put forward by `seconds`."""

    def __init__(self, store: Any) -> None:
        self.seconds = 0
        self.present = 0
        engine: sa.Engine = store._engine
        clock = {
            "sqlite": "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)",
            "postgresql": "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)",
        }[engine.dialect.name]

        @sa.event.listens_for(engine, "before_cursor_execute", retval=True)
        def turned(_c: Any, _u: Any, statement: str, parameters: Any, _x: Any, _m: bool) -> tuple[str, Any]:
            return statement.replace(clock, f"({clock} + {self.seconds * 1000})"), parameters

    def pass_by(self, seconds: int) -> None:
        self.seconds += seconds

    @property
    def now(self) -> int:
        """The present, in whole seconds."""
        return now_ms() // 1000 + self.seconds


class Scheduled:
    """A deployment whose table `events` a flow brings by schedule."""

    def __init__(self, deployment: Deployment, folder: Path) -> None:
        self.deployment, self.folder = deployment, folder
        self.store, self.scoped = deployment.store, deployment.scoped
        self.clock = Clock(deployment.store)
        with sqlite3.connect(folder / "events.sqlite") as connection:
            connection.execute("CREATE TABLE events (id INTEGER, at TIMESTAMP)")
        connection.close()

    def insert(self, id_: int, at: int) -> None:
        with sqlite3.connect(self.folder / "events.sqlite") as connection:
            moment = datetime.fromtimestamp(at, UTC).replace(tzinfo=None).isoformat(" ")
            connection.execute("INSERT INTO events VALUES (?, ?)", (id_, moment))
        connection.close()

    def flow(self, frequency: str = "hour", interval: int | str = 1, *, start: int = 0, **more: Any) -> str:
        schedule = {"frequency": frequency, "interval": interval, "startTime": str(start), **more}
        return self.deployment.flow(
            SPECS["sqlite"],
            {"path": str(self.folder / "events.sqlite")},
            {"tableName": "events"},
            body={"scheduleParams": schedule, "transformations": [COPY]},
        )

    def change(self, flow_id: str, *, state: str | None = None, **schedule: Any) -> None:
        flow = self.scoped.get(Kind.FLOW, flow_id)
        params = {**flow.body["scheduleParams"], **schedule}
        changed = flow.evolve(
            state=state or flow.state,
            body={**flow.body, "scheduleParams": {k: v for k, v in params.items() if v is not None}},
            etag=new_etag(now_ms()),
        )
        self.scoped.update(changed, etag=flow.etag)

    def due(self, seconds: int = 0) -> Run | None:
        """The run that is made after that time has passed."""
        self.clock.pass_by(seconds)
        return self.store.planner.make_due()

    def executed(self, seconds: int = 0) -> Run:
        """The same run, executed to its end."""
        run = self.due(seconds)
        assert run is not None
        self.deployment.attempt().execute()
        return self.scoped.run(run.id)

    def end(self, state: RunState, run: Run) -> None:
        """End the run in `state` without a look at the source."""
        claim = self.store.queue.claim("test", lease=5)
        assert claim is not None
        assert claim.run.id == run.id
        self.store.queue.finish(claim.run, state, metrics={}, activities=[])


@pytest.fixture
def scheduled(tmp_path: Path, own_metadata: str) -> Iterator[Scheduled]:
    deployment = Deployment(tmp_path, metadata_url=own_metadata)
    yield Scheduled(deployment, tmp_path)
    deployment.close()


def seconds(run: Run) -> tuple[int, int]:
    return run.window.start_ms // 1000, run.window.end_ms // 1000


def test_each_due_time_makes_one_run_and_the_rows_land_once(scheduled: Scheduled) -> None:
    begin = scheduled.clock.now
    for id_, at in enumerate(range(begin - 5 * HOUR, begin + 5 * HOUR, 20 * MINUTE)):
        scheduled.insert(id_, at)
    flow = scheduled.flow(backfill="true")
    windows = []
    for look in range(4):
        run = scheduled.executed(2 if look == 0 else HOUR)
        assert run.state is RunState.SUCCESS, run.metrics
        assert scheduled.due() is None
        windows.append(seconds(run))
    assert windows[0][0] == 0
    assert abs(windows[0][1] - begin) <= 2
    assert [end - start for start, end in windows[1:]] == [HOUR] * 3
    assert [end for _, end in windows[:-1]] == [start for start, _ in windows[1:]]
    expected = [id_ for id_ in range(30) if begin - 5 * HOUR + id_ * 20 * MINUTE < windows[-1][1]]
    assert multiset(scheduled.deployment.rows()) == multiset(
        (id_, datetime.fromtimestamp(begin - 5 * HOUR + id_ * 20 * MINUTE, UTC).replace(tzinfo=None))
        for id_ in expected
    )
    assert scheduled.scoped.runs(Query(count=True)).total == 4
    assert len(set(scheduled.deployment.snapshots())) == 4
    assert scheduled.scoped.last_run(flow) is not None


def test_a_scheduled_run_looks_as_any_other(scheduled: Scheduled) -> None:
    flow = scheduled.flow()
    run = scheduled.due(2)
    assert run is not None
    start, end = seconds(run)
    assert run.params == {
        "startTime": end,
        "windowStartTime": start,
        "windowEndTime": end,
        "deltaColumn": {"name": "at"},
    }
    owner = scheduled.scoped.get(Kind.FLOW, flow)
    stored = scheduled.scoped.run(run.id)
    assert stored.state is RunState.SCHEDULED
    assert (stored.created_by, stored.created_client) == (owner.created_by, owner.created_client)
    assert (stored.flow_id, stored.flow_spec, stored.frozen) == (flow, owner.body["flowSpec"], owner.frozen)
    assert stored.delta_column is not None
    assert stored.delta_column.name == "at"
    assert stored.due_ms == run.window.end_ms


def test_without_backfill_only_what_appears_from_the_start_time_on_is_taken(scheduled: Scheduled) -> None:
    start = scheduled.clock.now + DAY
    scheduled.insert(1, start - 1)
    scheduled.insert(2, start)
    scheduled.insert(3, start + HOUR)
    scheduled.flow(start=start, backfill=False)
    assert scheduled.due(DAY + 1) is None
    run = scheduled.executed(HOUR)
    assert seconds(run) == (start, start + HOUR)
    assert [row[0] for row in scheduled.deployment.rows()] == [2]


@pytest.mark.parametrize(
    ("frequency", "interval", "period"),
    [("minute", "15", 15 * MINUTE), ("hour", 6, 6 * HOUR), ("day", 1, DAY), ("week", "2", 14 * DAY)],
)
def test_every_frequency(scheduled: Scheduled, frequency: str, interval: int | str, period: int) -> None:
    start = scheduled.clock.now + 100
    scheduled.flow(frequency, interval, start=start)
    assert scheduled.due() is None
    ends = []
    for pause in (101, period, period):
        run = scheduled.due(pause)
        assert run is not None
        scheduled.end(RunState.SUCCESS, run)
        ends.append(seconds(run)[1])
        assert scheduled.due() is None
    assert ends == [start, start + period, start + 2 * period]


def test_due_times_that_were_missed_become_one_run(scheduled: Scheduled) -> None:
    start = scheduled.clock.now + 10
    scheduled.flow("minute", 15, start=start)
    run = scheduled.due(DAY)
    assert run is not None
    assert seconds(run) == (0, start + (DAY - 10) // (15 * MINUTE) * 15 * MINUTE)
    scheduled.end(RunState.SUCCESS, run)
    assert scheduled.due() is None


def test_a_flow_that_is_not_enabled_makes_no_run_and_goes_on_without_a_hole(scheduled: Scheduled) -> None:
    flow = scheduled.flow()
    first = scheduled.due(2)
    assert first is not None
    scheduled.end(RunState.SUCCESS, first)
    scheduled.change(flow, state="disabled")
    assert scheduled.due(5 * HOUR) is None
    scheduled.change(flow, state="enabled")
    run = scheduled.due()
    assert run is not None
    assert run.window.start_ms == first.window.end_ms
    assert run.window.end_ms - run.window.start_ms == 5 * HOUR * 1000
    scheduled.end(RunState.SUCCESS, run)
    scheduled.scoped.delete(Kind.FLOW, flow)
    assert scheduled.due(DAY) is None
    with pytest.raises(NotFound):
        scheduled.scoped.get(Kind.FLOW, flow)


def test_a_draft_makes_no_run_before_it_is_published(scheduled: Scheduled) -> None:
    flow = scheduled.flow(start=scheduled.clock.now + HOUR)
    scheduled.change(flow, state="draft")
    assert scheduled.due(3 * HOUR) is None
    scheduled.change(flow, state="enabled")
    published = scheduled.clock.now
    run = scheduled.due(2)
    assert run is not None
    assert abs(run.window.end_ms // 1000 - published) <= 2


def test_a_run_that_failed_leaves_its_window_to_the_next(scheduled: Scheduled) -> None:
    scheduled.flow()
    first = scheduled.due(2)
    assert first is not None
    scheduled.end(RunState.SUCCESS, first)
    failed = scheduled.due(HOUR)
    assert failed is not None
    scheduled.end(RunState.FAILED, failed)
    assert scheduled.due() is None  # not before the next due time
    run = scheduled.due(HOUR)
    assert run is not None
    assert run.window.start_ms == failed.window.start_ms == first.window.end_ms
    assert run.window.end_ms == failed.window.end_ms + HOUR * 1000


def test_a_window_that_was_run_again_is_not_taken_twice(scheduled: Scheduled) -> None:
    scheduled.flow()
    failed = scheduled.due(2)
    assert failed is not None
    scheduled.end(RunState.FAILED, failed)
    repeated = _again(scheduled, failed)
    assert scheduled.due(HOUR) is None  # it waits: which window comes next is not known yet
    scheduled.end(RunState.SUCCESS, repeated)
    run = scheduled.due()
    assert run is not None
    assert run.window.start_ms == failed.window.end_ms


def test_the_next_run_waits_for_the_one_before(scheduled: Scheduled) -> None:
    scheduled.flow()
    slow = scheduled.due(2)
    assert slow is not None
    assert scheduled.due(3 * HOUR) is None
    scheduled.end(RunState.SUCCESS, slow)
    run = scheduled.due()
    assert run is not None
    assert run.window.start_ms == slow.window.end_ms
    assert run.window.end_ms == slow.window.end_ms + 3 * HOUR * 1000


def test_a_cancelled_run_leaves_its_window_to_the_next(scheduled: Scheduled) -> None:
    scheduled.flow()
    run = scheduled.due(2)
    assert run is not None
    scheduled.scoped.cancel_run(run.id)
    following = scheduled.due(HOUR)
    assert following is not None
    assert following.window.start_ms == 0


def test_an_ad_hoc_run_never_moves_the_schedule(scheduled: Scheduled) -> None:
    flow = scheduled.flow()
    first = scheduled.due(2)
    assert first is not None
    scheduled.end(RunState.SUCCESS, first)
    end = datetime.fromtimestamp(scheduled.clock.now + 9 * HOUR, UTC).replace(tzinfo=None)
    ad_hoc = scheduled.deployment.enqueue(flow, "1970-01-01T00:00:00", end.isoformat(), "at")
    scheduled.end(RunState.SUCCESS, ad_hoc)
    run = scheduled.due(HOUR)
    assert run is not None
    assert run.window.start_ms == first.window.end_ms


def test_a_changed_schedule_takes_effect(scheduled: Scheduled) -> None:
    start = scheduled.clock.now + HOUR
    flow = scheduled.flow("day", 1, start=start)
    scheduled.change(flow, startTime=start + HOUR)
    assert scheduled.due(HOUR + 1) is None
    first = scheduled.due(HOUR)
    assert first is not None
    assert seconds(first) == (0, start + HOUR)
    scheduled.end(RunState.SUCCESS, first)
    scheduled.change(flow, frequency="minute", interval="30")
    run = scheduled.due(30 * MINUTE)
    assert run is not None
    assert seconds(run) == (start + HOUR, start + HOUR + 30 * MINUTE)
    scheduled.end(RunState.SUCCESS, run)
    scheduled.change(flow, frequency="once", interval=None)
    assert scheduled.due(DAY) is None


def test_a_flow_on_demand_is_never_due(scheduled: Scheduled) -> None:
    flow = scheduled.flow()
    scheduled.change(flow, frequency="once", interval=None)
    assert scheduled.due(10 * DAY) is None


def test_files_are_taken_by_their_last_modified_time(scheduled: Scheduled) -> None:
    folder = scheduled.folder / "files"
    folder.mkdir()

    def put(name: str, at: int) -> None:
        (folder / name).write_text(f"name\n{name}\n")
        os.utime(folder / name, (at, at))

    start = scheduled.clock.now + HOUR
    put("old.csv", start - DAY)
    put("edge.csv", start)  # a file of the due time itself is the next run's
    scheduled.deployment.flow(
        SPECS["local-files"],
        {"folder": str(scheduled.folder)},
        {"path": "files", "type": "folder"},
        data={"format": "delimited"},
        kind="file",
        body={"scheduleParams": {"frequency": "day", "interval": 1, "startTime": start}},
    )
    run = scheduled.executed(HOUR + 1)
    assert run.delta_column is None
    assert "deltaColumn" not in run.params
    assert [row[0] for row in scheduled.deployment.rows()] == ["old.csv"]
    put("new.csv", start + HOUR)
    put("later.csv", start + DAY)
    scheduled.executed(DAY)
    assert sorted(row[0] for row in scheduled.deployment.rows()) == ["edge.csv", "new.csv", "old.csv"]


def test_many_workers_make_each_run_once(scheduled: Scheduled) -> None:
    flows = [scheduled.flow() for _ in range(6)]
    scheduled.clock.pass_by(2)
    barrier = threading.Barrier(8)

    def look(_: int) -> list[str]:
        barrier.wait()
        made = []
        for _ in range(10):
            if (run := scheduled.store.planner.make_due()) is not None:
                made.append(run.flow_id)
        return made

    with ThreadPoolExecutor(8) as pool:
        made = [flow for looked in pool.map(look, range(8)) for flow in looked]
    assert sorted(made) == sorted(flows)
    assert scheduled.scoped.runs(Query(count=True)).total == 6


def test_disabling_while_workers_look_is_never_between(scheduled: Scheduled) -> None:
    """Either the run was made before, or it is not made at all until the flow is enabled again."""
    flow = scheduled.flow()
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            looks = [pool.submit(scheduled.store.planner.make_due) for _ in range(3)]
            scheduled.clock.pass_by(HOUR)
            scheduled.change(flow, state="disabled")
            runs = [run for look in looks if (run := look.result()) is not None]
            assert len(runs) <= 1
            assert scheduled.due(HOUR) is None
            for run in runs:
                scheduled.end(RunState.SUCCESS, run)
            scheduled.change(flow, state="enabled")


class Held:
    """Holds the first statement that begins with `words`, once it is armed, until it is let go."""

    def __init__(self, store: Any, words: str) -> None:
        self.armed, self.reached, self.go = threading.Event(), threading.Event(), threading.Event()
        engine: sa.Engine = store._engine

        @sa.event.listens_for(engine, "before_cursor_execute")
        def held(_c: Any, _u: Any, statement: str, _p: Any, _x: Any, _m: bool) -> None:
            if self.armed.is_set() and not self.reached.is_set() and statement.startswith(words):
                self.reached.set()
                assert self.go.wait(20)


def test_a_run_made_while_its_sandbox_is_closed_is_cancelled(scheduled: Scheduled) -> None:
    scheduled.flow()
    scheduled.clock.pass_by(2)
    held = Held(scheduled.store, "INSERT INTO runs")
    held.armed.set()
    with ThreadPoolExecutor(2) as pool:
        made = pool.submit(scheduled.store.planner.make_due)
        assert held.reached.wait(20)
        closed = pool.submit(scheduled.store.sandboxes.close, "ORG", "prod")
        threading.Event().wait(0.3)  # for the closing to come to where it waits
        held.go.set()
        run = made.result()
        closed.result()
    assert run is not None
    assert scheduled.scoped.run(run.id).state is RunState.CANCELLED
    scheduled.change(run.flow_id, interval=2)  # by somebody who was let in before
    assert scheduled.due(DAY) is None


def test_a_run_ends_while_its_sandbox_is_closed(scheduled: Scheduled) -> None:
    """Both take the plan and the run, in the same order: neither keeps the other from going on."""
    scheduled.flow()
    run = scheduled.due(2)
    assert run is not None
    held = Held(scheduled.store, "UPDATE runs SET state=")
    claim = scheduled.store.queue.claim("test", lease=60)
    assert claim is not None
    held.armed.set()
    with ThreadPoolExecutor(2) as pool:
        ended = pool.submit(scheduled.store.queue.finish, claim.run, RunState.SUCCESS, metrics={}, activities=[])
        assert held.reached.wait(20)
        closed = pool.submit(scheduled.store.sandboxes.close, "ORG", "prod")
        threading.Event().wait(0.3)
        held.go.set()
        ended.result()
        closed.result()
    assert scheduled.scoped.run(run.id).state is RunState.SUCCESS


def test_a_worker_makes_and_executes_the_runs_that_are_due(scheduled: Scheduled) -> None:
    scheduled.insert(1, scheduled.clock.now - DAY)
    flow = scheduled.flow()
    scheduled.clock.pass_by(2)
    workers = [
        Worker(
            scheduled.store, scheduled.deployment.lake, scheduled.deployment.settings.model_copy(update={"poll": 0.05})
        )
        for _ in range(2)
    ]
    for worker in workers:
        worker.start()
    try:
        end = datetime.now() + timedelta(seconds=20)
        while scheduled.scoped.last_run(flow, succeeded=True) is None:
            assert datetime.now() < end, "waited too long"
            threading.Event().wait(0.02)
    finally:
        for worker in workers:
            worker.stop()
    assert [row[0] for row in scheduled.deployment.rows()] == [1]
    assert scheduled.scoped.runs(Query(count=True)).total == 1


def test_a_worker_outlives_a_plan_that_cannot_be_followed(scheduled: Scheduled) -> None:
    """Nothing writes such a row; but were there one, the worker would go on with all the rest."""
    scheduled.insert(1, scheduled.clock.now - DAY)
    flow = scheduled.flow()
    run = scheduled.due(2)
    assert run is not None
    broken = scheduled.flow()
    with scheduled.store._transactions.write() as connection:
        connection.execute(
            sa.text("UPDATE schedules SET start_at = 0, period = 0, due_at = 1 WHERE flow_id = :flow"), {"flow": broken}
        )
    with pytest.raises(ZeroDivisionError):
        scheduled.due()
    settings = scheduled.deployment.settings.model_copy(update={"poll": 0.05})
    worker = Worker(scheduled.store, scheduled.deployment.lake, settings)
    worker.start()
    try:
        end = datetime.now() + timedelta(seconds=20)
        while scheduled.scoped.last_run(flow, succeeded=True) is None:
            assert datetime.now() < end, "waited too long"
            threading.Event().wait(0.02)
    finally:
        worker.stop()


def _again(scheduled: Scheduled, run: Run) -> Run:
    """The run that repeats `run`."""
    present, flow = now_ms(), scheduled.scoped.get(Kind.FLOW, run.flow_id)
    again = run.again(flow.frozen, flow.delta_column, str(uuid.uuid4()), present).evolve(etag=new_etag(present))
    return scheduled.scoped.add_run(again, flow_etag=flow.etag)
