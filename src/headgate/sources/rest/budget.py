"""How fast one connection asks, over all that this process reads through it."""

import threading
import time
from collections.abc import Callable
from weakref import WeakValueDictionary

__all__ = ["Budget", "budget_of"]


class Budget:
    """At most so many requests a second, evenly; none of them early to make up for others."""

    def __init__(self, per_second: float | None) -> None:
        self._between = 1 / per_second if per_second else 0.0
        self._next = 0.0
        self._lock = threading.Lock()

    def take(self, wait: Callable[[float], None]) -> None:
        """Wait by `wait` until one more request may be made."""
        if not self._between:
            return
        with self._lock:
            now = time.monotonic()
            at = max(self._next, now)
            self._next = at + self._between
        if at > now:
            wait(at - now)


_known: WeakValueDictionary[str, Budget] = WeakValueDictionary()
_lock = threading.Lock()


def budget_of(connection: str, per_second: float | None) -> Budget:
    """The budget that all readers of `connection` share."""
    with _lock:
        found = _known.get(connection)
        if found is None:
            found = _known[connection] = Budget(per_second)
        return found
