"""MySQL and MariaDB as sources, against a real MariaDB; every value is compared with the literal it was inserted as."""

import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from datetime import time as clock
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import duckdb
import pymysql
import pytest

from headgate import dataplane
from headgate.config import Settings
from headgate.errors import (
    BadParameter,
    FilterTypeClash,
    HostNotAllowed,
    MissingExtra,
    SourceAccessDenied,
    SourceError,
    SourceObjectMissing,
    SourceUnreachable,
    UnholdableValue,
    UnsupportedType,
)
from headgate.model.scope import Tenancy
from headgate.model.windows import DeltaColumn, Window
from headgate.sources.context import Context
from headgate.sources.interface import Reading, Selection
from headgate.sources.sql import reader
from headgate.sources.sql.mysql import driver, open_mariadb, open_mysql
from headgate.sources.sql.mysql.answers import packed
from headgate.sources.sql.reader import SqlSource
from tests.integration.face import Face, serving
from tests.integration.lake_story import ended, working
from tests.mariadb import SECRET, Mariadb
from tests.sql_tables import WHOLE, read, read_rejecting, window

CONTEXT = Context(Settings(), Tenancy("org", shared=False))
MARIADB = "3000eb99-cd47-43f3-827c-43caf170f015"
NUMBERS = count()


def opened(params: dict[str, Any]) -> SqlSource:
    return open_mariadb(params, CONTEXT)


@pytest.fixture
def source(mariadb: Mariadb) -> SqlSource:
    return opened(mariadb.address)


class Table:
    """A table of one test."""

    def __init__(self, server: Mariadb, columns: str, *rows: str) -> None:
        self.server, self.name = server, f"t{next(NUMBERS)}"
        server.ask(f"CREATE TABLE {self.name} ({columns})", database="test")
        if rows:
            self.insert(*rows)

    def insert(self, *rows: str) -> None:
        self.server.ask(f"INSERT INTO {self.name} VALUES {', '.join(rows)}", database="test")

    def selection(self, **params: Any) -> Selection:
        rejecting = params.pop("rejecting", False)
        return Selection({"tableName": self.name, **params}, rejecting=rejecting)


def rows(
    source: SqlSource,
    selection: Selection,
    span: Window = WHOLE,
    delta: str | DeltaColumn | None = None,
) -> list[tuple[Any, ...]]:
    """The rows of a window, or all, in order."""
    return sorted(read(source, selection, span, delta), key=repr)


# -- types -----------------------------------------------------------------------------------------

