"""Finds how a file is written, from its beginning."""

import codecs
import csv
import io
import json
import zlib
from collections.abc import Sequence

from headgate.errors import DetectionFailed, DetectionUnsupported
from headgate.sources.files.listing import opening

__all__ = ["HEAD", "detect"]

HEAD = 256 * 1024  # bytes of a file that are looked at
_RECORDS = 100
_DELIMITERS = ",\t;|~^"
_OTHERS = {
    b"PK\x03\x04": "zip",
    b"BZh": "bzip2",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\xfd7zXZ\x00": "xz",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
    b"Obj\x01": "Avro",
    b"ORC": "ORC",
}


def detect(path: str) -> dict[str, str]:
    """The `data` of a source connection that describes the file at `path`.

    Raises SourceError, DetectionUnsupported for what cannot be read, DetectionFailed for what is not understood.
    """
    with opening(path), open(path, "rb") as file:
        head = file.read(HEAD)
    whole = len(head) < HEAD
    if head.startswith(b"PAR1"):
        return {"format": "parquet"}
    packed = head.startswith(b"\x1f\x8b")
    if packed:
        head = _unpacked(head, path)
        whole = whole and len(head) < HEAD
    for start, name in _OTHERS.items():
        if head.startswith(start):
            raise DetectionUnsupported(f"{path} is {name}, which cannot be read.", path=path)
    packing = {"compressionType": "gzip"} if packed else {}
    text, encoding = _decoded(head, whole, path)
    if not text.strip():
        raise DetectionFailed(f"{path} is empty, so its properties cannot be found.", path=path)
    if _is_json(text, whole):
        return {"format": "json", **packing}
    return {"format": "delimited", "columnDelimiter": _delimiter(text, whole), "encoding": encoding, **packing}


def _unpacked(head: bytes, path: str) -> bytes:
    try:
        return zlib.decompressobj(wbits=31).decompress(head, HEAD)
    except zlib.error as error:
        raise DetectionFailed(f"{path} is not a complete gzip file: {error}.", path=path) from None


def _decoded(head: bytes, whole: bool, path: str) -> tuple[str, str]:
    if b"\0" in head:
        raise DetectionFailed(f"{path} does not hold text.", path=path)
    try:  # the head may end within a character
        return codecs.getincrementaldecoder("utf-8-sig")().decode(head, final=whole), "UTF-8"
    except UnicodeDecodeError:
        return head.decode("latin-1"), "ISO-8859-1"


def _is_json(text: str, whole: bool) -> bool:
    start = text.lstrip()
    if start[0] not in "[{":
        return False
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
