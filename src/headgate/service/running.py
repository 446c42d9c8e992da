"""The use-cases of a deployment, for as long as a context is open."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from headgate.auth import local_credentials
from headgate.config import Settings
from headgate.service.service import Service
from headgate.store import open_store

__all__ = ["serving"]


@contextmanager
def serving(settings: Settings, *, wake: Callable[[], None]) -> Iterator[Service]:
    """The use-cases of a data folder. `wake` is called once all is ready, and after every run that is stored.

    Workers of other hosts are told of it, too, where they share a PostgreSQL.
    """
    store = open_store(settings)

    def wake_all() -> None:
        wake()
        store.wakeup.tell()

    try:
        local_credentials(settings, store)
        with closing(Service(settings, store, wake_all)) as service:
            wake_all()
            yield service
    finally:
        store.close()
