"""How files are packed, and what is in those that are packed as one stream: gzip, bzip2, deflate, zstd and xz.

Python's own readers of such files take one that ends too early, or goes on after its end, for a whole one in some of
these forms; here every stream must end as its format says, and nothing but another stream may follow.
"""

import bz2
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any, Protocol

import zstandard

from headgate.errors import BadParameter, UnreadableRecord
from headgate.sources.interface import FileRef

__all__ = ["COMPRESSION_TYPES", "Budget", "Packing", "Unpacked", "damage", "inflated"]

_READ = 64 * 1024
_PIECE = 1024 * 1024
_FED = 2048  # what zstd is given at a time: it unpacks to 64 MB at most
_MOST_RATIO = 200  # what real data packs to stays well below
_MOST_BYTES = 1 << 30
_MOST_MEMORY = 128 * 1024 * 1024  # of xz; zstd has the same limit by itself


@dataclass(frozen=True, slots=True)
class Packing:
    """How a file is packed: a `stream` (gzip, bzip2, deflate, zstd or xz), which may hold an `archive` (zip or tar)."""

    stream: str = ""
    archive: str = ""

    @classmethod
    def declared(cls, compression_type: object) -> "Packing | None":
        """The packing that a source connection declares; None when each file's name tells. Raises BadParameter."""
        word = str(compression_type or "none").lower()
        if word not in _DECLARED:
            raise BadParameter(
                f"`compressionType` is {str(compression_type)[:40]!r}; send one of {', '.join(COMPRESSION_TYPES)}.",
                parameter="compressionType",
            )
        return _DECLARED[word]

    @classmethod
    def named(cls, name: str) -> "Packing":
        """The packing that the end of a file's name tells of."""
        name = name.lower()
        stream = next((word for end, word in _STREAMS.items() if name.endswith(end)), "")
        inner = name.rpartition(".")[0] if stream else name
        archive = next((word for word in ("tar", "zip") if inner.endswith(f".{word}")), "")
        return _SHORT.get(name.rpartition(".")[2]) or cls(stream, archive)

    @property
    def word(self) -> str:
        """What a source connection declares it by; empty when it has none, or nothing is packed."""
        return next((word for word in COMPRESSION_TYPES if _DECLARED[word.lower()] == self), "")

    def __str__(self) -> str:
        return ".".join(
            word for word in (self.archive, next((e[1:] for e, w in _STREAMS.items() if w == self.stream), "")) if word
        )

    def __bool__(self) -> bool:
        return bool(self.stream or self.archive)


_STREAMS = {
    ".gz": "gzip",
    ".bz2": "bzip2",
    ".deflate": "deflate",
    ".zst": "zstd",
    ".zstd": "zstd",
    ".xz": "xz",
}
_SHORT = {"tgz": Packing("gzip", "tar"), "tbz2": Packing("bzip2", "tar"), "txz": Packing("xz", "tar")}
_DECLARED = {
    "none": None,
    "gzip": Packing("gzip"),
    "bzip2": Packing("bzip2"),
    "deflate": Packing("deflate"),
    "zipdeflate": Packing("", "zip"),
    "tar": Packing("", "tar"),
    "targzip": Packing("gzip", "tar"),
    "zstd": Packing("zstd"),
    "xz": Packing("xz"),
}
COMPRESSION_TYPES = ("none", "gzip", "bzip2", "deflate", "zipDeflate", "tar", "tarGzip", "zstd", "xz")


_DAMAGE = (
    EOFError,
    OSError,
    OverflowError,
    ValueError,
    lzma.LZMAError,
    struct.error,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    zstandard.ZstdError,
)


