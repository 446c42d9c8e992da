"""Files that are elsewhere: copied in the version that was planned, read as local ones, and gone afterwards."""

import gzip
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headgate import faults
from headgate.engine.upkeep import Upkeep
from headgate.errors import HeadgateError, SourceChanged, SourceError, SourceUnreachable, UnholdableValue
from headgate.model.lake import SOURCE_FILE, LakeType
from headgate.model.runs import RunState
from headgate.model.windows import Window
from headgate.rejects import Rejects
from headgate.sources import files
from headgate.sources.context import Context
from headgate.sources.files import Files, Scratch, source
from headgate.sources.files.stores import Listed
from headgate.sources.interface import FileRef, Selection
from tests.deployment import Deployment, at
from tests.integration.test_file_flows import LOCAL_FILES
from tests.local_files import ALWAYS, Elsewhere, land

CSV = {"format": "delimited"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "root"
    made.mkdir()
    return made


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    return tmp_path / "scratch"


def put(root: Path, **files: str) -> None:
    for name, text in files.items():
        path = root / name.replace("_", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".csv").write_text(text)


@pytest.mark.parametrize("deep", [True, False])
def test_they_land_as_local_ones_do_and_leave_nothing_behind(root: Path, scratch: Path, deep: bool) -> None:
    put(root, a="n,s\n1,x\n", in_b="n,s\n2,y\n3,\n", in_deep_c="n,s\n")
    (root / "in" / "d.csv.gz").write_bytes(gzip.compress(b"n,s\n4,z\n"))
    elsewhere = Files(Elsewhere(root, deep=deep), Scratch(scratch, 10**6))
    for path in (".", "in", "**/*", "in/*.csv", "a.csv", "*/deep/*"):
        here = land(root, path, params={"recursive": path == "in"})
        there = land(root, path, params={"recursive": path == "in"}, source=elsewhere)
        assert there.multiset == here.multiset
        assert {row[SOURCE_FILE] for row in there.rows} == {row[SOURCE_FILE] for row in here.rows}
        assert not list(scratch.iterdir())
    [split] = land(root, "in/b.csv", source=elsewhere, parallel=1).reading.splits
    assert land(root, "in/b.csv", source=elsewhere, parallel=1).reading.splits[0].id == split.id
    assert split.state is not None
    assert "in/b.csv" in split.state


def test_a_file_that_changes_or_vanishes_before_it_is_copied_is_not_read(root: Path, scratch: Path) -> None:
    put(root, a="n\n1\n")
    store = Elsewhere(root)
    copied = Files(store, Scratch(scratch, 10**6))
    path, real = root / "a.csv", store.read
    acts: list[Callable[[], object]] = [lambda: path.write_text("n\n2\n"), path.unlink]

    def late(file: FileRef, start: int = 0, size: int | None = None) -> Iterator[bytes]:
        acts.pop(0)()
        return real(file, start, size)

    store.read = late  # type: ignore[method-assign]
    with pytest.raises(SourceChanged, match=r"a\.csv changed"):
        land(root, "a.csv", source=copied)
    with pytest.raises(SourceChanged, match=r"a\.csv vanished"):
        land(root, "a.csv", source=copied)
    assert not list(scratch.iterdir())


def test_errors_and_rejects_name_the_original(root: Path, scratch: Path) -> None:
    put(root, a="n\n1\nmany\n", b="n\n1\n1,2\n3\n")
    copied = Files(Elsewhere(root), Scratch(scratch, 10**6))
    declared = {"columns": [{"name": "n", "type": "long"}]}
    with pytest.raises(UnholdableValue) as caught:
        land(root, "a.csv", params=declared, source=copied)
    assert str(scratch) not in caught.value.detail
    assert f"{root}/a.csv, line 3" in caught.value.detail
    with pytest.raises(HeadgateError, match=rf"{root}/b\.csv, line 3") as told:
        land(root, "b.csv", source=copied)
    assert str(scratch) not in str(told.value.report)
    selection = Selection({"path": "b.csv"}, CSV, rejecting=True)
    with copied.plan(selection, ALWAYS, None, parallel=1) as reading:
        [split] = reading.splits
        rejects = Rejects()
        copied.account(split, rejects)
    [reject] = rejects.kept
    assert (reject.file, reject.line, reject.text) == (f"{root}/b.csv", 3, "1,2")


def test_copies_take_no_more_room_than_they_may(root: Path, scratch: Path) -> None:
    put(root, a="n\n" + "1\n" * 500, b="n\n" + "1\n" * 500)
    assert len(land(root, "a.csv", source=Files(Elsewhere(root), Scratch(scratch, 1500))).rows) == 500
    with pytest.raises(SourceError, match="HEADGATE_SCRATCH_BYTES"):
        land(root, "*.csv", source=Files(Elsewhere(root), Scratch(scratch, 1500)))
    assert not list(scratch.iterdir())


def test_what_may_pass_is_tried_again(root: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headgate.sources.files.fetching._PAUSE", 0.01)
    put(root, a="n\n1\n")
    store = Elsewhere(root)
    real, tries = store.read, []

    def flaky(file: FileRef, start: int = 0, size: int | None = None) -> Iterator[bytes]:
        tries.append(file)
        yield b"n\n"
        if len(tries) < 3:
            raise SourceUnreachable
        yield from real(file, 2, 2)

    store.read = flaky  # type: ignore[method-assign]
    assert land(root, "a.csv", source=Files(store, Scratch(scratch, 1500))).data == [(1,)]
    assert len(tries) == 3


@pytest.mark.parametrize("while_", ["copying", "copying in vain", "listing in vain"])
def test_the_work_is_broken_off_at_once(root: Path, scratch: Path, while_: str) -> None:
    put(root, **{f"f{number}": "n\n1\n" for number in range(20)})
    store, free, copying = Elsewhere(root), threading.Event(), threading.Event()

    def endless(file: FileRef, start: int = 0, size: int | None = None) -> Iterator[bytes]:
        while not free.is_set():
            yield b"n\n"
            copying.set()
            free.wait(0.01 if while_ == "copying" else 60)

    def silent(folder: str) -> Iterator[Listed]:
        copying.set()
        free.wait(60)
        return iter(())

    store.read = endless  # type: ignore[method-assign]
    if while_ == "listing in vain":
        store.deep, store.listed = False, silent  # type: ignore[method-assign]
    breaks: list[Callable[[], None]] = []

    @contextmanager
    def breaking(break_off: Callable[[], None]) -> Iterator[None]:
        breaks.append(break_off)
        yield

    def stop() -> None:
        copying.wait(30)
        for each in breaks:
            each()

    threading.Thread(target=stop).start()
    plan = Files(store, Scratch(scratch, 10**6)).plan(
        Selection({"path": "."}, CSV), ALWAYS, None, parallel=1, breaking=breaking
    )
    begun = time.monotonic()
    with pytest.raises(SourceError, match="broken off"), plan:
        pass
    assert time.monotonic() - begun < 10  # not the minute that the store is silent
    free.set()


def test_what_a_killed_process_has_left_is_swept_and_nothing_else(tmp_path: Path, scratch: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from headgate.sources.files import Scratch\n"
        "from headgate.sources.interface import FileRef\n"
        "with Scratch(Path(sys.argv[1]), 1000).copies() as copies:\n"
        "    copies.write(FileRef('a', 1, 1), [b'x'])\n"
        "    print('there', flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, scratch], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "there\n"
        place = Scratch(scratch, 1000)
        with place.copies() as copies:
            copy = copies.write(FileRef("b", 1, 1), [b"mine"])
            assert place.sweep() == 0
            child.send_signal(signal.SIGKILL)
            child.wait(30)
            assert place.sweep() == 1
            assert Path(copy.path).read_bytes() == b"mine"
            assert copy.original == "b"
        assert not list(scratch.iterdir())


@pytest.mark.parametrize("format_", ["delimited", "json", "parquet"])
def test_looks_at_large_files_take_their_beginning_or_end(
    root: Path, scratch: Path, format_: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "_HEAD", 4096)
    path = root / "big"
    if format_ == "delimited":
        path.write_text("n,s\n" + "".join(f'{n},"a\n{n}"\n' for n in range(20_000)))
    elif format_ == "json":
        path.write_text("".join(f'{{"n": {n}, "s": "a"}}\n' for n in range(20_000)))
    else:
        values = {"n": range(50_000), "s": [os.urandom(8).hex() for _ in range(50_000)]}
        pq.write_table(pa.table({name: list(column) for name, column in values.items()}), path)
    store = Elsewhere(root)
    copied, selection = Files(store, Scratch(scratch, 10**7)), Selection({"path": "big"}, {"format": format_})
    [(n, kind), (s, text)] = [(column.name, str(column.type)) for column in copied.describe(selection).columns]
    assert (n, kind, s, text) == ("n", "long", "s", "string")
    assert copied.preview(selection, 0).columns == copied.describe(selection).columns
    assert store.read_bytes < 3 * 9000
    assert [row[0] for row in copied.preview(selection, 3).rows] == [0, 1, 2]
    if format_ == "parquet":
        monkeypatch.setattr(source, "_WHOLE", 10_000)
        with pytest.raises(SourceError, match="are shown"):
            copied.preview(selection, 3)
    assert copied.detect("big")["format"] == format_
    assert not list(scratch.iterdir())


@pytest.mark.parametrize("where", ["here", "there"])
def test_what_files_do_while_a_run_reads_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    deployment = Deployment(tmp_path, parallel_splits=1)

    def put(name: str, value: int, day: int = 1) -> None:
        (folder / name).write_text(f"n\n{value}\n")
        os.utime(folder / name, ns=(0, at(f"2024-01-0{day} 12:00") * 1_000_000))

    def meanwhile() -> None:
        put("appears.csv", 4)
        put("changes.csv", 5, day=2)
        (folder / "vanishes.csv").unlink()

    for number, name in enumerate(("stays.csv", "changes.csv", "vanishes.csv"), 1):
        put(name, number)
    acts, lock = [meanwhile], threading.Lock()

    def act(name: str = "plan.after") -> None:
        with lock:
            if acts and name == "plan.after":
                acts.pop()()

    if where == "here":
        monkeypatch.setattr(faults, "point", act)
    else:

        class Acting(Elsewhere):
            def read(self, file: FileRef, start: int = 0, size: int | None = None) -> Iterator[bytes]:
                act()
                return super().read(file, start, size)

        def opened(_params: object, context: Context) -> Files:
            return Files(Acting(tmp_path), Scratch.of(context.settings))

        monkeypatch.setattr(files, "open_local_files", opened)
    try:
        flow = deployment.flow(LOCAL_FILES, {}, {"path": "in"}, data={"format": "delimited"}, kind="file")
        run = deployment.run(flow, "2024-01-01", "2024-01-02")
        assert run.state is RunState.QUEUED  # for another attempt, as they were planned already
        assert run.past_attempts[0]["error"]["code"] == SourceChanged.code
        deployment.bring_forward(run)
        deployment.attempt().execute()
        assert sorted(deployment.rows()) == [(1,), (4,)]
        deployment.run(flow, "2024-01-02", "2024-01-03")
        assert sorted(deployment.rows()) == [(1,), (4,), (5,)]
    finally:
        deployment.close()


def test_two_thousand_files_are_copied_and_read(root: Path, scratch: Path) -> None:
    for number in range(2000):
        (root / f"{number:04}.csv").write_text(f"n\n{number}\n")
    landed = land(root, "*.csv", source=Files(Elsewhere(root), Scratch(scratch, 10**6)))
    assert {(row["n"], row[SOURCE_FILE]) for row in landed.rows} == {(n, f"{root}/{n:04}.csv") for n in range(2000)}


def test_an_empty_window_reads_nothing_where_there_is_a_table(root: Path, scratch: Path) -> None:
    put(root, a="n\n1\n")
    store = Elsewhere(root)
    copied, selection = Files(store, Scratch(scratch, 10**6)), Selection({"path": "."}, CSV)
    with copied.plan(selection, Window(0, 1), None, parallel=1) as reading:
        assert [column.name for column in reading.columns][:1] == ["n"]
    read = store.read_bytes
    held = Selection({"path": "."}, CSV, {"n": LakeType("long")})
    with copied.plan(held, Window(0, 1), None, parallel=1) as reading:
        assert (reading.columns, reading.splits) == ((), ())
    assert store.read_bytes == read > 0


def test_workers_sweep_what_others_have_left(tmp_path: Path) -> None:
    deployment = Deployment(tmp_path)
    place = deployment.settings.scratch_folder
    (place / "0123456789abcdef").mkdir(parents=True)
    (place / "0123456789abcdef" / "000000001.csv").write_text("left")
    (place / "0123456789abcdef.lock").touch()
    try:
        Upkeep(deployment.lake, deployment.store, deployment.settings)._tidy_runs()
        assert not list(place.iterdir())
    finally:
        deployment.close()
