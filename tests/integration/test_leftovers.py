"""Files that no snapshot lists are deleted in time, and no others."""

import os
import random
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from headgate.engine import Worker, next_upkeep
from headgate.engine import upkeep as engine_upkeep
from headgate.engine.upkeep import Upkeep
from headgate.model.resources import Kind, now_ms
from headgate.targets import Leftovers, leftovers
from tests.deployment import Deployment
from tests.integration.face import LOCAL_FILES
from tests.lake_tables import IDENTIFIER, Ingest, held

DAY = 86_400.0


@pytest.fixture
def ingest(tmp_path: Path) -> Iterator[Ingest]:
    made = Ingest(tmp_path / "warehouse", snapshots=4)
    yield made
    made.close()


class Clock:
    """The clock that leftovers go by, set forward by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._ahead = 0.0
        monkeypatch.setattr(leftovers, "time", SimpleNamespace(time=lambda: time.time() + self._ahead))

    def forward(self, seconds: float) -> None:
        self._ahead += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_what_is_left_is_what_the_snapshots_list(ingest: Ingest) -> None:
    chosen = random.Random(3)
    expected: dict[int, str] = {}
    swept = _of(ingest, grace=0)
    for number in range(30):
        start = chosen.randrange(20)
        rows = [(at, f"{number}-{at}") for at in range(start, start + 6)]
        ingest.bring(rows, replacing=(start, start + 6))
        expected |= dict(rows)
        if number % 5 == 4:
            assert swept.sweep() > 0
    table = ingest.table
    swept.sweep()
    for snapshot in table.iceberg.snapshots():
        assert table.iceberg.scan(snapshot_id=snapshot.snapshot_id).to_arrow().num_rows >= 6
    assert held(table) == sorted(expected.items())
    assert _files(table.location) == {Path(path.removeprefix("file://")) for path in leftovers._listed(table.iceberg)}
    assert not swept.waiting
    assert all(any(folder.iterdir()) for folder in (table.location / "data").iterdir())


def test_a_reader_in_the_middle_of_a_query_finds_its_files(ingest: Ingest, clock: Clock) -> None:
    for number in range(10):
        ingest.bring([(1, f"{number}")], replacing=(0, 10))
    reading = ingest.table.iceberg
    for number in range(10):  # the snapshot that is being read expires
        ingest.bring([(1, f"later {number}")], replacing=(0, 10))
    swept = _of(ingest, grace=3600)
    assert swept.sweep() == 0
    assert swept.waiting
    clock.forward(3000)
    assert swept.sweep() == 0
    assert reading.scan().to_arrow()["name"].to_pylist() == ["9"]

    clock.forward(601)
    assert swept.sweep() > 0
    assert held(ingest.table) == [(1, "later 9")]
    assert _of(ingest, grace=0).sweep() == 0


def test_a_table_whose_history_reaches_back_needs_no_second_look(ingest: Ingest, clock: Clock) -> None:
    for number in range(10):
        ingest.bring([(1, f"{number}")], replacing=(0, 10))
    assert _of(ingest, grace=3600).sweep() == 0
    clock.forward(3601)
    assert _of(ingest, grace=3600).sweep() > 0  # a worker that has just been started


def test_a_tag_on_an_old_snapshot_is_no_history_that_reaches_back(
    ingest: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest.bring([(1, "tagged")], replacing=(0, 10))
    tagged = ingest.table.iceberg.snapshots()[0]
    ingest.table.iceberg.manage_snapshots().create_tag(tagged.snapshot_id, "kept").commit()
    run_id, old = str(uuid.uuid4()), time.time() - DAY
    ingest.bring([(1, "read")], replacing=(0, 10), run_id=run_id)
    reading = ingest.table.iceberg
    for file in ingest.table.staging(run_id).iterdir():
        os.utime(file, (old, old))  # other files of its run took long
    for number in range(10):  # the snapshot that is being read expires
        ingest.bring([(1, f"{number}")], replacing=(0, 10))
    kept = [each.timestamp_ms for each in ingest.table.iceberg.snapshots() if each != tagged]
    assert reading.metadata.current_snapshot_id not in {e.snapshot_id for e in ingest.table.iceberg.snapshots()}
    assert tagged.timestamp_ms < min(kept)
    present = time.time()
    monkeypatch.setattr(leftovers, "time", SimpleNamespace(time=lambda: present))
    _of(ingest, grace=present - (tagged.timestamp_ms + min(kept)) / 2000).sweep()
    assert reading.scan().to_arrow()["name"].to_pylist() == ["read"]


def test_files_of_a_run_that_has_not_ended_stay(ingest: Ingest, clock: Clock) -> None:
    run_id = str(uuid.uuid4())
    ingest.bring([(1, "a")])
    staged = ingest.stage(ingest.table, [(2, "b")], run_id)
    ingest.unfinished.add(run_id)
    clock.forward(30 * DAY)
    assert _of(ingest, grace=60).sweep() == 0
    assert staged.path.exists()

    ingest.unfinished.clear()
    assert _of(ingest, grace=60).sweep() == 1
    assert not staged.path.parent.exists()
    assert held(ingest.table) == [(1, "a")]


def test_what_another_engine_writes_has_three_days(ingest: Ingest, clock: Clock) -> None:
    ingest.bring([(1, "a")])
    foreign = ingest.table.location / "data" / "00000-0-writing.parquet"
    foreign.write_bytes(b"not committed yet")
    swept = _of(ingest, grace=60)
    clock.forward(2 * DAY)
    assert swept.sweep() == 0
    clock.forward(2 * DAY)
    assert swept.sweep() == 0  # known for two days only, whatever its age
    clock.forward(2 * DAY)
    assert swept.sweep() == 1
    assert not foreign.exists()


def test_a_dropped_table_has_no_leftovers(ingest: Ingest) -> None:
    ingest.bring([(1, "a")])
    swept = _of(ingest, grace=0)
    ingest.lake.drop(IDENTIFIER)
    assert (swept.sweep(), swept.waiting) == (0, False)


def test_a_worker_tidies_the_tables_it_writes_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_upkeep, "_PAUSE", 0.1)
    deployment = Deployment(tmp_path)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "rows.csv").write_text("n\n1\n")
    params, data = {"path": "in"}, {"format": "delimited"}
    flow = deployment.flow(LOCAL_FILES, {"folder": str(tmp_path)}, params, data=data, kind="file")
    deployment.run(flow, "2000-01-01", "2100-01-01")
    table = deployment.lake.find(("org", "prod", "target"))
    assert table is not None
    orphan = table.staging(str(uuid.uuid4())) / "1-0.parquet"
    orphan.parent.mkdir()
    orphan.write_bytes(b"cut short")
    old = time.time() - DAY
    os.utime(orphan, (old, old))
    settings = deployment.settings.model_copy(update={"read_grace": 0.2})
    worker = Worker(deployment.store, deployment.lake, settings)
    worker.start()
    try:
        deployment.enqueue(flow, "2000-01-01", "2100-01-01")
        worker.wake()
        until = time.monotonic() + 20
        while orphan.exists() and time.monotonic() < until:
            time.sleep(0.05)
    finally:
        worker.stop()
    assert not orphan.exists()
    assert deployment.rows() == [(1,)]
    deployment.close()


def test_a_worker_that_begins_looks_at_the_tables_that_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No run writes to this one any more; whatever was known of it is gone with the worker before."""
    monkeypatch.setattr(engine_upkeep, "_PAUSE", 0.1)
    deployment = Deployment(tmp_path)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "rows.csv").write_text("n\n1\n")
    flow = deployment.flow(
        LOCAL_FILES, {"folder": str(tmp_path)}, {"path": "in"}, data={"format": "delimited"}, kind="file"
    )
    deployment.run(flow, "2000-01-01", "2100-01-01")
    deployment._add(Kind.DATASET, {}, frozen={"table": ["org", "prod", "target"]})
    table = deployment.lake.find(("org", "prod", "target"))
    assert table is not None
    orphan = table.location / "metadata" / "left.avro"
    orphan.write_bytes(b"")
    os.utime(orphan, (0, 0))
    fresh, old = _rejects(table.location, age=DAY), _rejects(table.location, age=3 * DAY)
    settings = deployment.settings.model_copy(update={"read_grace": 0.1, "reject_days": 2.0})
    worker = Worker(deployment.store, deployment.lake, settings)
    worker.start()
    try:
        until = time.monotonic() + 20
        while (orphan.exists() or old.exists()) and time.monotonic() < until:
            time.sleep(0.05)
    finally:
        worker.stop()
    assert (orphan.exists(), old.exists(), fresh.exists()) == (False, False, True)
    deployment.close()


