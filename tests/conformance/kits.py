"""The systems that the suite runs on, each with tables or files that it fills.

A kit opens its source as the service does, by its connection spec; `verified: server` in the catalogue means that there
is one here (see `test_verified.py`).
"""

import os
import re
import socket
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import duckdb
import psycopg
from psycopg import sql

from headgate.config import Settings
from headgate.model.scope import Tenancy
from headgate.sources import Selection, Source, connection_specs, open_source
from headgate.sources.sql.odbc.address import Address
from headgate.sources.sql.odbc.dialect import OdbcDialect
from headgate.sources.sql.odbc.driver import OdbcDriver
from headgate.sources.sql.odbc.systems import STANDARD
from headgate.sources.sql.reader import SqlSource
from tests.emulators import ACCOUNT_KEY, Bucket
from tests.file_servers import PASSWORD, USER
from tests.mariadb import SECRET, Mariadb

__all__ = [
    "ODBC_DRIVER",
    "SQLITE_ODBC_DRIVER",
    "AlchemyKit",
    "BucketKit",
    "DuckdbKit",
    "FolderKit",
    "MariadbKit",
    "OdbcFunctionsKit",
    "OdbcKit",
    "OdbcSqliteKit",
    "PostgresKit",
    "ServerKit",
    "ShareKit",
    "SqliteKit",
    "ZoneKit",
    "installed",
    "opened",
    "unused_port",
]


def opened(spec: str, auth: Mapping[str, Any], folder: Path, **more: Any) -> Source:
    """The source of the connection spec with that name, for the one organisation of a deployment in `folder`."""
    found = next(each for each in connection_specs() if each.name == spec)
    settings = Settings(data=folder / "data", file_roots=(folder,), **more)
    return open_source(found.id, auth, settings, Tenancy("org", shared=False))


ODBC_DRIVER = "PostgreSQL Unicode"
SQLITE_ODBC_DRIVER = "SQLite3"


def installed(driver: str) -> bool:
    """Whether there is an ODBC driver of that name."""
    listing = Path("/etc/odbcinst.ini")
    return listing.exists() and f"[{driver}]" in listing.read_text()


def _backquoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def unused_port() -> int:
    """A port that nobody listens at just now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class PostgresKit:
    """One database of a PostgreSQL server."""

    types: Sequence[str] = (
        *("boolean", "long", "double", "decimal(18,4)", "string", "date", "timestamp", "timestamptz", "binary"),
    )
    secrets = ("s3cret-of-the-tests",)
    filters = True
    _DECLARED: Mapping[str, str] = {
        "boolean": "boolean",
        "long": "bigint",
        "double": "double precision",
        "decimal(18,4)": "numeric(18,4)",
        "string": "text",
        "date": "date",
        "timestamp": "timestamp",
        "timestamptz": "timestamptz",
        "binary": "bytea",
    }

    def __init__(self, address: str, folder: Path) -> None:
        self._address = address
        self._folder = folder

    def open(self) -> Source:
        return opened("postgresql", {"connectionString": self._address}, self._folder)

    def broken(self) -> Source:
        auth = {
            "server": "127.0.0.1",
            "port": unused_port(),
            "database": "d",
            "username": "u",
            "password": self.secrets[0],
        }
        return opened("postgresql", auth, self._folder)

    def table(self, name: str, columns: Mapping[str, str], rows: Sequence[Sequence[Any]]) -> Selection:
        table = sql.Identifier("public", name)
        declared = sql.SQL(", ").join(
            sql.SQL("{} " + self._DECLARED[type_]).format(sql.Identifier(column)) for column, type_ in columns.items()
        )
        with psycopg.connect(self._address, autocommit=True) as session, session.cursor() as cursor:
            cursor.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(table))
            cursor.execute(sql.SQL("CREATE TABLE {} ({})").format(table, declared))
            places = sql.SQL(", ").join([sql.Placeholder()] * len(columns))
            cursor.executemany(sql.SQL("INSERT INTO {} VALUES ({})").format(table, places), rows)
        return Selection({"tableName": name})


class AlchemyKit(PostgresKit):
    """The same database, by SQLAlchemy."""

    def open(self) -> Source:
        parts = urlsplit(self._address)
        return opened(
            "sqlalchemy", {"url": f"postgresql+psycopg://{parts.username}@{parts.path}?{parts.query}"}, self._folder
        )

    def broken(self) -> Source:
        address = f"postgresql+psycopg://u:{self.secrets[0]}@127.0.0.1:{unused_port()}/d"
        return opened("sqlalchemy", {"url": address}, self._folder)


class OdbcKit(PostgresKit):
    """The same database, by its ODBC driver."""

    def open(self) -> Source:
        parts = urlsplit(self._address)
        folder, database = parse_qs(parts.query)["host"][0], parts.path[1:]
        return self._opened(f"Server={folder};Port=5432;Database={database};UID={parts.username}")

    def broken(self) -> Source:
        return self._opened(f"Server=127.0.0.1;Port={unused_port()};Database=d;UID=u;PWD={self.secrets[0]}")

    def _opened(self, where: str) -> Source:
        auth = {"connectionString": f"Driver={ODBC_DRIVER};{where}"}
        return opened("odbc", auth, self._folder, odbc_drivers=(ODBC_DRIVER,))


class OdbcFunctionsKit(OdbcKit):
    """The same, in the words for any driver: nothing is known of it but what ODBC's functions tell."""

    def _opened(self, where: str) -> Source:
        auth = {"connectionString": f"Driver={ODBC_DRIVER};{where}"}
        address = replace(Address.of(auth, (ODBC_DRIVER,)), system=STANDARD)
        return SqlSource(OdbcDriver(address, address.host), OdbcDialect(STANDARD))


