"""Records that come twice in one read, because pages moved while they were turned, are given once."""

from collections.abc import Sequence
from typing import Any

from headgate.sources.rest.paths import Path

__all__ = ["Once"]

_GENERATION = 200_000


class Once:
    """Knows the keys of the last records of a split: at least 200,000 of them, and at most twice as many.

    The record that came first stays. A record without a whole key always does.
    """

    def __init__(self, key: Sequence[Path]) -> None:
        self._key = key
        self._now: set[Any] = set()
        self._before: set[Any] = set()
        self.repeated = 0

    def of(self, records: list[Any]) -> list[Any]:
        """Those of `records` that have not come before."""
        if not self._key:
            return records
        fresh = [record for record in records if self._new(record)]
        self.repeated += len(records) - len(fresh)
        if len(self._now) >= _GENERATION:
            self._before, self._now = self._now, set()
        return fresh

    def _new(self, record: Any) -> bool:
        parts = [path.first(record) for path in self._key]
        if None in parts or any(isinstance(part, dict | list) for part in parts):
            return True
        key = parts[0] if len(parts) == 1 else tuple(parts)
        if key in self._now or key in self._before:
            return False
        self._now.add(key)
        return True
