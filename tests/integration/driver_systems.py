"""The systems that are reached through a driver, each behind a loopback server that speaks its wire protocol.

Of every type: how the catalogue names it, what the system would send for the expression that is asked for, and what
the lake then holds. The statements that the catalogue is asked are told from others by a part of their text.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from ctypes.util import find_library
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import pyarrow as pa

from headgate.sources.sql.bigquery.address import Address as BigQueryAddress
from headgate.sources.sql.bigquery.dialect import BigQueryDialect
from headgate.sources.sql.bigquery.driver import BigQueryDriver
from headgate.sources.sql.clickhouse.address import Address as ClickHouseAddress
from headgate.sources.sql.clickhouse.dialect import ClickHouseDialect
from headgate.sources.sql.clickhouse.driver import ClickHouseDriver
from headgate.sources.sql.databricks.address import Address as DatabricksAddress
from headgate.sources.sql.databricks.dialect import DatabricksDialect
from headgate.sources.sql.databricks.driver import DatabricksDriver
from headgate.sources.sql.oracle.address import Address as OracleAddress
from headgate.sources.sql.oracle.dialect import OracleDialect
from headgate.sources.sql.oracle.driver import OracleDriver
from headgate.sources.sql.reader import SqlSource
from headgate.sources.sql.snowflake.address import Address as SnowflakeAddress
from headgate.sources.sql.snowflake.dialect import SnowflakeDialect
from headgate.sources.sql.snowflake.driver import SnowflakeDriver
from headgate.sources.sql.sqlserver.address import Address as SqlServerAddress
from headgate.sources.sql.sqlserver.dialect import SqlServerDialect
from headgate.sources.sql.sqlserver.driver import SqlServerDriver
from headgate.sources.sql.trino.address import Address as TrinoAddress
from headgate.sources.sql.trino.dialect import TrinoDialect
from headgate.sources.sql.trino.driver import TrinoDriver
from tests.emulators import absent
from tests.wire import Refusal, Wire
from tests.wire.bigquery import BigQuery
from tests.wire.clickhouse import ClickHouse
from tests.wire.databricks import Databricks
from tests.wire.oracle import Oracle
from tests.wire.snowflake import Snowflake
from tests.wire.tds import Tds
from tests.wire.trino import Trino

__all__ = ["BIGQUERY", "END", "START", "SYSTEMS", "System", "Typed"]

START = datetime(2024, 2, 29, tzinfo=UTC)
END = datetime(2024, 3, 1, tzinfo=UTC)
HERE = ("127.0.0.1",)
MOMENT = datetime(2024, 2, 29, 10, 30, 0, 123456)
INSTANT = MOMENT.replace(tzinfo=UTC)
LARGE = Decimal("123456789012345678901234567890123456.78")
GUID = "6f9619ff-8b86-d011-b42d-00c04fc964ff"
ODD = 'it\'s 100 % \\ "ż" 🐢'


@dataclass(frozen=True)
class Typed:
    """A column: its type as the catalogue says it, what is sent for a value, and the lake's type and value."""

    declared: str
    sent: Any
    travels: pa.DataType
    lake: str
    held: Any


@dataclass(frozen=True)
class System:
    """One system: its fake server, the source on it, its catalogue, and its types.

    `delta` is the type of the delta column `at`, whose values are sent by `moment`. `fine` is what it sends for a time
    that is finer than the lake's, by column type. `where` is the window's condition; `settings` are statements that a
    session begins with, `unknown` those about the catalogue that fail for what is not there.
    `cancels` says whether the server is told that a statement is not wanted any more.
    """

    name: str
    sqlglot: str
    wire: Callable[[Callable[[str], pa.Table]], Wire]
    source: Callable[[int, str], SqlSource]
    catalogue: Callable[[Sequence[tuple[str, str]]], Mapping[str, pa.Table]]
    types: Sequence[Typed]
    delta: str
    travels: pa.DataType
    moment: Callable[[datetime], Any]
    where: str
    data: str
    table: str = "shop.Orders"
    fine: Mapping[str, Any] = field(default_factory=dict)
    filters: Mapping[str, str] = field(default_factory=dict)
    missing: Refusal = field(default_factory=lambda: Refusal("", ""))
    denied: Refusal = field(default_factory=lambda: Refusal("", ""))
    busy: Refusal = field(default_factory=lambda: Refusal("", ""))
    settings: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    cancels: bool = True

    @property
    def columns(self) -> list[tuple[str, str]]:
        """The columns of the table, by name and type."""
        return [*((f"k{at}", typed.declared) for at, typed in enumerate(self.types)), ("at", self.delta)]

    def rows(self) -> pa.Table:
        """What is sent for four rows: one with values, one at the window's start, one at its end, one just before."""
        arrays = [pa.array([typed.sent, None, None, None], typed.travels) for typed in self.types]
        times = (INSTANT, START, END, START.replace(day=28, hour=23, minute=59, second=59, microsecond=999999))
        arrays.append(pa.array([self.moment(value) for value in times], self.travels))
        return pa.table(arrays, names=[f"c{at}" for at in range(len(arrays))])

    def answer(self, statement: str) -> pa.Table:
        """What the server answers."""
        if statement.startswith(self.settings):
            return pa.table({})
        for part, table in self.catalogue(self.columns).items():
            if part in statement:
                return table
        if self.data in statement:
            asked = statement[: statement.index(self.data)]
            places = [at for at, (name, _) in enumerate(self.columns) if re.search(rf'[`\["]{name}[`\]"]', asked)]
            return self.rows().select(places).rename_columns([f"c{at}" for at in range(len(places))])
        if statement.startswith(self.unknown):
            raise self.missing
        return pa.table({"one": [1]})


