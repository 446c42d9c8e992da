"""Reaches MySQL and MariaDB through PyMySQL: who connects, what a session may do, and what its errors mean."""

import os
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import pyarrow as pa

from headgate.errors import (
    HeadgateError,
    MissingExtra,
    SourceAccessDenied,
    SourceError,
    SourceObjectMissing,
    SourceUnreachable,
)
from headgate.sources.libraries import lacking
from headgate.sources.sql.address import CONNECT_SECONDS
from headgate.sources.sql.mysql.address import Address
from headgate.sources.sql.mysql.answers import Lost, Refused, batches_of, packed

try:
    import pymysql
    from pymysql.connections import Connection
    from pymysql.constants.COMMAND import COM_QUERY
except ImportError:  # the extra is not installed; connect() says so
    pymysql = None

__all__ = ["MysqlDriver", "MysqlSession"]

_STALLED_SECONDS = 3600  # how long a server waits for a reader that is busy writing
_KEEPALIVE = ((socket.TCP_KEEPIDLE, 30), (socket.TCP_KEEPINTVL, 10), (socket.TCP_KEEPCNT, 3))
# Under these, texts are quoted by doubling alone, times are in UTC, and a read may take as long as it takes. A query
# around a query must not be computed apart from it.
_SETTINGS = (
    "sql_mode = 'NO_BACKSLASH_ESCAPES', time_zone = '+00:00', sql_select_limit = DEFAULT, "
    f"net_write_timeout = {_STALLED_SECONDS}, optimizer_switch = 'derived_merge=on'"
)
_NO_LIMIT = {True: "max_statement_time = 0", False: "max_execution_time = 0"}  # by whether it is MariaDB
_BY_NUMBER: Mapping[int, type[SourceError]] = {
    **dict.fromkeys((1044, 1045, 1130, 1142, 1143, 1227, 1251, 1370, 1524, 1698, 1820, 1862, 3118), SourceAccessDenied),
    **dict.fromkeys((1049, 1054, 1109, 1146), SourceObjectMissing),
    **dict.fromkeys((1040, 1041, 1053, 1077, 1079, 1129, 1203, 1226, 1927, 4031), SourceUnreachable),
    **dict.fromkeys((1158, 1159, 1160, 1161, 2002, 2003, 2006, 2013, 2055), SourceUnreachable),
    **dict.fromkeys((1205, 1213, 1317, 1412, 1615, 1969, 3024), SourceUnreachable),
}
"""What the numbers of the server's and of PyMySQL's errors mean."""