TYPES: list[tuple[str, str, list[tuple[str, Any]]]] = [
    ("tinyint(1)", "int", [("true", 1), ("-128", -128), ("2", 2)]),
    ("tinyint unsigned", "int", [("255", 255)]),
    ("smallint", "int", [("-32768", -32768)]),
    ("mediumint unsigned", "int", [("16777215", 16777215)]),
    ("int", "int", [("-2147483648", -(2**31)), ("2147483647", 2**31 - 1)]),
    ("int(8) zerofill", "long", [("42", 42)]),
    ("int unsigned", "long", [("4294967295", 2**32 - 1)]),
    ("bigint", "long", [("-9223372036854775808", -(2**63)), ("9007199254740993", 9007199254740993)]),
    ("bigint unsigned", "decimal(20,0)", [("18446744073709551615", Decimal(2**64 - 1)), ("0", Decimal(0))]),
    ("bigint unsigned zerofill", "decimal(20,0)", [("18446744073709551615", Decimal(2**64 - 1)), ("7", Decimal(7))]),
    ("bit(1)", "boolean", [("b'0'", False), ("b'1'", True)]),
    ("bit(8)", "int", [("b'11111111'", 255)]),
    ("bit(63)", "long", [("9223372036854775807", 2**63 - 1)]),
    ("bit(64)", "decimal(20,0)", [("18446744073709551615", Decimal(2**64 - 1))]),
    ("decimal(10,2)", "decimal(10,2)", [("12345678.90", Decimal("12345678.90")), ("-0.01", Decimal("-0.01"))]),
    ("decimal(6,2) unsigned zerofill", "decimal(6,2)", [("1.5", Decimal("1.50"))]),
    (
        "decimal(38,20)",
        "decimal(38,20)",
        [("123456789012345678.12345678901234567891", Decimal("123456789012345678.12345678901234567891"))],
    ),
    ("decimal(38,0)", "decimal(38,0)", [("9" * 38, Decimal("9" * 38)), ("-" + "9" * 38, Decimal("-" + "9" * 38))]),
    ("decimal(65,30)", "string", [("9" * 35 + "." + "1" * 30, "9" * 35 + "." + "1" * 30), ("0", "0." + "0" * 30)]),
    (
        "float",
        "float",
        [("1.1", 1.10000002384185791015625), ("16777216", 16777216.0), ("3.4e38", 3.3999999521443642e38)],
    ),
    (
        "double",
        "double",
        [("0.1", 0.1), ("1e308", 1e308), ("5e-324", 5e-324), ("123456789.12345679", 123456789.12345679)],
    ),
    ("double(10,3)", "double", [("1234567.891", 1234567.891)]),
    ("char(5)", "string", [("'ab  '", "ab"), ("''", "")]),
    (
        "varchar(20)",
        "string",
        [("'ab  '", "ab  "), ("'\\\\N'", "\\N"), ("'a''b\"c\\\\d'", "a'b\"c\\d"), ("'x\\n\\ty\\r\\0z'", "x\n\ty\r\0z")],
    ),
    ("varchar(20) character set latin1", "string", [("'Grüße €'", "Grüße €")]),
    ("varchar(20) character set utf8mb3", "string", [("'žluťoučký'", "žluťoučký")]),
    ("varchar(20) character set ucs2", "string", [("'Ω'", "Ω")]),
    ("text", "string", [("'😀'", "😀"), ("repeat('x', 300)", "x" * 300)]),
    ("mediumtext", "string", [("repeat('ü', 40000)", "ü" * 40000)]),
    ("enum('a','é','c,d')", "string", [("'é'", "é"), ("'c,d'", "c,d"), ("'nothing'", "")]),
    ("set('a','b','é')", "string", [("'é,a'", "a,é"), ("''", "")]),
    ("json", "string", [('\'{"a": [1, "ž"]}\'', '{"a": [1, "ž"]}')]),
    ("binary(4)", "binary", [("x'00ff'", b"\x00\xff\0\0")]),
    ("varbinary(8)", "binary", [("x'00ff1f0a'", b"\x00\xff\x1f\n"), ("''", b"")]),
    ("blob", "binary", [("x'fb'", b"\xfb"), ("repeat(x'fe', 60000)", b"\xfe" * 60000)]),
    (
        "date",
        "date",
        [("'0001-01-01'", date(1, 1, 1)), ("'9999-12-31'", date(9999, 12, 31)), ("'2024-02-29'", date(2024, 2, 29))],
    ),
    ("datetime", "timestamp", [("'2013-03-31 02:30:00'", datetime(2013, 3, 31, 2, 30))]),
    (
        "datetime(6)",
        "timestamp",
        [
            ("'9999-12-31 23:59:59.999999'", datetime(9999, 12, 31, 23, 59, 59, 999999)),
            ("'0001-01-01'", datetime(1, 1, 1)),
        ],
    ),
    (
        "timestamp(6) null",
        "timestamptz",
        [
            ("'1970-01-01 00:00:01'", datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)),
            ("'2037-12-31 23:59:59.999999'", datetime(2037, 12, 31, 23, 59, 59, 999999, UTC)),
        ],
    ),
    ("time(6)", "time", [("'00:00:00'", clock()), ("'23:59:59.999999'", clock(23, 59, 59, 999999))]),
    ("year", "int", [("1901", 1901), ("0", 0)]),
    ("uuid", "uuid", [("'123e4567-e89b-42d3-a456-426614174000'", "123e4567-e89b-42d3-a456-426614174000")]),
    ("inet6", "string", [("'2001:db8::ff00:42:8329'", "2001:db8::ff00:42:8329")]),
]


def test_every_type_keeps_every_value(mariadb: Mariadb, source: SqlSource) -> None:
    columns = ", ".join(f"c{at} {declared}" for at, (declared, _, _) in enumerate(TYPES))
    most = max(len(values) for _, _, values in TYPES)
    table = Table(mariadb, f"id int, {columns}")
    for at in range(most):
        literals = [values[at][0] if at < len(values) else "NULL" for _, _, values in TYPES]
        table.insert(f"({at}, {', '.join(literals)})")
    table.insert(f"({most}, {', '.join('NULL' for _ in TYPES)})")
    described = source.describe(table.selection()).columns
    assert [str(column.type) for column in described[1:]] == [lake for _, lake, _ in TYPES]
    found_rows = sorted(rows(source, table.selection()))
    for at, (declared, _, values) in enumerate(TYPES, 1):
        found = [row[at] for row in found_rows]
        wanted = [value for _, value in values]
        assert found == wanted + [None] * (most + 1 - len(wanted)), declared
    shown = source.preview(table.selection(), most).rows
    assert shown[0][1 : 1 + 5] == (1, 255, -32768, 16777215, -(2**31))
    assert len(shown) == most


