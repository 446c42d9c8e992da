"""ODBC as a source, by PostgreSQL's driver; what every source is held to is in the conformance suite."""

import os
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
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
    SourceAccessDenied,
    SourceError,
    SourceUnreachable,
    UnholdableValue,
    UnsupportedType,
)
from headgate.model.scope import Tenancy
from headgate.model.windows import Bounds, DeltaColumn, DeltaType
from headgate.sources.context import Context
from headgate.sources.interface import Reading
from headgate.sources.sql.odbc import driver, open_odbc
from headgate.sources.sql.odbc.process import Failed
from headgate.sources.sql.reader import SqlSource
from tests.conformance.kits import ODBC_DRIVER, SQLITE_ODBC_DRIVER, OdbcSqliteKit, installed
from tests.emulators import absent
from tests.sql_tables import WHOLE, read, selection

SETTINGS = Settings(odbc_drivers="PostgreSQL Unicode, Other")  # type: ignore[arg-type]
CONTEXT = Context(SETTINGS, Tenancy("org", shared=False))


def opened(text: str, context: Context = CONTEXT) -> SqlSource:
    return open_odbc({"connectionString": text}, context)


@pytest.fixture
def server(database: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database, autocommit=True) as session:
        yield session


@pytest.fixture
def source(database: str) -> SqlSource:
    if not installed(ODBC_DRIVER):
        absent("PostgreSQL's ODBC driver is not installed: apt-get install odbc-postgresql")
    parts = urlsplit(database)
    folder = parse_qs(parts.query)["host"][0]
    return opened(f"Driver={{{ODBC_DRIVER}}};Server={folder};Port=5432;Database={parts.path[1:]};UID={parts.username}")


def children(script: str = "odbc/child.py") -> set[int]:
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == os.getpid() and script in (path.parent / "cmdline").read_text():
            found.add(int(path.parent.name))
    return found


def test_a_driver_is_used_only_if_it_is_listed() -> None:
    with pytest.raises(BadParameter, match="HEADGATE_ODBC_DRIVERS lists which may: PostgreSQL Unicode, Other"):
        opened("Driver=SQLite3;Server=h;Port=1;Database=/etc/x.db;UID=u")
    nobody = Context(Settings(), Tenancy("org", shared=False))
    for name in (ODBC_DRIVER, "/usr/lib/evil.so", "{/tmp/evil.so}"):
        with pytest.raises(BadParameter, match="lists which may: none"):
            opened(f"Driver={name};Server=h;Port=1;Database=d;UID=u", nobody)


@pytest.mark.parametrize("option", ["DSN=x", "FILEDSN=/x", "SSLKey=/x", "ConnSettings=SET x", "Translate=x", "Trace=1"])
def test_options_of_drivers_are_refused(option: str) -> None:
    with pytest.raises(BadParameter, match="not allowed"):
        opened(f"Driver={ODBC_DRIVER};Server=127.0.0.1;Port=1;Database=d;UID=u;{option}")
    with pytest.raises(BadParameter, match="misread"):
        opened(f'Driver={ODBC_DRIVER};Server=127.0.0.1;Port=1;Database="d;{option}";UID=u')


def test_hosts_are_judged_before_they_are_reached() -> None:
    for host in ("169.254.169.254", "0.0.0.0"):  # noqa: S104 - refused
        with pytest.raises(HostNotAllowed):
            opened(f"Driver={ODBC_DRIVER};Server={host};Port=1;Database=d;UID=u")


def test_without_its_package_it_says_what_to_install(source: SqlSource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "find_spec", lambda _: None)
    with pytest.raises(MissingExtra, match=r"pip install 'headgate\[odbc\]'"):
        source.check()


def test_what_does_not_fit_fails_and_is_not_cut(server: psycopg.Connection[Any], source: SqlSource) -> None:
    server.execute("CREATE TABLE t (id int, s text)")
    server.execute("INSERT INTO t VALUES (1, repeat('x', 250000)), (2, 'y')")
    assert sorted((row[0], len(row[1])) for row in read(source, delta=None)) == [(1, 250_000), (2, 1)]
    server.execute("INSERT INTO t VALUES (3, repeat('x', 300000))")
    with pytest.raises(SourceError, match="too large"):
        read(source, delta=None)


def test_types_are_refused_by_name_where_a_driver_would_guess(
    server: psycopg.Connection[Any], source: SqlSource
) -> None:
    server.execute("CREATE TABLE t (id int, n numeric, i interval)")
    for name in ("n", "i"):
        with pytest.raises(UnsupportedType, match=f"'{name}' of public.t"):
            source.describe(selection(columns=[{"name": name}]))


def test_sessions_cannot_write(server: psycopg.Connection[Any], source: SqlSource) -> None:
    server.execute("CREATE TABLE t (id int)")
    session = source._driver.connect()
    try:
        with pytest.raises(Failed, match="readonly"):
            session.rows("INSERT INTO t VALUES (1) RETURNING id")
    finally:
        session.close()


