"""Systems that speak PostgreSQL's protocol without being PostgreSQL: asked only what its oldest versions know.

No row addresses, no exported snapshots, no COPY, no JSON functions, no catalogue function younger than PostgreSQL 8.
Rows come through a cursor on the server, by plain DECLARE and FETCH; times come as text, so that infinity is seen; no
constant has a backslash in it, which these servers may or may not take for an escape.

| type | lake | read as, and refused |
|---|---|---|
| boolean | boolean | |
| smallint, integer | int | |
| bigint | long | |
| real, double precision | float, double | NaN and infinity kept |
| numeric(p,s), 0 <= s <= p <= 38 | decimal(p,s) | NaN refused |
| numeric of another shape | string | exact text; or the decimal that `params.columns` declares |
| text, varchar | string | |
| char(n) | string | padding stripped |
| date, timestamp, timestamptz | the same | infinity, BC and years after 9999 refused |
| time | time | 24:00:00 refused |
| uuid, json, jsonb | string | its text |
| bytea (Greenplum), varbyte (Redshift) | binary | |
| super (Redshift) | string | JSON |
| anything else | - | UnsupportedType: leave it out with `params.columns` |
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import psycopg
import pyarrow as pa

from headgate.errors import HeadgateError, SourceUnreachable
from headgate.model.lake import Column, LakeType
from headgate.outbound import Outbound
from headgate.sources.interface import Entry
from headgate.sources.sql import postgres_errors
from headgate.sources.sql.dialect import CatalogueColumn, Dialect, Rule, Table, decimal_rule, rule_of
from headgate.sources.sql.driver import Session
from headgate.sources.sql.postgres_address import Address
from headgate.sources.sql.rows import batches_of
from headgate.sources.sql.selection import Name, path_of

__all__ = ["PostgresWireDialect", "PostgresWireDriver"]

_SETTINGS = (
    "SET datestyle TO 'ISO, YMD'",
    "SET timezone TO 'UTC'",
    "SET extra_float_digits TO 2",
    "SET statement_timeout TO 0",
)
_CURSOR = "headgate_rows"
_CANCEL_SECONDS = 2
_SHAPE = re.compile(r"numeric\((\d+),(-?\d+)\)")
_ORDERING = re.compile(r"smallint|integer|bigint|(text|character varying|character)(\(\d+\))?")
_SYSTEM = ("information_schema", "pg_catalog", "pg_internal", "pg_toast", "pg_aoseg", "pg_bitmapindex", "gp_toolkit")
_TEXT = Rule(LakeType("string"), pa.string(), value="CAST({c} AS varchar)")


def _written(kind: str) -> Rule:
    """How times are read that come as the server's text."""
    rule = rule_of(kind)
    value = f"TRY_CAST({{v}} AS {rule.lake.sql})"
    beyond = (rule.refused or "").replace("{v}", value)
    # DuckDB reads a date before Christ as one after.
    refused = f"{{v}} IS NOT NULL AND ({value} IS NULL OR {beyond} OR right({{v}}, 2) = 'BC')"
    return Rule(rule.lake, pa.string(), "CAST({c} AS varchar)", value, refused, rule.reason, rule.kind)