def test_one_that_goes_on_looks_at_tables_when_the_time_of_their_last_run_has_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment = Deployment(tmp_path)
    present = now_ms()
    tables = {("quiet",): present - 3 * 86_400_000, ("late",): present - 7_000_000, ("just",): present, ("new",): None}
    monkeypatch.setattr(deployment.store.queue, "tables", lambda: tables)
    begun = Upkeep(deployment.lake, deployment.store, deployment.settings)
    begun._remember()
    assert {name: 600 * round((due - time.monotonic()) / 600) for name, due in begun._due.items()} == {
        ("quiet",): 600,
        ("late",): 600,
        ("just",): 3600,
        ("new",): 600,
    }
    gone_on = Upkeep(deployment.lake, deployment.store, deployment.settings, resumed=True)
    gone_on._remember()
    assert {name: 600 * round((due - time.monotonic()) / 600) for name, due in gone_on._due.items()} == {
        ("late",): 0,
        ("just",): 3600,
    }
    assert 3590 < next_upkeep(deployment.store, 3600) <= 3600
    deployment.close()


def _rejects(location: Path, *, age: float) -> Path:
    """What a run published so long ago."""
    folder = location / "rejects" / str(uuid.uuid4())
    (folder / "1").mkdir(parents=True)
    file = folder / "1" / "parsing_errors_0.json"
    file.write_text("{}\n")
    for path in (file, file.parent, folder):
        os.utime(path, (time.time() - age,) * 2)
    return folder


def _of(ingest: Ingest, *, grace: float) -> Leftovers:
    return Leftovers(ingest.lake, IDENTIFIER, ingest.unfinished.intersection, grace)


def _files(location: Path) -> set[Path]:
    return {path for path in location.glob("**/*") if path.is_file()}