def test_the_password_is_in_no_argument_and_no_error() -> None:
    if not installed(ODBC_DRIVER):
        absent("PostgreSQL's ODBC driver is not installed: apt-get install odbc-postgresql")
    source = opened(f'Driver={ODBC_DRIVER};Server=127.0.0.1;Port=1;Database=d;UID=u;PWD="s3cr3t;}}x"')
    with pytest.raises(SourceUnreachable, match="refused") as caught:
        source.check()
    assert "s3cr3t" not in str(caught.value)
    assert "s3cr3t" not in repr(source._driver._address)  # type: ignore[attr-defined]


WORKING = (
    "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND datname = current_database() AND pid <> pg_backend_pid()"
)


def broken(server: psycopg.Connection[Any], source: SqlSource, end: Callable[[Reading], None]) -> Exception:
    """What comes of an endless read when `end` is called in the middle."""
    failed: list[Exception] = []
    with source.plan(selection("endless"), WHOLE, None, parallel=1) as reading, dataplane.opened() as engine:
        source.prepare(engine, reading, reading.splits[0])

        def run() -> None:
            try:
                engine.execute(reading.splits[0].relation).to_arrow_table()
            except duckdb.Error as error:
                failed.append(source.translate(error))

        thread = threading.Thread(target=run)
        thread.start()
        until = time.monotonic() + 20
        while not server.execute(WORKING).fetchall() and time.monotonic() < until:
            time.sleep(0.02)
        end(reading)
        thread.join(20)
    return failed[0]


@pytest.mark.parametrize("how", ["interrupt", "kill"])
def test_a_driver_that_is_broken_off_or_dies_takes_nothing_with_it(
    server: psycopg.Connection[Any], source: SqlSource, how: str
) -> None:
    server.execute("CREATE VIEW endless AS SELECT i, pg_sleep(0.01)::text AS s FROM generate_series(1, 100000) AS r(i)")

    def end(reading: Reading) -> None:
        if how == "interrupt":
            source.interrupt(reading)
            source.interrupt(reading)
        else:
            for child in children():
                os.kill(child, 6)  # as a driver that aborts

    error = broken(server, source, end)
    assert isinstance(error, SourceUnreachable)
    assert error.passing
    assert not children()
    server.execute("CREATE TABLE t (id int)")
    assert read(source, delta=None) == []


@pytest.fixture
def file(tmp_path: Path) -> OdbcSqliteKit:
    if not installed(SQLITE_ODBC_DRIVER):
        absent("SQLite's ODBC driver is not installed: apt-get install libsqliteodbc")
    return OdbcSqliteKit(tmp_path)


def test_an_integer_that_a_driver_would_cut_is_refused(file: OdbcSqliteKit, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "tables.sqlite")) as session, session:
        session.execute("CREATE TABLE t (n INTEGER)")
        session.executemany("INSERT INTO t VALUES (?)", [(-(2**31),), (2**31 - 1,)])
    assert read(file.open(), delta=None) == [(-(2**31),), (2**31 - 1,)]
    with closing(sqlite3.connect(tmp_path / "tables.sqlite")) as session, session:
        session.execute("INSERT INTO t VALUES (5000000000)")
    with pytest.raises(UnholdableValue, match="5000000000"):
        read(file.open(), delta=None)
    # So is a window's unit told by the largest of them, whatever the driver thinks of its size.
    chosen = selection(columns=[{"name": "n"}])
    with file.open().plan(chosen, WHOLE, DeltaColumn("n"), parallel=1) as reading:
        assert reading.bounds == Bounds.of(WHOLE, DeltaType.EPOCH_S)


def test_a_question_to_a_driver_can_be_broken_off_and_shows_no_password(file: OdbcSqliteKit) -> None:
    source = file.open()
    assert isinstance(source, SqlSource)
    session = source._driver.connect()
    assert isinstance(session, driver.OdbcSession)
    failed: list[Exception] = []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        where = f"Server=127.0.0.1;Port={silent.getsockname()[1]};Database=d;UID=u;PWD=s3cr3t"
        session._connection = f"Driver={ODBC_DRIVER};{where}"

        def ask() -> None:
            try:
                session.catalogue("tables")
            except Failed as error:
                failed.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        silent.settimeout(20)
        with silent.accept()[0]:  # the driver is on its way
            (child,) = children("odbc/catalogue.py")
            shown = [(Path("/proc") / str(child) / what).read_text() for what in ("cmdline", "environ")]
            session.cancel()
            thread.join(20)
    assert "s3cr3t" not in "".join(shown)
    assert failed
    session.close()
    assert not children("odbc/catalogue.py") | children()


def test_who_is_not_let_in_is_told(source: SqlSource, database: str) -> None:
    parts = urlsplit(database)
    folder = parse_qs(parts.query)["host"][0]
    stranger = opened(f"Driver={ODBC_DRIVER};Server={folder};Port=5432;Database={parts.path[1:]};UID=stranger")
    with pytest.raises(SourceAccessDenied, match="stranger"):
        stranger.check()
