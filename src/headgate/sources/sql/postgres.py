"""PostgreSQL as a source: one exact SQL text per split, all splits in one exported snapshot."""

import json
import os
import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from headgate.dataplane import Breaking, literal, quote, unbroken
from headgate.errors import DetectionNotOffered, HeadgateError, SourceObjectMissing, SourceUnreachable, UnsupportedType
from headgate.model.lake import Column, LakeType
from headgate.model.plain import plain
from headgate.model.row_filter import Comparison, RowFilter
from headgate.model.windows import Bounds, DeltaColumn, DeltaType, Window, text_regex
from headgate.outbound import Outbound
from headgate.rejects import LONGEST, SEPARATOR, Rejects, cut
from headgate.sources.context import Context
from headgate.sources.guard import REJECT, reason, unless
from headgate.sources.interface import LONGEST_SHOWN, Entry, Preview, Reading, Relation, Selection, Split, Survey
from headgate.sources.sql import postgres_errors
from headgate.sources.sql.attach import ATTACHED, attach
from headgate.sources.sql.delta import delta_column, delta_error, epoch_bounds, is_utc, text_bounds
from headgate.sources.sql.filters import condition, filter_of, typed
from headgate.sources.sql.postgres_address import CONNECT_SECONDS, Address
from headgate.sources.sql.postgres_filter import comparison_sql, kind_of
from headgate.sources.sql.postgres_types import CatalogueColumn, Field, field_of
from headgate.sources.sql.selection import Name, choices, chosen, path_of, table_names
from headgate.telemetry import redact

if TYPE_CHECKING:
    import duckdb

__all__ = ["PostgresSource", "open_postgres"]

PAGES_FROM_BYTES = 64 << 20
"""A table that is read whole is worth splitting by pages from this size on."""

_CANCEL_SECONDS = 1.0  # a server that has not taken a request to stop by then is not waited for

_TABLE = """
SELECT c.oid, n.nspname, c.relname,
       c.relkind IN ('r', 'm') AND am.amname = 'heap',
       CASE WHEN c.relkind IN ('r', 'm') THEN pg_relation_size(c.oid) ELSE 0 END,
       current_setting('block_size')::int,
       c.relrowsecurity
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_am am ON am.oid = c.relam
WHERE c.oid = to_regclass(%s) AND c.relkind IN ('r', 'v', 'm', 'p', 'f')
"""
_COLUMNS = """
WITH RECURSIVE resolved AS (
  SELECT a.attnum, a.attname, a.attnotnull, a.atttypid AS type, a.atttypmod AS modifier
  FROM pg_catalog.pg_attribute a
  WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped
  UNION ALL
  SELECT r.attnum, r.attname, r.attnotnull OR d.typnotnull, d.typbasetype,
         CASE WHEN r.modifier = -1 THEN d.typtypmod ELSE r.modifier END
  FROM resolved r JOIN pg_catalog.pg_type d ON d.oid = r.type WHERE d.typtype = 'd'
)
SELECT r.attname, format_type(r.type, r.modifier), t.typname, t.typtype::text, r.modifier, NOT r.attnotnull,
       n.nspname = 'pg_catalog',
       CASE WHEN t.typcategory = 'A' AND t.typlen = -1 THEN
         CASE WHEN e.typtype = 'b' AND e.typnamespace = t.typnamespace THEN e.typname ELSE '' END
       END
FROM resolved r
JOIN pg_catalog.pg_type t ON t.oid = r.type
JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem
WHERE t.typtype <> 'd'
ORDER BY r.attnum
"""
# One text form for the types that travel as text, and no limit on how long a read may take or wait.
_SETTINGS = """
SELECT set_config(s.name, v.value, true)
FROM pg_catalog.pg_settings s
JOIN (VALUES ('intervalstyle', 'iso_8601'), ('datestyle', 'ISO, YMD'), ('timezone', 'UTC'), ('lc_monetary', 'C'),
             ('bytea_output', 'hex'), ('extra_float_digits', '1'), ('statement_timeout', '0'),
             ('transaction_timeout', '0'), ('idle_in_transaction_session_timeout', '0'))
  AS v(name, value) ON lower(s.name) = v.name
"""
# What a snapshot of this server sees: with equal texts the same, for as long as the server runs. A restart after a
# crash may lose commits that were seen, and then gives their numbers to others; it resets the statistics too. A standby
# does not list what is under way.
_STATE = """
SELECT CASE WHEN NOT pg_is_in_recovery() THEN
  concat_ws(' ', pg_current_snapshot(), current_database(), pg_postmaster_start_time(), stats_reset)
END
FROM pg_catalog.pg_stat_bgwriter WHERE stats_reset IS NOT NULL
"""
_SURVEY_SECONDS = 3  # for each of the two queries that look at the rows
_BRIEFLY = f"SET LOCAL statement_timeout = '{CONNECT_SECONDS}s'"
_ALL_TABLES = """
SELECT n.nspname, c.relname, has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'v', 'm', 'p', 'f') AND NOT c.relispartition
  AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
ORDER BY n.nspname, c.relname
"""
_ORDERING = re.compile(r"integer|bigint|(text|character varying|character)(\(\d+\))?")
_CASTS = {
    DeltaType.TIMESTAMP: "timestamp",
    DeltaType.TIMESTAMPTZ: "timestamptz",
    DeltaType.DATE: "date",
    DeltaType.TEXT: "text",
}


