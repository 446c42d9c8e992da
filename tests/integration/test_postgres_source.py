"""PostgreSQL as a source, against a real server; psycopg is the oracle for every value."""

import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import duckdb
import psycopg
import pyarrow as pa
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from headgate import dataplane
from headgate.config import Settings
from headgate.errors import (
    BadParameter,
    HeadgateError,
    SourceAccessDenied,
    SourceError,
    SourceObjectMissing,
    SourceUnreachable,
    UnholdableValue,
    UnsupportedType,
)
from headgate.model.lake import LakeType
from headgate.model.windows import DeltaColumn, Window
from headgate.outbound import Outbound
from headgate.sources.interface import Reading, Selection, Split
from headgate.sources.sql import PostgresSource
from tests.faults.proxy import proxied

ANYWHERE = Outbound(Settings(), shared=False)
SECRET = "s3cr3t'p\\w;x"


def milliseconds(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def window(start: str, end: str) -> Window:
    return Window(milliseconds(start), milliseconds(end))


WHOLE = window("1990-01-01", "2100-01-01")


@pytest.fixture
def server(postgres: str) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """A connection whose current schema is the test's own, dropped afterwards."""
    with psycopg.connect(postgres, autocommit=True) as connection:
        schema = f"t_{uuid.uuid4().hex[:12]}"
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
        connection.execute(sql.SQL("SET search_path TO {}").format(sql.Identifier(schema)))
        connection.execute("SET timezone TO 'UTC'")
        yield connection
        connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(schema)))


@pytest.fixture
def source(postgres: str) -> PostgresSource:
    return PostgresSource({"connectionString": postgres}, ANYWHERE)


def schema_of(server: psycopg.Connection[tuple[Any, ...]]) -> str:
    row = server.execute("SELECT current_schema()").fetchone()
    assert row is not None
    return str(row[0])


def selection(server: psycopg.Connection[tuple[Any, ...]], table: str = "t", **params: object) -> Selection:
    return Selection({"tableName": f"{schema_of(server)}.{table}", **params})


def fetch(source: PostgresSource, reading: Reading) -> list[pa.Table]:
    tables = []
    for split in reading.splits:
        connection = dataplane.connect()
        try:
            source.prepare(connection, reading, split)
            described = connection.execute(f"DESCRIBE {split.relation}").fetchall()
            assert [(row[0], row[1]) for row in described] == [(c.name, c.type.sql) for c in reading.columns]
            tables.append(connection.execute(split.relation).to_arrow_table())
        except duckdb.Error as error:
            raise source.translate(error) from None
        finally:
            connection.close()
    return tables


def read(
    source: PostgresSource,
    chosen: Selection,
    span: Window = WHOLE,
    delta: str | DeltaColumn = "at",
    parallel: int = 2,
) -> list[tuple[Any, ...]]:
    """The rows of a window, as tuples of Python values."""
    column = DeltaColumn(delta) if isinstance(delta, str) else delta
    with source.plan(chosen, span, column, parallel=parallel) as reading:
        rows: list[tuple[Any, ...]] = []
        for table in fetch(source, reading):
            rows += zip(*(c.to_pylist() for c in table.columns), strict=True)
        return rows


def bag(rows: list[tuple[Any, ...]]) -> Counter[str]:
    return Counter(repr(tuple(map(plain, row))) for row in rows)


def plain(value: Any) -> Any:
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).isoformat()
    if isinstance(value, list):
        return [plain(element) for element in value]
    return str(value) if isinstance(value, uuid.UUID) else value


# -- types -----------------------------------------------------------------------------------------

TYPES = [
    ("boolean", "boolean", ["true", "false"]),
    ("smallint", "int", ["-32768", "32767"]),
    ("integer", "int", ["-2147483648", "2147483647"]),
    ("bigint", "long", ["-9223372036854775808", "9223372036854775807", "9007199254740993"]),
    ("oid", "long", ["4294967295"]),
    ("real", "float", ["1.1", "'NaN'", "'-Infinity'", "3.4e38"]),
    ("double precision", "double", ["0.1", "1e308", "'Infinity'", "5e-324", "123456789.12345679"]),
    ("numeric(10,2)", "decimal(10,2)", ["12345678.90", "-0.01", "0"]),
    ("numeric(38,20)", "decimal(38,20)", ["123456789012345678.12345678901234567890"]),
    ("numeric(38,0)", "decimal(38,0)", ["99999999999999999999999999999999999999"]),
    ("numeric(3,3)", "decimal(3,3)", ["0.001"]),
    ("text", "string", ["''", "'ß😀'", "'a''b\"c\\d'", "E'line\\nbreak\\ttab'"]),
    ("varchar(5)", "string", ["'ab  '"]),
    ("name", "string", ["'x'"]),
    ("uuid", "uuid", ["'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"]),
    ("bytea", "binary", ["'\\x00ff41'", "''"]),
    ("date", "date", ["'0001-01-01'", "'9999-12-31'", "'2013-02-28'"]),
    (
        "timestamp",
        "timestamp",
        ["'2013-01-01 00:00:00.123456'", "'0001-01-01'", "'9999-12-31 23:59:59.999999'"],
    ),
    ("timestamp(3)", "timestamp", ["'2013-01-01 00:00:00.123'"]),
    ("timestamptz", "timestamptz", ["'2013-07-01 02:00:00.000001+02'"]),
    ("time", "time", ["'00:00'", "'23:59:59.999999'"]),
    ("boolean[]", "list<boolean>", ["'{t,f,NULL}'"]),
    ("smallint[]", "list<int>", ["'{1,-1}'"]),
    ("integer[]", "list<int>", ["'{1,2,NULL}'", "'{}'"]),
    ("bigint[]", "list<long>", ["'{9223372036854775807}'"]),
    ("real[]", "list<float>", ["'{1.5,NaN}'"]),
    ("double precision[]", "list<double>", ["'{0.1}'"]),
    ("numeric(10,2)[]", "list<decimal(10,2)>", ["'{1.10,NULL,-3}'"]),
    ("text[]", "list<string>", ["'{a,NULL,\"\"}'"]),
    ("varchar(4)[]", "list<string>", ["'{a}'"]),
    ("uuid[]", "list<uuid>", ["'{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}'"]),
    ("date[]", "list<date>", ["'{2013-01-01}'"]),
    ("timestamp[]", "list<timestamp>", ["'{2013-01-01 10:00:00.5}'"]),
    ("timestamptz[]", "list<timestamptz>", ["'{2013-01-01 10:00+02}'"]),
    ("time[]", "list<time>", ["'{10:00}'"]),
]


