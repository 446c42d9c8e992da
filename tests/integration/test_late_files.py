"""Files that come late, are touched again or come back: each version lands once, and is found again where it landed."""

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from headgate import faults
from headgate.engine.reuse import Earlier
from headgate.errors import AttemptLost
from headgate.model.files import FileVersion, TakenFile
from headgate.model.lake import SOURCE_FILE, SOURCE_MODIFIED
from headgate.model.resources import Kind
from headgate.model.runs import Run, RunState
from headgate.sources import files as files_of
from headgate.sources.context import Context
from headgate.sources.files import Files, Scratch
from headgate.store import tables
from tests.deployment import Deployment, at
from tests.integration.test_file_flows import LOCAL_FILES
from tests.local_files import Elsewhere

pytestmark = pytest.mark.parametrize("own_metadata", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def deployment(tmp_path: Path, own_metadata: str) -> Iterator[Deployment]:
    made = Deployment(tmp_path, metadata_url=own_metadata)
    yield made
    made.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "in"
    made.mkdir()
    return made


def put(folder: Path, name: str, modified: str, text: str = "") -> None:
    """A file of one row, its name or `text`, that was last modified so."""
    path = folder / f"{name}.csv"
    path.write_text(f"s\n{text or name}\n")
    touch(path, modified)


def touch(path: Path, modified: str) -> None:
    os.utime(path, ns=(0, at(modified) * 1_000_000))


def flow(deployment: Deployment, mode: str = "replaceWindow") -> str:
    params = {"path": "in"}
    return deployment.flow(LOCAL_FILES, {}, params, data={"format": "delimited"}, kind="file", mode=mode)


def days(deployment: Deployment, flow_id: str, *numbers: int) -> Run:
    """Runs over these days of January, one after another; the last one."""
    for number in numbers:
        run = deployment.run(flow_id, f"2024-01-{number:02}", f"2024-01-{number + 1:02}")
        assert run.state is RunState.SUCCESS, run.metrics
    return run


def landed(deployment: Deployment) -> list[str]:
    return sorted(row[0] for row in deployment.rows())


def late(run: Run) -> int:
    figures: int = run.metrics["fileSummary"].get("lateFileCount", 0)
    assert run.activities[0]["fileSummary"].get("lateFileCount", 0) == figures
    return figures


@pytest.mark.parametrize("mode", ["replaceWindow", "append"])
def test_a_late_file_lands_with_the_next_window_and_is_found_again_there(
    deployment: Deployment, folder: Path, mode: str
) -> None:
    put(folder, "first", "2024-01-01 10:00")
    flow_id = flow(deployment, mode)
    assert late(days(deployment, flow_id, 1)) == 0
    put(folder, "late", "2024-01-01 12:00")
    put(folder, "second", "2024-01-02 10:00")
    assert late(days(deployment, flow_id, 2)) == 1
    assert landed(deployment) == ["first", "late", "second"]
    took = {row[SOURCE_FILE]: row[SOURCE_MODIFIED] for row in deployment.arrow().to_pylist()}
    assert took[str(folder / "late.csv")] == datetime(2024, 1, 2, tzinfo=UTC)
    assert took[str(folder / "second.csv")] == datetime(2024, 1, 2, 10, tzinfo=UTC)
    assert late(days(deployment, flow_id, 3)) == 0
    if mode == "append":
        assert late(days(deployment, flow_id, 2)) == 0
        assert landed(deployment) == ["first", "late", "late", "second", "second"]
    else:
        assert late(days(deployment, flow_id, 1, 2, 1)) == 0
        assert landed(deployment) == ["first", "late", "second"]


def test_windows_that_were_never_read_go_by_the_times_of_the_files(deployment: Deployment, folder: Path) -> None:
    for number in (1, 2, 3, 4):
        put(folder, f"d{number}", f"2024-01-{number:02}")
    flow_id = flow(deployment)
    for number, there in ((3, ["d3"]), (1, ["d1", "d3"]), (4, ["d1", "d3", "d4"])):
        assert late(days(deployment, flow_id, number)) == 0
        assert landed(deployment) == there
    put(folder, "late", "2024-01-03 12:00")
    assert late(days(deployment, flow_id, 2)) == 1  # of a backfill, too: nothing else may ever read the third
    assert landed(deployment) == ["d1", "d2", "d3", "d4", "late"]


def test_a_window_in_the_future_was_read_up_to_now(deployment: Deployment, folder: Path) -> None:
    put(folder, "old", "2024-01-01")
    flow_id = flow(deployment)
    assert deployment.run(flow_id, "2024-01-01", "2099-01-01").state is RunState.SUCCESS
    put(folder, "future", "2098-01-01")
    put(folder, "late", "2024-05-01")
    assert late(days(deployment, flow_id, 1)) == 1
    assert landed(deployment) == ["late", "old"]  # a replaced window is the same for all who read it
    assert late(deployment.run(flow_id, "2024-01-02", "2099-01-01")) == 0
    assert landed(deployment) == ["future", "late", "old"]


def test_a_version_that_is_touched_again_stays_where_it_landed(
    deployment: Deployment, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def elsewhere(_params: Any, context: Context) -> Files:
        return Files(Elsewhere(folder.parent), Scratch.of(context.settings))

    monkeypatch.setattr(files_of, "open_local_files", elsewhere)
    put(folder, "same", "2024-01-01")
    put(folder, "changed", "2024-01-01")
    flow_id = flow(deployment)
    days(deployment, flow_id, 1)
    touch(folder / "same.csv", "2024-01-02")
    put(folder, "changed", "2024-01-02", "anew")
    assert late(days(deployment, flow_id, 2)) == 0
    assert landed(deployment) == ["anew", "changed", "same"]
    days(deployment, flow_id, 1)  # where only one of the two is still to be had
    assert landed(deployment) == ["anew", "same"]


def test_what_a_run_took_counts_only_if_it_landed(deployment: Deployment, folder: Path) -> None:
    flow_id = flow(deployment)
    put(folder, "first", "2024-01-01")
    days(deployment, flow_id, 1)
    put(folder, "late", "2024-01-01 12:00")
    (folder / "bad.csv").write_text("s,t\n1,2\n1\n")
    touch(folder / "bad.csv", "2024-01-02")
    failed = deployment.run(flow_id, "2024-01-02", "2024-01-03")
    assert failed.state is RunState.FAILED
    (folder / "bad.csv").unlink()
    assert noted(deployment) == ["first"]
    assert late(days(deployment, flow_id, 4)) == 1
    assert landed(deployment) == ["first", "late"]
    days(deployment, flow_id, 2)
    assert landed(deployment) == ["first", "late"]


def test_windows_from_before_files_were_noted_are_not_taken_for_read(deployment: Deployment, folder: Path) -> None:
    flow_id = flow(deployment)
    put(folder, "first", "2024-01-01")
    days(deployment, flow_id, 1)
    with deployment.store._engine.begin() as connection:  # as an older version left it
        connection.execute(sa.delete(tables.taken_files))
        connection.execute(sa.update(tables.runs).values(files_fence=None))
    assert late(days(deployment, flow_id, 2)) == 0
    assert landed(deployment) == ["first"]


def test_notes_are_their_flows_alone_and_go_with_it(deployment: Deployment, folder: Path) -> None:
    put(folder, "first", "2024-01-01")
    mine, other = flow(deployment), flow(deployment)
    days(deployment, mine, 1)
    put(folder, "late", "2024-01-01 12:00")
    run = deployment.enqueue(other, "2024-01-02", "2024-01-03")
    store = deployment.store.taken_files
    assert not store.any(run)
    assert not [*store.read_windows(run)]
    deployment.attempt().execute()
    assert late(deployment.scoped.run(run.id)) == 0
    assert noted(deployment) == ["first"]
    deployment.scoped.delete(Kind.FLOW, mine)
    assert noted(deployment) == []


class Crash(BaseException):
    """The end of a worker, in this process."""


@pytest.mark.parametrize("point", ["stage.after", "commit.before", "finish.before"])
@pytest.mark.parametrize("change", ["replaced", "more"])
def test_a_worker_that_dies_leaves_each_file_counted_as_it_landed(
    deployment: Deployment, folder: Path, point: str, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow_id = flow(deployment)
    put(folder, "first", "2024-01-01")
    days(deployment, flow_id, 1)
    put(folder, "late", "2024-01-01 12:00")
    put(folder, "second", "2024-01-02")
    run = deployment.enqueue(flow_id, "2024-01-02", "2024-01-03")

    def reached(name: str) -> None:
        if name == point:
            raise Crash

    dying = deployment.attempt()
    with monkeypatch.context() as patched:
        patched.setattr(faults, "point", reached)
        with pytest.raises(Crash):
            dying.execute()
    if change == "replaced":
        put(folder, "second", "2024-01-02 12:00", "anew")
    elif change == "more":
        put(folder, "later", "2024-01-01 13:00")
    deployment.abandon(run)
    deployment.attempt().execute()
    done = deployment.scoped.run(run.id)
    assert done.state is RunState.SUCCESS, done.metrics
    assert ("later" in landed(deployment)) == (
        change == "more" and point == "stage.after"
    )  # else what was staged counts
    there = landed(deployment)
    assert late(done) == there.count("late") + there.count("later")
    assert noted(deployment) == sorted({"second" if row == "anew" else row for row in there})
    days(deployment, flow_id, 3, 2)
    second = "anew" if change == "replaced" else "second"
    assert landed(deployment) == sorted(["first", "late", second, *(["later"] if change == "more" else [])])


def test_files_count_that_landed_though_another_worker_ends_the_run(
    deployment: Deployment, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow_id = flow(deployment)
    put(folder, "first", "2024-01-01")
    days(deployment, flow_id, 1)
    put(folder, "late", "2024-01-01 12:00")
    run = deployment.enqueue(flow_id, "2024-01-02", "2024-01-03")
    slow = threading.Thread(target=deployment.attempt().execute)
    committing, planned = threading.Event(), threading.Event()

    def reached(name: str) -> None:
        if name == "commit.before" and threading.current_thread() is slow:
            committing.set()
            planned.wait(30)
        elif name == "staged.recorded" and threading.current_thread() is not slow:
            planned.set()
            slow.join(30)

    monkeypatch.setattr(faults, "point", reached)
    monkeypatch.setattr(Earlier, "reading", lambda *_: None)  # or what the slow one staged would count for both
    slow.start()
    assert committing.wait(30)
    put(folder, "later", "2024-01-01 13:00")
    deployment.abandon(run)
    deployment.attempt().execute()
    done = deployment.scoped.run(run.id)
    assert (done.state, done.attempt, late(done)) == (RunState.SUCCESS, 2, 1)
    assert landed(deployment) == noted(deployment) == ["first", "late"]
    assert late(days(deployment, flow_id, 3)) == 1
    assert landed(deployment) == ["first", "late", "later"]


def test_a_worker_that_is_killed_between_commit_and_end_is_taken_over(
    deployment: Deployment, folder: Path, own_metadata: str
) -> None:
    flow_id = flow(deployment)
    put(folder, "first", "2024-01-01")
    days(deployment, flow_id, 1)
    put(folder, "late", "2024-01-01 12:00")
    run = deployment.enqueue(flow_id, "2024-01-02", "2024-01-03")
    environment = os.environ | {
        "HEADGATE_FAULTS": "finish.before:kill",
        "HEADGATE_FAULTS_MEANT": "yes",
        "HEADGATE_METADATA_URL": own_metadata,
        "HEADGATE_FILE_ROOTS": str(folder.parent),
    }
    command = [sys.executable, "-m", "headgate.cli", "worker", "--data", str(deployment.settings.data)]
    done = subprocess.run(command, env=environment, capture_output=True, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert landed(deployment) == ["first", "late"]
    assert deployment.scoped.run(run.id).state is RunState.IN_PROGRESS
    deployment.abandon(run)
    deployment.attempt().execute()
    ended = deployment.scoped.run(run.id)
    assert (ended.state, ended.attempt, late(ended)) == (RunState.SUCCESS, 2, 1)
    assert noted(deployment) == ["first", "late"]
    assert late(days(deployment, flow_id, 3)) == 0
    assert landed(deployment) == ["first", "late"]


@pytest.mark.parametrize("seed", [1])
def test_nothing_is_lost_or_doubled_whatever_the_clocks_say(deployment: Deployment, folder: Path, seed: int) -> None:
    chosen = random.Random(seed)
    flow_id, made, read = flow(deployment), [0], set[int]()
    for number in range(14):
        for _ in range(chosen.randrange(4)):
            put(folder, f"f{made[0]}", f"2024-01-{chosen.randrange(1, 9):02} {chosen.randrange(24):02}:00")
            made[0] += 1
        day = chosen.randrange(1, 9) if number < 13 else 20
        days(deployment, flow_id, day)
        read.add(day)
        there = landed(deployment) if deployment.files() else []
        assert len(there) == len(set(there))
    present = {path.stem: datetime.fromtimestamp(path.stat().st_mtime, UTC).day for path in folder.iterdir()}
    assert set(there) >= {name for name, day in present.items() if day in read}


def test_the_spans_that_were_read_are_few_however_many_runs_there_were(deployment: Deployment, folder: Path) -> None:
    flow_id = flow(deployment)
    for number in (1, 2, 3, 5, 6, 9):
        days(deployment, flow_id, number)
    deployment.run(flow_id, "2024-01-02", "2024-01-05")
    run = deployment.enqueue(flow_id, "2024-01-20", "2024-01-21")
    spans = [*deployment.store.taken_files.read_windows(run)]
    wanted = [("2024-01-01", "2024-01-07"), ("2024-01-09", "2024-01-10")]
    assert spans == [(at(start), at(end)) for start, end in wanted]


def test_only_the_owner_of_a_run_notes_what_it_takes(deployment: Deployment, folder: Path) -> None:
    run = deployment.enqueue(flow(deployment), "2024-01-02", "2024-01-03")
    files = [TakenFile(FileVersion("a", "1"), 1)]
    with pytest.raises(AttemptLost):
        deployment.store.taken_files.note(run, files)
    ours = deployment.attempt().run
    deployment.store.taken_files.note(ours, files)
    assert deployment.store.taken_files.last_fence(run) == ours.fence
    assert deployment.store.taken_files.times(run, [files[0].file]) == [None]


def noted(deployment: Deployment) -> list[str]:
    with deployment.store._engine.connect() as connection:
        return sorted(Path(row[0]).stem for row in connection.execute(sa.select(tables.taken_files.c.address)))