@pytest.mark.parametrize("declared", ["geometry", "point"])
def test_a_type_without_a_twin_is_refused_by_name_and_can_be_left_out(
    mariadb: Mariadb, source: SqlSource, declared: str
) -> None:
    table = Table(mariadb, f"id int, g {declared}", "(1, NULL)")
    with pytest.raises(UnsupportedType, match=f"'g' of .*{declared}"):
        source.describe(table.selection())
    assert "g" in source.preview(table.selection(), 1).unsupported
    assert rows(source, table.selection(columns=[{"name": "id"}])) == [(1,)]


REFUSED = [
    ("date", "'0000-00-00'"),
    ("date", "'2013-00-15'"),
    ("date", "'0000-05-05'"),
    ("datetime(3)", "'0000-00-00 00:00:00'"),
    ("datetime", "'2013-02-00 10:00:00'"),
    ("timestamp", "0"),
    ("time", "'24:00:00'"),
    ("time", "'838:59:59'"),
    ("time(3)", "'-00:00:00.5'"),
]


@pytest.mark.parametrize(("declared", "value"), REFUSED)
def test_a_value_the_lake_cannot_hold_fails_by_name(
    mariadb: Mariadb, source: SqlSource, declared: str, value: str
) -> None:
    table = Table(mariadb, f"id int, bad {declared}", "(1, NULL)", f"(2, {value})")
    with pytest.raises(UnholdableValue, match='The column "bad" holds '):
        rows(source, table.selection())
    written = mariadb.ask(f"SELECT concat(bad) FROM {table.name} WHERE id = 2", database="test")
    assert source.preview(table.selection(), 5).rows[1][1] == written[0][0]


def test_rejects_leave_out_only_the_bad(mariadb: Mariadb, source: SqlSource, tmp_path: Path) -> None:
    table = Table(
        mariadb, "at datetime, d date", *(f"('2013-01-01', {day})" for day in ("'2013-01-01'", "'0000-00-00'", "NULL"))
    )
    found, rejects = read_rejecting(source, table.selection(), tmp_path)
    assert [row[1] for row in found] == [date(2013, 1, 1), None]
    assert rejects.count == 1
    assert "0000-00-00" in str(rejects.kept[0].record)


def test_a_declared_decimal_is_exact_or_refused(mariadb: Mariadb, source: SqlSource) -> None:
    table = Table(mariadb, "n decimal(50,10)", "(1234.5)", "(-0.01)")
    chosen = table.selection(columns=[{"name": "n", "type": "decimal(10,2)"}])
    assert rows(source, chosen) == [(Decimal("-0.01"),), (Decimal("1234.50"),)]
    for bad in ("(0.001)", "(123456789)"):
        table.server.ask(f"DELETE FROM {table.name}", database="test")
        table.insert(bad)
        with pytest.raises(UnholdableValue, match="decimal"):
            rows(source, chosen)


def test_doubles_arrive_bit_by_bit(mariadb: Mariadb, source: SqlSource) -> None:
    table = Table(mariadb, "x double, y float")
    table.server.ask(
        f"INSERT INTO {table.name} SELECT rand(seq) * pow(10, cast(seq % 600 as signed) - 300), "
        "rand(seq) * pow(10, cast(seq % 70 as signed) - 35) "
        "FROM seq_1_to_2000",
        database="test",
    )
    # What the server says each is, exactly: the text of 17 digits makes the double again.
    wanted = table.server.ask(f"SELECT x + 0e0, y + 0e0 FROM {table.name}", database="test")
    assert rows(source, table.selection()) == sorted(wanted, key=repr)


def test_generated_columns_and_views_are_read(mariadb: Mariadb, source: SqlSource) -> None:
    table = Table(mariadb, "a int, b int as (a * 2) stored, c int as (a + 1) virtual, d int invisible default 7")
    table.server.ask(
        f"INSERT INTO {table.name} (a) VALUES (4)",
        f"CREATE VIEW v_{table.name} AS SELECT a, concat(a, 'x') AS t FROM {table.name}",
        database="test",
    )
    assert rows(source, table.selection()) == [(4, 8, 5, 7)]
    assert rows(source, Selection({"tableName": f"v_{table.name}"})) == [(4, "4x")]


def test_a_row_of_more_than_one_packet(mariadb: Mariadb, source: SqlSource) -> None:
    table = Table(mariadb, "id int, big longblob")
    table.server.ask("SET GLOBAL max_allowed_packet = 67108864")
    table.server.ask(
        f"INSERT INTO {table.name} VALUES (1, repeat('ab', 8388607)), (2, repeat('c', 16777207)), (3, 'x')",
        database="test",
    )
    found = rows(source, table.selection())
    assert [(row[0], len(row[1]), row[1][:1] + row[1][-1:]) for row in found] == [
        (1, 16777214, b"ab"),
        (2, 16777207, b"cc"),
        (3, 1, b"xx"),
    ]