def written(value: datetime) -> str:
    """A time as text with nine decimals."""
    return value.replace(tzinfo=None).isoformat(" ", "microseconds") + "000"


def naive(value: datetime) -> datetime:
    return value.replace(tzinfo=None)


INT, LONG, TEXT, BOOL, DOUBLE = pa.int32(), pa.int64(), pa.string(), pa.bool_(), pa.float64()
MICROS, UTC_MICROS = pa.timestamp("us"), pa.timestamp("us", "UTC")


# -- SQL Server


def _sqlserver_catalogue(columns: Sequence[tuple[str, str]]) -> Mapping[str, pa.Table]:
    rows = []
    for name, declared in columns:
        word, _, inside = declared.partition("(")
        numbers = [int(text) for text in inside.strip(")").split(",") if text]
        exact = word in ("decimal", "numeric")
        scale = numbers[1] if exact else numbers[0] if numbers else None
        rows.append(("shop", "Orders", name, word, "YES", numbers[0] if exact else None, scale, None))
    types = [TEXT] * 5 + [INT] * 3
    table = pa.table(
        [pa.array(values, type_) for values, type_ in zip(zip(*rows, strict=True), types, strict=True)],
        names=[f"f{at}" for at in range(8)],
    )
    tables = pa.table({"s": ["shop", "shop"], "t": ["Orders", "odd.name"]})
    return {
        "TABLE_NAME = N'Orders' AND TABLE_SCHEMA = N'shop'": table,
        "INFORMATION_SCHEMA.COLUMNS": table.slice(0, 0),
        "INFORMATION_SCHEMA.TABLES": tables,
    }


def _sqlserver(port: int, password: str) -> SqlSource:
    if find_library("ltdl") is None:
        absent("Microsoft's ODBC driver lacks a library: apt-get install libltdl7")
    text = f"Server=tcp:127.0.0.1,{port};Database=shop;User ID=etl;Password={password};Encrypt=false"
    return SqlSource(SqlServerDriver(SqlServerAddress.of({"connectionString": text}), HERE), SqlServerDialect())