@pytest.mark.parametrize(("declared", "kind", "values"), TYPES, ids=[row[0] for row in TYPES])
def test_a_type_keeps_every_value(
    server: psycopg.Connection[tuple[Any, ...]],
    source: PostgresSource,
    declared: str,
    kind: str,
    values: list[str],
) -> None:
    server.execute(f"CREATE TABLE t (at timestamp, v {declared})")
    for value in [*values, "NULL"]:
        server.execute(f"INSERT INTO t VALUES ('2013-01-01', {value})")
    assert str(source.describe(selection(server)).columns[1].type) == kind
    rows = read(source, selection(server))
    assert bag(rows) == bag(server.execute("SELECT * FROM t", binary=True).fetchall())
    assert len(rows) == len(values) + 1


TEXTS = [
    ("numeric", ["1.10", "'NaN'", "1e40", "'Infinity'", "0.00000000000000000000000000000000000000000001"]),
    ("numeric(40,2)", ["99999999999999999999999999999999999999.12"]),
    ("numeric(3,-2)", ["12300"]),
    ("numeric(2,4)", ["0.0012"]),
    ("char(4)", ["'ab'"]),
    ('"char"', ["'x'"]),
    ("json", ["'{\"a\":  1}'"]),
    ("jsonb", ["'{\"a\":  1}'"]),
    ("xml", []),
    ("inet", ["'10.0.0.1/8'"]),
    ("cidr", ["'10.0.0.0/8'"]),
    ("macaddr", ["'08:00:2b:01:02:03'"]),
    ("bit(3)", ["B'101'"]),
    ("varbit", ["B'1'"]),
    ("money", ["'-1234.5'"]),
    ("interval", ["'1 year 2 mons 3 days 04:05:06.7'"]),
    ("timetz", ["'10:00:00.5+02'"]),
    ("int4range", ["'[1,5)'", "'empty'"]),
    ("tstzrange", ["'[2013-01-01 00:00+02,)'"]),
    ("datemultirange", ["'{[2013-01-01,2013-02-01)}'"]),
    ("mood", ["'happy'"]),
    ("label", ["'x'"]),
    ("numeric[]", ["'{1.5,NaN}'"]),
]


@pytest.mark.parametrize(("declared", "values"), TEXTS, ids=[row[0] for row in TEXTS])
def test_a_type_without_a_twin_lands_as_the_servers_text(
    server: psycopg.Connection[tuple[Any, ...]], source: PostgresSource, declared: str, values: list[str]
) -> None:
    server.execute("CREATE TYPE mood AS ENUM ('sad', 'happy')")
    server.execute("CREATE DOMAIN label AS varchar(10) CHECK (value <> '')")
    server.execute(f"CREATE TABLE t (at timestamp, v {declared})")
    for value in [*values, "NULL"]:
        server.execute(f"INSERT INTO t VALUES ('2013-01-01', {value})")
    server.execute("SET intervalstyle TO 'iso_8601'; SET lc_monetary TO 'C'")
    text = "text[]" if declared.endswith("[]") else "text"
    expected = server.execute(f"SELECT at, v::{text} FROM t").fetchall()
    assert bag(read(source, selection(server))) == bag(expected)


def test_an_interval_is_text_of_iso_8601(server: psycopg.Connection[tuple[Any, ...]], source: PostgresSource) -> None:
    server.execute("CREATE TABLE t AS SELECT '2013-01-01'::timestamp AS at, '1 mon 3.5 s'::interval AS v")
    assert read(source, selection(server))[0][1] == "P1MT3.5S"


