"""The parts of a deployment put together, for as long as a context is open."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from headgate.auth import local_credentials
from headgate.config import Settings
from headgate.engine import Announcer, Worker
from headgate.service.service import Service
from headgate.store import open_store
from headgate.targets import Lake, Retention

__all__ = ["serving", "working"]


@contextmanager
def serving(settings: Settings, *, wake: Callable[[], None]) -> Iterator[Service]:
    """The use-cases of a data folder. `wake` is called once all is ready, and after every run that is stored."""
    store = open_store(settings)
    try:
        local_credentials(settings, store)
        with closing(Service(settings, store, wake)) as service:
            wake()
            yield service
    finally:
        store.close()


@contextmanager
def working(settings: Settings) -> Iterator[Worker]:
    """A started worker of a data folder."""
    store = open_store(settings)
    try:
        retention = Retention(settings.snapshots, settings.snapshot_days * 86_400, store.queue.unfinished)
        with closing(Lake(settings.warehouse, retention)) as lake:
            worker, announcer = Worker(store, lake, settings), Announcer(store, settings)
            worker.start()
            announcer.start()
            try:
                yield worker
            finally:
                worker.stop()
                announcer.stop()
    finally:
        store.close()
