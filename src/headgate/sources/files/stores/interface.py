"""The contract between the file source and every place that holds files."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from headgate.errors import SourceError
from headgate.sources.interface import FileRef

__all__ = ["Listed", "Store"]


@dataclass(frozen=True, slots=True)
class Listed:
    """What a folder holds under `name`: a `file`, pinned as it is now, or a `folder`, by its address.

    Else the `refusal` says why it is neither; it is raised when a selection means just that. `readable` says whether
    this connection may read it, as far as the store can tell without doing so.
    """

    name: str
    file: FileRef | None = None
    folder: str | None = None
    refusal: SourceError | None = None
    readable: bool = True


class Store(Protocol):
    """One place that holds files, reached with one connection's parameters; nothing is reached when it is made.

    An address names a file or folder from everywhere (`s3://bucket/in/a.csv`, `/data/in/a.csv`), with `/` between
    the names, as it stands, without escapes; it is what rows say that they are from. Every method raises SourceError
    (SourceObjectMissing, SourceAccessDenied, SourceUnreachable where it may pass), with the system's own reason and no
    secret in it, and may be called from several threads at the same time. None waits for longer than about 30 seconds
    for a system that is silent.
    """

    local: bool
    """Whether `FileRef.path` is a file of this machine, which is then read where it is."""

    def check(self) -> None:
        """Reach the store, and list the connection's folder as far as that shows that it may be listed."""

    def address(self, path: str) -> str:
        """The address of `path`, which is relative to the connection's folder (`""`) or an address of this store.

        Nothing is reached. Raises SourcePathForbidden for what lies outside of the store.
        """

    def pin(self, address: str) -> FileRef | None:
        """The file at `address` as it is now: its size, last-modified time and version. None for a folder.

        Raises SourceObjectMissing for what is neither.
        """

    def listed(self, folder: str) -> Iterator[Listed]:
        """What is in the folder at the address, in any order, without what stands for the folder itself.

        It comes as the system gives it, never all in memory. Raises SourceObjectMissing where there is no such folder.
        """

    def below(self, folder: str) -> Iterator[tuple[str, FileRef]] | None:
        """All files below the folder at any depth, each with its path from there, as they come.

        None from a store that has to ask for every folder by itself: it is then walked by `listed()`, and only where
        the selection leads.
        """

    def read(self, file: FileRef, start: int = 0, size: int | None = None) -> Iterator[bytes]:
        """The content of `file` from the byte `start` on, or `size` bytes of it, in pieces of a megabyte or so.

        Of exactly the version that is pinned: SourceChanged when the store has another one, or none any more, at the
        latest in place of the last piece. Whoever reads may close the iterator before its end.
        """