def test_domains_are_read_as_their_base_type(
    server: psycopg.Connection[tuple[Any, ...]], source: PostgresSource
) -> None:
    server.execute("CREATE DOMAIN price AS numeric(10,2); CREATE DOMAIN net AS price CHECK (value > 0)")
    server.execute("CREATE DOMAIN moment AS timestamp(3)")
    server.execute("CREATE TABLE t (at moment, v net)")
    server.execute("INSERT INTO t VALUES ('2013-01-01', 1.50), ('2013-01-02', NULL)")
    assert [str(c.type) for c in source.describe(selection(server)).columns] == ["timestamp", "decimal(10,2)"]
    assert bag(read(source, selection(server))) == bag(server.execute("SELECT * FROM t").fetchall())


@pytest.mark.parametrize("declared", ["pair", "point", "pair[]", "bytea[]", "tsvector", "price[]", "xid"])
def test_an_unknown_type_is_refused_by_name_and_can_be_left_out(
    server: psycopg.Connection[tuple[Any, ...]], source: PostgresSource, declared: str
) -> None:
    server.execute("CREATE TYPE pair AS (a int, b int); CREATE DOMAIN price AS numeric(10,2)")
    server.execute(f'CREATE TABLE t (at timestamp, "Odd one" {declared}, v int)')
    with pytest.raises(UnsupportedType, match=r"'Odd one'.*params\.columns"):
        source.describe(selection(server))
    chosen = selection(server, columns=[{"name": "v"}, {"name": "at"}])
    assert [c.name for c in source.describe(chosen).columns] == ["v", "at"]


# -- values the lake cannot hold -------------------------------------------------------------------

HAZARDS = [
    ("numeric(10,2)", "'NaN'", "NaN"),
    ("date", "'infinity'", "infinity"),
    ("date", "'-infinity'", "-infinity"),
    ("date", "'0044-03-15 BC'", "0044-03-15 (BC)"),
    ("date", "'10000-01-01'", "10000-01-01"),
    ("timestamp", "'infinity'", "infinity"),
    ("timestamp", "'0001-01-01 BC'", "BC"),
    ("timestamptz", "'-infinity'", "-infinity"),
    ("timestamptz", "'10000-01-01 00:00+00'", "10000-01-01"),
    ("time", "'24:00:00'", "24:00:00"),
    ("integer[]", "'{{1,2},{3,4}}'", "{{1,2},{3,4}}"),
    ("integer[]", "'[2:3]={1,2}'", "[2:3]={1,2}"),
    ("numeric(10,2)[]", "'{1,NaN}'", "NaN"),
    ("date[]", "'{2013-01-01,infinity}'", "infinity"),
    ("time[]", "'{24:00}'", "24:00"),
]


@pytest.mark.parametrize(("declared", "value", "shown"), HAZARDS, ids=[f"{h[0]} {h[2]}" for h in HAZARDS])
def test_a_value_the_lake_cannot_hold_fails_by_name(
    server: psycopg.Connection[tuple[Any, ...]], source: PostgresSource, declared: str, value: str, shown: str
) -> None:
    server.execute(f'CREATE TABLE t (at timestamp, "the {{0}} %s" {declared})')
    server.execute(f"INSERT INTO t VALUES ('2013-01-01', {value}), ('2013-01-02', NULL)")
    with pytest.raises(UnholdableValue) as failure:
        read(source, selection(server))
    assert '"the {0} %s"' in failure.value.detail
    assert shown in failure.value.detail
    assert read(source, selection(server), window("2013-01-02", "2013-01-03")) == [(datetime(2013, 1, 2), None)]
    assert len(read(source, selection(server, columns=[{"name": "at"}]))) == 2


def test_the_guard_is_evaluated_even_when_only_rows_are_counted(
    server: psycopg.Connection[tuple[Any, ...]], source: PostgresSource
) -> None:
    server.execute("CREATE TABLE t AS SELECT '2013-01-01'::timestamp AS at, 'NaN'::numeric(10,2) AS v")
    with source.plan(selection(server), WHOLE, DeltaColumn("at"), parallel=1) as reading:
        connection = dataplane.connect()
        source.prepare(connection, reading, reading.splits[0])
        with pytest.raises(duckdb.Error) as failure:
            connection.execute(f"SELECT count(*) FROM ({reading.splits[0].relation})").fetchall()
        connection.close()
    assert isinstance(source.translate(failure.value), UnholdableValue)


def test_a_declared_decimal_holds_unbounded_numerics_exactly_or_not_at_all(
    server: psycopg.Connection[tuple[Any, ...]], source: PostgresSource
) -> None:
    server.execute("CREATE TABLE t (at timestamp, v numeric)")
    server.execute("INSERT INTO t VALUES ('2013-01-01', 1.1234567890), ('2013-01-01', NULL), ('2013-01-01', 5e27)")
    chosen = selection(server, columns=[{"name": "at"}, {"name": "v", "type": "decimal(38,10)"}])
    assert source.describe(chosen).columns[1].type == LakeType("decimal", 38, 10)
    assert bag(read(source, chosen)) == bag(server.execute("SELECT at, v::numeric(38,10) FROM t").fetchall())
    for value in ("0.00000000001", "1e28", "'NaN'", "'Infinity'"):
        server.execute(f"TRUNCATE t; INSERT INTO t VALUES ('2013-01-01', {value})")
        with pytest.raises(UnholdableValue, match='"v"'):
            read(source, chosen)


