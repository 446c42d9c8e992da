"""The encodings that delimited text may be in, and how what DuckDB does not read exactly becomes UTF-8."""

import codecs
from collections.abc import Iterable, Iterator

from headgate.errors import BadParameter, UnreadableRecord

__all__ = ["ENCODINGS", "encoding_of", "has_mark", "transcoded"]

ENCODINGS = ("UTF-8", "ISO-8859-1", "UTF-16", "UTF-16LE", "UTF-16BE")
_CODECS = {
    "utf8": "utf-8",
    "latin1": "latin-1",
    "iso88591": "latin-1",
    "utf16": "utf-16",
    "utf16le": "utf-16-le",
    "utf16be": "utf-16-be",
}
_MARKS = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


def encoding_of(name: object) -> str:
    """The codec that `encoding` of a source connection names. Raises BadParameter."""
    codec = _CODECS.get(str(name).lower().replace("-", "").replace("_", ""))
    if codec is None:
        raise BadParameter(
            f"`encoding` is {str(name)[:40]!r}; send one of {', '.join(ENCODINGS)}.", parameter="encoding"
        )
    return codec


def has_mark(head: bytes) -> bool:
    """Whether a file that begins with `head` has the byte order mark of UTF-16."""
    return head[:2] in _MARKS


def transcoded(pieces: Iterable[bytes], codec: str, name: str, *, strict: bool, whole: bool = True) -> Iterator[bytes]:
    """Text in UTF-16 as UTF-8, without a byte order mark; all there is, or not the `whole`.

    What is no text raises UnreadableRecord with its line; unless it is `strict`, it becomes something that is no
    UTF-8 either, so that whoever reads on can tell the record.
    """
    decoder: codecs.IncrementalDecoder | None = None
    start, lines = b"", 1
    for piece in pieces:
        if decoder is None:
            start += piece
            if len(start) < len(codecs.BOM_UTF16):
                continue
            found = _byte_order(start, codec, name)
            decoder = codecs.getincrementaldecoder(found)("strict" if strict else "surrogatepass")
            piece = start.removeprefix(codecs.BOM_UTF16_LE if found == "utf-16-le" else codecs.BOM_UTF16_BE)
        try:
            text = decoder.decode(piece)
        except UnicodeDecodeError as error:
            before = error.object[: error.start].decode(error.encoding, "replace")
            raise _no_text(name, lines + before.count("\n")) from None
        lines += text.count("\n")
        yield text.encode("utf-8", "strict" if strict else "surrogatepass")
    if whole and (decoder.getstate()[0] if decoder else start):
        if strict:
            raise _no_text(name, lines)
        yield b"\xff"


def _byte_order(start: bytes, codec: str, name: str) -> str:
    """The codec with its byte order, told by the mark or else by where the zeros of the first character are."""
    found = _MARKS.get(start[:2])
    if codec == "utf-16" and not found:
        found = "utf-16-le" if start[1] == 0 != start[0] else "utf-16-be" if start[0] == 0 != start[1] else None
    if codec == "utf-16" and not found:
        raise UnreadableRecord(
            f"{name} has no byte order mark, and its first character does not tell the order; "
            "send UTF-16LE or UTF-16BE as `encoding`.",
            path=name,
        )
    if codec != "utf-16" and found not in (None, codec):
        raise UnreadableRecord(f"{name} has the byte order mark of {found}, where {codec} is declared.", path=name)
    return found or codec


def _no_text(name: str, line: int) -> UnreadableRecord:
    return UnreadableRecord(f"{name}, line {line}: the text is not UTF-16.", path=name)
