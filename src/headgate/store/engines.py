"""Connections to a metadata database, as its kind wants to be spoken to."""

import sqlite3
import time
from typing import Any

import sqlalchemy as sa

__all__ = ["engine_of", "is_embedded", "place"]

_BUSY_MS = 10_000
_LOOK_SECONDS = 0.001
_LONGEST_MS = 30_000
_IDLE_MS = 60_000
# A thread uses one connection at a time: 40 that answer requests, the worker's, and two for each of its runs.
_POOL, _BURST = 20, 40  # kept open; more for a while


def is_embedded(address: sa.URL) -> bool:
    """Whether the database is a file of SQLite."""
    return address.get_backend_name() == "sqlite"


def place(address: str) -> str:
    """Where a database is, in words that hold no password: a file, or a server and the database's name."""
    url = sa.make_url(address)
    if is_embedded(url):
        return str(url.database)
    host = url.host or url.query.get("host") or "the default server"
    return f"{url.database or url.username or 'its default database'} on {host}{f':{url.port}' if url.port else ''}"


def engine_of(address: sa.URL) -> sa.Engine:
    """An engine for the database at `address`. Nothing is connected yet."""
    return _sqlite(address) if is_embedded(address) else _postgresql(address)


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