@dataclass(frozen=True, slots=True)
class _Table:
    name: sql.Identifier
    label: str
    fields: tuple[Field, ...]
    unsupported: Mapping[str, str]
    where: sql.Composable | None
    heap: bool
    bytes: int
    page: int
    secured: bool

    @property
    def relation(self) -> Relation:
        return Relation(tuple(field.column for field in self.fields))


class PostgresSource:
    """Tables, views, materialised views, partitioned and foreign tables of one PostgreSQL database."""

    def __init__(self, auth_params: Mapping[str, Any], outbound: Outbound) -> None:
        """Take the connection's auth params; see `Address.of()`.

        Raises BadParameter, ParameterMissing, and HostNotAllowed when `outbound` refuses where they lead.
        """
        self._address = Address.of(auth_params)
        self._reached: tuple[str, ...] = ()
        outbound.judge_database(self._address.host, self._address.port, self._address.dbname)
        if self._address.is_socket:
            outbound.judge_socket(self._address.host)
        else:
            self._reached = outbound.judge(self._address.host, self._address.port)

    def check(self) -> None:
        """Connect and run a statement, in at most ten seconds each."""
        with self._session() as session:
            session.execute(f"SET statement_timeout = '{CONNECT_SECONDS}s'")
            session.execute("SELECT 1")

    def describe(self, selection: Selection) -> Relation:
        """The columns of the table, with the lake types of the table in `postgres_types`."""
        with self._session() as session:
            return _table(session, selection).relation

    def validate(self, selection: Selection) -> None:
        """See that the table's name, the columns and the filter are well formed."""
        table_names(selection)
        choices(selection)
        filter_of(selection)

    def explore(self, path: str | None) -> tuple[Entry, ...]:
        """Every table, view, materialised view, partitioned and foreign table but the system's and the partitions."""
        if path is not None:
            raise SourceObjectMissing("A database has no folders; its tables are at the root.")
        with self._session() as session:
            session.execute(_BRIEFLY)
            rows = session.execute(_ALL_TABLES).fetchall()
        return tuple(Entry("table", f"{schema}.{name}", path_of(name, schema), bool(may)) for schema, name, may in rows)

    def detect(self, path: str) -> Mapping[str, str]:  # noqa: ARG002 - as every source
        """Nothing: tables have no such properties. Raises DetectionNotOffered."""
        raise DetectionNotOffered

    def preview(self, selection: Selection, rows: int) -> Preview:
        """The columns and first rows of the table."""
        with self._session() as session:
            session.execute(_SETTINGS)
            session.execute(_BRIEFLY)
            table = _table(session, selection, lenient=True)
            found = session.execute(_head(table, rows)).fetchall() if rows and table.fields else []
        columns = table.relation.columns
        return Preview(columns, tuple(_values(text, columns) for (text,) in found), table.unsupported)

    def delta_error(self, relation: Relation, delta: DeltaColumn) -> str | None:
        """Why `delta` cannot order the rows; None for timestamps, dates, integers and text that can."""
        return delta_error(relation, delta, _orders)

    def survey(self, selection: Selection, window: Window, delta: DeltaColumn | None) -> Iterator[Survey]:
        """The database's own estimate, then the span of the delta column, and the rows of the window counted."""
        with self._session() as session:
            session.execute(_SETTINGS)
            session.execute(_BRIEFLY)
            table = _table(session, selection)
            where: sql.Composable = table.where or sql.SQL("true")
            inside: sql.Composable = sql.SQL("true")
            if delta is not None:
                column = delta_column(table.relation, delta, _orders)
                inside = _within(column.name, _bounds(session, table, column, window, delta)[0])
            rows = sql.SQL("FROM {} WHERE {} AND {}").format(table.name, inside, where)
            expected = session.execute(sql.SQL("EXPLAIN (FORMAT JSON) SELECT 1 {}").format(rows)).fetchone()
            survey = Survey(int(expected[0][0]["Plan"]["Plan Rows"]) if expected else None)
            yield survey
            for what, given in _surveys(table, where, column.name if delta is not None else None, rows):
                with suppress(psycopg.errors.QueryCanceled), session.transaction():
                    session.execute(f"SET LOCAL statement_timeout = '{_SURVEY_SECONDS}s'")
                    found = session.execute(what).fetchone()
                    survey = replace(survey, **dict(zip(given, (*(found or ()), True), strict=False)))
                    yield survey

    @contextmanager
    def plan(
        self,
        selection: Selection,
        window: Window,
        delta: DeltaColumn | None,
        *,
        parallel: int,
        breaking: Breaking = unbroken,
    ) -> Iterator[Reading]:
        """Plan the read by the database's own estimate; its snapshot lives as long as the context.

        A window that the database reads by an index is one split; a large share of a large table is split by pages.
        """
        session = self._connect()
        try:
            try:
                with breaking(partial(self._cancel, session)):
                    reading = _reading(session, selection, window, delta, parallel)
            except psycopg.Error as error:
                raise self.translate(error) from None
            yield reading
        finally:
            session.close()

    def prepare(self, connection: "duckdb.DuckDBPyConnection", reading: Reading, split: Split) -> None:  # noqa: ARG002
        """Attach the database read-only and join the reading's snapshot, in a transaction that stays open.

        Roll it back before closing the connection: DuckDB 1.5.5 ends the process when closing finds the server gone.
        """
        import duckdb

        try:
            attach(connection, "postgres_scanner", self._conninfo(), "postgres")
        except duckdb.Error as error:
            self._connect().close()  # psycopg says why by code, where DuckDB repeats the connection string
            raise self.translate(error) from None
        try:
            connection.execute("BEGIN")
            if reading.token is not None:
                _remote(connection, sql.SQL("SET TRANSACTION SNAPSHOT {}").format(reading.token).as_string())
            _remote(connection, _SETTINGS)
            name = sql.SQL("SELECT set_config('application_name', {}, true)").format(_session_name(reading))
            _remote(connection, name.as_string())
        except duckdb.Error as error:
            # DuckDB 1.5.5 ends the process when closing finds the server gone from an open transaction.
            with suppress(duckdb.Error):
                connection.execute("ROLLBACK")
            raise self.translate(error) from None

    def interrupt(self, reading: Reading) -> None:
        """Cancel the statements of the sessions that joined the reading's snapshot."""
        with self._session() as session:
            session.execute(
                "SELECT pg_cancel_backend(pid) FROM pg_catalog.pg_stat_activity WHERE application_name = %s",
                [_session_name(reading)],
            )

    def _cancel(self, session: psycopg.Connection[tuple[Any, ...]]) -> None:
        """Have the server stop what it is doing for `session`; one that does not answer is left by ending the session.

        Raises SourceError.
        """
        try:
            session.cancel_safe(timeout=_CANCEL_SECONDS)
        except psycopg.Error as error:
            with suppress(psycopg.Error, OSError):  # it has ended by itself
                line = socket.socket(fileno=os.dup(session.fileno()))
                with line:
                    line.shutdown(socket.SHUT_RDWR)
            raise self.translate(error) from None

    def verify(self, split: Split) -> None:
        """Nothing to verify: a snapshot does not change."""

    def account(self, split: Split, rejects: Rejects) -> None:
        """Nothing to complete: every record comes as far as SQL."""

    def translate(self, error: Exception) -> HeadgateError:
        """The error of our tree for one of psycopg or DuckDB, with the server's reason and without the password."""
        found = postgres_errors.translate(error)
        if found is error:
            return found
        return type(found)(redact(found.detail, self._address.secrets))

    def _conninfo(self) -> str:
        if not self._reached and not self._address.is_socket:
            raise SourceUnreachable(f"PostgreSQL: the host {self._address.host!r} is not known.")
        return self._address.conninfo(self._reached)

    def _connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        try:
            session = psycopg.connect(self._conninfo())
        except psycopg.Error as error:
            raise self.translate(error) from None
        session.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        session.read_only = True
        return session

    @contextmanager
    def _session(self) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        session = self._connect()
        try:
            yield session
        except psycopg.Error as error:
            raise self.translate(error) from None
        finally:
            session.close()


