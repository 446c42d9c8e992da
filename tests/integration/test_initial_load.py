"""Flows with the frequency once that bring everything at their start time, as HEADGATE_ONCE_INITIAL_LOAD asks."""

import os
import sqlite3
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest

from headgate.engine.landing import Landing
from headgate.errors import MappingFailed
from headgate.mapping import Shape
from headgate.model.lake import Column, LakeType
from headgate.model.resources import Kind, WriteMode, new_etag, now_ms
from headgate.model.runs import RunState
from headgate.sources import Reading
from tests.deployment import Deployment
from tests.integration.test_schedules import DAY, HOUR, SPECS, Scheduled, seconds


@pytest.fixture
def loading(tmp_path: Path, own_metadata: str) -> Iterator[Scheduled]:
    deployment = Deployment(tmp_path, metadata_url=own_metadata, once_initial_load=True)
    yield Scheduled(deployment, tmp_path)
    deployment.close()


def once(loading: Scheduled, *, start: int, mode: str = "replaceWindow", **more: Any) -> str:
    return loading.deployment.flow(
        SPECS["sqlite"],
        {"path": str(loading.folder / "events.sqlite")},
        {"tableName": "events"},
        body={"scheduleParams": {"frequency": "once", "startTime": start}},
        mode=mode,
        **more,
    )


def ids(loading: Scheduled) -> list[Any]:
    return sorted(row[0] for row in loading.deployment.rows())


def changed(loading: Scheduled, flow_id: str, **body: Any) -> None:
    flow = loading.scoped.get(Kind.FLOW, flow_id)
    loading.scoped.update(flow.evolve(body={**flow.body, **body}, etag=new_etag(now_ms())), etag=flow.etag)


def some_events(loading: Scheduled) -> None:
    """Rows 1 to 3 in 2013, 4 in 2033, and 5 without a time."""
    with sqlite3.connect(loading.folder / "events.sqlite") as connection:
        times = [(n, f"2013-01-0{n} 00:00:00") for n in (1, 2, 3)]
        connection.executemany("INSERT INTO events VALUES (?, ?)", [*times, (4, "2033-01-01 00:00:00"), (5, None)])
    connection.close()


def test_everything_is_brought_once_at_the_start_time(loading: Scheduled) -> None:
    start = loading.clock.now + HOUR
    once(loading, start=start)
    some_events(loading)
    assert loading.due() is None
    run = loading.executed(HOUR + 1)
    assert (run.state, run.delta_column, seconds(run)) == (RunState.SUCCESS, None, (0, start))
    assert run.params == {"startTime": start, "windowStartTime": 0, "windowEndTime": start}
    assert ids(loading) == [1, 2, 3, 4, 5]
    assert loading.due(10 * DAY) is None


def test_a_later_window_and_a_repeated_load_replace_the_rows(loading: Scheduled) -> None:
    flow = once(loading, start=1)
    some_events(loading)
    run = loading.executed(2)
    assert ids(loading) == [1, 2, 3, 4, 5]
    with sqlite3.connect(loading.folder / "events.sqlite") as connection:
        connection.execute("UPDATE events SET id = 20 WHERE id = 2")
    connection.close()
    loading.deployment.run(flow, "2013-01-02", "2013-01-04", "at")
    assert ids(loading) == [1, 3, 4, 5, 20]
    again = run.again(run.frozen, None, str(uuid.uuid4()), now_ms())
    loading.scoped.add_run(again, flow_etag=loading.scoped.get(Kind.FLOW, flow).etag)
    loading.deployment.attempt().execute()
    assert loading.scoped.run(again.id).state is RunState.SUCCESS
    assert ids(loading) == [1, 3, 4, 5, 20]


def test_a_load_leaves_the_rows_of_other_flows(loading: Scheduled) -> None:
    some_events(loading)
    for _ in range(2):
        once(loading, start=1)
    for _ in range(2):
        loading.executed(2)
    assert ids(loading) == sorted([1, 2, 3, 4, 5] * 2)


def test_a_table_of_postgresql(loading: Scheduled, database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("CREATE TABLE t (id int, at timestamp)")
        connection.execute("INSERT INTO t VALUES (1, '2013-01-01'), (2, '2033-01-01'), (3, NULL)")
    flow = loading.deployment.flow(
        SPECS["postgresql"],
        {"connectionString": database},
        {"tableName": "public.t"},
        body={"scheduleParams": {"frequency": "once", "startTime": 1}},
    )
    assert loading.executed(2).state is RunState.SUCCESS
    assert ids(loading) == [1, 2, 3]
    loading.deployment.run(flow, "2013-01-01", "2013-01-02", "at")
    assert ids(loading) == [1, 2, 3]


def test_files_up_to_the_start_time(loading: Scheduled) -> None:
    folder, start = loading.folder / "files", loading.clock.now + HOUR
    folder.mkdir()
    for name, at in (("old.csv", start - DAY), ("later.csv", start)):
        (folder / name).write_text(f"name\n{name}\n")
        os.utime(folder / name, (at, at))
    loading.deployment.flow(
        SPECS["local-files"],
        {"folder": str(loading.folder)},
        {"path": "files", "type": "folder"},
        data={"format": "delimited"},
        kind="file",
        body={"scheduleParams": {"frequency": "once", "startTime": start}},
    )
    loading.executed(HOUR + 1)
    assert ids(loading) == ["old.csv"]
    assert loading.due(DAY) is None


def test_many_workers_make_it_once(loading: Scheduled) -> None:
    flows = [once(loading, start=1) for _ in range(3)]
    loading.clock.pass_by(2)
    with ThreadPoolExecutor(6) as pool:
        made = [run for _ in range(5) for run in pool.map(lambda _: loading.store.planner.make_due(), range(6))]
    assert sorted(run.flow_id for run in made if run is not None) == sorted(flows)


def test_only_flows_that_are_settled_while_it_is_asked_for(tmp_path: Path, own_metadata: str) -> None:
    without = Deployment(tmp_path, metadata_url=own_metadata)
    before = Scheduled(without, tmp_path)
    flow = once(before, start=1)
    assert before.due(HOUR) is None
    without.close()
    deployment = Deployment(tmp_path, metadata_url=own_metadata, once_initial_load=True)
    (tmp_path / "events.sqlite").unlink()
    loading = Scheduled(deployment, tmp_path)
    changed(loading, flow, name="another name")
    assert loading.due(HOUR) is None
    start = loading.clock.now + HOUR
    changed(loading, flow, scheduleParams={"frequency": "once", "startTime": start})
    assert loading.due() is None
    run = loading.due(HOUR + 1)
    assert run is not None
    assert seconds(run) == (0, start)
    deployment.close()


@pytest.mark.parametrize("mode", ["upsert", "append"])
def test_where_no_later_run_could_order_the_rows_it_is_refused(loading: Scheduled, mode: str) -> None:
    some_events(loading)
    once(loading, start=1, mode=mode, key=["id"] if mode == "upsert" else None)
    run = loading.executed(2)
    if mode == "append":
        assert ids(loading) == [1, 2, 3, 4, 5]
        return
    assert run.state is RunState.FAILED
    [error] = run.metrics["statusSummary"]["errors"]
    assert "knows no delta column" in error["message"]


def test_a_mapping_keeps_no_delta_value_that_is_not_known() -> None:
    reading = Reading((Column("id", LakeType("int")),), (), None, None)
    with pytest.raises(MappingFailed, match="knows no delta column"):
        Landing((), Shape(), WriteMode.REPLACE_WINDOW).onto(reading)
