"""Opening the metadata database: connections, transactions and migrations."""

import sqlite3
import time
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from headgate.config import Settings
from headgate.errors import MetadataNewer, Unavailable
from headgate.model.scope import Caller, Scope
from headgate.store.audit import Audit
from headgate.store.catalog import CatalogStore
from headgate.store.deliveries import Deliveries
from headgate.store.ended_sessions import EndedSessions
from headgate.store.keyring import Keyring, keyring_of
from headgate.store.planner import Planner
from headgate.store.queue import Queue
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

__all__ = ["Store", "open_store", "revisions"]

_BUSY_MS = 10_000
_LOOK_SECONDS = 0.001
_LONGEST_MS = 30_000
_IDLE_MS = 60_000
# A thread uses one connection at a time: 40 that answer requests, the worker's, and two for each of its runs.
_POOL, _BURST = 20, 40  # kept open; more for a while
_MIGRATING = 0x4865_6164  # the advisory lock of processes that start at the same time
_MIGRATIONS = Path(__file__).parent / "migrations"


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
    """Open the metadata database of `settings` and bring its tables up to date.

    Secrets are sealed with the keys that the settings name; these are not looked at before a secret is, so that
    a lost key keeps nothing else from being served. Raises MetadataNewer, Unavailable.
    """
    address = sa.make_url(settings.metadata)
    if address.get_backend_name() == "sqlite" and address.database:
        folder = Path(address.database).parent
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise Unavailable(f"The data folder {folder} cannot be made: {error.strerror}.") from error
    engine = _sqlite(address) if address.get_backend_name() == "sqlite" else _postgresql(address)
    try:
        _migrate(engine)
    except MetadataNewer:
        engine.dispose()
        raise
    except sa.exc.DBAPIError as error:  # unreachable, or a user who may not make tables
        raise Unavailable(f"The metadata database cannot be opened: {error.orig}") from error
    return Store(engine, keyring_of(settings), initial_load=settings.once_initial_load)


def _postgresql(address: sa.URL) -> sa.Engine:
    """An engine whose sessions give up instead of waiting for ever; what the address itself says goes first."""
    waits = {
        "lock_timeout": _BUSY_MS,
        "statement_timeout": _LONGEST_MS,
        "idle_in_transaction_session_timeout": _IDLE_MS,
    }
    session = {
        "application_name": "headgate",
        "connect_timeout": _BUSY_MS // 1000,
        "options": " ".join(f"-c {name}={value}" for name, value in waits.items()),
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": _LONGEST_MS,
    }
    return sa.create_engine(
        address,
        connect_args={name: value for name, value in session.items() if name not in address.query},
        hide_parameters=True,
        pool_pre_ping=True,  # a server that was restarted costs a new connection, not a failed request
        pool_size=_POOL,
        max_overflow=_BURST,
        pool_timeout=_BUSY_MS / 1000,
    )


def _sqlite(address: sa.URL) -> sa.Engine:
    engine = sa.create_engine(address, connect_args={"timeout": _BUSY_MS / 1000}, hide_parameters=True)

    @sa.event.listens_for(engine, "connect")
    def connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # transactions are begun below, not by the driver
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")

    @sa.event.listens_for(engine, "begin")
    def begun(connection: sa.Connection) -> None:
        if connection.get_execution_options().get("read_only"):
            connection.exec_driver_sql("BEGIN")
        else:
            _begin_to_write(connection)

    return engine


def _begin_to_write(connection: sa.Connection) -> None:
    """Wait for other processes' writes. SQLite itself sleeps longer with every look, and so comes too late again."""
    end = time.monotonic() + _BUSY_MS / 1000
    connection.exec_driver_sql("PRAGMA busy_timeout = 0")
    try:
        while True:
            try:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            except sa.exc.OperationalError as error:
                if getattr(error.orig, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                    raise
                time.sleep(_LOOK_SECONDS)
            else:
                return
    finally:
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {_BUSY_MS}")


def revisions(settings: Settings) -> tuple[str | None, str]:
    """The revision that the metadata's tables have, None when there are none yet, and the newest one.

    Nothing is changed. Raises Unavailable.
    """
    address = sa.make_url(settings.metadata)
    embedded = address.get_backend_name() == "sqlite"
    if embedded and not Path(address.database or "").exists():
        return None, _newest()
    engine = _sqlite(address) if embedded else _postgresql(address)
    try:
        return _revision(engine), _newest()
    except sa.exc.DBAPIError as error:
        raise Unavailable(f"The metadata database cannot be opened: {error.orig}") from error
    finally:
        engine.dispose()


def _newest() -> str:
    return max(path.stem.split("_")[0] for path in (_MIGRATIONS / "versions").glob("[0-9]*.py"))


def _revision(engine: sa.Engine) -> str | None:
    with engine.connect().execution_options(read_only=True) as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return None
        found: str | None = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
        return found


def _migrate(engine: sa.Engine) -> None:
    """Bring the tables to the newest revision; a database that has it already is only looked at.

    Raises MetadataNewer.
    """
    found, newest = _revision(engine), _newest()
    if found == newest:
        return
    if found is not None and not any((_MIGRATIONS / "versions").glob(f"{found}_*.py")):
        raise MetadataNewer(
            f"The metadata database has the revision {found}, and this Headgate knows those up to {newest}. "
            "Run the Headgate that wrote it, or a newer one; nothing was changed."
        )
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            for wait in ("lock_timeout", "statement_timeout"):  # a large table takes its time
                connection.exec_driver_sql(f"SET LOCAL {wait} = 0")
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATING)))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _who(where: Scope | Caller) -> tuple[Scope, Caller | None]:
    return (where.scope, where) if isinstance(where, Caller) else (where, None)