def open_postgres(auth_params: Mapping[str, Any], context: Context) -> PostgresSource:
    """The source of the spec `postgresql`."""
    return PostgresSource(auth_params, context.outbound)


def _table(session: psycopg.Connection[tuple[Any, ...]], selection: Selection, *, lenient: bool = False) -> _Table:
    """The table that is selected; columns of types that the lake cannot hold are an error, unless `lenient`."""
    for name in table_names(selection):
        identifier = _identifier(name)
        row = session.execute(_TABLE, [identifier.as_string(session)]).fetchone()
        if row is None or row[2] != name.table:  # the server cuts names of more than 63 bytes
            continue
        oid, schema, table, heap, size, page, secured = row
        label = f"{schema}.{table}"
        columns = {found.name: found for found in (CatalogueColumn(*r) for r in session.execute(_COLUMNS, [oid]))}
        chosen_columns = chosen(selection, tuple(columns), label)
        if not chosen_columns and not lenient:
            raise SourceObjectMissing(f"The table {label} has no columns.")
        fields, unsupported = [], {}
        for choice in chosen_columns:
            try:
                fields.append(field_of(columns[choice.name], choice, label))
            except UnsupportedType as error:
                if not lenient:
                    raise
                unsupported[choice.name] = error.detail
        where = _where(filter_of(selection), columns, label)
        name_ = sql.Identifier(schema, table)
        return _Table(name_, label, tuple(fields), unsupported, where, bool(heap), size, page, bool(secured))
    raise SourceObjectMissing(
        f"The database has no table or view {selection.params['tableName'][:100]!r} that this account can see."
    )


