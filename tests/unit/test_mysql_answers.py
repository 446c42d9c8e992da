"""Rows of MySQL's text protocol, cut anywhere by the network."""

import random
from collections.abc import Sequence

import pyarrow as pa
import pytest

from headgate.sources.sql.mysql.answers import WORD, Lost, Refused, batches_of, packed

SCHEMA = pa.schema([("c0", pa.string()), ("c1", pa.int64()), ("c2", pa.binary()), ("c3", WORD)])
END = b"\x05\0\0\x09\xfe\0\0\x02\0"
TEXTS = [b"", b"a\x1fb\nc", None, b"\\N", b"x" * 250, b"y" * 251, b"\xff" * 70_000, "žluť😀".encode()]


def lenenc(value: bytes | None) -> bytes:
    if value is None:
        return b"\xfb"
    size = len(value)
    if size < 251:
        return bytes([size]) + value
    if size < 1 << 16:
        return b"\xfc" + size.to_bytes(2, "little") + value
    return (b"\xfd" + size.to_bytes(3, "little") if size < 1 << 24 else b"\xfe" + size.to_bytes(8, "little")) + value


def packets(payload: bytes) -> bytes:
    parts = [payload[at : at + 0xFFFFFF] for at in range(0, len(payload) + 1, 0xFFFFFF)]
    return b"".join(len(part).to_bytes(3, "little") + b"\7" + part for part in parts)


def row(text: bytes | None, number: int | None, data: bytes | None, word: str | None) -> bytes:
    both = "\x1f".join("\\N" if value is None else str(value) for value in (number, word))
    return packets(lenenc(both.encode()) + lenenc(text) + lenenc(data))


def answered(stream: bytes, cuts: random.Random) -> list[dict[str, object]]:
    at = 0

    def read(size: int) -> bytes:
        nonlocal at
        found, at = stream[at : at + size], at + size
        return found

    def some(size: int) -> bytes:
        return read(min(size, cuts.choice((1, 2, 3, 5, 100, 4096, 16_384, 65_536))))

    return [found for batch in batches_of(read, some, SCHEMA) for found in batch.to_pylist()]


@pytest.mark.parametrize("seed", range(5))
def test_rows_arrive_however_they_are_cut(seed: int) -> None:
    cuts = random.Random(seed)
    wanted = [
        (cuts.choice(TEXTS), cuts.choice((None, -(2**63), 0, 7)), cuts.choice(TEXTS), cuts.choice((None, "2013-01-01")))
        for _ in range(400)
    ]
    stream = b"".join(row(*each) for each in wanted) + END
    found = answered(stream, cuts)
    assert [tuple(each.values()) for each in found] == wanted


@pytest.mark.parametrize("size", [0xFFFFFF - 9, 0xFFFFFF - 8, 0xFFFFFF, 2 * 0xFFFFFF])
def test_a_row_goes_on_in_the_next_packet(size: int) -> None:
    wanted: Sequence[tuple[bytes | None, int | None, bytes | None, str | None]] = [
        (b"a", 1, b"b" * size, None),
        (None, 2, b"", "w"),
    ]
    found = answered(b"".join(row(*each) for each in wanted) + END, random.Random(1))
    assert [tuple(each.values()) for each in found] == list(wanted)


def test_an_answer_that_ends_early_is_lost() -> None:
    stream = row(b"a", 1, b"b" * 100_000, None) + row(b"a", 1, b"b" * 0x1000000, None)
    for end in (0, 3, 50, 50_000, len(stream) - 1, len(stream)):
        with pytest.raises(Lost):
            answered(stream[:end], random.Random(end))


def test_an_error_in_place_of_a_row_is_told() -> None:
    failure = packets(b"\xff\x25\x05#70100Query execution was interrupted")
    with pytest.raises(Refused) as caught:
        answered(row(b"a", 1, b"b", None) + failure, random.Random(1))
    assert caught.value.args == (1317, "Query execution was interrupted")


def test_a_number_that_is_missing_is_no_null() -> None:
    with pytest.raises(Refused, match="max_allowed_packet"):
        answered(packets(b"\xfb" + lenenc(b"a") + lenenc(b"b")) + END, random.Random(1))


def test_numbers_are_packed_and_texts_are_not() -> None:
    assert packed("SELECT 1", SCHEMA) == (
        "SELECT CONCAT(IFNULL(`c1`, '\\N'), '\x1f', IFNULL(`c3`, '\\N')), `c0`, `c2` FROM (SELECT 1) AS rows_"
    )
