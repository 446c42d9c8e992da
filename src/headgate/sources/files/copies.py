"""Copies on this machine of files that are elsewhere, or written in a way that DuckDB does not read where they are.

They lie in the service's scratch folder, a folder for each plan. Its lock tells whether the process that made it is
still there: what a killed one has left goes with the next sweep.
"""

import fcntl
import os
import secrets
import shutil
import threading
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from headgate.config import Settings
from headgate.errors import SourceError
from headgate.sources.interface import FileRef

__all__ = ["Copies", "Scratch"]

_LOCK = ".lock"


class Scratch:
    """Where copies lie: below `folder`, of one plan at most `most` bytes."""

    def __init__(self, folder: Path, most: int) -> None:
        self._folder = folder
        self._most = most

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The place that a deployment has for them."""
        return cls(settings.scratch_folder, settings.scratch_bytes)

    def copies(self, stopped: Callable[[], bool] = bool) -> "Copies":
        """A folder of its own for the copies of one plan, made when there is one, gone when the context ends."""
        return Copies(self._folder, self._most, stopped)

    def sweep(self) -> int:
        """Delete what processes have left that ended before their plans did; how many folders that was."""
        gone = 0
        for lock in self._folder.glob(f"*{_LOCK}"):
            try:
                held = _locked(lock)
            except OSError:  # it has just gone, or is held
                continue
            _remove(lock.with_suffix(""), held)
            gone += 1
        return gone


class Copies(AbstractContextManager["Copies"]):
    """The copies that one plan makes of files, or one look at them. Any thread may write.

    They take at most `most` bytes together. Once it is `stopped`, whatever writes is broken off.
    """

    def __init__(self, scratch: Path, most: int, stopped: Callable[[], bool]) -> None:
        self._scratch = scratch
        self._most = most
        self._stopped = stopped
        self._lock = threading.Lock()
        self._folder: Path | None = None
        self._held = -1
        self._size = 0
        self._made = 0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            if self._folder is not None:
                _remove(self._folder, self._held)
                self._folder = None
            self._stopped = _over

    def write(
        self, file: FileRef, pieces: Iterable[bytes], *, member: str = "", suffix: str = "", at: int = 0
    ) -> FileRef:
        """Write `pieces` as a copy of `file`, or of a `member` of it when it is an archive; the copy.

        `suffix` is what its name is to end with; before the byte `at` it has a hole. What is made of a copy has the
        first one's original address. Raises SourceError when there is no room for it or the work is broken off; what
        is written then goes.
        """
        name = file.original or file.path
        self.go_on()
        path, written = None, 0
        try:
            path = self._new(suffix)
            with path.open("xb") as out:
                out.seek(at)
                for piece in pieces:
                    self.go_on()
                    written += len(piece)
                    self._take(len(piece), name)
                    out.write(piece)
        except BaseException as error:
            self._drop(path, written)
            if isinstance(error, OSError):
                raise SourceError(f"A copy of {name} cannot be written: {error.strerror or error}.") from error
            raise
        return replace(file, path=str(path), size=at + written, original=f"{name}!/{member}" if member else name)

    def drop(self, copy: FileRef) -> None:
        """Take a copy away that is no longer needed, because another one was made of it."""
        self._drop(Path(copy.path), copy.size)

    def go_on(self) -> None:
        """Raises SourceError once the work is broken off."""
        if self._stopped():
            raise SourceError("Reading the files was broken off.")

    def _new(self, suffix: str) -> Path:
        with self._lock:
            if self._folder is None:
                self._folder, self._held = _made(self._scratch)
            self._made += 1
            return self._folder / f"{self._made:09}{suffix}"  # so that none's name is the beginning of another's

    def _take(self, size: int, name: str) -> None:
        with self._lock:
            self._size += size
            if self._size > self._most:
                raise SourceError(
                    f"{name}: the copies of the run's files, unpacked, take more than {self._most} bytes "
                    "(HEADGATE_SCRATCH_BYTES). Narrow the window or the path, or raise the limit."
                )

    def _drop(self, path: Path | None, size: int) -> None:
        if path is not None:
            path.unlink(missing_ok=True)
        with self._lock:
            self._size -= size


def _made(scratch: Path) -> tuple[Path, int]:
    """A new folder, and the lock that is held on it."""
    scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
    while True:
        folder = scratch / secrets.token_hex(8)
        lock = folder.with_suffix(_LOCK)
        lock.touch(mode=0o600, exist_ok=False)
        try:
            held = _locked(lock)
        except (BlockingIOError, FileNotFoundError):  # a sweep was between the two
            continue
        folder.mkdir(mode=0o700)
        return folder, held


def _remove(folder: Path, held: int) -> None:
    """Take a folder away with its lock; both stay for the next sweep while a thread goes on writing."""
    shutil.rmtree(folder, ignore_errors=True)
    if not folder.exists():
        folder.with_suffix(_LOCK).unlink(missing_ok=True)
    os.close(held)


def _locked(lock: Path) -> int:
    """Hold the lock for as long as the descriptor is open. Raises OSError when it is held, or gone."""
    held = os.open(lock, os.O_RDWR)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.stat(lock)
    except OSError:
        os.close(held)
        raise
    return held


def _over() -> bool:
    return True
