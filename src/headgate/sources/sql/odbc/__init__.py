"""Any database with an ODBC driver and an information_schema, through arrow-odbc in a process of its own."""

from collections.abc import Mapping
from typing import Any

from headgate.errors import SourceUnreachable
from headgate.sources.context import Context
from headgate.sources.sql.odbc.address import Address
from headgate.sources.sql.odbc.dialect import OdbcDialect
from headgate.sources.sql.odbc.driver import OdbcDriver
from headgate.sources.sql.reader import SqlSource

__all__ = ["open_odbc"]


def open_odbc(auth_params: Mapping[str, Any], context: Context) -> SqlSource:
    """The source of the spec `odbc`. Raises BadParameter, ParameterMissing, HostNotAllowed, SourceUnreachable."""
    address = Address.of(auth_params, context.settings.odbc_drivers)
    context.outbound.judge_database(address.host, address.port, address.database)
    if address.host.startswith("/"):
        context.outbound.judge_socket(address.host)
        return SqlSource(OdbcDriver(address, address.host), OdbcDialect())
    reached = context.outbound.judge(address.host, address.port)
    if not reached:
        raise SourceUnreachable(f"ODBC: the host {address.host!r} is not known.")
    return SqlSource(OdbcDriver(address, reached[0]), OdbcDialect())
