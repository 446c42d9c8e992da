"""Delimited text: every value arrives as it was written, or the run says which did not."""

import csv
import gzip
import io
import math
import random
from collections import Counter
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from headgate.errors import (
    BadDelimiter,
    BadFormat,
    BadParameter,
    HeadgateError,
    SourceError,
    SourceObjectMissing,
    UnholdableValue,
    UnsupportedType,
)
from headgate.sources.files import delimited, packing
from tests.local_files import columns, land


def test_every_value_is_what_pythons_csv_module_reads(tmp_path: Path) -> None:
    rng = random.Random(7)
    pieces = ["", "a", "é", "😀", '"', ",", "\n", "\r\n", " ", "x" * 50, "007", "NULL", "null", "\\", "\t", "'", ";"]
    written: Counter[tuple[str, ...]] = Counter()
    for i in range(4):
        rows = [["".join(rng.choices(pieces, k=rng.randint(0, 6))) for _ in range(3)] for _ in range(500)]
        with (tmp_path / f"{i}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n")
            writer.writerow(["one", "two words", 'with "quotes", and comma'])
            writer.writerows(rows)
        with (tmp_path / f"{i}.csv").open(newline="", encoding="utf-8") as file:
            written.update(map(tuple, list(csv.reader(file))[1:]))
    landed = land(tmp_path)
    assert landed.multiset == written
    assert landed.types == {"one": "string", "two words": "string", 'with "quotes", and comma': "string"}


