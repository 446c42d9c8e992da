"""Any database with an ODBC driver, through arrow-odbc and pyodbc in processes of their own."""

from collections.abc import Mapping
from typing import Any

from headgate.errors import SourceUnreachable
from headgate.sources.context import Context
from headgate.sources.sql.dialect import Dialect
from headgate.sources.sql.odbc.address import Address
from headgate.sources.sql.odbc.dialect import OdbcDialect
from headgate.sources.sql.odbc.driver import OdbcDriver
from headgate.sources.sql.odbc.postgres import PostgresDialect
from headgate.sources.sql.odbc.systems import DB2, HIVE, PHOENIX, TERADATA, VERTICA
from headgate.sources.sql.reader import SqlSource

__all__ = ["open_db2", "open_hive", "open_odbc", "open_phoenix", "open_teradata", "open_vertica"]


def open_odbc(auth_params: Mapping[str, Any], context: Context) -> SqlSource:
    """The source of the spec `odbc`. Raises BadParameter, ParameterMissing, HostNotAllowed, SourceUnreachable."""
    return _opened(Address.of(auth_params, context.settings.odbc_drivers), context)


def open_vertica(auth_params: Mapping[str, Any], context: Context) -> SqlSource:
    """The source of the spec `hp-vertica`. Raises what `open_odbc()` does."""
    return _opened(Address.of_string(VERTICA, auth_params, context.settings.odbc_drivers), context)


def open_teradata(auth_params: Mapping[str, Any], context: Context) -> SqlSource:
    """The source of the spec `teradata-vantage`. Raises what `open_odbc()` does."""
    return _opened(Address.of_string(TERADATA, auth_params, context.settings.odbc_drivers), context)


def open_db2(auth_params: Mapping[str, Any], context: Context) -> SqlSource:
    """The source of the spec `ibm-db2`. Raises what `open_odbc()` does."""
    return _opened(Address.of_params(DB2, auth_params, context.settings.odbc_drivers), context)


def open_hive(auth_params: Mapping[str, Any], context: Context) -> SqlSource:
    """The source of the spec `apache-hive`. Raises what `open_odbc()` does."""
    return _opened(Address.of_params(HIVE, auth_params, context.settings.odbc_drivers), context)


def open_phoenix(auth_params: Mapping[str, Any], context: Context) -> SqlSource:
    """The source of the spec `phoenix`. Raises what `open_odbc()` does."""
    return _opened(Address.of_params(PHOENIX, auth_params, context.settings.odbc_drivers), context)


def _opened(address: Address, context: Context) -> SqlSource:
    context.outbound.judge_database(address.host, address.port, address.database)
    if address.host.startswith("/"):
        context.outbound.judge_socket(address.host)
        return SqlSource(OdbcDriver(address, address.host), _dialect(address))
    reached = context.outbound.judge(address.host, address.port)
    if not reached:
        raise SourceUnreachable(f"{address.system.title}: the host {address.host!r} is not known.")
    return SqlSource(OdbcDriver(address, reached[0]), _dialect(address))


def _dialect(address: Address) -> Dialect:
    return PostgresDialect() if (address.driver or "").lower().startswith("postgresql") else OdbcDialect(address.system)
