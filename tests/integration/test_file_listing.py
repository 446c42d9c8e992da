"""Which files a selection takes: paths, wildcards, windows, links and what is refused."""

import io
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import pytest

from headgate.errors import (
    BadParameter,
    FilterNotOffered,
    HeadgateError,
    ParameterMissing,
    SourceAccessDenied,
    SourceChanged,
    SourceError,
    SourceObjectMissing,
    SourcePathForbidden,
)
from headgate.model.lake import SOURCE_FILE, SOURCE_MODIFIED
from headgate.model.windows import Bounds, DeltaColumn, DeltaType, Window
from headgate.sources.interface import Relation, Selection
from tests.local_files import ALWAYS, land, local_files


def put(folder: Path, *names: str) -> None:
    """Write files whose one row is their own name."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'name\n"{name}"\n')


def taken(root: Path, path: str, **params: object) -> list[str]:
    """The names of the files that were read, each as often as it was."""
    return sorted(str(row[0]) for row in land(root, path, params=params).data)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    put(folder, "a.csv", "b.csv", "c.tsv", "sub/d.csv", "sub/deep/e.csv", "other/f.csv", ".hidden.csv", ".git/g.csv")
    return folder


@pytest.mark.parametrize(
    ("path", "params", "names"),
    [
        ("a.csv", {}, ["a.csv"]),
        ("a.csv", {"type": "file"}, ["a.csv"]),
        ("sub/../a.csv", None, None),
        (".", {}, ["a.csv", "b.csv", "c.tsv"]),
        (".", {"type": "folder"}, ["a.csv", "b.csv", "c.tsv"]),
        ("sub/", {}, ["sub/d.csv"]),
        ("sub", {"recursive": True}, ["sub/d.csv", "sub/deep/e.csv"]),
        ("sub", {"recursive": "true"}, ["sub/d.csv", "sub/deep/e.csv"]),
        ("sub", {"recursive": "false"}, ["sub/d.csv"]),
        ("*.csv", {}, ["a.csv", "b.csv"]),
        ("[ab].csv", {}, ["a.csv", "b.csv"]),
        ("[!a].csv", {}, ["b.csv"]),
        ("?.tsv", {}, ["c.tsv"]),
        ("*/*.csv", {}, ["other/f.csv", "sub/d.csv"]),
        ("**/*.csv", {}, ["a.csv", "b.csv", "other/f.csv", "sub/d.csv", "sub/deep/e.csv"]),
        ("sub/**", {}, ["sub/d.csv", "sub/deep/e.csv"]),
        ("**/deep/*", {}, ["sub/deep/e.csv"]),
        ("*.csv", {"recursive": True}, ["a.csv", "b.csv", "other/f.csv", "sub/d.csv", "sub/deep/e.csv"]),
        ("s*", {"type": "folder"}, ["sub/d.csv"]),
        ("s*", {"type": "folder", "recursive": True}, ["sub/d.csv", "sub/deep/e.csv"]),
        (".hidden*", {}, [".hidden.csv"]),
        ("no*such", {}, []),
    ],
)
def test_a_path_selects(root: Path, path: str, params: dict[str, object] | None, names: list[str] | None) -> None:
    if params is None or names is None:
        with pytest.raises(SourcePathForbidden):
            taken(root, path)
    else:
        assert taken(root, path, **params) == names


def test_an_absolute_path_and_a_relative_one_are_the_same(root: Path) -> None:
    assert taken(root, str(root / "sub" / "*.csv")) == taken(root, "sub/*.csv") == ["sub/d.csv"]


def test_paths_are_relative_to_the_connections_folder(root: Path) -> None:
    selection = Selection({"path": "d.csv"}, {"format": "delimited"})
    source = local_files(root, folder="sub")
    source.check()
    with source.plan(selection, ALWAYS, None, parallel=1) as reading:
        assert [file.path for split in reading.splits for file in split.files] == [str(root / "sub/d.csv")]


def test_the_second_root_is_as_good_as_the_first(root: Path, tmp_path: Path) -> None:
    put(tmp_path / "second", "x.csv")
    source = local_files(root, tmp_path / "second")
    selection = Selection({"path": str(tmp_path / "second" / "x.csv")}, {"format": "delimited"})
    assert [column.name for column in source.describe(selection).columns] == ["name"]


@pytest.mark.parametrize("path", ["/etc/passwd", "../outside", "a/../../outside", "/etc/../root", "a\0.csv", "/*"])
def test_paths_outside_the_roots_are_refused(root: Path, path: str) -> None:
    with pytest.raises(SourcePathForbidden):
        land(root, path)


@pytest.mark.parametrize("folder", ["..", "/etc", "sub/../.."])
def test_a_connections_folder_outside_the_roots_is_refused(root: Path, folder: str) -> None:
    with pytest.raises(SourcePathForbidden):
        local_files(root, folder=folder).check()


def test_a_missing_folder_is_named_by_check(root: Path) -> None:
    with pytest.raises(SourceObjectMissing, match="nowhere"):
        local_files(root, folder="nowhere").check()


@pytest.mark.parametrize("path", ["link.csv", "*.csv", ".", "out/secret.csv", "out/*.csv", "**/secret.csv"])
def test_links_that_leave_the_roots_are_refused(root: Path, tmp_path: Path, path: str) -> None:
    put(tmp_path / "outside", "secret.csv")
    (root / "link.csv").symlink_to(tmp_path / "outside" / "secret.csv")
    (root / "out").symlink_to(tmp_path / "outside")
    with pytest.raises(SourcePathForbidden, match="HEADGATE_FILE_ROOTS"):
        land(root, path)


def test_links_inside_the_roots_are_followed_and_a_file_is_read_once(root: Path) -> None:
    (root / "again.csv").symlink_to(root / "a.csv")
    (root / "sub" / "up").symlink_to(root / "sub")
    (root / "dangling.csv").symlink_to(root / "gone.csv")
    assert taken(root, "*.csv") == ["a.csv", "b.csv"]
    assert taken(root, "again.csv") == ["a.csv"]
    assert taken(root, "sub", recursive=True) == ["sub/d.csv", "sub/deep/e.csv"]


@pytest.mark.parametrize(
    ("path", "params", "error", "says"),
    [
        ("nope.csv", {}, SourceObjectMissing, "nope.csv"),
        ("nope/*.csv", {}, SourceObjectMissing, "nope"),
        ("a.csv/x", {}, SourceError, "a.csv"),
        ("a.csv/*", {}, SourceObjectMissing, "a.csv is not a folder"),
        ("sub", {"type": "file"}, SourceObjectMissing, "sub is not a file"),
        ("a.csv", {"type": "folder"}, SourceObjectMissing, "a.csv is not a folder"),
        ("[ab.csv", {}, BadParameter, "without its"),
        ("", {}, ParameterMissing, "path"),
        ("a" * 5000, {}, BadParameter, "4096"),
        ("a.csv", {"type": "table"}, BadParameter, "type"),
        ("a.csv", {"recursive": "perhaps"}, BadParameter, "recursive"),
    ],
)
def test_what_cannot_be_selected_says_why(
    root: Path, path: str, params: dict[str, object], error: type[HeadgateError], says: str
) -> None:
    with pytest.raises(error, match=says):
        land(root, path, params=params)


def test_a_wildcard_with_many_stars_costs_nothing(root: Path) -> None:
    put(root, *(f"{'a' * 60}{i}.csv" for i in range(200)))
    begun = time.monotonic()
    assert taken(root, "**/" * 50 + "zzz*") == []
    assert taken(root, "*a" * 60 + "z") == []
    assert taken(root, "**/a/" * 50 + "x") == []
    assert time.monotonic() - begun < 1


def test_pipes_devices_and_folders_are_not_files(root: Path) -> None:
    os.mkfifo(root / "pipe.csv")
    (root / "folder.csv").mkdir()
    assert taken(root, "*.csv") == ["a.csv", "b.csv"]
    with pytest.raises(SourceObjectMissing, match=r"pipe\.csv is not a file"):
        land(root, "pipe.csv")


@pytest.mark.parametrize(
    "name",
    ["new\nline.csv", "emoji 😀.csv", "it's.csv", "100%.csv", "x" * 240 + ".csv", "[a]*?.csv", "back\\slash.csv"],
)
def test_unusual_names_are_read_and_kept(root: Path, name: str) -> None:
    put(root / "odd", name, "a.csv", "a1.csv")
    landed = land(root, "odd")
    assert sorted(row[SOURCE_FILE] for row in landed.rows) == sorted(
        str(root / "odd" / n) for n in (name, "a.csv", "a1.csv")
    )
    assert [row[SOURCE_FILE] for row in land(root, f"odd/{name}").rows] == [str(root / "odd" / name)]


def test_a_name_that_is_not_utf8_is_refused(root: Path) -> None:
    (root / os.fsdecode(b"bad\xff.csv")).write_text("name\nx\n")
    with pytest.raises(SourceError, match="not valid UTF-8"):
        land(root, "*.csv")


def test_folder_names_that_look_like_partitions_add_no_column(root: Path) -> None:
    put(root, "year=2013/x.csv")
    assert land(root, "year=2013/x.csv").types == {"name": "string"}


@pytest.mark.parametrize(("module", "call"), [(os, "stat"), (io, "open"), (os, "scandir")])
def test_what_the_system_refuses_is_an_error_that_names_it(
    root: Path, monkeypatch: pytest.MonkeyPatch, module: ModuleType, call: str
) -> None:
    # Refusing by hand, because the superuser may read everything.
    real = getattr(module, call)

    def refuse(path: object, *args: object, **kwargs: object) -> object:
        if str(path).endswith(("b.csv", "sub")):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *args, **kwargs)

    monkeypatch.setattr(module, call, refuse)
    with pytest.raises(SourceAccessDenied, match=r"b\.csv|sub"):
        land(root, "sub" if call == "scandir" else "b.csv")


# -- windows ---------------------------------------------------------------------------------------

START, END = 1_356_998_400_000, 1_357_084_800_000
MS = 1_000_000


def test_the_window_takes_its_start_and_not_its_end(root: Path) -> None:
    edges = {
        "before": START * MS - 1000,
        "start": START * MS,
        "inside": START * MS + 123_456_000,
        "last": END * MS - 1,
        "end": END * MS,
    }
    for name, modified_ns in edges.items():
        put(root / "w", f"{name}.csv")
        os.utime(root / "w" / f"{name}.csv", ns=(0, modified_ns))
    landed = land(root, "w", window=Window(START, END))
    assert {row["name"]: row[SOURCE_MODIFIED] for row in landed.rows} == {
        f"{name}.csv": datetime.fromtimestamp(edges[name] // 1_000_000_000, UTC).replace(
            microsecond=edges[name] // 1000 % 1_000_000
        )
        for name in ("start", "inside", "last")
    }
    assert landed.reading.window_column == SOURCE_MODIFIED
    assert landed.reading.bounds == Bounds.of(Window(START, END), DeltaType.TIMESTAMPTZ)


@pytest.mark.parametrize("window", [Window(START, START), Window(END, START), Window(1, 2)])
def test_a_window_without_files_still_knows_the_columns(root: Path, window: Window) -> None:
    landed = land(root, "*.csv", window=window)
    assert (landed.rows, landed.reading.splits) == ([], ())
    assert landed.types == {"name": "string"}


def test_a_broken_file_outside_the_window_does_no_harm(root: Path) -> None:
    (root / "a.csv").write_text('x\n"unclosed\n')
    os.utime(root / "a.csv", ns=(0, END * MS))
    os.utime(root / "b.csv", ns=(0, START * MS))
    assert land(root, "*.csv", window=Window(START, END)).data == [("b.csv",)]
    nothing = land(root, "*.csv", window=Window(1, 2))
    assert (nothing.reading.columns, nothing.reading.splits) == ((), ())


def test_an_empty_folder_is_an_empty_selection(tmp_path: Path) -> None:
    assert land(tmp_path).reading.columns == ()
    assert local_files(tmp_path).describe(Selection({"path": "."}, {"format": "json"})) == Relation(())


def test_describe_looks_at_the_newest_files_and_tells_data_columns_only(root: Path) -> None:
    for age in range(20):
        path = root / "d" / f"{age:02}.csv"
        path.parent.mkdir(exist_ok=True)
        path.write_text("n\n1\n" if age < 16 else "n\nold\n")
        os.utime(path, ns=(0, END * MS - age * 10**9))
    source = local_files(root)
    [column] = source.describe(Selection({"path": "d"}, {"format": "delimited"})).columns
    assert (column.name, str(column.type)) == ("n", "long")
    assert source.delta_error(Relation((column,)), DeltaColumn("anything")) is None


# -- splits ----------------------------------------------------------------------------------------


def test_splits_share_the_bytes_and_are_the_same_every_time(root: Path) -> None:
    sizes = [10, 10, 400, 10, 10, 390, 10]
    for i, size in enumerate(sizes):
        path = root / "s" / f"{i}.csv"
        path.parent.mkdir(exist_ok=True)
        path.write_text("x\n" + "a\n" * size)
    (root / "s" / "9-empty.csv").write_text("")
    first, second = (land(root, "s", parallel=2).reading.splits for _ in range(2))
    assert first == second
    assert len(first) == len({split.id for split in first}) == 2
    files = [[Path(file.path).name for file in split.files] for split in first]
    assert sorted(name for part in files for name in part) == sorted([f"{i}.csv" for i in range(7)] + ["9-empty.csv"])
    assert all(any(name in part for name in ("2.csv", "5.csv")) for part in files)
    os.utime(root / "s" / "0.csv", ns=(0, START * MS))
    assert land(root, "s", parallel=2).reading.splits[0].id != first[0].id


def test_two_thousand_files_are_quick_and_a_split_holds_no_more(root: Path) -> None:
    folder = root / "many"
    folder.mkdir()
    for i in range(2100):
        (folder / f"{i:04}.csv").write_text(f"i\n{i}\n")
        os.utime(folder / f"{i:04}.csv", ns=(0, (START + i) * MS))
    begun = time.monotonic()
    landed = land(root, "many", parallel=1)
    assert time.monotonic() - begun < 10
    assert [len(split.files) for split in landed.reading.splits] == [2000, 100]
    assert {(row["i"], row[SOURCE_FILE], row[SOURCE_MODIFIED]) for row in landed.rows} == {
        (i, str(folder / f"{i:04}.csv"), datetime.fromtimestamp((START + i) / 1000, UTC)) for i in range(2100)
    }


# -- change ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", ["grow", "touch", "remove", "swap"])
def test_a_file_that_changes_after_planning_fails_the_run(root: Path, tmp_path: Path, change: str) -> None:
    source = local_files(root)
    path = root / "a.csv"
    with source.plan(Selection({"path": "a.csv"}, {"format": "delimited"}), ALWAYS, None, parallel=1) as reading:
        [split] = reading.splits
        source.verify(split)
        about = path.stat()
        if change == "grow":
            path.write_text("name\na.csv\nmore\n")
            os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
        elif change == "touch":
            os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns + 1000))
        elif change == "remove":
            path.unlink()
        else:
            path.rename(tmp_path / "moved.csv")
            path.symlink_to(tmp_path / "moved.csv")
        with pytest.raises(SourceChanged, match=r"a\.csv") as caught:
            source.verify(split)
        assert caught.value.retryable


@pytest.mark.parametrize(
    ("params", "error"), [({"filters": {"type": "PQL"}}, FilterNotOffered), ({"cdcEnabled": True}, BadParameter)]
)
def test_what_files_do_not_offer_is_not_ignored(
    tmp_path: Path, params: dict[str, object], error: type[HeadgateError]
) -> None:
    (tmp_path / "a.csv").write_text("id\n1\n")
    with pytest.raises(error, match=next(iter(params))):
        land(tmp_path, "a.csv", params=params)


def test_exploring_says_what_may_not_be_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Refusing by hand, because the superuser may read everything.
    monkeypatch.setattr(os, "access", lambda path, _mode: not str(path).endswith("b.csv"))
    found = {entry.name: (entry.readable, entry.described) for entry in local_files(root).explore(None)}
    assert found["a.csv"] == (True, True)
    assert found["b.csv"] == found["sub"] == (False, False)
