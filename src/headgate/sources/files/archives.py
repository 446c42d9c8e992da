"""What is in an archive, zip or tar: its files by name, one after the other. Nothing is ever written under such a name.

Folders, links, and names with a part that begins with a dot or is `__MACOSX` are passed over, as in a folder: a link
stands for a file that is read under its own name.
"""

import io
import stat
import tarfile
import zipfile
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import IO, TypeVar

from headgate.errors import UnreadableRecord
from headgate.sources.files.packing import Unpacked, damage

__all__ = ["Member", "is_pattern", "shown", "tar_members", "zip_members"]

T = TypeVar("T")
_MOST_MEMBERS = 10_000
_LONGEST_HEAD = 16 * 1024 * 1024  # of the directory of a zip, and of the extended header of a member of a tar
_BLOCK = 512  # of tar


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive. `content` is to be read before the next member is asked for."""

    name: str
    content: IO[bytes]


def zip_members(path: str, name: str, pattern: str | None) -> Generator[Member, None, None]:
    """The files of the zip at `path` that `pattern` matches, or all, by name. `name` is what errors call it.

    Raises UnreadableRecord, OSError.
    """
    with damage(name, "zip"), _Careful(path) as raw, zipfile.ZipFile(raw) as archive:
        for member, entry in sorted(_chosen(archive.infolist(), _in_zip, name, pattern), key=lambda pair: pair[0]):
            if entry.flag_bits & 1:
                raise UnreadableRecord(
                    f"{name}: {member} is encrypted with a password; encrypted files are not read.", path=name
                )
            with archive.open(entry) as content:
                yield Member(member, content)


def tar_members(stream: Unpacked, name: str, pattern: str | None) -> Generator[Member, None, None]:
    """The files of the tar in `stream` that `pattern` matches, or all, in the order they are in.

    Raises UnreadableRecord.
    """
    raw = _Blocks(stream)
    with damage(name, "tar"):
        with tarfile.open(fileobj=raw, mode="r:") as archive:  # type: ignore[call-overload]
            for member, entry in _chosen(archive, _in_tar, name, pattern):
                if (content := archive.extractfile(entry)) is not None:
                    yield Member(member, content)
        if any(raw.last):
            raise tarfile.ReadError("its end is missing")
        for _ in stream:  # damage further on is damage, too
            pass


def shown(member: str, pattern: str | None) -> bool:
    """Whether a folder would show a file of this name, and `pattern` matches it."""
    if any(map(_is_hidden, member.split("/"))):
        return False
    name = member.removeprefix("./")
    return not pattern or name == pattern or fnmatchcase(name, pattern)  # a name is meant literally if it is there


def is_pattern(pattern: str) -> bool:
    """Whether it may stand for several names."""
    return any(sign in pattern for sign in "*?[")


def _in_zip(entry: zipfile.ZipInfo) -> str | None:
    return None if entry.is_dir() or stat.S_ISLNK(entry.external_attr >> 16) else entry.filename


def _in_tar(entry: tarfile.TarInfo) -> str | None:
    return entry.name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace") if entry.isreg() else None


def _chosen(
    entries: Iterable[T], called: Callable[[T], str | None], name: str, pattern: str | None
) -> Iterator[tuple[str, T]]:
    """The files among `entries` that a folder would show and `pattern` matches, with their names."""
    seen: set[str] = set()
    for count, entry in enumerate(entries, 1):
        if count > _MOST_MEMBERS:
            raise UnreadableRecord(f"{name} holds more than {_MOST_MEMBERS} files.", path=name)
        member = called(entry)
        if member is None or not shown(member, pattern):
            continue
        member = member.removeprefix("./")
        if member in seen:
            raise UnreadableRecord(f"{name} holds {member} twice.", path=name)
        seen.add(member)
        yield member, entry


def _is_hidden(part: str) -> bool:
    return part == "__MACOSX" or (part.startswith(".") and part not in (".", ".."))


class _Careful(io.FileIO):
    """A file of which nothing is read that is too large for a zip's directory, which is read whole."""

    def read(self, size: int | None = -1, /) -> bytes:
        """As a file's. Raises BadZipFile."""
        if size is not None and size > _LONGEST_HEAD:
            raise zipfile.BadZipFile("its directory is too large")
        return super().read(size) or b""


class _Blocks:
    """A tar as the blocks that it consists of, for tarfile, which goes forward only and reads a header whole."""

    def __init__(self, stream: Unpacked) -> None:
        self._stream = stream
        self.last = b""  # what ends a tar is a block of zeros

    def read(self, size: int) -> bytes:
        """So much of it, or what is left. Raises ReadError."""
        if size > _LONGEST_HEAD:
            raise tarfile.ReadError("a header is too large")
        parts = []
        while size and (part := self._stream.read(size)):
            parts.append(part)
            size -= len(part)
        read = b"".join(parts)
        if len(read) == _BLOCK:
            self.last = read
        return read

    def tell(self) -> int:
        """The place that is read next."""
        return self._stream.tell()

    def seek(self, offset: int) -> int:
        """Go forward."""
        return self._stream.seek(offset)

    def seekable(self) -> bool:
        """As far as it is needed."""
        return True