class MysqlSession:
    """A connection whose statements only read, each one state of the data."""

    def __init__(self, connection: Any, driver: "MysqlDriver") -> None:
        self._connection = connection
        self._driver = driver
        self._killed = False
        maria = "mariadb" in connection.server_version.lower()
        self.rows(f"SET SESSION {_SETTINGS}, {_NO_LIMIT[maria]}")
        self.rows("SET SESSION TRANSACTION READ ONLY")

    def rows(self, query: str) -> Sequence[Sequence[Any]]:
        """The whole answer, in PyMySQL's types."""
        with self._connection.cursor() as cursor:
            try:
                cursor.execute(query)
            except RuntimeError:  # of PyMySQL's for this alone
                raise self._asked() from None
            return list(cursor.fetchall())

    def batches(self, query: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """The answer, as it comes over the connection; nothing else can be asked until it has ended."""
        connection = self._connection
        connection._execute_command(COM_QUERY, packed(query, schema))
        first = connection._read_packet()
        if first.is_load_local_packet():
            raise self._asked()
        for _ in range(first.read_length_encoded_integer() + 1):  # what describes the columns, and its end
            connection._read_packet()
        yield from batches_of(connection._rfile.read, connection._rfile.read1, schema)

    def cancel(self) -> None:
        """Take the connection down, and have the server stop what it does for it."""
        with (
            suppress(OSError, AttributeError),  # it is closed
            # The same socket below TLS: shutdown() of one with TLS would have the thread that reads it go on without.
            socket.socket(fileno=os.dup(self._connection._sock.fileno())) as plain,
        ):
            plain.shutdown(socket.SHUT_RDWR)
        if not self._killed:
            self._driver.kill(self._connection.thread_id())
            self._killed = True

    def close(self) -> None:
        """End the session."""
        with suppress(pymysql.Error, OSError):
            self._connection.close()

    def _asked(self) -> SourceError:
        return SourceError(f"{self._driver.title}: the server asked for a file of this machine, and did not get it.")


class MysqlDriver:
    """One server, reached at the addresses that its host was judged by; `title` is what a person calls the system."""

    def __init__(self, address: Address, reached: Sequence[str], title: str) -> None:
        self.title = title
        self._address = address
        self._reached = reached

    @property
    def secrets(self) -> Sequence[str]:
        """The password's spellings."""
        return self._address.secrets

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """PyMySQL's, those of the reader of its answers, and the socket's."""
        found = (Lost, Refused, OSError, pa.ArrowInvalid)
        return found if pymysql is None else (*found, pymysql.Error)

    def connect(self) -> MysqlSession:
        """A new session, in at most ten seconds. Raises MissingExtra, SourceUnreachable, PyMySQL's errors."""
        connection = self._connected()
        try:
            return MysqlSession(connection, self)
        except BaseException:
            connection._force_close()
            raise

    def kill(self, thread: int) -> None:
        """Have the server end the session `thread` of this account; does nothing for one that has ended."""
        connection = self._connected()
        try:
            connection.kill(thread)
        except pymysql.Error as error:
            if error.args[0] != 1094:  # there is no such thread
                raise
        finally:
            connection._force_close()

    def translate(self, error: Exception) -> HeadgateError:
        """The error of our tree, by the number of the server's error or of PyMySQL's."""
        if isinstance(error, HeadgateError):
            return error
        if isinstance(error, Lost | OSError):
            return SourceUnreachable(f"{self.title}: {error}")
        number, words = 0, str(error)
        if isinstance(error, Refused) or (pymysql is not None and isinstance(error, pymysql.Error)):
            number, words = (*error.args, "", "")[:2] if error.args and isinstance(error.args[0], int) else (0, words)
        cause = getattr(error, "original_exception", None)
        if isinstance(cause, ssl.SSLCertVerificationError):
            return SourceAccessDenied(f"{self.title}: the server's certificate is not trusted: {cause.verify_message}.")
        kind = _BY_NUMBER.get(number, SourceError)
        return kind(f"{self.title}: {' '.join(str(words).split()) or 'the connection was lost'}")

    def _connected(self) -> Any:
        """A connection that is let in."""
        if pymysql is None:
            raise lacking(self.title, "PyMySQL", "mysql")
        if not self._reached:
            raise SourceUnreachable(f"{self.title}: the host {self._address.host!r} is not known.")
        address = self._address
        connection = _Connection(
            host=address.host,  # the name that a certificate is verified against
            port=address.port,
            user=address.user,
            password=address.password.encode(),
            database=address.database,
            charset="utf8mb4",
            autocommit=True,
            read_timeout=CONNECT_SECONDS,
            write_timeout=CONNECT_SECONDS,
            program_name="headgate",
            defer_connect=True,
            ssl=_tls(address),
            ssl_disabled=address.tls == "DISABLED",
        )
        try:
            connection.connect(self._socket())
        except RuntimeError as error:  # of PyMySQL's for a package that the account's way to authenticate needs
            raise MissingExtra(
                f"{self.title} needs PyNaCl for this account. Run: pip install pynacl ({error})"
            ) from None
        connection._read_timeout = None  # from here on a server may work for as long as it takes
        return connection

    def _socket(self) -> socket.socket:
        """A connection to the first address that answers."""
        for at, reached in enumerate(self._reached):
            try:
                found = socket.create_connection((reached, self._address.port), CONNECT_SECONDS / len(self._reached))
            except OSError as error:
                if at + 1 == len(self._reached):
                    raise SourceUnreachable(
                        f"{self.title}: {self._address.host} cannot be reached at port {self._address.port}: {error}"
                    ) from None
                continue
            found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option, value in _KEEPALIVE:
                found.setsockopt(socket.IPPROTO_TCP, option, value)
            return found
        raise AssertionError  # there is an address


def _tls(address: Address) -> ssl.SSLContext | None:
    """None where TLS is used if the server has it, unverified."""
    if address.tls in ("DISABLED", "PREFERRED"):
        return None
    context = ssl.create_default_context()
    context.check_hostname = address.tls == "VERIFY_IDENTITY"
    if address.tls == "REQUIRED":
        context.verify_mode = ssl.CERT_NONE
    return context


if pymysql is not None:

    class _Connection(Connection):  # type: ignore[misc]
        """Never gives the password itself to a server that is not known to be the right one."""

        def _process_auth(self, plugin_name: bytes, auth_packet: Any, handler: Any = None) -> Any:
            verified = self._secure and self.ctx.verify_mode == ssl.CERT_REQUIRED
            if plugin_name in (b"mysql_clear_password", b"dialog", b"mysql_old_password") and not verified:
                raise SourceAccessDenied(
                    f"The server asks for the password by {plugin_name.decode()}, which sends it as it is. Set sslMode "
                    "to VERIFY_IDENTITY, or give the account another way to authenticate."
                )
            return super()._process_auth(plugin_name, auth_packet, handler)
