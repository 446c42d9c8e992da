"""Databases read through SQLAlchemy, the last resort: over SQLite files and over a real PostgreSQL server."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import duckdb
import psycopg
import pytest

from headgate import dataplane
from headgate.config import Settings
from headgate.errors import (
    BadParameter,
    HostNotAllowed,
    MissingExtra,
    ParameterMissing,
    SourceAccessDenied,
    SourceError,
    SourceObjectMissing,
    SourcePathForbidden,
    SourceUnreachable,
    UnholdableValue,
    UnsupportedType,
)
from headgate.model.scope import Tenancy
from headgate.model.windows import DeltaColumn, Window
from headgate.sources import open_source
from headgate.sources.interface import Source
from headgate.sources.sql.reader import SqlSource
from tests.conftest import empty_database
from tests.deployment import Deployment
from tests.mariadb import Mariadb
from tests.sql_tables import WHOLE, milliseconds, read, read_rejecting, selection, window

SQLALCHEMY = "5e0f1a52-9c2b-4b6e-8a67-1d3c9f7e2b40"
START, END = "2013-01-01T10:00:00", "2013-01-01T10:00:02"
SECRET = "s3cr3t/?&=%"


def opened(url: str, root: Path, **settings: Any) -> SqlSource:
    found = open_source(
        SQLALCHEMY,
        {"url": url},
        Settings(data=root / "data", file_roots=(root,), **settings),
        Tenancy("ORG", shared=False),
    )
    assert isinstance(found, SqlSource)
    return found


Write = Callable[[str], None]


def _run(execute: Callable[[str], object]) -> Write:
    def write(text: str) -> None:
        for part in text.split(";;"):
            execute(part)

    return write


@pytest.fixture(scope="module")
def shared(postgres: str) -> Iterator[str]:
    """A database of PostgreSQL for all tests, each of which finds it empty."""
    with empty_database(postgres) as address:
        yield address


@pytest.fixture(params=["sqlite", "postgresql"])
def system(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Write, str]]:
    """Runs statements on a database, and its address for SQLAlchemy."""
    if request.param == "sqlite":
        with closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as file:
            file.execute("PRAGMA synchronous = OFF")
            yield _run(file.execute), "sqlite:///a.db"
        return
    address = request.getfixturevalue("shared")
    parts = urlsplit(address)
    folder = parse_qs(parts.query)["host"][0]
    with psycopg.connect(address, autocommit=True) as server:
        server.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        url = f"postgresql+psycopg://{parts.username}@{parts.path}?host={folder}"
        yield _run(lambda part: server.execute(part.encode())), url


@pytest.fixture
def write(system: tuple[Write, str]) -> Write:
    return system[0]


@pytest.fixture
def source(system: tuple[Write, str], tmp_path: Path) -> SqlSource:
    return opened(system[1], tmp_path)


@pytest.fixture
def is_sqlite(system: tuple[Write, str]) -> bool:
    return system[1].startswith("sqlite")


TYPES: list[tuple[str, str, str, Any]] = [
    ("BIGINT", "long", "-9223372036854775808", -(2**63)),
    ("DOUBLE PRECISION", "double", "0.1", 0.1),
    ("DECIMAL(10,2)", "decimal(10,2)", "-12345678.91", Decimal("-12345678.91")),
    ("VARCHAR(20)", "string", "'ß😀 it''s 50% :x'", "ß😀 it's 50% :x"),
    ("TEXT", "string", "'a\\b'", "a\\b"),
    ("BOOLEAN", "boolean", "true", True),
    ("DATE", "date", "'9999-12-31'", date.max),
    ("TIMESTAMP", "timestamp", "'2013-01-01 10:00:00.000001'", datetime(2013, 1, 1, 10, 0, 0, 1)),
    ("TIME", "time", "'23:59:59.999999'", datetime.max.time()),
]


@pytest.mark.parametrize(("declared", "kind", "stored", "expected"), TYPES, ids=[row[0] for row in TYPES])
def test_a_type_keeps_its_value(
    write: Write, source: SqlSource, declared: str, kind: str, stored: str, expected: Any
) -> None:
    write(
        f"CREATE TABLE t (at DATE, v {declared});; INSERT INTO t VALUES ('2013-01-01', {stored}), ('2013-01-01', NULL)"
    )
    assert str(source.describe(selection()).columns[1].type) == kind
    assert sorted((row[1] for row in read(source)), key=repr) == sorted([expected, None], key=repr)
    assert len(source.preview(selection(), 100).rows) == 2


def test_more_types_of_postgresql(database: str, tmp_path: Path) -> None:
    parts = urlsplit(database)
    source = opened(f"postgresql+psycopg://{parts.username}@{parts.path}?{parts.query}", tmp_path)
    with psycopg.connect(database, autocommit=True) as server:
        server.execute(
            "CREATE TABLE t (at timestamptz, i int, n numeric, b bytea, j jsonb, u uuid, a int[]);"
            "INSERT INTO t VALUES ('2013-01-01 10:00:00.000001+05:30', 7, 1.50, '\\x00ff', '{\"a\": 1}', "
            "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{1}')"
        )
    with pytest.raises(UnsupportedType, match="'a'"):
        source.describe(selection())
    assert set(source.preview(selection(), 1).unsupported) == {"a"}
    names = [{"name": name} for name in ("at", "i", "b", "j", "u")]
    chosen = selection(columns=[*names, {"name": "n", "type": "decimal(20,4)"}])
    assert read(source, chosen) == [
        (
            datetime(2013, 1, 1, 4, 30, 0, 1, tzinfo=UTC),
            7,
            b"\x00\xff",
            '{"a": 1}',
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            Decimal("1.5000"),
        )
    ]
    assert read(source, selection(columns=[{"name": "at"}, {"name": "n"}]))[0][1] == "1.50"
    with pytest.raises(UnholdableValue, match="decimal128"):
        read(source, selection(columns=[{"name": "at"}, {"name": "n", "type": "decimal(2,0)"}]))


HOSTILE = ['a"; drop table x;--', "%s", "%%", "{0}", ":x", "?1", "😀 été", "My.Table", "'; --", "\\", "select", "a`b"]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_round_trip(write: Write, source: SqlSource, is_sqlite: bool, name: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    write(f"CREATE TABLE {quoted} (at DATE, {quoted} VARCHAR(50));; INSERT INTO {quoted} VALUES ('2013-01-01', 'ok')")
    literal = {"nodeType": "literal", "value": "ok"}
    node = {"nodeType": "fnApply", "fnName": "=", "params": [{"nodeType": "fieldLookup", "fieldName": name}, literal]}
    row_filter = {"type": "PQL", "format": "pql/json", "value": node}
    path = next(entry.path for entry in source.explore(None) if name in entry.name)
    for chosen in (selection(quoted), selection(path, filters=row_filter)):
        assert source.describe(chosen).columns[1].name == name
        assert read(source, chosen) == [(date(2013, 1, 1), "ok")]
        assert source.preview(chosen, 10).rows == (("2013-01-01", "ok"),)
    assert is_sqlite or path.startswith("public.")


@pytest.mark.parametrize("value", ["it's", "50%", "a\\'b", "%s :x ?", "\\", "é😀"])
def test_values_of_filters_are_constants(write: Write, source: SqlSource, value: str) -> None:
    escaped = value.replace("'", "''")
    write(
        f"CREATE TABLE t (at DATE, v TEXT);; INSERT INTO t VALUES ('2013-01-01', '{escaped}'), ('2013-01-01', 'other')"
    )
    literal = {"nodeType": "literal", "value": value}
    node = {"nodeType": "fnApply", "fnName": "=", "params": [{"nodeType": "fieldLookup", "fieldName": "v"}, literal]}
    chosen = selection(filters={"type": "PQL", "format": "pql/json", "value": node})
    assert read(source, chosen) == [(date(2013, 1, 1), value)]


@pytest.mark.parametrize("mode", ["STRICT_TRANS_TABLES", "NO_BACKSLASH_ESCAPES,ANSI_QUOTES"])
def test_a_backslash_is_one_whatever_the_server_takes_it_for(mariadb: Mariadb, tmp_path: Path, mode: str) -> None:
    [(before,)] = mariadb.ask("SELECT @@GLOBAL.sql_mode")
    mariadb.ask(
        "CREATE OR REPLACE TABLE backslash (v VARCHAR(9))",
        "INSERT INTO backslash VALUES (CONCAT('a', CHAR(92), 'b'))",
        "CREATE OR REPLACE USER plain@'%' IDENTIFIED BY 'plain-secret'",
        "GRANT SELECT ON test.* TO plain@'%'",
        f"SET GLOBAL sql_mode = '{mode}'",
        database="test",
    )
    try:
        port = urlsplit(mariadb.url["connectionString"]).port
        maria = opened(f"mysql+pymysql://plain:plain-secret@127.0.0.1:{port}/test", tmp_path)
        node = {"nodeType": "fnApply", "fnName": "=", "params": [_FIELD, {"nodeType": "literal", "value": "a\\b"}]}
        chosen = selection("backslash", filters={"type": "PQL", "format": "pql/json", "value": node})
        assert read(maria, chosen, delta=None) == [("a\\b",)]
        wrong = opened(f"mysql+pymysql://plain:s%E2%9C%93@127.0.0.1:{port}/test", tmp_path)
        with pytest.raises(SourceError) as failure:
            wrong.check()
        assert "2713" not in str(failure.value)
    finally:
        mariadb.ask(f"SET GLOBAL sql_mode = '{before}'")


_FIELD = {"nodeType": "fieldLookup", "fieldName": "v"}


def test_a_filter_rounds_no_number(write: Write, source: SqlSource) -> None:
    write("CREATE TABLE t (at DATE, v BIGINT);; INSERT INTO t VALUES ('2013-01-01', 1), ('2013-01-01', 2)")
    literal = {"nodeType": "literal", "value": 1.5}
    node = {"nodeType": "fnApply", "fnName": "<", "params": [{"nodeType": "fieldLookup", "fieldName": "v"}, literal]}
    chosen = selection(filters={"type": "PQL", "format": "pql/json", "value": node})
    assert read(source, chosen) == [(date(2013, 1, 1), 1)]


@pytest.mark.parametrize("declared", ["TIMESTAMP", "VARCHAR(40)"])
def test_rows_on_the_edges_of_a_window(write: Write, source: SqlSource, declared: str) -> None:
    inside = ["10:00:00", "10:00:00.000001", "10:00:01.999999"]
    rows = [f"('2013-01-01 {value}', '{value}')" for value in ["09:59:59.999999", *inside, "10:00:02"]]
    write(f"CREATE TABLE t (at {declared}, v TEXT);; INSERT INTO t VALUES {', '.join(rows)}, (NULL, 'null')")
    assert sorted(row[1] for row in read(source, None, window(START, END))) == inside
    if declared == "TIMESTAMP":
        start = milliseconds(START)
        assert [row[1] for row in read(source, None, Window(start + 1999, start + 2000))] == ["10:00:01.999999"]


def test_days_and_integers_of_unix_time(write: Write, source: SqlSource) -> None:
    write(
        "CREATE TABLE t (at DATE);; INSERT INTO t VALUES ('2012-12-31'), ('2013-01-01'), ('2013-01-02'), ('2013-01-03')"
    )
    assert len(read(source, None, window("2013-01-01", "2013-01-03"))) == 2
    assert len(read(source, None, window("2013-01-01T00:00:01", "2013-01-03T00:00:01"))) == 2
    start, end = milliseconds(START), milliseconds(END)
    write(f"CREATE TABLE e (at BIGINT);; INSERT INTO e VALUES ({start - 1}), ({start}), ({end - 1}), ({end}), (NULL)")
    assert sorted(read(source, selection("e"), window(START, END))) == [(start,), (end - 1,)]


def test_a_zone_of_the_column(database: str, tmp_path: Path) -> None:
    parts = urlsplit(database)
    source = opened(f"postgresql+psycopg://{parts.username}@{parts.path}?{parts.query}", tmp_path)
    with psycopg.connect(database, autocommit=True) as server:
        server.execute("SET timezone = 'Europe/Berlin'; CREATE TABLE t (at timestamptz)")
        server.execute(
            "INSERT INTO t SELECT '2013-01-01 10:00:00+00'::timestamptz + i * interval '1 microsecond' "
            "FROM (VALUES (-1), (0), (1999999), (2000000)) AS v(i)"
        )
    assert len(read(source, None, window(START, END))) == 2


def test_bad_records_are_left_out_or_fail_by_name(
    write: Write, source: SqlSource, is_sqlite: bool, tmp_path: Path
) -> None:
    write("CREATE TABLE t (at VARCHAR(40));; INSERT INTO t VALUES ('2013-01-01 10:00:00'), ('2013-01-01 at noon')")
    rows, rejects = read_rejecting(source, selection(), tmp_path)
    assert (rows, rejects.count) == ([("2013-01-01 10:00:00",)], 1)
    if is_sqlite:
        write("CREATE TABLE n (at DATE, v INTEGER);; INSERT INTO n VALUES ('2013-01-01', 'seven')")
        with pytest.raises(UnholdableValue, match="seven"):
            read(source, selection("n"))


def test_what_is_missing_and_what_is_there(write: Write, source: SqlSource) -> None:
    write("CREATE TABLE t (at DATE);; CREATE VIEW w AS SELECT at FROM t;; INSERT INTO t VALUES ('2013-01-01')")
    assert {entry.name.split(".")[1] for entry in source.explore(None)} == {"t", "w"}
    assert read(source, selection("W")) == [(date(2013, 1, 1),)]
    assert read(source, selection("w"), delta=None) == [(date(2013, 1, 1),)]
    for table in ("nope", "nowhere.t", "pg_catalog.pg_authid", "information_schema.tables"):
        with pytest.raises(SourceObjectMissing, match=table):
            source.describe(selection(table))
    with pytest.raises(SourceObjectMissing, match="none"):
        source.describe(selection(columns=[{"name": "none"}]))
    with source.plan(selection(), WHOLE, DeltaColumn("at"), parallel=1) as reading, dataplane.opened() as connection:
        write("DROP VIEW w;; DROP TABLE t")
        source.prepare(connection, reading, reading.splits[0])
        with pytest.raises(duckdb.Error) as failure:
            connection.execute(reading.splits[0].relation).fetchall()
        assert isinstance(source.translate(failure.value), SourceObjectMissing)


def test_sessions_cannot_write(write: Write, source: SqlSource) -> None:
    write("CREATE TABLE t (at DATE)")
    with closing(source._driver.connect()) as session, pytest.raises(source._driver.errors) as failure:
        session.rows("INSERT INTO t VALUES ('2013-01-01')")
    assert "read" in str(failure.value)


def test_a_read_is_stopped_in_the_middle(write: Write, source: SqlSource, is_sqlite: bool) -> None:
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n WHERE x % 1000000007 = 0"
    write("CREATE TABLE one (i INTEGER);; INSERT INTO one VALUES (1)")
    write(f"CREATE VIEW t AS SELECT i FROM one, {f'({endless}) AS e' if is_sqlite else 'pg_sleep(60) AS e'}")
    with source.plan(selection(), Window(0, 1), None, parallel=1) as reading, dataplane.opened() as connection:
        source.prepare(connection, reading, reading.splits[0])
        errors: list[Exception] = []

        def scan() -> None:
            try:
                connection.execute(f"SELECT count(i) FROM ({reading.splits[0].relation})").fetchall()
            except duckdb.Error as error:
                errors.append(error)

        thread = threading.Thread(target=scan, daemon=True)
        thread.start()
        while not source._arrivals._open.get(reading.token or ""):
            time.sleep(0.01)
        for _ in range(50):  # it may come before the statement does; the engine asks again and again, too
            source.interrupt(reading)
            thread.join(0.1)
            if not thread.is_alive():
                break
        assert not thread.is_alive()
        assert isinstance(source.translate(errors[0]), SourceError)


REFUSED: list[tuple[str, type[Exception]]] = [
    ("", ParameterMissing),
    ("nonsense", BadParameter),
    (f"postgresql+psycopg://u:{SECRET}@h:notaport/db", BadParameter),
    ("nosuchdialect://u:p@h/db", MissingExtra),
    ("mysql+pymysql://u:p@127.0.0.1/db?local_infile=1", (BadParameter, MissingExtra)),  # type: ignore[list-item]
    ("postgresql+psycopg://u:p@127.0.0.1/db?sslrootcert=/etc/passwd", BadParameter),
    ("postgresql+psycopg://u:p@127.0.0.1/db?host=127.0.0.2", BadParameter),
    ("postgresql+psycopg://u:p@/db?host=/tmp&passfile=/x", BadParameter),
    ("postgresql+psycopg://u:p@/db", ParameterMissing),
    ("postgresql+psycopg://u:p@169.254.169.254/db", HostNotAllowed),
    ("postgresql+psycopg://u:p@a,b/db", HostNotAllowed),
    ("postgresql+psycopg_async://u:p@127.0.0.1/db", BadParameter),
    ("mssql+pyodbc://u:p@dsn/db", BadParameter),
    ("duckdb://h:1//etc/passwd", BadParameter),
    ("shillelagh+safe://h:1/", BadParameter),
    ("oracle+oracledb://u:p@127.0.0.1:1/x)(HOST=127.0.0.2)", (BadParameter, MissingExtra)),  # type: ignore[list-item]
    ("sqlite:///../../etc/passwd", SourcePathForbidden),
    ("sqlite:////etc/passwd", SourcePathForbidden),
    ("sqlite://", ParameterMissing),
    ("sqlite:///:memory:", ParameterMissing),
    ("sqlite:///file:a.db", ParameterMissing),
    ("sqlite:///a.db?mode=rwc", BadParameter),
]


@pytest.mark.parametrize(("url", "kind"), REFUSED, ids=[url for url, _ in REFUSED])
def test_an_address_that_leads_elsewhere_is_refused(tmp_path: Path, url: str, kind: Any) -> None:
    with pytest.raises(kind) as failure:
        opened(url, tmp_path)
    assert SECRET not in str(failure.value)


def test_no_secret_is_in_an_error(postgres: str, tmp_path: Path) -> None:
    nowhere = opened("postgresql+psycopg://me:s3cr3t%2F%3F@127.0.0.1:1/db", tmp_path)
    with pytest.raises(SourceUnreachable) as failure:
        nowhere.check()
    folder = parse_qs(urlsplit(postgres).query)["host"][0]
    stranger = opened(f"postgresql+psycopg://s3cr3t:s3cr3t@/postgres?host={folder}", tmp_path)
    with pytest.raises(SourceAccessDenied) as denied:
        stranger.check()
    missing = opened("sqlite:///none.db", tmp_path)
    with pytest.raises(SourceObjectMissing, match=r"none\.db"):
        missing.check()
    for error in (failure.value, denied.value):
        assert "s3cr3t/?" not in str(error)
        assert "s3cr3t%2F" not in str(error)


def test_what_a_dialect_does_not_offer_is_its_error(source: SqlSource, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> None:
        raise NotImplementedError

    monkeypatch.setattr(type(source._dialect._own), "get_view_names", missing)  # type: ignore[attr-defined]
    with pytest.raises(SourceError, match="NotImplementedError"):
        source.explore(None)


def test_a_flow_lands_a_window_once(write: Write, system: tuple[Write, str], tmp_path: Path) -> None:
    write("CREATE TABLE t (at TIMESTAMP, v INTEGER)")
    for hour in range(24):
        write(f"INSERT INTO t VALUES ('2013-01-01 {hour:02}:00:00', {hour})")
    deployment = Deployment(tmp_path)
    try:
        flow = deployment.flow(SQLALCHEMY, {"url": system[1]}, {"tableName": "t"})
        for _ in range(2):
            deployment.run(flow, "2013-01-01T10:00", "2013-01-01T12:00", "at")
        assert sorted(row[1] for row in deployment.rows()) == [10, 11]
    finally:
        deployment.close()


def test_it_is_a_source(source: SqlSource) -> None:
    found: Source = source
    assert found.translate(SourceError("x")).detail == "x"
    found.check()
