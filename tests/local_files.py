"""Reads a selection of local files the way the engine does, for the tests of the file source."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from headgate import dataplane
from headgate.model.lake import SOURCE_FILE, SOURCE_MODIFIED
from headgate.model.windows import Window
from headgate.sources.files import Files, Scratch
from headgate.sources.files.stores.local import LocalStore
from headgate.sources.interface import Reading, Selection
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


def land(
    root: Path,
    path: str = ".",
    format_: str = "delimited",
    *,
    window: Window = ALWAYS,
    parallel: int = 2,
    params: Mapping[str, Any] | None = None,
    data: Mapping[str, Any] | None = None,
) -> Landed:
    """Plan `path` below `root` and read every split on a fresh connection, as a worker would."""
    source = local_files(root)
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