@pytest.mark.parametrize(
    "columns",
    [
        [{"name": "at", "type": "decimal(10,2)"}],
        "at",
        [{"nom": "at"}],
        [{"name": "v", "type": "decimal(39,0)"}],
    ],
)
def test_a_bad_list_of_columns_is_refused(
    server: psycopg.Connection[tuple[Any, ...]], source: PostgresSource, columns: object
) -> None:
    server.execute("CREATE TABLE t (at timestamp, v numeric)")
    with pytest.raises(BadParameter, match=r"params\.columns"):
        source.describe(selection(server, columns=columns))


# -- names -----------------------------------------------------------------------------------------

HOSTILE = [
    'a"; drop table x;--',
    "%s",
    "{0}",
    "$1",
    "😀 été",
    "My.Table",
    "'; --",
    "\\",
    "a" * 63,
    "select",
    "$$",
    "a\nb",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_round_trip(
    server: psycopg.Connection[tuple[Any, ...]], source: PostgresSource, name: str
) -> None:
    table = sql.Identifier(schema_of(server), name)
    server.execute(sql.SQL("CREATE TABLE {} (at timestamp, {} int)").format(table, sql.Identifier(name)))
    server.execute(sql.SQL("INSERT INTO {} VALUES ('2013-01-01', 7)").format(table))
    quoted = '"' + name.replace('"', '""') + '"'
    for chosen in (
        selection(server, quoted),
        selection(server, quoted, columns=[{"name": "at"}, {"name": name}]),
    ):
        assert source.describe(chosen).columns[1].name == name
        assert read(source, chosen) == [(datetime(2013, 1, 1), 7)]


def test_a_table_is_found_by_any_of_its_names(postgres: str) -> None:
    with psycopg.connect(postgres, autocommit=True) as server:
        server.execute('CREATE SCHEMA "My Schema"; CREATE TABLE "My Schema"."My.Table" (at date)')
        server.execute('CREATE TABLE public.plain_one (at date); CREATE TABLE public."dotted.name" (at date)')
        try:
            source = PostgresSource({"connectionString": postgres}, ANYWHERE)
            for name in ('"My Schema"."My.Table"', "plain_one", "PUBLIC.Plain_One", "dotted.name"):
                assert len(source.describe(Selection({"tableName": name})).columns) == 1
        finally:
            server.execute('DROP SCHEMA "My Schema" CASCADE; DROP TABLE public.plain_one, public."dotted.name"')


def test_what_is_missing_is_named(server: psycopg.Connection[tuple[Any, ...]], source: PostgresSource) -> None:
    server.execute("CREATE TABLE t (at timestamp)")
    with pytest.raises(SourceObjectMissing, match="no_such_table"):
        source.describe(Selection({"tableName": "no_such_table"}))
    with pytest.raises(SourceObjectMissing, match="no_such_column"):
        source.describe(selection(server, columns=[{"name": "no_such_column"}]))


def test_names_the_lake_cannot_have_are_refused(
    server: psycopg.Connection[tuple[Any, ...]], source: PostgresSource
) -> None:
    server.execute('CREATE TABLE t (at timestamp, _headgate_run_id int); CREATE TABLE u (at timestamp, "At" int)')
    with pytest.raises(UnsupportedType, match="reserved"):
        source.describe(selection(server))
    with pytest.raises(UnsupportedType, match="differ in case"):
        source.describe(selection(server, "u"))


def test_every_kind_of_relation_is_read(server: psycopg.Connection[tuple[Any, ...]], source: PostgresSource) -> None:
    server.execute("CREATE TABLE t (at timestamp, v int) PARTITION BY RANGE (at)")
    server.execute("CREATE TABLE t1 PARTITION OF t FOR VALUES FROM ('2013-01-01') TO ('2013-02-01')")
    server.execute("CREATE TABLE t2 PARTITION OF t FOR VALUES FROM ('2013-02-01') TO ('2013-03-01')")
    server.execute(
        "INSERT INTO t SELECT '2013-01-15'::timestamp + i * interval '1 day', i FROM generate_series(0, 29) i"
    )
    server.execute("CREATE VIEW v AS SELECT * FROM t; CREATE MATERIALIZED VIEW m AS SELECT * FROM t")
    for table in ("t", "v", "m"):
        assert len(read(source, selection(server, table), window("2013-01-20", "2013-02-10"))) == 21


# -- windows ---------------------------------------------------------------------------------------

START, END = "2013-01-01T10:00:00", "2013-01-01T10:00:02"
DELTAS = [
    ("timestamp(0)", ["09:59:59"], ["10:00:00", "10:00:01"], ["10:00:02"]),
    ("timestamp(3)", ["09:59:59.999"], ["10:00:00", "10:00:01.999"], ["10:00:02", "10:00:02.001"]),
    ("timestamp(6)", ["09:59:59.999999"], ["10:00:00", "10:00:00.000001", "10:00:01.999999"], ["10:00:02"]),
    ("timestamptz", ["09:59:59.999999+00"], ["10:00:00+00", "12:00:01.999999+02"], ["10:00:02+00"]),
    ("text", ["09:59:59"], ["10:00:00", "10:00:01"], ["10:00:02"]),
    ("text", ["09:59:59.9Z"], ["10:00:00Z", "10:00:00.0Z", "10:00:01.999999999Z", "10:00:01"], ["10:00:02Z"]),
    ("text", ["09:59:59+00:00"], ["10:00:00+00", "10:00:01.9+00:00"], ["10:00:02.000+00"]),
    ("varchar(40)", ["09:59:59.99"], ["10:00:00.000", "10:00:01.99"], ["10:00:02"]),
    ("char(30)", ["09:59:59"], ["10:00:00", "10:00:01.99"], ["10:00:02"]),
]


@pytest.mark.parametrize("separator", [" ", "T"])
@pytest.mark.parametrize("indexed", [False, True])
@pytest.mark.parametrize(("declared", "before", "inside", "after"), DELTAS)
def test_rows_on_the_edges_of_a_window(
    server: psycopg.Connection[tuple[Any, ...]],
    source: PostgresSource,
    declared: str,
    before: list[str],
    inside: list[str],
    after: list[str],
    indexed: bool,
    separator: str,
) -> None:
    server.execute(f"CREATE TABLE t (at {declared}, v text)")
    for value in [*before, *inside, *after]:
        server.execute("INSERT INTO t VALUES (%s, %s)", [f"2013-01-01{separator}{value}", value])
    server.execute("INSERT INTO t VALUES (NULL, 'null')")
    if indexed:
        server.execute("CREATE INDEX ON t (at)")
    rows = read(source, selection(server), window(START, END))
    assert sorted(row[1] for row in rows) == sorted(inside)


@pytest.mark.parametrize(
    ("declared", "unit", "form"),
    [
        ("integer", 1, None),
        ("bigint", 1, "epoch_s"),
        ("bigint", 1000, None),
        ("bigint", 1000, "epoch_ms"),
        ("bigint", 1_000_000, None),
        ("bigint", 1_000_000, "epoch_us"),
    ],
)
def test_integers_of_unix_time(
    server: psycopg.Connection[tuple[Any, ...]],
    source: PostgresSource,
    declared: str,
    unit: int,
    form: str | None,
) -> None:
    start, end = milliseconds(START) // 1000 * unit, milliseconds(END) // 1000 * unit
    server.execute(f"CREATE TABLE t (at {declared})")
    for value in (start - 1, start, end - 1, end, None):
        server.execute("INSERT INTO t VALUES (%s)", [value])
    rows = read(source, selection(server), window(START, END), DeltaColumn("at", form))
    assert sorted(rows) == [(start,), (end - 1,)]


def test_a_window_past_the_integers_of_a_column_is_legal(
    server: psycopg.Connection[tuple[Any, ...]], source: PostgresSource
) -> None:
    server.execute("CREATE TABLE t (at integer); INSERT INTO t VALUES (2147483647)")
    assert read(source, selection(server), Window(0, 16515859567000)) == [(2147483647,)]


def test_days_stand_for_their_first_instant(
    server: psycopg.Connection[tuple[Any, ...]], source: PostgresSource
) -> None:
    for declared in ("date", "text"):
        server.execute(f"DROP TABLE IF EXISTS t; CREATE TABLE t (at {declared})")
        server.execute("INSERT INTO t VALUES ('2012-12-31'), ('2013-01-01'), ('2013-01-02'), ('2013-01-03'), (NULL)")
        assert len(read(source, selection(server), window("2013-01-01", "2013-01-03"))) == 2
        assert len(read(source, selection(server), window("2013-01-01T00:00:01", "2013-01-03T00:00:01"))) == 2
        assert len(read(source, selection(server), window("2013-01-02T12:00:00", "2013-01-02T13:00:00"))) == 0


def test_a_time_zone_moves_the_window_of_times_without_one(
    server: psycopg.Connection[tuple[Any, ...]], source: PostgresSource
) -> None:
    server.execute("CREATE TABLE t (at timestamp)")
    server.execute("INSERT INTO t SELECT '2013-07-01'::timestamp + i * interval '1 hour' FROM generate_series(0, 47) i")
    rows = read(
        source,
        selection(server),
        window("2013-07-01T10:00:00", "2013-07-01T12:00:00"),
        DeltaColumn("at", None, "Europe/Berlin"),
    )
    assert sorted(rows) == [(datetime(2013, 7, 1, 12),), (datetime(2013, 7, 1, 13),)]


def test_an_empty_window_has_no_splits(server: psycopg.Connection[tuple[Any, ...]], source: PostgresSource) -> None:
    server.execute("CREATE TABLE t (at timestamp)")
    with source.plan(selection(server), window(START, START), DeltaColumn("at"), parallel=2) as reading:
        assert reading.splits == ()


def test_text_that_breaks_the_format_inside_the_window_fails(
    server: psycopg.Connection[tuple[Any, ...]], source: PostgresSource
) -> None:
    server.execute("CREATE TABLE t (at text)")
    for value in ("2013-01-01 10:00", "2013-01-01 10:00:00+02:00", "2013-01-01 1O:00:00"):
        server.execute("TRUNCATE t; INSERT INTO t VALUES ('2013-01-01 00:00:00')")
        server.execute("INSERT INTO t VALUES (%s)", [value])
        with pytest.raises(UnholdableValue, match="format"):
            read(source, selection(server))


@pytest.mark.parametrize("value", ["31/12/2013", "2013-01-01T00:00:00+02:00", "noon"])
def test_text_that_does_not_sort_by_time_is_refused(
    server: psycopg.Connection[tuple[Any, ...]], source: PostgresSource, value: str
) -> None:
    server.execute("CREATE TABLE t (at text)")
    server.execute("INSERT INTO t VALUES (%s)", [value])
    with pytest.raises(SourceError, match="does not sort by time"):
        read(source, selection(server))


def test_text_takes_windows_on_whole_seconds_only(
    server: psycopg.Connection[tuple[Any, ...]], source: PostgresSource
) -> None:
    server.execute("CREATE TABLE t (at text); INSERT INTO t VALUES ('2013-01-01T00:00:00Z')")
    with pytest.raises(SourceError, match="whole second"):
        read(source, selection(server), Window(milliseconds(START) + 1, milliseconds(END)))


def test_what_cannot_order_by_time_is_said(server: psycopg.Connection[tuple[Any, ...]], source: PostgresSource) -> None:
    server.execute(
        "CREATE TABLE t (at timestamp, b bool, j jsonb, d float8, n numeric, a int[], x bytea, h time, u uuid, "
        "i int, s text, o oid)"
    )
    relation = source.describe(selection(server))
    for name in "bjdnaxhuo":
        assert "does not order" in str(source.delta_error(relation, DeltaColumn(name)))
    assert "not among" in str(source.delta_error(relation, DeltaColumn("nope")))
    assert "epoch_s" in str(source.delta_error(relation, DeltaColumn("i", "yyyy-MM-dd")))
    assert "does not sort" in str(source.delta_error(relation, DeltaColumn("s", "dd/MM/yyyy")))
    assert "Mars" in str(source.delta_error(relation, DeltaColumn("at", None, "Mars/Olympus")))
    for delta in (
        DeltaColumn("at", "YYYY-MM-DD"),
        DeltaColumn("i"),
        DeltaColumn("i", "epoch_ms"),
        DeltaColumn("s", "yyyy-MM-dd'T'HH:mm:ss.SSSZ"),
    ):
        assert source.delta_error(relation, delta) is None
    with (
        pytest.raises(SourceError, match="does not order"),
        source.plan(selection(server), WHOLE, DeltaColumn("b"), parallel=1),
    ):
        pass


# -- index or pages --------------------------------------------------------------------------------


@pytest.fixture
def large(server: psycopg.Connection[tuple[Any, ...]]) -> psycopg.Connection[tuple[Any, ...]]:
    """A table of 78 MB, indexed by its date."""
    server.execute("CREATE TABLE t (id int, at date, filler text STORAGE PLAIN)")
    server.execute(
        "INSERT INTO t SELECT i, '2013-01-01'::date + i / 200, repeat('x', 1000) FROM generate_series(0, 69999) i"
    )
    server.execute("CREATE INDEX ON t (at)")
    server.execute("ANALYZE t")
    return server


def test_a_small_window_goes_by_the_index_and_ships_only_its_rows(
    large: psycopg.Connection[tuple[Any, ...]], source: PostgresSource
) -> None:
    """A timestamp bound would make the scanner ship the whole table; ours is typed as the column."""
    with source.plan(selection(large), window("2013-02-01", "2013-02-02"), DeltaColumn("at"), parallel=2) as reading:
        assert [split.id for split in reading.splits] == ["window"]
        assert reading.estimated_rows is not None
        assert reading.estimated_rows < 2000
        connection = dataplane.connect()
        source.prepare(connection, reading, reading.splits[0])
        relation = reading.splits[0].relation
        sent = relation[relation.index("'src', '") + 8 : relation.index("')) WHERE CASE")].replace("''", "'")
        connection.close()
    assert "'2013-02-01'::date" in sent
    plan = large.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + sent).fetchone()
    assert plan is not None
    top = plan[0][0]["Plan"]
    assert top["Actual Rows"] == 200
    assert "Index" in str(top["Node Type"]) or "Bitmap" in str(top["Node Type"])
    rows = read(source, selection(large, columns=[{"name": "id"}, {"name": "at"}]), window("2013-02-01", "2013-02-02"))
    assert bag(rows) == bag(large.execute("SELECT id, at FROM t WHERE at = '2013-02-01'").fetchall())