# -- names -----------------------------------------------------------------------------------------

HOSTILE = [
    "a`b",
    'q"x',
    "semi;colon -- x",
    "Mixed Case",
    "žü漢",
    "{0}%s:x",
    "back\\slash",
    "line\nbreak",
    "c0",
]


def test_hostile_names_round_trip(mariadb: Mariadb, source: SqlSource) -> None:
    columns = ", ".join("`" + column.replace("`", "``") + f"` int default {at}" for at, column in enumerate(HOSTILE))
    for at, name in enumerate(HOSTILE):
        quoted = "`" + f"{name}{at}".replace("`", "``") + "`"
        mariadb.ask(f"CREATE TABLE {quoted} ({columns})", f"INSERT INTO {quoted} () VALUES ()", database="test")
    found = {entry.name: entry.path for entry in source.explore(None)}
    for at, name in enumerate(HOSTILE):
        selection = Selection({"tableName": found[f"test.{name}{at}"]})
        with source.plan(selection, WHOLE, None, parallel=1) as reading:
            assert [column.name for column in reading.columns] == HOSTILE
        assert rows(source, selection) == [tuple(range(len(HOSTILE)))]


def test_names_are_as_the_server_takes_them(mariadb: Mariadb, source: SqlSource) -> None:
    mariadb.ask("CREATE TABLE Kasse (a int)", "CREATE TABLE kasse (b int)", database="test")
    assert [column.name for column in source.describe(Selection({"tableName": "Kasse"})).columns] == ["a"]
    assert [column.name for column in source.describe(Selection({"tableName": "test.kasse"})).columns] == ["b"]
    for missing in ("KASSE", "kässe", "nowhere.kasse", "kasse "):
        with pytest.raises(SourceObjectMissing):
            source.describe(Selection({"tableName": missing}))


# -- windows ---------------------------------------------------------------------------------------

AT = datetime(2013, 1, 1)
EDGES = [
    (declared, form, [before, first, last, after])
    for declared, form, before, first, last, after in (
        ("date", None, "'2012-12-31'", "'2013-01-01'", "'2013-01-31'", "'2013-02-01'"),
        (
            "datetime(6)",
            None,
            "'2012-12-31 23:59:59.999999'",
            "'2013-01-01'",
            "'2013-01-31 23:59:59.999999'",
            "'2013-02-01'",
        ),
        ("datetime", None, "'2012-12-31 23:59:59'", "'2013-01-01'", "'2013-01-31 23:59:59'", "'2013-02-01'"),
        (
            "timestamp(6) null",
            None,
            "'2012-12-31 23:59:59.999999'",
            "'2013-01-01'",
            "'2013-01-31 23:59:59.999999'",
            "'2013-02-01'",
        ),
        ("int", "epoch_s", "1356998399", "1356998400", "1359676799", "1359676800"),
        ("bigint", "epoch_ms", "1356998399999", "1356998400000", "1359676799999", "1359676800000"),
        ("bigint", "epoch_us", "1356998399999999", "1356998400000000", "1359676799999999", "1359676800000000"),
        (
            "varchar(30)",
            None,
            "'2012-12-31 23:59:59'",
            "'2013-01-01 00:00:00'",
            "'2013-01-31 23:59:59.999999'",
            "'2013-02-01 00:00:00'",
        ),
        (
            "char(20) character set latin1 collate latin1_german2_ci",
            None,
            "'2012-12-31T23:59:59Z'",
            "'2013-01-01T00:00:00Z'",
            "'2013-01-31T23:59:59Z'",
            "'2013-02-01T00:00:00Z'",
        ),
        (
            "varchar(30) collate utf8mb4_unicode_ci",
            None,
            "'2012-12-31T23:59:59.9'",
            "'2013-01-01T00:00:00.0'",
            "'2013-01-31T23:59:59.9'",
            "'2013-02-01T00:00:00.0'",
        ),
    )
]


@pytest.mark.parametrize(("declared", "form", "values"), EDGES)
def test_rows_on_the_edges_of_a_window(
    mariadb: Mariadb, source: SqlSource, declared: str, form: str | None, values: list[str]
) -> None:
    table = Table(mariadb, f"id int, at {declared}", *(f"({at}, {v})" for at, v in enumerate(values)), "(9, NULL)")
    for index in (False, True):
        if index:
            mariadb.ask(f"CREATE INDEX i ON {table.name} (at)", database="test")
        found = rows(source, table.selection(), window("2013-01-01", "2013-02-01"), DeltaColumn("at", form))
        assert [row[0] for row in found] == [1, 2]


