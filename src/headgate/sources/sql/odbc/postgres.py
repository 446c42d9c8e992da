"""PostgreSQL by its ODBC driver, which calls numbers what they are not: columns are what `information_schema` says.

| SQL | lake | read as, and refused |
|---|---|---|
| boolean | boolean | |
| smallint, integer | int | |
| bigint | long | |
| real, double precision | float, double | |
| numeric(p,s), decimal(p,s), p <= 38 | decimal(p,s) | |
| character, character varying, text | string | texts of more than 256 kB fail the run |
| bytea, binary varying, binary large object | binary | the same |
| date, timestamp without time zone | date, timestamp | years after 9999 refused |
| timestamp with time zone | timestamptz | the same |
| anything else | - | UnsupportedType: leave it out with `params.columns` |
"""

from collections.abc import Mapping
from typing import ClassVar

import pyarrow as pa

from headgate.model.lake import LakeType
from headgate.sources.sql.dialect import Dialect, Rule, rule_of

__all__ = ["PostgresDialect"]

_INSTANT = rule_of("timestamptz")


class PostgresDialect(Dialect):
    """Nothing but the standard, and of the driver no word about its columns."""

    title: ClassVar[str] = "ODBC"
    system_schemas: ClassVar[tuple[str, ...]] = ("information_schema", "pg_catalog")
    types: ClassVar[Mapping[str, Rule]] = {
        "boolean": rule_of("boolean"),
        **dict.fromkeys(("smallint", "integer"), rule_of("int")),
        "bigint": rule_of("long"),
        "real": rule_of("float"),
        "double precision": rule_of("double"),
        **dict.fromkeys(("character", "character varying", "text"), rule_of("string")),
        **dict.fromkeys(("bytea", "binary varying", "binary large object"), rule_of("binary")),
        "date": rule_of("date"),
        **dict.fromkeys(("timestamp", "timestamp without time zone"), rule_of("timestamp")),
        # ODBC's times have no zone.
        "timestamp with time zone": Rule(
            LakeType("timestamptz"),
            pa.timestamp("us", "UTC"),
            "{c} AT TIME ZONE 'UTC'",
            refused=_INSTANT.refused,
            reason=_INSTANT.reason,
            kind="timestamptz",
        ),
    }