def test_a_large_window_goes_by_pages(large: psycopg.Connection[tuple[Any, ...]], source: PostgresSource) -> None:
    chosen = selection(large, columns=[{"name": "id"}, {"name": "at"}])
    for parallel in (1, 2, 3):
        with source.plan(chosen, WHOLE, DeltaColumn("at"), parallel=parallel) as reading:
            ids = [split.id for split in reading.splits]
            tables = fetch(source, reading)
        assert len(ids) == parallel
        if parallel == 2:
            assert ids == ["pages-0-5000", "pages-5000-end"]
            assert all(20_000 < table.num_rows < 50_000 for table in tables)
        found = sorted(value for table in tables for value in table.column("id").to_pylist())
        assert found == list(range(70_000))


def test_without_a_delta_column_everything_is_read_by_pages(
    large: psycopg.Connection[tuple[Any, ...]], source: PostgresSource
) -> None:
    large.execute("INSERT INTO t VALUES (70000, NULL, 'x')")
    chosen = selection(large, columns=[{"name": "id"}])
    with source.plan(chosen, WHOLE, None, parallel=2) as reading:
        assert (reading.window_column, reading.bounds) == (None, None)
        assert [split.id for split in reading.splits] == ["pages-0-5000", "pages-5000-end"]
        found = sorted(value for table in fetch(source, reading) for value in table.column("id").to_pylist())
    assert found == list(range(70_001))