def test_a_time_zone_moves_the_window_of_times_without_one_only(mariadb: Mariadb, source: SqlSource) -> None:
    # Berlin's clock went from 2 to 3 on 2013-03-31 at 01:00 UTC.
    table = Table(mariadb, "at datetime, t timestamp null")
    times = [("2013-03-31 01:59:59", "2013-03-31 00:59:59"), ("2013-03-31 03:00:00", "2013-03-31 01:00:00")]
    table.insert(*(f"('{local}', '{instant}')" for local, instant in times))
    hour = window("2013-03-31 01:00", "2013-03-31 02:00")
    local = rows(source, table.selection(), hour, DeltaColumn("at", timezone="Europe/Berlin"))
    assert local == [(datetime(2013, 3, 31, 3), datetime(2013, 3, 31, 1, tzinfo=UTC))]
    assert rows(source, table.selection(), hour, DeltaColumn("t")) == local


def test_text_that_breaks_the_format_inside_the_window_fails(mariadb: Mariadb, source: SqlSource) -> None:
    table = Table(mariadb, "at varchar(30)", "('2013-01-01 00:00:00')", "('2013-01-02 x')")
    with pytest.raises(UnholdableValue, match="does not follow the format"):
        rows(source, table.selection(), window("2013-01-01", "2013-02-01"), "at")


@pytest.mark.parametrize("declared", ["int zerofill", "tinyint", "double", "bigint unsigned", "blob", "enum('a')"])
def test_what_cannot_order_by_time_is_said(mariadb: Mariadb, source: SqlSource, declared: str) -> None:
    table = Table(mariadb, f"at {declared}")
    relation = source.describe(table.selection())
    assert "does not order rows by time" in str(source.delta_error(relation, DeltaColumn("at")))


# -- filters ---------------------------------------------------------------------------------------


def test_row_filters_are_the_servers_work(mariadb: Mariadb, source: SqlSource) -> None:
    table = Table(
        mariadb,
        "id int, t varchar(20), f float, d double, n decimal(40,2), x datetime(6), b bit(1), u uuid, k time",
        "(1, 'it''s', .1, .1, 1.1, '2013-01-01 00:00:00.000001', b'1', '123e4567-e89b-42d3-a456-426614174000', '10:0')",
        "(2, 'back\\\\slash%', 2, 2, 2, '2013-01-02', b'0', NULL, '11:00:00')",
    )

    def found(left: str, op: str, *right: Any) -> list[int]:
        nodes = [{"nodeType": "literal", "value": value} for value in right]
        filters = {
            "type": "PQL",
            "format": "pql/json",
            "value": {
                "nodeType": "fnApply",
                "fnName": op,
                "params": [{"nodeType": "fieldLookup", "fieldName": left}, *nodes],
            },
        }
        return [row[0] for row in rows(source, table.selection(filters=filters, columns=[{"name": "id"}]))]

    assert found("t", "=", "it's") == [1]
    assert found("t", "=", "back\\slash%") == [2]
    assert found("t", "like", "back%") == [2]
    assert found("f", "=", 0.1) == [1]
    assert found("d", "=", 0.1) == [1]
    assert found("n", "=", "1.1") == [1]
    assert found("x", "=", "2013-01-01T00:00:00.000001") == [1]
    assert found("b", "=", True) == [1]
    assert found("u", "=", "123e4567-e89b-42d3-a456-426614174000") == [1]
    assert found("k", ">", "10:00:00") == [2]
    with pytest.raises(FilterTypeClash):
        found("id", "=", "1 OR 1=1")


# -- splits ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def large(mariadb: Mariadb) -> Table:
    """40,000 rows, ten a second, with an index on the time."""
    table = Table(mariadb, "id int unsigned primary key, at datetime(1), t varchar(40), key (at)")
    mariadb.ask(
        f"INSERT INTO {table.name} SELECT seq * 3, '2013-01-01' + interval seq * 100000 microsecond, "
        "repeat('x', seq % 40) FROM seq_1_to_40000",
        f"ANALYZE TABLE {table.name}",
        database="test",
    )
    return table


def test_splits_are_disjoint_and_whole(source: SqlSource, large: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "SPLIT_FROM_ROWS", 10_000)
    with source.plan(large.selection(), WHOLE, DeltaColumn("at"), parallel=3) as reading:
        assert [split.id for split in reading.splits] == ["keys-3-40002", "keys-40002-80001", "keys-80001-end"]
    assert reading.estimated_rows is not None
    assert 13_000 < reading.estimated_rows < 120_000
    found = read(source, large.selection(), delta="at", parallel=3)
    assert sorted(row[0] for row in found) == [at * 3 for at in range(1, 40_001)]


