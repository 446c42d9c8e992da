"""Work on files, several at a time, that can be broken off."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

from headgate.errors import SourceError
from headgate.sources.files.copies import Copies
from headgate.sources.files.stores.interface import Store
from headgate.sources.interface import FileRef

__all__ = ["each_of", "fetched", "go_on"]

T = TypeVar("T")

_AT_ONCE = 8
_LOOK = 0.2  # seconds between two looks at whether the work has to stop
_PATIENCE = 1.0  # seconds that work which is told to stop has for it
_TRIES = 4
_PAUSE = 0.5  # seconds before the second try; each later pause is twice as long


def each_of(items: Sequence[T], work: Callable[[T], Sequence[FileRef]], broken: threading.Event) -> list[FileRef]:
    """What `work` makes of each of the items, in their order.

    The first failure breaks the others off, as does `broken`, which then is set. Work that does not notice in time is
    left alone. Raises SourceError.
    """
    failures: list[BaseException] = []

    def tried(item: T) -> Sequence[FileRef]:
        try:
            return work(item)
        except BaseException as error:
            failures.append(error)
            raise

    pool = ThreadPoolExecutor(_AT_ONCE, "fetch")
    made = [pool.submit(tried, item) for item in items]
    try:
        for each in made:
            while not wait([each], timeout=_LOOK).done:
                _check(failures, broken)
            _check(failures, broken)
        return [file for each in made for file in each.result()]
    except BaseException:
        broken.set()
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        wait([each for each in made if each.running()], timeout=_PATIENCE)


def go_on(broken: threading.Event) -> None:
    """Raises SourceError once the work is broken off."""
    if broken.is_set():
        raise SourceError("Reading the files was broken off.")


def _check(failures: Sequence[BaseException], broken: threading.Event) -> None:
    if failures:
        raise failures[0]
    go_on(broken)


def fetched(store: Store, file: FileRef, copies: Copies, broken: threading.Event, *, suffix: str = "") -> FileRef:
    """A copy of `file`, tried again after a pause as long as what fails it may pass. Raises SourceError."""
    for tried in range(_TRIES):
        try:
            return copies.write(file, store.read(file), suffix=suffix)
        except SourceError as error:
            if not error.passing or tried == _TRIES - 1:
                raise
            broken.wait(_PAUSE * 2**tried)
            copies.go_on()
    raise AssertionError  # the last try returns or raises
