"""The worker of a service in a process of its own, so that neither slows the other down nor dies of it.

`headgate serve` forks it before it has threads or connections, and so shares the memory of what is imported. A worker
that dies is replaced by one that is started anew. A pipe runs from the service to the worker: a byte in it says that
a run was stored, and its end that the service has gone, however it went.
"""

import gc
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from headgate import faults, telemetry
from headgate.config import Settings
from headgate.service.running import working
from headgate.store import open_store
from headgate.telemetry import emit

__all__ = ["worker_process"]

_END_SECONDS = 60.0  # how long a worker may take to finish or hand back its runs
_LONGEST_PAUSE = 30.0  # seconds between a worker's death and the next one's start
_STEADY_SECONDS = 60.0  # a worker that has lived so long did not die of its start


@contextmanager
def worker_process(settings: Settings) -> Iterator[Callable[[], None]]:
    """A worker while the context is open, and what wakes it. It starts when it is first woken.

    Enter this before the process has a thread or a connection: they do not survive a fork. Raises Unavailable.
    """
    open_store(settings).close()  # what both need of it is imported once, and its tables are brought up to date
    wakes, wake = multiprocessing.Pipe(duplex=False)
    os.set_blocking(wake.fileno(), False)
    gc.collect()
    gc.freeze()  # else a collection in one process writes to, and so copies, what both share
    worker = multiprocessing.get_context("fork").Process(target=_work, args=(settings, wakes, wake), name="worker")
    worker.start()
    over = threading.Event()
    keeper = threading.Thread(target=_keep, args=(worker, settings, wakes, over), name="keeper", daemon=True)
    keeper.start()

    def awaken() -> None:
        with suppress(BlockingIOError):  # the pipe is full of reasons to look at the queue
            os.write(wake.fileno(), b".")

    try:
        yield awaken
    finally:
        over.set()
        wake.close()
        keeper.join(_END_SECONDS)
        if keeper.is_alive():
            emit("worker.still_running", level="warning", seconds=_END_SECONDS)
        wakes.close()


def _keep(worker: BaseProcess, settings: Settings, wakes: Connection, over: threading.Event) -> None:
    """Wait for the worker's end, and start another one when it is not the service's end too."""
    pause = 1.0
    while True:
        born = time.monotonic()
        worker.join()
        if over.is_set():
            return
        if time.monotonic() - born > _STEADY_SECONDS:
            pause = 1.0
        emit("worker.died", level="error", pid=worker.pid, exit_code=worker.exitcode, pause=pause)
        if over.wait(pause):
            return
        pause = min(pause * 2, _LONGEST_PAUSE)
        # Not forked: this process has threads by now.
        worker = multiprocessing.get_context("spawn").Process(target=_work, args=(settings, wakes, None), name="worker")
        worker.start()


def _work(settings: Settings, wakes: Connection, wake: Connection | None) -> None:
    """Work until the service has gone, or SIGTERM."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the service says when to end
    if wake is None:
        telemetry.configure()
        faults.arm(os.environ)
    else:
        wake.close()
        if not os.read(wakes.fileno(), 1):
            return
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123 - who reads what the service prints waits for its end alone
        os.dup2(nowhere.fileno(), 1)
    with working(settings) as worker:
        signal.signal(signal.SIGTERM, _leave)
        with suppress(_Left):
            while os.read(wakes.fileno(), 4096):
                worker.wake()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)


class _Left(Exception):
    """The worker was told to end."""


def _leave(_number: int, _frame: object) -> None:
    raise _Left
