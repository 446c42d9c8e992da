"""The write mode `upsert`: rows take the place of those with the same key, in the commit that brings them."""

import json
import os
import sqlite3
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from headgate.model.runs import Json, Run, RunState
from headgate.sources import connection_specs
from headgate.targets import LakeTable
from tests.deployment import POSTGRESQL, Deployment, multiset

SQLITE, LOCAL_FILES = (
    next(spec.id for spec in connection_specs() if spec.name == name) for name in ("sqlite", "local-files")
)
DAYS = [f"2024-01-0{day}" for day in range(1, 8)]
Row = tuple[Any, ...]


class Database:
    """A database with one table of changes: a key, the time of the change, and the value from then on."""

    def __init__(self, spec: str, auth: dict[str, str]) -> None:
        self.spec = spec
        self.auth = auth
        self.rows: list[Row] = []
        self.execute("CREATE TABLE changes (id bigint, part varchar(40), at timestamp, value integer)")

    def change(self, *rows: tuple[int | None, str, str, int | None]) -> None:
        def shown(value: object) -> str:
            return "NULL" if value is None else f"'{value}'"

        self.rows += [(id_, part, datetime.fromisoformat(at), value) for id_, part, at, value in rows]
        values = (", ".join(map(shown, (*row[:2], row[2].replace("T", " "), row[3]))) for row in rows)
        self.execute(f"INSERT INTO changes VALUES {', '.join(f'({row})' for row in values)}")

    def last(self, start: str, end: str) -> dict[tuple[Any, Any], Row]:
        """The row that counts of each key in the window."""
        lower, upper = datetime.fromisoformat(start), datetime.fromisoformat(end)
        return {row[:2]: row for row in sorted(r for r in self.rows if lower <= r[2] < upper)}

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

    def flow(self, deployment: Deployment, key: tuple[str, ...] = ("id", "part"), **options: Any) -> str:
        return deployment.flow(self.spec, self.auth, {"tableName": "changes"}, mode="upsert", key=list(key), **options)


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    made = Deployment(tmp_path)
    yield made
    made.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    if request.param == "sqlite":
        return Database(SQLITE, {"path": str(tmp_path / "changes.sqlite")})
    return Database(POSTGRESQL, {"connectionString": request.getfixturevalue("database")})


@pytest.fixture
def local(tmp_path: Path) -> Database:
    return Database(SQLITE, {"path": str(tmp_path / "changes.sqlite")})


def _run(deployment: Deployment, flow: str, start: int, end: int) -> Json:
    run = deployment.run(flow, DAYS[start], DAYS[end], "at")
    assert run.state is RunState.SUCCESS, run.metrics
    summary: Json = run.metrics["recordSummary"]
    assert summary["inputRecordCount"] == summary["outputRecordCount"] + summary["skippedRecordCount"]
    assert summary["outputRecordCount"] == summary["createdRecordCount"] + summary["updatedRecordCount"]
    return {name.removesuffix("RecordCount"): summary[name] for name in summary if name in COUNTED and summary[name]}


COUNTED = ("createdRecordCount", "updatedRecordCount", "deletedRecordCount", "skippedRecordCount")


def test_the_last_row_of_each_key_stands_whatever_is_repeated(deployment: Deployment, source: Database) -> None:
    moments = [(datetime(2024, 1, 1) + timedelta(hours=2 * number)).isoformat() for number in range(60)]
    source.change(*((number % 7, "ab"[number % 2], moment, number) for number, moment in enumerate(moments)))
    flow = source.flow(deployment)
    assert _run(deployment, flow, 0, 1) == {"created": 12}
    held = source.last(DAYS[0], DAYS[1])
    for start, end in [(1, 2), (0, 2), (2, 5), (5, 5), (6, 6), (0, 6), (0, 1)]:
        held |= source.last(DAYS[start], DAYS[end])
        _run(deployment, flow, start, end)
        assert multiset(deployment.rows()) == multiset(held.values())
    assert _run(deployment, flow, 0, 6) == {"updated": 14, "skipped": 46}


def test_rows_of_the_same_key_and_moment_are_decided_by_their_other_columns(
    deployment: Deployment, local: Database
) -> None:
    """The greater one counts, NULL being the least; in whatever order and file they come."""
    noon, later = "2024-01-01T12:00:00", "2024-01-01T12:00:01"
    local.change((1, "b", noon, 9), (1, "a", noon, 99), (1, "b", noon, 10), (2, "x", noon, None), (2, "x", noon, -1))
    local.change((3, "z", noon, 9), (3, "a", later, None), (3, "a", later, None), (4, "only", noon, 1))
    flow = local.flow(deployment, ("id",))
    assert _run(deployment, flow, 0, 1) == {"created": 4, "skipped": 5}
    assert sorted((row[0], row[1], row[3]) for row in deployment.rows()) == [
        (1, "b", 10),
        (2, "x", -1),
        (3, "a", None),
        (4, "only", 1),
    ]


