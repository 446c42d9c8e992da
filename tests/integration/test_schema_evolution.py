"""Columns that come, go and change between two runs: what becomes of the table, and what its older files read as."""

import json
import os
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from headgate import dataplane
from headgate.dataplane import literal
from headgate.model.lake import PROVENANCE, Column, LakeType
from headgate.model.runs import Json, Run, RunState
from headgate.sources import connection_specs
from headgate.targets import LakeTable, first_rows
from tests.deployment import POSTGRESQL, Deployment, multiset

SQLITE, LOCAL_FILES = (
    next(spec.id for spec in connection_specs() if spec.name == name) for name in ("sqlite", "local-files")
)
DAYS = ("2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04")
CREATED = "CREATE TABLE events (id int, at timestamp, note text)"


@dataclass
class Database:
    """A database that can be read by flows and changed by statements."""

    spec: str
    auth: dict[str, str]

    def execute(self, *statements: str) -> None:
        if self.spec == POSTGRESQL:
            with psycopg.connect(self.auth["connectionString"], autocommit=True) as server:
                for statement in statements:
                    server.execute(statement)
            return
        connection = sqlite3.connect(self.auth["path"])
        for statement in statements:
            connection.execute(statement)
        connection.commit()
        connection.close()

    def flow(self, deployment: Deployment, table: str = "events", **options: Any) -> str:
        return deployment.flow(self.spec, self.auth, {"tableName": table}, **options)


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    made = Deployment(tmp_path)
    yield made
    made.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    if request.param == "sqlite":
        return Database(SQLITE, {"path": str(tmp_path / "events.sqlite")})
    return Database(POSTGRESQL, {"connectionString": request.getfixturevalue("database")})


@pytest.fixture
def server(database: str) -> Database:
    return Database(POSTGRESQL, {"connectionString": database})


def _day(deployment: Deployment, flow: str, day: int, delta: str | None = "at") -> Run:
    return deployment.run(flow, DAYS[day], DAYS[day + 1], delta)


def _good(deployment: Deployment, flow: str, day: int, delta: str | None = "at") -> list[Json]:
    """A run that succeeds; how it changed the table."""
    run = _day(deployment, flow, day, delta)
    assert run.state is RunState.SUCCESS, run.metrics
    changes: list[Json] = run.metrics.get("schemaChanges", [])
    assert changes == run.activities[-1]["statusSummary"]["extensions"].get("schemaChanges", [])
    return changes


def _fault(run: Run) -> Json:
    assert run.state is RunState.FAILED
    error: Json = run.metrics["statusSummary"]["errors"][0]
    return error


def _table(deployment: Deployment) -> LakeTable:
    found = deployment.lake.find(("org", "prod", "target"))
    assert found is not None
    return found


def _types(deployment: Deployment) -> dict[str, str]:
    return {column.name: str(column.type) for column in _table(deployment).columns if column.name not in PROVENANCE}


def _seen(deployment: Deployment) -> list[tuple[Any, ...]]:
    """The rows as PyIceberg, DuckDB's Iceberg reader and the preview show them, which must agree."""
    rows, table = deployment.rows(), _table(deployment)
    with dataplane.opened("avro", "iceberg") as connection:
        scan = f"SELECT * EXCLUDE ({', '.join(set(PROVENANCE) & {c.name for c in table.columns})})"
        found = connection.execute(f"{scan} FROM iceberg_scan({literal(str(table.metadata_file))})").fetchall()
    assert multiset(found) == multiset(rows)
    shown = [tuple(v for k, v in row.items() if k not in PROVENANCE) for row in first_rows(table, 1000)]
    assert multiset(shown) == multiset(rows)
    return sorted(rows, key=repr)


# -- columns that come and go ----------------------------------------------------------------------


def test_a_new_column_is_added(deployment: Deployment, source: Database) -> None:
    source.execute(CREATED, "INSERT INTO events VALUES (1, '2024-01-01 10:00:00', 'a')")
    flow = source.flow(deployment)
    assert _good(deployment, flow, 0) == []
    source.execute(
        "ALTER TABLE events ADD COLUMN size double precision",
        "INSERT INTO events VALUES (2, '2024-01-02 10:00:00', 'b', 1.5)",
    )
    assert _good(deployment, flow, 1) == [{"column": "size", "change": "added", "type": "double"}]
    first, second = datetime(2024, 1, 1, 10), datetime(2024, 1, 2, 10)
    assert _seen(deployment) == [(1, first, "a", None), (2, second, "b", 1.5)]
    assert _good(deployment, flow, 0) == _good(deployment, flow, 1) == []
    assert _seen(deployment) == [(1, first, "a", None), (2, second, "b", 1.5)]