SQLSERVER = System(
    name="sqlserver",
    sqlglot="tsql",
    wire=Tds,
    source=_sqlserver,
    catalogue=_sqlserver_catalogue,
    types=(
        Typed("int", -(2**31), INT, "int", -(2**31)),
        Typed("tinyint", 255, pa.uint8(), "int", 255),
        Typed("bigint", 2**63 - 1, LONG, "long", 2**63 - 1),
        Typed("bit", True, BOOL, "boolean", True),
        Typed("real", 1.5, pa.float32(), "float", 1.5),
        Typed("float", 0.1, DOUBLE, "double", 0.1),
        Typed("decimal(38,2)", LARGE, pa.decimal128(38, 2), "decimal(38,2)", LARGE),
        Typed("money", Decimal("-0.0001"), pa.decimal128(19, 4), "decimal(19,4)", Decimal("-0.0001")),
        Typed("nvarchar", ODD, TEXT, "string", ODD),
        Typed("xml", "<a/>", TEXT, "string", "<a/>"),
        Typed("varbinary", b"\0\xff", pa.binary(), "binary", b"\0\xff"),
        Typed("rowversion", bytes(8), pa.binary(), "binary", bytes(8)),
        Typed("uniqueidentifier", GUID.upper(), TEXT, "uuid", UUID(GUID)),
        Typed("date", date(1, 1, 1), pa.date32(), "date", date(1, 1, 1)),
        Typed("datetime", datetime(2024, 2, 29, 10, 0, 0, 3000), MICROS, "timestamp", datetime(2024, 2, 29, 10, 0, 0, 3000)),  # noqa: E501
        Typed("datetime2(6)", datetime(9999, 12, 31, 23, 59, 59, 999999), MICROS, "timestamp", datetime(9999, 12, 31, 23, 59, 59, 999999)),  # noqa: E501
        Typed("datetime2(7)", "2024-02-29 10:30:00.1234560", TEXT, "timestamp", MOMENT),
        Typed("time(6)", time(10, 30, 0, 123456), pa.time64("us"), "time", time(10, 30, 0, 123456)),
        Typed("time(7)", "10:30:00.1234560", TEXT, "time", time(10, 30, 0, 123456)),
        Typed("datetimeoffset(6)", INSTANT, UTC_MICROS, "timestamptz", INSTANT),
        Typed("datetimeoffset(7)", "2024-02-29 10:30:00.1234560", TEXT, "timestamptz", INSTANT),
    ),
    delta="datetime2(7)",
    travels=TEXT,
    moment=lambda value: written(value)[:27],
    where="[at] >= CAST('2024-02-29T00:00:00' AS datetime2(7)) AND [at] < CAST('2024-03-01T00:00:00' AS datetime2(7))",
    data="FROM [shop].[Orders]",
    fine={"datetime2(7)": "2024-02-29 10:30:00.1234567", "time(7)": "10:30:00.1234567"},
    filters={
        "text": "[k8] = N'it''s 100 % \\ \"ż\" 🐢'",
        "like": "[k8] LIKE N'\\[a]%' ESCAPE N'\\'",
        "decimal": "[k6] = 123456789012345678901234567890123456.78",
        "moment": "CAST([k14] AS datetime2(3)) <= CAST('2024-02-29T10:00:00.003000' AS datetime2(7))",
    },
    missing=Refusal(208, "Invalid object name 'shop.Orders'."),
    denied=Refusal(229, "The SELECT permission was denied on the object 'Orders', database 'shop', schema 'dbo'."),
    busy=Refusal(1205, "Transaction (Process ID 52) was deadlocked and has been chosen as the deadlock victim."),
    settings=("\nSET NOCOUNT ON",),
)  # fmt: skip


# -- ClickHouse, whose catalogue and Arrow are those of version 26.9


def _clickhouse_catalogue(columns: Sequence[tuple[str, str]]) -> Mapping[str, pa.Table]:
    table = pa.table({"d": ["shop"] * len(columns), "n": [n for n, _ in columns], "t": [t for _, t in columns]})
    return {
        "table = 'Orders' AND database = 'shop'": table,
        "system.columns": table.slice(0, 0),
        "system.tables": pa.table({"d": ["shop", "shop"], "n": ["Orders", "odd.name"]}),
    }


def _clickhouse(port: int, password: str) -> SqlSource:
    params = {"host": "127.0.0.1", "port": port, "username": "etl", "password": password, "ssl": False}
    return SqlSource(ClickHouseDriver(ClickHouseAddress.of(params), HERE), ClickHouseDialect())


