"""The lake's tables are written, altered, dropped and locked by others, and its disk fills up."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.faults.case import Case, found_table, rows_of
from tests.faults.disks import small_disk
from tests.faults.matrix import fault
from tests.faults.sources import SqliteTable, within
from tests.faults.world import World

DAY = (0, 240)

_OTHER = """
import sys, time
from pyiceberg.catalog.sql import SqlCatalog
warehouse, name, what = sys.argv[1:]
catalog = SqlCatalog("lake", uri=f"sqlite:///{warehouse}/catalog.db?timeout=10", warehouse=f"file://{warehouse}")
found = [i for t in catalog.list_namespaces() for n in catalog.list_namespaces(t) for i in catalog.list_tables(n)]
identifier = next(i for i in found if i[-1] == name)
table = catalog.load_table(identifier)
if what == "append":
    rows = table.scan(limit=1).to_arrow()
    print("begun", flush=True)
    for _ in range(30):
        try:
            table.refresh()
            table.append(rows)
            print("row", flush=True)
        except Exception:
            pass
        time.sleep(0.25)
elif what == "add":
    with table.update_schema() as update:
        from pyiceberg.types import StringType
        update.add_column("comment", StringType())
elif what == "remove":
    with table.update_schema(allow_incompatible_changes=True) as update:
        update.delete_column("name")
elif what == "drop":
    catalog.drop_table(identifier)
elif what == "compact":
    table.overwrite(table.scan().to_arrow())
elif what == "expire":
    old = [s.snapshot_id for s in table.snapshots() if s.snapshot_id != table.current_snapshot().snapshot_id]
    table.maintenance.expire_snapshots().by_ids(old).commit()
"""


def _other(case: Case, what: str) -> "subprocess.Popen[str]":
    """Another engine that does this to the case's table, from a process of its own."""
    command = [sys.executable, "-c", _OTHER, str(case.world.data / "warehouse"), case.name, what]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _done(other: "subprocess.Popen[str]") -> str:
    said, errors = other.communicate(timeout=60)
    assert other.returncode == 0, errors
    return said


@contextmanager
def _begun(case: Case) -> Iterator[str]:
    """A flow whose table has the rows of one run."""
    flow = case.flow()
    worker = case.worker()
    case.ends(case.run(flow, (200, 300)))
    worker.end()
    yield flow


@fault("F9", "another writer commits to the table all the time")
def test_other_writer(case: Case) -> None:
    with _begun(case) as flow:
        worker = case.worker("commit.before:sleep=0.7@1,0")
        writer = _other(case, "append")
        assert writer.stdout is not None
        assert writer.stdout.readline() == "begun\n"
        runs = [case.run(flow, window) for window in ((0, 60), (60, 120), (0, 60))]
        for run in runs:
            case.ends(run)
            assert run.status == "success", run.reasons
        tries = len(worker.events("fault"))
        # A row that is replaced with its window would take the writer's copies of it along: they carry the run's name.
        case.foreign = within(case.source, (200, 201)) * _done(writer).count("row")
        assert tries > 3
        case.seen = f"3 runs succeed by {tries} commits tried"


@fault("F34", "40 runs over overlapping windows of one flow, two workers")
def test_overlapping_windows(case: Case) -> None:
    flow = case.flow()
    for _ in range(2):
        case.worker()
    for number in range(40):
        case.run(flow, (number * 5, number * 5 + 40))
    for run in case.runs:
        case.ends(run, 90)
        assert run.status == "success", run.reasons
    case.seen = "one after another, 40 snapshots, each row once"


@fault("F34", "two flows append to one table at the same time")
def test_two_flows_one_table(case: Case) -> None:
    flows = [case.flow("append"), case.flow()]
    for _ in range(2):
        case.worker("commit.before:sleep=0.2@1,0")
    for number in range(6):
        for flow in flows:
            case.run(flow, (number * 20, number * 20 + 40))
    for run in case.runs:
        case.ends(run, 60)
        assert run.status == "success", run.reasons
    case.seen = "12 runs succeed, what the one appended stays"


@fault("F35", "another engine {what} amid a run")
@pytest.mark.parametrize(
    "what",
    [
        pytest.param("add", id="adds a column"),
        pytest.param("remove", id="removes a column"),
        pytest.param("compact", id="compacts the table"),
    ],
)
def test_table_changed(case: Case, what: str) -> None:
    with _begun(case) as flow:
        worker = case.worker("commit.before:sleep=4")
        run = case.run(flow, DAY)
        worker.reached("commit.before")
        _done(_other(case, what))
        case.ends(run)
        case.seen = f"{run.status} {run.reasons[:120]}".strip()
        assert run.status == "success", run.reasons
        if what == "add":
            _reshape(case, lambda row: (*row, None))
        elif what == "remove":
            assert run.attempt == 2, "it has to read again for a table that lost a column it had read"
            case.without["I1"] = case.without["I5"] = "the rows of the runs before lost a column with the table"


def _reshape(case: Case, change: object) -> None:
    assert callable(change)
    case.source.rows = [(at, change(row)) for at, row in case.source.rows]
    for run in case.runs:
        run.rows = [change(row) for row in run.rows]


