"""A worker of a data folder, for as long as a context is open."""

from collections.abc import Iterator
from contextlib import contextmanager

from headgate.config import Settings
from headgate.engine import Worker
from headgate.store import Store, open_store
from headgate.targets import Lake

__all__ = ["working"]


@contextmanager
def working(settings: Settings, store: Store | None = None) -> Iterator[Worker]:
    """A started worker on `store`, or on the folder's own; its runs are finished or given back at the end."""
    own = store or open_store(settings.metadata_url, settings.keys)
    lake = Lake(settings.warehouse)
    worker = Worker(own, lake, settings)
    worker.start()
    try:
        yield worker
    finally:
        worker.stop()
        lake.close()
        if store is None:
            own.close()