CLICKHOUSE = System(
    name="clickhouse",
    sqlglot="clickhouse",
    wire=ClickHouse,
    source=_clickhouse,
    catalogue=_clickhouse_catalogue,
    types=(
        Typed("Int8", -128, pa.int8(), "int", -128),
        Typed("UInt32", 2**32 - 1, pa.uint32(), "long", 2**32 - 1),
        Typed("UInt64", Decimal(2**64 - 1), pa.decimal128(38, 0), "decimal(20,0)", Decimal(2**64 - 1)),
        Typed("Int256", str(-(2**200)), TEXT, "string", str(-(2**200))),
        Typed("Bool", True, BOOL, "boolean", True),
        Typed("Float64", 0.1, DOUBLE, "double", 0.1),
        Typed("Decimal(38, 2)", LARGE, pa.decimal128(38, 2), "decimal(38,2)", LARGE),
        Typed("Decimal(76, 20)", "2.25000000000000000004", TEXT, "string", "2.25000000000000000004"),
        Typed("LowCardinality(Nullable(String))", ODD, TEXT, "string", ODD),
        Typed("FixedString(3)", b"a\0\0", pa.binary(3), "binary", b"a\0\0"),
        Typed("Nullable(UUID)", GUID, TEXT, "uuid", UUID(GUID)),
        Typed("Enum8('a' = 1, 'b(2)' = 2)", "b(2)", TEXT, "string", "b(2)"),
        Typed("Date", date(2149, 6, 6), pa.date32(), "date", date(2149, 6, 6)),
        Typed("DateTime('Europe/Berlin')", datetime(2024, 2, 29, 10, tzinfo=UTC), pa.timestamp("s", "UTC"), "timestamptz", datetime(2024, 2, 29, 10, tzinfo=UTC)),  # noqa: E501
        Typed("DateTime64(6)", INSTANT, UTC_MICROS, "timestamptz", INSTANT),
        Typed("DateTime64(9, 'UTC')", written(INSTANT), TEXT, "timestamptz", INSTANT),
        Typed("Array(Tuple(a Int32, b String))", '[{"a":1,"b":"x"}]', TEXT, "string", '[{"a":1,"b":"x"}]'),
    ),
    delta="DateTime",
    travels=pa.timestamp("us", "UTC"),
    moment=lambda value: value,
    where="`at` >= toDateTime('2024-02-29 00:00:00', 'UTC') AND `at` < toDateTime('2024-03-01 00:00:00', 'UTC')",
    data="FROM `shop`.`Orders`",
    fine={"DateTime64(9, 'UTC')": "2024-02-29 10:30:00.123456001"},
    filters={
        "text": "`k8` = 'it\\'s 100 % \\\\ \"ż\" 🐢'",
        "like": "`k8` LIKE '[a]%'",
        "decimal": "`k6` = toDecimal256('123456789012345678901234567890123456.78', 2)",
        "moment": "`k14` <= toDateTime64('2024-02-29 10:00:00.003000', 6, 'UTC')",
    },
    missing=Refusal(60, "Table shop.Orders does not exist"),
    denied=Refusal(497, "etl: Not enough privileges. To execute this query, grant SELECT(k0) ON shop.Orders"),
    busy=Refusal(202, "Too many simultaneous queries. Maximum: 100"),
)  # fmt: skip


# -- Trino


def _trino_catalogue(columns: Sequence[tuple[str, str]]) -> Mapping[str, pa.Table]:
    count = len(columns)
    table = pa.table(
        {
            **{"s": ["shop"] * count, "t": ["Orders"] * count, "n": [n for n, _ in columns]},
            **{"d": [t for _, t in columns], "y": ["YES"] * count},
        }
    )
    return {
        "table_name = 'Orders' AND table_schema = 'shop'": table,
        "information_schema.columns": table.slice(0, 0),
        "information_schema.tables": pa.table({"s": ["shop", "shop"], "t": ["Orders", "odd.name"]}),
    }


def _trino(port: int, password: str) -> SqlSource:  # without TLS there is no password
    params = {"host": "127.0.0.1", "port": port, "username": "etl", "catalog": "hive", "ssl": False}
    return SqlSource(TrinoDriver(TrinoAddress.of(params), HERE), TrinoDialect())


TRINO = System(
    name="trino",
    sqlglot="trino",
    wire=Trino,
    source=_trino,
    catalogue=_trino_catalogue,
    types=(
        Typed("tinyint", -128, pa.int8(), "int", -128),
        Typed("bigint", 2**63 - 1, LONG, "long", 2**63 - 1),
        Typed("boolean", True, BOOL, "boolean", True),
        Typed("real", 1.5, pa.float32(), "float", 1.5),
        Typed("double", float("-inf"), DOUBLE, "double", float("-inf")),
        Typed("decimal(38,2)", str(LARGE), TEXT, "decimal(38,2)", LARGE),
        Typed("varchar(100)", ODD, TEXT, "string", ODD),
        Typed("varbinary", "00FF", TEXT, "binary", b"\0\xff"),
        Typed("json", '{"a":1}', TEXT, "string", '{"a":1}'),
        Typed("array(row(a integer, b varchar))", '[[1,"x"]]', TEXT, "string", '[[1,"x"]]'),
        Typed("uuid", GUID, TEXT, "uuid", UUID(GUID)),
        Typed("date", "0001-01-01", TEXT, "date", date(1, 1, 1)),
        Typed("time(6)", "10:30:00.123456", TEXT, "time", time(10, 30, 0, 123456)),
        Typed("timestamp(0)", "9999-12-31 23:59:59", TEXT, "timestamp", datetime(9999, 12, 31, 23, 59, 59)),
        Typed("timestamp(12)", "2024-02-29 10:30:00.123456000000", TEXT, "timestamp", MOMENT),
        Typed("timestamp(3) with time zone", "2024-02-29 10:30:00.123000000000", TEXT, "timestamptz", datetime(2024, 2, 29, 10, 30, 0, 123000, tzinfo=UTC)),  # noqa: E501
        Typed("interval day to second", "2 00:00:00.000", TEXT, "string", "2 00:00:00.000"),
    ),
    delta="timestamp(12)",
    travels=TEXT,
    moment=lambda value: written(value) + "000",
    where="\"at\" >= TIMESTAMP '2024-02-29 00:00:00.000000' AND \"at\" < TIMESTAMP '2024-03-01 00:00:00.000000'",
    data='FROM "shop"."Orders"',
    fine={
        "timestamp(12)": "2024-02-29 10:30:00.123456000001",
        "timestamp(3) with time zone": "2024-02-29 10:30:00.123456700000",
        "time(6)": "10:30:00.1234567",
        "date": "10000-01-01",
    },
    filters={
        "text": "\"k6\" = 'it''s 100 % \\ \"ż\" 🐢'",
        "like": "\"k6\" LIKE '[a]%' ESCAPE '\\'",
        "decimal": "\"k5\" = DECIMAL '123456789012345678901234567890123456.78'",
        "moment": "\"k14\" <= TIMESTAMP '2024-02-29 10:00:00.003000'",
    },
    missing=Refusal("TABLE_NOT_FOUND", "line 1:15: Table 'hive.shop.Orders' does not exist"),
    denied=Refusal("PERMISSION_DENIED", "Access Denied: Cannot select from table shop.Orders"),
    busy=Refusal("QUERY_QUEUE_FULL", "Too many queued queries for 'global'"),
)  # fmt: skip