def test_a_small_window_goes_by_the_index(mariadb: Mariadb, source: SqlSource, large: Table) -> None:
    minute = window("2013-01-01 01:00", "2013-01-01 01:01")
    assert len(rows(source, large.selection(), minute, "at")) == 600
    with source.plan(large.selection(), minute, DeltaColumn("at"), parallel=2) as reading:
        (split,) = reading.splits
    assert split.query is not None
    assert reading.arrives is not None
    for query in (split.query, packed(split.query, reading.arrives)):
        (plan,) = mariadb.ask(f"EXPLAIN {query}", database="test")
        assert (plan[1], plan[5]) == ("SIMPLE", "at")  # the query around the query is computed with it


@pytest.fixture
def endless(mariadb: Mariadb, large: Table) -> Iterator[Selection]:
    """A view that answers a row of 20 kB every ten milliseconds."""
    rows = f"SELECT id, repeat('x', 20000) AS t, sleep(0.01) AS s FROM {large.name}"
    mariadb.ask(f"CREATE VIEW endless AS {rows}", database="test")
    yield Selection({"tableName": "endless"})
    mariadb.ask("DROP VIEW endless", database="test")


def broken(mariadb: Mariadb, source: SqlSource, selection: Selection, end: Callable[[Reading], None]) -> Exception:
    """What comes of reading when `end` is called in the middle."""
    failed: list[Exception] = []
    with source.plan(selection, WHOLE, None, parallel=1) as reading, dataplane.opened() as engine:
        (split,) = reading.splits
        source.prepare(engine, reading, split)

        def run() -> None:
            try:
                engine.execute(split.relation).to_arrow_table()
            except duckdb.Error as error:
                failed.append(source.translate(error))

        thread = threading.Thread(target=run)
        thread.start()
        until = time.monotonic() + 20
        while not _answering(mariadb) and time.monotonic() < until:
            time.sleep(0.02)
        end(reading)
        thread.join(20)
    return failed[0]


def _answering(mariadb: Mariadb) -> bool:
    running = "SELECT 1 FROM information_schema.processlist WHERE user = 'reader' AND state = 'User sleep'"
    return bool(mariadb.ask(running))


def test_a_reading_is_broken_off_at_once(mariadb: Mariadb, source: SqlSource, endless: Selection) -> None:
    def end(reading: Reading) -> None:
        source.interrupt(reading)
        source.interrupt(reading)

    assert isinstance(broken(mariadb, source, endless, end), SourceUnreachable)
    until = time.monotonic() + 10
    while _answering(mariadb) and time.monotonic() < until:
        time.sleep(0.02)
    assert not _answering(mariadb)


def test_a_server_that_restarts_in_the_middle_fails_the_split_and_the_next_try_reads_it(
    mariadb: Mariadb, source: SqlSource, large: Table, endless: Selection
) -> None:
    error = broken(mariadb, source, endless, lambda _: mariadb.stop(signal.SIGKILL))
    assert isinstance(error, SourceUnreachable)
    assert error.passing
    with pytest.raises(SourceUnreachable):
        source.check()
    mariadb.start()
    assert len(rows(source, large.selection())) == 40_000


def test_no_session_outlives_its_plan(mariadb: Mariadb, source: SqlSource, large: Table) -> None:
    read(source, large.selection(), delta="at")
    until = time.monotonic() + 10
    while time.monotonic() < until:
        if not mariadb.ask("SELECT 1 FROM information_schema.processlist WHERE user = 'reader'"):
            return
        time.sleep(0.02)
    pytest.fail("a session is left")


# -- addresses -------------------------------------------------------------------------------------


def test_every_form_of_address_reaches_the_server(mariadb: Mariadb) -> None:
    single = {
        "server": "127.0.0.1",
        "port": mariadb.port,
        "database": "test",
        "username": "reader",
        "password": SECRET,
        "sslMode": "disabled",
    }
    for params in (mariadb.address, mariadb.url, single):
        opened(params).check()
        open_mysql(params, CONTEXT).check()


def test_a_certificate_is_verified_where_that_is_asked_for(mariadb: Mariadb, monkeypatch: pytest.MonkeyPatch) -> None:
    def check(server: str, mode: str) -> None:
        account = {"database": "test", "username": "reader", "password": SECRET}
        opened({**account, "server": server, "port": mariadb.port, "sslMode": mode}).check()

    for mode in ("disabled", "preferred", "required"):
        check("127.0.0.1", mode)
    for mode in ("verify-ca", "verify-identity"):
        with pytest.raises(SourceAccessDenied, match="certificate is not trusted"):
            check("localhost", mode)
    monkeypatch.setenv("SSL_CERT_FILE", str(mariadb.certificate))
    check("localhost", "verify-identity")
    check("127.0.0.1", "verify-ca")
    with pytest.raises(SourceAccessDenied, match=r"127\.0\.0\.1"):
        check("127.0.0.1", "verify-identity")