class _Decoder(Protocol):
    """What Python's bz2 has; the others are made alike."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Zlib:
    def __init__(self, wbits: int) -> None:
        self._decoder = zlib.decompressobj(wbits)

    @property
    def eof(self) -> bool:
        return self._decoder.eof

    @property
    def needs_input(self) -> bool:
        return not self._decoder.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._decoder.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._decoder.decompress(self._decoder.unconsumed_tail + data, max_length)


class _Zstd:
    """Windows of more than 128 MB are refused by the library itself."""

    def __init__(self) -> None:
        self._decoder = zstandard.ZstdDecompressor().decompressobj()
        self._rest = b""

    @property
    def eof(self) -> bool:
        return self._decoder.eof

    @property
    def needs_input(self) -> bool:
        return not self._rest

    @property
    def unused_data(self) -> bytes:
        return self._decoder.unused_data + self._rest

    def decompress(self, data: bytes, max_length: int) -> bytes:  # noqa: ARG002 - as the others
        data = self._rest + data
        self._rest = data[_FED:]
        return self._decoder.decompress(data[:_FED])


def _decoders(stream: str, start: bytes) -> Callable[[], _Decoder]:
    """What makes a decoder for each of the streams of a file that begins with `start`."""
    if stream == "bzip2":
        return bz2.BZ2Decompressor
    if stream == "zstd":
        return _Zstd
    if stream == "xz":
        return lambda: lzma.LZMADecompressor(memlimit=_MOST_MEMORY)
    if stream == "gzip":
        return lambda: _Zlib(16 + zlib.MAX_WBITS)
    wbits = zlib.MAX_WBITS if _has_zlib_header(start) else -zlib.MAX_WBITS  # deflate: the name stands for both
    return lambda: _Zlib(wbits)


def _has_zlib_header(start: bytes) -> bool:
    if len(start) < 2 or start[0] & 0x0F != zlib.DEFLATED or int.from_bytes(start[:2], "big") % 31:
        return False
    try:
        zlib.decompressobj(zlib.MAX_WBITS).decompress(start, _PIECE)
    except zlib.error:
        return False  # it only looks like the header
    return True


def inflated(stream: str, raw: IO[bytes]) -> Iterator[bytes]:
    """What is packed in `raw`, in pieces of at most 1 MB; 64 MB of zstd."""
    rest = raw.read(_READ)
    make = _decoders(stream, rest)
    decoder, ended = make(), True
    while True:
        if not rest and (ended or decoder.needs_input):
            rest = raw.read(_READ)
            if not rest:
                break
        if ended:
            decoder = make()
        if piece := decoder.decompress(rest, _PIECE):
            yield piece
        ended = decoder.eof
        rest = decoder.unused_data if ended else b""
    while not ended and (piece := decoder.decompress(b"", _PIECE)):
        yield piece
        ended = decoder.eof
    if not ended:
        raise EOFError("it is cut off")


class Budget:
    """How much may come out of a packed file before it is taken for a bomb."""

    def __init__(self, file: FileRef, name: str) -> None:
        self._name, self._size = name, file.size
        self._most = file.size * _MOST_RATIO + _MOST_BYTES
        self._taken = 0

    def bounded(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """`pieces`, counted together with all others. Raises UnreadableRecord."""
        for piece in pieces:
            self._taken += len(piece)
            if self._taken > self._most:
                raise UnreadableRecord(
                    f"{self._name} has {self._size} bytes and unpacks to more than {self._most}; the limit is "
                    f"{_MOST_RATIO} times its size and {_MOST_BYTES} bytes. Pack it into smaller files.",
                    path=self._name,
                )
            yield piece


class Unpacked(io.RawIOBase):
    """What is packed as a `stream` in `raw`, to be read once from the beginning; `raw` itself without one.

    It can be sought forward. Reading raises what `damage()` turns into errors of our tree.
    """

    def __init__(self, raw: IO[bytes], stream: str, budget: Budget) -> None:
        super().__init__()
        plain = iter(lambda: raw.read(_PIECE), b"")
        self._pieces = budget.bounded(inflated(stream, raw)) if stream else plain
        self._piece = memoryview(b"")
        self._at = 0

    def __iter__(self) -> Iterator[bytes]:
        """The rest, piece by piece."""
        if self._piece:
            yield bytes(self._piece)
        yield from self._pieces

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer` as far as it can be done at once."""
        if not self._piece:
            self._piece = memoryview(next(self._pieces, b""))
        with memoryview(buffer) as target:
            size = min(len(target), len(self._piece))
            target[:size] = self._piece[:size]
        self._piece = self._piece[size:]
        self._at += size
        return size

    def tell(self) -> int:
        """How much has been read."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go forward. Raises OSError for going back."""
        if whence != io.SEEK_SET or offset < self._at:
            raise io.UnsupportedOperation("it cannot be read twice")
        while self._at < offset and (skipped := self.read(min(_PIECE, offset - self._at))):
            del skipped
        return self._at


@contextmanager
def damage(name: str, form: str) -> Iterator[None]:
    """Turns what is raised for a damaged file of the `form` into UnreadableRecord, which names it."""
    try:
        yield
    except NotImplementedError as error:  # of zip
        raise UnreadableRecord(f"{name} is packed in a way that is not read: {error}.", path=name) from None
    except RecursionError:  # tarfile reads a header that belongs to another one inside of it
        raise UnreadableRecord(f"{name} is not a complete {form} file: its headers never end.", path=name) from None
    except _DAMAGE as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the system's own; what the decoders raise has no number
        reason = str(error).rstrip(".") or type(error).__name__
        raise UnreadableRecord(f"{name} is not a complete {form} file: {reason}.", path=name) from None
