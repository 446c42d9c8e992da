"""SQL Server, Azure SQL and Synapse, through mssql-python."""

from collections.abc import Mapping
from typing import Any

from headgate.sources.context import Context
from headgate.sources.sql.reader import SqlSource
from headgate.sources.sql.sqlserver.address import Address
from headgate.sources.sql.sqlserver.dialect import SqlServerDialect
from headgate.sources.sql.sqlserver.driver import SqlServerDriver

__all__ = ["open_sqlserver"]


def open_sqlserver(auth_params: Mapping[str, Any], context: Context) -> SqlSource:
    """The source of the specs `microsoft-sql-server` and `azure-synapse-analytics`."""
    address = Address.of(auth_params)
    return SqlSource(SqlServerDriver(address, context.outbound.judge(address.host, address.port)), SqlServerDialect())
