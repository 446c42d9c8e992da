"""Parquet: every value arrives as pyarrow reads it, or the run says which column did not."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headgate.errors import BadParameter, HeadgateError, SourceError, UnholdableValue, UnsupportedType
from tests.local_files import columns, land


def write(folder: Path, name: str = "x.parquet", /, **arrays: pa.Array) -> Path:
    """Write one file of the given columns."""
    pq.write_table(pa.table(arrays), folder / name)
    return folder / name


NOON = datetime(2013, 1, 1, 12, 0, 0, 123456)


@pytest.mark.parametrize(
    ("array", "type_", "expected"),
    [
        (pa.array([True, None]), "boolean", None),
        (pa.array([-128, 127], pa.int8()), "int", None),
        (pa.array([-(2**15)], pa.int16()), "int", None),
        (pa.array([2**31 - 1, -(2**31)], pa.int32()), "int", None),
        (pa.array([2**63 - 1, -(2**63)], pa.int64()), "long", None),
        (pa.array([255], pa.uint8()), "int", None),
        (pa.array([2**16 - 1], pa.uint16()), "int", None),
        (pa.array([2**32 - 1], pa.uint32()), "long", None),
        (pa.array([2**64 - 1, None], pa.uint64()), "decimal(20,0)", [Decimal(2**64 - 1), None]),
        (pa.array([1.5], pa.float16()), "float", None),
        (pa.array([1.5, float("inf")], pa.float32()), "float", None),
        (pa.array([0.1, -0.0], pa.float64()), "double", None),
        (pa.array([Decimal("-1.50")], pa.decimal128(5, 2)), "decimal(5,2)", None),
        (pa.array([Decimal("9" * 38)], pa.decimal128(38, 0)), "decimal(38,0)", None),
        (pa.array([Decimal("1.50")], pa.decimal256(10, 2)), "decimal(10,2)", None),
        (pa.array(["", "é", None, "x\0y"]), "string", None),
        (pa.array(["a", "b"], pa.large_string()), "string", None),
        (pa.array(["a", "b", "a"]).dictionary_encode(), "string", None),
        (pa.array([b"a\xff", b""], pa.binary()), "binary", None),
        (pa.array([b"ab"], pa.binary(2)), "binary", None),
        (pa.array([date(1, 1, 1), date(9999, 12, 31)], pa.date32()), "date", None),
        (pa.array([time(23, 59, 59, 999999)], pa.time64("us")), "time", None),
        (pa.array([time(23, 59, 59)], pa.time64("ns")), "time", None),
        (pa.array([NOON], pa.timestamp("us")), "timestamp", None),
        (pa.array([NOON.replace(microsecond=0)], pa.timestamp("s")), "timestamp", None),
        (pa.array([NOON], pa.timestamp("ns")), "timestamp", None),
        (pa.array([NOON], pa.timestamp("us", "UTC")), "timestamptz", [NOON.replace(tzinfo=UTC)]),
        (pa.array([NOON], pa.timestamp("us", "Europe/Paris")), "timestamptz", [NOON.replace(tzinfo=UTC)]),
        (pa.array([NOON], pa.timestamp("ns", "UTC")), "timestamptz", [NOON.replace(tzinfo=UTC)]),
        (pa.array([b"0123456789abcdef"], pa.uuid()), "uuid", [str(UUID(bytes=b"0123456789abcdef"))]),
        (pa.array([None], pa.null()), "string", None),
        (pa.array([[1, None], [], None]), "list<long>", None),
        (pa.array([[2**64 - 1]], pa.list_(pa.uint64())), "list<decimal(20,0)>", [[Decimal(2**64 - 1)]]),
        (pa.array([{"a": 1, "b": [{"c": "x"}]}, None]), "struct<a: long, b: list<struct<c: string>>>", None),
        (pa.array([{"t": NOON}], pa.struct([("t", pa.timestamp("ns"))])), "struct<t: timestamp>", None),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else None,
)
def test_every_type(tmp_path: Path, array: pa.Array, type_: str, expected: list[Any] | None) -> None:
    write(tmp_path, k=pa.array(range(len(array))), v=array)
    landed = land(tmp_path, format_="parquet")
    assert landed.types == {"k": "long", "v": type_}
    values = [value for _, value in sorted(landed.data, key=lambda row: row[0])]
    if expected is None:
        expected = pq.read_table(tmp_path / "x.parquet").column("v").to_pylist()
    assert values == expected


@pytest.mark.parametrize(
    "type_",
    [
        pa.decimal256(39, 0),
        pa.map_(pa.string(), pa.int64()),
        pa.list_(pa.map_(pa.string(), pa.int64())),
        pa.duration("us"),
        pa.struct([("a", pa.duration("us"))]),
    ],
    ids=str,
)
def test_a_type_the_lake_cannot_hold_is_refused(tmp_path: Path, type_: pa.DataType) -> None:
    write(tmp_path, fine=pa.array([1]), odd=pa.array([None], type_))
    with pytest.raises(UnsupportedType, match=r"x\.parquet has the column 'odd.*cannot hold unchanged"):
        land(tmp_path, format_="parquet")


@pytest.mark.parametrize(
    ("array", "options"),
    [
        (pa.array([1_000, 1_001], pa.timestamp("ns")), {}),
        (pa.array([1_000, -1], pa.timestamp("ns", "UTC")), {}),
        (pa.array([None, 1_000_000_001], pa.timestamp("ns")), {"use_deprecated_int96_timestamps": True}),
        (pa.array([1_001], pa.time64("ns")), {}),
        (pa.array([[1_000], [1_001]], pa.list_(pa.timestamp("ns"))), {}),
        (pa.array([{"t": 1_001}], pa.struct([("t", pa.timestamp("ns"))])), {}),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_nanoseconds_are_refused_not_cut(tmp_path: Path, array: pa.Array, options: dict[str, Any]) -> None:
    pq.write_table(pa.table({"v": array}), tmp_path / "x.parquet", **options)
    with pytest.raises(UnholdableValue, match=r"x\.parquet: the column 'v.*whole microseconds"):
        land(tmp_path, format_="parquet")


def test_old_timestamps_of_whole_microseconds_are_exact(tmp_path: Path) -> None:
    table = pa.table({"v": pa.array([NOON, None], pa.timestamp("ns"))})
    pq.write_table(table, tmp_path / "x.parquet", use_deprecated_int96_timestamps=True)
    assert land(tmp_path, format_="parquet").multiset == Counter([(NOON,), (None,)])


def test_files_are_joined_by_name_and_widened(tmp_path: Path) -> None:
    write(tmp_path, "1.parquet", i=pa.array([1], pa.int32()), f=pa.array([0.5], pa.float32()), s=pa.array(["x"]))
    write(tmp_path, "2.parquet", s=pa.array(["y"]), f=pa.array([0.1]), i=pa.array([2**40]))
    write(tmp_path, "3.parquet", extra=pa.array([True]), i=pa.array([3], pa.int16()))
    write(tmp_path, "4.parquet", i=pa.array([], pa.int64()))
    landed = land(tmp_path, format_="parquet", parallel=3)
    assert landed.types == {"i": "long", "f": "double", "s": "string", "extra": "boolean"}
    assert landed.multiset == Counter([(1, 0.5, "x", None), (2**40, 0.1, "y", None), (3, None, None, True)])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (pa.array([1]), pa.array(["1"])),
        (pa.array([1]), pa.array([1.5])),
        (pa.array([Decimal(1)], pa.decimal128(5, 2)), pa.array([Decimal(1)], pa.decimal128(6, 2))),
        (pa.array([NOON]), pa.array([NOON], pa.timestamp("us", "UTC"))),
        (pa.array([{"a": 1}]), pa.array([{"b": 1}])),
    ],
)
def test_types_that_differ_between_files_are_refused(tmp_path: Path, one: pa.Array, other: pa.Array) -> None:
    write(tmp_path, "1.parquet", v=one)
    write(tmp_path, "2.parquet", v=other)
    with pytest.raises(SourceError, match=r"2\.parquet has the column 'v' as .*, other files as"):
        land(tmp_path, format_="parquet")


def _cut(content: bytes) -> bytes:
    return content[:-10]


def _no_rows(content: bytes) -> bytes:
    return content[:4] + b"\0" * (len(content) - 12) + content[-8:]


@pytest.mark.parametrize("damage", [_cut, _no_rows, lambda _: b"", lambda _: b"PAR1PAR1", lambda _: b"a,b\n1,2\n" * 10])
def test_a_broken_file_is_named(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    write(tmp_path, "good.parquet", v=pa.array([1]))
    path = write(tmp_path, v=pa.array([1]))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(SourceError, match=r"x\.parquet is not a readable Parquet file"):
        land(tmp_path, format_="parquet")


def test_a_damaged_page_fails_and_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"v": pa.array([str(i) * 5 for i in range(20_000)])}), path, compression="zstd")
    content = bytearray(path.read_bytes())
    for at in range(60, 90):
        content[at] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"x\.parquet is damaged: ZSTD"):
        land(tmp_path, format_="parquet")


@pytest.mark.parametrize(
    ("names", "error", "says"),
    [
        (["a", "A"], SourceError, "'a' and 'A'"),
        (["_headgate_run_id"], UnsupportedType, "reserved"),
        (["a", "a"], SourceError, "'a' and 'a'"),
    ],
)
def test_names_that_cannot_be_held(tmp_path: Path, names: list[str], error: type[HeadgateError], says: str) -> None:
    pq.write_table(pa.Table.from_arrays([pa.array([1])] * len(names), names=names), tmp_path / "x.parquet")
    with pytest.raises(error, match=says):
        land(tmp_path, format_="parquet")


def test_declared_types_must_agree(tmp_path: Path) -> None:
    write(tmp_path, v=pa.array([1], pa.int32()))
    assert land(tmp_path, format_="parquet", params=columns(v="int")).types == {"v": "int"}
    landed = land(tmp_path, format_="parquet", params=columns(v="long", never="date"))
    assert (landed.types, landed.data) == ({"v": "long", "never": "date"}, [(1, None)])
    with pytest.raises(BadParameter, match="declares 'v' as string, the Parquet files hold int"):
        land(tmp_path, format_="parquet", params=columns(v="string"))


def test_columns_with_the_names_of_duckdbs_own(tmp_path: Path) -> None:
    write(tmp_path, filename=pa.array(["mine"]), file_index=pa.array([7]), file_row_number=pa.array([9]))
    assert land(tmp_path, format_="parquet").data == [("mine", 7, 9)]
