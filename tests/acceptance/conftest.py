"""Parts that tests of whole deployments share."""

import os
import sqlite3
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from tests.acceptance.processes import Deployment
from tests.conftest import empty_database, on_postgresql

START = datetime(2024, 1, 1)
SCALED_OUT = "SCALED_OUT" in os.environ
embedded = pytest.mark.skipif(SCALED_OUT, reason="It is about the embedded default, or the worker of a service.")


@pytest.fixture(scope="session", autouse=True)
def _scaled_out(request: pytest.FixtureRequest) -> None:
    """Asked for, have every deployment keep its metadata in PostgreSQL, and three workers beside its service."""
    if SCALED_OUT:
        Deployment.server = request.getfixturevalue("postgres")


@pytest.fixture
def deployment(tmp_path: Path, request: pytest.FixtureRequest) -> Deployment:
    """A deployment that was never started, its metadata on SQLite; on PostgreSQL when a test asks for it."""
    if getattr(request, "param", "sqlite") == "sqlite":
        return Deployment(tmp_path)
    return Deployment(tmp_path, on_postgresql(request.getfixturevalue("metadata_database")))


@pytest.fixture
def metadata_database(postgres: str) -> Iterator[str]:
    """The address of an empty database, for metadata; `database` is another, for sources."""
    with empty_database(postgres) as address:
        yield address


@pytest.fixture
def events(tmp_path: Path) -> dict[str, str]:
    """A SQLite table of 1,000 rows, one a minute, with an index; the parameters that reach it."""
    path = tmp_path / "events.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE events (id INTEGER, at TIMESTAMP, amount DECIMAL(10,2), name TEXT)")
        connection.executemany(
            "INSERT INTO events VALUES (?, ?, ?, ?)",
            [(n, (START + timedelta(minutes=n)).isoformat(" "), n / 4, f"n{n}") for n in range(1000)],
        )
        connection.execute("CREATE INDEX events_at ON events (at)")
    connection.close()
    return {"path": str(path)}


@pytest.fixture
def slow_events(database: str) -> dict[str, str]:
    """A PostgreSQL view of 600 rows that takes six seconds to read, until `hurried`; the parameters that reach it."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE quick AS SELECT n AS id, timestamp '2024-01-01' + n * interval '1 minute' AS at "
            "FROM generate_series(0, 599) n"
        )
        connection.execute("CREATE TABLE pace AS SELECT 0.01::float8 AS seconds")
        connection.execute(
            "CREATE VIEW events AS SELECT id + coalesce(length(pause::text), 0) AS id, at "
            "FROM quick, pace, LATERAL (SELECT pg_sleep(seconds + 0 * id) AS pause) AS paused"
        )
    return {"connectionString": database}


def amid(slow_events: dict[str, str]) -> bool:
    """Whether somebody is in the middle of reading the slow view."""
    with psycopg.connect(slow_events["connectionString"]) as connection:
        found = connection.execute(
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
        )
        return found.fetchone() is not None


def hurried(slow_events: dict[str, str]) -> None:
    """Have nobody wait for the slow view who reads it from now on; who reads it already does."""
    paced(slow_events, 0)


def paced(slow_events: dict[str, str], seconds: float) -> None:
    """Have each row of the slow view take so long for who reads it from now on."""
    with psycopg.connect(slow_events["connectionString"], autocommit=True) as connection:
        connection.execute("UPDATE pace SET seconds = %s", [seconds])