# -- Snowflake


def _snowflake_catalogue(columns: Sequence[tuple[str, str]]) -> Mapping[str, pa.Table]:
    rows = []
    for name, declared in columns:
        word, _, inside = declared.partition("(")
        numbers = [Decimal(text) for text in inside.strip(")").split(",") if text]
        rows.append(("shop", "Orders", name, word, "YES", *(*numbers, None, None)[:2], None))
    types = [TEXT] * 5 + [pa.decimal128(9, 0)] * 3
    table = pa.table(
        [pa.array(values, type_) for values, type_ in zip(zip(*rows, strict=True), types, strict=True)],
        names=[f"f{at}" for at in range(8)],
    )
    return {
        "table_name = 'Orders' AND table_schema = 'shop'": table,
        "information_schema.columns": table.slice(0, 0),
        "information_schema.tables": pa.table({"s": ["shop", "shop"], "t": ["Orders", "odd.name"]}),
    }


def _snowflake(port: int, password: str) -> SqlSource:
    text = f"jdbc:snowflake://ab1234.snowflakecomputing.com/?user=etl&password={password}&db=SHOP&warehouse=WH"
    address = dataclasses.replace(SnowflakeAddress.of({"connectionString": text}), host="127.0.0.1")
    return SqlSource(SnowflakeDriver(address, HERE, protocol="http", port=port), SnowflakeDialect())


SNOWFLAKE = System(
    name="snowflake",
    sqlglot="snowflake",
    wire=Snowflake,
    source=_snowflake,
    catalogue=_snowflake_catalogue,
    types=(
        Typed("NUMBER(18,0)", 10**18 - 1, LONG, "long", 10**18 - 1),
        Typed("NUMBER(38,0)", Decimal(10**38 - 1), pa.decimal128(38, 0), "decimal(38,0)", Decimal(10**38 - 1)),
        Typed("NUMBER(38,2)", LARGE, pa.decimal128(38, 2), "decimal(38,2)", LARGE),
        Typed("FLOAT", 0.1, DOUBLE, "double", 0.1),
        Typed("BOOLEAN", True, BOOL, "boolean", True),
        Typed("TEXT", ODD, TEXT, "string", ODD),
        Typed("BINARY", b"\0\xff", pa.binary(), "binary", b"\0\xff"),
        Typed("DATE", date(9999, 12, 31), pa.date32(), "date", date(9999, 12, 31)),
        Typed("TIME(6)", time(10, 30, 0, 123456), pa.time64("us"), "time", time(10, 30, 0, 123456)),
        Typed("TIME(9)", "10:30:00.123456000", TEXT, "time", time(10, 30, 0, 123456)),
        Typed("TIMESTAMP_NTZ(6)", datetime(9999, 12, 31, 23, 59, 59, 999999), MICROS, "timestamp", datetime(9999, 12, 31, 23, 59, 59, 999999)),  # noqa: E501
        Typed("TIMESTAMP_NTZ(9)", written(MOMENT), TEXT, "timestamp", MOMENT),
        Typed("TIMESTAMP_TZ(9)", written(INSTANT), TEXT, "timestamptz", INSTANT),
        Typed("TIMESTAMP_LTZ(3)", written(INSTANT), TEXT, "timestamptz", INSTANT),
        Typed("VARIANT", '{"a":1}', TEXT, "string", '{"a":1}'),
    ),
    delta="TIMESTAMP_NTZ(9)",
    travels=TEXT,
    moment=written,
    where="\"at\" >= CAST('2024-02-29T00:00:00' AS TIMESTAMP_NTZ(9)) AND \"at\" < CAST('2024-03-01T00:00:00' AS TIMESTAMP_NTZ(9))",  # noqa: E501
    data='FROM "shop"."Orders"',
    fine={"TIMESTAMP_NTZ(9)": "2024-02-29 10:30:00.123456001", "TIMESTAMP_TZ(9)": "2024-02-29 10:30:00.123456789", "TIME(9)": "10:30:00.123456789"},  # noqa: E501
    filters={
        "text": "\"k5\" = 'it''s 100 % \\\\ \"ż\" 🐢'",
        "like": "\"k5\" LIKE '[a]%' ESCAPE '\\\\'",
        "decimal": "\"k2\" = 123456789012345678901234567890123456.78",
        "moment": "\"k11\" <= CAST('2024-02-29T10:00:00.003000' AS TIMESTAMP_NTZ(9))",
    },
    missing=Refusal("002003/42S02", "SQL compilation error:\nObject 'SHOP.shop.Orders' does not exist or not authorized."),  # noqa: E501
    denied=Refusal("003001/42501", "SQL access control error:\nInsufficient privileges to operate on table 'Orders'"),
    busy=Refusal("000604/57014", "SQL execution canceled"),
)  # fmt: skip


