"""DuckDB files read as a source, which is also the generic SQL reader on a real engine."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, date, datetime
from datetime import time as clock
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from headgate import dataplane
from headgate.config import Settings
from headgate.errors import (
    BadParameter,
    FilterTypeClash,
    ParameterMissing,
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
from headgate.sources.roots import Roots
from headgate.sources.sql import reader
from headgate.sources.sql.duckdb_file import DuckdbDialect, DuckdbFile
from headgate.sources.sql.reader import SqlSource
from tests.deployment import Deployment
from tests.sql_tables import WHOLE, milliseconds, read, read_rejecting, selection, shown, window

DUCKDB = "b9a4a7de-3d0c-4a37-8f0e-5c2b7c1d9e64"
START, END = "2013-01-01T10:00:00", "2013-01-01T10:00:02"

Write = Callable[..., None]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a \"b\" 'c'.duckdb"


@pytest.fixture
def write(path: Path) -> Write:
    """Runs statements on the file, which is closed again."""

    def run(*statements: str, values: Any = None) -> None:
        with closing(duckdb.connect(str(path))) as file:
            for statement in statements:
                file.execute(statement)
            if values is not None:
                file.executemany(*values)

    return run


@pytest.fixture
def source(path: Path, tmp_path: Path) -> SqlSource:
    return SqlSource(DuckdbFile(str(path), Roots((tmp_path,))), DuckdbDialect())


# -- types: the declared type, the lake's, the values stored, and what they are ------------------------

TYPES: list[tuple[str, str, list[str], list[Any] | None]] = [
    ("BOOLEAN", "boolean", ["true", "false"], [True, False]),
    ("TINYINT", "int", ["-128"], [-128]),
    ("SMALLINT", "int", ["32767"], [32767]),
    ("INTEGER", "int", ["-2147483648"], [-(2**31)]),
    ("UTINYINT", "int", ["255"], [255]),
    ("USMALLINT", "int", ["65535"], [65535]),
    ("UINTEGER", "long", ["4294967295"], [2**32 - 1]),
    ("BIGINT", "long", ["9223372036854775807"], [2**63 - 1]),
    ("UBIGINT", "decimal(20,0)", ["18446744073709551615"], [Decimal(2**64 - 1)]),
    ("HUGEINT", "decimal(38,0)", ["-" + "9" * 38, "7"], [Decimal("-" + "9" * 38), Decimal(7)]),
    ("UHUGEINT", "decimal(38,0)", ["9" * 38], [Decimal("9" * 38)]),
    ("BIGNUM", "string", ["'" + "9" * 50 + "'"], ["9" * 50]),
    ("FLOAT", "float", ["0.5", "'nan'"], [0.5, float("nan")]),
    ("DOUBLE", "double", ["0.1", "'inf'"], [0.1, float("inf")]),
    ("DECIMAL(38,10)", "decimal(38,10)", ["1234567890123456789012345678.0123456789"], None),
    ("DECIMAL(4,1)", "decimal(4,1)", ["-999.9"], [Decimal("-999.9")]),
    ("VARCHAR", "string", ["'ß😀'", "''", "'a''b\"c'"], ["ß😀", "", "a'b\"c"]),
    ("ENUM('a', 'it''s')", "string", ["'it''s'"], ["it's"]),
    ("JSON", "string", ["'{\"a\": [1]}'"], ['{"a": [1]}']),
    ("BIT", "string", ["'0101'"], ["0101"]),
    ("INTERVAL", "string", ["INTERVAL '1 month 2 days 3.5 seconds'"], ["1 month 2 days 00:00:03.5"]),
    ("TIME WITH TIME ZONE", "string", ["'10:00:00+05:30'"], ["10:00:00+05:30"]),
    ("UUID", "uuid", ["'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"], ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]),
    ("BLOB", "binary", ["'\\x00\\xFF'::BLOB"], [b"\x00\xff"]),
    ("DATE", "date", ["'0001-01-01'", "'9999-12-31'"], [date.min, date.max]),
    ("TIME", "time", ["'23:59:59.999999'"], [clock.max]),
    ("TIMESTAMP", "timestamp", ["'0001-01-01'", "'9999-12-31 23:59:59.999999'"], [datetime.min, datetime.max]),
    ("TIMESTAMP_S", "timestamp", ["'2013-01-01 10:00:01'"], [datetime(2013, 1, 1, 10, 0, 1)]),
    ("TIMESTAMP_MS", "timestamp", ["'2013-01-01 10:00:01.123'"], [datetime(2013, 1, 1, 10, 0, 1, 123000)]),
    ("TIMESTAMP_NS", "timestamp", ["'2013-01-01 10:00:01.123456'"], [datetime(2013, 1, 1, 10, 0, 1, 123456)]),
    (
        "TIMESTAMP WITH TIME ZONE",
        "timestamptz",
        ["'2013-01-01 10:00:00.000001+05:30'"],
        [datetime(2013, 1, 1, 4, 30, 0, 1, tzinfo=UTC)],
    ),
    ("INTEGER[]", "list<int>", ["[1, NULL]", "[]"], [[1, None], []]),
    ("VARCHAR[2]", "list<string>", ["['a', 'b']"], [["a", "b"]]),
    (
        'STRUCT(a INTEGER, "b c" DATE)',
        "struct<a: int, b c: date>",
        ["{'a': 1, 'b c': DATE '2013-01-01'}"],
        [{"a": 1, "b c": date(2013, 1, 1)}],
    ),
]


@pytest.fixture(scope="module")
def typed(tmp_path_factory: pytest.TempPathFactory) -> SqlSource:
    """One file with a table for each of the types."""
    folder = tmp_path_factory.mktemp("types")
    with closing(duckdb.connect(str(folder / "types.duckdb"))) as file:
        for at, (declared, _, stored, _) in enumerate(TYPES):
            file.execute(f'CREATE TABLE t{at} ("at" DATE, v {declared})')
            for value in [*stored, "NULL"]:
                file.execute(f"INSERT INTO t{at} VALUES ('2013-01-01', {value})")
    return SqlSource(DuckdbFile("types.duckdb", Roots((folder,))), DuckdbDialect())


@pytest.mark.parametrize("at", range(len(TYPES)), ids=[row[0] for row in TYPES])
def test_a_type_keeps_every_value(typed: SqlSource, at: int) -> None:
    _, kind, stored, expected = TYPES[at]
    table = selection(f"t{at}")
    assert str(typed.describe(table).columns[1].type) == kind
    found = [row[1] for row in read(typed, table)]
    wanted = [*(expected if expected is not None else [Decimal(v) for v in stored]), None]
    assert sorted(map(shown, found)) == sorted(map(shown, wanted))
    assert len(typed.preview(table, 100).rows) == len(stored) + 1


REFUSED = [
    ("HUGEINT", "1" + "0" * 38, "1" + "0" * 38),
    ("DATE", "'infinity'", "infinity"),
    ("DATE", "'0044-03-15 (BC)'", "0044-03-15 (BC)"),
    ("TIME", "'24:00:00'", "24:00:00"),
    ("TIMESTAMP", "'infinity'", "infinity"),
    ("TIMESTAMP", "'10000-01-01'", "10000-01-01"),
    ("TIMESTAMP WITH TIME ZONE", "'-infinity'", "-infinity"),
    ("TIMESTAMP_NS", "'2013-01-01 10:00:00.000000001'", "1357034400000000001"),
    ("DATE[]", "[DATE '2013-01-01', DATE 'infinity']", "infinity"),
    ("STRUCT(a INTEGER, b TIMESTAMP)", "{'a': 1, 'b': TIMESTAMP 'infinity'}", "infinity"),
]


@pytest.mark.parametrize(("declared", "value", "named"), REFUSED, ids=[f"{row[0]} {row[2]}" for row in REFUSED])
def test_a_value_that_the_lake_cannot_hold_fails_by_name_or_is_left_out(
    write: Write, source: SqlSource, tmp_path: Path, declared: str, value: str, named: str
) -> None:
    write(
        f'CREATE TABLE t ("at" TIMESTAMP, "the {{0}} %s ?" {declared})',
        f"INSERT INTO t VALUES ('2013-01-01 10:00:00', {value}), ('2013-01-01 11:00:00', NULL)",
    )
    with pytest.raises(UnholdableValue) as failure:
        read(source)
    assert '"the {0} %s ?"' in failure.value.detail
    assert named in failure.value.detail
    rows, rejects = read_rejecting(source, selection(), tmp_path)
    assert rows == [(datetime(2013, 1, 1, 11), None)]
    assert (rejects.count, rejects.kept[0].column) == (1, "the {0} %s ?")
    assert rejects.kept[0].record is not None
    assert "2013-01-01 10:00:00" in rejects.kept[0].record
    # It is shown to who looks, and harms nobody outside of the window.
    assert any(named in str(row[1]) for row in source.preview(selection(), 100).rows)
    assert len(read(source, None, window("2013-01-01T11:00:00", "2013-01-01T12:00:00"))) == 1


def test_types_that_the_lake_cannot_hold_are_named(write: Write, source: SqlSource) -> None:
    write('CREATE TABLE t ("at" DATE, m MAP(INTEGER, INTEGER), u UNION(a INTEGER), n INTEGER[][])')
    with pytest.raises(UnsupportedType, match=r"'m'.*MAP\(INTEGER, INTEGER\)"):
        source.describe(selection())
    shown_ = source.preview(selection(), 100)
    assert ([column.name for column in shown_.columns], set(shown_.unsupported)) == (["at"], {"m", "u", "n"})
    assert len(source.describe(selection(columns=[{"name": "at"}])).columns) == 1
    with pytest.raises(BadParameter, match="decimal"):
        source.describe(selection(columns=[{"name": "at", "type": "decimal(10,2)"}]))


# -- names and what is there -----------------------------------------------------------------------------

HOSTILE = [
    'a"; drop table x;--',
    "%s",
    "{0}",
    "$1",
    "?1",
    "😀 été",
    "My.Table",
    "'; --",
    "\\",
    "select",
    "a\nb",
    "a`b",
    "Src",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_round_trip(write: Write, source: SqlSource, name: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    write(
        f"CREATE SCHEMA {quoted}",
        f'CREATE TABLE {quoted}.{quoted} ("at" DATE, {quoted} INT)',
        f"INSERT INTO {quoted}.{quoted} VALUES ('2013-01-01', 7)",
    )
    (entry,) = source.explore(None)
    row_filter = {
        "type": "PQL",
        "format": "pql/json",
        "value": {
            "nodeType": "fnApply",
            "fnName": "=",
            "params": [{"nodeType": "fieldLookup", "fieldName": name}, {"nodeType": "literal", "value": 7}],
        },
    }
    for chosen in (selection(entry.path), selection(f"{quoted}.{quoted}", columns=[{"name": "at"}, {"name": name}])):
        assert source.describe(chosen).columns[1].name == name
        assert read(source, chosen) == [(date(2013, 1, 1), 7)]
        assert read(source, selection(entry.path, filters=row_filter)) == [(date(2013, 1, 1), 7)]


def test_tables_and_views_are_explored_previewed_and_named_when_missing(write: Write, source: SqlSource) -> None:
    write('CREATE TABLE T1 ("at" DATE, _headgate_x INT)', "CREATE VIEW v AS SELECT DATE '2013-01-01' AS \"at\", 1 AS n")
    write("CREATE SCHEMA s", "CREATE TABLE s.u (v VARCHAR)", f"INSERT INTO s.u VALUES ('{'x' * 20_000}')")
    assert [entry.path for entry in source.explore(None)] == ["main.T1", "main.v", "s.u"]
    assert read(source, selection("v")) == [(date(2013, 1, 1), 1)]
    assert read(source, selection("V"), delta=None) == [(date(2013, 1, 1), 1)]
    assert len(source.preview(selection("s.u"), 100).rows[0][0]) == 10_001
    for table in ("nope", "other.t", "information_schema.tables"):
        with pytest.raises(SourceObjectMissing, match=table):
            source.describe(selection(table))
    with pytest.raises(SourceObjectMissing, match="no_column"):
        source.describe(selection("v", columns=[{"name": "no_column"}]))
    with pytest.raises(UnsupportedType, match="reserved"):
        source.describe(selection("T1"))
    with pytest.raises(SourceObjectMissing, match="folder"):
        source.explore("main")


# -- windows -----------------------------------------------------------------------------------------------

DELTAS: list[tuple[str, list[str], list[str], list[str]]] = [
    ("TIMESTAMP", ["09:59:59.999999"], ["10:00:00", "10:00:01.999999"], ["10:00:02"]),
    ("TIMESTAMP_S", ["09:59:59"], ["10:00:00", "10:00:01"], ["10:00:02"]),
    ("TIMESTAMP_MS", ["09:59:59.999"], ["10:00:00", "10:00:01.999"], ["10:00:02"]),
    ("TIMESTAMP_NS", ["09:59:59.999999"], ["10:00:00", "10:00:01.999999"], ["10:00:02"]),
    ("TIMESTAMP WITH TIME ZONE", ["11:59:59.999999+02"], ["10:00:00+00", "12:00:01.999999+02"], ["12:00:02+02"]),
    ("VARCHAR", ["09:59:59.9"], ["10:00:00", "10:00:01.999999999"], ["10:00:02", "10:00:02.0"]),
]


@pytest.mark.parametrize(("declared", "before", "inside", "after"), DELTAS, ids=[row[0] for row in DELTAS])
def test_rows_on_the_edges_of_a_window(
    write: Write, source: SqlSource, declared: str, before: list[str], inside: list[str], after: list[str]
) -> None:
    rows = [f"('2013-01-01 {value}', '{value}')" for value in [*before, *inside, *after]]
    write(f'CREATE TABLE t ("at" {declared}, v TEXT)', f"INSERT INTO t VALUES {', '.join(rows)}, (NULL, 'null')")
    assert sorted(row[1] for row in read(source, None, window(START, END))) == sorted(inside)
    assert read(source, None, Window(5000, 5000)) == []


def test_a_window_may_cut_a_second_and_a_zone_moves_it(write: Write, source: SqlSource) -> None:
    write(
        'CREATE TABLE t ("at" TIMESTAMP)',
        "INSERT INTO t VALUES ('2013-01-01 10:00:00.500'), ('2013-01-01 10:00:00.5009')",
    )
    start = milliseconds(START)
    assert len(read(source, None, Window(start + 500, start + 501))) == 2
    assert len(read(source, None, Window(start + 501, start + 502))) == 0
    berlin = DeltaColumn("at", timezone="Europe/Berlin")
    assert len(read(source, None, Window(start + 500 - 3_600_000, start + 501 - 3_600_000), berlin)) == 2


@pytest.mark.parametrize(
    ("unit", "form"), [(1, None), (1, "epoch_s"), (1000, None), (1000, "epoch_ms"), (10**6, None), (10**6, "epoch_us")]
)
def test_integers_of_unix_time(write: Write, source: SqlSource, unit: int, form: str | None) -> None:
    start, end = milliseconds(START) // 1000 * unit, milliseconds(END) // 1000 * unit
    write(
        'CREATE TABLE t ("at" BIGINT)', f"INSERT INTO t VALUES ({start - 1}), ({start}), ({end - 1}), ({end}), (NULL)"
    )
    assert sorted(read(source, None, window(START, END), DeltaColumn("at", form))) == [(start,), (end - 1,)]


def test_days_stand_for_their_first_instant(write: Write, source: SqlSource) -> None:
    for declared in ("DATE", "VARCHAR"):
        days = "('2012-12-31'), ('2013-01-01'), ('2013-01-02'), ('2013-01-03'), (NULL)"
        write(f'CREATE OR REPLACE TABLE t ("at" {declared})', f"INSERT INTO t VALUES {days}")
        assert len(read(source, None, window("2013-01-01", "2013-01-03"))) == 2
        assert len(read(source, None, window("2013-01-01T00:00:01", "2013-01-03T00:00:01"))) == 2


def test_text_that_breaks_the_format_inside_the_window_is_named(
    write: Write, source: SqlSource, tmp_path: Path
) -> None:
    write('CREATE TABLE t ("at" VARCHAR)', "INSERT INTO t VALUES ('2013-01-01 10:00:00'), ('2013-01-01 at noon')")
    with pytest.raises(UnholdableValue, match="at noon"):
        read(source)
    rows, rejects = read_rejecting(source, selection(), tmp_path)
    assert (rows, rejects.count) == ([("2013-01-01 10:00:00",)], 1)


def test_what_cannot_order_by_time_is_said(write: Write, source: SqlSource) -> None:
    write('CREATE TABLE t ("at" DOUBLE, j JSON)')
    with pytest.raises(SourceError, match="does not order"):
        read(source)
    relation = source.describe(selection())
    assert source.delta_error(relation, DeltaColumn("at")) is not None
    assert source.delta_error(relation, DeltaColumn("none")) is not None


def _pql(operator: str, column: str, *values: object) -> dict[str, Any]:
    literals = [{"nodeType": "literal", "value": value} for value in values]
    node = {"nodeType": "fnApply", "fnName": operator, "params": [{"nodeType": "fieldLookup", "fieldName": column}]}
    node["params"] += literals  # type: ignore[operator]
    return {"type": "PQL", "format": "pql/json", "value": node}


@pytest.mark.parametrize(
    ("row_filter", "count"),
    [
        (_pql("=", "n", 1), 1),
        (_pql("<", "n", 1.5), 1),
        (_pql("=", "n", 1.4), 0),
        (_pql("<", "d", "0.49000000000000000001"), 1),
        (_pql(">=", "d", "0.50"), 1),
        (_pql("like", "s", "a\\%%"), 1),
        (_pql("in", "s", ["a%b", "é'"]), 2),
        (_pql("=", "ts", "2013-01-01T10:00:00.000001"), 1),
        (_pql("<", "day", "2013-01-02"), 1),
        (_pql("=", "b", True), 1),
        (_pql("isNull", "s"), 1),
        (_pql("=", "u", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"), 1),
        (_pql("=", "f", 0.1), 1),
    ],
)
def test_row_filters_are_applied_by_the_file(
    write: Write, source: SqlSource, row_filter: dict[str, Any], count: int
) -> None:
    write(
        'CREATE TABLE t ("at" DATE, n INT, d DECIMAL(5,2), s VARCHAR, ts TIMESTAMP, day DATE, b BOOLEAN, u UUID, '
        "f DOUBLE)",
        "INSERT INTO t VALUES ('2013-01-01', 1, 0.5, 'a%b', '2013-01-01 10:00:00.000001', '2013-01-01', true, "
        "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 0.1), "
        "('2013-01-01', 2, 0.49, 'é''', NULL, '2013-01-02', false, NULL, 1), "
        "('2013-01-01', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
    )
    assert len(read(source, selection(filters=row_filter))) == count
    assert len(source.preview(selection(filters=row_filter), 100).rows) == count
    with pytest.raises(FilterTypeClash):
        source.describe(selection(filters=_pql("=", "n", "x")))


# -- splits ------------------------------------------------------------------------------------------------


@pytest.fixture
def large(write: Write) -> None:
    write(
        "CREATE TABLE t AS SELECT i::INT AS id, TIMESTAMP '2013-01-01' + INTERVAL (i) SECOND AS \"at\", "
        "repeat('x', 50) AS v FROM range(250_000) AS r(i)",
        'CREATE TABLE numbered ("at" TIMESTAMP, rowid INT)',
        'INSERT INTO numbered SELECT "at", id FROM t',
    )


@pytest.mark.parametrize("delta", ["at", None])
def test_a_large_read_is_split_by_the_rows_numbers(large: None, source: SqlSource, delta: str | None) -> None:
    column = DeltaColumn(delta) if delta else None
    with source.plan(selection(), WHOLE, column, parallel=3) as reading:
        ids = [split.id for split in reading.splits]
        assert (len(ids), reading.estimated_rows) == (3, 250_000)
    with source.plan(selection(), WHOLE, column, parallel=3) as again:
        assert [split.id for split in again.splits] == ids
    rows = read(source, selection(columns=[{"name": "id"}, {"name": "at"}]), delta=delta, parallel=3)
    assert sorted(row[0] for row in rows) == list(range(250_000))
    some = read(source, None, window("2013-01-02", "2013-01-03"), parallel=3)
    assert sorted(row[0] for row in some) == list(range(86_400, 172_800))
    assert len(read(source, selection("numbered"), parallel=3)) == 250_000  # a column has the name of the numbers


def test_memory_stays_flat_and_an_engine_that_was_lent_is_left_clean(large: None, source: SqlSource) -> None:
    with source.plan(selection(), WHOLE, DeltaColumn("at"), parallel=1) as reading:
        with dataplane.lent(memory="16MB") as connection:
            source.prepare(connection, reading, reading.splits[0])
            assert not source._arrivals._open  # nothing is asked before somebody scans
            counted = connection.execute(f"SELECT count(v) FROM ({reading.splits[0].relation})").fetchone()
        with dataplane.lent(memory="16MB") as connection, pytest.raises(duckdb.CatalogException):
            connection.execute(f"SELECT * FROM {dataplane.ROWS}")
    assert counted == (250_000,)
    assert not source._arrivals._open


# -- being stopped, and what is refused -------------------------------------------------------------------


@pytest.mark.parametrize("ask", ["reading", "planning"])
def test_a_read_is_stopped_in_the_middle(write: Write, source: SqlSource, ask: str) -> None:
    write(
        "CREATE VIEW t AS SELECT TIMESTAMP '2013-01-01' AS \"at\", a.i * b.i AS v "
        "FROM range(10_000_000) a(i), range(10_000_000) b(i) "
        "WHERE hash(a.i * b.i) % 1_000_003 = 0"
    )
    with source.plan(selection(), WHOLE, DeltaColumn("at"), parallel=1) as reading, dataplane.opened() as connection:
        source.prepare(connection, reading, reading.splits[0])
        stopped: list[Exception] = []

        def scan() -> None:
            try:
                connection.execute(f"SELECT sum(v) FROM ({reading.splits[0].relation})").fetchall()
            except duckdb.Error as error:
                stopped.append(error)

        thread = threading.Thread(target=scan, daemon=True)
        thread.start()
        while not source._arrivals._open.get(reading.token or ""):
            time.sleep(0.01)
        source.interrupt(reading)
        if ask == "planning":
            connection.interrupt()
        thread.join(5)
        assert not thread.is_alive()
        assert isinstance(source.translate(stopped[0]), SourceError)
    assert not source._arrivals._open


def test_a_file_reaches_nothing_but_itself(write: Write, source: SqlSource, path: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("s3cr3t\n")
    write(f"CREATE VIEW leak AS SELECT * FROM read_csv('{secret}', header = false)", 'CREATE TABLE t ("at" DATE)')
    with pytest.raises(SourceError, match="disabled by configuration") as failure:
        source.preview(selection("leak"), 100)
    assert "s3cr3t" not in str(failure.value)
    with closing(source._driver.connect()) as session:
        for statement in (
            "CREATE TABLE src.x AS SELECT 1",
            f"COPY src.t TO '{tmp_path}/out'",
            f"ATTACH '{tmp_path}/o' AS o",
            "SET enable_external_access = true",
        ):
            with pytest.raises(duckdb.Error):
                session.rows(statement)


def test_only_files_under_the_roots_are_opened(write: Write, path: Path, tmp_path: Path) -> None:
    write('CREATE TABLE t ("at" DATE)')
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "link.duckdb").symlink_to(path)
    (inner / "other.duckdb.wal").symlink_to(path)
    for named in (str(path), str(inner / "link.duckdb"), f"{inner}/../{path.name}", str(inner / "other.duckdb")):
        with pytest.raises(SourcePathForbidden):
            DuckdbFile(named, Roots((inner,)))
    missing = SqlSource(DuckdbFile(str(inner / "none.duckdb"), Roots((inner,))), DuckdbDialect())
    with pytest.raises(SourceObjectMissing, match=r"none\.duckdb"):
        missing.check()
    (inner / "text.duckdb").write_text("no database" * 1000)
    with pytest.raises(SourceError, match="not a valid DuckDB database file"):
        SqlSource(DuckdbFile(str(inner / "text.duckdb"), Roots((inner,))), DuckdbDialect()).check()


def test_a_file_that_is_being_written_can_be_tried_again(write: Write, source: SqlSource, path: Path) -> None:
    write('CREATE TABLE t ("at" DATE)')
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code, str(path)], stdin=-1, stdout=-1) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        with pytest.raises(SourceUnreachable, match="lock"):
            source.check()
        writer.communicate(b"")
    source.check()
    with source.plan(selection(), WHOLE, DeltaColumn("at"), parallel=1):  # and it cannot be written while it is read
        run = subprocess.run([sys.executable, "-c", code, str(path)], input=b"", capture_output=True, check=False)
        assert b"lock" in run.stderr


@pytest.mark.parametrize("auth", [{}, {"path": ""}, {"path": "x", "config": "y"}, {"path": 1}])
def test_the_connection_has_a_path_and_nothing_else(auth: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises((BadParameter, ParameterMissing)):
        open_source(
            DUCKDB, auth, Settings(data=tmp_path / "data", file_roots=(tmp_path,)), Tenancy("ORG", shared=False)
        )


def test_a_flow_lands_a_window_once(write: Write, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "SPLIT_FROM_ROWS", 10)
    rows = "SELECT i AS id, TIMESTAMP '2013-01-01' + INTERVAL (i) HOUR AS \"at\" FROM range(100) AS r(i)"
    write(f"CREATE TABLE t AS {rows}")
    deployment = Deployment(tmp_path)
    try:
        flow = deployment.flow(DUCKDB, {"path": str(path)}, {"tableName": "main.t"})
        for _ in range(2):
            run = deployment.run(flow, "2013-01-02", "2013-01-03", "at")
            assert run.metrics["recordSummary"]["outputRecordCount"] == 24
        assert sorted(row[0] for row in deployment.rows()) == list(range(24, 48))
    finally:
        deployment.close()
