"""What every store of files is held to."""

import json
from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

import pytest

from headgate.errors import SourceChanged, SourceError, SourceObjectMissing
from headgate.model.lake import SOURCE_FILE
from headgate.model.windows import Window
from headgate.sources import Selection, Source
from headgate.testing.source_suite.reading import ALWAYS, multiset, read, secretless

__all__ = ["FileKit", "FileSuite"]

_CSV = {"format": "delimited"}


class FileKit(Protocol):
    """A store, for the suite to fill and read. Paths are relative to the folder of the connection."""

    @property
    def step_ms(self) -> int:
        """The smallest step, in milliseconds, of the times that the store tells; at least 1."""

    @property
    def secrets(self) -> Sequence[str]:
        """What no error may show: passwords, keys, of `broken()` too."""

    def open(self) -> Source:
        """The source, by a connection that works. A fresh one at every call."""

    def broken(self) -> Source | None:
        """The source, by a connection that leads nowhere or is not let in; None where there is no such thing."""

    def put(self, path: str, content: bytes) -> int:
        """Write a file, over another one if there is one; its last-modified time in milliseconds, a whole `step_ms`."""

    def remove(self, path: str) -> None:
        """Take a file away."""


class FileSuite:
    """Windows, selections, formats, splits, names, changes, looking around, errors."""

    names: ClassVar[Sequence[str]] = (
        "with space.csv",
        "ünï 🚪.csv",
        "a#b?c%20d&e+f=g.csv",
        "it's [1] (2).csv",
        "UP.CSV",
    )
    """What files may be called; a subclass names fewer where the store itself refuses some."""

    @pytest.fixture
    def kit(self) -> FileKit:
        """The store. A subclass gives it."""
        raise NotImplementedError("give the class a fixture `kit`")

    def test_a_window_has_its_start_and_not_its_end(self, kit: FileKit) -> None:
        """By the last-modified time of the file, to the step that the store tells."""
        at = kit.put("edges/a.csv", b"n\n1\n")
        chosen, step = Selection({"path": "edges"}, _CSV), kit.step_ms
        for start, end, wanted in (
            (at, at + step, [(1,)]),
            (at - step, at, []),
            (at + step, at + 1000 * step, []),
            (at - 1000 * step, at + step, [(1,)]),
            (at, at, []),
        ):
            assert read(kit.open(), chosen, Window(start, end)).rows == wanted
            [*_, survey] = kit.open().survey(chosen, Window(start, end), None)
            assert (survey.files, survey.exact) == (len(wanted), True), "a survey counts other files than a run takes"

    def test_paths_folders_and_wildcards_select(self, kit: FileKit) -> None:
        """A file, a folder, a folder and all below it, patterns."""
        for number, path in enumerate(("in/a.csv", "in/b.csv", "in/deep/c.csv", "in/deep/er/d.tsv", "other/e.csv")):
            kit.put(path, f"n\n{number}\n".encode())
        for params, wanted in (
            ({"path": "in/a.csv"}, [0]),
            ({"path": "in/a.csv", "type": "file"}, [0]),
            ({"path": "in"}, [0, 1]),
            ({"path": "in", "type": "folder", "recursive": True}, [0, 1, 2, 3]),
            ({"path": "in/*.csv"}, [0, 1]),
            ({"path": "in/[b-z].csv"}, [1]),
            ({"path": "in/**/*.csv"}, [0, 1, 2]),
            ({"path": "*/e.csv"}, [4]),
        ):
            found = read(kit.open(), Selection(params, _CSV)).rows
            assert sorted(n for (n,) in found) == wanted, params
        with pytest.raises(SourceObjectMissing, match="nowhere"):
            read(kit.open(), Selection({"path": "nowhere/x.csv"}, _CSV))

    def test_formats_are_read_alike(self, kit: FileKit) -> None:
        """The same rows as delimited text, JSON lines, and packed."""
        rows = [(n, f"row {n}") for n in range(200)]
        text = "n,s\n" + "".join(f"{n},{s}\n" for n, s in rows)
        lines = "".join(json.dumps({"n": n, "s": s}) + "\n" for n, s in rows)
        kit.put("formats/a.csv", text.encode())
        kit.put("formats/b.json", lines.encode())
        for path, format_ in (("formats/a.csv", "delimited"), ("formats/b.json", "json")):
            landed = read(kit.open(), Selection({"path": path}, {"format": format_}))
            assert multiset(landed.rows) == multiset(rows)
            assert [str(column.type) for column in landed.columns[:2]] == ["long", "string"]

    def test_splits_are_whole_disjoint_and_named_alike(self, kit: FileKit) -> None:
        """Many files by several splits; every row says which file it is from."""
        for number in range(40):
            kit.put(f"many/{number:02}.csv", f"n,s\n{number},{'x' * number}\n".encode())
        chosen = Selection({"path": "many"}, _CSV)
        landed = read(kit.open(), chosen, parallel=4, times=2)
        assert sorted(landed.column("n")) == list(range(40))
        assert len(landed.splits) > 1
        assert len(set(landed.column(SOURCE_FILE))) == 40
        assert read(kit.open(), chosen, parallel=4).splits.keys() == landed.splits.keys()

    def test_names_mean_nothing(self, kit: FileKit) -> None:
        """Files may be called anything; what explore() calls them selects them."""
        for number, name in enumerate(self.names):
            kit.put(f"names/{name}", f"n\n{number}\n".encode())
        shown = {entry.name: entry.path for entry in kit.open().explore("names")}
        assert shown.keys() == set(self.names)
        for number, name in enumerate(self.names):
            landed = read(kit.open(), Selection({"path": shown[name], "type": "file"}, _CSV))
            assert landed.rows == [(number,)]
            (address,) = landed.column(SOURCE_FILE)
            assert address.endswith(f"/names/{name}")

    def test_what_changes_or_goes_is_never_read_in_part(self, kit: FileKit) -> None:
        """Between plan and read: the version that was planned, or an error that may be tried again."""
        for path, change in (("late/a.csv", b"n\n2\n3\n"), ("late/b.csv", None)):
            kit.put(path, b"n\n1\n")
            source, chosen = kit.open(), Selection({"path": path}, _CSV)
            with source.plan(chosen, ALWAYS, None, parallel=1) as reading:
                kit.remove(path) if change is None else kit.put(path, change)
                (split,) = reading.splits
                if all(file.original for file in split.files):  # a copy of what was planned
                    source.verify(split)
                    continue
                with pytest.raises(SourceChanged):
                    source.verify(split)

    def test_it_is_looked_at_without_being_read(self, kit: FileKit) -> None:
        """check(), explore(), detect(), describe(), preview()."""
        kit.put("look/a.csv", b"n;s\n1;x\n2;y\n3;z\n")
        kit.put("look/deep/b.csv", b"n\n1\n")
        source = kit.open()
        source.check()
        assert {(entry.type, entry.name) for entry in source.explore("look")} == {("file", "a.csv"), ("folder", "deep")}
        assert "look" in {entry.name for entry in source.explore(None)}
        found = dict(source.detect("look/a.csv"))
        assert (found["format"], found["columnDelimiter"]) == ("delimited", ";")
        chosen = Selection({"path": "look/a.csv"}, found)
        columns: list[tuple[str, Any]] = [(column.name, str(column.type)) for column in source.describe(chosen).columns]
        assert columns == [("n", "long"), ("s", "string")]
        assert source.preview(chosen, 2).rows == ((1, "x"), (2, "y"))

    def test_no_error_holds_a_secret(self, kit: FileKit) -> None:
        """Of a connection that does not work, whatever is asked."""
        source = kit.broken()
        if source is None:
            pytest.skip("every connection to such a store works")
        chosen = Selection({"path": "look/a.csv"}, _CSV)
        for ask in (
            source.check,
            lambda: source.explore(None),
            lambda: source.describe(chosen),
            lambda: source.preview(chosen, 5),
            lambda: read(source, chosen),
        ):
            with pytest.raises(SourceError) as raised:
                ask()
            secretless(raised.value, kit.secrets)
