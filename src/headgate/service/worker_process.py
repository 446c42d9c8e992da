"""The worker of a service in a process of its own, so that neither slows the other down nor dies of it.

`headgate serve` forks it before it has threads or connections, and so shares the memory of what is imported. A worker
that dies is replaced by one that is started anew. One that had nothing to do for a while ends, which gives back what
its runs took, and the service looks whether there is something for the next one. A pipe runs from the service to the
worker: a byte in it says that a run was stored, and its end that the service has gone, however it went.
"""

import gc
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from headgate.config import Settings
from headgate.engine import next_upkeep
from headgate.errors import HeadgateError
from headgate.service.working import RESTED, work
from headgate.store import open_store
from headgate.telemetry import emit

__all__ = ["worker_process"]

_Worker = BaseProcess | subprocess.Popen[bytes]

_END_SECONDS = 55.0  # how long a worker may take to hand back the runs that had no time to finish
_LONGEST_PAUSE = 30.0  # seconds between a worker's death and the next one's start
_STEADY_SECONDS = 60.0  # a worker that has lived so long did not die of its start
_DAY = 86_400.0  # seconds after which one looks at all tables again, and at what is too old to be kept


@contextmanager
def worker_process(settings: Settings) -> Iterator[Callable[[], None]]:
    """A worker while the context is open, and what wakes it. It starts when it is first woken.

    Enter this before the process has a thread or a connection: they do not survive a fork. Raises Unavailable.
    """
    context = multiprocessing.get_context("fork")
    migrating = context.Process(target=_migrate, args=(settings,), name="migrating")
    migrating.start()  # by itself, since what that loads would stay
    migrating.join()
    open_store(settings).close()  # what both need of it is imported once; says what was wrong, too
    wakes, wake = multiprocessing.Pipe(duplex=False)
    os.set_blocking(wake.fileno(), False)
    gc.collect()
    gc.freeze()  # else a collection in one process writes to, and so copies, what both share
    worker = context.Process(target=_work, args=(settings, wakes, wake), name="worker")
    worker.start()
    over, stored = threading.Event(), threading.Event()
    keeper = threading.Thread(target=_keep, args=(worker, settings, wakes, over, stored), name="keeper", daemon=True)
    keeper.start()

    def awaken() -> None:
        with suppress(BlockingIOError):  # the pipe is full of reasons to look at the queue
            os.write(wake.fileno(), b".")
        stored.set()

    try:
        yield awaken
    finally:
        over.set()
        stored.set()
        wake.close()
        keeper.join(longest := settings.worker_grace + _END_SECONDS)
        if keeper.is_alive():
            emit("worker.still_running", level="warning", seconds=longest)
        wakes.close()


def _keep(
    worker: _Worker, settings: Settings, wakes: Connection, over: threading.Event, stored: threading.Event
) -> None:
    """Start another worker when one has ended, once there is something to do, until the service ends."""
    pause, whole = 1.0, time.monotonic() + _DAY
    while True:
        born = time.monotonic()
        exit_code = _end_of(worker)
        if over.is_set():
            return
        if rested := exit_code == RESTED:
            emit("worker.rested", pid=worker.pid)
            _await_work(settings, over, stored, whole)
        else:
            if time.monotonic() - born > _STEADY_SECONDS:
                pause = 1.0
            emit("worker.died", level="error", pid=worker.pid, exit_code=exit_code, pause=pause)
            over.wait(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
        if over.is_set():
            return
        resumed = rested and time.monotonic() < whole
        if not resumed:
            whole = time.monotonic() + _DAY
        worker = _start(settings, wakes, resumed=resumed)


def _end_of(worker: _Worker) -> int | None:
    if isinstance(worker, subprocess.Popen):
        return worker.wait()
    worker.join()
    return worker.exitcode


def _await_work(settings: Settings, over: threading.Event, stored: threading.Event, latest: float) -> None:
    """Wait until there is something for a worker to do, at most to `latest`, or the service ends."""
    try:
        with closing(open_store(settings)) as store:
            latest = min(latest, time.monotonic() + next_upkeep(store, settings.read_grace))
            while not over.is_set() and time.monotonic() < latest:
                stored.clear()  # before the look: what is stored after it is heard of
                if store.work_waits():
                    return
                stored.wait(settings.poll)
    except HeadgateError as error:  # a worker has means to wait for the database
        emit("worker.woken", level="warning", reason=error.detail)


def _start(settings: Settings, wakes: Connection, *, resumed: bool) -> "subprocess.Popen[bytes]":
    """A worker that is not forked: this process has threads by now."""
    command = [sys.executable, "-P", "-m", work.__module__, str(wakes.fileno()), "resumed" if resumed else "anew"]
    worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, pass_fds=(wakes.fileno(),))
    assert worker.stdin is not None  # noqa: S101 - it is asked for
    with suppress(BrokenPipeError), worker.stdin as told:  # it died already
        told.write(pickle.dumps(settings))  # not as an argument, which others could read
    return worker


def _migrate(settings: Settings) -> None:
    """Bring the store's tables up to date. What goes wrong with that is told to who needs them next."""
    with suppress(HeadgateError):
        open_store(settings).close()


def _work(settings: Settings, wakes: Connection, wake: Connection) -> None:
    """Work until the service has gone, or SIGTERM, or there was nothing to do for a while."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the service says when to end
    wake.close()
    if not os.read(wakes.fileno(), 1):
        return
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123 - who reads what the service prints waits for its end alone
        os.dup2(nowhere.fileno(), 1)
    sys.exit(work(settings, wakes.fileno()))