def test_a_view_of_a_large_table_is_one_split(
    large: psycopg.Connection[tuple[Any, ...]], source: PostgresSource
) -> None:
    large.execute("CREATE VIEW v AS SELECT * FROM t")
    with source.plan(selection(large, "v"), WHOLE, DeltaColumn("at"), parallel=2) as reading:
        assert [split.id for split in reading.splits] == ["window"]


def test_all_splits_read_one_snapshot(large: psycopg.Connection[tuple[Any, ...]], source: PostgresSource) -> None:
    chosen = selection(large, columns=[{"name": "id"}, {"name": "at"}])
    with source.plan(chosen, WHOLE, DeltaColumn("at"), parallel=2) as reading:
        first = dataplane.connect()
        source.prepare(first, reading, reading.splits[0])
        count = first.execute(f"SELECT count(id) FROM ({reading.splits[0].relation})").fetchall()[0][0]
        large.execute("INSERT INTO t SELECT -i, '2013-01-01', repeat('y', 1000) FROM generate_series(1, 9) i")
        large.execute("DELETE FROM t WHERE id = 69999")
        second = dataplane.connect()
        source.prepare(second, reading, reading.splits[1])
        count += second.execute(f"SELECT count(id) FROM ({reading.splits[1].relation})").fetchall()[0][0]
        first.close()
        second.close()
    assert count == 70_000


