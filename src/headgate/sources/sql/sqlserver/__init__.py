"""SQL Server, Azure SQL and Synapse, through mssql-python."""

from collections.abc import Mapping
from typing import Any

from headgate.sources.context import Context
from headgate.sources.sql.reader import SqlSource
from headgate.sources.sql.sqlserver.address import Address
from headgate.sources.sql.sqlserver.dialect import SqlServerDialect
from headgate.sources.sql.sqlserver.driver import SqlServerDriver

__all__ = ["open_sqlserver", "open_synapse"]


def open_sqlserver(auth_params: Mapping[str, Any], context: Context) -> SqlSource:
    """The source of the spec `microsoft-sql-server`."""
    return _opened(auth_params, context, snapshot=True)


def open_synapse(auth_params: Mapping[str, Any], context: Context) -> SqlSource:
    """The source of the spec `azure-synapse-analytics`."""
    return _opened(auth_params, context, snapshot=False)


def _opened(auth_params: Mapping[str, Any], context: Context, *, snapshot: bool) -> SqlSource:
    address = Address.of(auth_params)
    reached = context.outbound.judge(address.host, address.port)
    return SqlSource(SqlServerDriver(address, reached, snapshot=snapshot), SqlServerDialect())
