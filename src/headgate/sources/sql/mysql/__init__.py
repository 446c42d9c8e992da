"""MySQL and MariaDB, through PyMySQL's connections and a reader of their text protocol that makes Arrow batches."""

from collections.abc import Mapping
from typing import Any

from headgate.sources.context import Context
from headgate.sources.sql.mysql.address import Address
from headgate.sources.sql.mysql.dialect import MariadbDialect, MysqlDialect
from headgate.sources.sql.mysql.driver import MysqlDriver
from headgate.sources.sql.reader import SqlSource

__all__ = ["open_mariadb", "open_mysql"]


def open_mysql(auth_params: Mapping[str, Any], context: Context) -> SqlSource:
    """The source of the spec `mysql`. Raises BadParameter, ParameterMissing, HostNotAllowed."""
    return _opened(auth_params, context, MysqlDialect())


def open_mariadb(auth_params: Mapping[str, Any], context: Context) -> SqlSource:
    """The source of the spec `mariadb`. Raises BadParameter, ParameterMissing, HostNotAllowed."""
    return _opened(auth_params, context, MariadbDialect())


def _opened(auth_params: Mapping[str, Any], context: Context, dialect: MysqlDialect) -> SqlSource:
    address = Address.of(auth_params, dialect.title)
    reached = context.outbound.judge(address.host, address.port)
    return SqlSource(MysqlDriver(address, reached, dialect.title), dialect)
