"""Upkeep of the tables that a worker writes to, beside its runs."""

import threading
import time
from typing import TYPE_CHECKING

from headgate.config import Settings
from headgate.errors import HeadgateError
from headgate.model.resources import now_ms
from headgate.model.runs import Run, RunState
from headgate.sources import sweep_copies, sweep_landing_zones
from headgate.store import Store
from headgate.targets import Lake, reject_files
from headgate.telemetry import emit

if TYPE_CHECKING:
    from headgate.targets import Leftovers

__all__ = ["Upkeep", "next_upkeep"]

_PAUSE = 600.0  # seconds between two looks at a table
_DAY = 86_400.0  # seconds
_RECENT = _DAY  # seconds after a run for which one that goes on looks at its table again


class Upkeep:
    """Deletes, in a thread of its own, what is left over in tables that runs have written to, and of files they copied.

    A table is looked at for as long as there is something left in it. What a run staged that ended without rows goes
    once no worker that was lost over it can still be writing, a lease after the end.

    At the start, and every day, the store says which tables there are. One that goes on where another left off,
    `resumed`, looks first at those alone in which there may be something whose time had not come.
    """

    def __init__(self, lake: Lake, store: Store, settings: Settings, *, resumed: bool = False) -> None:
        self._lake = lake
        self._store = store
        self._settings = settings
        self._grace = settings.read_grace
        self._lease = settings.lease
        self._resumed = resumed
        self._ask_at = 0.0  # when to ask the store for all tables, by the monotonic clock
        self.looked_at = 0.0  # when a table was looked at last, by the monotonic clock
        self._look_at = 0.0  # when to look for runs that ended untidily, by the monotonic clock
        self._zones_at = 0.0  # when to look for files that were in a landing zone for long enough
        self._pause = min(_PAUSE, self._grace)
        self._due: dict[tuple[str, ...], float] = {}
        self._tables: dict[tuple[str, ...], Leftovers] = {}
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="upkeep", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, after the table at hand."""
        self._over.set()
        self._thread.join()

    def written(self, identifier: tuple[str, ...]) -> None:
        """A run has written to the table."""
        with self._lock:
            self._due.setdefault(identifier, time.monotonic() + self._pause)

    def _work(self) -> None:
        while not self._over.wait(min(1.0, self._pause)):
            if time.monotonic() >= self._ask_at:
                self._remember()
            if time.monotonic() >= self._look_at:
                self._look_at = time.monotonic() + self._lease
                self._tidy_runs()
            if time.monotonic() >= self._zones_at:
                self._zones_at = time.monotonic() + _PAUSE
                self._tidy_zones()
            with self._lock:
                due = [identifier for identifier, moment in self._due.items() if moment <= time.monotonic()]
                for identifier in due:
                    del self._due[identifier]
            for identifier in due:
                if self._over.is_set():
                    return
                self._tidy(identifier)

    def _remember(self) -> None:
        """Take up the tables that runs have written to before this start."""
        try:
            tables = self._store.queue.tables()
        except HeadgateError as error:
            emit("tables.not_remembered", level="warning", reason=error.detail)
            return
        present, resumed = now_ms(), self._resumed
        self._ask_at, self._resumed = time.monotonic() + _DAY, False
        for identifier, last in tables.items():
            since = (present - last) / 1000 if last is not None else _RECENT
            if since < _RECENT or not resumed:
                wait = max(self._grace - since, 0.0 if resumed else self._pause)
                with self._lock:
                    self._due.setdefault(identifier, time.monotonic() + wait)

    def _tidy_zones(self) -> None:
        try:
            if files := sweep_landing_zones(self._settings):
                emit("landing_zones.tidied", files=files)
        except HeadgateError as error:
            emit("landing_zones.not_tidied", level="warning", reason=error.detail)
        except Exception as error:  # noqa: BLE001 - upkeep must go on
            emit("landing_zones.not_tidied", level="error", exc_info=error)

    def _tidy_runs(self) -> None:
        """Delete what ended runs may have left, whichever worker had them."""
        try:
            if copies := sweep_copies(self._settings):
                emit("copies.tidied", folders=copies)
            runs = self._store.queue.untidy(ended_before=self._lease)
            tidied = [run for run in runs if self._tidy_run(run)]
            if tidied:
                self._store.queue.tidied(tidied)
        except HeadgateError as error:
            emit("runs.not_tidied", level="warning", reason=error.detail)
        except Exception as error:  # noqa: BLE001 - upkeep must go on
            emit("runs.not_tidied", level="error", exc_info=error)

    def _tidy_run(self, run: Run) -> bool:
        """Take away what a run staged in vain; whether that was possible."""
        identifier = tuple(run.frozen["target"]["table"])
        if run.state is RunState.SUCCESS:  # its files may have been listed and replaced, and still be read
            self.written(identifier)
            return True
        try:
            if (table := self._lake.find(identifier)) is not None:
                table.sweep(run.id)
        except (HeadgateError, OSError) as error:
            emit("run.not_tidied", level="warning", run=run.id, reason=str(error))
            return False
        return True

    def _tidy(self, identifier: tuple[str, ...]) -> None:
        from headgate.targets import Leftovers

        leftovers = self._tables.get(identifier)
        if leftovers is None:
            leftovers = Leftovers(self._lake, identifier, self._store.queue.unfinished, self._grace)
        try:
            gone = leftovers.sweep()
            self._expire_rejects(identifier)
        except HeadgateError as error:
            emit("table.not_tidied", level="warning", table=".".join(identifier), reason=error.detail)
        except Exception as error:  # noqa: BLE001 - one table must not keep the others from their upkeep
            emit("table.not_tidied", level="error", table=".".join(identifier), exc_info=error)
        else:
            self.looked_at = time.monotonic()
            if gone:
                emit("table.tidied", table=".".join(identifier), files=gone)
            if not leftovers.waiting:
                self._tables.pop(identifier, None)
                return
        self._tables[identifier] = leftovers
        self.written(identifier)

    def _expire_rejects(self, identifier: tuple[str, ...]) -> None:
        table = self._lake.find(identifier)
        if table is not None and (runs := reject_files.expire(table, self._settings.reject_days * _DAY)):
            emit("rejects.expired", table=table.name, runs=runs)


def next_upkeep(store: Store, grace: float) -> float:
    """Seconds until the files have stayed for `grace` that a run just left in its table; infinite when none did.

    Raises Unavailable.
    """
    present = now_ms()
    waits = ((last - present) / 1000 + grace for last in store.queue.tables().values() if last is not None)
    return min((wait for wait in waits if wait > 0), default=float("inf"))
