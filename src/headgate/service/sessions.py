"""The console's sessions: browsers keep them, sealed; kept here is only which were ended before their time."""

from pathlib import Path

from headgate.auth import sha256
from headgate.service.sealing import Seal
from headgate.store import Store

__all__ = ["Sessions"]


class Sessions(Seal):
    """Seals sessions, and ends them for every browser that holds a copy."""

    def __init__(self, path: Path, store: Store) -> None:
        super().__init__(path)
        self._ended = store.ended_sessions

    def end(self, id_: str, ends: int) -> None:
        """End the session `id_`, which would be over at `ends`, in seconds since the epoch. Raises Unavailable."""
        self._ended.add(sha256(id_), ends * 1000)

    def has_ended(self, id_: str) -> bool:
        """Whether the session `id_` was ended. Raises Unavailable."""
        return self._ended.has(sha256(id_))