def test_a_removed_column_reads_as_null_and_stays(deployment: Deployment, source: Database) -> None:
    source.execute(
        CREATED,
        "INSERT INTO events VALUES (1, '2024-01-01 10:00:00', 'a')",
        "INSERT INTO events VALUES (2, '2024-01-02 10:00:00', 'b')",
    )
    flow = source.flow(deployment)
    _good(deployment, flow, 0)
    with _table(deployment).iceberg.update_schema(allow_incompatible_changes=True) as update:
        update._set_column_requirement(("note",), True)  # as another engine may have it
    source.execute("ALTER TABLE events DROP COLUMN note")
    assert _good(deployment, flow, 1) == [{"column": "note", "change": "absent", "type": "string"}]
    assert not _table(deployment).schema.find_field("note").required
    assert [(row[0], row[2]) for row in _seen(deployment)] == [(1, "a"), (2, None)]


def test_names_that_differ_in_case_only_are_refused(deployment: Deployment, server: Database) -> None:
    server.execute(CREATED, 'CREATE TABLE others (id int, at timestamp, "Note" text)')
    _good(deployment, server.flow(deployment), 0)
    message = _fault(_day(deployment, server.flow(deployment, "others"), 0))["message"]
    assert "'note'" in message
    assert "'Note'" in message


def test_of_very_many_columns_that_change_a_hundred_are_named(deployment: Deployment, server: Database) -> None:
    columns = ", ".join(f"c{number} int" for number in range(120))
    server.execute(f"CREATE TABLE wide (at timestamp, {columns})", "CREATE TABLE slim (at timestamp, fresh int)")
    _good(deployment, server.flow(deployment, "wide"), 0)
    changes = _good(deployment, server.flow(deployment, "slim"), 0)
    assert changes[0] == {"column": "fresh", "change": "added", "type": "int"}
    assert [change["change"] for change in changes[1:]] == [*["absent"] * 99, "more"]
    assert changes[-1]["count"] == 21


# -- types that change -----------------------------------------------------------------------------

WIDENED = [
    ("integer", "2147483647", "bigint", "9223372036854775807", "long"),
    ("real", "0.1", "double precision", "0.1", "double"),
    ("numeric(8,2)", "123456.78", "numeric(12,2)", "1234567890.12", "decimal(12,2)"),
    ("numeric(8,4)", "1234.5678", "numeric(9,2)", "1234567.12", "decimal(11,4)"),
    ("numeric(8,2)", "123456.78", "bigint", "9223372036854775807", "decimal(21,2)"),
    ("integer[]", "{1,null}", "bigint[]", "{9223372036854775807}", "list<long>"),
]


def test_widened_columns_are_widened_and_narrower_ones_cast_up(deployment: Deployment, server: Database) -> None:
    def columns(place: int) -> str:
        return ", ".join(f"v{number} {each[place]}" for number, each in enumerate(WIDENED))

    def values(place: int) -> str:
        return ", ".join(f"'{each[place]}'" for each in WIDENED)

    server.execute(
        f"CREATE TABLE narrow (id int, at timestamp, {columns(0)})",
        f"CREATE TABLE wide (id int, at timestamp, {columns(2)})",
        f"INSERT INTO narrow VALUES (1, '2024-01-01 10:00:00', {values(1)}), (2, '2024-01-02 10:00:00', {values(1)})",
        f"INSERT INTO wide VALUES (3, '2024-01-01 10:00:00', {values(3)})",
    )
    narrow, wide = server.flow(deployment, "narrow"), server.flow(deployment, "wide")
    _good(deployment, narrow, 0)
    held = deployment.rows()[0][1:]
    changes = _good(deployment, wide, 0)
    assert {(each["column"], each["change"]) for each in changes} == {
        *((f"v{number}", "widened") for number in range(5)),
        ("v5.element", "widened"),
    }
    assert [*_types(deployment).values()][2:] == [each[4] for each in WIDENED]
    assert _good(deployment, narrow, 1) == []  # its own types still, which the table has outgrown
    rows = {row[0]: row[1:] for row in _seen(deployment)}
    assert rows[1] == held
    assert rows[1][1:] == rows[2][1:]
    with psycopg.connect(server.auth["connectionString"]) as connection:
        assert (3, *rows[3]) == connection.execute("SELECT * FROM wide").fetchone()
    assert _good(deployment, narrow, 0) == _good(deployment, wide, 0) == []  # replaced, in files of both types
    assert len(_seen(deployment)) == 3