# -- Databricks


def _databricks_catalogue(columns: Sequence[tuple[str, str]]) -> Mapping[str, pa.Table]:
    described = [*columns, ("", ""), ("# Partition Information", ""), ("# col_name", "data_type"), columns[0]]
    return {
        "DESCRIBE TABLE `shop`.`Orders`": pa.table({"c": [c for c, _ in described], "t": [t for _, t in described]}),
        "SHOW SCHEMAS": pa.table({"n": ["shop", "other"]}),
        "SHOW TABLES IN `shop`": pa.table({"s": ["shop", "", "shop"], "t": ["Orders", "view_of_session", "odd.name"]}),
    }


def _databricks(port: int, password: str) -> SqlSource:
    params = {
        "domain": "https://adb-1.2.azuredatabricks.net",
        "clusterId": "0123456789abcdef",
        "accessToken": "t0ken" if password == "s3cret" else password,
        "database": "shop",
    }
    address = dataclasses.replace(DatabricksAddress.of(params), port=port)
    uri = f"http://127.0.0.1:{port}{address.path}"
    return SqlSource(DatabricksDriver(address, HERE, uri=uri), DatabricksDialect())


DATABRICKS = System(
    name="databricks",
    sqlglot="databricks",
    wire=Databricks,
    source=_databricks,
    catalogue=_databricks_catalogue,
    types=(
        Typed("tinyint", -128, pa.int8(), "int", -128),
        Typed("bigint", 2**63 - 1, LONG, "long", 2**63 - 1),
        Typed("boolean", True, BOOL, "boolean", True),
        Typed("float", 1.5, pa.float32(), "float", 1.5),
        Typed("double", 0.1, DOUBLE, "double", 0.1),
        Typed("decimal(38,2)", LARGE, pa.decimal128(38, 2), "decimal(38,2)", LARGE),
        Typed("string", ODD, TEXT, "string", ODD),
        Typed("binary", b"\0\xff", pa.binary(), "binary", b"\0\xff"),
        Typed("date", date(1, 1, 1), pa.date32(), "date", date(1, 1, 1)),
        Typed("timestamp_ntz", MOMENT, MICROS, "timestamp", MOMENT),
        Typed("timestamp", INSTANT, pa.timestamp("us", "Etc/UTC"), "timestamptz", INSTANT),
        Typed("array<struct<a:int,b:string>>", '[{"a":1}]', TEXT, "string", '[{"a":1}]'),
        Typed("interval day to second", "INTERVAL '2 00:00:00' DAY TO SECOND", TEXT, "string", "INTERVAL '2 00:00:00' DAY TO SECOND"),  # noqa: E501
    ),
    delta="timestamp_ntz",
    travels=MICROS,
    moment=naive,
    where="`at` >= TIMESTAMP_NTZ '2024-02-29 00:00:00.000000' AND `at` < TIMESTAMP_NTZ '2024-03-01 00:00:00.000000'",
    data="FROM `shop`.`Orders`",
    filters={
        "text": "`k6` = 'it\\'s 100 % \\\\ \"ż\" 🐢'",
        "like": "`k6` LIKE '[a]%'",
        "decimal": "`k5` = 123456789012345678901234567890123456.78",
        "moment": "`k9` <= TIMESTAMP_NTZ '2024-02-29 10:00:00.003000'",
    },
    missing=Refusal("42P01", "[TABLE_OR_VIEW_NOT_FOUND] The table or view `shop`.`Orders` cannot be found."),
    denied=Refusal("42501", "[INSUFFICIENT_PERMISSIONS] Insufficient privileges: User does not have SELECT"),
    busy=Refusal("57000", "[REQUEST_LIMIT_EXCEEDED] Cannot serve the request at this time"),
    unknown=("DESCRIBE", "SHOW TABLES"),
)  # fmt: skip


