"""What DuckDB says about a file, as errors of our tree that name the file, the line and the column.

DuckDB counts records, or nothing, where a person counts lines; so the line is looked up in the file, once a
read has failed.
"""

import csv
import gzip
import json
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import IO, Any

import duckdb

from headgate.errors import (
    HeadgateError,
    SourceAccessDenied,
    SourceChanged,
    SourceError,
    UnholdableValue,
    UnreadableRecord,
)
from headgate.sources.interface import FileRef

__all__ = ["FAULT", "not_utf8", "translate"]

_CONTROLS = re.compile(rb"[\x80-\x9f]")
FAULT = "headgate:"
"""What the message of an error() in our own SQL begins with; a JSON array follows."""


def translate(error: Exception, files: Iterable[FileRef] = ()) -> HeadgateError:
    """The error of our tree for `error`, raised by DuckDB while it read `files`, which some errors do not name."""
    if isinstance(error, HeadgateError):
        return error
    text = str(error)
    if isinstance(error, duckdb.OutOfMemoryException):
        return SourceError("The files need more memory than a split may use; raise HEADGATE_DUCKDB_MEMORY.")
    if "File is not latin-1 encoded" in text:
        return _not_latin1(files)
    for pattern, told in _TOLD.items():
        if found := re.search(pattern, text, re.DOTALL):
            return told(found)
    reason = text.splitlines()[0] if text else type(error).__name__
    return SourceError(f"The files could not be read: {reason[:300]}")


def _value(found: re.Match[str]) -> HeadgateError:
    type_, column, path, value, dialect = json.loads(found[1])
    line = None
    if dialect:
        index = dialect["index"]
        line = _line(
            path,
            dialect["encoding"],
            dialect["delimiter"],
            lambda record: len(record) > index and record[index][:200] == value,
            skip=dialect["header"],
        )
    return UnholdableValue(
        f"{_place(path, line)}: the column {column!r} holds {value!r}, which is not a {type_}; "
        "declare the column as string in `params.columns`, or correct the file.",
        path=path,
        column=column,
    )


def _ragged(found: re.Match[str]) -> HeadgateError:
    wanted, got, path, delimiter = int(found[1]), int(found[2]), found[3], found[4]
    line = _line(path, _like(path, delimiter), delimiter, lambda record: len(record) != wanted)
    return UnreadableRecord(
        f"{_place(path, line)}: a record has {got} fields, where {wanted} are expected. Is `columnDelimiter` right?",
        path=path,
    )


def _unclosed(found: re.Match[str]) -> HeadgateError:
    line = _line(found[1], _like(*found.groups()), found[2], lambda record: False)  # noqa: ARG005 - every record is the one
    return UnreadableRecord(f"{_place(found[1], line)}: a quoted field is not closed properly.", path=found[1])


def not_utf8(path: str) -> SourceError:
    """What to say of a file whose bytes are not UTF-8."""
    place = _place(path, _undecodable(path))
    advice = "Name the `encoding` of delimited text; JSON must be UTF-8."
    return UnreadableRecord(f"{place}: the text is not utf-8. {advice}", path=path)


def _not_latin1(files: Iterable[FileRef]) -> SourceError:
    for file in files:
        with _lines(file.path) as lines:
            for number, line in enumerate(lines, 1):
                if _CONTROLS.search(line):
                    return UnreadableRecord(
                        f"{_place(file.path, number)}: the text is not ISO-8859-1, which has no "
                        "characters from 0x80 to 0x9f; if it is of Windows, convert it to UTF-8.",
                        path=file.path,
                    )
    return UnreadableRecord("The text of a file is not ISO-8859-1.")


def _too_long(found: re.Match[str]) -> HeadgateError:
    return UnreadableRecord(f"{found[1]}: a record is longer than 2 MB.", path=found[1])


def _mixed_ends(found: re.Match[str]) -> HeadgateError:
    return UnreadableRecord(
        f"{found[1]}: the line ends are not all the same, or a field is quoted wrongly.", path=found[1]
    )


