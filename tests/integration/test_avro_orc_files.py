"""Avro and ORC: every value arrives as its writer wrote it, whatever the codec; or the run says what is wrong."""

import bz2
import io
import random
import tarfile
import uuid
import zipfile
from collections import Counter
from datetime import UTC, date, datetime
from datetime import time as clock
from decimal import Decimal
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from pyarrow import orc
from pyarrow.parquet import encryption

from headgate.errors import HeadgateError, UnholdableValue, UnreadableRecord, UnsupportedType
from headgate.sources.files import Files, Scratch, avro_files
from headgate.sources.interface import Selection
from tests.local_files import Elsewhere, land, local_files


def logical(type_: str, word: str, /, **more: Any) -> dict[str, Any]:
    return {"type": type_, "logicalType": word, **more}


NULLABLE = ["null", "string"]
ON = {"type": "record", "name": "day", "fields": [{"name": "on", "type": logical("int", "date")}]}
LARGE = Decimal("-" + "9" * 34 + ".9999")
FIXED = {"type": "fixed", "name": "four", "size": 4}
PAIR = {
    "type": "record",
    "name": "inner.pair",
    "fields": [{"name": "x", "type": "int"}, {"name": "y", "type": NULLABLE}],
}
COLOUR = {"type": "enum", "name": "colour", "symbols": ["RED", "GREEN"]}
AVRO: dict[str, tuple[Any, str, Any, Any]] = {  # the type, the lake's, a value, what arrives where that is another
    "boolean": ("boolean", "boolean", True, True),
    "int": ("int", "int", -(2**31), -(2**31)),
    "long": ("long", "long", 2**63 - 1, 2**63 - 1),
    "float": ("float", "float", 0.1, pa.scalar(0.1, pa.float32()).as_py()),
    "double": ("double", "double", 0.1, 0.1),
    "string": ("string", "string", "é\0😀", "é\0😀"),
    "bytes": ("bytes", "binary", b"\0\xff", b"\0\xff"),
    "fixed": (FIXED, "binary", b"abcd", b"abcd"),
    "enum": (COLOUR, "string", "GREEN", "GREEN"),
    "null": ("null", "string", None, None),
    "date": (logical("int", "date"), "date", date(1, 1, 1), date(1, 1, 1)),
    "time_ms": (logical("int", "time-millis"), "time", clock(23, 59, 59, 999000), clock(23, 59, 59, 999000)),
    "time_us": (logical("long", "time-micros"), "time", clock(1, 2, 3, 4), clock(1, 2, 3, 4)),
    "at_ms": (logical("long", "timestamp-millis"), "timestamptz", datetime(1969, 1, 1, 1, 1, 1, 5000, UTC), None),
    "at_us": (
        logical("long", "timestamp-micros"),
        "timestamptz",
        datetime(9999, 12, 31, 23, 59, 59, 999999, UTC),
        None,
    ),
    "local_ms": (logical("long", "local-timestamp-millis"), "timestamp", datetime(2024, 2, 29, 1), None),
    "local_us": (logical("long", "local-timestamp-micros"), "timestamp", datetime(2024, 2, 29, 1, 0, 0, 7), None),
    "uuid": (logical("string", "uuid"), "uuid", uuid.UUID(int=5), str(uuid.UUID(int=5))),
    "decimal": (
        logical("bytes", "decimal", precision=38, scale=4),
        "decimal(38,4)",
        Decimal("-" + "9" * 34 + ".9999"),
        None,
    ),
    "money": (
        logical("fixed", "decimal", name="m", size=8, precision=12, scale=2),
        "decimal(12,2)",
        Decimal("-12.30"),
        None,
    ),
    "unknown": (logical("string", "colour-of-the-sky"), "string", "blue", "blue"),
    "one": (["long"], "long", 5, 5),
    "none": (["null"], "string", None, None),
    "optional": (["null", "long"], "long", None, None),
    "optional_last": (["string", "null"], "string", None, None),
    "array": ({"type": "array", "items": ["null", "string"]}, "list<string>", ["a", None], ["a", None]),
    "arrays": (
        {"type": "array", "items": {"type": "array", "items": "int"}},
        "list<list<int>>",
        [[1], [], [2, 3]],
        None,
    ),
    "record": (PAIR, "struct<x: int, y: string>", {"x": 1, "y": None}, None),
    "again": (["null", "inner.pair"], "struct<x: int, y: string>", None, None),
    "days": (
        {
            "type": "array",
            "items": {"type": "record", "name": "day", "fields": [{"name": "on", "type": logical("int", "date")}]},
        },
        "list<struct<on: date>>",
        [{"on": date(2024, 1, 1)}, {"on": date(9999, 12, 31)}],
        None,
    ),
}
SCHEMA = {
    "type": "record",
    "name": "all",
    "namespace": "org.example",
    "fields": [{"name": name, "type": type_} for name, (type_, _, _, _) in AVRO.items()],
}
ROW = {name: value for name, (_, _, value, _) in AVRO.items()}
ARRIVED = tuple(value if expected is None else expected for _, _, value, expected in AVRO.values())