def test_a_row_without_a_key_fails_the_run_and_is_shown(deployment: Deployment, source: Database) -> None:
    source.change((1, "a", "2024-01-01T12:00:00", 1), (None, "lonely", "2024-01-01T13:00:00", 2))
    run = deployment.run(source.flow(deployment), DAYS[0], DAYS[1], "at")
    assert run.state is RunState.FAILED
    (error,) = run.metrics["statusSummary"]["errors"]
    assert error["code"] == "CONNECTOR-2001-400"
    assert all(part in error["message"] for part in ("'id'", "params.primaryKey", "NULL", "lonely"))
    assert deployment.rows() == []
    assert deployment.files() == set()


def test_rows_without_a_key_are_left_out_where_the_flow_puts_up_with_bad_records(
    deployment: Deployment, source: Database
) -> None:
    good = [(number, "a", "2024-01-01T12:00:00", number) for number in range(8)]
    source.change(*good, (None, "lonely", "2024-01-01T13:00:00", 2))
    flow = source.flow(deployment)
    deployment.freeze(flow, options={"partialIngestionPercent": 20, "errorDiagnosticsEnabled": True})
    run = deployment.run(flow, DAYS[0], DAYS[1], "at")
    assert run.state is RunState.SUCCESS, run.metrics
    summary = run.metrics["recordSummary"]
    assert (summary["inputRecordCount"], summary["createdRecordCount"], summary["failedRecordCount"]) == (9, 8, 1)
    assert sorted(row[0] for row in deployment.rows()) == list(range(8))
    errors = json.dumps(run.activities)
    assert "params.primaryKey" in errors


@pytest.mark.parametrize("key", ["missing", "score", "part.x"])
def test_a_key_that_does_not_land_fails_the_run_and_says_what_may_be_one(
    deployment: Deployment, local: Database, key: str
) -> None:
    local.execute("ALTER TABLE changes ADD COLUMN score REAL")
    run = deployment.run(local.flow(deployment, (key,)), DAYS[0], DAYS[1], "at")
    assert run.state is RunState.FAILED
    (error,) = run.metrics["statusSummary"]["errors"]
    assert repr(key) in error["message"]
    assert "of: id, part, at, value." in error["message"]


def test_rows_that_the_table_has_twice_become_one(deployment: Deployment, local: Database) -> None:
    local.change((1, "a", "2024-01-01T12:00:00", 1), (2, "a", "2024-01-01T13:00:00", 2))
    append = deployment.flow(local.spec, local.auth, {"tableName": "changes"}, mode="append")
    for _ in range(2):
        deployment.run(append, DAYS[0], DAYS[1], "at")
    assert len(deployment.rows()) == 4
    assert _run(deployment, local.flow(deployment), 0, 1) == {"updated": 2, "deleted": 2}
    assert multiset(deployment.rows()) == multiset(local.rows)


# -- runs beside each other ------------------------------------------------------------------------