def _where(row_filter: RowFilter | None, columns: Mapping[str, CatalogueColumn], label: str) -> sql.Composable | None:
    """The rows that `row_filter` takes, as a condition."""
    if row_filter is None:
        return None
    kinds = {name: kind_of(found) for name, found in columns.items()}
    literals = typed(row_filter, kinds, label)

    def leaf(comparison: Comparison) -> str:
        return comparison_sql(comparison, columns[comparison.column], literals[comparison]).as_string()

    return sql.SQL(condition(row_filter, leaf))


def _surveys(
    table: _Table, where: sql.Composable, delta: str | None, rows: sql.Composable
) -> Iterator[tuple[sql.Composed, tuple[str, ...]]]:
    """The queries that say what a window holds, each with what its values and the fact of them are of a survey."""
    if delta is not None:
        span = sql.SQL("SELECT to_json(min({0})), to_json(max({0})) FROM {1} WHERE {2}")
        yield span.format(sql.Identifier(delta), table.name, where), ("least", "greatest")
    yield sql.SQL("SELECT count(*) {}").format(rows), ("rows", "exact")


def _session_name(reading: Reading) -> str:
    """What the sessions of a reading call themselves on the server."""
    return f"headgate {reading.token}"


def _identifier(name: Name) -> sql.Identifier:
    return sql.Identifier(*([name.schema] if name.schema else []), name.table)