class MariadbKit:
    """One database of a MariaDB server."""

    types = PostgresKit.types
    secrets = (SECRET, "s3cret-of-the-tests")
    filters = True
    _DECLARED: Mapping[str, str] = {
        "boolean": "bit(1)",
        "long": "bigint",
        "double": "double",
        "decimal(18,4)": "decimal(18,4)",
        "string": "text",
        "date": "date",
        "timestamp": "datetime(6)",
        "timestamptz": "timestamp(6) null",
        "binary": "blob",
    }

    def __init__(self, server: Mariadb, folder: Path) -> None:
        self._server = server
        self._folder = folder

    def open(self) -> Source:
        return opened("mariadb", self._server.address, self._folder)

    def broken(self) -> Source:
        address = {"server": "127.0.0.1", "port": self._server.port, "database": "test", "username": "reader"}
        return opened("mariadb", {**address, "password": self.secrets[1]}, self._folder)

    def table(self, name: str, columns: Mapping[str, str], rows: Sequence[Sequence[Any]]) -> Selection:
        table = _backquoted(name)
        declared = ", ".join(f"{_backquoted(column)} {self._DECLARED[type_]}" for column, type_ in columns.items())
        places = ", ".join(["%s"] * len(columns))
        with self._server.session("test") as session:
            session.execute(f"DROP TABLE IF EXISTS {table}")
            session.execute(f"CREATE TABLE {table} ({declared})")
            session.executemany(
                f"INSERT INTO {table.replace('%', '%%')} VALUES ({places})",
                [[v.astimezone(UTC) if isinstance(v, datetime) and v.tzinfo else v for v in row] for row in rows],
            )
        return Selection({"tableName": _quoted(name)})


class SqliteKit:
    """One SQLite file. Its numbers of many digits are reals, which hold fifteen exactly."""

    types: Sequence[str] = ("boolean", "long", "double", "string", "date", "timestamp", "timestamptz", "binary")
    secrets = ("s3cret-of-the-tests",)
    filters = True
    _DECLARED: Mapping[str, str] = {
        "boolean": "BOOLEAN",
        "long": "BIGINT",
        "double": "DOUBLE",
        "string": "TEXT",
        "date": "DATE",
        "timestamp": "TIMESTAMP",
        "timestamptz": "TIMESTAMPTZ",
        "binary": "BLOB",
    }

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / "tables.sqlite"
        with closing(sqlite3.connect(self._path)) as file:
            file.execute("PRAGMA journal_mode = WAL")

    def open(self) -> Source:
        return opened("sqlite", {"path": str(self._path)}, self._folder)

    def broken(self) -> Source:
        return opened("sqlite", {"path": str(self._folder / "nowhere.sqlite")}, self._folder)

    def table(self, name: str, columns: Mapping[str, str], rows: Sequence[Sequence[Any]]) -> Selection:
        declared = ", ".join(f"{_quoted(column)} {self._DECLARED[type_]}" for column, type_ in columns.items())
        places = ", ".join("?" * len(columns))
        with closing(sqlite3.connect(self._path)) as file, file:
            file.execute(f"DROP TABLE IF EXISTS {_quoted(name)}")
            file.execute(f"CREATE TABLE {_quoted(name)} ({declared})")
            file.executemany(
                f"INSERT INTO {_quoted(name)} VALUES ({places})", [[_text(value) for value in row] for row in rows]
            )
        return Selection({"tableName": name})


class OdbcSqliteKit(SqliteKit):
    """The same file, by SQLite's ODBC driver: it knows no schemas, and calls types what it likes."""

    types = ("boolean", "long", "double", "string", "date", "timestamp", "binary")

    def open(self) -> Source:
        return self._opened(self._path)

    def broken(self) -> Source:
        return self._opened(self._folder / "nowhere" / "at.all")

    def _opened(self, file: Path) -> Source:
        system = replace(STANDARD, words=("Description", "Timeout", "Database"))
        address = Address(system, SQLITE_ODBC_DRIVER, "none", 1000, str(file), "none", "s3cret-of-the-tests")
        return SqlSource(OdbcDriver(address, address.host), OdbcDialect(system))


