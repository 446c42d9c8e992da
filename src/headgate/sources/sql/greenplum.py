"""Greenplum."""

from collections.abc import Mapping
from typing import Any, ClassVar

import pyarrow as pa

from headgate.model.lake import LakeType
from headgate.sources.context import Context
from headgate.sources.sql.dialect import Rule, rule_of
from headgate.sources.sql.postgres_address import Address
from headgate.sources.sql.postgres_wire import PostgresWireDialect, PostgresWireDriver
from headgate.sources.sql.reader import SqlSource

__all__ = ["GreenplumDialect", "open_greenplum"]

_TEXT = Rule(LakeType("string"), pa.string(), value="CAST({c} AS text)")


class GreenplumDialect(PostgresWireDialect):
    """Greenplum's SQL: PostgreSQL's of version 9.4 or 12. Partitions are read through their table."""

    title = "Greenplum"
    types: ClassVar[Mapping[str, Rule]] = {
        **PostgresWireDialect.types,
        "bytea": rule_of("binary"),
        **dict.fromkeys(("uuid", "json", "jsonb"), _TEXT),
    }

    def _listed(self) -> str:
        partitions = "SELECT 1 FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid"
        return f"{super()._visible()} AND NOT EXISTS ({partitions})"


def open_greenplum(auth_params: Mapping[str, Any], context: Context) -> SqlSource:
    """The source of the spec `greenplum`."""
    return SqlSource(
        PostgresWireDriver(GreenplumDialect.title, Address.of(auth_params), context.outbound), GreenplumDialect()
    )
