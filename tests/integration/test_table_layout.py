"""How a target connection has the files of its table laid out: partitions, order, size."""

import random
import sqlite3
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pyarrow.parquet as pq
import pytest
from pyiceberg.manifest import DataFile

from headgate import dataplane
from headgate.dataplane import literal
from headgate.model.lake import Column, LakeType
from headgate.model.runs import Json, Run, RunState
from headgate.targets import Lake, LakeTable, Layout
from headgate.targets.catalog import local_path
from tests.deployment import POSTGRESQL, Deployment, multiset
from tests.integration.test_upsert import LOCAL_FILES, SQLITE
from tests.lake_tables import manifests

START = datetime(2023, 12, 30)
Row = tuple[Any, ...]


def _rows() -> list[Row]:
    """600 rows over 25 days and a year's end, in no order."""
    rows: list[Row] = [
        (n, START + timedelta(hours=n), (START + timedelta(hours=n)).date(), 1_700_000_000 + n, f"name {n % 17}")
        for n in range(600)
    ]
    random.Random(5).shuffle(rows)
    return rows


ALL = ("2023-01-01", "2025-01-01")


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    made = Deployment(tmp_path)
    yield made
    made.close()


@pytest.fixture
def source(tmp_path: Path) -> tuple[str, dict[str, str]]:
    path = tmp_path / "events.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE events (id INTEGER, at TIMESTAMP, day DATE, epoch INTEGER, name TEXT)")
        rows = [(id_, at.isoformat(" "), day.isoformat(), *others) for id_, at, day, *others in _rows()]
        connection.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?)", rows)
    connection.close()
    return SQLITE, {"path": str(path)}


def _run(deployment: Deployment, flow: str, window: tuple[str, str] = ALL, delta: str | None = "at") -> Run:
    run = deployment.run(flow, *window, delta)
    assert run.state is RunState.SUCCESS, run.metrics
    return run


def _flow(deployment: Deployment, source: tuple[str, dict[str, str]], layout: Json, **others: Any) -> str:
    return deployment.flow(*source, {"tableName": "events"}, layout=layout, **others)


@pytest.mark.parametrize(("partition", "delta"), [("day", "at"), ("month", "at"), ("day", "day"), ("month", "day")])
def test_files_are_parted_by_the_delta_column(
    deployment: Deployment, source: tuple[str, dict[str, str]], partition: str, delta: str
) -> None:
    run = _run(deployment, _flow(deployment, source, {"partitionBy": partition}), delta=delta)
    table, expected = _table(deployment), _rows()
    files = _files(table)
    place = ("id", "at", "day").index(delta)

    def part(row: Row) -> tuple[int, ...]:
        moment: date = row[place]
        return (moment.year, moment.month) + ((moment.day,) if partition == "day" else ())

    assert len(files) == len({part(row) for row in expected})
    assert run.metrics["fileSummary"]["outputFileCount"] == len(files)
    for file in files:
        rows = _read(file)
        [held] = {part(row) for row in rows}
        assert _partition_value(held) == file.partition[0]
        assert [row[place] for row in rows] == sorted(row[place] for row in rows)
    _same_for_every_reader(deployment, expected)
    _prunes(table, delta, 1 if partition == "day" else None)


def test_a_repeated_window_keeps_the_partitions(deployment: Deployment, source: tuple[str, dict[str, str]]) -> None:
    flow = _flow(deployment, source, {"partitionBy": "day"})
    _run(deployment, flow)
    again = _run(deployment, flow, ("2024-01-01T12:00:00", "2024-01-03T06:00:00"))  # parts of days
    assert again.metrics["recordSummary"]["deletedRecordCount"] == 42
    for file in _files(_table(deployment)):
        [held] = {row[1].date() for row in _read(file)}
        assert _partition_value((held.year, held.month, held.day)) == file.partition[0]
    _same_for_every_reader(deployment, _rows())


def test_mapped_rows_are_parted_by_what_is_kept_of_their_delta_value(
    deployment: Deployment, source: tuple[str, dict[str, str]]
) -> None:
    mapping = {"mappings": [{"sourceType": "ATTRIBUTE", "source": "id", "destination": "n"}], "schema": None}
    for mode in ("append", "replaceWindow"):
        _run(deployment, _flow(deployment, source, {"partitionBy": "day"}, mode=mode, mapping=mapping, table=mode))
        assert len(_files(_table(deployment, mode))) == 25
        assert sorted(deployment.rows(mode)) == [(n,) for n in range(600)]


def test_files_of_a_folder_are_parted_by_their_time(deployment: Deployment, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "rows.csv").write_text("n\n1\n2\n")
    params, data = {"path": "in"}, {"format": "delimited"}
    auth = {"folder": str(tmp_path)}
    flow = deployment.flow(LOCAL_FILES, auth, params, data=data, kind="file", layout={"partitionBy": "day"})
    _run(deployment, flow, ("2000-01-01", "2100-01-01"), None)
    [file] = _files(_table(deployment))
    modified = datetime.fromtimestamp((tmp_path / "in" / "rows.csv").stat().st_mtime, UTC)
    assert file.partition[0] == (modified.date() - date(1970, 1, 1)).days


