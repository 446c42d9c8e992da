"""Ownership of a run while it is executed: heartbeats, progress, and the wish to cancel.

A `Lease` renews itself from a thread of its own. When the run is to stop, because its owner asked for it, the
worker is stopping, or the lease was lost, it tells the attempt's work to break off.
"""

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
from typing import Self

from headgate import faults
from headgate.errors import AttemptLost, HeadgateError, RunCancelled
from headgate.model.run_log import Level, LogLine
from headgate.model.runs import Json, Run
from headgate.model.splits import StagedSplit
from headgate.store import Queue
from headgate.telemetry import emit

__all__ = ["HandedBack", "Lease"]

_BEAT = 1.0  # seconds between two heartbeats, which also carry the progress and bring the wish to cancel


class HandedBack(HeadgateError):
    """The worker is stopping and gives the run back to the queue."""


class Lease(AbstractContextManager["Lease"]):
    """Keeps a claimed run ours for `seconds` at a time. Renewed at least three times within that span."""

    def __init__(self, queue: Queue, run: Run, seconds: float, progress: Callable[[], Json]) -> None:
        self._queue = queue
        self._run = run
        self._seconds = seconds
        self._progress = progress
        self._expires = time.monotonic() + seconds
        self._reason: HeadgateError | None = None
        self._breaks: list[Callable[[], None]] = []
        self._noted: list[StagedSplit] = []
        self._told: list[LogLine] = []
        self._shown = -_BEAT  # when the progress was stored last, by the monotonic clock
        self._lock = threading.Lock()
        self._renewing = threading.Lock()
        self._stopped = threading.Event()
        self._stopped_at = math.inf
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"lease-{run.id[:8]}", daemon=True)

    def __enter__(self) -> Self:
        if self._run.cancel_requested:
            self.stop(RunCancelled(id=self._run.id))
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def check(self) -> None:
        """Raise why the work must stop: RunCancelled, AttemptLost or HandedBack. Cheap."""
        if self._reason is None and time.monotonic() > self._expires:
            self.stop(AttemptLost("The lease ended before it could be renewed.", id=self._run.id))
        if self._reason is not None:
            raise self._reason

    def confirm(self) -> None:
        """As `check()`, but ask the store: afterwards the run is ours for the whole span of a lease."""
        self.check()
        self._renew()
        self.check()

    def note(self, split: StagedSplit) -> None:
        """Have the store record a staged split, with the next heartbeat."""
        with self._lock:
            self._noted.append(split)

    def tell(self, text: str, level: Level = "info") -> None:
        """Have a line stand in the run's log, with the next heartbeat."""
        with self._lock:
            self._told.append(LogLine.now(text, level))

    def untold(self) -> list[LogLine]:
        """The lines that no heartbeat took, for whoever stores how the attempt ended."""
        with self._lock:
            lines, self._told = self._told, []
        return lines

    def flush(self) -> None:
        """Have the store record now what was noted. Raises AttemptLost."""
        if self._noted:
            self._renew()

    def pause(self, seconds: float) -> None:
        """Wait, but not longer than the work may go on; then as `check()`."""
        self._stopped.wait(seconds)
        self.check()

    def overdue(self, seconds: float) -> bool:
        """Whether the work was told so long ago to stop."""
        return time.monotonic() - self._stopped_at > seconds

    @contextmanager
    def breaking(self, break_off: Callable[[], None]) -> Iterator[None]:
        """While the context is open, have `break_off` called when the work must stop."""
        with self._lock:
            self._breaks.append(break_off)
        try:
            self.check()
            yield
        finally:
            with self._lock:
                self._breaks.remove(break_off)

    def stop(self, reason: HeadgateError) -> None:
        """Break the work off. The first reason counts."""
        with self._lock:
            if self._reason is None:
                self._reason, self._stopped_at = reason, time.monotonic()
        self._stopped.set()
        self.break_off()

    def break_off(self) -> None:
        """Break off what is under way, again."""
        with self._lock:  # so that none is called after its context ended
            for break_off in self._breaks:
                try:
                    break_off()
                except HeadgateError as error:
                    emit("lease.not_broken_off", level="warning", run=self._run.id, reason=error.detail)

    def _beat(self) -> None:
        while not self._over.wait(min(_BEAT, self._seconds / 3)):
            try:
                self._renew()
            except AttemptLost as lost:
                self.stop(lost)
            except Exception as error:  # noqa: BLE001 - the heart must go on: the store may come back in time
                emit("lease.not_renewed", level="warning", run=self._run.id, reason=str(error))
                if time.monotonic() > self._expires:
                    self.stop(AttemptLost(f"The lease ended unrenewed: {error}", id=self._run.id))
            if self._reason is not None:
                self.break_off()  # again: work that was between two statements did not notice

    def _renew(self) -> None:
        faults.point("heartbeat")
        with self._renewing:
            asked = time.monotonic()
            metrics = self._progress() if asked - self._shown >= _BEAT else None
            noted, told = tuple(self._noted), tuple(self._told)
            cancelled = self._queue.heartbeat(self._run, lease=self._seconds, metrics=metrics, staged=noted, lines=told)
            self._expires = asked + self._seconds
            with self._lock:
                del self._noted[: len(noted)]
                del self._told[: len(told)]
            if metrics is not None:
                self._shown = asked
        if cancelled:
            self.stop(RunCancelled(id=self._run.id))