def test_an_account_that_signs_gets_in_or_is_told_what_is_missing(
    mariadb: Mariadb, monkeypatch: pytest.MonkeyPatch
) -> None:
    mariadb.ask("INSTALL SONAME 'auth_ed25519'", "CREATE USER signs@'%' IDENTIFIED VIA ed25519 USING PASSWORD('p')")
    mariadb.ask("GRANT SELECT ON test.* TO signs@'%'")
    source = opened(
        {"server": "127.0.0.1", "port": mariadb.port, "database": "test", "username": "signs", "password": "p"}
    )
    source.check()
    monkeypatch.setattr(pymysql._auth, "_nacl_bindings", None)
    monkeypatch.setitem(sys.modules, "nacl", None)
    with pytest.raises(MissingExtra, match="pip install pynacl"):
        source.check()


REFUSED_PARAMS = [
    "AllowLoadLocalInfile=true",
    "init_command=SET GLOBAL x=1",
    "plugin_dir=/tmp",
    "SslCa=/etc/passwd",
    "ssl-key=/etc/shadow",
    "unix_socket=/run/mysqld/mysqld.sock",
    "Protocol=socket",
    "defaults-file=/root/.my.cnf",
    "Driver=x",
    "local_infile=1",
]


@pytest.mark.parametrize("option", REFUSED_PARAMS)
def test_dangerous_options_are_refused(option: str) -> None:
    with pytest.raises(BadParameter, match="not allowed"):
        opened({"connectionString": f"Server=127.0.0.1;Database=d;UID=u;{option}"})
    key, _, value = option.partition("=")
    with pytest.raises(BadParameter, match="not allowed"):
        opened({"connectionString": f"mysql://u@127.0.0.1/d?{key}={value}"})
    with pytest.raises(BadParameter, match="not allowed"):
        opened({"server": "127.0.0.1", "database": "d", "username": "u", key: value})


def test_hosts_are_judged_before_they_are_reached() -> None:
    for host in ("169.254.169.254", "/run/mysqld", "0.0.0.0"):  # noqa: S104 - refused
        with pytest.raises(HostNotAllowed):
            opened({"server": host, "database": "d", "username": "u"})


def test_a_refused_connection_says_why_without_the_password(mariadb: Mariadb) -> None:
    for change, kind, words in (
        ("PWD=wrong-s3cr3t", SourceAccessDenied, "Access denied for user 'reader'"),
        ("Database=nowhere", SourceObjectMissing, "Unknown database 'nowhere'"),
        ("SslMode=VerifyIdentity", SourceAccessDenied, "certificate is not trusted"),
        ("Port=1", SourceUnreachable, "cannot be reached at port 1"),
    ):
        key = change.partition("=")[0]
        parts = [f"Server=127.0.0.1;Port={mariadb.port}", "Database=test", "UID=reader"]
        parts += ['PWD="' + SECRET.replace('"', '""') + '"']
        text = ";".join(part for part in ";".join(parts[:1]).split(";") + parts[1:] if not part.startswith(key))
        with pytest.raises(kind, match=words) as caught:
            opened({"connectionString": f"{text};{change}"}).check()
        assert "s3cr3t" not in str(caught.value)
    assert "s3cr3t" not in repr(opened(mariadb.address)._driver._address)  # type: ignore[attr-defined]


def test_a_missing_permission_is_access_denied(mariadb: Mariadb) -> None:
    table = Table(mariadb, "id int, hidden int", "(1, 2)")
    mariadb.ask("CREATE USER partly@'%' IDENTIFIED BY 'p'", f"GRANT SELECT (id) ON test.{table.name} TO partly@'%'")
    source = opened(
        {"server": "127.0.0.1", "port": mariadb.port, "database": "test", "username": "partly", "password": "p"}
    )
    assert rows(source, table.selection()) == [(1,)]
    assert [entry.path for entry in source.explore(None)] == [f"test.{table.name}"]


def test_sessions_cannot_write(mariadb: Mariadb) -> None:
    source = opened({"server": "127.0.0.1", "port": mariadb.port, "database": "test", "username": "root"})
    table = Table(mariadb, "id int")
    with closing(source._driver.connect()) as session, pytest.raises(pymysql.Error, match="READ ONLY"):
        session.rows(f"INSERT INTO {table.name} VALUES (1)")


def test_what_does_not_answer_in_time_is_unreachable(
    mariadb: Mariadb, source: SqlSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "_BRIEF_SECONDS", 0.3)
    table = Table(mariadb, "id int", "(1)")
    mariadb.ask(f"CREATE VIEW never_{table.name} AS SELECT id, sleep(30) AS s FROM {table.name}", database="test")
    with pytest.raises(SourceUnreachable, match="did not answer"):
        source.preview(Selection({"tableName": f"never_{table.name}"}), 1)


