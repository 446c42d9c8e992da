"""An answer's body as records: JSON documents, lines of JSON, CSV."""

import codecs
import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import orjson

from headgate.errors import SourceError, SourceUnreachable, UnreadableRecord
from headgate.sources.rest.manifest import Format
from headgate.sources.rest.paths import Path

__all__ = ["Unreadable", "document", "rows", "under"]

_TOGETHER = 2000  # records of a body that is read as it comes
_LONGEST_LINE = 16 << 20
# Numbers that a double, or 64 bits, may not give back as they are written; not those in text, which a quote precedes.
_LONG = re.compile(rb"[\s:,\[-](?:[0-9]{19}|(?=[0-9]+\.)[0-9.]{17})")


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What came in place of a record: its text, and what is wrong with it."""

    text: str
    why: str


def document(content: bytes, title: str) -> Any:
    """The JSON document that `content` is, with all digits of its numbers; None of nothing. Raises SourceError."""
    if not content.strip():
        return None
    try:
        return _parsed(content)
    except ValueError as error:
        what = "an HTML page" if content.lstrip()[:15].lower().startswith((b"<!doctype html", b"<html")) else "no JSON"
        begins = content[:80].decode(errors="replace")
        raise SourceError(f"{title} answered with {what}: {error}. It begins: {' '.join(begins.split())!r}.") from None


def under(path: Path, found: Any, title: str) -> list[Any]:
    """The records at `path` of a document. Raises SourceError where something else stands."""
    records: list[Any] = []
    for part in path.all(found):
        if isinstance(part, list):
            records += part
        elif isinstance(part, Mapping):
            records.append(part)
        elif part is not None:
            raise SourceError(f"{title}: where the records were to be, at {path.text!r}, stands {str(part)[:80]!r}.")
    return records


def rows(format_: Format, parts: Iterable[bytes], path: Path, title: str) -> Iterator[list[Any]]:
    """The records of a body that is read as it comes, some thousand at a time."""
    found = _csv(format_, parts, title) if format_.kind == "csv" else _ndjson(parts, path, title)
    together: list[Any] = []
    for record in found:
        together.append(record)
        if len(together) >= _TOGETHER:
            yield together
            together = []
    if together:
        yield together


def _parsed(content: bytes) -> Any:
    found = orjson.loads(content)
    if _LONG.search(content) is None:
        return found
    return json.loads(content, parse_float=Decimal, parse_constant=_no_number)


def _no_number(word: str) -> Any:
    raise ValueError(f"{word} is no number of JSON")


def _ndjson(parts: Iterable[bytes], path: Path, title: str) -> Iterator[Any]:
    for line in _lines(parts, title):
        if not line.strip():
            continue
        try:
            found = _parsed(line)
        except ValueError as error:
            if not line.endswith(b"\n"):
                raise SourceUnreachable(f"{title}: the answer breaks off in the middle of a record.") from None
            yield Unreadable(line[:4000].rstrip(b"\n").decode(errors="replace"), str(error))
            continue
        yield from under(path, found, title) if path.steps else (found,)


def _lines(parts: Iterable[bytes], title: str) -> Iterator[bytes]:
    rest = b""
    for part in parts:
        *whole, last = part.split(b"\n")
        if whole:
            yield rest + whole[0] + b"\n"
            yield from (line + b"\n" for line in whole[1:])
            rest = last
        else:
            rest += last
        if len(rest) > _LONGEST_LINE:
            raise SourceError(f"{title}: one line is longer than {_LONGEST_LINE >> 20} MB.")
    if rest:
        yield rest


def _text_lines(parts: Iterable[bytes], encoding: str, title: str) -> Iterator[str]:
    """The lines of text as it comes, with their ends."""
    rest = ""
    for part in codecs.iterdecode(parts, encoding):
        *whole, rest = (rest + part).split("\n")
        yield from (f"{line}\n" for line in whole)
        if len(rest) > _LONGEST_LINE:
            raise SourceError(f"{title}: one line is longer than {_LONGEST_LINE >> 20} million characters.")
    if rest:
        yield rest


def _csv(format_: Format, parts: Iterable[bytes], title: str) -> Iterator[Any]:
    lines = _text_lines(parts, format_.encoding, title)
    try:
        for _ in range(format_.skip):
            next(lines, None)
        reader = csv.reader(lines, delimiter=format_.delimiter, strict=True)
        names = next(reader, None)
        for row in reader:
            if not row:
                continue
            if names is None or len(row) != len(names):
                yield Unreadable(format_.delimiter.join(row)[:4000], f"it has {len(row)} values")
            else:
                yield {
                    name: value if value not in ("", format_.null) else None
                    for name, value in zip(names, row, strict=True)
                }
    except (csv.Error, UnicodeError) as error:
        raise UnreadableRecord(f"The CSV that came cannot be read: {error}.") from None
