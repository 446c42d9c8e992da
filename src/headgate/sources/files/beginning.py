"""What the first bytes of a file tell, packed or not: for a look at it that does not read it all."""

import json
import struct
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO

from headgate.errors import UnreadableRecord
from headgate.sources.files import avro_files
from headgate.sources.files.archives import shown, tar_members
from headgate.sources.files.copies import Copies
from headgate.sources.files.encodings import transcoded
from headgate.sources.files.form import Form
from headgate.sources.files.packing import Budget, Packing, Unpacked, damage, inflated
from headgate.sources.interface import FileRef

__all__ = ["Beginning", "glimpse"]

_MOST = 4 * 1024 * 1024
_RECORDS = 1000  # of Avro
_PIECE = 16 * 1024
_ZIP = struct.Struct("<4s2B4HL2L2H")  # the header of a member
_ENCRYPTED = 1
_STORED, _DEFLATED = 0, 8


@dataclass(frozen=True, slots=True)
class Beginning:
    """The first bytes of a file, or all when it is the `whole`; `member` of an archive, if it is in one."""

    content: bytes
    whole: bool
    member: str = ""

    def unpacked(self, packing: Packing, name: str, members: str | None = None) -> "Beginning | None":
        """The beginning of what is packed in it; None when that is not to be had without the rest.

        Of an archive, of the first file that `members` matches. `name` is what errors call it. Raises UnreadableRecord.
        """
        found: Beginning | None = self
        if packing.stream:
            with damage(name, packing.stream):
                found = self._inflated(packing.stream)
        if packing.archive == "tar" and found:
            found = found._in_tar(name, members)
        elif packing.archive == "zip" and found:
            with damage(name, "zip"):
                found = found._in_zip(name, members)
        if not found or not found.member or found.member == self.member:
            return found
        inner = Packing.named(found.member)
        return None if inner.archive else found.unpacked(Packing(inner.stream), f"{name}!/{found.member}")

    def _inflated(self, stream: str) -> "Beginning":
        pieces, size = [], 0
        try:
            for piece in inflated(stream, BytesIO(self.content)):
                pieces.append(piece)
                size += len(piece)
                if size >= _MOST:
                    return Beginning(b"".join(pieces), whole=False, member=self.member)
        except EOFError:
            if self.whole:
                raise
            return Beginning(b"".join(pieces), whole=False, member=self.member)
        return Beginning(b"".join(pieces), self.whole, self.member)

    def _in_tar(self, name: str, members: str | None) -> "Beginning | None":
        file = FileRef(name, len(self.content), 0)
        try:
            found = next(tar_members(Unpacked(BytesIO(self.content), "", Budget(file, name)), name, members), None)
        except UnreadableRecord:
            if self.whole:
                raise
            return None
        if found is None:
            return None
        pieces, whole = list[bytes](), True
        try:
            while (piece := found.content.read(_PIECE)) and len(pieces) * _PIECE < _MOST:
                pieces.append(piece)
            whole = not piece
        except tarfile.TarError:
            whole = False
        return Beginning(b"".join(pieces), whole, found.name)

    def _in_zip(self, name: str, members: str | None) -> "Beginning | None":
        """By the headers that stand before each member; the directory is at the end."""
        at = 0
        while self.content[at : at + 4] == b"PK\x03\x04" and at + _ZIP.size <= len(self.content):
            _, _, _, flags, method, _, _, _, packed, _, named, extra = _ZIP.unpack_from(self.content, at)
            at += _ZIP.size
            member = self.content[at : at + named].decode("utf-8" if flags & 0x800 else "cp437")
            at += named + extra
            if shown(member, members) and not member.endswith("/"):
                if flags & _ENCRYPTED:
                    raise UnreadableRecord(
                        f"{name}: {member} is encrypted with a password; encrypted files are not read.", path=name
                    )
                return self._at(at, packed, method, member)
            if flags & 0x8:  # its size stands behind it
                return None
            at += packed
        return None

    def _at(self, at: int, size: int, method: int, member: str) -> "Beginning | None":
        if method == _DEFLATED:
            decoder = zlib.decompressobj(-zlib.MAX_WBITS)
            content = decoder.decompress(self.content[at:], _MOST)
            return Beginning(content, decoder.eof, member)
        if method == _STORED and size:
            return Beginning(self.content[at : at + size][:_MOST], at + size <= len(self.content), member)
        return None


def glimpse(
    file: FileRef, start: Beginning, form: Form, copies: Copies, *, members: str | None = None
) -> Sequence[FileRef] | None:
    """A copy of the first records of `file`, which begins with `start`; None when they are not to be had so.

    Raises SourceError.
    """
    name = file.original or file.path
    found = start.unpacked(form.packing_of(file.path), name, members)
    if found is None:
        return None
    form.check(found.content, name)
    if form.format == "avro":
        return _of_avro(file, found, name, copies)
    if form.rewritten or form.read_as == "parquet":
        return None
    text: bytes | None = found.content
    if form.wide:
        pieces = transcoded([found.content], form.encoding, name, strict=True, whole=found.whole)
        text = b"".join(pieces)
    if not found.whole:
        text = (_lines if form.format == "json" else _records)(text or b"")
    return None if text is None else [copies.write(file, [text], member=found.member)]


def _of_avro(file: FileRef, found: Beginning, name: str, copies: Copies) -> Sequence[FileRef] | None:
    pieces = avro_files.decoded(BytesIO(found.content), file, name, copies, most=_RECORDS)
    try:
        return [copies.write(file, pieces, member=found.member, suffix=".parquet")]
    except UnreadableRecord:
        if found.whole:
            raise
        return None  # the first block does not end here


def _records(text: bytes) -> bytes | None:
    """The whole records of delimited text that was cut off."""
    end, quotes = len(text), text.count(b'"')
    while end >= 0:
        quote = text.rfind(b'"', 0, end)
        if quotes % 2 == 0 and (line := text.rfind(b"\n", quote + 1, end)) >= 0:  # outside of quotes
            return text[: line + 1]
        end, quotes = quote, quotes - 1
    return None


def _lines(text: bytes) -> bytes | None:
    """The whole values of JSON that was cut off, a line each, of one array or one after the other."""
    first, _, _ = text.partition(b"\n")
    if first.lstrip().startswith(b"{") and first.rstrip().endswith(b"}"):
        return text[: text.rfind(b"\n") + 1] or None
    return b"".join(_values(text.decode("utf-8-sig", "ignore"))) or None


def _values(text: str) -> Iterator[bytes]:
    at, decoder = 0, json.JSONDecoder()
    while True:
        while at < len(text) and (text[at].isspace() or text[at] in "[,"):
            at += 1
        try:
            _, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            return
        yield text[at:end].replace("\r", " ").replace("\n", " ").encode() + b"\n"  # neither stands in a string
        at = end
