"""Reads a window of a table the way the engine does, for the tests of the sources of the generic SQL reader."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from headgate import dataplane
from headgate.model.windows import DeltaColumn, Window
from headgate.rejects import Rejects, listening
from headgate.sources.interface import Reading, Selection, Source, Split

WHOLE = Window(0, 253_370_764_800_000)


def milliseconds(text: str) -> int:
    """Of an ISO time in UTC."""
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def window(start: str, end: str) -> Window:
    """Between two ISO times in UTC."""
    return Window(milliseconds(start), milliseconds(end))


def selection(table: str = "t", **params: object) -> Selection:
    """Of a table, with more params."""
    return Selection({"tableName": table, **params})


def read(
    source: Source,
    chosen: Selection | None = None,
    span: Window = WHOLE,
    delta: str | DeltaColumn | None = "at",
    *,
    parallel: int = 2,
) -> list[tuple[Any, ...]]:
    """The rows of a window, as tuples of Python values; every split on an engine that another one may have used."""
    rows: list[tuple[Any, ...]] = []
    column = DeltaColumn(delta) if isinstance(delta, str) else delta
    with source.plan(chosen or selection(), span, column, parallel=parallel) as reading:
        assert len({split.id for split in reading.splits}) == len(reading.splits)
        for split in reading.splits:
            with dataplane.lent() as connection:
                source.prepare(connection, reading, split)
                relation = connection.sql(split.relation)
                assert relation.columns == [column.name for column in reading.columns]
                assert relation.types == [duckdb.sqltype(column.type.sql) for column in reading.columns]
                try:
                    table = connection.execute(split.relation).to_arrow_table()
                except duckdb.Error as error:
                    raise source.translate(error) from None
                rows += zip(*(values.to_pylist() for values in table.columns), strict=True)
            source.verify(split)
    return rows


def read_rejecting(
    source: Source, chosen: Selection, folder: Path, span: Window = WHOLE, delta: str = "at"
) -> tuple[list[tuple[Any, ...]], Rejects]:
    """The good rows of one split, and what was heard of the others."""
    with source.plan(Selection(chosen.params, rejecting=True), span, DeltaColumn(delta), parallel=1) as reading:
        (split,) = reading.splits
        return _rejecting(source, reading, split, folder)


def read_counting(
    source: Source, chosen: Selection, folder: Path, span: Window, delta: str
) -> tuple[list[tuple[Any, ...]], int]:
    """The good rows of all splits, and how many records were refused."""
    with source.plan(Selection(chosen.params, rejecting=True), span, DeltaColumn(delta), parallel=1) as reading:
        found = [_rejecting(source, reading, split, folder) for split in reading.splits]
    return [row for rows, _ in found for row in rows], sum(rejects.count for _, rejects in found)


def _rejecting(source: Source, reading: Reading, split: Split, folder: Path) -> tuple[list[tuple[Any, ...]], Rejects]:
    with dataplane.opened() as connection:
        source.prepare(connection, reading, split)
        with listening(connection, folder / f"{split.id}.csv") as rejects:
            try:
                table = connection.execute(split.relation).to_arrow_table()
            except duckdb.Error as error:
                raise source.translate(error) from None
    return list(zip(*(values.to_pylist() for values in table.columns), strict=True)), rejects


def shown(value: Any) -> str:
    """A value for comparisons that need an order; a time with a zone as the instant it is."""
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) and value.tzinfo else repr(value)
