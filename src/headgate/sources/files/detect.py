"""Finds how a file is written, from its beginning."""

import codecs
import csv
import io
import json
from collections.abc import Sequence

from headgate.errors import DetectionFailed, DetectionUnsupported, UnreadableRecord
from headgate.sources.files import avro_files, orc_files
from headgate.sources.files.beginning import Beginning
from headgate.sources.files.encodings import has_mark, transcoded
from headgate.sources.files.foreign import HEAD as FOREIGN_HEAD
from headgate.sources.files.foreign import foreign
from headgate.sources.files.packing import Packing

__all__ = ["HEAD", "detect"]

HEAD = 1024 * 1024  # bytes of a file that are looked at; a block of bzip2 takes up to 900,000
_RECORDS = 100
_DELIMITERS = ",\t;|~^"
_PACKINGS = {
    b"\x1f\x8b": Packing("gzip"),
    b"BZh": Packing("bzip2"),
    b"\x28\xb5\x2f\xfd": Packing("zstd"),
    b"\xfd7zXZ\x00": Packing("xz"),
    b"PK\x03\x04": Packing("", "zip"),
}
_TAR = 257  # where a tar says that it is one
_BINARY = {b"PAR1": "parquet", avro_files.MAGIC: "avro", orc_files.MAGIC: "orc"}


def detect(start: Beginning, name: str) -> dict[str, str]:
    """The `data` of a source connection that describes the file that is called `name` and begins with `start`.

    Raises DetectionUnsupported for what cannot be read, DetectionFailed for what is not understood.
    """
    packing = Packing() if _format(start.content) else _packing(start, name)
    if packing and not packing.word and packing != Packing.named(name):
        raise DetectionUnsupported(f"{name} is a {packing}; it is read when its name ends so.", path=name)
    try:
        inner = start.unpacked(packing, name)
    except UnreadableRecord as error:
        raise DetectionFailed(error.detail, path=name) from None
    if inner is None:
        raise DetectionFailed(f"{name} holds no file, or one that begins further on than was looked at.", path=name)
    properties = {"compressionType": packing.word} if packing.word else {}
    if format_ := _format(inner.content):  # such files need no word for how they are packed, their names tell
        return {"format": format_}
    if told := foreign(inner.content[:FOREIGN_HEAD]):
        raise DetectionUnsupported(f"{name}: {told}.", path=name)
    text, encoding = _decoded(inner, name)
    if not text.strip():
        raise DetectionFailed(f"{name} is empty, so its properties cannot be found.", path=name)
    if encoding == "UTF-8" and _is_json(text, inner.whole):
        return {"format": "json", **properties}
    delimiter = _delimiter(text, inner.whole)
    return {"format": "delimited", "columnDelimiter": delimiter, "encoding": encoding, **properties}


def _format(head: bytes) -> str:
    """The format that is no text, told by what it begins with; text may begin with the letters of ORC, too."""
    found = next((name for magic, name in _BINARY.items() if head.startswith(magic)), "")
    return found if b"\0" in head[:1024] or found == "avro" else ""


def _packing(start: Beginning, name: str) -> Packing:
    """How a file is packed, told by its content; by its `name` where that does not tell."""
    found = next((packing for magic, packing in _PACKINGS.items() if start.content.startswith(magic)), None)
    if found is None:
        named = Packing.named(name)
        found = named if named.stream == "deflate" else Packing()
    inner = start
    if found.stream:
        try:
            inner = start.unpacked(found, name) or start
        except UnreadableRecord as error:
            raise DetectionFailed(error.detail, path=name) from None
    return Packing(found.stream, "tar") if inner.content[_TAR : _TAR + 5] == b"ustar" else found


def _decoded(start: Beginning, name: str) -> tuple[str, str]:
    head = start.content
    if has_mark(head):
        try:
            text = b"".join(transcoded([head], "utf-16", name, strict=True, whole=start.whole))
        except UnreadableRecord as error:
            raise DetectionFailed(error.detail, path=name) from None
        return text.decode(), "UTF-16"
    if b"\0" in head:
        raise DetectionFailed(f"{name} does not hold text; without a byte order mark, name its `encoding`.", path=name)
    try:  # the head may end within a character
        return codecs.getincrementaldecoder("utf-8-sig")().decode(head, final=start.whole), "UTF-8"
    except UnicodeDecodeError:
        return head.decode("latin-1"), "ISO-8859-1"


def _is_json(text: str, whole: bool) -> bool:
    start = text.lstrip()
    if start[0] not in "[{":
        return False
    if start[0] == "[" and not whole:  # which may go on for long: the first record tells
        start = start[1:].lstrip()
    try:
        value, _ = json.JSONDecoder().raw_decode(start)
    except RecursionError:
        return True
    except ValueError:
        return not whole and "\n" not in start  # one record that is longer than the head
    return isinstance(value, dict | list)


def _delimiter(text: str, whole: bool) -> str:
    """The delimiter by which the records have the most fields, each the same number; a comma when there is none."""
    widths = {sign: _widths(text, whole, sign) for sign in _DELIMITERS}
    even = {sign: found[0] for sign, found in widths.items() if found and len(set(found)) == 1 and found[0] > 1}
    return max(even, key=lambda sign: even[sign], default=",")


def _widths(text: str, whole: bool, delimiter: str) -> Sequence[int]:
    """How many fields each of the first records has; none when this cannot be the delimiter."""
    found = []
    records = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for record in records:
            found.append(len(record))
            if len(found) == _RECORDS:
                return found
    except csv.Error as error:
        if whole or "unexpected end of data" not in str(error):
            return ()
        return found
    return found if whole or len(found) < 2 else found[:-1]  # the last one may go on
