"""JSON lines and JSON arrays: every value arrives with its type, or the run says which field did not."""

import gzip
import json
import math
import random
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from headgate.errors import BadParameter, HeadgateError, SourceError, UnholdableValue, UnsupportedType
from tests.local_files import columns, land


def lines(*records: object) -> str:
    """One JSON document per line; text goes in as it is."""
    return "".join((record if isinstance(record, str) else json.dumps(record)) + "\n" for record in records)


def read(folder: Path, *records: object, **options: Any) -> Any:
    """Land one file of JSON lines."""
    (folder / "x.json").write_text(lines(*records), encoding="utf-8")
    return land(folder, format_="json", **options)


@pytest.mark.parametrize(
    ("values", "type_", "expected"),
    [
        (["2013-01-01", "74a1c565-4e59-48d7-9d67-7c03b8a13137", "12", "true", ""], "string", None),
        ([True, False], "boolean", None),
        ([0, -1, 2**53, -(2**53)], "long", None),
        ([2**63 - 1, -(2**63), 1], "long", None),
        ([2**63, 1], "decimal(38,0)", [Decimal(2**63), Decimal(1)]),
        ([-(2**63) - 1], "decimal(38,0)", [Decimal(-(2**63) - 1)]),
        ([10**38 - 1, -(10**38) + 1], "decimal(38,0)", [Decimal(10**38 - 1), Decimal(-(10**38) + 1)]),
        ([10**38, 7], "string", [str(10**38), "7"]),
        ([0.1, 1e300, -0.0, 1e-320], "double", None),
        (["1e2", 5], "string", "conflict"),
        ([1, 2.5, 2**53], "double", [1.0, 2.5, float(2**53)]),
        ([1, 2.5, 2**53 + 1], "double", "conflict"),
        ([2.5, 2**64], "double", "conflict"),
        ([1, True], "long", "conflict"),
        ([{"a": 1}, 1], "long", "conflict"),
        ([[1], {"a": 1}], "long", "conflict"),
        ([[1, "a"]], "list", "conflict"),
        ([[1, 2.5], [], None, [None]], "list<double>", [[1.0, 2.5], [], None, [None]]),
        ([[1], [2**60]], "list<long>", None),
        ([[2**64]], "list<decimal(38,0)>", [[Decimal(2**64)]]),
        ([[[1], []], []], "list<list<long>>", None),
        ([None, None], "string", None),
        ([[], [None]], "list<string>", None),
        ([{}, None], "string", ["{}", None]),
        ([{"a": 1}, {"b": "x"}], "struct<a: long, b: string>", [{"a": 1, "b": None}, {"a": None, "b": "x"}]),
        ([{"a": 1}, {}], "struct<a: long>", [{"a": 1}, {"a": None}]),
        ([{"a": {"b": [{"c": 1.5}]}}], "struct<a: struct<b: list<struct<c: double>>>>", None),
        ([[{"a": 1}, {"b": 2}]], "list<struct<a: long, b: long>>", [[{"a": 1, "b": None}, {"a": None, "b": 2}]]),
        (["x\u0000y", "é😀\n\"\\"], "string", None),
    ],
)  # fmt: skip
def test_a_field_takes_the_type_that_holds_all_its_values(
    tmp_path: Path, values: list[Any], type_: str, expected: Any
) -> None:
    records = [{"k": i, "v": value} for i, value in enumerate(values)]
    if expected == "conflict":
        with pytest.raises(UnholdableValue, match=r"The field 'v.*`params\.columns`"):
            read(tmp_path, *records)
        return
    landed = read(tmp_path, *records)
    assert landed.types == {"k": "long", "v": type_}
    found = [value for _, value in sorted(landed.data, key=lambda row: row[0])]
    assert found == (values if expected is None else expected)
    assert list(map(type, found)) == list(map(type, values if expected is None else expected))


def test_minus_zero_keeps_its_sign(tmp_path: Path) -> None:
    [(value,)] = read(tmp_path, '{"v": -0.0}').data
    assert math.copysign(1, value) == -1


