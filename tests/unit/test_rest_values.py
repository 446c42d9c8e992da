"""Records as columns: what is a value of its column, exactly, and what makes its record a bad one."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from headgate.errors import SourceError, SourceUnreachable
from headgate.rejects import SEPARATOR
from headgate.sources.rest import records
from headgate.sources.rest.loading import stream_of
from headgate.sources.rest.manifest import Format
from headgate.sources.rest.paths import Path
from headgate.sources.rest.records import Unreadable, document, rows, under
from headgate.sources.rest.types import lake_type
from headgate.sources.rest.values import batch_of

TIME = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)


def made(column: Any, *values: Any) -> tuple[list[Any], list[str | None]]:
    """What the values of a column become, and the columns that reasons are of."""
    stream = stream_of("s", {"request": {"path": "/"}, "columns": {"c": column}}, frozenset())
    batch = batch_of([{"c": value} for value in values], stream.columns, stream.reads, "why")
    return batch.column("c").to_pylist(), [
        why and why.partition(SEPARATOR)[0] for why in batch.column("why").to_pylist()
    ]


@pytest.mark.parametrize(
    ("column", "given", "wanted"),
    [
        ("string", ["a", None, ""], ["a", None, ""]),
        ("string", [12345678901234567890123, Decimal("0.12345678901234567890"), True, {"a": [1]}],
         ["12345678901234567890123", "0.12345678901234567890", "true", '{"a":[1]}']),
        ("long", [1, None, "12", 3.0, "", "9223372036854775807"], [1, None, 12, 3, None, 2**63 - 1]),
        ("int", [1, "-2147483648"], [1, -(2**31)]),
        ("double", [1, 2.5, None, "1e3", Decimal("0.1")], [1.0, 2.5, None, 1000.0, 0.1]),
        ("boolean", [True, False, None, "true", "FALSE", 1, "0"], [True, False, None, True, False, True, False]),
        ("decimal(20,2)", ["1.10", 2, None, 3.5, Decimal("123456789012345678.25"), "4.500"],
         [Decimal("1.10"), Decimal(2), None, Decimal("3.5"), Decimal("123456789012345678.25"), Decimal("4.5")]),
        ("timestamptz", ["2026-03-01T10:00:00Z", "2026-03-01 12:00:00+02:00", "2026-03-01T10:00:00", None, ""],
         [TIME, TIME, TIME, None, None]),
        ("timestamptz", ["2026-03-01T10:00:00.000000000Z"], [TIME]),
        ({"type": "timestamptz", "zone": "Europe/Berlin"}, ["2026-03-01 11:00:00"], [TIME]),
        ({"type": "timestamptz", "read": "epoch_s"}, [1772359200, "1772359200", 1772359200.5, None],
         [TIME, TIME, TIME.replace(microsecond=500_000), None]),
        ({"type": "timestamptz", "read": "epoch_ms"}, [1772359200000, "1772359200001"],
         [TIME, TIME.replace(microsecond=1000)]),
        ({"type": "timestamptz", "read": "strptime:%d.%m.%Y %H:%M"}, ["01.03.2026 10:00"], [TIME]),
        ({"type": "date", "read": "strptime:%Y%m%d"}, ["20260301", None], [date(2026, 3, 1), None]),
        ("date", ["2026-03-01", "2026-03-01T00:00:00Z"], [date(2026, 3, 1)] * 2),
        ("timestamp", ["2026-03-01T10:00:00"], [TIME.replace(tzinfo=None)]),
        ({"type": "string", "read": "json"}, [{"a": 1}, [1], "x", None], ['{"a":1}', "[1]", '"x"', None]),
        ("list<long>", [[1, "2"], [], None], [[1, 2], [], None]),
        ("struct<a: string, at: timestamptz>", [{"a": "x", "at": "2026-03-01T10:00:00Z", "more": 1}, {}, None],
         [{"a": "x", "at": TIME}, {"a": None, "at": None}, None]),
        ("list<struct<n: decimal(5,2)>>", [[{"n": "1.5"}, None]], [[{"n": Decimal("1.50")}, None]]),
        ("boolean", [], []),
    ],
)  # fmt: skip
def test_values_become_exactly_those_of_their_column(column: Any, given: list[Any], wanted: list[Any]) -> None:
    assert made(column, *given) == (wanted, [None] * len(given))


@pytest.mark.parametrize(
    ("column", "bad"),
    [
        ("long", [1.5, "x", True, 2**63, [1], "1e300000000"]),
        ("int", [2**31]),
        ("double", ["nan", "x", True, {}, "1e999", Decimal("1e999")]),
        ("float", [1e39, "1e39"]),
        ("boolean", ["yes", 2, []]),
        ("decimal(5,2)", ["1.234", 1234.5, "1e3x", True, "Infinity"]),
        ("decimal(38,5)", ["1234567890123456789012345678.9012345678"]),
        ("timestamptz", ["yesterday", 5, "2026-02-30T00:00:00Z", "2026-03-01T10:00:00.0000001Z"]),
        ({"type": "timestamptz", "read": "epoch_s"}, ["soon", 1e30, True, "1e300000000", 253402300800]),
        ({"type": "date", "read": "strptime:%Y%m%d"}, ["2026-03-01", "20261301"]),
        ("date", ["2026-03-01T10:00:00Z", "2026-13-01"]),
        ("list<long>", ["a", {"a": 1}, [1, "x"]]),
        ("struct<n: long>", ["a", [1], {"n": "x"}]),
    ],
)
def test_what_is_none_makes_its_record_a_bad_one_and_no_other(column: Any, bad: list[Any]) -> None:
    for value in bad:
        found, why = made(column, None, value, None)
        assert why == [None, "c", None], value
        assert found[0] is None
        assert found[2] is None


def test_a_reason_holds_the_value_and_the_record() -> None:
    stream = stream_of("s", {"request": {"path": "/"}, "columns": {"n": "long", "t": "string"}}, frozenset())
    batch = batch_of([{"n": "x", "t": "y", "more": 1}, 7, Unreadable("{", "half")], stream.columns, stream.reads, "why")
    first, second, third = (why.split(SEPARATOR) for why in batch.column("why").to_pylist())
    assert '"x", which is not a long' in first[1]
    assert json.loads(first[2]) == {"n": "x", "t": "y", "more": 1}
    assert "7, which is no record" in second[1]
    assert (third[2], "half" in third[1]) == ("{", True)


def test_numbers_keep_their_digits() -> None:
    found = document(
        b'{"a": 0.12345678901234567890, "b": 123456789012345678901, "c": 0.1, "d": "0.12345678901234567890"}', "t"
    )
    assert found["a"] == Decimal("0.12345678901234567890")
    assert found["b"] == 123456789012345678901
    assert found["d"] == "0.12345678901234567890"
    assert type(document(b'{"c": 0.25}', "t")["c"]) is float
    assert document(b'{"a": 1, "a": 2}', "t") == {"a": 2}
    assert document(b" \n", "t") is None


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<!DOCTYPE html><html>", "an HTML page"),
        (b'{"a": 1', "no JSON"),
        (b'{"a": "\xff"}', "no JSON"),
        (b'{"a": NaN}', "no JSON"),
        (b'{"a": 1234567890123456789012, "b": NaN}', "no JSON"),
        (b'{"a": 1e999}', "no JSON"),
        (b'{"a": 1e999, "b": 1234567890123456789012}', "no JSON"),
        (b'{"a": "\\ud800", "b": 1234567890123456789012}', "no JSON"),
    ],
)
def test_a_body_that_is_no_json_is_said_to_be_none(body: bytes, said: str) -> None:
    with pytest.raises(SourceError, match=said):
        document(body, "Acme")


def test_records_are_where_the_path_says() -> None:
    for path, found in [
        ("data", {"data": [{"n": 1}]}),
        ("data.items[].node", {"data": {"items": [{"node": {"n": 1}}]}}),
        ("'a.b'", {"a.b": [{"n": 1}]}),
        ("", [{"n": 1}]),
        ("", {"n": 1}),
        ("[].rows[]", [{"rows": [{"n": 1}]}, {}]),
        ("0.rows", [{"rows": [{"n": 1}]}]),
    ]:
        assert under(Path.of(path), found, "t") == [{"n": 1}], path
    assert under(Path.of("data"), {"other": 1}, "t") == []
    with pytest.raises(SourceError, match="'data'"):
        under(Path.of("data"), {"data": "refused"}, "Acme")


def test_lines_come_whole_however_they_are_cut() -> None:
    text = b'{"n": 1}\n\n{"n": 2}\r\n{"n": \n{"n": 3}'
    for size in (1, 3, 100):
        parts = [text[at : at + size] for at in range(0, len(text), size)]
        [found] = rows(Format("ndjson"), parts, Path.of(""), "t")
        assert [record if isinstance(record, dict) else record.text for record in found] == [
            {"n": 1}, {"n": 2}, '{"n": ', {"n": 3},
        ]  # fmt: skip


def test_a_body_that_breaks_off_in_a_record_is_no_whole_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SourceUnreachable, match=r"Acme.*breaks off"):
        list(rows(Format("ndjson"), [b'{"n": 1}\n{"n": 2'], Path.of(""), "Acme"))
    monkeypatch.setattr(records, "_LONGEST_LINE", 1 << 20)
    with pytest.raises(SourceError, match="Acme: one line"):
        list(rows(Format("csv"), [b"a,b\n", *[b"x" * 500_000] * 3], Path.of(""), "Acme"))


def test_csv_keeps_what_is_quoted_and_tells_what_is_ragged() -> None:
    text = '\ufeffa;b\n1;"x\ny; ""z"""\n2;\u2028\n3\n'.encode()
    for size in (1, 7, 100):
        parts = [text[at : at + size] for at in range(0, len(text), size)]
        [found] = rows(Format("csv", delimiter=";"), parts, Path.of(""), "t")
        assert found[:2] == [{"a": "1", "b": 'x\ny; "z"'}, {"a": "2", "b": "\u2028"}]
        assert found[2].text == "3"


@pytest.mark.parametrize(
    "text", ["strng", "decimal(39,2)", "decimal(2,3)", "list<string", "struct<>", "struct<a: long, A: long>", "long x"]
)
def test_a_type_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"type|twice|digits"):
        lake_type(text)
