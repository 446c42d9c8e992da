"""The write modes on tables that other engines have rewritten, or deleted rows of."""

import sqlite3
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from pyiceberg.types import MapType, StringType

from headgate import dataplane
from headgate.model.lake import FLOW_ID, RUN_ID, Column, LakeType
from headgate.model.runs import Json, RunState
from headgate.model.windows import Bounds, DeltaType
from headgate.sources import connection_specs
from headgate.targets import LakeTable, Replacement
from tests.deployment import Deployment, multiset
from tests.other_engine import compact, delete_positions, delete_values

SQLITE = next(spec.id for spec in connection_specs() if spec.name == "sqlite")
START = datetime(2024, 1, 1)
DAYS = [f"2024-01-0{day}" for day in range(1, 5)]
MODES: dict[str, Json] = {
    "replaceWindow": {"mode": "replaceWindow"},
    "append": {"mode": "append"},
    "upsert": {"mode": "upsert", "key": ["id"]},
}
Row = tuple[int, datetime, str]


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    made = Deployment(tmp_path)
    yield made
    made.close()


@pytest.fixture
def source(tmp_path: Path) -> tuple[str, dict[str, str]]:
    path = tmp_path / "events.sqlite"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE events (id INTEGER, at TIMESTAMP, filename TEXT)")
        rows = [(id_, at.isoformat(" "), name) for id_, at, name in _rows()]
        database.executemany("INSERT INTO events VALUES (?, ?, ?)", rows)
    database.close()
    return SQLITE, {"path": str(path)}


def _rows(day: int | None = None) -> list[Row]:
    rows = [(n, START + timedelta(hours=2 * n), f"a name of more than sixteen letters {n}") for n in range(36)]
    return rows if day is None else rows[12 * day : 12 * day + 12]


def _run(deployment: Deployment, flow: str, start: int, end: int) -> dict[str, int]:
    run = deployment.run(flow, DAYS[start], DAYS[end], "at")
    assert run.state is RunState.SUCCESS, run.metrics
    summary = run.metrics["recordSummary"]
    return {what: summary[f"{what}RecordCount"] for what in ("created", "updated", "deleted")}


def _table(deployment: Deployment, name: str = "target") -> LakeTable:
    found = deployment.lake.find(("org", "prod", name))
    assert found is not None
    return found


def test_windows_are_repeated_after_another_engine_compacted_the_tables(
    deployment: Deployment, source: tuple[str, dict[str, str]]
) -> None:
    flows = {
        name: [deployment.flow(*source, {"tableName": "events"}, table=name.lower(), **mode) for _ in range(2)]
        for name, mode in MODES.items()
    }
    for first, second in flows.values():
        _run(deployment, first, 0, 2)
        _run(deployment, second, 1, 3)
    compact(deployment.settings.warehouse, *(f"org.prod.{name.lower()}" for name in MODES))
    figures = {name: _run(deployment, first, 1, 2) for name, (first, _) in flows.items()}
    assert figures["replaceWindow"] == {"created": 12, "updated": 0, "deleted": 12}
    assert figures["append"] == {"created": 12, "updated": 0, "deleted": 0}
    assert figures["upsert"] == {"created": 0, "updated": 12, "deleted": 0}
    assert multiset(deployment.rows("replacewindow")) == multiset(_rows() + _rows(1))
    assert multiset(deployment.rows("append")) == multiset(_rows() + _rows(1) * 2)
    assert multiset(deployment.rows("upsert")) == multiset(_rows())
    for name, (first, _) in flows.items():  # and once more, on what is left of the compacted file
        _run(deployment, first, 0, 1)
        assert len(deployment.rows(name.lower())) == {"replaceWindow": 48, "append": 72, "upsert": 36}[name]


@pytest.mark.parametrize("name", ["replaceWindow", "upsert"])
def test_rows_that_another_engine_deleted_stay_deleted(
    deployment: Deployment, source: tuple[str, dict[str, str]], name: str
) -> None:
    flow = deployment.flow(*source, {"tableName": "events"}, **MODES[name])
    _run(deployment, flow, 0, 3)
    table = _table(deployment)
    (path,) = deployment.files()
    order = [row[0] for row in deployment.rows()]
    gone = [order.index(3), order.index(20)]  # one row of the first day, one of the second
    delete_positions(table, path, sorted(gone))
    assert len(deployment.rows()) == 34
    figures = _run(deployment, flow, 0, 1)
    assert multiset(deployment.rows()) == multiset(row for row in _rows() if row[0] != 20)
    expected = {"replaceWindow": (12, 0, 11), "upsert": (1, 11, 0)}[name]
    assert tuple(figures.values()) == expected
    _run(deployment, flow, 0, 3)
    assert multiset(deployment.rows()) == multiset(_rows())


