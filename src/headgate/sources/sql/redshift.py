"""Amazon Redshift."""

from collections.abc import Mapping
from typing import Any, ClassVar

import pyarrow as pa

from headgate.model.lake import LakeType
from headgate.sources.context import Context
from headgate.sources.sql.dialect import Rule
from headgate.sources.sql.postgres_address import Address
from headgate.sources.sql.postgres_wire import PostgresWireDialect, PostgresWireDriver
from headgate.sources.sql.reader import SqlSource

__all__ = ["RedshiftDialect", "open_redshift"]

_PORT = 5439


class RedshiftDialect(PostgresWireDialect):
    """Redshift's SQL: PostgreSQL's of version 8, with types of its own."""

    title = "Amazon Redshift"
    types: ClassVar[Mapping[str, Rule]] = {
        **PostgresWireDialect.types,
        "super": Rule(LakeType("string"), pa.string(), value="json_serialize({c})"),
        "varbyte": Rule(LakeType("binary"), pa.string(), value="to_hex({c})", cast="unhex({v})"),
    }


def open_redshift(auth_params: Mapping[str, Any], context: Context) -> SqlSource:
    """The source of the spec `amazon-redshift`."""
    address = Address.of({"port": _PORT, **{key: value for key, value in auth_params.items() if value is not None}})
    return SqlSource(PostgresWireDriver(RedshiftDialect.title, address, context.outbound), RedshiftDialect())