def test_keyed_rows_are_parted(deployment: Deployment, source: tuple[str, dict[str, str]]) -> None:
    flow = _flow(deployment, source, {"partitionBy": "month"}, mode="upsert", key=["name"])
    _run(deployment, flow)
    last = {row[4]: row for row in sorted(_rows(), key=lambda row: row[1])}
    _same_for_every_reader(deployment, list(last.values()))
    _run(deployment, flow, ("2024-01-01", "2024-01-10"))
    window = [row for row in _rows() if datetime(2024, 1, 1) <= row[1] < datetime(2024, 1, 10)]
    last = {row[4]: row for row in sorted(window, key=lambda row: row[1])}
    _same_for_every_reader(deployment, list(last.values()))


def test_rows_stand_in_the_order_that_is_asked_for(deployment: Deployment, source: tuple[str, dict[str, str]]) -> None:
    _run(deployment, _flow(deployment, source, {"sortBy": ["name", "id"]}))
    table = _table(deployment)
    for file in _files(table):
        keys = [(row[4], row[0]) for row in _read(file)]
        assert keys == sorted(keys)
        order = table.iceberg.sort_orders()[file.sort_order_id or 0]
        assert [table.schema.find_column_name(field.source_id) for field in order.fields] == ["name", "id"]
    assert table.iceberg.sort_order().order_id == 1


def test_a_table_takes_another_order_for_later_files(
    deployment: Deployment, source: tuple[str, dict[str, str]]
) -> None:
    _run(deployment, _flow(deployment, source, {}, mode="append"))
    _run(deployment, _flow(deployment, source, {"sortBy": ["name"]}, mode="append"))
    _run(deployment, _flow(deployment, source, {"sortBy": ["id"]}, mode="append"))
    _run(deployment, _flow(deployment, source, {"sortBy": ["name"]}, mode="append"))
    table = _table(deployment)
    orders = [file.sort_order_id for file in _files(table)]
    assert sorted(set(orders), key=lambda id_: id_ or 0) == [None, 1, 2]
    for file in _files(table):
        place = {1: 4, 2: 0}.get(file.sort_order_id or 0)
        if place is not None:
            assert [row[place] for row in _read(file)] == sorted(row[place] for row in _read(file))
    assert multiset(deployment.rows()) == multiset(_rows() * 4)


@pytest.mark.parametrize("partition", [None, "month"])
def test_files_are_of_about_the_size_that_is_asked_for(
    deployment: Deployment, tmp_path: Path, partition: str | None
) -> None:
    path = tmp_path / "wide.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE events (id INTEGER, at TIMESTAMP, name TEXT)")
        chosen = random.Random(2)
        connection.executemany(
            "INSERT INTO events VALUES (?, ?, ?)",
            ((n, f"2024-01-0{1 + n % 9} 00:00:00", chosen.randbytes(12).hex()) for n in range(300_000)),
        )
    connection.close()
    layout = {"targetFileSizeMb": 2} | ({"partitionBy": partition} if partition else {})
    run = _run(deployment, _flow(deployment, (SQLITE, {"path": str(path)}), layout))
    files = _files(_table(deployment))
    assert run.metrics["recordSummary"]["outputRecordCount"] == 300_000
    assert sum(file.record_count for file in files) == 300_000
    assert len(files) >= 3
    assert max(file.record_count for file in files) <= 122_880  # a row group of DuckDB's
    staged = {local_path(file.file_path) for file in files}
    assert deployment.files() == staged