# -- BigQuery


def _bigquery_catalogue(columns: Sequence[tuple[str, str]]) -> Mapping[str, pa.Table]:
    count = len(columns)
    table = pa.table({"n": [n for n, _ in columns], "t": [t for _, t in columns], "y": ["YES"] * count})
    return {
        "`shop`.INFORMATION_SCHEMA.COLUMNS WHERE table_name = 'Orders'": table,
        "`shop`.INFORMATION_SCHEMA.COLUMNS": table.slice(0, 0),
        "`shop`.INFORMATION_SCHEMA.TABLES": pa.table({"n": ["Orders", "odd.name"]}),
    }


def _bigquery(port: int, password: str) -> SqlSource:  # the driver knows the port from its environment
    consent = {"project": "my-project", "clientId": "id", "clientSecret": "c0nsent", "refreshToken": password}
    return SqlSource(BigQueryDriver(BigQueryAddress.of(consent)), BigQueryDialect())


BIGQUERY = System(
    name="bigquery",
    sqlglot="bigquery",
    wire=BigQuery,
    source=_bigquery,
    catalogue=_bigquery_catalogue,
    types=(
        Typed("INT64", 2**63 - 1, LONG, "long", 2**63 - 1),
        Typed("FLOAT64", 0.1, DOUBLE, "double", 0.1),
        Typed("BOOL", True, BOOL, "boolean", True),
        Typed("NUMERIC", Decimal("1.000000001"), pa.decimal128(38, 9), "decimal(38,9)", Decimal("1.000000001")),
        Typed("NUMERIC(10, 2)", Decimal("1.25"), pa.decimal128(38, 9), "decimal(10,2)", Decimal("1.25")),
        Typed("BIGNUMERIC", str(LARGE), TEXT, "string", str(LARGE)),
        Typed("STRING(100)", ODD, TEXT, "string", ODD),
        Typed("BYTES", b"\0\xff", pa.binary(), "binary", b"\0\xff"),
        Typed("DATE", date(1, 1, 1), pa.date32(), "date", date(1, 1, 1)),
        Typed("TIME", time(10, 30, 0, 123456), pa.time64("us"), "time", time(10, 30, 0, 123456)),
        Typed("DATETIME", MOMENT, MICROS, "timestamp", MOMENT),
        Typed("TIMESTAMP", INSTANT, UTC_MICROS, "timestamptz", INSTANT),
        Typed("JSON", '{"a":1}', TEXT, "string", '{"a":1}'),
        Typed("ARRAY<STRUCT<a INT64, b STRING>>", '[{"a":1,"b":"x"}]', TEXT, "string", '[{"a":1,"b":"x"}]'),
    ),
    delta="TIMESTAMP",
    travels=UTC_MICROS,
    moment=lambda value: value,
    where="`at` >= TIMESTAMP '2024-02-29 00:00:00.000000+00' AND `at` < TIMESTAMP '2024-03-01 00:00:00.000000+00'",
    data="FROM `shop`.`Orders`",
    filters={
        "text": "`k6` = 'it\\'s 100 % \\\\ \"ż\" 🐢'",
        "like": "`k6` LIKE '[a]%'",
        "decimal": "`k5` = BIGNUMERIC '123456789012345678901234567890123456.78'",
        "moment": "`k10` <= DATETIME '2024-02-29 10:00:00.003000'",
    },
    missing=Refusal(404, "Not found: Table my-project:shop.Orders was not found in location EU"),
    denied=Refusal(403, "Access Denied: Table my-project:shop.Orders: User does not have permission to query it"),
    busy=Refusal(400, "Resources exceeded during query execution: backendError"),
    unknown=("SELECT column_name", "SELECT table_name"),
    cancels=False,  # the driver stops waiting, and tells nobody
)


# -- Oracle