def test_a_large_file_with_line_ends_in_fields(tmp_path: Path) -> None:
    rng = random.Random(3)
    written: Counter[tuple[int, str]] = Counter()
    with (tmp_path / "large.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["id", "text"])
        for i in range(300_000):
            text = 'line\n"quoted",\n' * rng.randint(1, 8)
            writer.writerow([i, text])
            written[i, text] += 1
    assert (tmp_path / "large.csv").stat().st_size > 20_000_000
    assert land(tmp_path).multiset == written


def test_an_empty_field_is_null_and_a_quoted_empty_one_is_empty(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text('a,b,n\n,"",1\n"",,\n')
    landed = land(tmp_path)
    assert landed.multiset == Counter([(None, "", 1), ("", None, None)])
    assert landed.types == {"a": "string", "b": "string", "n": "long"}


@pytest.mark.parametrize(
    ("values", "type_", "expected"),
    [
        (["true", "false"], "boolean", [True, False]),
        (["true", "True"], "string", ["true", "True"]),
        (["0", "1"], "long", [0, 1]),
        (["-9223372036854775808", "9223372036854775807"], "long", [-(2**63), 2**63 - 1]),
        (["9223372036854775808"], "string", ["9223372036854775808"]),
        (["007"], "string", ["007"]),
        (["+5"], "string", ["+5"]),
        (["-0"], "double", [-0.0]),
        (["1", "1.5", "-0.25"], "double", [1.0, 1.5, -0.25]),
        (["123456789012.345"], "double", [123456789012.345]),
        (["0.1234567890123456", "10.357019999999999"], "double", [0.1234567890123456, 10.357019999999999]),
        (["0.12345678901234567"], "string", ["0.12345678901234567"]),
        (["1.0000000000000000"], "string", ["1.0000000000000000"]),
        (["1e3"], "string", ["1e3"]),
        (["NaN"], "string", ["NaN"]),
        ([".5"], "string", [".5"]),
        (["1_000"], "string", ["1_000"]),
        (["0x10"], "string", ["0x10"]),
        (["'1 '"], "string", ["'1 '"]),
        (["2013-01-31", "0001-01-01", "9999-12-31"], "date", [date(2013, 1, 31), date.min, date.max]),
        (["2013-02-30"], "string", ["2013-02-30"]),
        (["0000-01-01"], "string", ["0000-01-01"]),
        (["2013-1-1"], "string", ["2013-1-1"]),
        (["20130101"], "long", [20130101]),
        (["2013-01-01 10:20:30.123456"], "timestamp", [datetime(2013, 1, 1, 10, 20, 30, 123456)]),
        (
            ["2013-01-01T10:20", "2013-01-01T00:00:00"],
            "timestamp",
            [datetime(2013, 1, 1, 10, 20), datetime(2013, 1, 1)],
        ),
        (["2013-01-01T10:20:30.1234567"], "string", ["2013-01-01T10:20:30.1234567"]),
        (["2013-01-01T24:00:00"], "string", ["2013-01-01T24:00:00"]),
        (["2013-01-01", "2013-01-01T10:20:30"], "string", ["2013-01-01", "2013-01-01T10:20:30"]),
        (
            ["2013-01-01T10:20:30Z", "2013-01-01T10:20:30.5+05:30", "2013-01-01 10:20:00-02"],
            "timestamptz",
            [
                datetime(2013, 1, 1, 10, 20, 30, tzinfo=UTC),
                datetime(2013, 1, 1, 10, 20, 30, 500_000, tzinfo=timezone(timedelta(hours=5, minutes=30))),
                datetime(2013, 1, 1, 10, 20, tzinfo=timezone(timedelta(hours=-2))),
            ],
        ),
        (["2013-01-01T10:20:30Z", "2013-01-01T10:20:30"], "string", ["2013-01-01T10:20:30Z", "2013-01-01T10:20:30"]),
        (["yes", "no"], "string", ["yes", "no"]),
    ],
)
def test_a_type_is_found_only_when_no_value_loses_anything(
    tmp_path: Path, values: list[str], type_: str, expected: list[Any]
) -> None:
    (tmp_path / "x.csv").write_text("k,v\n" + "".join(f"0,{value}\n" for value in values) + "0,\n")
    landed = land(tmp_path)
    assert landed.types["v"] == type_
    assert landed.multiset == Counter((0, value) for value in [*expected, None])


def test_a_column_of_nulls_only_is_a_string(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a,b\n1,\n2,\n")
    assert land(tmp_path).types == {"a": "long", "b": "string"}


def test_types_are_found_over_all_files(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("v\n1\n")
    (tmp_path / "2.csv").write_text("v\n2.5\n")
    (tmp_path / "3.csv").write_text("v\n")
    landed = land(tmp_path, parallel=4)
    assert landed.types == {"v": "double"}
    assert landed.multiset == Counter([(1.0,), (2.5,)])


@pytest.mark.parametrize(
    ("type_", "values", "expected", "lake"),
    [
        ("string", ["1", "007"], ["1", "007"], "string"),
        ("long", ["007", "+5", "-1"], [7, 5, -1], "long"),
        ("int", ["2147483647"], [2147483647], "int"),
        (
            "double",
            ["1e3", ".5", "5.", "-inf", "0.12345678901234567"],
            [1e3, 0.5, 5.0, -math.inf, 0.12345678901234567],
            "double",
        ),
        (
            "decimal(5,2)",
            ["1.50", "-999.99", "3", "2.500"],
            [Decimal("1.50"), Decimal("-999.99"), Decimal(3), Decimal("2.5")],
            "decimal(5,2)",
        ),
        ("decimal(38,0)", ["9" * 38], [Decimal("9" * 38)], "decimal(38,0)"),
        ("decimal(3)", ["999"], [Decimal(999)], "decimal(3,0)"),
        ("boolean", ["TRUE", "0", "1", "false"], [True, False, True, False], "boolean"),
        ("date", ["2013-01-01"], [date(2013, 1, 1)], "date"),
        ("timestamp", ["2013-01-01 00:00:00"], [datetime(2013, 1, 1)], "timestamp"),
        ("timestamptz", ["2013-01-01T00:00:00Z"], [datetime(2013, 1, 1, tzinfo=UTC)], "timestamptz"),
    ],
)
def test_a_declared_type_takes_every_exact_spelling(
    tmp_path: Path, type_: str, values: list[str], expected: list[Any], lake: str
) -> None:
    (tmp_path / "x.csv").write_text("k,v\n" + "".join(f"0,{value}\n" for value in values) + "0,\n")
    landed = land(tmp_path, params=columns(v=type_))
    assert landed.types == {"k": "long", "v": lake}
    assert landed.multiset == Counter((0, value) for value in [*expected, None])


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("long", "1.5"),
        ("long", "1e3"),
        ("long", "9223372036854775808"),
        ("int", "2147483648"),
        ("long", "abc"),
        ("double", "1e400"),
        ("double", "one"),
        ("decimal(5,2)", "1.005"),
        ("decimal(5,2)", "1000"),
        ("boolean", "maybe"),
        ("date", "2013-02-30"),
        ("date", "01/02/2013"),
        ("timestamp", "2013-01-01T00:00:00Z"),
        ("timestamptz", "2013-01-01T00:00:00"),
        ("timestamp", "2013-01-01T00:00:00.1234567"),
    ],
)
def test_a_value_that_does_not_fit_names_file_line_column_and_value(tmp_path: Path, type_: str, value: str) -> None:
    (tmp_path / "x.csv").write_text(f'k,v\n"a\nb",\n0,{value}\n')
    with pytest.raises(UnholdableValue) as caught:
        land(tmp_path, params=columns(v=type_))
    for part in (str(tmp_path / "x.csv"), "line 4", "'v'", repr(value), "params.columns"):
        assert part in str(caught.value)
    assert caught.value.report == {"path": str(tmp_path / "x.csv"), "column": "v"}


def test_a_value_after_the_sample_that_does_not_fit_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited, "_SCANNED_WHOLE", 0)
    monkeypatch.setattr(delimited, "_SAMPLED_ROWS", 10)
    (tmp_path / "x.csv").write_text("v\n" + "1\n" * 100 + "007\n")
    with pytest.raises(UnholdableValue, match="line 102: the column 'v' holds '007'"):
        land(tmp_path)
    assert len(land(tmp_path, params=columns(v="string")).rows) == 101


@pytest.mark.parametrize("type_", ["text", "decimal(39,0)", "decimal(5,6)", "DECIMAL", "", None, 5])
def test_a_declared_type_that_is_none_is_refused(tmp_path: Path, type_: Any) -> None:
    (tmp_path / "x.csv").write_text("v\n1\n")
    with pytest.raises(BadParameter):
        land(tmp_path, params={"columns": [{"name": "v", "type": type_}]})


@pytest.mark.parametrize("declared", ["v", [1], [{"type": "long"}], [{"name": "v", "type": "long"}] * 2])
def test_malformed_columns_are_refused(tmp_path: Path, declared: Any) -> None:
    with pytest.raises(BadParameter):
        land(tmp_path, params={"columns": declared})


def test_a_declared_column_must_exist(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("v\n1\n")
    with pytest.raises(SourceObjectMissing, match="no column 'w'"):
        land(tmp_path, params=columns(w="long"))


# -- shapes of files -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (b"", []),
        (b"a,b", []),
        (b"a,b\n", []),
        (b"\xef\xbb\xbf", []),
        (b"\xef\xbb\xbfa,b\n1,2\n", [(1, 2)]),
        (b"a,b\r\n1,2\r\n", [(1, 2)]),
        (b"a,b\r1,2\r3,4\r", [(1, 2), (3, 4)]),
        (b"a,b\n1,2", [(1, 2)]),
        (b"a,b\n1,x\0y\n", [(1, "x\0y")]),
        (b"a,b\n1,2\n\n3,4\n", [(1, 2), (3, 4)]),
        (b'"a\nc",b\n1,2\n', [(1, 2)]),
    ],
)
def test_ordinary_oddities(tmp_path: Path, content: bytes, rows: list[tuple[Any, ...]]) -> None:
    (tmp_path / "x.csv").write_bytes(content)
    assert land(tmp_path).multiset == Counter(rows)