def test_windows_are_replaced_across_the_widening_of_their_delta_column(
    deployment: Deployment, server: Database
) -> None:
    seconds = int(datetime(2024, 1, 1, 10, tzinfo=UTC).timestamp())
    server.execute("CREATE TABLE events (id int, at int)", f"INSERT INTO events VALUES (1, {seconds})")
    mapping = {"mappings": [{"sourceType": "ATTRIBUTE", "source": "id", "destination": "id"}], "schema": None}
    flows = server.flow(deployment), server.flow(deployment, mapping=mapping)
    for flow in flows:
        _good(deployment, flow, 0)
    server.execute("ALTER TABLE events ALTER COLUMN at TYPE bigint")
    for flow in flows:
        _good(deployment, flow, 0)
    assert _seen(deployment) == [(1, seconds), (1, None)]


def test_a_mapped_window_is_replaced_when_its_delta_column_tells_time_differently(
    deployment: Deployment, server: Database
) -> None:
    server.execute(
        "CREATE TABLE events (id int, at timestamp)",
        "INSERT INTO events VALUES (1, '2024-01-01 00:00:00'), (2, '2024-01-01 23:59:59.999999'), (3, '2024-01-02')",
    )
    mapping = {"mappings": [{"sourceType": "ATTRIBUTE", "source": "id", "destination": "id"}], "schema": None}
    flow = server.flow(deployment, mapping=mapping)
    _good(deployment, flow, 0)
    _good(deployment, flow, 1)
    for type_ in ("timestamptz USING at AT TIME ZONE 'UTC'", "date USING (at AT TIME ZONE 'UTC')::date"):
        server.execute(f"ALTER TABLE events ALTER COLUMN at TYPE {type_}")
        _good(deployment, flow, 0)
        assert sorted(_seen(deployment)) == [(1,), (2,), (3,)]


INCOMPATIBLE = [
    ("text", "integer", "string", "int"),
    ("bigint", "double precision", "long", "double"),
    ("numeric(8,2)", "numeric(8,4)", "decimal(8,2)", "decimal(8,4)"),
    ("date", "timestamp", "date", "timestamp"),
    ("integer[]", "integer", "list<int>", "int"),
]


def test_another_type_fails_the_run_and_is_named(deployment: Deployment, server: Database) -> None:
    columns = ", ".join(f"v{number} {each[0]}" for number, each in enumerate(INCOMPATIBLE))
    server.execute(f"CREATE TABLE events (at timestamp, {columns})")
    _good(deployment, server.flow(deployment), 0)
    types = _types(deployment)
    for number, (_, after, held, given) in enumerate(INCOMPATIBLE):
        server.execute(f"CREATE TABLE next{number} (at timestamp, v{number} {after})")
        error = _fault(_day(deployment, server.flow(deployment, f"next{number}"), 0))
        assert error["code"] == "CONNECTOR-2002-400"
        told = (f"'v{number}' as {held}", f"as {given}", "params.columns", "new dataset")
        assert all(part in error["message"] for part in told)
    assert _types(deployment) == types


# -- structs and lists -----------------------------------------------------------------------------


def test_what_is_nested_grows_too(deployment: Deployment, tmp_path: Path) -> None:
    """A struct gains members, one in a list of structs as well, and members are widened."""
    table = deployment.lake.table(("org", "prod", "target"), (Column("doc", _struct(a=LakeType("int"))),))
    assert table.snapshot_id is None
    folder = tmp_path / "in"
    folder.mkdir()
    documents = [{"a": 1}, {"a": 2**40, "b": [{"c": "x"}]}, {"b": [{"c": "y", "d": True}, {"d": False}]}]
    flow = deployment.flow(
        LOCAL_FILES, {}, {"path": str(folder), "type": "folder"}, data={"format": "json"}, kind="file"
    )
    changes: list[Json] = []
    for day, document in enumerate(documents):
        path = folder / f"{day}.json"
        path.write_text(json.dumps({"doc": document}))
        moment = datetime.fromisoformat(f"{DAYS[day]}T12:00:00+00:00").timestamp()
        os.utime(path, (moment, moment))
        changes += _good(deployment, flow, day, None)
    assert [(each["column"], each["change"]) for each in changes] == [
        ("doc.a", "widened"),
        ("doc.b", "added"),
        ("doc.b.element.d", "added"),
        ("doc.a", "absent"),
    ]
    assert _types(deployment)["doc"] == "struct<a: long, b: list<struct<c: string, d: boolean>>>"
    assert [row[0] for row in _seen(deployment)] == [
        {"a": 1, "b": None},
        {"a": 2**40, "b": [{"c": "x", "d": None}]},
        {"a": None, "b": [{"c": "y", "d": True}, {"c": None, "d": False}]},
    ]


