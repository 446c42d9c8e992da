"""The short way to say that a text is a value of a type takes nothing that the long way refuses."""

from dataclasses import replace

import duckdb
import pytest

from headgate import dataplane
from headgate.dataplane import literal, quote
from headgate.model.lake import SOURCE_FILE
from headgate.sources.files.text_types import FOUND, TextType, declared_types

TEXTS = (
    *("0", "-0", "+0", "7", "-7", "+7", "007", " 7", "7 ", "7.", ".7", "1e3", "0x1f", "1_000", "9223372036854775807"),
    *("9223372036854775808", "-2147483648", "2147483648", "0.5", "0.50", "-0.50", "0.500", "0.505", "12345678.90"),
    *("1996-01-02", "1996-1-2", "1996-02-30", "0000-01-01", "0001-01-01", "9999-12-31", "10000-01-01", "-infinity"),
    *("infinity", "epoch", "0044-03-15 (BC)", "44-3-15 (BC)", "1996-01-02 ", "1996/01/02", "1996-01-02 00:00:00"),
    *("true", "t", "", "NaN", "Infinity", "\uff11\uff12", "\u0663"),
)
DECLARED = declared_types(
    {
        "columns": [
            {"name": type_, "type": type_}
            for type_ in ("boolean", "int", "long", "double", "decimal(10,2)", "decimal(2,2)", "date", "timestamp")
        ]
    }
)


@pytest.mark.parametrize("type_", [*DECLARED.values(), *FOUND], ids=lambda type_: str(type_.lake))
def test_both_ways_take_the_same_texts_for_the_same_values(type_: TextType) -> None:
    with dataplane.opened() as connection:
        either = [[outcome(connection, way, text) for text in TEXTS] for way in (type_, replace(type_, plain="false"))]
    assert either[0] == either[1]


def outcome(connection: duckdb.DuckDBPyConnection, type_: TextType, text: str) -> str | None:
    """The value as text; None where the text is refused."""
    row = f"(SELECT {literal(text)} AS x, 'file' AS {quote(SOURCE_FILE)})"
    try:
        [(value,)] = connection.execute(f"SELECT CAST({type_.sql('x', 'name')} AS VARCHAR) FROM {row}").fetchall()
    except duckdb.InvalidInputException:
        return None
    return str(value)
