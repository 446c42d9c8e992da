"""Opening the metadata database: connections, transactions and migrations."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from headgate.config import Settings
from headgate.errors import HeadgateError, Unavailable
from headgate.model.scope import Caller, Scope
from headgate.store.audit import Audit
from headgate.store.catalog import CatalogStore
from headgate.store.deliveries import Deliveries
from headgate.store.ended_sessions import EndedSessions
from headgate.store.engines import engine_of, is_embedded
from headgate.store.keyring import Keyring, keyring_of
from headgate.store.migrating import ensure_tables, migrate, newest, revision
from headgate.store.planner import Planner
from headgate.store.queue import Queue
from headgate.store.reconciling import Reconciling
from headgate.store.rotation import SecretsAdmin
from headgate.store.run_log import RunFeed
from headgate.store.sandboxes import Sandboxes
from headgate.store.scoped import ScopedStore
from headgate.store.taken_files import TakenFiles
from headgate.store.tenants import Tenants
from headgate.store.transactions import Transactions
from headgate.store.vault import Vault
from headgate.store.wakeup import Wakeup
from headgate.store.workers import Workers

__all__ = ["Store", "open_store", "revisions", "upgrade"]


class Store:
    """The metadata of one deployment."""

    def __init__(self, engine: sa.Engine, keyring: Keyring, *, initial_load: bool = False) -> None:
        self._engine = engine
        self._initial_load = initial_load
        self._vault = Vault(keyring)
        self._transactions = Transactions(engine)
        self.queue = Queue(self._transactions)
        self.taken_files = TakenFiles(self._transactions)
        self.run_feed = RunFeed(self._transactions)
        self.deliveries = Deliveries(self._transactions)
        self.planner = Planner(self._transactions, self.scoped)
        self.reconciling = Reconciling(self._transactions, self.scoped)
        self.tenants = Tenants(self._transactions)
        self.audit = Audit(self._transactions)
        self.workers = Workers(self._transactions)
        self.wakeup = Wakeup(engine)
        self.ended_sessions = EndedSessions(self._transactions)
        self.sandboxes = Sandboxes(self._transactions)
        self.secrets = SecretsAdmin(self._transactions, self._vault, keyring)

    def scoped(self, where: Scope | Caller) -> ScopedStore:
        """All of one scope. What a `Caller` writes there is recorded as theirs, else as the service's own."""
        scope, caller = _who(where)
        return ScopedStore(self._transactions, self._vault, scope, caller, initial_load=self._initial_load)

    def catalog(self, where: Scope | Caller) -> CatalogStore:
        """As `scoped()`, with what the Catalog asks besides."""
        scope, caller = _who(where)
        return CatalogStore(self._transactions, self._vault, scope, caller, initial_load=self._initial_load)

    def work_waits(self) -> bool:
        """Whether there is something that a worker would do now. Raises Unavailable."""
        return self.queue.waits() or self.planner.due() or self.deliveries.due()

    def ready(self) -> None:
        """Reach the database. Raises Unavailable."""
        with self._transactions.read() as connection:
            connection.execute(sa.select(1))

    def close(self) -> None:
        """Close every connection."""
        self.wakeup.close()
        self._engine.dispose()


def open_store(settings: Settings) -> Store:
    """Open the metadata database of `settings`, whose tables are made when there are none.

    Secrets are sealed with the keys that the settings name; these are not looked at before a secret is, so that
    a lost key keeps nothing else from being served. Raises MetadataMoved, MetadataNewer, MetadataOlder,
    Unavailable.
    """
    address = sa.make_url(settings.metadata)
    if is_embedded(address) and address.database:
        folder = Path(address.database).parent
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise Unavailable(f"The data folder {folder} cannot be made: {error.strerror}.") from error
    engine = engine_of(address)
    try:
        ensure_tables(engine)
    except HeadgateError:
        engine.dispose()
        raise
    except sa.exc.DBAPIError as error:  # unreachable, or a user who may not make tables
        raise Unavailable(f"The metadata database cannot be opened: {error.orig}") from error
    return Store(engine, keyring_of(settings), initial_load=settings.once_initial_load)


def upgrade(settings: Settings) -> tuple[str | None, str]:
    """Bring the tables to the newest revision; the revision that they had, None for none, and that one.

    Raises MetadataMoved, MetadataNewer, Unavailable.
    """
    with _engine(settings) as engine:
        found = revision(engine)
        if found != newest():
            with engine.begin() as connection:
                migrate(connection)
        return found, newest()


def revisions(settings: Settings) -> tuple[str | None, str]:
    """The revision that the metadata's tables have, None when there are none yet, and the newest one.

    Nothing is changed. Raises MetadataMoved, MetadataNewer, Unavailable.
    """
    address = sa.make_url(settings.metadata)
    if is_embedded(address) and not Path(address.database or "").exists():
        return None, newest()
    with _engine(settings) as engine:
        return revision(engine), newest()


@contextmanager
def _engine(settings: Settings) -> Iterator[sa.Engine]:
    engine = engine_of(sa.make_url(settings.metadata))
    try:
        yield engine
    except sa.exc.DBAPIError as error:  # unreachable, or a user who may not make tables
        raise Unavailable(f"The metadata database cannot be opened: {error.orig}") from error
    finally:
        engine.dispose()


def _who(where: Scope | Caller) -> tuple[Scope, Caller | None]:
    return (where.scope, where) if isinstance(where, Caller) else (where, None)
