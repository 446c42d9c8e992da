"""A SQLAlchemy URL, parsed once: which dialects and options are taken, and where they may lead."""

import os
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import sqlalchemy as sa
from sqlalchemy.engine import URL
from sqlalchemy.pool import NullPool

from headgate.errors import BadParameter, MissingExtra, ParameterMissing, SourceObjectMissing, SourceUnreachable
from headgate.sources.context import Context
from headgate.telemetry import redact

__all__ = ["AlchemyAddress"]

_SECONDS = 10
_NOTHING = f"{os.devnull}/none"
_PORTS = {"postgresql": 5432, "mysql": 3306, "mariadb": 3306, "mssql": 1433, "oracle": 1521}
_LIBPQ = {
    "connect_timeout": _SECONDS,
    "gssencmode": "disable",
    # What the account that runs the service has lying about is not the caller's to use.
    "passfile": _NOTHING,
    "sslcert": _NOTHING,
    "application_name": "headgate",
}
# What must be said to a driver so that a server cannot ask for files of this machine, and silence ends.
_SAFE: Mapping[str, Mapping[str, Any]] = {
    "psycopg": _LIBPQ,
    "psycopg2": _LIBPQ,
    "pymysql": {"local_infile": False, "connect_timeout": _SECONDS},
    "mysqldb": {"local_infile": 0, "connect_timeout": _SECONDS},
    "mysqlconnector": {"allow_local_infile": False, "connection_timeout": _SECONDS},
    "mariadbconnector": {"local_infile": False, "connect_timeout": _SECONDS},
}
_IN_PROCESS = "it reads files and addresses by itself, wherever its host is said to be"
_REFUSED = {
    "duckdb": "DuckDB files have a connection spec of their own",
    "shillelagh": _IN_PROCESS,
    "gsheets": _IN_PROCESS,
    "access": _IN_PROCESS,
    "pyodbc": "its address may name a file of this machine; use the connection spec of the system itself",
    "aioodbc": "its address may name a file of this machine; use the connection spec of the system itself",
}


