"""Avro, as Parquet: the blocks are taken apart here, and DuckDB decodes what is in them.

DuckDB (1.5.5) ends a damaged or truncated file without a word, holds the whole file in memory, knows few codecs, leaves
decimals as bytes and drops the zone of times. So it is given some whole blocks at a time, with the bare types alone,
and what comes back is counted.
"""

import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import IO, Any

import duckdb
import pyarrow as pa

from headgate import dataplane
from headgate.dataplane import literal
from headgate.errors import UnreadableRecord
from headgate.sources.files.avro_types import bare_fields, columns_of
from headgate.sources.files.copies import Copies
from headgate.sources.files.packing import Budget, damage, inflated
from headgate.sources.files.rewriting import as_parquet
from headgate.sources.interface import FileRef

__all__ = ["MAGIC", "decoded"]

MAGIC = b"Obj\x01"
_SYNC = 16
_MOST_HEADER = 16 * 1024 * 1024
_MOST_BLOCK = 256 * 1024 * 1024
_PART = 8 * 1024 * 1024
_INFLATED = {"bzip2": "bzip2", "xz": "xz", "zstandard": "zstd"}
_MARK = bytes(_SYNC)
_ROWS = 50_000


def decoded(
    content: IO[bytes], file: FileRef, name: str, copies: Copies, *, most: int | None = None
) -> Iterator[bytes]:
    """The Avro file in `content` as Parquet; no more than its first `most` records or so, if that is given.

    `name` is what errors call it; parts of it go to `copies` for a moment. Raises UnreadableRecord, UnholdableValue,
    UnsupportedType.
    """
    container = _Container(content, name)
    columns = columns_of(container.schema, name)
    types = [*columns.values()]
    head = _header({"type": "record", "name": "r", "fields": bare_fields(types)})
    schema = pa.schema([(column, type_.arrow) for column, type_ in columns.items()])

    def batches() -> Iterator[pa.RecordBatch]:
        seen = 0
        with dataplane.lent() as connection:
            dataplane.load(connection, "avro")
            for count, blocks in container.parts(Budget(file, name), _PART if most is None else 1):
                part = copies.write(file, [head, *blocks], suffix=".avro")
                seen += count
                try:
                    yield from _batches(connection, part.path, count, name)
                finally:
                    copies.drop(part)
                if most is not None and seen >= most:
                    return

    return as_parquet(
        (
            pa.RecordBatch.from_arrays(
                [type_.values(bare) for type_, bare in zip(types, batch.columns, strict=True)], schema=schema
            )
            for batch in batches()
        ),
        schema,
    )


