"""SQLite as a source, against real files; sqlite3 is the oracle for every value."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from headgate import dataplane
from headgate.errors import (
    BadParameter,
    ParameterMissing,
    SourceError,
    SourceObjectMissing,
    SourcePathForbidden,
    SourceUnreachable,
    UnholdableValue,
    UnsupportedType,
)
from headgate.model.windows import DeltaColumn, DeltaType, Window
from headgate.sources.interface import Selection
from headgate.sources.roots import Roots
from headgate.sources.sql import SqliteSource


def milliseconds(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def window(start: str, end: str) -> Window:
    return Window(milliseconds(start), milliseconds(end))


WHOLE = window("1970-01-01", "2100-01-01")
START, END = "2013-01-01T10:00:00", "2013-01-01T10:00:02"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "it's 100%.db"


@pytest.fixture
def file(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


@pytest.fixture
def source(path: Path, tmp_path: Path) -> SqliteSource:
    return SqliteSource({"path": str(path)}, Roots((tmp_path,)))


def selection(table: str = "t", **params: object) -> Selection:
    return Selection({"tableName": table, **params})


def read(
    source: SqliteSource,
    chosen: Selection | None = None,
    span: Window = WHOLE,
    delta: str | DeltaColumn = "at",
) -> list[tuple[Any, ...]]:
    """The rows of a window, as tuples of Python values."""
    column = DeltaColumn(delta) if isinstance(delta, str) else delta
    with source.plan(chosen or selection(), span, column, parallel=2) as reading:
        assert len(reading.splits) <= 1
        rows: list[tuple[Any, ...]] = []
        for split in reading.splits:
            with closing(dataplane.connect()) as connection:
                source.prepare(connection, reading, split)
                described = connection.execute(f"DESCRIBE {split.relation}").fetchall()
                assert [(row[0], row[1]) for row in described] == [(c.name, c.type.sql) for c in reading.columns]
                try:
                    table = connection.execute(split.relation).to_arrow_table()
                except duckdb.Error as error:
                    raise source.translate(error) from None
                rows += zip(*(values.to_pylist() for values in table.columns), strict=True)
        return rows


def shown(value: Any) -> str:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) and value.tzinfo else repr(value)


# -- types: the declared type, the lake's, the values stored, and what they are ------------------------

TYPES: list[tuple[str, str, list[Any], list[Any] | None]] = [
    ("INTEGER", "long", [2**63 - 1, -(2**63), 0, 2**53 + 1], None),
    ("INT", "long", [1], None),
    ("unsigned big int", "long", [1], None),
    ("BOOLEAN", "boolean", [0, 1], [False, True]),
    ("REAL", "double", [0.1, 1e300, 5e-324, 1 / 3, float("inf"), 123456789.12345679], None),
    ("DOUBLE PRECISION", "double", [7], [7.0]),
    ("FLOAT", "double", [0.1 + 0.2], None),
    ("NUMERIC", "double", [1, 2.5, -(2**53)], [1.0, 2.5, float(-(2**53))]),
    ("DECIMAL(10,2)", "decimal(10,2)", [1, 1.1, -0.05, 12345678.9], ["1.00", "1.10", "-0.05", "12345678.90"]),
    ("numeric(38, 0)", "decimal(38,0)", [2**63 - 1, 1e14], ["9223372036854775807", "100000000000000"]),
    ("NUMERIC(5)", "decimal(5,0)", [99999], ["99999"]),
    ("TEXT", "string", ["", "ß😀", "a'b\"c", "007", "x\0y", "line\nbreak"], None),
    ("VARCHAR(3)", "string", ["longer than three"], None),
    ("NCHAR(3)", "string", ["a  "], None),
    ("CLOB", "string", ["x"], None),
    ("JSON", "string", ['{"a": 1}', 5], ['{"a": 1}', "5"]),
    ("UUID", "string", ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"], None),
    ("BLOB", "binary", [b"", b"\x00\xffA"], None),
    ("DATE", "date", ["2013-02-28", "0001-01-01", "9999-12-31"], [date(2013, 2, 28), date.min, date.max]),
    ("TIME", "time", ["10:00", "23:59:59.999999"], [time(10), time.max]),
    (
        "TIMESTAMP",
        "timestamp",
        ["2013-01-01", "2013-01-01 10:00", "2013-01-01T10:00:00.123456Z", "2013-01-01 10:00:00.5000000+00:00"],
        [
            datetime(2013, 1, 1),
            datetime(2013, 1, 1, 10),
            datetime(2013, 1, 1, 10, 0, 0, 123456),
            datetime(2013, 1, 1, 10, 0, 0, 500000),
        ],
    ),
    ("DATETIME", "timestamp", ["9999-12-31 23:59:59.999999"], [datetime.max]),
    (
        "TIMESTAMP WITH TIME ZONE",
        "timestamptz",
        ["2013-01-01 10:00:00Z", "2013-01-01T10:00:00.25+05:30", "2013-01-01 10:00:00-0800"],
        [
            datetime(2013, 1, 1, 10, tzinfo=UTC),
            datetime(2013, 1, 1, 4, 30, 0, 250000, tzinfo=UTC),
            datetime(2013, 1, 1, 18, tzinfo=UTC),
        ],
    ),
    ("", "long", [1, 2**62], None),
    ("", "double", [0.5], None),
    ("ANYTHING", "string", ["a"], None),
    ("", "binary", [b"x"], None),
    ("", "string", [], None),
]


@pytest.mark.parametrize(("declared", "kind", "stored", "expected"), TYPES, ids=[f"{row[0]}-{row[1]}" for row in TYPES])
def test_a_type_keeps_every_value(
    file: sqlite3.Connection,
    source: SqliteSource,
    declared: str,
    kind: str,
    stored: list[Any],
    expected: list[Any] | None,
) -> None:
    file.execute(f"CREATE TABLE t (at DATE, v {declared})")
    file.executemany("INSERT INTO t VALUES ('2013-01-01', ?)", [(value,) for value in [*stored, None]])
    assert str(source.describe(selection()).columns[1].type) == kind
    values = [row[0] for row in file.execute("SELECT v FROM t")] if expected is None else [*expected, None]
    if kind.startswith("decimal"):
        values = [None if value is None else Decimal(value) for value in values]
    found = [row[1] for row in read(source)]
    assert sorted(map(shown, found)) == sorted(map(shown, values))
    assert len(found) == len(stored) + 1


REFUSED = [
    ("INTEGER", "abc", "'abc'"),
    ("INTEGER", 1.5, "1.5"),
    ("BOOLEAN", 2, "2"),
    ("REAL", "abc", "'abc'"),
    ("NUMERIC", 2**53 + 1, "9007199254740993"),
    ("DECIMAL(10,2)", 1.005, "1.005"),
    ("DECIMAL(10,2)", 123456789, "123456789"),
    ("DECIMAL(38,20)", 0.1 + 0.2, "3.0000000000000004"),
    ("DECIMAL(10,2)", "abc", "'abc'"),
    ("TEXT", b"\xff", "X'FF'"),
    ("JSON", 1.5, "1.5"),
    ("BLOB", "text", "'text'"),
    ("DATE", "2013-02-30", "2013-02-30"),
    ("DATE", "2013-02-28 10:00:00", "2013-02-28 10:00:00"),
    ("DATE", 41333, "41333"),
    ("DATE", "0000-01-01", "0000-01-01"),
    ("TIME", "24:00:00", "24:00:00"),
    ("TIMESTAMP", "2013-01-01 10:00:00.1234567", "2013-01-01 10:00:00.1234567"),
    ("TIMESTAMP", "2013-01-01 10:00:00+02:00", "+02:00"),
    ("TIMESTAMP", "2013-01-01 24:00:00", "24:00:00"),
    ("TIMESTAMP", 1356998400, "1356998400"),
    ("TIMESTAMP", "infinity", "infinity"),
    ("TIMESTAMPTZ", "2013-01-01 10:00:00", "2013-01-01 10:00:00"),
]


@pytest.mark.parametrize(("declared", "value", "shown"), REFUSED, ids=[f"{row[0]} {row[2]}" for row in REFUSED])
def test_a_value_that_is_not_of_its_declared_type_fails_by_name(
    file: sqlite3.Connection, source: SqliteSource, declared: str, value: object, shown: str
) -> None:
    file.execute(f'CREATE TABLE t (at TIMESTAMP, "the {{0}} %s ?" {declared})')
    file.execute("INSERT INTO t VALUES ('2013-01-01 10:00:00', ?)", [value])
    file.execute("INSERT INTO t VALUES ('2013-01-01 11:00:00', NULL)")
    with pytest.raises(UnholdableValue) as failure:
        read(source)
    assert '"the {0} %s ?"' in failure.value.detail
    assert shown in failure.value.detail
    # The bad row of the same day, but outside the window, harms nobody.
    assert read(source, None, window("2013-01-01T11:00:00", "2013-01-01T12:00:00")) == [
        (datetime(2013, 1, 1, 11), None)
    ]


def test_invalid_utf_8_fails(file: sqlite3.Connection, source: SqliteSource) -> None:
    file.execute("CREATE TABLE t (at DATE, v TEXT)")
    file.execute("INSERT INTO t VALUES ('2013-01-01', CAST(x'ff41' AS TEXT))")
    with pytest.raises(UnholdableValue, match="\"v\" holds X'FF41', which is not valid UTF-8"):
        read(source)


def test_a_declared_decimal_is_exact(file: sqlite3.Connection, source: SqliteSource) -> None:
    file.execute("CREATE TABLE t (at DATE, v NUMERIC, s TEXT)")
    file.execute("INSERT INTO t VALUES ('2013-01-01', 1.25, ''), ('2013-01-01', 3, '')")
    chosen = selection(columns=[{"name": "at"}, {"name": "v", "type": "decimal(38,10)"}])
    assert sorted(row[1] for row in read(source, chosen)) == [Decimal("1.25"), Decimal(3)]
    with pytest.raises(BadParameter, match="number"):
        source.describe(selection(columns=[{"name": "s", "type": "decimal(38,10)"}]))


def test_a_mixture_without_a_declared_type_is_refused(file: sqlite3.Connection, source: SqliteSource) -> None:
    file.execute("CREATE TABLE t (at DATE, v)")
    file.execute("INSERT INTO t VALUES ('2013-01-01', 1), ('2013-01-01', 'x')")
    with pytest.raises(UnsupportedType, match=r"'v'.*integer and text"):
        source.describe(selection())


def test_views_and_generated_columns_are_read(file: sqlite3.Connection, source: SqliteSource) -> None:
    file.execute("CREATE TABLE t (at DATE, v INT, twice INT AS (v * 2))")
    file.execute("INSERT INTO t VALUES ('2013-01-01', 4)")
    file.execute("CREATE VIEW w AS SELECT at, v + 0.5 AS half, v FROM t")
    assert read(source) == [(date(2013, 1, 1), 4, 8)]
    assert read(source, selection("w")) == [(date(2013, 1, 1), 4.5, 4)]


# -- names -----------------------------------------------------------------------------------------

HOSTILE = ['a"; drop table x;--', "%s", "{0}", "$1", "?1", "😀 été", "My.Table", "'; --", "\\", "select", "a\nb", "a`b"]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_round_trip(file: sqlite3.Connection, source: SqliteSource, name: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    file.execute(f"CREATE TABLE {quoted} (at DATE, {quoted} INT)")
    file.execute(f"INSERT INTO {quoted} VALUES ('2013-01-01', 7)")
    for chosen in (selection(quoted), selection(f"main.{quoted}", columns=[{"name": "at"}, {"name": name}])):
        assert source.describe(chosen).columns[1].name == name
        assert read(source, chosen) == [(date(2013, 1, 1), 7)]


def test_what_is_missing_is_named(file: sqlite3.Connection, source: SqliteSource) -> None:
    file.execute("CREATE TABLE t (at DATE, _headgate_x INT)")
    for table in ("nope", "other.t", "sqlite_schema"):
        with pytest.raises(SourceObjectMissing, match=table):
            source.describe(selection(table))
    with pytest.raises(SourceObjectMissing, match="no_column"):
        source.describe(selection(columns=[{"name": "no_column"}]))
    with pytest.raises(UnsupportedType, match="reserved"):
        source.describe(selection())


# -- windows ---------------------------------------------------------------------------------------

DELTAS = [
    ("TIMESTAMP", ["09:59:59.999999"], ["10:00", "10:00:00.000001", "10:00:01.999999Z"], ["10:00:02Z"]),
    ("DATETIME", ["09:59"], ["10:00:00Z", "10:00:00+00:00"], ["10:00:02", "10:00:02.000", "10:01"]),
    ("TEXT", ["09:59:59.9"], ["10:00:00", "10:00:01.999999999"], ["10:00:02"]),
    ("TEXT", ["09:59:59Z"], ["10:00:00Z", "10:00:00.5+00:00", "10:00:01"], ["10:00:02Z", "10:00:02.0"]),
    ("TIMESTAMPTZ", ["11:59:59+02:00"], ["10:00:00Z", "12:00:01.9+02:00", "00:00:00-10:00"], ["12:00:02+02:00"]),
]


@pytest.mark.parametrize("separator", [" ", "T"])
@pytest.mark.parametrize("indexed", [False, True])
@pytest.mark.parametrize(("declared", "before", "inside", "after"), DELTAS)
def test_rows_on_the_edges_of_a_window(
    file: sqlite3.Connection,
    source: SqliteSource,
    declared: str,
    before: list[str],
    inside: list[str],
    after: list[str],
    indexed: bool,
    separator: str,
) -> None:
    file.execute(f"CREATE TABLE t (at {declared}, v TEXT)")
    for value in [*before, *inside, *after]:
        file.execute("INSERT INTO t VALUES (?, ?)", [f"2013-01-01{separator}{value}", value])
    file.execute("INSERT INTO t VALUES (NULL, 'null')")
    if indexed:
        file.execute("CREATE INDEX i ON t (at)")
    rows = read(source, None, window(START, END))
    assert sorted(row[1] for row in rows) == sorted(inside)


def test_a_timestamp_window_may_cut_a_second_and_spellings_may_mix(
    file: sqlite3.Connection, source: SqliteSource
) -> None:
    file.execute("CREATE TABLE t (at TIMESTAMP)")
    for text in ("2013-01-01T10:00:00Z", "2013-01-01 10:00:00.5Z", "2013-01-01T10:00:00.501", "2013-01-02"):
        file.execute("INSERT INTO t VALUES (?)", [text])
    start = milliseconds(START)
    assert len(read(source, None, Window(start, start + 500))) == 1
    assert len(read(source, None, Window(start + 500, start + 501))) == 1
    assert len(read(source, None, Window(start + 501, start + 502))) == 1
    assert len(read(source, None, window("2013-01-02", "2013-01-02T00:00:01"))) == 1


@pytest.mark.parametrize(
    ("unit", "form"), [(1, None), (1, "epoch_s"), (1000, None), (1000, "epoch_ms"), (10**6, None), (10**6, "epoch_us")]
)
def test_integers_of_unix_time(file: sqlite3.Connection, source: SqliteSource, unit: int, form: str | None) -> None:
    start, end = milliseconds(START) // 1000 * unit, milliseconds(END) // 1000 * unit
    file.execute("CREATE TABLE t (at INTEGER)")
    file.executemany("INSERT INTO t VALUES (?)", [(start - 1,), (start,), (end - 1,), (end,), (None,)])
    assert sorted(read(source, None, window(START, END), DeltaColumn("at", form))) == [(start,), (end - 1,)]


def test_days_stand_for_their_first_instant(file: sqlite3.Connection, source: SqliteSource) -> None:
    for declared in ("DATE", "TEXT"):
        file.execute("DROP TABLE IF EXISTS t")
        file.execute(f"CREATE TABLE t (at {declared})")
        file.execute("INSERT INTO t VALUES ('2012-12-31'), ('2013-01-01'), ('2013-01-02'), ('2013-01-03'), (NULL)")
        assert len(read(source, None, window("2013-01-01", "2013-01-03"))) == 2
        assert len(read(source, None, window("2013-01-01T00:00:01", "2013-01-03T00:00:01"))) == 2


def test_a_time_zone_moves_the_window_and_refuses_marked_values(file: sqlite3.Connection, source: SqliteSource) -> None:
    file.execute("CREATE TABLE t (at TIMESTAMP)")
    file.execute("INSERT INTO t VALUES ('2013-07-01 11:59:59'), ('2013-07-01 12:00:00'), ('2013-07-01T13:00:00')")
    span, delta = window("2013-07-01T10:00:00", "2013-07-01T11:00:00"), DeltaColumn("at", None, "Europe/Berlin")
    assert read(source, None, span, delta) == [(datetime(2013, 7, 1, 12),)]
    file.execute("INSERT INTO t VALUES ('2013-07-01 12:00:00Z')")
    with pytest.raises(UnholdableValue, match="12:00:00Z"):
        read(source, None, span, delta)


def test_bounds_are_those_of_the_lake_column(file: sqlite3.Connection, source: SqliteSource) -> None:
    file.execute("CREATE TABLE t (at TIMESTAMP)")
    with source.plan(selection(), window(START, END), DeltaColumn("at"), parallel=1) as reading:
        assert reading.bounds is not None
        assert reading.bounds.type is DeltaType.TIMESTAMP
        assert reading.bounds.lower == datetime(2013, 1, 1, 10)
    with source.plan(selection(), window(START, START), DeltaColumn("at"), parallel=1) as reading:
        assert reading.splits == ()


@pytest.mark.parametrize(
    ("declared", "value"),
    [("INTEGER", "noon"), ("TIMESTAMP", 1356998400), ("DATE", 2456293.5), ("TEXT", b"2013")],
)
def test_a_delta_value_that_cannot_be_compared_fails(
    file: sqlite3.Connection, source: SqliteSource, declared: str, value: object
) -> None:
    file.execute(f"CREATE TABLE t (at {declared})")
    file.execute("INSERT INTO t VALUES (?)", [value])
    with pytest.raises(UnholdableValue, match='"at"'):
        read(source)


def test_text_that_breaks_the_format_inside_the_window_fails(file: sqlite3.Connection, source: SqliteSource) -> None:
    for value in ("2013-01-01 10:00", "2013-01-01 10:00:00+02:00", "2013-01-01 1O:00:00"):
        file.execute("DROP TABLE IF EXISTS t")
        file.execute("CREATE TABLE t (at TEXT)")
        file.execute("INSERT INTO t VALUES ('2013-01-01 00:00:00'), (?)", [value])
        with pytest.raises(UnholdableValue, match="format"):
            read(source)


def test_what_cannot_order_by_time_is_said(file: sqlite3.Connection, source: SqliteSource) -> None:
    file.execute("CREATE TABLE t (at TIMESTAMP, b BOOLEAN, d REAL, n DECIMAL(10,2), x BLOB, h TIME, j JSON, s TEXT)")
    relation = source.describe(selection())
    for name in "bdnxhj":
        assert "does not order" in str(source.delta_error(relation, DeltaColumn(name)))
    assert source.delta_error(relation, DeltaColumn("at")) is None
    assert source.delta_error(relation, DeltaColumn("s")) is None
    assert "source connection, which are: " in str(source.delta_error(relation, DeltaColumn("nothing")))


@pytest.mark.parametrize(("declared", "bound"), [("TIMESTAMP", "at>? AND at<?"), ("INTEGER", "at>? AND at<?")])
def test_a_window_is_served_by_the_index(
    file: sqlite3.Connection, source: SqliteSource, declared: str, bound: str
) -> None:
    file.execute(f"CREATE TABLE t (id INT, at {declared})")
    file.execute("CREATE INDEX i ON t (at)")
    with source.plan(selection(), window(START, END), DeltaColumn("at", "epoch_s"), parallel=1) as reading:
        relation = reading.splits[0].relation
    sent = relation[relation.index("'src', '") + 8 : relation.index("', params=row")].replace("''", "'")
    plan = " ".join(row[3] for row in file.execute(f"EXPLAIN QUERY PLAN {sent}", ["a", "b"]))
    assert f"USING INDEX i ({bound})" in plan


# -- the file --------------------------------------------------------------------------------------


def test_only_files_under_the_roots_are_read(file: sqlite3.Connection, path: Path, tmp_path: Path) -> None:
    file.execute("CREATE TABLE t (at DATE)")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link.db").symlink_to(path)
    for outside in (path, inside / ".." / path.name, inside / "link.db"):
        with pytest.raises(SourcePathForbidden):
            SqliteSource({"path": str(outside)}, Roots((inside,))).check()
    with pytest.raises(SourceObjectMissing, match="absent"):
        SqliteSource({"path": str(inside / "absent.db")}, Roots((inside,))).check()
    SqliteSource({"path": str(path)}, Roots((inside, tmp_path))).check()
    with pytest.raises(ParameterMissing):
        SqliteSource({}, Roots((inside,)))
    with pytest.raises(BadParameter, match="mode"):
        SqliteSource({"path": "x", "mode": "rw"}, Roots((inside,)))


def test_a_relative_path_is_below_the_first_root(file: sqlite3.Connection, path: Path, tmp_path: Path) -> None:
    file.execute("CREATE TABLE t (at DATE)")
    SqliteSource({"path": path.name}, Roots((tmp_path,))).check()


def test_a_file_that_is_not_sqlite_says_so(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("not a database at all, but long enough to have a header" * 20)
    with pytest.raises(SourceError, match="not a database"):
        SqliteSource({"path": str(tmp_path / "x.db")}, Roots((tmp_path,))).check()


def test_the_file_is_opened_for_reading_only(file: sqlite3.Connection, source: SqliteSource) -> None:
    file.execute("CREATE TABLE t (at DATE)")
    with (
        source.plan(selection(), WHOLE, DeltaColumn("at"), parallel=1) as reading,
        closing(dataplane.connect()) as connection,
    ):
        source.prepare(connection, reading, reading.splits[0])
        with pytest.raises(duckdb.Error, match="read-only"):
            connection.execute("INSERT INTO src.t VALUES ('2013-01-01')")


def test_a_file_being_written_is_read_as_it_was(path: Path, file: sqlite3.Connection, source: SqliteSource) -> None:
    file.execute("PRAGMA journal_mode = WAL")
    file.execute("CREATE TABLE t (at DATE)")
    file.execute("INSERT INTO t VALUES ('2013-01-01')")
    file.execute("BEGIN IMMEDIATE")
    file.execute("INSERT INTO t VALUES ('2013-01-02')")
    assert len(read(source)) == 1
    file.execute("COMMIT")
    assert len(read(source)) == 2


def test_a_locked_file_can_be_tried_again(source: SqliteSource) -> None:
    for message in ("database is locked", "database table is locked", "database is busy"):
        error = source.translate(sqlite3.OperationalError(message))
        assert type(error) is SourceUnreachable
        assert error.retryable


def test_a_table_dropped_before_the_read_is_missing(file: sqlite3.Connection, source: SqliteSource) -> None:
    file.execute("CREATE TABLE t (at DATE)")
    with source.plan(selection(), WHOLE, DeltaColumn("at"), parallel=1) as reading:
        file.execute("DROP TABLE t")
        with closing(dataplane.connect()) as connection:
            source.prepare(connection, reading, reading.splits[0])
            with pytest.raises(duckdb.Error) as failure:
                connection.execute(reading.splits[0].relation)
    error = source.translate(failure.value)
    assert isinstance(error, SourceObjectMissing)
    assert "no such table" in error.detail


@pytest.mark.parametrize("column", ["name", "at"])
def test_a_column_dropped_before_the_read_is_no_text_of_its_name(
    file: sqlite3.Connection, source: SqliteSource, column: str
) -> None:
    file.execute("CREATE TABLE t (at TEXT, name TEXT)")
    file.execute("INSERT INTO t VALUES ('2013-01-01', 'a')")
    with source.plan(selection(), WHOLE, DeltaColumn("at"), parallel=1) as reading:
        file.execute(f"ALTER TABLE t RENAME COLUMN {column} TO other")
        with closing(dataplane.connect()) as connection:
            source.prepare(connection, reading, reading.splits[0])
            with pytest.raises(duckdb.Error) as failure:
                connection.execute(reading.splits[0].relation).fetchall()
    assert f"no such column: {column}" in str(source.translate(failure.value))


def test_two_threads_plan_at_once(file: sqlite3.Connection, source: SqliteSource) -> None:
    file.execute("CREATE TABLE t (at DATE)")
    file.execute("INSERT INTO t VALUES ('2013-01-01')")
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(len(read(source)))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [1, 1]
