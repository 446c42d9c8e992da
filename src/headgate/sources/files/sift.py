"""Files with records that cannot be read: a copy without them is read instead, and they are told of.

DuckDB can skip such records itself, but then (1.5.5) loses others with them in large files: see docs/adr.
"""

import csv
import json
import re
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import NoReturn

from headgate.errors import SourceError, UnreadableRecord
from headgate.rejects import LONGEST, MOST, Reject, Rejects
from headgate.sources.files.delimited import Dialect, is_gzip, open_text
from headgate.sources.interface import FileRef

__all__ = ["Piece", "delimited_pieces", "json_pieces", "located", "sifted"]

_LONGEST_RECORD = 2_000_000  # of delimited text; DuckDB reads no longer ones
_LONGEST_LINE = 16 * 1024 * 1024  # of JSON, likewise
_MOST_UNCLOSED = 1000
_BLOCK = 64  # lines that are looked at together
_AT_A_TIME = 1024 * 1024
_GZIP = 31  # zlib's word for gzip's form
NO_TEXT = "The text is not in the encoding of the file."
_CONTROLS = re.compile("[\x80-\x9f]")
csv.field_size_limit(_LONGEST_RECORD)


@dataclass(frozen=True, slots=True)
class Piece:
    """A record as it stands in a file from `line` on: its text, its fields as far as it has some, what is wrong.

    Or several that nothing is wrong with, without their fields.
    """

    line: int
    text: str
    fields: tuple[str, ...] = ()
    fault: str = ""


def sifted(
    file: FileRef,
    dialect: Dialect,
    pieces: Callable[[Iterator[str], Dialect], Iterable[Piece]],
    rejects: Rejects,
) -> Iterator[bytes]:
    """The readable records of `file`, packed as it is, some at a time; the others are added to `rejects`.

    Raises UnreadableRecord.
    """
    code, count, message = UnreadableRecord.code, 0, ""
    packer = zlib.compressobj(1, wbits=_GZIP) if is_gzip(file.path, dialect.gzip) else None
    with open_text(file.path, dialect.encoding, dialect.gzip, errors="surrogateescape") as text:
        for some in _some(pieces(text, dialect)):
            good = b"".join(piece.text.encode(dialect.encoding) for piece in some if not piece.fault)
            yield good if packer is None else packer.compress(good)
            for piece in some:
                if not piece.fault:
                    continue
                count, message = count + 1, message or piece.fault
                if len(rejects.kept) < MOST:
                    shown = piece.text[:LONGEST].encode(errors="surrogateescape").decode(errors="replace")
                    reject = Reject(code, piece.fault, file=file.original or file.path, line=piece.line)
                    rejects.kept.append(replace(reject, text=shown.rstrip("\r\n")))
    if packer is not None:
        yield packer.flush()
    if count:
        rejects.reasons[code] = (count, message)


def _some(pieces: Iterable[Piece]) -> Iterator[list[Piece]]:
    """The pieces in lists of about a megabyte."""
    some, size = [], 0
    for piece in pieces:
        some.append(piece)
        size += len(piece.text)
        if size >= _AT_A_TIME or len(some) >= _AT_A_TIME // 100:
            yield some
            some, size = [], 0
    yield some


def delimited_pieces(text: Iterator[str], dialect: Dialect, *, each: bool = False) -> Iterator[Piece]:
    """The records of delimited text, `each` by itself. Of one that is not closed, only its first line is taken for bad.

    Raises UnreadableRecord when the header is bad, or so much that reading on would take too long.
    """
    lines, unclosed, width = _Lines(text), 0, 0
    records = csv.reader(lines, delimiter=dialect.delimiter, strict=True)
    while True:
        lines.begin()
        if width and not each and (some := lines.block(width, dialect)):
            yield Piece(lines.number, some)
            continue
        try:
            fields = next(records, None)
        except csv.Error as error:
            fault = _UNREADABLE.get(str(error), "A quoted field is not closed properly.")
            unclosed += len(lines.taken) > 1
            if unclosed > _MOST_UNCLOSED:
                raise UnreadableRecord(
                    f"Line {lines.number}: more than {_MOST_UNCLOSED} quoted fields are not closed properly."
                ) from None
            yield Piece(lines.number, lines.give_back(), fault=fault)
            records = csv.reader(lines, delimiter=dialect.delimiter, strict=True)
            continue
        if fields is None:
            return
        width = width or len(fields)
        record = "".join(lines.taken)
        fault = _fault(fields, width, record, dialect)
        if fault and lines.number == 1 and dialect.header:
            raise UnreadableRecord(f"Line 1, the names of the columns: {fault}")
        yield Piece(lines.number, record, tuple(fields[:width]), fault)


def json_pieces(text: Iterator[str], dialect: Dialect) -> Iterator[Piece]:  # noqa: ARG001 - as of delimited text
    """The records of lines of JSON."""
    for number, line in enumerate(text, 1):
        yield Piece(number, line, fault=_json_fault(line) if line.strip() else "")


