"""Reads a selection as a worker does: plan, one engine for each split, verify."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import duckdb

from headgate import dataplane
from headgate.errors import HeadgateError
from headgate.model.lake import PROVENANCE, Column
from headgate.model.windows import DeltaColumn, Window
from headgate.sources import Selection, Source

__all__ = ["ALWAYS", "Landed", "multiset", "read", "secretless"]

ALWAYS = Window(-62_135_596_800_000, 253_370_764_800_000)
"""The years 1 to 9998."""


@dataclass(frozen=True, slots=True)
class Landed:
    """What a run would land: the columns, the rows of each split by its id."""

    columns: tuple[Column, ...]
    splits: dict[str, list[tuple[Any, ...]]]

    @property
    def rows(self) -> list[tuple[Any, ...]]:
        """The rows of all splits, without the columns that say which file a row is from."""
        kept = [at for at, column in enumerate(self.columns) if column.name not in PROVENANCE]
        return [tuple(row[at] for at in kept) for rows in self.splits.values() for row in rows]

    def column(self, name: str) -> list[Any]:
        """The values of one column."""
        at = [column.name for column in self.columns].index(name)
        return [row[at] for rows in self.splits.values() for row in rows]


def read(
    source: Source,
    selection: Selection,
    window: Window = ALWAYS,
    delta: str | DeltaColumn | None = None,
    *,
    parallel: int = 2,
    times: int = 1,
) -> Landed:
    """The rows of a window, each split read `times` times and found the same. Raises the source's errors."""
    column = DeltaColumn(delta) if isinstance(delta, str) else delta
    with source.plan(selection, window, column, parallel=parallel) as reading:
        splits: dict[str, list[tuple[Any, ...]]] = {}
        for split in reading.splits:
            assert split.id not in splits, f"two splits are called {split.id}"
            found = [_rows(source, reading, split) for _ in range(times)]
            assert all(multiset(again) == multiset(found[0]) for again in found), f"{split.id} is read differently"
            splits[split.id] = found[0]
    return Landed(reading.columns, splits)


def _rows(source: Source, reading: Any, split: Any) -> list[tuple[Any, ...]]:
    with dataplane.lent() as connection:
        source.prepare(connection, reading, split)
        try:
            table = connection.execute(split.relation).to_arrow_table()
        except duckdb.Error as error:
            raise source.translate(error) from None
        given = connection.execute(f"DESCRIBE {split.relation}").fetchall()
    assert [(name, duckdb.sqltype(type_)) for name, type_, *_ in given] == [
        (column.name, duckdb.sqltype(column.type.sql)) for column in reading.columns
    ], "a split does not have the columns of its reading"
    source.verify(split)
    return list(zip(*(values.to_pylist() for values in table.columns), strict=True)) if table.num_rows else []


def multiset(rows: Iterable[tuple[Any, ...]]) -> list[str]:
    """Rows in an order that does not depend on how they came; instants as what they are in UTC."""
    return sorted(repr(tuple(_plain(value) for value in row)) for row in rows)


def secretless(error: HeadgateError, secrets: Iterable[str]) -> None:
    """See that neither the error nor what caused it holds a secret."""
    seen: BaseException | None = error
    while seen is not None:
        for secret in secrets:
            assert secret not in str(seen), "an error holds a secret"
            assert secret not in repr(getattr(seen, "report", "")), "an error holds a secret"
        seen = seen.__cause__
    assert error.detail.strip(), "an error says nothing"


def _plain(value: Any) -> Any:
    return value.astimezone(UTC) if isinstance(value, datetime) and value.tzinfo is not None else value
