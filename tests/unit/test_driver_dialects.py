"""What each dialect writes: names and texts stay what they are, bounds are exact, times are never cut."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import pytest
import sqlglot
from hypothesis import given
from hypothesis import strategies as st
from sqlglot import expressions

from headgate.model.lake import LakeType
from headgate.sources.sql.bigquery.dialect import BigQueryDialect
from headgate.sources.sql.clickhouse.dialect import ClickHouseDialect
from headgate.sources.sql.databricks.dialect import DatabricksDialect
from headgate.sources.sql.dialect import CatalogueColumn, Dialect, Rule
from headgate.sources.sql.fractions import text_rule
from headgate.sources.sql.oracle.dialect import OracleDialect
from headgate.sources.sql.selection import Name
from headgate.sources.sql.snowflake.dialect import SnowflakeDialect
from headgate.sources.sql.sqlserver.dialect import SqlServerDialect
from headgate.sources.sql.trino.dialect import TrinoDialect

DIALECTS: dict[str, Dialect] = {
    "tsql": SqlServerDialect(),
    "oracle": OracleDialect(),
    "snowflake": SnowflakeDialect(),
    "bigquery": BigQueryDialect(),
    "databricks": DatabricksDialect(),
    "clickhouse": ClickHouseDialect(),
    "trino": TrinoDialect(),
}
HOSTILE = st.text(st.sampled_from("ab'\"`\\[];-/*%_{}?:$ \n\té🐢"), min_size=1, max_size=12)


@pytest.mark.parametrize("name", DIALECTS)
@given(value=HOSTILE)
def test_a_text_is_read_back_as_it_is(name: str, value: str) -> None:
    (found,) = sqlglot.parse_one(f"SELECT {DIALECTS[name].text(value)}", read=name).expressions
    assert isinstance(found, expressions.Literal | expressions.National)
    assert found.name == value


@pytest.mark.parametrize("name", DIALECTS)
@given(value=HOSTILE)
def test_a_name_is_read_back_as_it_is(name: str, value: str) -> None:
    (found,) = sqlglot.parse_one(f"SELECT {DIALECTS[name].quote(value)}", read=name).expressions
    assert isinstance(found, expressions.Column)
    assert found.name == value


SHAPES: list[tuple[str, str, str | None]] = [
    ("timestamp", "2024-02-29 10:30:00.123456", "2024-02-29 10:30:00.123456"),
    ("timestamp", "2024-02-29 10:30:00.123456000000", "2024-02-29 10:30:00.123456"),
    ("timestamp", "2024-02-29 10:30:00", "2024-02-29 10:30:00"),
    ("timestamp", "9999-12-31 23:59:59.999999000", "9999-12-31 23:59:59.999999"),
    ("timestamp", "0001-01-01 00:00:00.000000000", "0001-01-01 00:00:00"),
    ("timestamp", "9999-12-31 23:59:59.999999500", None),
    ("timestamp", "2024-02-29 10:30:00.1234567", None),
    ("timestamp", "2024-02-29 10:30:00.123456000001", None),
    ("timestamp", "0000-01-01 00:00:00.000000000", None),
    ("timestamp", "10000-01-01 00:00:00.000000000", None),
    ("timestamp", "+10000-01-01 00:00:00", None),
    ("timestamp", "-0044-03-15 00:00:00.000000000", None),
    ("timestamp", "2024-02-30 00:00:00.000000000", None),
    ("timestamptz", "2024-02-29 10:30:00.123456000", "2024-02-29 10:30:00.123456+00"),
    ("timestamptz", "2024-02-29 10:30:00.123456001", None),
    ("time", "10:30:00.1234560", "10:30:00.123456"),
    ("time", "24:00:00.0000000", None),
    ("time", "23:59:59.9999999", None),
]


def held(rule: Rule, sent: str | None) -> str | None:
    """What the lake holds of a value, as text; `refused` when it holds none of it."""
    refused, cast = ((part or "").format(v="v") for part in (rule.refused, rule.cast))
    query = f"SELECT CASE WHEN {refused} THEN 'refused' ELSE CAST(CAST({cast} AS {rule.lake.sql}) AS VARCHAR) END"
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        (found,) = connection.execute(f"{query} FROM (SELECT CAST(? AS VARCHAR) AS v)", [sent]).fetchall()[0]
    return str(found) if found is not None else None


@pytest.mark.parametrize(("kind", "sent", "expected"), SHAPES)
def test_a_time_is_held_whole_or_not_at_all(kind: Any, sent: str, expected: str | None) -> None:
    assert held(text_rule(kind, "{c}"), sent) == (expected or "refused")
    assert held(text_rule(kind, "{c}"), None) is None


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("1.25", "1.25"),
        ("-999.99", "-999.99"),
        (".5", "0.50"),
        ("-.5", "-0.50"),
        ("100.000", "100.00"),
        ("1.255", "refused"),
        ("1000", "refused"),
        ("1E-130", "refused"),
        (None, None),
    ],
)
def test_a_number_of_no_fixed_size_is_never_rounded(sent: str | None, expected: str | None) -> None:
    for dialect, type_ in (
        (OracleDialect(), "number"),
        (BigQueryDialect(), "bignumeric"),
        (ClickHouseDialect(), "int256"),
    ):
        rule = dialect.declared_decimal(CatalogueColumn("c", type_, type_), LakeType("decimal", 5, 2))
        assert rule is not None
        assert held(rule, sent) == expected, type_


TIMES = st.datetimes(datetime(1970, 1, 1), datetime(2199, 12, 31))


@given(bound=TIMES, ticks=st.integers(-3, 3))
def test_the_bounds_of_a_sql_server_datetime_take_exactly_its_window(bound: datetime, ticks: int) -> None:
    # A value of the type is a count of 1/300 s, and is shown rounded to milliseconds.
    near = (bound - datetime(1970, 1, 1)) // timedelta(microseconds=1) * 300 // 1_000_000 + ticks
    shown = datetime(1970, 1, 1) + timedelta(milliseconds=round(Decimal(near) * 10 / 3))
    condition = SqlServerDialect().within(CatalogueColumn("at", "datetime", "datetime"), "timestamp", bound, bound)
    written = datetime.fromisoformat(condition.split("'")[1])
    assert (shown >= written) == (shown >= bound)
    assert written.microsecond // 1000 % 10 in (0, 3, 7)


@given(bound=TIMES)
def test_the_bounds_of_whole_seconds_take_exactly_their_window(bound: datetime) -> None:
    for dialect, type_ in ((OracleDialect(), "date"), (ClickHouseDialect(), "datetime")):
        condition = dialect.within(CatalogueColumn("at", type_, type_), "timestamp", bound, bound)
        written = datetime.fromisoformat(condition.split("'")[1])
        second = bound.replace(microsecond=0)
        assert [value >= written for value in (second, second + timedelta(seconds=1))] == [second >= bound, True]


@pytest.mark.parametrize(
    ("declared", "word", "precision", "scale"),
    [
        ("LowCardinality(Nullable(String))", "string", None, None),
        ("Nullable(Decimal(10, 2))", "decimal", 10, 2),
        ("DateTime64(9, 'Europe/Berlin')", "datetime64", None, 9),
        ("DateTime64", "datetime64", None, 3),
        ("Enum8('a(1)' = 1, 'Nullable(x)' = 2)", "enum8", None, None),
        ("Array(Nullable(DateTime64(9)))", "array", None, None),
        ("AggregateFunction(sum, UInt64)", "aggregatefunction", None, None),
    ],
)
def test_types_of_clickhouse(declared: str, word: str, precision: int | None, scale: int | None) -> None:
    class Session:
        def rows(self, _query: str) -> list[tuple[Any, ...]]:
            return [("shop", "c", declared)]

    table = ClickHouseDialect().table(Session(), Name("t"))  # type: ignore[arg-type] # all that is asked of it
    assert table is not None
    (column,) = table.columns
    assert (column.type, column.precision, column.scale) == (word, precision, scale)