def avro(path: Path, schema: Any, rows: list[Any], codec: str = "null", **options: Any) -> Path:
    path.parent.mkdir(exist_ok=True)
    with path.open("wb") as file:
        fastavro.writer(file, fastavro.parse_schema(schema), rows, codec=codec, **options)
    return path.parent


def number(value: int) -> bytes:
    """As Avro writes it, up to 2^20."""
    value *= 2
    return bytes([value & 0x7F | 0x80, value >> 7 & 0x7F | 0x80, value >> 14])


def of_zstd(rows: int, block: bytes, schema: bytes) -> bytes:
    """An Avro file of one block in zstd, for which fastavro needs another package."""
    packed, mark = zstandard.compress(block), bytes(range(16))
    about = {b"avro.codec": b"zstandard", b"avro.schema": schema}
    meta = b"".join(number(len(part)) + part for pair in about.items() for part in pair)
    return b"Obj\x01" + number(2) + meta + b"\0" + mark + number(rows) + number(len(packed)) + packed + mark


@pytest.mark.parametrize("codec", ["null", "deflate", "snappy", "bzip2", "xz"])
def test_every_type_of_avro_with_every_codec(tmp_path: Path, codec: str) -> None:
    landed = land(avro(tmp_path / "in" / "x.avro", SCHEMA, [ROW] * 5, codec, sync_interval=200), format_="avro")
    assert landed.types == {name: type_ for name, (_, type_, _, _) in AVRO.items()}
    assert landed.data == [ARRIVED] * 5


def test_avro_in_zstd(tmp_path: Path) -> None:
    schema = b'{"type": "record", "name": "r", "fields": [{"name": "a", "type": "string"}]}'
    (tmp_path / "in").mkdir()
    block = b"".join(number(len(text)) + text for text in (b"x" * 5000, b"y"))
    (tmp_path / "in" / "x.avro").write_bytes(of_zstd(2, block, schema))
    assert land(tmp_path / "in", format_="avro").multiset == Counter([("x" * 5000,), ("y",)])


