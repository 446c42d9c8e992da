"""Oracle databases, through python-oracledb."""

from collections.abc import Mapping
from typing import Any

from headgate.sources.context import Context
from headgate.sources.sql.oracle.address import Address
from headgate.sources.sql.oracle.dialect import OracleDialect
from headgate.sources.sql.oracle.driver import OracleDriver
from headgate.sources.sql.reader import SqlSource

__all__ = ["open_oracle"]


def open_oracle(auth_params: Mapping[str, Any], context: Context) -> SqlSource:
    """The source of the spec `oracle`."""
    address = Address.of(auth_params)
    return SqlSource(OracleDriver(address, context.outbound.judge(address.host, address.port)), OracleDialect())