def test_deletes_by_value_are_refused_where_rows_are_replaced_by_name(
    deployment: Deployment, source: tuple[str, dict[str, str]]
) -> None:
    flows = {name: deployment.flow(*source, {"tableName": "events"}, **mode) for name, mode in MODES.items()}
    _run(deployment, flows["upsert"], 0, 1)
    delete_values(_table(deployment), "id", [3])
    for name in ("replaceWindow", "upsert"):
        run = deployment.run(flows[name], DAYS[0], DAYS[1], "at")
        (error,) = run.metrics["statusSummary"]["errors"]
        assert "equality deletes" in error["message"]
        assert "org.prod.target" in error["message"]
    assert _run(deployment, flows["append"], 1, 2) == {"created": 12, "updated": 0, "deleted": 0}
    assert len(_table(deployment).iceberg.snapshots()) == 3


@pytest.mark.parametrize("keep", [100, -1])
def test_a_damaged_file_fails_the_run_that_must_rewrite_it(
    deployment: Deployment, source: tuple[str, dict[str, str]], keep: int
) -> None:
    flow = deployment.flow(*source, {"tableName": "events"}, **MODES["upsert"])
    _run(deployment, flow, 0, 2)
    (path,) = deployment.files()
    whole = path.read_bytes()
    path.write_bytes(whole[:keep] if keep > 0 else b"\0" * (len(whole) // 2) + whole[len(whole) // 2 :])
    run = deployment.run(flow, DAYS[1], DAYS[2], "at")
    (error,) = run.metrics["statusSummary"]["errors"]
    assert (run.state, error["code"]) == (RunState.FAILED, "CONNECTOR-2001-500")
    assert "Files of the table org.prod.target cannot be read or written" in error["message"]
    path.write_bytes(whole)
    assert multiset(deployment.rows()) == multiset(_rows(0) + _rows(1))
    assert deployment.files() == {path}


def test_a_column_of_a_type_that_is_not_ours_fails_the_run(
    deployment: Deployment, source: tuple[str, dict[str, str]]
) -> None:
    flow = deployment.flow(*source, {"tableName": "events"})
    _run(deployment, flow, 0, 1)
    with _table(deployment).iceberg.update_schema() as update:
        update.add_column("tags", MapType(1, StringType(), 2, StringType()))
    (error,) = deployment.run(flow, DAYS[0], DAYS[1], "at").metrics["statusSummary"]["errors"]
    assert "map<string, string>" in error["message"]
    assert "Take it out" in error["message"]
    assert len(deployment.rows()) == 12


def test_rows_are_kept_whole_after_another_engine_renamed_a_member(deployment: Deployment) -> None:
    at, text = Column("at", LakeType("long")), LakeType("string")
    doc = LakeType("struct", fields=(("a", LakeType("long")), ("b", LakeType("long"))))
    nested = (Column("doc", doc), Column("docs", LakeType("list", element=doc)))
    columns = (at, *nested, Column(FLOW_ID, text), Column(RUN_ID, text))
    table = deployment.lake.table(("org", "prod", "target"), columns)
    path = table.staging("run") / "1-x.parquet"
    path.parent.mkdir(parents=True)
    with dataplane.opened() as connection:
        connection.execute(
            "COPY (SELECT n AS at, {a: n, b: -n} AS doc, [{a: n, b: -n}] AS docs, "
            f"'flow' AS {FLOW_ID}, 'run' AS {RUN_ID} FROM range(10) AS r(n)) "
            f"TO '{path}' {table.copy_options(tuple(column.name for column in columns))}"
        )
    table.commit("run", [table.stage(path)], None, summary={}, prefix="1-", confirm=lambda: None)
    with table.iceberg.update_schema() as update:
        update.rename_column(("doc", "a"), "z").rename_column(("docs", "element", "b"), "y")
    replacement = Replacement("flow", at, Bounds(DeltaType.EPOCH_S, 0, 4))
    landed = _table(deployment).commit("next", [], replacement, summary={}, prefix="1-", confirm=lambda: None)
    assert landed.replaced_rows == 4
    rows = sorted(row[:3] for row in deployment.rows())
    assert rows == [(n, {"z": n, "b": -n}, [{"a": n, "y": -n}]) for n in range(4, 10)]
