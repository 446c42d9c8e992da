"""ClickHouse, by its HTTP interface."""

from collections.abc import Mapping
from typing import Any

from headgate.sources.context import Context
from headgate.sources.sql.clickhouse.address import Address
from headgate.sources.sql.clickhouse.dialect import ClickHouseDialect
from headgate.sources.sql.clickhouse.driver import ClickHouseDriver
from headgate.sources.sql.reader import SqlSource

__all__ = ["open_clickhouse"]


def open_clickhouse(auth_params: Mapping[str, Any], context: Context) -> SqlSource:
    """The source of the spec `clickhouse`."""
    address = Address.of(auth_params)
    return SqlSource(ClickHouseDriver(address, context.outbound.judge(address.host, address.port)), ClickHouseDialect())