@pytest.mark.parametrize(
    ("content", "error", "says"),
    [
        (b"a,b\n1,2\n1,2,3\n", SourceError, "x.csv, line 3: a record has 3 fields, where 2 are expected"),
        (b'a,b\n"1\n2",2\n3\n', SourceError, "x.csv, line 4: a record has 1 fields, where 2 are expected"),
        (b'a,b\n1,"2\n3,4\n', SourceError, "x.csv, line 2: a quoted field is not closed"),
        (b'a,b\n1,2\n3,"x"y"\n', SourceError, "x.csv, line 3: a quoted field is not closed"),
        (b'"a,b\n1,2\n', SourceError, "x.csv, line 1"),
        (b"a,b\n1,2\n3,\xff\xfe\n", SourceError, "x.csv, line 3: the text is not utf-8"),
        ("a,b\n1,é\n".encode("utf-16"), SourceError, "x.csv, line 1: the text is not utf-8"),
        (b"a,b\r\n1,2\n3,4\r\n", SourceError, "x.csv: the line ends"),
        (b"\na,b\n1,2\n", SourceError, "begins with an empty line"),
        (b"a,b,a\n1,2,3\n", SourceError, "'a' and 'a'"),
        (b"id,ID\n1,2\n", SourceError, "'id' and 'ID'"),
        (b"a,_headgate_x\n1,2\n", UnsupportedType, "_headgate_x"),
        (b"a,_HEADGATE_RUN_ID\n1,2\n", UnsupportedType, "reserved"),
        (b"a\n" + b"x" * 3_000_000 + b"\n", SourceError, "x.csv: a record is longer than 2 MB"),
        (b"x" * 5_000_000, SourceError, "x.csv, line 1: the first record is longer"),
    ],
)
def test_broken_files_are_named_with_their_line(
    tmp_path: Path, content: bytes, error: type[HeadgateError], says: str
) -> None:
    (tmp_path / "x.csv").write_bytes(content)
    with pytest.raises(error, match=says):
        land(tmp_path)


