"""The worker: makes the runs of flows that are due, claims runs and executes them, several at a time."""

import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING

from headgate import __version__
from headgate.config import Settings
from headgate.engine.lease import HandedBack
from headgate.engine.upkeep import Upkeep
from headgate.errors import HeadgateError
from headgate.model.resources import now_ms
from headgate.sources import take_manifests
from headgate.store import Claim, Store
from headgate.targets import Lake
from headgate.telemetry import emit

if TYPE_CHECKING:
    from headgate.engine.attempt import Attempt

__all__ = ["Worker"]

_TIDY_SECONDS = 3600
_REST_SECONDS = 0.05  # between two looks for runs that may begin beside those under way
_DAY_MS = 86_400_000
_REGISTER_SECONDS = 15.0


class Worker:
    """Executes runs from the queue of `store` into `lake` until it is stopped, those of scheduled flows when due.

    Its name is new with every start, so that it never mistakes an earlier process's runs for its own. `resumed` says
    that it goes on where one left off that had nothing to do.
    """

    def __init__(self, store: Store, lake: Lake, settings: Settings, *, resumed: bool = False) -> None:
        take_manifests(settings.manifests)
        self.name = f"worker-{secrets.token_hex(4)}"
        self._store = store
        self._lake = lake
        self._settings = settings
        self._upkeep = Upkeep(lake, store, settings, resumed=resumed)
        self._wake = threading.Event()
        self._ended = threading.Event()  # a run has, so that there is a place free or a flow
        self._stopping = threading.Event()
        self._free = threading.Semaphore(settings.parallel_runs)
        self._tidy_at = self._register_at = 0.0
        self._loaded = False  # whether what runs take is
        self._look_at = 0.0  # when to look at the schedules again, by the monotonic clock
        self._attempts: set[Attempt] = set()
        self._ended_at = time.monotonic()  # when an attempt did last
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._work, name=self.name)

    def start(self) -> None:
        """Begin to work, in threads of its own."""
        self._thread.start()
        self._upkeep.start()

    def wake(self) -> None:
        """Look at the queue now instead of at the next poll."""
        self._wake.set()

    @property
    def idle(self) -> float:
        """Seconds for which it has had neither a run nor a table to look at."""
        with self._lock:
            busy = bool(self._attempts)
        return 0.0 if busy else time.monotonic() - max(self._ended_at, self._upkeep.looked_at)

    def stop(self) -> None:
        """Claim nothing more, let runs finish for the time that the settings give, and hand the rest back."""
        self._stopping.set()
        self._ended.set()
        self._wake.set()
        timer = threading.Timer(self._settings.worker_grace, self._hand_back)
        timer.start()
        self._thread.join()
        timer.cancel()
        self._upkeep.stop()

    def _hand_back(self) -> None:
        with self._lock:
            attempts = list(self._attempts)
        for attempt in attempts:
            attempt.lease.stop(HandedBack())

    def _work(self) -> None:
        emit("worker.started", worker=self.name)
        with ThreadPoolExecutor(self._settings.parallel_runs, "run") as pool:
            while not self._stopping.is_set():
                self._wake.clear()
                self._ended.clear()
                self._register()
                self._make_due()
                self._tidy()
                claim = self._claim()
                if claim is None:
                    self._wake.wait(self._settings.poll)
                    if self._attempts:  # looking takes the store's time from those who store runs meanwhile
                        self._ended.wait(_REST_SECONDS)
                else:
                    pool.submit(self._execute, claim)
            while self._attempts:  # they may take long to finish, and it is not silent meanwhile
                self._register()
                self._ended.wait(_REGISTER_SECONDS)
                self._ended.clear()
        with self._outlived("worker.not_registered"):
            self._store.workers.gone(self.name)
        emit("worker.stopped", worker=self.name)

    def _register(self) -> None:
        """Every few seconds, say in the store that this worker is there."""
        if time.monotonic() < self._register_at:
            return
        self._register_at = time.monotonic() + _REGISTER_SECONDS
        with self._outlived("worker.not_registered"):
            self._store.workers.seen(
                self.name,
                host=socket.gethostname(),
                pid=os.getpid(),
                version=__version__,
                places=self._settings.parallel_runs,
            )

    def _make_due(self) -> None:
        """Once a poll, make the runs of the flows that are due."""
        if time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + self._settings.poll
        with self._outlived("schedule.not_made"):
            while (run := self._store.planner.make_due()) is not None:
                emit("schedule.due", run=run.id, flow=run.flow_id, window=str(run.window))

    def _tidy(self) -> None:
        """Once an hour, delete the entries of the audit log that are older than they need to be kept."""
        if not self._settings.audit_days or time.monotonic() < self._tidy_at:
            return
        self._tidy_at = time.monotonic() + _TIDY_SECONDS
        with self._outlived("audit.not_tidied"):
            gone = self._store.audit.forget(now_ms() - self._settings.audit_days * _DAY_MS)
            emit("audit.tidied", entries=gone)

    def _claim(self) -> Claim | None:
        """Claim a run once a place is free for it. The place is given back by `_execute()`."""
        if not self._free.acquire(timeout=self._settings.poll):
            return None
        if self._stopping.is_set():
            self._free.release()
            return None
        claim = None
        with self._outlived("worker.claim_failed"):
            if self._prepared():
                claim = self._store.queue.claim(
                    self.name, lease=self._settings.lease, most=self._settings.org_parallel_runs
                )
        if claim is None:
            self._free.release()
        return claim

    def _prepared(self) -> bool:
        """Load what runs take once there is one, and before it is claimed: nothing renews the lease meanwhile."""
        if not self._loaded and self._store.queue.waits():
            import_module("headgate.engine.attempt")
            self._loaded = True
        return self._loaded

    def _execute(self, claim: Claim) -> None:
        from headgate.engine.attempt import Attempt

        attempt = Attempt(claim, self._store, self._lake, self._settings)
        with self._lock:
            self._attempts.add(attempt)
        try:
            with self._outlived("worker.attempt_failed", run=claim.run.id):
                attempt.execute()
        finally:
            with self._lock:
                self._attempts.discard(attempt)
                self._ended_at = time.monotonic()
            self._upkeep.written(tuple(claim.run.frozen["target"]["table"]))
            self._free.release()
            self._ended.set()
            self._wake.set()

    @contextmanager
    def _outlived(self, event: str, **about: str) -> Iterator[None]:
        """Log what goes wrong inside as `event`, and go on: a worker outlives it."""
        try:
            yield
        except HeadgateError as error:
            emit(event, level="warning", worker=self.name, reason=error.detail, **about)
        except Exception as error:  # noqa: BLE001 - whatever one run or one row does, the others go on
            emit(event, level="error", worker=self.name, exc_info=error, **about)