# -- sessions and errors ---------------------------------------------------------------------------


def address(postgres: str) -> dict[str, str]:
    parts = urlsplit(postgres)
    return {"server": parse_qs(parts.query)["host"][0], "database": "postgres", "username": "postgres"}


def test_every_form_of_address_reaches_the_server(postgres: str) -> None:
    single = address(postgres)
    folder = single["server"]
    for params in (
        {"connectionString": postgres},
        {"connectionString": f"Server={folder};Database=postgres;UID=postgres;Password={{a;b}}}}c}}"},
        {"connectionString": f"host={folder} dbname=postgres user=postgres"},
        single,
    ):
        PostgresSource(params, ANYWHERE).check()


def test_text_that_is_not_utf_8_fails(postgres: str) -> None:
    """A database in the encoding SQL_ASCII checks nothing; its server does when the text leaves it."""
    with psycopg.connect(postgres, autocommit=True) as server:
        server.execute("CREATE DATABASE unchecked ENCODING 'SQL_ASCII' TEMPLATE template0 LOCALE 'C'")
        try:
            with psycopg.connect(postgres, dbname="unchecked", autocommit=True) as unchecked:
                unchecked.execute("CREATE TABLE t (at date, v text)")
                unchecked.execute(b"INSERT INTO t VALUES ('2013-01-01', E'\\xff')")
            source = PostgresSource({**address(postgres), "database": "unchecked"}, ANYWHERE)
            with pytest.raises(UnholdableValue, match="invalid byte sequence"):
                read(source, Selection({"tableName": "t"}))
        finally:
            server.execute("DROP DATABASE unchecked WITH (FORCE)")


def test_sessions_cannot_write(server: psycopg.Connection[tuple[Any, ...]], source: PostgresSource) -> None:
    server.execute("CREATE TABLE t (at timestamp); INSERT INTO t VALUES ('2013-01-01')")
    with source.plan(selection(server), WHOLE, DeltaColumn("at"), parallel=1) as reading:
        connection = dataplane.connect()
        source.prepare(connection, reading, reading.splits[0])
        with pytest.raises(duckdb.Error, match="read-only"):
            connection.execute(f"CALL postgres_execute('src', 'DELETE FROM {schema_of(server)}.t')")
        connection.close()
    assert server.execute("SELECT count(*) FROM t").fetchone() == (1,)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"server": "/nowhere"}, SourceUnreachable),
        ({"server": "127.0.0.1", "port": "1"}, SourceUnreachable),
        ({"database": "no_such_database"}, SourceObjectMissing),
        ({"username": "no_such_role"}, SourceAccessDenied),
    ],
)
def test_a_refused_connection_says_why_without_the_password(
    postgres: str, change: dict[str, str], kind: type[HeadgateError]
) -> None:
    source = PostgresSource({**address(postgres), "password": SECRET, **change}, ANYWHERE)
    with pytest.raises(kind) as failure:
        source.check()
    assert type(failure.value) is kind
    assert failure.value.retryable is (kind is SourceUnreachable)
    reading = Reading((), (), "at", None)
    connection = dataplane.connect()
    with pytest.raises(kind) as attached:
        source.prepare(connection, reading, Split("window", ""))
    connection.close()
    for error in (failure.value, attached.value):
        assert SECRET not in str(error)
        assert "s3cr3t" not in str(error)
        assert error.__cause__ is None