class DuckdbKit:
    """One DuckDB file."""

    types = PostgresKit.types
    secrets = ("s3cret-of-the-tests",)
    filters = True
    _DECLARED: Mapping[str, str] = {
        "boolean": "BOOLEAN",
        "long": "BIGINT",
        "double": "DOUBLE",
        "decimal(18,4)": "DECIMAL(18,4)",
        "string": "VARCHAR",
        "date": "DATE",
        "timestamp": "TIMESTAMP",
        "timestamptz": "TIMESTAMPTZ",
        "binary": "BLOB",
    }

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / "tables.duckdb"

    def open(self) -> Source:
        return opened("duckdb", {"path": str(self._path)}, self._folder)

    def broken(self) -> Source:
        return opened("duckdb", {"path": str(self._folder / "nowhere.duckdb")}, self._folder)

    def table(self, name: str, columns: Mapping[str, str], rows: Sequence[Sequence[Any]]) -> Selection:
        declared = ", ".join(f"{_quoted(column)} {self._DECLARED[type_]}" for column, type_ in columns.items())
        places = ", ".join("?" * len(columns))
        with closing(duckdb.connect(str(self._path))) as file:
            file.execute(f"CREATE OR REPLACE TABLE {_quoted(name)} ({declared})")
            if rows:
                file.execute("BEGIN")
                file.executemany(f"INSERT INTO {_quoted(name)} VALUES ({places})", rows)
                file.execute("COMMIT")
        return Selection({"tableName": name})


class FolderKit:
    """Files in a folder of this machine; also those that a server shows, below."""

    step_ms = 1
    secrets: Sequence[str] = ("s3cret-of-the-tests",)

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.root = folder / "files"
        self.root.mkdir(exist_ok=True)

    def open(self) -> Source:
        return opened("local-files", {"folder": str(self.root)}, self._folder)

    def broken(self) -> Source | None:
        return opened("local-files", {"folder": str(self._folder / "nowhere")}, self._folder)

    def put(self, path: str, content: bytes) -> int:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        at = file.stat().st_mtime_ns // 1_000_000 // self.step_ms * self.step_ms
        os.utime(file, ns=(at * 1_000_000, at * 1_000_000))
        return at

    def remove(self, path: str) -> None:
        (self.root / path).unlink()


class ZoneKit(FolderKit):
    """The landing zone of the one sandbox. It needs no connection, so there is none that does not work."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.root = folder / "data" / "landing" / "org" / "prod"

    def open(self) -> Source:
        return opened("landing-zone", {}, self._folder)

    def broken(self) -> None:
        return None


class ServerKit(FolderKit):
    """The same folder, as an SFTP or FTP server at `port` shows it."""

    step_ms = 1000
    secrets = (PASSWORD, "another-s3cret")

    def __init__(self, spec: str, port: int, folder: Path) -> None:
        super().__init__(folder)
        self._spec = spec
        self._auth = {"host": "127.0.0.1", "port": port, "userName": USER, "password": PASSWORD}

    def open(self) -> Source:
        return opened(self._spec, self._auth, self._folder)

    def broken(self) -> Source:
        return opened(self._spec, {**self._auth, "password": "another-s3cret"}, self._folder)


class ShareKit(FolderKit):
    """The same folder, as Samba shows it at `port`."""

    secrets = (PASSWORD, "another-s3cret")

    def __init__(self, port: int, folder: Path) -> None:
        super().__init__(folder)
        self._auth = {"host": "\\\\127.0.0.1\\files", "port": port, "userId": "nobody", "password": PASSWORD}

    def open(self) -> Source:
        return opened("azure-file-storage", self._auth, self._folder)

    def broken(self) -> Source:
        return opened("azure-file-storage", {**self._auth, "password": "another-s3cret"}, self._folder)


class BucketKit:
    """Objects of one bucket, or container, of an emulator."""

    step_ms = 1000
    secrets = ("canary-secret", ACCOUNT_KEY, "another-s3cret")

    def __init__(self, spec: str, bucket: Bucket, held: str, folder: Path) -> None:
        self._spec = spec
        self._bucket = bucket
        self._auth = {**bucket.auth["params"], held: bucket.name}
        self._folder = folder

    def open(self) -> Source:
        return opened(self._spec, self._auth, self._folder)

    def broken(self) -> Source:
        port = unused_port()
        elsewhere = {
            name: re.sub(r"127\.0\.0\.1:\d+", f"127.0.0.1:{port}", value) for name, value in self._auth.items()
        }
        return opened(self._spec, elsewhere, self._folder)

    def put(self, path: str, content: bytes) -> int:
        self._bucket.put(path, content)
        told = self._bucket.send("HEAD", path).headers["last-modified"]
        return round(parsedate_to_datetime(told).timestamp()) * 1000

    def remove(self, path: str) -> None:
        self._bucket.delete(path)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: Any) -> Any:
    """A value as SQLite stores it, which has no types for times."""
    match value:
        case datetime():
            if value.tzinfo is not None:
                return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f+00:00")
            return value.isoformat(" ", "microseconds")
        case Decimal():
            return float(value)
    return value.isoformat() if hasattr(value, "isoformat") else value
