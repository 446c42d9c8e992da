"""The next part of a read, made while the one before it is used."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

__all__ = ["ahead"]

T = TypeVar("T")


def ahead(parts: Iterator[T], stop: Callable[[], None]) -> Iterator[T]:
    """What `parts` gives, one of it made ahead in a thread. `stop` ends what makes it, where no more is wanted."""
    pool = ThreadPoolExecutor(1, "page")
    try:
        coming = pool.submit(next, parts, None)
        while (part := coming.result()) is not None:
            coming = pool.submit(next, parts, None)
            yield part
    finally:
        stop()
        pool.shutdown(wait=True)
