"""Makes of a file, packed or written as it may be, what DuckDB reads exactly."""

import threading
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from typing import IO

from headgate.errors import SourceObjectMissing, UnreadableRecord
from headgate.sources.files import avro_files, orc_files
from headgate.sources.files.archives import Member, is_pattern, tar_members, zip_members
from headgate.sources.files.copies import Copies
from headgate.sources.files.encodings import transcoded
from headgate.sources.files.foreign import HEAD
from headgate.sources.files.form import Form
from headgate.sources.files.listing import opening
from headgate.sources.files.packing import Budget, Packing, Unpacked, damage, inflated
from headgate.sources.interface import FileRef

__all__ = ["plain"]

_PIECE = 1024 * 1024
_REWRITING = threading.BoundedSemaphore(2)  # more would not be faster
_LOOK = 0.2  # seconds between two looks at whether the work has to stop


def plain(
    file: FileRef,
    form: Form,
    copies: Copies,
    *,
    members: str | None = None,
    strict: bool = True,
    most: int | None = None,
) -> Sequence[FileRef]:
    """The files to read in the place of `file`, which is on this machine and written in the `form`.

    It is itself, where it can be read as it is, or one or several of `copies`, by the names of the `members` of an
    archive. Unless it is `strict`, text that is none in its encoding stays for the reader to refuse. `most` is how many
    records are wanted of a file that DuckDB does not read. Raises SourceError. Called from several threads, each with
    another file.
    """
    name, packing = file.original or file.path, form.packing_of(file.path)
    with _reading(file.path, name, packing), open(file.path, "rb") as raw:
        budget = Budget(file, name)
        if packing.archive:
            with closing(_members(file.path, raw, packing, name, budget, members)) as inside:
                made = [
                    _copy(file, each.name, _content(each, name, budget, packing.archive), form, copies, strict, most)
                    for each in inside
                ]
            if not made and members and not is_pattern(members):
                raise SourceObjectMissing(f"{name} holds no {members}.", path=name)
            return sorted(made, key=lambda copy: copy.original or "")
        if form.in_place(file.path) and not packing:
            form.check(raw.read(HEAD), name)
            return (file,)
        content = Unpacked(raw, packing.stream, budget)
        if form.in_place(file.path):
            for _ in _known(iter(content), form, name):  # DuckDB does not notice that a packed file is damaged
                copies.go_on()
            return (file,)
        if form.direct(file.path):
            return (_rewritten(file, form, name, copies, most),)
        return (_copy(file, "", _guarded(content, file.path, name, packing), form, copies, strict, most),)


@contextmanager
def _reading(path: str, name: str, packing: Packing) -> Iterator[None]:
    """Turns what goes wrong with the file at `path`, called `name`, into errors of our tree."""
    with opening(path), damage(name, packing.archive or packing.stream) if packing else nullcontext():
        yield


def _guarded(content: Iterable[bytes], path: str, name: str, packing: Packing) -> Iterator[bytes]:
    """`content`, whose errors are not for whoever writes it."""
    with _reading(path, name, packing):
        yield from content


def _members(
    path: str, raw: IO[bytes], packing: Packing, name: str, budget: Budget, pattern: str | None
) -> Generator[Member, None, None]:
    if packing.archive == "tar":
        return tar_members(Unpacked(raw, packing.stream, budget), name, pattern)
    if packing.stream:
        raise UnreadableRecord(f"{name} is a zip archive that is packed again, which is not read.", path=name)
    return zip_members(path, name, pattern)


def _content(member: Member, name: str, budget: Budget, archive: str) -> Iterator[bytes]:
    """What is in a member of the archive `name`, which may be packed itself, but be no archive."""
    packing = Packing.named(member.name)
    within = f"{name}!/{member.name}"
    if packing.archive:
        raise UnreadableRecord(f"{within} is an archive in an archive, which is not read.", path=name)
    with damage(within, packing.stream) if packing.stream else damage(name, archive):
        pieces = inflated(packing.stream, member.content) if packing.stream else _pieces(member.content)
        yield from budget.bounded(pieces)


def _pieces(content: IO[bytes]) -> Iterator[bytes]:
    return iter(lambda: content.read(_PIECE), b"")


def _copy(
    file: FileRef, member: str, pieces: Iterator[bytes], form: Form, copies: Copies, strict: bool, most: int | None
) -> FileRef:
    """A copy of `file`, or of a member of it, whose content `pieces` are, in a form that is read."""
    name = file.original or file.path
    name = f"{name}!/{member}" if member else name
    pieces = _known(pieces, form, name)
    if form.wide:
        pieces = transcoded(pieces, form.encoding, name, strict=strict)
    copy = copies.write(file, pieces, member=member, suffix=form.suffix)
    if not form.rewritten:
        return copy
    try:
        return _rewritten(copy, form, name, copies, most)
    finally:
        copies.drop(copy)


def _known(pieces: Iterator[bytes], form: Form, name: str) -> Iterator[bytes]:
    """`pieces`, the first of which is looked at."""
    first = next(pieces, b"")
    form.check(first[:HEAD], name)
    yield first
    yield from pieces


def _rewritten(file: FileRef, form: Form, name: str, copies: Copies, most: int | None) -> FileRef:
    """`file` as Parquet."""
    with _turn(copies), open(file.path, "rb") as content:
        if form.format == "orc":
            pieces = orc_files.decoded(file.path, name, most=most)
        else:
            pieces = avro_files.decoded(content, file, name, copies, most=most)
        return copies.write(file, _guarded(pieces, file.path, name, Packing()), suffix=".parquet")


@contextmanager
def _turn(copies: Copies) -> Iterator[None]:
    """Wait until few enough files are being rewritten, each of which takes up to 120 MB of memory."""
    while not _REWRITING.acquire(timeout=_LOOK):
        copies.go_on()
    try:
        yield
    finally:
        _REWRITING.release()