def test_a_run_that_fails_leaves_none_of_its_files(
    deployment: Deployment, source: tuple[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = _flow(deployment, source, {"partitionBy": "day"})
    _run(deployment, flow, ("2024-01-01", "2024-01-02"))
    before = deployment.files()
    real = LakeTable.write

    def cut_short(table: LakeTable, *arguments: Any) -> Any:
        staged = real(table, *arguments)
        folder = staged[0].path.with_name("1-cut-short") / "_headgate_partition=2024-01-01"
        folder.mkdir(parents=True)
        (folder / "data_0.parquet").write_bytes(b"half")
        raise duckdb.InterruptException("made up")

    monkeypatch.setattr(LakeTable, "write", cut_short)
    run = deployment.run(flow, *ALL, "at")
    while not run.state.final:
        deployment.bring_forward(run)
        deployment.attempt().execute()
        run = deployment.scoped.run(run.id)
    assert run.state is RunState.FAILED
    assert deployment.files() == before
    assert not _table(deployment).staging(run.id).exists()


def test_a_delta_column_without_days_is_refused(deployment: Deployment, source: tuple[str, dict[str, str]]) -> None:
    run = deployment.run(_flow(deployment, source, {"partitionBy": "day"}), *ALL, "epoch")
    assert run.state is RunState.FAILED
    assert "'epoch'" in run.metrics["statusSummary"]["errors"][0]["message"]
    assert deployment.lake.find(("org", "prod", "target")) is None


def test_a_table_stays_partitioned_as_it_is(deployment: Deployment, source: tuple[str, dict[str, str]]) -> None:
    _run(deployment, _flow(deployment, source, {"partitionBy": "month"}))
    run = deployment.run(_flow(deployment, source, {"partitionBy": "day"}), *ALL, "at")
    assert run.state is RunState.FAILED
    assert "partitioned by the month of 'at'" in run.metrics["statusSummary"]["errors"][0]["message"]
    _run(deployment, _flow(deployment, source, {}))  # one that asks for nothing keeps to it
    assert {len(file.partition) for file in _files(_table(deployment))} == {1}
    _same_for_every_reader(deployment, _rows() * 2)


def test_rows_without_a_time_and_those_before_1970_have_partitions(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "warehouse")
    columns = (Column("at", LakeType("timestamptz")), Column("n", LakeType("int")))
    for partition, expected in (("day", {None, -2, -1, 0}), ("month", {None, -1, 0})):
        table = lake.table(("org", partition), columns, Layout(partition, "at"))  # type: ignore[arg-type]
        path = table.staging("run") / "1-0.parquet"
        path.parent.mkdir(parents=True)
        times = ["NULL", "'1969-12-30 23:59:59Z'", "'1969-12-31 23:59:59.999999Z'", "'1970-01-01 00:00:00Z'"]
        query = " UNION ALL ".join(f'SELECT CAST({at} AS TIMESTAMPTZ) AS "at", 1 AS n' for at in times)
        with dataplane.opened() as connection:
            staged = table.write(connection, query, ("at", "n"), path)
        assert {file.file.partition[0] for file in staged} == expected
        table.commit("run", staged, None, summary={}, prefix="1-", confirm=lambda: None)
        found = table.iceberg.catalog.load_table(("org", partition)).scan(row_filter="at is null").to_arrow()
        assert found.num_rows == 1
    lake.close()


def test_postgresql_splits_are_parted(deployment: Deployment, database: str) -> None:
    with psycopg.connect(database, autocommit=True) as server:
        server.execute("CREATE TABLE events (id bigint, at timestamptz, day date, epoch bigint, name text)")
        with server.cursor() as cursor:
            rows = [(id_, at.replace(tzinfo=UTC), *others) for id_, at, *others in _rows()]
            cursor.executemany("INSERT INTO events VALUES (%s, %s, %s, %s, %s)", rows)
    _run(deployment, _flow(deployment, (POSTGRESQL, {"connectionString": database}), {"partitionBy": "day"}))
    _same_for_every_reader(deployment, rows)
    assert {len({row[1].date() for row in _read(file)}) for file in _files(_table(deployment))} == {1}


# -- what is seen of it ----------------------------------------------------------------------------


def _table(deployment: Deployment, name: str = "target") -> LakeTable:
    table = deployment.lake.find(("org", "prod", name))
    assert table is not None
    return table


def _files(table: LakeTable) -> list[DataFile]:
    io = table.iceberg.io
    return [entry.data_file for each in manifests(table) for entry in each.fetch_manifest_entry(io)]


def _read(file: DataFile) -> list[Row]:
    arrow = pq.ParquetFile(local_path(file.file_path)).read()
    return [tuple(row.values()) for row in arrow.to_pylist()]


def _partition_value(part: tuple[int, ...]) -> int:
    year, month, *day = part
    return (date(year, month, *day) - date(1970, 1, 1)).days if day else (year - 1970) * 12 + month - 1


def _same_for_every_reader(deployment: Deployment, expected: list[Row]) -> None:
    with dataplane.opened("avro", "iceberg") as connection:
        metadata = literal(str(_table(deployment).metadata_file))
        query = f'SELECT id, "at", day, epoch, name FROM iceberg_scan({metadata})'
        by_duckdb = [tuple(row.values()) for row in connection.execute(query).to_arrow_table().to_pylist()]
    for rows in (deployment.rows(), by_duckdb):
        assert multiset(map(_in_utc, rows)) == multiset(map(_in_utc, expected))


def _in_utc(row: Row) -> Row:
    return tuple(value.astimezone(UTC) if getattr(value, "tzinfo", None) else value for value in row)


def _prunes(table: LakeTable, delta: str, files: int | None) -> None:
    """That readers skip files by their partition."""
    value = "2024-01-05" if delta == "day" else "2024-01-05T07:00:00"
    assert len(list(table.iceberg.scan(row_filter=f"{delta} = '{value}'").plan_files())) == 1
    late = table.iceberg.scan(
        row_filter=f"{delta} >= '2024-01-20T00:00:00'" if delta == "at" else "day >= '2024-01-20'"
    )
    assert len(list(late.plan_files())) == (4 if files else 1)
    [manifest] = manifests(table)
    assert manifest.partitions is not None
    assert len(manifest.partitions) == 1