class PostgresWireDialect(Dialect):
    """What all of them have in common."""

    title = "PostgreSQL's protocol"
    probe = "SELECT 1"
    system_schemas = _SYSTEM
    types: ClassVar[Mapping[str, Rule]] = {
        "bool": rule_of("boolean"),
        "int2": rule_of("int"),
        "int4": rule_of("int"),
        "int8": rule_of("long"),
        "float4": rule_of("float"),
        "float8": rule_of("double"),
        "text": rule_of("string"),
        "varchar": rule_of("string"),
        "bpchar": Rule(LakeType("string"), pa.string(), value="rtrim({c}, ' ')", kind="text"),
        "date": _written("date"),
        "time": _written("time"),
        "timestamp": _written("timestamp"),
        "timestamptz": _written("timestamptz"),
    }

    def text(self, value: str) -> str:
        """`value` as a constant of text, without a backslash in it."""
        parts = [super(PostgresWireDialect, self).text(part) for part in value.split("\\")]
        return parts[0] if len(parts) == 1 else f"({' || chr(92) || '.join(parts)})"

    def shortened(self, expression: str, kind: str, length: int) -> str:
        """The beginning of a text."""
        return f"substring({expression}, 1, {length})" if kind == "string" else expression

    def rule(self, column: CatalogueColumn) -> Rule | None:
        """How the column is read."""
        if column.type == "numeric":
            shape = _SHAPE.fullmatch(column.declared)
            precision, scale = (int(shape[1]), int(shape[2])) if shape else (0, 0)
            return decimal_rule(precision, scale) if 0 <= scale <= precision <= 38 and precision else _TEXT
        return self.types.get(column.type)

    def declared_decimal(self, column: CatalogueColumn, decimal: LakeType) -> Rule | None:
        """Offered for numbers without a fixed number of digits; a value with others is refused."""
        free = column.type == "numeric" and _SHAPE.fullmatch(column.declared) is None
        return decimal_rule(decimal.precision, decimal.scale) if free else None

    def orders(self, column: Column) -> bool:
        """Whether a column of integers or text may stand for times."""
        return _ORDERING.fullmatch(column.source_type) is not None

    def like(self, name: str, pattern: str) -> str:
        """LIKE, whose escape is a backslash already."""
        return f"{name} LIKE {pattern}"

    def entries(self, session: Session, path: str | None) -> Sequence[Entry] | None:
        """Every table and view but the system's."""
        if path is not None:
            return None
        rows = session.rows(
            "SELECT n.nspname, c.relname, "
            "has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') "
            "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
            f"WHERE {self._listed()} "
            "ORDER BY n.nspname, c.relname"
        )
        return [Entry("table", f"{schema}.{name}", path_of(name, schema), bool(may)) for schema, name, may in rows]

    def table(self, session: Session, name: Name) -> Table | None:
        """The table or view that is called exactly `name`; without a schema, one on the search path."""
        place = f"n.nspname = {self.text(name.schema)}" if name.schema is not None else "pg_table_is_visible(c.oid)"
        rows = session.rows(
            "SELECT n.nspname, a.attname, format_type(a.atttypid, a.atttypmod), t.typname, a.attnotnull "
            "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
            "JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped "
            f"JOIN pg_catalog.pg_type t ON t.oid = a.atttypid WHERE {self._visible()} "
            f"AND c.relname = {self.text(name.table)} AND {place} ORDER BY a.attnum"
        )
        if not rows:
            return None
        columns = [
            CatalogueColumn(column, type_, declared, not required) for _, column, declared, type_, required in rows
        ]
        return Table(Name(name.table, rows[0][0]), tuple(columns))

    def _listed(self) -> str:
        """What exploring shows of what is there."""
        return self._visible()

    def _visible(self) -> str:
        system = ", ".join(map(self.text, self.system_schemas))
        return f"c.relkind IN ('r', 'v', 'm', 'f', 'p', 'x') AND n.nspname NOT IN ({system})"


class PostgresWireDriver:
    """Sessions of psycopg with one such server."""

    errors = (psycopg.Error,)

    def __init__(self, title: str, address: Address, outbound: Outbound) -> None:
        """Raises HostNotAllowed when `outbound` refuses where the address leads."""
        self._title = title
        self._address = address
        self._reached: tuple[str, ...] = ()
        outbound.judge_database(address.host, address.port, address.dbname)
        if address.is_socket:
            outbound.judge_socket(address.host)
        else:
            self._reached = outbound.judge(address.host, address.port)

    @property
    def secrets(self) -> Sequence[str]:
        """The password, in every spelling that the driver may repeat."""
        return self._address.secrets

    def connect(self) -> "PostgresWireSession":
        """A session whose one transaction only reads. Raises psycopg.Error, SourceUnreachable."""
        if not self._reached and not self._address.is_socket:
            raise SourceUnreachable(f"{self._title}: the host {self._address.host!r} is not known.")
        session = psycopg.connect(self._address.conninfo(self._reached), prepare_threshold=None)
        session.read_only = True
        try:
            for setting in _SETTINGS:
                session.execute(setting)
        except psycopg.Error:
            session.close()
            raise
        return PostgresWireSession(session)

    def translate(self, error: Exception) -> HeadgateError:
        """The error of our tree, by SQLSTATE."""
        found = postgres_errors.translate(error)
        return type(found)(found.detail.replace("PostgreSQL: ", f"{self._title}: ", 1))


class PostgresWireSession:
    """One transaction with one cursor."""

    def __init__(self, session: psycopg.Connection[tuple[Any, ...]]) -> None:
        self._session = session

    def rows(self, query: str) -> Sequence[Sequence[Any]]:
        """The whole answer."""
        return self._session.execute(query.encode()).fetchall()

    def batches(self, query: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """The answer, by a cursor on the server."""
        self._session.execute(f"DECLARE {_CURSOR} CURSOR FOR {query}".encode())
        yield from batches_of(self._fetch, schema)
        self._session.execute(f"CLOSE {_CURSOR}")

    def _fetch(self, rows: int) -> Sequence[Sequence[Any]]:
        return self._session.execute(f"FETCH FORWARD {rows} FROM {_CURSOR}".encode()).fetchall()

    def cancel(self) -> None:
        """Have the server stop what it does for this session."""
        if not self._session.closed:
            self._session.cancel_safe(timeout=_CANCEL_SECONDS)

    def close(self) -> None:
        """End the session."""
        self._session.close()
