"""Word to the workers of all hosts that something was stored for them, where the database passes it on: PostgreSQL.

It goes out after what it is about was committed, by a thread of its own: PostgreSQL commits transactions that notify
one after another, and so would let runs be stored no faster than a disk flushes. Word that is lost costs no more than
the wait for the worker's next look at the queue.
"""

import os
import queue
import select
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import sqlalchemy as sa

from headgate.telemetry import emit

__all__ = ["Wakeup"]

_CHANNEL = "headgate_work"
_PROOF_SECONDS = 30.0  # between two proofs that a silent connection still is one
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 10.0  # seconds before listening again after a connection broke
_END_SECONDS = 5.0


class Wakeup:
    """Tells workers, and hears for them. Nothing happens where the metadata is SQLite's."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._silent = engine.dialect.name != "postgresql"
        self._errors = (sa.exc.SQLAlchemyError, engine.dialect.loaded_dbapi.Error)
        self._words: queue.Queue[bool] = queue.Queue(maxsize=1)  # one that waits to be sent stands for all
        self._lock = threading.Lock()
        self._teller: threading.Thread | None = None

    def tell(self) -> None:
        """Have every worker that listens look at the queue. Returns at once."""
        if self._silent:
            return
        with self._lock:
            if self._teller is None:
                self._teller = threading.Thread(target=self._tell, name="wakeup", daemon=True)
                self._teller.start()
        with suppress(queue.Full):
            self._words.put_nowait(True)

    def close(self) -> None:
        """Send what waits to be sent, if the database takes it."""
        if self._teller is not None:
            with suppress(queue.Full):
                self._words.put(False, timeout=_END_SECONDS)
                self._teller.join(_END_SECONDS)

    @contextmanager
    def heard(self, wake: Callable[[], None]) -> Iterator[None]:
        """While the context is open, have `wake` called when somebody tells, and when somebody may have, unheard."""
        if self._silent:
            yield
            return
        ended, end = os.pipe()
        listener = threading.Thread(target=self._hear, args=(wake, ended), name="listener", daemon=True)
        listener.start()
        try:
            yield
        finally:
            os.close(end)  # which can be read
            listener.join()
            os.close(ended)

    def passes(self) -> bool | None:
        """Whether word passes through this database and what is before it; None where there is no word."""
        if self._silent:
            return None
        words: queue.SimpleQueue[None] = queue.SimpleQueue()
        with suppress(queue.Empty), self.heard(lambda: words.put(None)):
            words.get(timeout=_END_SECONDS)  # it listens
            self.tell()
            words.get(timeout=_END_SECONDS)
            return True
        return False

    def _tell(self) -> None:
        while self._words.get():
            try:
                with self._engine.begin() as connection:
                    connection.exec_driver_sql(f"NOTIFY {_CHANNEL}")
            except self._errors as error:
                emit("wakeup.not_told", level="warning", reason=str(error))

    def _hear(self, wake: Callable[[], None], ended: int) -> None:
        pause = _FIRST_PAUSE
        while True:
            try:
                with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                    connection.detach()  # the pool's have other uses
                    connection.exec_driver_sql(f"LISTEN {_CHANNEL}")
                    pause = _FIRST_PAUSE
                    self._listen(connection, wake, ended)
                    return
            except self._errors as error:
                emit("wakeup.not_heard", level="warning", reason=str(error), pause=pause)
            if select.select([ended], [], [], pause)[0]:
                return
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _listen(self, connection: sa.Connection, wake: Callable[[], None], ended: int) -> None:
        """Call `wake` now and with every word, until the pipe `ended` says so. Raises what breaks the connection."""
        driver: Any = connection.connection.dbapi_connection  # psycopg's own: only that has notifications
        wake()
        while True:
            readable = select.select([driver.fileno(), ended], [], [], _PROOF_SECONDS)[0]
            if ended in readable:
                return
            if not readable:
                connection.exec_driver_sql("SELECT 1")
            elif any([*driver.notifies(timeout=0)]):
                wake()
