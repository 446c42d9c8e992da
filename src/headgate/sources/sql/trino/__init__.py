"""Trino, by its HTTP protocol."""

from collections.abc import Mapping
from typing import Any

from headgate.sources.context import Context
from headgate.sources.sql.reader import SqlSource
from headgate.sources.sql.trino.address import Address
from headgate.sources.sql.trino.dialect import TrinoDialect
from headgate.sources.sql.trino.driver import TrinoDriver

__all__ = ["open_trino"]


def open_trino(auth_params: Mapping[str, Any], context: Context) -> SqlSource:
    """The source of the spec `trino`."""
    address = Address.of(auth_params)
    return SqlSource(TrinoDriver(address, context.outbound.judge(address.host, address.port)), TrinoDialect())