def _orders(column: Column) -> bool:
    return _ORDERING.fullmatch(column.source_type) is not None


def _reading(
    session: psycopg.Connection[tuple[Any, ...]],
    selection: Selection,
    window: Window,
    delta: DeltaColumn | None,
    parallel: int,
) -> Reading:
    session.execute(_SETTINGS)
    table = _table(session, selection)
    columns, guards = table.relation.columns, [field.guard for field in table.fields]
    name, bounds, where = None, None, table.where or sql.SQL("true")
    if delta is not None:
        column = delta_column(table.relation, delta, _orders)
        name = column.name
        bounds, pattern = _bounds(session, table, column, window, delta)
        if window.empty:
            return Reading(columns, (), name, bounds, estimated_rows=0)
        where = sql.SQL("{} AND {}").format(_within(name, bounds), where) if table.where else _within(name, bounds)
        guards += [_format_guard(name, pattern)] if pattern is not None else []
    id_ = "whole" if delta is None else "window"
    rows, splits = _splits(session, table, (id_, where), sql.Composed(guards), parallel, selection.rejecting)
    exported = session.execute("SELECT pg_export_snapshot()").fetchone()
    token = exported[0] if exported else None
    return Reading(columns, splits, name, bounds, rows, token, selection.rejecting)


def _bounds(
    session: psycopg.Connection[tuple[Any, ...]],
    table: _Table,
    column: Column,
    window: Window,
    delta: DeltaColumn,
) -> tuple[Bounds, str | None]:
    """The window in the column's own type and, for text, the regular expression its values must match."""
    name = sql.Identifier(column.name)

    def one(query: str) -> Any:
        row = session.execute(sql.SQL(query).format(name, table.name)).fetchone()
        return row[0] if row else None

    if column.type.kind in ("int", "long"):
        return epoch_bounds(window, delta, lambda: one("SELECT max({}) FROM {}")), None
    if column.type.kind == "string":
        sample = "SELECT {0}::text FROM {1} WHERE {0} IS NOT NULL LIMIT 1"
        bounds, pattern = text_bounds(window, delta, lambda: one(sample))
        return bounds, f"^({text_regex(pattern, marked=is_utc(delta))})$"
    return Bounds.of(window, DeltaType(column.type.kind), timezone=delta.timezone), None


def _within(column: str, bounds: Bounds) -> sql.Composable:
    return sql.SQL("{0} >= {1} AND {0} < {2}").format(
        sql.Identifier(column), _constant(bounds.type, bounds.lower), _constant(bounds.type, bounds.upper)
    )


def _format_guard(column: str, pattern: str) -> sql.Composable:
    """A clause that refuses a text which cannot be compared with the window."""
    before, after = reason(column, "which does not follow the format of the delta column's other values")
    return sql.SQL(" WHEN {0}::text !~ {1} THEN {2}::text || left({0}::text, 80) || {3}::text").format(
        sql.Identifier(column), sql.Literal(pattern), sql.Literal(before), sql.Literal(after)
    )