def test_duckdbs_own_message_is_cleaned(postgres: str) -> None:
    source = PostgresSource({**address(postgres), "password": SECRET}, ANYWHERE)
    nowhere = source._conninfo().replace("dbname=postgres", "dbname=nowhere")
    connection = dataplane.connect("postgres_scanner")
    with pytest.raises(duckdb.Error) as failure:
        connection.execute(f"ATTACH {dataplane.literal(nowhere)} AS x (TYPE postgres)")
    connection.close()
    assert "s3cr3t" in str(failure.value)
    assert "s3cr3t" not in str(source.translate(failure.value))


def test_the_password_does_not_show(postgres: str) -> None:
    source = PostgresSource({**address(postgres), "password": SECRET}, ANYWHERE)
    assert "s3cr3t" not in repr(source._address)


def test_a_missing_permission_is_access_denied(server: psycopg.Connection[tuple[Any, ...]], postgres: str) -> None:
    role = f"r_{uuid.uuid4().hex[:8]}"
    server.execute(
        f"CREATE TABLE t (at timestamp); CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA {schema_of(server)} TO {role}"
    )
    try:
        source = PostgresSource({**address(postgres), "username": role}, ANYWHERE)
        with pytest.raises(SourceAccessDenied, match="permission denied"):
            read(source, selection(server))
    finally:
        server.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_a_reading_whose_snapshot_is_gone_can_be_tried_again(
    server: psycopg.Connection[tuple[Any, ...]], source: PostgresSource
) -> None:
    server.execute("CREATE TABLE t (at timestamp)")
    with source.plan(selection(server), WHOLE, DeltaColumn("at"), parallel=1) as reading:
        pass
    connection = dataplane.connect()
    with pytest.raises(SourceUnreachable):
        source.prepare(connection, reading, reading.splits[0])
    connection.close()


def test_a_session_ended_by_the_server_can_be_tried_again(
    server: psycopg.Connection[tuple[Any, ...]], source: PostgresSource
) -> None:
    server.execute("CREATE TABLE t (at timestamp); INSERT INTO t VALUES ('2013-01-01')")
    with source.plan(selection(server), WHOLE, DeltaColumn("at"), parallel=1) as reading:
        connection = dataplane.connect()
        source.prepare(connection, reading, reading.splits[0])
        server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name LIKE 'headgate%' AND pid <> pg_backend_pid()"
        )
        with pytest.raises(duckdb.Error) as failure:
            connection.execute(reading.splits[0].relation).fetchall()
        # DuckDB 1.5.5 ends the whole process when it closes a connection whose rollback fails at the server.
        with pytest.raises(duckdb.Error, match="ROLLBACK"):
            connection.execute("ROLLBACK")
        connection.close()
    assert isinstance(source.translate(failure.value), SourceUnreachable)


def test_an_error_of_the_caller_passes_through_the_plan(
    server: psycopg.Connection[tuple[Any, ...]], source: PostgresSource
) -> None:
    server.execute("CREATE TABLE t (at timestamp)")
    with (
        pytest.raises(psycopg.OperationalError, match="the caller's"),
        source.plan(selection(server), WHOLE, DeltaColumn("at"), parallel=1),
    ):
        raise psycopg.OperationalError("the caller's")


def test_a_plan_that_waits_for_a_silent_server_is_broken_off(
    server: psycopg.Connection[tuple[Any, ...]], postgres: str
) -> None:
    server.execute("CREATE TABLE t (at timestamp)")
    known = conninfo_to_dict(postgres)
    with proxied(f"{known['host']}/.s.PGSQL.{known.get('port', 5432)}") as proxy:
        through = make_conninfo(postgres, host="127.0.0.1", port=proxy.port)
        source = PostgresSource({"connectionString": through}, ANYWHERE)
        told: list[Exception] = []

        @contextmanager
        def breaking(break_off: Callable[[], None]) -> Iterator[None]:
            proxy.stall()
            breaker = threading.Timer(0.5, _quietly, (break_off, told))
            breaker.start()
            try:
                yield
            finally:
                breaker.join()

        def plan() -> None:
            with source.plan(selection(server), WHOLE, DeltaColumn("at"), parallel=1, breaking=breaking):
                pass

        planning = threading.Thread(target=_quietly, args=(plan, told))
        planning.start()
        planning.join(20)
        assert not planning.is_alive()
        assert [type(error) for error in told] == [SourceUnreachable, SourceUnreachable]


def _quietly(work: Callable[[], None], told: list[Exception]) -> None:
    try:
        work()
    except HeadgateError as error:
        told.append(error)


def test_no_session_outlives_its_plan(server: psycopg.Connection[tuple[Any, ...]], source: PostgresSource) -> None:
    server.execute("CREATE TABLE t (at timestamp)")
    query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'headgate'"
    with source.plan(selection(server), WHOLE, DeltaColumn("at"), parallel=1):
        assert server.execute(query).fetchone() == (1,)
    for _ in range(100):
        if server.execute(query).fetchone() == (0,):
            break
        server.execute("SELECT pg_sleep(0.02)")
    assert server.execute(query).fetchone() == (0,)