def test_files_join_a_table_that_rows_of_a_database_are_in(
    deployment: Deployment, source: Database, tmp_path: Path
) -> None:
    """The columns by which their rows are found again are added with the first of them."""
    source.execute(CREATED, "INSERT INTO events VALUES (1, '2024-01-01 10:00:00', 'a')")
    _good(deployment, source.flow(deployment), 0)
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "a.json"
    path.write_text(json.dumps({"id": 2, "note": "b"}))
    moment = datetime.fromisoformat(f"{DAYS[0]}T12:00:00+00:00").timestamp()
    os.utime(path, (moment, moment))
    selected = {"path": str(tmp_path / "in"), "type": "folder"}
    flow = deployment.flow(LOCAL_FILES, {}, selected, data={"format": "json"}, kind="file")
    for _ in range(2):
        _good(deployment, flow, 0, None)
    assert sorted(row[0] for row in _seen(deployment)) == [1, 2]


def _struct(**fields: LakeType) -> LakeType:
    return LakeType("struct", fields=tuple(fields.items()))


# -- runs that fail, die or meet others ------------------------------------------------------------


def test_a_run_that_fails_leaves_the_columns_alone(deployment: Deployment, server: Database) -> None:
    server.execute(CREATED, "INSERT INTO events VALUES (1, '2024-01-01 10:00:00', 'a')")
    flow = server.flow(deployment)
    _good(deployment, flow, 0)
    before, schemas = _types(deployment), len(_table(deployment).iceberg.schemas())
    server.execute(
        "ALTER TABLE events ADD COLUMN due date, ALTER COLUMN id TYPE bigint",
        "INSERT INTO events VALUES (2, '2024-01-02 10:00:00', 'b', 'infinity')",
    )
    assert "infinity" in _fault(_day(deployment, flow, 1))["message"]
    assert _types(deployment) == before
    assert len(_table(deployment).iceberg.schemas()) == schemas


def test_a_table_that_never_had_a_row_takes_other_types(deployment: Deployment, server: Database) -> None:
    server.execute(
        'CREATE TABLE events (at timestamp, v date, "Name" text, same int)',
        "INSERT INTO events VALUES ('2024-01-01 10:00:00', 'infinity', 'a', 1)",
    )
    flow = server.flow(deployment)
    _fault(_day(deployment, flow, 0))
    server.execute("ALTER TABLE events ALTER COLUMN v TYPE text", 'ALTER TABLE events RENAME COLUMN "Name" TO name')
    changes = _good(deployment, flow, 0)
    assert [(each["column"], each["change"]) for each in changes] == [("v", "added"), ("name", "added")]
    assert _seen(deployment) == [(datetime(2024, 1, 1, 10), 1, "infinity", "a")]


def test_what_changed_is_reported_when_the_worker_died_after_its_commit(
    deployment: Deployment, server: Database
) -> None:
    server.execute(CREATED)
    flow = server.flow(deployment)
    _good(deployment, flow, 0)
    server.execute("ALTER TABLE events ADD COLUMN size bigint")
    run = deployment.enqueue(flow, DAYS[0], DAYS[1], "at")
    attempt = deployment.attempt(lease=0.5)
    with attempt.lease:
        attempt._ingest()
    time.sleep(0.6)
    deployment.attempt().execute()
    assert deployment.scoped.run(run.id).metrics["schemaChanges"] == [
        {"column": "size", "change": "added", "type": "long"}
    ]


@pytest.mark.parametrize("same", [True, False])
def test_two_runs_that_add_columns_at_the_same_time_both_land(
    deployment: Deployment, server: Database, monkeypatch: pytest.MonkeyPatch, same: bool
) -> None:
    other = "size bigint" if same else "weight double precision"
    server.execute(
        CREATED,
        "CREATE TABLE first (id int, at timestamp, note text, size bigint)",
        f"CREATE TABLE second (id int, at timestamp, note text, {other})",
        "INSERT INTO first VALUES (1, '2024-01-01 10:00:00', 'a', 11)",
        "INSERT INTO second VALUES (2, '2024-01-01 10:00:00', 'b', 22)",
    )
    _good(deployment, server.flow(deployment), 0)
    commit = LakeTable.commit

    def late(table: LakeTable, *arguments: Any, **options: Any) -> Any:
        monkeypatch.setattr(LakeTable, "commit", commit)
        _good(deployment, server.flow(deployment, "second"), 0)
        return commit(table, *arguments, **options)

    monkeypatch.setattr(LakeTable, "commit", late)
    run = _day(deployment, server.flow(deployment, "first"), 0)
    if not same:  # its files were staged for a column of a number that another column got
        assert run.state is RunState.QUEUED
        time.sleep(1.1)
        deployment.attempt().execute()
        run = deployment.scoped.run(run.id)
    assert run.state is RunState.SUCCESS
    assert len(_seen(deployment)) == 2
    values = {row["id"]: (row["size"], row.get("weight")) for row in deployment.arrow().to_pylist()}
    assert values == {1: (11, None), 2: (22, None) if same else (None, 22.0)}