def _splits(
    session: psycopg.Connection[tuple[Any, ...]],
    table: _Table,
    one: tuple[str, sql.Composable],
    guard: sql.Composable,
    parallel: int,
    rejecting: bool,
) -> tuple[int, tuple[Split, ...]]:
    """The rows that the database expects, and the splits: `one` by its id and condition, or several of its pages."""
    id_, where = one

    def split(name: str, where: sql.Composable, state: str | None = None) -> Split:
        query = _query(table, guard, where, rejecting).as_string(session)
        return Split(name, _relation(table.fields, query, rejecting), state=state)

    explained = session.execute(sql.SQL("EXPLAIN (FORMAT JSON) ") + _query(table, guard, where, rejecting)).fetchone()
    plan = explained[0][0]["Plan"] if explained else {}
    ranges = _page_ranges(session, table, plan, parallel)
    if len(ranges) < 2:
        return int(plan["Plan Rows"]), (split(id_, where),)
    splits, state = [], _state(session, table, plan)
    for first, last in ranges:
        pages = sql.SQL(" AND ctid >= {}::tid").format(f"({first},0)")
        if last is not None:
            pages += sql.SQL(" AND ctid < {}::tid").format(f"({last},0)")
        splits.append(split(f"pages-{first}-{'end' if last is None else last}", where + pages, state))
    return int(plan["Plan Rows"]), tuple(splits)


def _state(session: psycopg.Connection[tuple[Any, ...]], table: _Table, plan: Mapping[str, Any]) -> str | None:
    """The state that the session's snapshot sees of the table.

    None of what depends on more than that: rows of other servers, and rows that a policy may choose by the clock.
    """
    if not table.heap or table.secured or _node_types(plan) & {"Foreign Scan", "Function Scan", "Custom Scan"}:
        return None
    row = session.execute(_STATE).fetchone()
    return row[0] if row else None


def _query(table: _Table, guard: sql.Composable, where: sql.Composable, rejecting: bool) -> sql.Composable:
    # By position, so that no name of the source can meet another one, or DuckDB's rules for names.
    values = [
        sql.SQL("{} AS {}").format(field.value, sql.Identifier(_alias(at))) for at, field in enumerate(table.fields)
    ]
    reject = sql.Identifier(REJECT)
    found: sql.Composable = sql.SQL("CASE{} END").format(guard) if guard.as_string() else sql.SQL("NULL::text")
    source: sql.Composable = sql.SQL("{} WHERE {}").format(table.name, where)
    if rejecting and guard.as_string():
        # The record goes with the reason, for a value that was refused does not travel. OFFSET 0 keeps the server
        # from looking for the reason twice.
        names = sql.SQL(", ").join(sql.Identifier(field.column.name) for field in table.fields)
        source = sql.SQL("(SELECT {}, {} AS {} FROM {} OFFSET 0) AS found").format(names, found, reject, source)
        record = sql.SQL("regexp_replace(row_to_json(found)::text, {}, '}}')").format(f',"{REJECT}":.*$')
        found = sql.SQL("CASE WHEN {0} IS NOT NULL THEN {0} || {1} || left({2}, {3}) END").format(
            reject, SEPARATOR, record, LONGEST + 1
        )
    return sql.SQL("SELECT {}, {} AS {} FROM {}").format(sql.SQL(", ").join(values), found, reject, source)


def _head(table: _Table, rows: int) -> sql.Composed:
    """The first rows, each as one JSON object: the server's own text holds what psycopg could not."""
    values = []
    for at, field in enumerate(table.fields):
        value: sql.Composable = sql.Identifier(field.column.name)
        match field.column.type.kind:
            case "string":
                value = sql.SQL("left({}::text, {})").format(value, sql.Literal(LONGEST_SHOWN + 1))
            case "binary":
                value = sql.SQL("substring({} from 1 for {})").format(value, sql.Literal(LONGEST_SHOWN))
        values.append(sql.SQL("{} AS {}").format(value, sql.Identifier(_alias(at))))
    query = sql.SQL("SELECT {} FROM {}").format(sql.SQL(", ").join(values), table.name)
    if table.where is not None:
        query += sql.SQL(" WHERE ") + table.where
    return sql.SQL("SELECT row_to_json(head)::text FROM ({} LIMIT {}) AS head").format(query, sql.Literal(rows))


