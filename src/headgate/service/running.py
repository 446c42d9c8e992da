"""The parts of a deployment put together, for as long as a context is open."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

from headgate.auth import local_credentials
from headgate.config import Settings
from headgate.engine import Announcer, Worker
from headgate.service.service import Service
from headgate.store import Store, open_store
from headgate.targets import Lake, Retention

__all__ = ["serving", "working"]


@contextmanager
def serving(settings: Settings, *, with_worker: bool) -> Iterator[Service]:
    """The use-cases of a data folder and, if so asked, a started worker that they wake."""
    store = open_store(settings)
    try:
        local_credentials(settings, store)
        if with_worker:
            with _worker(settings, store) as worker, closing(Service(settings, store, worker.wake)) as service:
                yield service
        else:
            with closing(Service(settings, store, _nobody)) as service:
                yield service
    finally:
        store.close()


@contextmanager
def working(settings: Settings) -> Iterator[Worker]:
    """A started worker of a data folder."""
    store = open_store(settings)
    try:
        with _worker(settings, store) as worker:
            yield worker
    finally:
        store.close()


@contextmanager
def _worker(settings: Settings, store: Store) -> Iterator[Worker]:
    retention = Retention(settings.snapshots, settings.snapshot_days * 86_400, store.queue.unfinished)
    lake = Lake(settings.warehouse, retention)
    worker, announcer = Worker(store, lake, settings), Announcer(store, settings)
    worker.start()
    announcer.start()
    try:
        yield worker
    finally:
        worker.stop()
        announcer.stop()
        lake.close()


def _nobody() -> None:
    """Workers of other processes find a new run at their next poll."""
