"""Any sequence of runs in any write mode, some meeting others in their commit, against a model of a few lines."""

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headgate import dataplane
from headgate.dataplane import literal, quote
from headgate.model.lake import FLOW_ID, RUN_ID, Column, LakeType
from headgate.model.resources import WriteMode
from headgate.model.windows import Bounds, DeltaType
from headgate.targets import Lake, LakeTable, Replacement, Staged, Upsert
from tests.deployment import multiset

AT = Column("at", LakeType("long"))
TEXT = LakeType("string")
COLUMNS = (Column("key", TEXT), AT, Column("value", LakeType("int")))
LATER = Column("later", LakeType("int"))
Row = dict[str, Any]


@dataclass(frozen=True)
class Step:
    """A run of `flow` over `[start, end)` that reads `rows`, in two files, while `meanwhile` runs; or a compaction.

    With `wider`, its rows have a column more.
    """

    flow: str
    mode: WriteMode
    start: int
    end: int
    rows: tuple[tuple[str, int, int | None], ...]
    wider: bool = False
    compacting: bool = False
    meanwhile: "Step | None" = None

    def landing(self) -> list[Row]:
        """The rows that it brings."""
        more = {"later": 7} if self.wider else {"later": None}
        read = [{"key": k, "at": at, "value": v, **more, "flow": self.flow} for k, at, v in self.rows]
        if self.mode is not WriteMode.UPSERT:
            return read
        best = sorted(read, key=lambda row: (row["at"], row["value"] is not None, row["value"] or 0))
        return list({row["key"]: row for row in best}.values())

    def after(self, table: list[Row]) -> list[Row]:
        """What the table holds after it."""
        if self.meanwhile is not None:
            table = self.meanwhile.after(table)
        if self.compacting:
            return table
        brought = self.landing()
        keys = {row["key"] for row in brought}
        if self.mode is WriteMode.UPSERT:
            table = [row for row in table if row["key"] not in keys]
        elif self.mode is WriteMode.REPLACE_WINDOW:
            table = [row for row in table if not (row["flow"] == self.flow and self.start <= row["at"] < self.end)]
        return [*table, *brought]


class Table:
    """A table of a lake, and the runs that fill it."""

    def __init__(self, lake: Lake, name: str) -> None:
        self._lake = lake
        self._identifier = ("org", name)
        self._runs = itertools.count()

    def take(self, step: Step) -> None:
        """Have `step` done, and what meets it before its commit."""
        if step.compacting:
            table = self._lake.find(self._identifier)
            if table is not None and table.iceberg.scan().count():
                table.iceberg.overwrite(table.iceberg.scan().to_arrow())
            return
        run = f"run-{next(self._runs)}"
        columns = (*COLUMNS, LATER) if step.wider else COLUMNS
        table = self._lake.table(self._identifier, (*columns, Column(FLOW_ID, TEXT), Column(RUN_ID, TEXT)))
        replacing: Replacement | Upsert | None = None
        if step.mode is WriteMode.REPLACE_WINDOW:
            replacing = Replacement(step.flow, AT, Bounds(DeltaType.EPOCH_S, step.start, step.end))
        elif step.mode is WriteMode.UPSERT:
            replacing = Upsert((("key",),), "at")
        meanwhile = iter([step.meanwhile])

        def confirm() -> None:
            if (met := next(meanwhile, None)) is not None:
                self.take(met)

        files = [file for part in (0, 1) if (file := _staged(table, step, run, part)) is not None]
        landed = table.commit(run, files, replacing, summary={}, prefix="1-", confirm=confirm)
        assert landed.rows == len(step.landing())
        assert landed.read_rows == len(step.rows)
        assert table.landed(run) == landed

    def rows(self) -> list[Row]:
        """What it holds."""
        table = self._lake.find(self._identifier)
        rows = table.iceberg.scan().to_arrow().to_pylist() if table is not None else []
        names = ("key", "at", "value", "later")
        return [{**{name: row.get(name) for name in names}, "flow": row[FLOW_ID]} for row in rows]


def _staged(table: LakeTable, step: Step, run: str, part: int) -> Staged | None:
    rows = step.rows[part::2]
    if not rows:
        return None
    path = table.staging(run) / f"1-{part}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = (*COLUMNS, LATER) if step.wider else COLUMNS
    values = ", ".join(f"({literal(k)}, {at}, {'NULL' if v is None else v}, 7)" for k, at, v in rows)
    cast = ", ".join(f"CAST({quote(column.name)} AS {column.type.sql}) AS {quote(column.name)}" for column in columns)
    names = (*(column.name for column in columns), FLOW_ID, RUN_ID)
    with dataplane.opened() as connection:
        connection.execute(
            f"COPY (SELECT {cast}, {literal(step.flow)} AS {FLOW_ID}, {literal(run)} AS {RUN_ID} "
            f'FROM (VALUES {values}) AS r("key", "at", "value", "later")) '
            f"TO {literal(str(path))} {table.copy_options(names)}"
        )
    return table.stage(path)


@st.composite
def steps(draw: st.DrawFn, *, alone: bool = False) -> Step:
    start = draw(st.integers(0, 5))
    end = draw(st.integers(start, 6))
    keys = st.sampled_from(["a", "b", "a key that is longer than sixteen 1", "a key that is longer than sixteen 2"])
    row = st.tuples(keys, st.integers(start, max(start, end - 1)), st.none() | st.integers(-1, 1))
    return Step(
        flow=draw(st.sampled_from("AB")),
        mode=draw(st.sampled_from(WriteMode)),
        start=start,
        end=end,
        rows=tuple(draw(st.lists(row, max_size=5))) if start < end else (),
        wider=draw(st.booleans()),
        compacting=draw(st.integers(0, 5)) == 5,
        meanwhile=None if alone or draw(st.integers(0, 2)) else draw(steps(alone=True)),
    )


@pytest.fixture
def tables(tmp_path: Path) -> Any:
    lake = Lake(tmp_path / "warehouse")
    numbers = itertools.count()
    yield lambda: Table(lake, f"t{next(numbers)}")
    lake.close()


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sequence=st.lists(steps(), min_size=2, max_size=5))
def test_the_table_holds_what_the_runs_leave_one_after_another(tables: Any, sequence: list[Step]) -> None:
    table, expected = tables(), list[Row]()
    for step in sequence:
        if step.compacting:
            step = Step(**{**step.__dict__, "meanwhile": None})
        table.take(step)
        expected = step.after(expected)
        assert multiset(tuple(row.values()) for row in table.rows()) == multiset(
            tuple(row.values()) for row in expected
        )