def _oracle_catalogue(columns: Sequence[tuple[str, str]]) -> Mapping[str, pa.Table]:
    rows = []
    for name, declared in columns:
        word, _, inside = declared.partition("(")
        numbers = [None if text == "*" else int(text) for text in re.findall("[0-9]+|[*]", inside)]
        precision, scale = numbers if word == "NUMBER" and numbers else (None, numbers[-1] if numbers else None)
        type_ = word if word in ("NUMBER", "VARCHAR2", "RAW") else declared
        rows.append(("shop", "Orders", name, type_, "Y", precision, scale, None))
    types = [TEXT] * 5 + [INT] * 3
    table = pa.table(
        [pa.array(values, type_) for values, type_ in zip(zip(*rows, strict=True), types, strict=True)],
        names=[f"F{at}" for at in range(8)],
    )
    return {
        "table_name = 'Orders' AND owner = 'shop'": table,
        "FROM all_tab_columns": table.slice(0, 0),
        "FROM all_objects": pa.table({"O": ["shop", "shop"], "N": ["Orders", "odd.name"]}),
    }


def _oracle(port: int, password: str) -> SqlSource:
    text = f"Host=127.0.0.1;Port={port};ServiceName=shop;User Id=etl;Password={password}"
    return SqlSource(OracleDriver(OracleAddress.of({"connectionString": text}), HERE), OracleDialect())


ORACLE = System(
    name="oracle",
    sqlglot="oracle",
    wire=Oracle,
    source=_oracle,
    catalogue=_oracle_catalogue,
    types=(
        Typed("NUMBER(9,0)", -(10**9) + 1, INT, "int", -(10**9) + 1),
        Typed("NUMBER(18,0)", 10**18 - 1, LONG, "long", 10**18 - 1),
        Typed("NUMBER(38,2)", LARGE, pa.decimal128(38, 2), "decimal(38,2)", LARGE),
        Typed("NUMBER(10,4)", Decimal("-0.0001"), pa.decimal128(10, 4), "decimal(10,4)", Decimal("-0.0001")),
        Typed("NUMBER(*,0)", "-" + "9" * 38, TEXT, "decimal(38,0)", Decimal("-" + "9" * 38)),
        Typed("NUMBER", "1E-130", TEXT, "string", "1E-130"),
        Typed("BINARY_FLOAT", -1.5, pa.float32(), "float", -1.5),
        Typed("BINARY_DOUBLE", float("inf"), DOUBLE, "double", float("inf")),
        Typed("VARCHAR2(100)", ODD, TEXT, "string", ODD),
        Typed("RAW(16)", b"\0\xff", pa.binary(), "binary", b"\0\xff"),
        Typed("DATE", datetime(9999, 12, 31, 23, 59, 59), pa.timestamp("s"), "timestamp", datetime(9999, 12, 31, 23, 59, 59)),  # noqa: E501
        Typed("TIMESTAMP(6)", MOMENT, MICROS, "timestamp", MOMENT),
        Typed("TIMESTAMP(9)", written(MOMENT), TEXT, "timestamp", MOMENT),
        Typed("TIMESTAMP(6) WITH TIME ZONE", MOMENT, MICROS, "timestamptz", INSTANT),
        Typed("TIMESTAMP(9) WITH LOCAL TIME ZONE", written(MOMENT), TEXT, "timestamptz", INSTANT),
        Typed("INTERVAL DAY(2) TO SECOND(6)", "+02 00:00:00.000000", TEXT, "string", "+02 00:00:00.000000"),
    ),
    delta="TIMESTAMP(6)",
    travels=MICROS,
    moment=naive,
    where="\"at\" >= TIMESTAMP '2024-02-29 00:00:00.000000' AND \"at\" < TIMESTAMP '2024-03-01 00:00:00.000000'",
    data='FROM "shop"."Orders"',
    fine={
        "TIMESTAMP(9)": "2024-02-29 10:30:00.123456001",
        "TIMESTAMP(9) WITH LOCAL TIME ZONE": "2024-02-29 10:30:00.123456789",
        "NUMBER(*,0)": "1" * 39,
    },
    filters={
        "text": "\"k8\" = 'it''s 100 % \\ \"ż\" 🐢'",
        "like": "\"k8\" LIKE '[a]%' ESCAPE '\\'",
        "decimal": '"k2" = 123456789012345678901234567890123456.78',
        "moment": "\"k10\" <= TIMESTAMP '2024-02-29 10:00:00.003000'",
    },
    missing=Refusal(942, "table or view does not exist"),
    denied=Refusal(1031, "insufficient privileges"),
    busy=Refusal(1555, "snapshot too old: rollback segment number 1 with name \"\" too small"),
    settings=("ALTER SESSION", "SET TRANSACTION"),
)  # fmt: skip


SYSTEMS: Mapping[str, System] = {
    system.name: system for system in (SQLSERVER, ORACLE, CLICKHOUSE, TRINO, SNOWFLAKE, DATABRICKS)
}
"""Those that a server on any port can stand for."""