def _not_json(found: re.Match[str]) -> HeadgateError:
    path, reason = found[1], found[2].strip().rstrip(".")
    return UnreadableRecord(f"{_place(path, _line_without_json(path))}: malformed JSON, {reason}.", path=path)


def _not_fitting(found: re.Match[str]) -> HeadgateError:
    path, reason = found[1], found[2].splitlines()[0]
    return UnreadableRecord(f"{path}: a record cannot be read, {reason[:300]}.", path=path)


def _damaged(found: re.Match[str]) -> HeadgateError:
    path, reason = found[1], found[2].splitlines()[0]
    return UnreadableRecord(f"{path} is damaged: {reason[:300]}.", path=path)


def _vanished(found: re.Match[str]) -> HeadgateError:
    return SourceChanged(f"{found[1]} vanished before it was read.", path=found[1])


def _denied(found: re.Match[str]) -> HeadgateError:
    return SourceAccessDenied(f"The service may not read {found[1]}.", path=found[1])


_OPTIONS = r".*?\n\s*file = ([^\n]+)"
_TOLD: dict[str, Callable[[re.Match[str]], HeadgateError]] = {
    rf"{FAULT}(\[.*\])": _value,
    rf"Expected Number of Columns: (\d+) Found: (\d+){_OPTIONS}\n\s*delimiter = (.) ": _ragged,
    rf"unterminated quote{_OPTIONS}\n\s*delimiter = (.) ": _unclosed,
    rf"Invalid unicode{_OPTIONS}": lambda found: not_utf8(found[1]),
    rf"Maximum line size{_OPTIONS}": _too_long,
    rf"invalid state{_OPTIONS}": _mixed_ends,
    r'Malformed JSON in file "([^"]+)", at [^:]*: (.*)': _not_json,
    r'JSON transform error in file "([^"]+)", in [^:]*: (.*)': _not_fitting,
    r'(?:Failed to read file|found in Parquet file) "([^"]+)":? (.*)': _damaged,
    r'No files found that match the pattern "([^"]+)"': _vanished,
    r'Cannot open file "([^"]+)": No such file': _vanished,
    r'Cannot open file "([^"]+)": Permission denied': _denied,
}


def _place(path: str, line: int | None) -> str:
    return path if line is None else f"{path}, line {line}"


def _line(
    path: str, encoding: str, delimiter: str, wrong: Callable[[list[str]], bool], *, skip: bool = False
) -> int | None:
    """The line where the first record begins that is `wrong`, or no record at all; `skip` the header."""
    with _lines(path) as lines:
        records = csv.reader((line.decode(encoding, "replace") for line in lines), delimiter=delimiter, strict=True)
        line = 1
        try:
            for record in records:
                if record and wrong(record) and not (skip and line == 1):
                    return line
                line = records.line_num + 1
        except csv.Error:
            return line
    return None


def _like(path: str, delimiter: str) -> str:
    """A codec in which quotes, delimiters and line ends are where they are in the file at `path`.

    Latin-1 decodes everything, but takes a delimiter for several that is several bytes in the file.
    """
    with _lines(path) as lines:
        return "utf-8" if not delimiter.isascii() and delimiter.encode() in next(lines, b"") else "latin-1"


def _undecodable(path: str) -> int | None:
    with _lines(path) as lines:
        for number, line in enumerate(lines, 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return number
    return None


def _line_without_json(path: str) -> int | None:
    """The first line that is not JSON; None for an array of objects, whose lines mean nothing."""
    with _lines(path) as lines:
        for number, line in enumerate(lines, 1):
            if line.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[") and number == 1:
                return None
            try:
                if line.strip():
                    json.loads(line)
            except (ValueError, RecursionError):
                return number
    return None


@contextmanager
def _lines(path: str) -> Iterator[IO[bytes] | Any]:
    with open(path, "rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        yield gzip.GzipFile(fileobj=raw) if packed else raw
