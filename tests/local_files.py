"""Reads a selection of local files the way the engine does, for the tests of the file source."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb

from headgate import dataplane
from headgate.model.lake import SOURCE_FILE, SOURCE_MODIFIED
from headgate.model.windows import Window
from headgate.sources.files import Files, Scratch
from headgate.sources.files.stores import Listed
from headgate.sources.files.stores.local import LocalStore
from headgate.sources.interface import FileRef, Reading, Selection
from headgate.sources.roots import Roots

ALWAYS = Window(0, 253_402_300_799_999)


@dataclass(frozen=True)
class Landed:
    """What a run would have brought: the plan, and all its rows."""

    reading: Reading
    rows: list[dict[str, Any]]

    @property
    def types(self) -> dict[str, str]:
        """The lake types of the data columns."""
        return {c.name: str(c.type) for c in self.reading.columns if c.name not in (SOURCE_FILE, SOURCE_MODIFIED)}

    @property
    def data(self) -> list[tuple[Any, ...]]:
        """The rows without the columns that say where they are from."""
        return [tuple(v for k, v in row.items() if k not in (SOURCE_FILE, SOURCE_MODIFIED)) for row in self.rows]

    @property
    def multiset(self) -> "Counter[tuple[Any, ...]]":
        """The rows with their counts, in no order."""
        return Counter(self.data)


def local_files(*roots: Path, folder: str = "") -> Files:
    """The file source over `roots`, with its scratch beside the first of them."""
    return Files(LocalStore({"folder": folder}, Roots(roots)), Scratch(roots[0].with_name("scratch"), 10**9))


class Elsewhere(LocalStore):
    """A folder whose files are treated as if they were on another machine, listed all at once, with versions."""

    local = False

    def __init__(self, root: Path, *, deep: bool = True) -> None:
        super().__init__({}, Roots((root,)))
        self.deep = deep
        self.read_bytes = 0

    def pin(self, address: str) -> FileRef | None:
        found = super().pin(address)
        return found and _versioned(found)

    def listed(self, folder: str) -> Iterator[Listed]:
        for each in super().listed(folder):
            yield replace(each, file=each.file and _versioned(each.file))

    def below(self, folder: str) -> Iterator[tuple[str, FileRef]] | None:
        return self._below(folder) if self.deep else None

    def _below(self, folder: str) -> Iterator[tuple[str, FileRef]]:
        for path in Path(folder).rglob("*"):
            if path.is_file() and (found := self.pin(str(path))) is not None:
                yield str(path.relative_to(folder)), found

    def read(self, file: FileRef, start: int = 0, size: int | None = None) -> Iterator[bytes]:
        for piece in super().read(file, start, size):
            self.read_bytes += len(piece)
            yield piece


def _versioned(file: FileRef) -> FileRef:
    return replace(file, version=hashlib.md5(Path(file.path).read_bytes(), usedforsecurity=False).hexdigest())


def land(
    root: Path,
    path: str = ".",
    format_: str = "delimited",
    *,
    window: Window = ALWAYS,
    parallel: int = 2,
    params: Mapping[str, Any] | None = None,
    data: Mapping[str, Any] | None = None,
    source: Files | None = None,
) -> Landed:
    """Plan `path` below `root` and read every split on a fresh connection, as a worker would."""
    source = source or local_files(root)
    selection = Selection({"path": path, **(params or {})}, {"format": format_, **(data or {})})
    rows: list[dict[str, Any]] = []
    with source.plan(selection, window, None, parallel=parallel) as reading:
        for split in reading.splits:
            with dataplane.connect() as connection:
                source.prepare(connection, reading, split)
                try:
                    relation = connection.sql(split.relation)
                    assert relation.columns == [column.name for column in reading.columns]
                    assert relation.types == [duckdb.sqltype(column.type.sql) for column in reading.columns]
                    rows += relation.to_arrow_table().to_pylist()
                except duckdb.Error as error:
                    raise source.translate(error) from None
            source.verify(split)
    return Landed(reading, rows)


def columns(**types: str) -> dict[str, Any]:
    """The params that declare `types` by column name."""
    return {"columns": [{"name": name, "type": type_} for name, type_ in types.items()]}