def located(
    rejects: Iterable[Reject], path: str, dialect: Dialect, format_: str, stopped: Callable[[], bool] = bool
) -> Iterator[Reject]:
    """The rejected records of the file at `path`, with the lines they are on, as far as their values are found again.

    Raises SourceError once it is `stopped`.
    """
    names: tuple[str, ...] = ()
    wanted: dict[tuple[str, ...], deque[Reject]] = {}
    for reject in rejects:
        if reject.record is None:
            yield reject
        else:
            record = json.loads(reject.record, parse_int=str, parse_float=str)  # as they are written
            names = tuple(sorted(record))
            wanted.setdefault(tuple(_written(record[name]) for name in names), deque()).append(reject)
    values_of = _delimited_values if format_ == "delimited" else _json_values
    with open_text(path, dialect.encoding, dialect.gzip, errors="surrogateescape") as text:
        for line, values in values_of(text, dialect, names) if wanted else ():
            _go_on(stopped)
            if same := wanted.get(values):
                yield replace(same.popleft(), line=line)
                if not same:
                    del wanted[values]
            if not wanted:
                break
    for rest in wanted.values():
        yield from rest


def _delimited_values(
    text: Iterator[str], dialect: Dialect, names: tuple[str, ...]
) -> Iterator[tuple[int, tuple[str, ...]]]:
    """The lines of the records, with their values in the order of `names`."""
    places: list[int] | None = None
    for piece in delimited_pieces(text, dialect, each=True):
        if places is None:
            header = [name if name and dialect.header else f"column{at}" for at, name in enumerate(piece.fields, 1)]
            if not set(names) <= set(header):
                return
            places = [header.index(name) for name in names]
            if dialect.header:
                continue
        if piece.fields and not piece.fault:
            yield piece.line, tuple(piece.fields[place] for place in places)


def _json_values(
    text: Iterator[str],
    dialect: Dialect,  # noqa: ARG001 - as of delimited text
    names: tuple[str, ...],
) -> Iterator[tuple[int, tuple[str, ...]]]:
    """The lines of the records, with their values in the order of `names`; none of an array of objects."""
    for number, line in enumerate(text, 1):
        if line.lstrip().startswith("["):
            return
        if line.strip() and not _json_fault(line):
            record = json.loads(line, parse_int=str, parse_float=str)
            yield number, tuple(_written(record.get(name)) for name in names)


def _go_on(stopped: Callable[[], bool]) -> None:
    if stopped():
        raise SourceError("Reading the files was broken off.")


def _written(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


@dataclass(slots=True)
class _Lines:
    """The lines of a text, as a reader takes them, who may give all but the first of a record back."""

    source: Iterator[str]
    number: int = 1
    taken: list[str] = field(default_factory=list)
    _back: deque[str] = field(default_factory=deque)
    _length: int = 0

    def begin(self) -> None:
        """What is taken from here on belongs to the next record."""
        self.number += len(self.taken)
        self.taken, self._length = [], 0

    def block(self, width: int, dialect: Dialect) -> str:
        """The next lines together, when all are plain records; else nothing, and they are read by themselves."""
        if self._back:
            return ""
        lines = [*islice(self.source, _BLOCK)]
        if lines and _is_plain(lines, width, dialect):
            self.taken = lines
            return "".join(lines)
        self._back.extend(lines)
        return ""

    def give_back(self) -> str:
        """Keep the first line that was taken; it."""
        self._back.extendleft(reversed(self.taken[1:]))
        del self.taken[1:]
        return self.taken[0]

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._back.popleft() if self._back else next(self.source)
        self.taken.append(line)
        self._length += len(line)
        if self._length > _LONGEST_RECORD:
            raise csv.Error(_TOO_LONG)
        return line


_TOO_LONG = "too long"
_UNREADABLE = {_TOO_LONG: "A record is longer than 2 MB, or a quoted field is not closed properly."}


def _is_plain(lines: list[str], width: int, dialect: Dialect) -> bool:
    """Whether every line is a record of `width` fields without quotes, which takes no reader to see."""
    text = "".join(lines)
    return (
        '"' not in text
        and len(text) < _LONGEST_RECORD
        and {line.count(dialect.delimiter) for line in lines} == {width - 1}
        and _is_text(text, dialect.encoding)
    )


def _fault(fields: list[str], width: int, record: str, dialect: Dialect) -> str:
    if not _is_text(record, dialect.encoding):
        return NO_TEXT
    if not fields or len(fields) == width or (len(fields) == width + 1 and not fields[-1]):  # as DuckDB takes them
        return ""
    return f"The record has {len(fields)} fields, where {width} are expected."


def _json_fault(line: str) -> str:
    if not _is_text(line, "utf-8"):
        return NO_TEXT
    if len(line) > _LONGEST_LINE:
        return "The record is longer than 16 MB."
    try:
        record = _JSON.decode(line)
    except RecursionError:
        return "The record is nested too deeply."
    except ValueError as error:
        return f"The line is not JSON: {error}."
    return "" if isinstance(record, Mapping) else "The line is JSON, but not an object."


def _no_json(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number")


_JSON = json.JSONDecoder(parse_constant=_no_json)


def _is_text(line: str, encoding: str) -> bool:
    """Whether the line was decoded; what was not stands in it as lone surrogates.

    DuckDB takes no control characters from the upper half of latin-1, where Windows has letters.
    """
    if line.isascii():
        return True
    if encoding == "latin-1" and _CONTROLS.search(line):
        return False
    try:
        line.encode()
    except UnicodeEncodeError:
        return False
    return True