def test_files_must_have_the_same_columns_in_any_order(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("a,b\n1,x\n")
    (tmp_path / "2.csv").write_text("b,a\ny,2\n")
    (tmp_path / "3.csv").write_text("")
    landed = land(tmp_path)
    assert landed.multiset == Counter([(1, "x"), (2, "y")])
    (tmp_path / "4.csv").write_text("a,c\n1,2\n")
    with pytest.raises(SourceError, match=r"4\.csv has the column 'c', which .*1\.csv lacks"):
        land(tmp_path)
    (tmp_path / "4.csv").write_text("a\n1\n")
    with pytest.raises(SourceError, match=r"1\.csv has the column 'b', which .*4\.csv lacks"):
        land(tmp_path)


def test_a_column_without_a_name_is_called_by_its_place(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(",a\n0,1\n")
    assert land(tmp_path).types == {"column1": "long", "a": "long"}


def test_without_a_header_columns_are_called_by_their_places(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("1,x\n2,y\n")
    for header in (False, "false"):
        landed = land(tmp_path, data={"properties": {"header": header}})
        assert landed.types == {"column1": "long", "column2": "string"}
        assert landed.multiset == Counter([(1, "x"), (2, "y")])
    with pytest.raises(UnholdableValue, match="line 1: the column 'column2' holds 'x'"):
        land(tmp_path, data={"header": False}, params=columns(column2="long"))


@pytest.mark.parametrize("delimiter", [";", "\t", "|", ":", " ", "\x01", "§", "😀"])
def test_any_single_character_delimits(tmp_path: Path, delimiter: str) -> None:
    (tmp_path / "x.csv").write_text(f'a{delimiter}b\n1{delimiter}"x{delimiter}y,z"\n')
    expected = Counter([(1, f"x{delimiter}y,z")])
    assert land(tmp_path, data={"columnDelimiter": delimiter}).multiset == expected
    assert land(tmp_path, data={"properties": {"columnDelimiter": delimiter}}).multiset == expected


@pytest.mark.parametrize("delimiter", ["", "||", '"', "\n", None, 5])
def test_anything_else_does_not(tmp_path: Path, delimiter: Any) -> None:
    with pytest.raises(BadDelimiter):
        land(tmp_path, data={"columnDelimiter": delimiter})


@pytest.mark.parametrize("format_", ["csv", "xml", "", None, "delimited "])
def test_other_formats_are_refused(tmp_path: Path, format_: Any) -> None:
    with pytest.raises(BadFormat):
        land(tmp_path, format_=format_)


@pytest.mark.parametrize(
    "properties",
    [
        {"encoding": "utf-7"},
        {"encoding": "cp1252"},
        {"compressionType": "lzma"},
        {"compressionType": "7z"},
        {"isFileEncrypted": True},
        {"header": "maybe"},
    ],
)
def test_properties_that_cannot_be_honoured_are_refused(tmp_path: Path, properties: dict[str, str]) -> None:
    with pytest.raises(BadParameter):
        land(tmp_path, data={"properties": properties})


def test_latin_1(tmp_path: Path) -> None:
    text = "".join(map(chr, [*range(0x20, 0x22), *range(0x23, 0x7F), *range(0xA0, 0x100)]))
    (tmp_path / "x.csv").write_bytes(f'a,é\n1,"{text}"\n'.encode("latin-1"))
    landed = land(tmp_path, data={"properties": {"encoding": "latin-1"}})
    assert landed.multiset == Counter([(1, text)])
    assert landed.types == {"a": "long", "é": "string"}


def test_gzip_in_several_members(tmp_path: Path) -> None:
    (tmp_path / "x.csv.gz").write_bytes(gzip.compress(b"a,b\n1,2\n") + gzip.compress(b"3,4\n"))
    assert land(tmp_path).multiset == Counter([(1, 2), (3, 4)])


def test_gzip_by_name_and_by_property(tmp_path: Path) -> None:
    packed = gzip.compress(b"a,b\n1,2\n")
    (tmp_path / "x.csv.gz").write_bytes(packed)
    (tmp_path / "y.csv").write_bytes(b"a,b\n3,4\n")
    assert land(tmp_path).multiset == Counter([(1, 2), (3, 4)])
    (tmp_path / "y.csv").write_bytes(packed)
    assert land(tmp_path, data={"properties": {"compressionType": "gzip"}}).multiset == Counter({(1, 2): 2})


PACKED = gzip.compress(b"a,b\n" + b"1,2\n" * 100_000)


@pytest.mark.parametrize("content", [b"a,b\n1,2\n", PACKED[:-8], PACKED[:-20], PACKED[:-5] + b"\0" + PACKED[-4:]])
def test_a_broken_gzip_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.csv.gz").write_bytes(content)
    with pytest.raises(SourceError, match=r"x\.csv\.gz"):
        land(tmp_path)


def test_many_columns(tmp_path: Path) -> None:
    buffer = io.StringIO()
    csv.writer(buffer).writerows([[f"c{i}" for i in range(500)], list(range(500))])
    (tmp_path / "x.csv").write_text(buffer.getvalue(), newline="")
    landed = land(tmp_path)
    assert landed.data == [tuple(range(500))]
    assert set(landed.types.values()) == {"long"}


def test_a_gzip_bomb_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "_MOST_BYTES", 1 << 20)
    (tmp_path / "bomb.csv.gz").write_bytes(gzip.compress(b"a\n" + b"1\n" * (5 << 20)))
    with pytest.raises(SourceError, match=r"bomb\.csv\.gz has \d+ bytes and unpacks to more than \d+"):
        land(tmp_path)


def test_types_that_the_first_rows_suggest_are_asked_of_all(tmp_path: Path) -> None:
    late = {"long": "1.5", "day": "2024-01-01T10:00:00", "text": "", "none": "7", "word": "1", "never": ""}
    first = {"long": "1", "day": "2024-01-01", "text": "1", "none": "", "word": "a", "never": ""}
    lines = [",".join(late), *[",".join(first.values())] * 3000, ",".join(late.values()), "x,,007,,b,"]
    (tmp_path / "a.csv").write_text("\n".join(lines[:-1]) + "\n")
    assert land(tmp_path, "a.csv").types == {
        "long": "double",
        "day": "string",
        "text": "long",
        "none": "long",
        "word": "string",
        "never": "string",
    }
    (tmp_path / "a.csv").write_text("\n".join(lines) + "\n")
    types = land(tmp_path, "a.csv").types
    assert (types["long"], types["text"], types["none"]) == ("string", "string", "long")
