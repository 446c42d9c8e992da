"""Which sessions of the console were ended before their time."""

import sqlalchemy as sa

from headgate.store import tables
from headgate.store.transactions import Transactions, now

__all__ = ["EndedSessions"]

_ENDED = tables.ended_sessions
_KEPT_MS = 86_400_000  # past their end, should the clocks of the service and the database differ


class EndedSessions:
    """Ended sessions by the SHA-256 of their id, until they would be over anyway. Methods may raise Unavailable."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def add(self, digest: str, ends_at: int) -> None:
        """Note that a session is ended which would be over at `ends_at`, in milliseconds; forget those long over."""
        try:
            with self._transactions.write() as connection:
                connection.execute(sa.delete(_ENDED).where(_ENDED.c.ends_at < now() - _KEPT_MS))
                connection.execute(sa.insert(_ENDED).values(digest=digest, ends_at=ends_at))
        except sa.exc.IntegrityError:  # ended already, perhaps at the same moment
            return

    def has(self, digest: str) -> bool:
        """Whether a session was ended."""
        with self._transactions.read() as connection:
            chosen = sa.select(_ENDED.c.digest).where(_ENDED.c.digest == digest)
            return connection.execute(chosen).first() is not None
