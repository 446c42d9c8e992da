"""Rows on their way from a system's session into DuckDB: asked for when they are scanned, stopped when unwanted."""

import queue
import re
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from uuid import uuid4

import pyarrow as pa

from headgate.errors import HeadgateError, SourceUnreachable, UnholdableValue
from headgate.sources.sql.driver import Driver, Session

__all__ = ["Arrivals", "Arriving", "conformed"]

_AHEAD = 2  # batches that are read before they are wanted, beside those that PyArrow holds
_LOOK = 0.2  # seconds between two looks at whether an answer is still wanted
_SPARE_THREADS = 8
# PyArrow pulls each stream in a thread of the pool that it reads files with, too. One that waits for a slow database
# must not keep another stream, or the reading of a file, waiting: there is a thread for every answer that may be late.
_alive: "weakref.WeakSet[Arriving]" = weakref.WeakSet()
_TOLD = re.compile(r"headgate-arrival<([0-9a-f]{32})>")


class Arriving:
    """The answer to one query, as DuckDB scans it: each scan asks anew, and none asks before its first batch."""

    def __init__(self, arrivals: "Arrivals", token: str, query: str, schema: pa.Schema, names: Sequence[str]) -> None:
        self._arrivals = arrivals
        self._token = token
        self._query = query
        self._schema = schema
        self._names = names
        _alive.add(self)
        if pa.io_thread_count() < len(_alive) + _SPARE_THREADS:
            pa.set_io_thread_count(len(_alive) + _SPARE_THREADS)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The stream that Arrow's C interface asks for."""
        batches = self._arrivals.batches(self._token, self._query, self._schema, self._names)
        return pa.RecordBatchReader.from_batches(self._schema, batches).__arrow_c_stream__(requested_schema)


class Arrivals:
    """The queries of a source that are being answered, by the reading that they are part of.

    What goes wrong in one fails inside DuckDB, which repeats only a text; `failure()` finds the error by it.
    """

    def __init__(self, driver: Driver, translate: Callable[[Exception], HeadgateError]) -> None:
        self._driver = driver
        self._errors: tuple[type[Exception], ...] = (HeadgateError, *driver.errors)
        self._translate = translate
        self._open: dict[str, dict[str, Session]] = {}  # by reading, then by query
        self._failures: dict[str, tuple[str, HeadgateError]] = {}  # by query: its reading, and what went wrong
        self._stopped: set[str] = set()  # readings
        self._lock = threading.Lock()

    def batches(self, token: str, query: str, schema: pa.Schema, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """The answer to `query`, exactly in `schema`; a failure ends it with a text that `failure()` understands.

        A thread of its own reads it: a driver that cannot be stopped keeps nobody who waits for it, and no process.
        """
        id_, answer = uuid4().hex, _Answer()
        reading = (id_, token, query, schema, names, answer)
        threading.Thread(target=self._read, args=reading, name="answer", daemon=True).start()
        try:
            while (batch := answer.next(lambda: self._check(token))) is not None:
                yield batch
        except self._errors as error:
            with self._lock:
                self._failures[id_] = token, self._translate(error)
            raise RuntimeError(f"headgate-arrival<{id_}>") from None
        finally:
            answer.unwanted.set()

    def _read(
        self, id_: str, token: str, query: str, schema: pa.Schema, names: Sequence[str], answer: "_Answer"
    ) -> None:
        try:
            session = self._driver.connect()
            try:
                with self._lock:
                    self._open.setdefault(token, {})[id_] = session
                self._check(token)
                for batch in session.batches(query, schema):
                    self._check(token)
                    if not answer.put(conformed(batch, schema, names)):
                        return
                self._check(token)  # a driver that is stopped may end as if that were all
            finally:
                with self._lock:
                    self._open.get(token, {}).pop(id_, None)
                session.close()
        except Exception as error:  # noqa: BLE001 - raised again where somebody waits for the answer
            answer.put(error)
        else:
            answer.put(None)

    def failure(self, text: str) -> HeadgateError | None:
        """What went wrong in the answer to a query, when `text` is the message of DuckDB's error about that."""
        found = _TOLD.search(text)
        kept = self._failures.get(found[1]) if found else None
        return kept[1] if kept else None

    def cancel(self, token: str) -> None:
        """Have the system stop answering the queries of a reading."""
        with self._lock:
            self._stopped.add(token)
            sessions = list(self._open.get(token, {}).values())
        for session in sessions:
            session.cancel()

    def end(self, token: str) -> None:
        """Forget a reading, and stop what is left of it, if it can be stopped."""
        with suppress(*self._errors):  # a session that has just ended may refuse
            self.cancel(token)
        with self._lock:
            self._open.pop(token, None)
            self._failures = {id_: kept for id_, kept in self._failures.items() if kept[0] != token}

    def _check(self, token: str) -> None:
        if token in self._stopped:
            raise SourceUnreachable("The read was stopped.")


class _Answer:
    """The batches of one query between the thread that reads them and the one that wants them; None is the end."""

    def __init__(self) -> None:
        self.unwanted = threading.Event()
        self._queue: queue.Queue[pa.RecordBatch | Exception | None] = queue.Queue(_AHEAD)

    def put(self, part: "pa.RecordBatch | Exception | None") -> bool:
        """Wait until there is room; whether anybody still wants it."""
        while not self.unwanted.is_set():
            try:
                self._queue.put(part, timeout=_LOOK)
            except queue.Full:
                continue
            return True
        return False

    def next(self, check: Callable[[], None]) -> "pa.RecordBatch | None":
        """The next part, once it is there; `check` is called again and again meanwhile, and may raise."""
        while True:
            try:
                part = self._queue.get(timeout=_LOOK)
            except queue.Empty:
                check()
                continue
            if isinstance(part, Exception):
                raise part
            return part


def conformed(batch: pa.RecordBatch, schema: pa.Schema, names: Sequence[str]) -> pa.RecordBatch:
    """`batch` in the types of `schema`, unchanged in value; `names` are what its columns are called in the source.

    Raises UnholdableValue for a value that is not exactly of its type, and for text that is not UTF-8.
    """
    arrays = []
    for array, field, name in zip(batch.columns, schema, names, strict=True):
        try:
            found = array if array.type == field.type else array.cast(field.type)
            if pa.types.is_string(field.type):
                found.validate(full=True)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise UnholdableValue(
                f'The column "{name}" holds a value that cannot be read as {field.type}: {error}. Correct it at the '
                "source, narrow the window, or leave the column out with params.columns.",
                column=name,
            ) from error
        arrays.append(found)
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