def test_a_commit_that_meets_another_run_replaces_that_run_s_rows_too(
    deployment: Deployment, local: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    local.change(*((number, "a", "2024-01-01T12:00:00", 1) for number in range(20)))
    local.change(*((number, "a", "2024-01-02T12:00:00", 2) for number in range(10, 30)))
    attempt, build = local.flow(deployment), LakeTable._try

    def late(table: LakeTable, *arguments: Any) -> Any:
        monkeypatch.setattr(LakeTable, "_try", build)
        assert _run(deployment, local.flow(deployment), 1, 2) == {"created": 20}
        return build(table, *arguments)

    monkeypatch.setattr(LakeTable, "_try", late)
    assert _run(deployment, attempt, 0, 1) == {"created": 10, "updated": 10}
    values = {row[0]: row[3] for row in deployment.rows()}
    assert len(deployment.rows()) == 30
    assert values == {number: 1 if number < 20 else 2 for number in range(30)}


def test_many_writers_leave_one_row_of_each_key(deployment: Deployment, local: Database) -> None:
    local.change(*((number, "a", f"2024-01-0{day}T12:00:00", day) for day in (1, 2) for number in range(10)))
    runs = [deployment.enqueue(local.flow(deployment), DAYS[day], DAYS[day + 1], "at").id for day in (0, 1) * 2]
    attempts = [deployment.attempt() for _ in runs]
    threads = [threading.Thread(target=attempt.execute) for attempt in attempts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {deployment.scoped.run(run).state for run in runs} == {RunState.SUCCESS}
    assert sorted(row[0] for row in deployment.rows()) == list(range(10))
    last = deployment.scoped.run(deployment.snapshots()[-1])
    assert {row[2].isoformat()[:10] for row in deployment.rows()} == {_day(last)}


def _day(run: Run) -> str:
    return datetime.fromtimestamp(run.window.start_ms / 1000, UTC).date().isoformat()


def test_a_run_is_cancelled_while_it_rewrites_files(
    deployment: Deployment, local: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    local.change(*((number, "a", f"2024-01-0{1 + number % 2}T12:00:00", number) for number in range(20)))
    flow = local.flow(deployment)
    _run(deployment, flow, 0, 2)
    files, rows_of = deployment.files(), LakeTable.rows_of
    run = deployment.enqueue(flow, DAYS[0], DAYS[1], "at")

    def endless(table: LakeTable, connection: Any, task: Any) -> str:
        deployment.scoped.cancel_run(run.id)
        rows = rows_of(table, connection, task)
        return f"(SELECT r.* FROM {rows} AS r, range(1000000000) AS s(n) WHERE n + random() > 0)"

    monkeypatch.setattr(LakeTable, "rows_of", endless)
    deployment.attempt().execute()
    monkeypatch.undo()
    assert deployment.scoped.run(run.id).state is RunState.CANCELLED
    assert deployment.files() == files
    assert multiset(deployment.rows()) == multiset(local.rows)


# -- which files are read --------------------------------------------------------------------------


def test_only_files_that_may_hold_a_key_are_opened(
    deployment: Deployment, local: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    local.change(*((2 * n, f"part {n:05}", f"2024-01-0{1 + n % 5}T12:00:00", n) for n in range(50)))
    local.change(*((n, f"part {n:05}", "2024-01-06T12:00:00", n) for n in (0, 2, 4, 900)))
    spread, close = local.flow(deployment, ("id",)), local.flow(deployment, ("at", "part"))
    for day in range(5):
        _run(deployment, spread, day, day + 1)
    opened: list[str] = []
    rows_of = LakeTable.rows_of

    def noted(table: LakeTable, connection: Any, task: Any) -> str:
        opened.append(task.file.file_path)
        return rows_of(table, connection, task)

    monkeypatch.setattr(LakeTable, "rows_of", noted)
    assert _run(deployment, close, 2, 3) == {"updated": 10}  # the days are apart, though the parts are not
    assert len(opened) == 1
    opened.clear()
    assert _run(deployment, spread, 5, 6) == {"created": 1, "updated": 3}
    assert len(opened) == 3  # of five: 0 is in the first, 2 in the second, 4 in the third


EVERY_TYPE = {
    "a": ("smallint", "-3"),
    "b": ("bigint", "9223372036854775807"),
    "c": ("numeric(20,5)", "-12345.67890"),
    "d": ("date", "1969-12-31"),
    "e": ("timestamp", "1969-12-31 23:59:59.999999"),
    "f": ("timestamptz", "2024-01-01 00:00:00.000001+00"),
    "g": ("time", "23:59:59.999999"),
    "h": ("uuid", "ffffffff-ffff-ffff-ffff-ffffffffffff"),
    "i": ("bytea", r"\xff00"),
    "j": ("boolean", "true"),
    "k": ("text", "naïve 🙂 and rather longer than sixteen letters"),
}


def test_columns_of_every_type_may_be_keys(deployment: Deployment, database: str) -> None:
    columns = ", ".join(f"{name} {type_}" for name, (type_, _) in EVERY_TYPE.items())
    values = ", ".join(f"'{value}'" for _, value in EVERY_TYPE.values())
    with psycopg.connect(database, autocommit=True) as server:
        server.execute(f"CREATE TABLE t ({columns}, at timestamp)")
        server.execute(f"INSERT INTO t VALUES ({values}, '2024-01-01 10:00:00'), ({values}, '2024-01-02 10:00:00')")
    params = {"connectionString": database}, {"tableName": "t"}
    flow = deployment.flow(POSTGRESQL, *params, mode="upsert", key=list(EVERY_TYPE))
    assert _run(deployment, flow, 0, 1) == {"created": 1}
    assert _run(deployment, flow, 1, 2) == {"updated": 1}
    assert _run(deployment, flow, 0, 2) == {"updated": 1, "skipped": 1}
    by_uuid = deployment.flow(POSTGRESQL, *params, mode="upsert", key=["h"])  # which no figures of files tell apart
    assert _run(deployment, by_uuid, 1, 2) == {"updated": 1}


def test_columns_may_have_any_names(deployment: Deployment, local: Database) -> None:
    """Those among them that queries of ours use for something else."""
    names = ["k0", "keys", "r", "number", "times", "filename", "file_row_number", "rowid", 'a"b', "a.b", "SELECT"]
    quoted = ['"' + name.replace('"', '""') + '"' for name in names]
    local.execute(f'CREATE TABLE odd ({", ".join(f"{name} INTEGER" for name in quoted)}, "at" TIMESTAMP)')
    for day, number in ((1, 1), (1, 2), (2, 2), (3, 3)):
        moments = [f"2024-01-0{day} 12:00:00", f"2024-01-0{day} 13:00:00"]
        local.execute(*(f"INSERT INTO odd VALUES ({f'{number}, ' * len(names)}'{moment}')" for moment in moments))
    auth, params = local.auth, {"tableName": "odd"}
    flow = deployment.flow(SQLITE, auth, params, mode="upsert", key=names)
    assert _run(deployment, flow, 0, 1) == {"created": 2, "skipped": 2}
    assert _run(deployment, flow, 1, 3) == {"created": 1, "updated": 1, "skipped": 2}
    assert sorted(row[0] for row in deployment.rows()) == [1, 2, 3]


# -- columns that change, mapping sets and files ---------------------------------------------------


def test_a_key_is_widened_with_the_table(deployment: Deployment, database: str) -> None:
    with psycopg.connect(database, autocommit=True) as server:
        server.execute("CREATE TABLE t (id int, at timestamp)")
        server.execute("INSERT INTO t VALUES (1, '2024-01-01 10:00:00'), (2, '2024-01-02 10:00:00')")
        flow = deployment.flow(
            POSTGRESQL, {"connectionString": database}, {"tableName": "t"}, mode="upsert", key=["id"]
        )
        _run(deployment, flow, 0, 2)
        server.execute("ALTER TABLE t ALTER COLUMN id TYPE bigint, ADD COLUMN note text")
        server.execute("UPDATE t SET note = 'x' WHERE id = 1")
        server.execute("INSERT INTO t VALUES (9876543210, '2024-01-01 10:00:00', 'y')")
    assert _run(deployment, flow, 0, 1) == {"created": 1, "updated": 1}
    rows = sorted((row[0], row[2]) for row in deployment.rows())
    assert rows == [(1, "x"), (2, None), (9876543210, "y")]


def test_a_mapped_flow_replaces_by_a_member_and_keeps_its_delta_value(deployment: Deployment, local: Database) -> None:
    local.change((1, "a", "2024-01-01T12:00:00", 1), (1, "b", "2024-01-01T11:00:00", 2))
    local.change((2, "c", "2024-01-02T11:00:00", 3))
    mappings = [
        {"sourceType": "ATTRIBUTE", "source": source, "destination": f"_acme.{destination}"}
        for source, destination in {"id": "key.id", "part": "name"}.items()
    ]
    flow = local.flow(deployment, ("_acme.key.id",), mapping={"mappings": mappings, "schema": None})
    assert _run(deployment, flow, 0, 1) == {"created": 1, "skipped": 1}
    assert _run(deployment, flow, 0, 2) == {"created": 1, "updated": 1, "skipped": 1}
    found = [row["_acme"] for row in deployment.arrow().to_pylist()]
    assert sorted(found, key=str) == [{"key": {"id": 1}, "name": "a"}, {"key": {"id": 2}, "name": "c"}]


def test_the_row_of_the_file_that_changed_last_counts(deployment: Deployment, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name, text, hour in (("a.csv", "id,v\n1,new\n2,x\n", 12), ("b.csv", "id,v\n1,old\n", 11)):
        path = tmp_path / "in" / name
        path.write_text(text)
        moment = datetime(2024, 1, 1, hour, tzinfo=UTC).timestamp()
        os.utime(path, (moment, moment))
    flow = deployment.flow(
        LOCAL_FILES,
        {},
        {"path": str(tmp_path / "in"), "type": "folder"},
        data={"format": "delimited"},
        kind="file",
        mode="upsert",
        key=["id"],
    )
    run = deployment.run(flow, DAYS[0], DAYS[1])
    assert run.state is RunState.SUCCESS, run.metrics
    assert multiset(deployment.rows()) == multiset([(1, "new"), (2, "x")])