def test_a_number_beyond_a_double_is_refused_and_can_be_declared(tmp_path: Path) -> None:
    with pytest.raises(UnholdableValue, match="'v' holds 1e400, which is beyond a double"):
        read(tmp_path, '{"v": 1.5}', '{"v": 1e400}')
    with pytest.raises(UnholdableValue, match=r"'a\.b' holds -1E\+400"):
        read(tmp_path, '{"a": {"b": -1E+400}}')
    assert read(tmp_path, '{"v": 1.5}', '{"v": 1e400}', params=columns(v="string")).multiset == Counter(
        [("1.5",), ("1e400",)]
    )


def test_every_record_is_what_pythons_json_module_reads(tmp_path: Path) -> None:
    rng = random.Random(5)

    def value(kind: int) -> Any:
        match kind:
            case 0:
                return rng.randint(-(2**63), 2**63 - 1)
            case 1:
                return rng.random() * 10 ** rng.randint(-300, 300)
            case 2:
                return "".join(rng.choices('ab"\\\n\té😀,{}[]:', k=rng.randint(0, 12)))
            case 3:
                return rng.random() < 0.5
            case _:
                return [rng.randint(0, 9) for _ in range(rng.randint(0, 3))]

    records = [{f"f{kind}": value(kind) for kind in range(5) if rng.random() < 0.8} | {"id": i} for i in range(3000)]
    (tmp_path / "a.json").write_text(lines(*records[:1000]))
    (tmp_path / "b.json").write_text("\n [" + ",\n".join(map(json.dumps, records[1000:2000])) + "]\n")
    (tmp_path / "c.json.gz").write_bytes(gzip.compress(lines(*records[2000:]).encode()))
    landed = land(tmp_path, format_="json")
    assert landed.types == {
        "id": "long", "f0": "long", "f1": "double", "f2": "string", "f3": "boolean", "f4": "list<long>"
    }  # fmt: skip
    names = list(landed.types)
    by_id = {row["id"]: row for row in landed.rows}
    assert len(landed.rows) == len(by_id) == 3000
    for record in records:
        assert {name: by_id[record["id"]][name] for name in names} == {name: record.get(name) for name in names}


def test_a_key_of_one_late_record_is_not_lost(tmp_path: Path) -> None:
    landed = read(tmp_path, *({"a": i} for i in range(50_000)), {"a": -1, "late": {"x": "y"}})
    assert landed.types == {"a": "long", "late": "struct<x: string>"}
    assert [row for row in landed.data if row[0] == -1] == [(-1, {"x": "y"})]
    assert len(landed.data) == 50_001


def test_keys_may_be_anything(tmp_path: Path) -> None:
    record = {"a b": 1, 'quo"te': 2, "it's": 3, "file_index": 4, "filename": 5, "json": 6, "é😀": 7, "a.b": 8}
    landed = read(tmp_path, record)
    assert {k: v for k, v in landed.rows[0].items() if k in record} == record


def test_dates_are_strings_unless_declared(tmp_path: Path) -> None:
    landed = read(
        tmp_path,
        {"d": "2013-01-01", "n": "12.50", "m": 12.5},
        {"d": None},
        params=columns(d="date", n="decimal(5,2)", m="decimal(5,2)", never="long"),
    )
    assert landed.types == {"d": "date", "n": "decimal(5,2)", "m": "decimal(5,2)", "never": "long"}
    assert [str(value) for row in landed.data for value in row if value is not None] == ["2013-01-01", "12.50", "12.50"]
    with pytest.raises(UnholdableValue, match=r"x\.json: the column 'd' holds 'soon'"):
        read(tmp_path, {"d": "soon"}, params=columns(d="date"))


