"""Copies on this machine of files that are elsewhere, or written in a way that DuckDB does not read where they are."""

import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from headgate.errors import SourceError
from headgate.sources.interface import FileRef

__all__ = ["Copies"]


class Copies:
    """The copies that one plan, or one look, makes of files, in a `folder` that goes when it is over.

    They take at most `most` bytes together. Once it is `stopped`, whatever writes is broken off. Any thread may write.
    """

    def __init__(self, folder: Path, most: int, stopped: Callable[[], bool] = bool) -> None:
        self._folder = folder
        self._most = most
        self._stopped = stopped
        self._lock = threading.Lock()
        self._size = 0
        self._made = 0

    def write(self, file: FileRef, pieces: Iterable[bytes], *, member: str = "", suffix: str = "") -> FileRef:
        """Write `pieces` as a copy of `file`, or of a `member` of it when it is an archive; the copy.

        `suffix` is what its name is to end with. What is made of a copy has the first one's original address. Raises
        SourceError when there is no room for it or the work is broken off; what is written then goes.
        """
        path, written = self._new(suffix), 0
        try:
            with path.open("wb") as out:
                for piece in pieces:
                    self.go_on()
                    written += len(piece)
                    self._take(len(piece), file)
                    out.write(piece)
        except OSError as error:
            self._drop(path, written)
            raise SourceError(f"A copy of {_name(file)} cannot be written: {error.strerror or error}.") from error
        except BaseException:
            self._drop(path, written)
            raise
        original = f"{_name(file)}!/{member}" if member else _name(file)
        return replace(file, path=str(path), size=written, original=original)

    def drop(self, copy: FileRef) -> None:
        """Take a copy away that is no longer needed, because another one was made of it."""
        self._drop(Path(copy.path), copy.size)

    def go_on(self) -> None:
        """Raises SourceError once the work is broken off."""
        if self._stopped():
            raise SourceError("Reading the files was broken off.")

    def _new(self, suffix: str) -> Path:
        with self._lock:
            self._made += 1
            return self._folder / f"{self._made}{suffix}"

    def _take(self, size: int, file: FileRef) -> None:
        with self._lock:
            self._size += size
            if self._size > self._most:
                raise SourceError(
                    f"{_name(file)}: the copies of the run's files, unpacked, take more than {self._most} bytes "
                    "(HEADGATE_SCRATCH_BYTES). Narrow the window or the path, or raise the limit."
                )

    def _drop(self, path: Path, size: int) -> None:
        path.unlink(missing_ok=True)
        with self._lock:
            self._size -= size


def _name(file: FileRef) -> str:
    return file.original or file.path
