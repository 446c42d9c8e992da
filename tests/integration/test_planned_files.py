"""The files that may hold rows to be replaced: as PyIceberg plans them, whatever was remembered and passed over."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyiceberg.expressions import And, BooleanExpression, EqualTo, IsNull, Or, Reference
from pyiceberg.expressions.literals import literal as constant

from headgate.model.lake import FLOW_ID, RUN_ID
from headgate.model.windows import Bounds, DeltaType
from headgate.targets import LakeTable, Replacement, manifests
from headgate.targets.manifests import planned_files
from tests.lake_tables import AT, Ingest

FLOWS = [f"00000000-0000-0000-0000-00000000000{number}" for number in range(3)]


@pytest.fixture
def ingest(tmp_path: Path) -> Iterator[Ingest]:
    made = Ingest(tmp_path / "warehouse")
    yield made
    made.close()


@pytest.mark.parametrize("remembered", [10_000, 20])
def test_they_are_those_that_pyiceberg_plans(ingest: Ingest, monkeypatch: pytest.MonkeyPatch, remembered: int) -> None:
    monkeypatch.setattr(manifests, "_REMEMBERED", remembered)
    chosen = random.Random(remembered)
    for number in range(40):
        start = chosen.choice([number * 10, chosen.randrange(400)])
        moments: list[int | None] = [None] if number % 9 == 0 else [start, start + chosen.randrange(12)]
        rows = [(moment, chosen.choice(["a", "name " * 8, "é"])) for moment in [*moments, *[None] * (number % 4 == 0)]]
        ingest.bring(rows, flow_id=chosen.choice(FLOWS), run_id=FLOWS[0][:-2] + f"{number:02}")
        if number % 8 == 7:
            _as_pyiceberg(ingest.table, chosen)
    assert sum(len(each.entries) for each in manifests._known.values()) <= remembered


def _as_pyiceberg(table: LakeTable, chosen: random.Random) -> None:
    expressions: list[BooleanExpression] = [IsNull(term=Reference(AT.name))]
    for _ in range(12):
        start = chosen.randrange(420)
        bounds = Bounds(DeltaType.EPOCH_S, start, start + chosen.choice([1, 5, 60]))
        removal = Replacement(chosen.choice(FLOWS), AT, bounds).removal(table.schema)
        assert removal is not None
        expressions.append(removal.expression)
        run = EqualTo(term=Reference(RUN_ID), value=constant(FLOWS[0][:-2] + f"{chosen.randrange(50):02}"))
        expressions += [
            run,
            Or(run, And(IsNull(term=Reference(AT.name)), EqualTo(term=Reference(FLOW_ID), value=constant(FLOWS[1])))),
        ]
    for expression in expressions:
        ours = [task.file.file_path for task in planned_files(table.iceberg, expression)]
        theirs = [task.file.file_path for task in table.iceberg.scan(row_filter=expression).plan_files()]
        assert sorted(ours) == sorted(theirs)