def _values(text: str, columns: Sequence[Column]) -> tuple[Any, ...]:
    found = json.loads(text, parse_float=Decimal)
    return tuple(_shown(found[_alias(at)], column.type) for at, column in enumerate(columns))


def _shown(value: Any, type_: LakeType) -> Any:
    """A value of the server's JSON as `plain()` shows one of `type_`."""
    if isinstance(value, list) and type_.element is not None:
        return [_shown(part, type_.element) for part in value]
    match type_.kind:
        case "decimal" if value is not None:
            return str(value)
        case "binary" if value is not None:
            return str(value).removeprefix("\\x")
        case "float" | "double" if isinstance(value, int | Decimal):
            return float(value)
    return plain(value)


def _relation(fields: Sequence[Field], query: str, rejecting: bool) -> str:
    values = ", ".join(
        f"CAST({_alias(at)} AS {field.column.type.sql}) AS {quote(field.column.name)}"
        for at, field in enumerate(fields)
    )
    reasons = [f"WHEN {REJECT} IS NOT NULL THEN {REJECT}"]
    for at, field in enumerate(fields):
        if field.check is not None:
            before, after = reason(field.column.name, field.reason)
            shown = f"{literal(before)} || CAST({_alias(at)} AS VARCHAR) || {literal(after)}"
            reasons.append(f"WHEN {field.check.format(v=_alias(at))} THEN {shown}")
    record = {field.column.name: _written(_alias(at), field.column.type) for at, field in enumerate(fields)}
    return (
        f"SELECT {values} FROM (SELECT * REPLACE (CASE {' '.join(reasons)} END AS {REJECT}) "
        f"FROM postgres_query({literal(ATTACHED)}, {literal(query)})) "
        f"WHERE {unless(REJECT, record, rejecting=rejecting)}"
    )


def _written(value: str, type_: LakeType) -> str:
    """SQL for what a rejected record shows of `value`: a decimal with all its digits, text up to what is kept."""
    match type_.kind:
        case "decimal":
            return f"CAST({value} AS VARCHAR)"
        case "string":
            return cut(value)
    return value


def _page_ranges(
    session: psycopg.Connection[tuple[Any, ...]], table: _Table, plan: Mapping[str, Any], parallel: int
) -> list[tuple[int, int | None]]:
    whole = "Seq Scan" in _node_types(plan)
    if not (whole and table.heap and table.bytes >= PAGES_FROM_BYTES and session.info.server_version >= 140000):
        return []
    pages = table.bytes // table.page
    count = min(max(parallel, 1), pages)
    edges = [pages * at // count for at in range(count)]
    return list(zip(edges, [*edges[1:], None], strict=True))


def _node_types(plan: Mapping[str, Any]) -> set[str]:
    found = {str(plan.get("Node Type"))}
    for child in plan.get("Plans", ()):
        found |= _node_types(child)
    return found


def _constant(type_: DeltaType, value: datetime | date | int | str) -> sql.Composable:
    if isinstance(value, int):
        return sql.SQL("{}::bigint").format(value)
    text = value if isinstance(value, str) else value.isoformat()
    return sql.SQL("{}::" + _CASTS[type_]).format(text)


def _alias(at: int) -> str:
    return f"c{at}"


def _remote(connection: "duckdb.DuckDBPyConnection", statement: str) -> None:
    connection.execute(f"CALL postgres_execute({literal(ATTACHED)}, {literal(statement)})")