@fault("F35", "another engine drops the table amid a run")
def test_table_dropped(case: Case) -> None:
    with _begun(case) as flow:
        worker = case.worker("staged.recorded:sleep=6")
        run = case.run(flow, DAY)
        worker.reached("staged.recorded")
        _done(_other(case, "drop"))
        case.ends(run, 60)
        case.without["I1"] = case.without["I2"] = "the table is gone, with the rows of the run before"
        case.without["I5"] = "as before"
        assert "was dropped meanwhile" in run.reasons, run.reasons
        case.seen = f"{run.status} by attempt {run.attempt} {run.reasons[:120]}".strip()


@fault("F35", "another engine expires all old snapshots between the commit and its report")
def test_snapshots_expired(case: Case) -> None:
    with _begun(case) as flow:
        worker = case.worker("finish.before:kill")
        run = case.run(flow, DAY)
        assert worker.died() == -signal.SIGKILL
        _done(_other(case, "append"))  # so that the run's snapshot is not the present one
        with found_table(case.world, case.name) as table:
            extra = len(rows_of(table)) - 240 - 60
        _done(_other(case, "expire"))
        case.heal()
        case.ends(run)
        assert run.status == "success", run.reasons
        with found_table(case.world, case.name) as table:
            assert len(rows_of(table)) == 240 + 60 + extra
        case.without["I1"] = "counted: nothing came twice; the other writer's rows copy one of the run's"
        case.without["I2"] = "the evidence is what was taken away"
        case.without["I5"] = "as before"
        case.seen = f"success by attempt {run.attempt}, the rows once"


@fault("F24", "catalog locked for {seconds} s over a commit")
@pytest.mark.parametrize("seconds", [4, 14])
def test_catalog_locked(case: Case, seconds: int) -> None:
    with _begun(case) as flow:
        worker = case.worker("commit.before:sleep=0.5")
        run = case.run(flow, DAY)
        worker.reached("commit.before")
        catalog = case.world.data / "warehouse" / "catalog.db"
        with closing(sqlite3.connect(catalog, isolation_level=None, timeout=10)) as other:
            other.execute("BEGIN IMMEDIATE")
            time.sleep(seconds)
            other.execute("ROLLBACK")
        case.ends(run, 60)
        assert run.status == "success", run.reasons
        case.seen = f"success by attempt {run.attempt}"


@pytest.fixture
def cramped(tmp_path: Path) -> Iterator[Case]:
    """A case whose warehouse lies on a small disk."""
    folder = tmp_path / "world"
    with small_disk(folder / "data" / "warehouse", "3m"):
        world = World(folder, "")
        (folder / "source").mkdir()
        case = Case(world, SqliteTable(folder / "source", 2000, payload=4000))
        try:
            yield case
        finally:
            case.close()
            world.close()


@fault("F23", "warehouse's disk is full amid a copy")
def test_disk_full_amid_a_copy(cramped: Case) -> None:
    flow = cramped.flow()
    worker = cramped.worker()
    first = cramped.run(flow, (0, 100))
    cramped.ends(first)
    run = cramped.run(flow, (0, 2000))
    cramped.ends(run, 60)
    assert (first.status, run.status) == ("success", "failed")
    assert worker.alive
    cramped.seen = f"failed: {run.reasons[:100]}; the table is as it was"


@fault("F23", "warehouse's disk is full over the commit")
def test_disk_full_over_the_commit(cramped: Case) -> None:
    flow = cramped.flow()
    worker = cramped.worker("commit.before:sleep=0.1@1; staged.recorded:sleep=2@2")
    cramped.ends(cramped.run(flow, (0, 100)))
    run = cramped.run(flow, (100, 150))
    worker.reached("staged.recorded")
    disk = cramped.world.data / "warehouse"
    filler = disk / "filler"
    with filler.open("wb") as file:
        about = os.statvfs(disk)
        file.write(b"\0" * (about.f_bavail * about.f_frsize))
    ended = cramped.settled(run, 20)
    filler.unlink()
    cramped.ends(run)
    cramped.seen = f"{run.status} by attempt {run.attempt} {run.reasons[:100]}" + ("" if ended else ", with room again")


@fault("F37", "a staged file is cut short, and its worker killed")
def test_staged_file_cut(case: Case) -> None:
    worker = case.worker("staged.recorded:sleep=3")
    run = case.run(case.flow(), DAY)
    worker.reached("staged.recorded")
    worker.kill()
    staged = list((case.world.data / "warehouse").glob(f"**/data/{run.id}/*.parquet"))
    assert staged
    for path in staged:
        os.truncate(path, path.stat().st_size - 100)
    case.heal()
    case.ends(run)
    assert run.status == "success", run.reasons
    case.seen = f"success by attempt {run.attempt}"


@fault("F37", "a byte of a staged file is turned, and its worker killed")
def test_staged_byte_turned(case: Case) -> None:
    worker = case.worker("staged.recorded:sleep=3")
    run = case.run(case.flow(), DAY)
    worker.reached("staged.recorded")
    worker.kill()
    for path in (case.world.data / "warehouse").glob(f"**/data/{run.id}/*.parquet"):
        content = bytearray(path.read_bytes())
        content[len(content) // 3] ^= 0xFF
        path.write_bytes(content)
    case.heal()
    case.ends(run)
    assert run.status == "success", run.reasons
    case.seen = f"success by attempt {run.attempt}"
