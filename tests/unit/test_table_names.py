"""The names datasets have in SQL."""

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.service.dataset_body import sql_name


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("Orders", "orders"),
        ("Web Orders (2024)", "web_orders_2024"),
        ("2024 orders", "t_2024_orders"),
        ("order", "t_order"),
        ("Größe", "gr_e"),
        ("注文", "t"),
        ("--; DROP TABLE x", "drop_table_x"),
        ("_private_", "private"),
        ("x" * 500, "x" * 100),
    ],
)
def test_examples(name: str, table: str) -> None:
    assert sql_name(name) == table


def test_no_keyword_needs_quotes() -> None:
    with duckdb.connect() as connection:
        words = connection.execute("SELECT keyword_name FROM duckdb_keywords()").fetchall()
        assert len(words) > 100
        for (word,) in words:
            connection.execute(f"CREATE OR REPLACE VIEW {sql_name(word)} AS SELECT 1")
            assert connection.execute(f"SELECT * FROM {sql_name(word)}").fetchall() == [(1,)]


@given(st.text(min_size=1))
def test_any_name_becomes_a_plain_word(name: str) -> None:
    table = sql_name(name)
    assert table.isascii()
    assert table.isidentifier()
    assert table == table.lower()
    assert len(table) <= 102