def test_a_conflict_is_solved_by_declaring_a_string(tmp_path: Path) -> None:
    landed = read(tmp_path, '{"v": 1}', '{"v": "one"}', '{"v": {"a": [1]}}', '{"v": null}', params=columns(v="string"))
    assert landed.multiset == Counter([("1",), ("one",), ('{"a":[1]}',), (None,)])


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        ("", []),
        (" \n\n", []),
        ("[]", []),
        ("{}\n", []),
        ('\ufeff{"a":1}\n', [(1,)]),
        ('{"a":1}\r\n\r\n{"a":2}', [(1,), (2,)]),
        ('[{"a":1},\n{"a":2}]', [(1,), (2,)]),
        ('{"a":1}\n{}\n', [(1,), (None,)]),
    ],
)
def test_ordinary_oddities(tmp_path: Path, content: str, rows: list[tuple[Any, ...]]) -> None:
    (tmp_path / "x.json").write_text(content, encoding="utf-8")
    assert land(tmp_path, format_="json").multiset == Counter(rows)


@pytest.mark.parametrize(
    ("content", "error", "says"),
    [
        (b'{"a":1}\n{"a":2\n{"a":3}\n', SourceError, r"x\.json, line 2: malformed JSON"),
        (b'{"a":1}\n{"a":2', SourceError, r"x\.json, line 2: malformed JSON"),
        (b'{"a":1}\n\n{"a":1} {"a":2}\n', SourceError, r"x\.json, line 3: malformed JSON"),
        (b'{"a":"\xff"}\n', SourceError, r"x\.json, line 1"),
        (b'{"a":"\\ud800"}\n', SourceError, r"x\.json: malformed JSON|x\.json, line 1"),
        (b'[{"a":1},{"a":2}', SourceError, r"x\.json: malformed JSON"),
        (b'[{"a":1}] [{"a":2}]', SourceError, r"x\.json: malformed JSON"),
        (b'{"a":1,"a":2}\n', SourceError, r"x\.json: a record cannot be read, .*duplicate key"),
        (b'{"a":1,"A":2}\n', SourceError, "'a' and 'A'"),
        (b'{"v":{"a":1,"A":2}}\n', SourceError, "'a' and 'A'"),
        (b'{"":1}\n', UnsupportedType, "without a name"),
        (b'{"_headgate_x":1}\n', UnsupportedType, "reserved"),
        (b"1\n2\n", SourceError, r"x\.json begins with '1'"),
        (b'"text"\n', SourceError, r"x\.json begins with"),
        (b'{"a":1}\n2\n', SourceError, r"x\.json holds a record that is not an object"),
        (b'[1,{"a":1}]', SourceError, r"x\.json holds a record that is not an object"),
        (b'[[{"a":1}]]', SourceError, r"x\.json holds a record that is not an object"),
        (b'{"a":' * 200 + b"1" + b"}" * 200, UnsupportedType, "nested deeper than 64"),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, HeadgateError, "nested|malformed"),
        (b'{"a":1}\n{"a":' + b"[" * 400_000 + b"]" * 400_000 + b"}\n", UnsupportedType, r"x\.json .*nested too deep"),
        (b'[{"a":' + b'{"a":' * 200_000 + b"1" + b"}" * 200_001 + b"]", UnsupportedType, r"x\.json .* nested too deep"),
        (b'{"a":"' + b"x" * 20_000_000 + b'"}', SourceError, "x.json"),
    ],
)  # fmt: skip
def test_broken_files_are_named(tmp_path: Path, content: bytes, error: type[HeadgateError], says: str) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(error, match=says):
        land(tmp_path, format_="json")


def test_many_brackets_that_lie_flat_are_read(tmp_path: Path) -> None:
    pairs = [{"n": i} for i in range(10_000)]
    landed = read(tmp_path, {"id": 1, "pairs": []}, {"id": 2, "pairs": pairs}, {"id": 3, "pairs": [{"n": 1}]})
    assert landed.data == [(1, []), (2, pairs), (3, [{"n": 1}])]


def test_json_is_utf8(tmp_path: Path) -> None:
    with pytest.raises(BadParameter, match="utf-8"):
        read(tmp_path, {"a": 1}, data={"properties": {"encoding": "latin-1"}})


def test_a_cut_off_gzip_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.json.gz").write_bytes(gzip.compress(lines(*({"a": i} for i in range(10_000))).encode())[:-8])
    with pytest.raises(SourceError, match=r"x\.json\.gz is not a complete gzip file"):
        land(tmp_path, format_="json")
