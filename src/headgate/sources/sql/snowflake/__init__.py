"""Snowflake, through its ADBC driver."""

from collections.abc import Mapping
from typing import Any

from headgate.sources.context import Context
from headgate.sources.sql.reader import SqlSource
from headgate.sources.sql.snowflake.address import Address
from headgate.sources.sql.snowflake.dialect import SnowflakeDialect
from headgate.sources.sql.snowflake.driver import SnowflakeDriver

__all__ = ["open_snowflake"]


def open_snowflake(auth_params: Mapping[str, Any], context: Context) -> SqlSource:
    """The source of the spec `snowflake`."""
    address = Address.of(auth_params)
    reached = context.outbound.judge(address.host, address.port)
    return SqlSource(SnowflakeDriver(address, reached), SnowflakeDialect())
