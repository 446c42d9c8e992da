"""Google BigQuery, through its ADBC driver."""

from collections.abc import Mapping
from typing import Any

from headgate.sources.context import Context
from headgate.sources.sql.bigquery.address import HOSTS, Address
from headgate.sources.sql.bigquery.dialect import BigQueryDialect
from headgate.sources.sql.bigquery.driver import BigQueryDriver
from headgate.sources.sql.reader import SqlSource

__all__ = ["open_bigquery"]


def open_bigquery(auth_params: Mapping[str, Any], context: Context) -> SqlSource:
    """The source of the spec `google-big-query`."""
    address = Address.of(auth_params)
    for host in HOSTS:
        context.outbound.judge(host, 443)
    return SqlSource(BigQueryDriver(address), BigQueryDialect())
