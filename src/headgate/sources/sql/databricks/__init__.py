"""Databricks, through its SQL connector."""

from collections.abc import Mapping
from typing import Any

from headgate.sources.context import Context
from headgate.sources.sql.databricks.address import Address
from headgate.sources.sql.databricks.dialect import DatabricksDialect
from headgate.sources.sql.databricks.driver import DatabricksDriver
from headgate.sources.sql.reader import SqlSource

__all__ = ["open_databricks"]


def open_databricks(auth_params: Mapping[str, Any], context: Context) -> SqlSource:
    """The source of the spec `azure-databricks`."""
    address = Address.of(auth_params)
    reached = context.outbound.judge(address.host, address.port)
    return SqlSource(DatabricksDriver(address, reached), DatabricksDialect())