@dataclass(frozen=True, slots=True)
class AlchemyAddress:
    """Where a URL leads, judged. `dialect` is SQLAlchemy's name of the system."""

    dialect: str
    password: str = field(repr=False)
    _url: URL = field(repr=False)
    _reached: tuple[str, ...]
    _file: Callable[[], str] | None

    @classmethod
    def of(cls, auth_params: Mapping[str, Any], context: Context) -> "AlchemyAddress":
        """The address in `auth_params`, whose only member is `url`.

        Raises BadParameter, ParameterMissing, MissingExtra, HostNotAllowed, PathNotAllowed, SourcePathForbidden.
        """
        url = _parsed(auth_params)
        name, driver = _dialect_of(url)
        password = str(url.password or "")
        if name == "sqlite" and not url.query:
            return cls(name, password, url, (), _file_of(url, context))
        if name == "postgresql" and (folder := _socket_of(url)) is not None:
            context.outbound.judge_database(folder, url.port or _PORTS[name], url.database or str(url.username or ""))
            context.outbound.judge_socket(folder)
            return cls(name, password, url, (folder,), None)
        if url.query:
            option = min(url.query)
            raise BadParameter(f"The option {option[:40]!r} of the url is not allowed here; leave it out.", field="url")
        if not url.host:
            raise ParameterMissing("The URL needs the host of a server, or must be that of a SQLite file.", field="url")
        port = url.port or _PORTS.get(name)
        if port is None:
            raise ParameterMissing(f"The URL needs the port of the {name} server.", field="url")
        outbound = context.outbound
        if name == "postgresql":
            outbound.judge_database(url.host, port, url.database or str(url.username or ""))
        reached = outbound.judge(url.host, port)
        if driver not in ("psycopg", "psycopg2"):  # libpq takes the address beside the name, the others for it
            url = url.set(host=reached[0]) if reached else url
        return cls(name, password, url.set(port=port), reached, None)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The password in every spelling that a driver may repeat."""
        return tuple({self.password, quote(self.password), quote_plus(self.password)} - {""})

    def engine(self) -> sa.Engine:
        """An engine whose every connection is a new one. Raises BadParameter."""
        if (file := self._file) is not None:
            return sa.create_engine(self._url, poolclass=NullPool, creator=lambda: self._opened(file()))
        safe = dict(_SAFE.get(self._url.get_driver_name(), {}))
        if self._url.host and self._url.get_driver_name() in ("psycopg", "psycopg2"):
            safe["hostaddr"] = ",".join(self._reached[:1])
        try:
            return sa.create_engine(self._url, poolclass=NullPool, connect_args=safe)
        except Exception as error:  # noqa: BLE001 - a dialect's own code, and its driver's, read the url
            words = redact(" ".join(str(error).split()), self.secrets)
            raise BadParameter(f"The url cannot be used with {self.dialect}: {words}", field="url") from None

    def reachable(self) -> None:
        """Raises SourceUnreachable when the host was not known."""
        if self._file is None and not self._reached:
            raise SourceUnreachable(f"The host {self._url.host!r} is not known.")

    def _opened(self, path: str) -> sqlite3.Connection:
        if not Path(path).is_file():
            raise SourceObjectMissing(f"There is no file {self._url.database!r}.")
        uri = f"{Path(path).as_uri()}?mode=ro"
        return sqlite3.connect(uri, uri=True, timeout=_SECONDS, check_same_thread=False)


def _parsed(auth_params: Mapping[str, Any]) -> URL:
    for key in auth_params:
        if key != "url":
            raise BadParameter(f"The connection parameter {key!r} is not allowed here; leave it out.", field=key)
    text = auth_params.get("url")
    if not isinstance(text, str) or not text:
        raise ParameterMissing("The connection needs its url.", field="url")
    try:
        url = sa.make_url(text)
    except (sa.exc.ArgumentError, ValueError):
        # The library's message may quote a piece of the password.
        raise BadParameter(
            "url cannot be read. Send dialect+driver://user:password@host:port/database.", field="url"
        ) from None
    for part in (url.drivername, url.username, url.host, url.database):
        if part and not part.isprintable():
            raise BadParameter("url holds a control character.", field="url")
    return url


def _dialect_of(url: URL) -> tuple[str, str]:
    """The system's name and the driver's. Raises BadParameter, MissingExtra."""
    for name in url.drivername.split("+"):
        if name in _REFUSED:
            raise BadParameter(f"{name!r} is refused in a url: {_REFUSED[name]}.", field="url")
    try:
        dialect = url.get_dialect()
    except sa.exc.NoSuchModuleError:
        raise MissingExtra(
            f"SQLAlchemy has no dialect {url.drivername[:80]!r} here. Install the package that brings it."
        ) from None
    if url.get_driver_name() in _REFUSED:
        raise BadParameter(
            f"The driver {url.get_driver_name()!r} is refused: {_REFUSED[url.get_driver_name()]}.", field="url"
        )
    if getattr(dialect, "is_async", False):
        raise BadParameter(f"The driver {url.get_driver_name()!r} is asynchronous; name one that is not.", field="url")
    try:
        dialect.import_dbapi()
    except ImportError as error:
        package = error.name or url.get_driver_name()
        raise MissingExtra(f"The driver of {url.drivername!r} is not installed. Run: pip install {package}") from None
    return dialect.name, url.get_driver_name()


def _socket_of(url: URL) -> str | None:
    """The folder of a Unix socket, the one option that is taken: postgresql+psycopg://user@/database?host=/folder."""
    folder = url.query.get("host")
    alone = set(url.query) == {"host"} and not url.host
    return folder if alone and isinstance(folder, str) and folder.startswith("/") and "," not in folder else None


def _file_of(url: URL, context: Context) -> Callable[[], str]:
    """What gives the file's real address, judged anew each time."""
    named, roots = url.database or "", context.roots
    if not named or named == ":memory:" or named.startswith("file:") or url.host:
        raise ParameterMissing("The url of a SQLite file is sqlite:///path, below HEADGATE_FILE_ROOTS.", field="url")
    if url.get_driver_name() != "pysqlite":
        raise BadParameter(f"The driver {url.get_driver_name()!r} is not taken for files.", field="url")
    path = str(roots.first / named)
    roots.real(path)
    return lambda: roots.real(path)
