"""The worker as a process: what it is made of, and how long it stays.

It imports no more than it needs to look for work: what runs take is loaded by the first of them, and given back by the
end of the process.
"""

import os
import pickle
import select
import signal
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager

from headgate import faults, telemetry
from headgate.config import Settings
from headgate.engine import Announcer, Worker
from headgate.store import open_store
from headgate.targets import Lake, Retention

__all__ = ["RESTED", "work", "working"]

RESTED = 99
"""How a worker exits that had nothing to do."""


@contextmanager
def working(settings: Settings, *, resumed: bool = False) -> Iterator[Worker]:
    """A started worker of a data folder. `resumed` says that it goes on where one left off that had nothing to do."""
    store = open_store(settings)
    try:
        retention = Retention(settings.snapshots, settings.snapshot_days * 86_400, store.queue.unfinished)
        with closing(Lake(settings.warehouse, retention)) as lake:
            worker, announcer = Worker(store, lake, settings, resumed=resumed), Announcer(store, settings)
            worker.start()
            announcer.start()
            try:
                with store.wakeup.heard(worker.wake):
                    yield worker
            finally:
                worker.stop()
                store.wakeup.tell()  # others may take what it gave back
                announcer.stop()
    finally:
        store.close()


def work(settings: Settings, wakes: int, *, resumed: bool = False) -> int:
    """Work until the pipe `wakes` ends, or SIGTERM, or there was nothing to do for a while; the process's exit code.

    A byte in the pipe says that a run was stored.
    """
    with working(settings, resumed=resumed) as worker:
        signal.signal(signal.SIGTERM, _leave)
        try:
            while not _rested(worker, settings.worker_rest, wakes):
                if not os.read(wakes, 4096):
                    return 0
                worker.wake()
        except _Left:
            return 0
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return RESTED


def _rested(worker: Worker, seconds: float, wakes: int) -> bool:
    """Wait for something in the pipe; whether there was nothing to do for so long instead."""
    while not select.select([wakes], [], [], seconds)[0]:
        if worker.idle >= seconds:
            return True
    return False


class _Left(Exception):
    """The worker was told to end."""


def _leave(_number: int, _frame: object) -> None:
    raise _Left


def _main() -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    wakes, began = sys.argv[1:]
    settings = pickle.load(sys.stdin.buffer)  # noqa: S301 - written by the service that started this
    telemetry.configure()
    faults.arm(os.environ)
    return work(settings, int(wakes), resumed=began == "resumed")


if __name__ == "__main__":
    sys.exit(_main())