def test_without_its_package_it_says_what_to_install(mariadb: Mariadb, monkeypatch: pytest.MonkeyPatch) -> None:
    source = opened(mariadb.address)
    monkeypatch.setattr(driver, "pymysql", None)
    with pytest.raises(MissingExtra, match=r"pip install 'headgate\[mysql\]'"):
        source.check()


# -- a server that is hostile ----------------------------------------------------------------------

GREETING = (
    b"\x0a5.5.5-10.11.0-MariaDB\0"
    + b"\x01\0\0\0"
    + b"12345678\0"
    + b"\xff\xf7"
    + b"\x2d"
    + b"\x02\0"
    + b"\x0f\xa0"
    + b"\x15"
    + b"\0" * 10
    + b"123456789012\0"
    + b"mysql_native_password\0"
)
FINE = b"\0\0\0\x02\0\0\0"


def lured(port: int) -> dict[str, Any]:
    """The params of a connection to it."""
    address = {"server": "127.0.0.1", "port": port, "database": "d"}
    return {**address, "username": "u", "password": SECRET, "sslMode": "disabled"}


def packet(number: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "little") + bytes([number]) + payload


@pytest.fixture
def impostor() -> Iterator[tuple[int, list[bytes], list[bytes]]]:
    """The port of a server that answers what it is told to, after the greeting, and what it was sent."""
    answers: list[bytes] = []
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)

        def serve() -> None:
            client, _ = listener.accept()
            with client:
                client.settimeout(10)
                client.sendall(packet(0, GREETING))
                for answer in answers:
                    heard.append(client.recv(65536))
                    client.sendall(answer)
                heard.append(client.recv(65536))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1], answers, heard
        thread.join(10)


def test_a_server_that_asks_for_a_file_gets_none(impostor: tuple[int, list[bytes], list[bytes]]) -> None:
    port, answers, heard = impostor
    answers += [packet(2, FINE), packet(1, FINE), packet(1, b"\xfb/etc/passwd")]
    source = opened(lured(port))
    with pytest.raises(SourceError, match="asked for a file"):
        source.check()
    assert b"root:" not in b"".join(heard)


@pytest.mark.parametrize("plugin", [b"mysql_clear_password", b"dialog", b"mysql_old_password"])
def test_a_server_that_asks_for_the_password_itself_does_not_get_it(
    impostor: tuple[int, list[bytes], list[bytes]], plugin: bytes
) -> None:
    port, answers, heard = impostor
    answers += [packet(2, b"\xfe" + plugin + b"\0" + b"Password: ")]
    source = opened(
        {
            "server": "127.0.0.1",
            "port": port,
            "database": "d",
            "username": "u",
            "password": SECRET,
            "sslMode": "disabled",
        }
    )
    with pytest.raises(SourceAccessDenied, match=plugin.decode()):
        source.check()
    assert SECRET.encode() not in b"".join(heard)


# -- through the API -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def face(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Face]:
    """A service with its metadata in SQLite, and its client."""
    with serving(tmp_path_factory.mktemp("service")) as face:
        yield face


def test_a_window_lands_through_the_api(mariadb: Mariadb, face: Face) -> None:
    table = Table(mariadb, "id int primary key, at datetime(6), n decimal(10,2)")
    table.insert(*(f"({day}, '2024-03-{day:02}', {day}.50)" for day in range(1, 31)))
    [spec] = face.get(f"/connectionSpecs/{MARIADB}").json()["items"]
    assert spec["attributes"]["verified"] == "server"
    auth = {"specName": "Connection String Based Authentication", "params": mariadb.address}
    connection = face.made("/connections", {"name": "shop", "connectionSpec": {"id": MARIADB}, "auth": auth})
    assert face.get(f"/connections/{connection}/test").status_code == 200
    explored = face.get(f"/connections/{connection}/explore", objectType="table", object=table.name, preview="true")
    assert explored.json()["data"][0]["id"] == 1, explored.text
    body = {"name": "t", "connectionSpec": {"id": MARIADB}, "baseConnectionId": connection}
    source = face.made("/sourceConnections", {**body, "params": {"tableName": table.name}})
    flow = face.flow(sourceConnectionIds=[source])
    with working(face) as worker:
        for _ in range(2):
            run = ended(face, worker, face.run(flow, deltaColumn={"name": "at"}))
    metrics = face.get(f"/runs/{run}").json()["items"][0]["metrics"]
    assert metrics["statusSummary"]["status"] == "success"
    assert metrics["recordSummary"]["outputRecordCount"] == 11
    assert "s3cr3t" not in face.get(f"/connections/{connection}").text