def test_avro_of_many_blocks_and_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also packed, in archives, on another machine; its beginning alone shows it."""
    monkeypatch.setattr(avro_files, "_PART", 10_000)
    rng = random.Random(2)
    schema = {"type": "record", "name": "r", "fields": [{"name": "a", "type": "long"}, {"name": "b", "type": "string"}]}
    rows = [{"a": rng.getrandbits(60), "b": rng.randbytes(rng.randint(0, 40)).hex()} for _ in range(5000)]
    root = avro(tmp_path / "in" / "x.avro", schema, rows, "deflate", sync_interval=4000)
    content = (root / "x.avro").read_bytes()
    (root / "y.avro.bz2").write_bytes(bz2.compress(content))
    with zipfile.ZipFile(root / "z.zip", "w") as archive:
        archive.writestr("in/x.avro", content)
    with tarfile.open(root / "z.tgz", "w:gz") as packed:
        packed.add(root / "x.avro", "in/x.avro")
    written = Counter((row["a"], row["b"]) for row in rows for _ in range(4))
    assert land(root, format_="avro").multiset == written
    store = Elsewhere(root)
    for files in (local_files(root), Files(store, Scratch(tmp_path / "scratch", 10**9))):
        for name in ("x.avro", "y.avro.bz2", "z.zip", "z.tgz"):
            assert files.detect(name) == {"format": "avro"}
            shown = files.preview(Selection({"path": name}, {"format": "avro"}), 10)
            assert shown.rows == tuple((row["a"], row["b"]) for row in rows[:10])
    assert not [*(tmp_path / "scratch").glob("*/*")]


def test_an_avro_file_without_records(tmp_path: Path) -> None:
    schema = {"type": "record", "name": "r", "fields": [{"name": "a", "type": "long"}]}
    landed = land(avro(tmp_path / "in" / "x.avro", schema, []), format_="avro")
    assert (landed.rows, landed.types) == ([], {"a": "long"})


@pytest.mark.parametrize(
    ("type_", "says"),
    [
        (["int", "string"], "'a' is a union of several types"),
        ({"type": "map", "values": "int"}, "'a' is a map"),
        ({"type": "array", "items": {"type": "map", "values": "int"}}, r"'a\[\]' is a map"),
        (["null", "r"], r"'a' holds itself \(the type r\)"),
        ({"type": "array", "items": "r"}, r"'a\[\]' holds itself"),
        (
            {"type": "record", "name": "q", "fields": [{"name": "b", "type": ["null", "r"]}]},
            r"'a\.b' holds itself \(the type r\)",
        ),
        (logical("bytes", "decimal", precision=39), "'a' is a decimal of 39 digits"),
        ({"type": "record", "name": "q", "fields": []}, "a has no fields"),
    ],
)
def test_types_that_the_lake_has_not_are_refused_by_name(tmp_path: Path, type_: Any, says: str) -> None:
    schema = {"type": "record", "name": "r", "fields": [{"name": "a", "type": type_}]}
    with pytest.raises(UnsupportedType, match=rf"x\.avro: .*{says}"):
        land(avro(tmp_path / "in" / "x.avro", schema, []), format_="avro")


@pytest.mark.parametrize(
    ("type_", "bare", "value", "says"),
    [
        (logical("string", "uuid"), "string", "no-uuid", "'a' holds 'no-uuid', which is no uuid"),
        (logical("int", "time-millis"), "int", 86_400_000, "'a' holds 86400000, which is no time of a day"),
        (logical("long", "time-micros"), "long", -1, "'a' holds -1, which is no time of a day"),
        (logical("bytes", "decimal", precision=3), "bytes", b"\x03\xe8", "more digits than the 3 of its type"),
        (logical("bytes", "decimal", precision=3), "bytes", bytes([1] * 17), "more digits than the 3 of its type"),
    ],
)
def test_values_that_the_lake_cannot_hold_are_refused_by_name(
    tmp_path: Path, type_: Any, bare: str, value: Any, says: str
) -> None:
    schema = {"type": "record", "name": "r", "fields": [{"name": "a", "type": bare}]}
    root = avro(tmp_path / "in" / "x.avro", schema, [{"a": value}])
    content = (root / "x.avro").read_bytes()
    full = str(fastavro.parse_schema({**schema, "fields": [{"name": "a", "type": type_}]}))
    assert "logicalType" in full
    block = content[content.rindex(content[-16:], 0, -16) + 16 : -16]
    text = str({**schema, "fields": [{"name": "a", "type": type_}]}).replace("'", '"').encode()
    (root / "x.avro").write_bytes(of_zstd(1, block[2:], text))
    with pytest.raises(UnholdableValue, match=rf"x\.avro: .*{says}"):
        land(root, format_="avro")


def test_schemas_that_grow_without_end_are_refused(tmp_path: Path) -> None:
    """Each type holds the one before twice; a thousand million fields in all."""
    inner: Any = {"type": "record", "name": "t0", "fields": [{"name": "a", "type": "int"}]}
    for level in range(1, 31):
        fields = [{"name": "a", "type": inner}, {"name": "b", "type": f"t{level - 1}"}]
        inner = {"type": "record", "name": f"t{level}", "fields": fields}
    with pytest.raises(UnsupportedType, match="is part of a schema that is too large"):
        land(avro(tmp_path / "in" / "x.avro", inner, []), format_="avro")


def damaged(content: bytes) -> dict[str, bytes]:
    at = len(content) // 2
    return {
        "cut": content[:-100],
        "flip": content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :],
        "mark": content[:-1] + b"x",
        "short": content[:60],
        "magic": b"Obj\x02" + content[4:],
        "text": b"a,b\n1,2\n",
        "empty": b"",
        "schema": b"Obj\x01\x02\x16avro.schema\x04[]\0" + bytes(16),
        "codec": b"Obj\x01\x04\x14avro.codec\x06lzo\x16avro.schema\x04{}\0" + bytes(16),
        "endless": b"Obj\x01" + b"\xff" * 20,
        "huge": content[:-16] + content[-16:] + number(1) + number(2**20 - 1) + b"x",
    }


@pytest.mark.parametrize("what", damaged(bytes(200)))
def test_damaged_avro_is_refused_by_name(tmp_path: Path, what: str) -> None:
    """DuckDB would end it without a word, with as many records as it got at."""
    schema = {"type": "record", "name": "r", "fields": [{"name": "a", "type": "long"}, {"name": "b", "type": "string"}]}
    rows = [{"a": number, "b": "x" * (number % 50)} for number in range(3000)]
    root = avro(tmp_path / "in" / "x.avro", schema, rows, "deflate")
    (root / "x.avro").write_bytes(damaged((root / "x.avro").read_bytes())[what])
    with pytest.raises(UnreadableRecord, match=r"x\.avro"):
        land(root, format_="avro")


def test_text_in_avro_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    schema = b'{"type": "record", "name": "r", "fields": [{"name": "a", "type": "string"}]}'
    (tmp_path / "in" / "x.avro").write_bytes(of_zstd(1, number(2) + b"\xff\xfe", schema))
    with pytest.raises(UnreadableRecord, match=r"x\.avro"):
        land(tmp_path / "in", format_="avro")


def test_a_block_that_holds_other_records_than_it_says(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    schema = b'{"type": "record", "name": "r", "fields": [{"name": "a", "type": "string"}]}'
    (tmp_path / "in" / "x.avro").write_bytes(of_zstd(3, number(1) + b"x", schema))
    with pytest.raises(UnreadableRecord, match=r"x\.avro is damaged"):
        land(tmp_path / "in", format_="avro")


def test_noise_in_avro_raises_errors_of_our_tree(tmp_path: Path) -> None:
    root = avro(tmp_path / "in" / "x.avro", SCHEMA, [ROW] * 3)
    whole, rng = (root / "x.avro").read_bytes(), random.Random(4)
    for _ in range(60):
        content = bytearray(whole)
        for _ in range(rng.randint(1, 3)):
            content[rng.randrange(len(content))] = rng.randrange(256)
        (root / "x.avro").write_bytes(content)
        try:
            land(root, format_="avro")
        except HeadgateError as error:
            assert "x.avro" in error.detail, error.detail  # noqa: PT017
    assert not [*(tmp_path / "scratch").glob("*/*")]


ORC = {
    "boolean": (pa.bool_(), "boolean", True),
    "tiny": (pa.int8(), "int", -128),
    "int": (pa.int32(), "int", 5),
    "long": (pa.int64(), "long", 2**63 - 1),
    "float": (pa.float32(), "float", 0.5),
    "double": (pa.float64(), "double", 0.1),
    "text": (pa.string(), "string", "é\0😀"),
    "bytes": (pa.binary(), "binary", b"\0\xff"),
    "date": (pa.date32(), "date", date(1, 1, 1)),
    "at": (pa.timestamp("us"), "timestamp", datetime(1969, 1, 1, 1, 1, 1, 5)),
    "zoned": (pa.timestamp("us", "UTC"), "timestamptz", datetime(2262, 1, 1, 1, 1, 1, 5, UTC)),
    "decimal": (pa.decimal128(38, 10), "decimal(38,10)", Decimal("-" + "9" * 28 + ".0123456789")),
    "list": (pa.list_(pa.int64()), "list<long>", [1, None]),
    "struct": (pa.struct([("a", pa.string())]), "struct<a: string>", {"a": "x"}),
}


@pytest.mark.parametrize("compression", ["uncompressed", "zlib", "snappy", "zstd"])
def test_every_type_of_orc(tmp_path: Path, compression: str) -> None:
    (tmp_path / "in").mkdir()
    arrays = {name: pa.array([value, None], type_) for name, (type_, _, value) in ORC.items()}
    orc.write_table(pa.table(arrays), tmp_path / "in" / "x.orc", compression=compression)
    landed = land(tmp_path / "in", format_="orc")
    assert landed.types == {name: type_ for name, (_, type_, _) in ORC.items()}
    assert landed.data == [tuple(value for _, _, value in ORC.values()), (None,) * len(ORC)]


def test_orc_of_many_stripes_packed_and_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    table = pa.table({"a": range(20_000), "b": [f"{number * 7919:x}" for number in range(20_000)]})
    orc.write_table(table, tmp_path / "in" / "x.orc", stripe_size=10_000)
    with zipfile.ZipFile(tmp_path / "in" / "y.zip", "w") as archive:
        archive.write(tmp_path / "in" / "x.orc", "in/x.orc")
    assert orc.ORCFile(tmp_path / "in" / "x.orc").nstripes > 2
    landed = land(tmp_path / "in", format_="orc")
    assert landed.multiset == Counter([*zip(*table.to_pydict().values(), strict=True)] * 2)
    for files in (local_files(tmp_path / "in"), Files(Elsewhere(tmp_path / "in"), Scratch(tmp_path / "s", 10**9))):
        for name in ("x.orc", "y.zip"):
            assert files.detect(name) == {"format": "orc"}
            assert files.preview(Selection({"path": name}, {"format": "orc"}), 2).rows == ((0, "0"), (1, "1eef"))


@pytest.mark.parametrize("value", [datetime(2263, 1, 1), datetime(1600, 1, 1)])
def test_times_that_the_reader_of_orc_cannot_hold_are_refused(tmp_path: Path, value: datetime) -> None:
    (tmp_path / "in").mkdir()
    orc.write_table(pa.table({"a": pa.array([value], pa.timestamp("us"))}), tmp_path / "in" / "x.orc")
    with pytest.raises(UnreadableRecord, match=r"x\.orc .*out of range"):
        land(tmp_path / "in", format_="orc")


@pytest.mark.parametrize(
    ("type_", "value", "says"),
    [
        (pa.map_(pa.string(), pa.int64()), {"k": 1}, "'a' of the type map"),
        (pa.dense_union([pa.field("x", pa.int64()), pa.field("y", pa.string())]), None, "'a', a union"),
    ],
)
def test_types_of_orc_that_the_lake_has_not(tmp_path: Path, type_: pa.DataType, value: Any, says: str) -> None:
    (tmp_path / "in").mkdir()
    array = (
        pa.UnionArray.from_dense(
            pa.array([0, 1], pa.int8()), pa.array([0, 0], pa.int32()), [pa.array([5]), pa.array(["z"])], ["x", "y"]
        )
        if value is None
        else pa.array([value], type_)
    )
    orc.write_table(pa.table({"a": array}), tmp_path / "in" / "x.orc")
    with pytest.raises(UnsupportedType, match=rf"x\.orc has the column {says}"):
        land(tmp_path / "in", format_="orc")


@pytest.mark.parametrize("content", [b"", b"ORC", b"ORC" + bytes(500), b"a,b\n1,2\n" * 20])
def test_damaged_orc_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "x.orc").write_bytes(content)
    with pytest.raises(UnreadableRecord, match=r"x\.orc is not"):
        land(tmp_path / "in", format_="orc")


class Keys(encryption.KmsClient):  # type: ignore[misc]
    """Keeps no secret."""

    def __init__(self, _config: Any) -> None:
        super().__init__()

    def wrap_key(self, key_bytes: bytes, _master_key: str) -> bytes:
        return key_bytes.hex().encode()

    def unwrap_key(self, wrapped_key: bytes, _master_key: str) -> bytes:
        return bytes.fromhex(wrapped_key.decode())


@pytest.mark.parametrize("plain_footer", [False, True])
def test_encrypted_parquet_is_refused(tmp_path: Path, plain_footer: bool) -> None:
    """With a footer that anyone may read, too: pyarrow ends the process when asked about such a column."""
    (tmp_path / "in").mkdir()
    about = encryption.EncryptionConfiguration(footer_key="f", column_keys={"c": ["b"]}, plaintext_footer=plain_footer)
    keys = encryption.CryptoFactory(Keys).file_encryption_properties(encryption.KmsConnectionConfig(), about)
    table = pa.table({"a": [1, 2], "b": ["x", "y"]})
    with pq.ParquetWriter(tmp_path / "in" / "x.parquet", table.schema, encryption_properties=keys) as writer:
        writer.write_table(table)
    with pytest.raises(UnreadableRecord, match=r"x\.parquet .*encrypted"):
        land(tmp_path / "in", format_="parquet")
    with pytest.raises(UnreadableRecord, match=r"x\.parquet .*encrypted"):
        local_files(tmp_path / "in").preview(Selection({"path": "x.parquet"}, {"format": "parquet"}), 5)


def test_parquet_in_an_archive(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"a": [1, 2], "b": ["x", "y"]}), buffer)
    (tmp_path / "in").mkdir()
    with zipfile.ZipFile(tmp_path / "in" / "x.zip", "w") as archive:
        archive.writestr("a.parquet", buffer.getvalue())
    assert land(tmp_path / "in", format_="parquet").multiset == Counter([(1, "x"), (2, "y")])
    files = local_files(tmp_path / "in")
    assert files.detect("x.zip") == {"format": "parquet"}
    assert files.preview(Selection({"path": "x.zip"}, {"format": "parquet"}), 1).rows == ((1, "x"),)
