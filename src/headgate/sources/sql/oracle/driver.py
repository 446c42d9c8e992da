"""Reaches Oracle through python-oracledb in its thin mode, whose results come as Arrow."""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import pyarrow as pa

from headgate.errors import (
    HeadgateError,
    SourceAccessDenied,
    SourceError,
    SourceObjectMissing,
    SourceUnreachable,
)
from headgate.sources.libraries import library, needed
from headgate.sources.sql.address import CONNECT_SECONDS
from headgate.sources.sql.oracle.address import Address
from headgate.sources.sql.reach import first_listening

__all__ = ["OracleDriver"]

oracledb = library("oracledb")

_ROWS = 2_000
_READS = "ALTER SESSION SET NLS_NUMERIC_CHARACTERS = '.,' NLS_CALENDAR = 'GREGORIAN'"
_BY_CODE: dict[str, type[SourceError]] = {
    **dict.fromkeys(("ORA-01017", "ORA-01005", "ORA-28000", "ORA-28001", "ORA-01045", "ORA-01031"), SourceAccessDenied),
    **dict.fromkeys(("ORA-41900", "DPY-4001"), SourceAccessDenied),
    **dict.fromkeys(("ORA-00942", "ORA-00904", "ORA-12514", "ORA-12505", "DPY-6001", "DPY-6003"), SourceObjectMissing),
    **dict.fromkeys(
        ("DPY-6005", "DPY-6000", "DPY-4011", "DPY-4024", "DPY-6010", "ORA-03113", "ORA-03135"), SourceUnreachable
    ),
    **dict.fromkeys(("ORA-12541", "ORA-12170", "ORA-01033", "ORA-01034", "ORA-01089", "ORA-12516"), SourceUnreachable),
    **dict.fromkeys(("ORA-12518", "ORA-12519", "ORA-12520", "ORA-00018", "ORA-00020", "ORA-02391"), SourceUnreachable),
    **dict.fromkeys(("ORA-01555", "ORA-00060", "ORA-08177", "ORA-04021"), SourceUnreachable),
}
_CODE = re.compile(r"(?:ORA|DPY)-[0-9]{4,5}")


class OracleSession:
    """One connection, whose transaction only reads and sees one state of the database."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._closed = False
        with connection.cursor() as cursor:
            cursor.execute(_READS)
            cursor.execute("SET TRANSACTION READ ONLY")

    def rows(self, query: str) -> Sequence[Sequence[Any]]:
        """The whole answer."""
        with self._connection.cursor() as cursor:
            cursor.prefetchrows = cursor.arraysize = _ROWS
            cursor.execute(query)
            return list(cursor.fetchall())

    def batches(self, query: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """The answer in batches of some thousand rows."""
        frames = self._connection.fetch_df_batches(query, size=_ROWS, fetch_decimals=True, requested_schema=schema)
        for frame in frames:
            yield from pa.table(frame).to_batches()

    def cancel(self) -> None:
        """Have the server stop the statement."""
        with suppress(oracledb.Error):  # a session that has ended does nothing any more
            self._connection.cancel()

    def close(self) -> None:
        """End the session."""
        if not self._closed:
            self._closed = True
            with suppress(oracledb.Error):
                self._connection.close()


class OracleDriver:
    """One Oracle database, reached at the addresses that its host was judged by."""

    def __init__(self, address: Address, reached: Sequence[str]) -> None:
        self._address, self._reached = address, reached

    @property
    def secrets(self) -> Sequence[str]:
        """The password's spellings."""
        return self._address.secrets

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """What is raised on the way."""
        return (oracledb.Error, OSError) if oracledb is not None else ()

    def connect(self) -> OracleSession:
        """A new connection. Raises MissingExtra, SourceUnreachable and the driver's errors."""
        address = self._address
        needed(oracledb, "Oracle", "python-oracledb", "oracle")
        reached = first_listening("Oracle", address.host, address.port, self._reached)
        connection = oracledb.connect(
            user=address.user,
            password=address.password,
            # A certificate is verified against the name that is connected to.
            host=address.host if address.encrypted else reached,
            port=address.port,
            protocol="tcps" if address.encrypted else "tcp",
            sid=address.sid,
            service_name=address.service,
            tcp_connect_timeout=CONNECT_SECONDS - 2,
            retry_count=0,
            # What it would tell the server by itself is who runs this service, where and by which program.
            program="headgate",
            machine="headgate",
            osuser="headgate",
            terminal="headgate",
        )
        return OracleSession(connection)

    def translate(self, error: Exception) -> HeadgateError:
        """The error of our tree, by the code of Oracle or of its driver."""
        if isinstance(error, HeadgateError):
            return error
        text = " ".join(str(error).partition("\nHelp:")[0].split())
        for code in reversed(_CODE.findall(text)):  # the last is what brought the others about
            if code in _BY_CODE:
                return _BY_CODE[code](f"Oracle: {text}")
        return SourceError(f"Oracle: {text}")
