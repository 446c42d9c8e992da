"""Files below the folders of this machine that the service may read."""

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from headgate.errors import SourceAccessDenied, SourceError, SourceObjectMissing, SourcePathForbidden
from headgate.sources.files.listing import changed, opening
from headgate.sources.files.stores.interface import Listed
from headgate.sources.interface import FileRef
from headgate.sources.roots import Roots

__all__ = ["LocalStore"]

_PIECE = 1024 * 1024


class LocalStore:
    """The folders are `roots`; paths are relative to the connection's own, or absolute."""

    local = True

    def __init__(self, auth_params: Mapping[str, Any], roots: Roots) -> None:
        """`auth_params` may name a `folder` that paths are relative to; else it is the first of `roots`.

        Raises SourcePathForbidden.
        """
        self._roots = roots
        self._folder = roots.first / str(auth_params.get("folder") or "")
        roots.real(str(self._folder))

    def check(self) -> None:
        """List the connection's folder. Raises SourceError: missing, forbidden or not readable."""
        folder = self._roots.real(str(self._folder))
        with opening(folder), os.scandir(folder):
            pass

    def address(self, path: str) -> str:
        """The real address of `path`, symbolic links resolved. Raises SourcePathForbidden."""
        return self._roots.real(os.path.join(self._roots.real(str(self._folder)), path))

    def pin(self, address: str) -> FileRef | None:
        """The file at `address` as it is now, None for a folder."""
        real = self._roots.real(address)
        with opening(real):
            about = os.stat(real)
        if stat.S_ISDIR(about.st_mode):
            return None
        if not stat.S_ISREG(about.st_mode):
            raise SourceObjectMissing(f"{real} is not a file.", path=real)
        return _pinned(real, about)

    def listed(self, folder: str) -> Iterator[Listed]:
        """The files and folders in a folder, but the service's own; dangling links, pipes and devices are neither."""
        if not Path(folder).is_dir():
            raise SourceObjectMissing(f"{folder} is not a folder.", path=folder)
        with opening(folder):
            entries = os.scandir(folder)
        with entries:
            for entry in entries:
                if (found := self._listed(entry)) is not None:
                    yield found

    def below(self, folder: str) -> Iterator[tuple[str, FileRef]] | None:  # noqa: ARG002 - as every store
        """None: folders are walked one by one, their links looked at."""
        return None

    def read(self, file: FileRef, start: int = 0, size: int | None = None) -> Iterator[bytes]:
        """The content of `file`. Raises SourceChanged when it is not the pinned one any more."""
        changed(self, file)
        with opening(file.path), Path(file.path).open("rb") as content:
            content.seek(start)
            left = file.size - start if size is None else size
            while left > 0 and (piece := content.read(min(_PIECE, left))):
                left -= len(piece)
                yield piece
        changed(self, file)

    def _listed(self, entry: os.DirEntry[str]) -> Listed | None:
        try:
            entry.name.encode()
            real = self._roots.real(entry.path) if entry.is_symlink() else entry.path
            if self._roots.hides(real):
                return None
            about = os.stat(real)
        except UnicodeEncodeError:
            return Listed(entry.name, refusal=SourceError(f"The file name {entry.path!r} is not valid UTF-8."))
        except SourcePathForbidden as error:
            return Listed(entry.name, refusal=error)
        except FileNotFoundError:  # a dangling link, or gone since the listing
            return None
        except OSError as error:
            denied = SourceAccessDenied(f"The service may not read {entry.path}: {error.strerror}.", path=entry.path)
            return Listed(entry.name, refusal=denied)
        if stat.S_ISDIR(about.st_mode):
            return Listed(entry.name, folder=real)
        if stat.S_ISREG(about.st_mode):
            return Listed(entry.name, _pinned(real, about), readable=os.access(real, os.R_OK))
        return None


def _pinned(path: str, about: os.stat_result) -> FileRef:
    return FileRef(path, about.st_size, about.st_mtime_ns // 1000)