class _Container:
    """The file around the blocks. Raises UnreadableRecord."""

    def __init__(self, content: IO[bytes], name: str) -> None:
        self._content = content
        self._name = name
        with self._damage():
            if content.read(len(MAGIC)) != MAGIC:
                raise ValueError("it does not begin as Avro does")
            about = dict(self._metadata())
            self.schema: Any = json.loads(about["avro.schema"])
            self._codec = about.get("avro.codec", b"null").decode()
            self._mark = self._read(_SYNC)
        if self._codec not in ("null", "deflate", "snappy", *_INFLATED):
            raise UnreadableRecord(f"{name} is compressed with {self._codec[:40]!r}, which is not read.", path=name)

    def parts(self, budget: Budget, least: int) -> Iterator[tuple[int, list[bytes]]]:
        """The blocks, of `least` bytes together: how many records they hold, and what they are in a file of ours."""
        held, size, blocks = 0, 0, list[bytes]()
        for count, data in self._blocks():
            blocks += [_long(count), _long(len(data)), *budget.bounded(iter([data])), _MARK]
            held, size = held + count, size + len(data)
            if size >= least:
                yield held, blocks
                held, size, blocks = 0, 0, []
        if held:
            yield held, blocks

    def _blocks(self) -> Iterator[tuple[int, bytes]]:
        while True:
            with self._damage():
                if not (start := self._content.read(1)):
                    return
                count = self._long(start)
                data = self._inflated(self._read(self._long()))
                if self._read(_SYNC) != self._mark:
                    raise ValueError("a block does not end where it should")
                if count < 0:
                    raise ValueError("a block holds a negative number of records")
            yield count, data

    def _inflated(self, data: bytes) -> bytes:
        if self._codec == "null":
            return data
        if self._codec == "snappy":
            size = self._size_of(data)
            data, check = data[:-4], int.from_bytes(data[-4:], "big")
            plain: bytes = pa.Codec("snappy").decompress(data, size, asbytes=True)
            if zlib.crc32(plain) != check:
                raise ValueError("a block does not have its checksum")
            return plain
        if self._codec == "deflate":
            decoder = zlib.decompressobj(-zlib.MAX_WBITS)
            plain = decoder.decompress(data, _MOST_BLOCK)
            if not decoder.eof:  # some writers leave a part of zlib's checksum behind the end
                raise ValueError(f"a block is cut off, or larger than {_MOST_BLOCK} bytes")
            return plain
        pieces, size = [], 0
        for piece in inflated(_INFLATED[self._codec], BytesIO(data)):
            pieces.append(piece)
            size = self._checked(size + len(piece))
        return b"".join(pieces)

    def _size_of(self, data: bytes) -> int:
        """What a block of snappy unpacks to, which stands at its beginning."""
        size = 0
        for place, byte in enumerate(data[:5]):
            size |= (byte & 0x7F) << (7 * place)
            if byte < 0x80:
                return self._checked(size)
        raise ValueError("a block does not begin as snappy does")

    def _metadata(self) -> Iterator[tuple[str, bytes]]:
        while count := self._long():
            if count < 0:  # then the size of this part follows
                self._long()
            for _ in range(abs(count)):
                key = self._read(self._long())
                yield key.decode(), self._read(self._long())

    def _long(self, start: bytes = b"") -> int:
        """The number that is next; its first byte may be `start`."""
        value = shift = 0
        while True:
            [byte], start = start or self._read(1), b""
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return (value >> 1) ^ -(value & 1)
            shift += 7
            if shift > 63:
                raise ValueError("a number is too long")

    def _read(self, size: int) -> bytes:
        data = self._content.read(self._checked(size))
        if len(data) != size:
            raise EOFError("it is cut off")
        return data

    def _checked(self, size: int) -> int:
        if not 0 <= size <= _MOST_BLOCK:
            raise ValueError(f"a block has {size} bytes; {_MOST_BLOCK} are the most that are read")
        return size

    @contextmanager
    def _damage(self) -> Iterator[None]:
        with damage(self._name, "Avro"):
            try:
                yield
            except (KeyError, RecursionError, pa.ArrowException) as error:
                raise ValueError(str(error) or "its schema is nested too deeply") from None


def _batches(connection: duckdb.DuckDBPyConnection, path: str, count: int, name: str) -> Iterator[pa.RecordBatch]:
    """The records of a part, `count` of them, with bare types."""
    found = 0
    try:
        for batch in connection.sql(f"FROM read_avro({literal(path)})").to_arrow_reader(_ROWS):
            found += batch.num_rows
            yield batch
    except duckdb.Error as error:
        raise UnreadableRecord(f"{name} is damaged: {str(error).splitlines()[0][:200]}", path=name) from None
    if found != count:
        raise UnreadableRecord(f"{name} is damaged: of {count} records only {found} can be read.", path=name)


def _header(schema: Any) -> bytes:
    """The beginning of a file of ours, with blocks as they are."""
    about = {"avro.schema": json.dumps(schema).encode(), "avro.codec": b"null"}
    parts = [MAGIC, _long(len(about))]
    for key, value in about.items():
        parts += [_long(len(key)), key.encode(), _long(len(value)), value]
    return b"".join([*parts, _long(0), _MARK])


def _long(value: int) -> bytes:
    """A number as Avro writes it: zigzag, seven bits a byte."""
    value = (value << 1) ^ (value >> 63)
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)
