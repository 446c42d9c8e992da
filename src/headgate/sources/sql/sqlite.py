"""SQLite files as a source: one statement, and so one state of the file, per window."""

import re
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headgate.dataplane import Breaking, literal, quote, unbroken
from headgate.errors import (
    BadParameter,
    DetectionNotOffered,
    HeadgateError,
    ParameterMissing,
    SourceAccessDenied,
    SourceError,
    SourceObjectMissing,
    SourceUnreachable,
    UnholdableValue,
    UnsupportedType,
)
from headgate.model.lake import Column, LakeType
from headgate.model.plain import plain
from headgate.model.row_filter import Comparison, RowFilter, comparisons
from headgate.model.windows import Bounds, DeltaColumn, DeltaType, Window, text_regex
from headgate.rejects import Rejects, cut
from headgate.sources.context import Context
from headgate.sources.guard import REJECT, complaint, reason, rejection, unless
from headgate.sources.interface import LONGEST_SHOWN, Entry, Preview, Reading, Relation, Selection, Split, Survey
from headgate.sources.roots import Roots
from headgate.sources.sql.attach import ATTACHED, attach
from headgate.sources.sql.delta import delta_column, delta_error, epoch_bounds, is_utc, text_bounds
from headgate.sources.sql.filters import Kind, condition, filter_of, typed
from headgate.sources.sql.selection import choices, chosen, path_of, table_names
from headgate.sources.sql.sqlite_filter import Bind, comparison_sql, kind_of
from headgate.sources.sql.sqlite_types import Field, field_of, quoted, type_of

if TYPE_CHECKING:
    import duckdb

__all__ = ["SqliteSource", "open_sqlite"]

_BUSY_SECONDS = 10
_OUTSIDE = "''"
_ORDERING = re.compile(r"(?i)|.*(INT|CHAR|CLOB|TEXT|STRING).*")
_BY_WORDS: tuple[tuple[str, type[SourceError]], ...] = (
    (r"database (?:table )?is (?:locked|busy)|schema has changed", SourceUnreachable),
    (r"no such (?:table|column)", SourceObjectMissing),
    (r"permission denied|not authorized", SourceAccessDenied),
)


@dataclass(frozen=True, slots=True)
class _Table:
    name: str
    fields: tuple[Field, ...]
    unsupported: Mapping[str, str]
    where: str = ""
    binds: tuple[Bind, ...] = ()

    @property
    def relation(self) -> Relation:
        return Relation(tuple(field.column for field in self.fields))


@dataclass(frozen=True, slots=True)
class _Range:
    """The window as SQLite compares it, `lower <= column < upper` with two binds, and what DuckDB does after.

    `cases` are `WHEN … THEN …` clauses about the delta column: the reason against an odd value, _OUTSIDE for a row that
    is not in the window.
    """

    lower: str
    upper: str
    bind: str = "?"
    cases: str = ""


class SqliteSource:
    """Tables and views of one SQLite file."""

    def __init__(self, auth_params: Mapping[str, Any], roots: Roots) -> None:
        """Take `path` from the auth params; the file must lie under one of `roots`.

        Raises BadParameter, ParameterMissing, SourcePathForbidden; every other method also SourceObjectMissing.
        """
        for key in auth_params:
            if key != "path":
                raise BadParameter(f"The connection parameter {key!r} is not allowed here; leave it out.", field=key)
        path = auth_params.get("path")
        if not isinstance(path, str) or not path:
            raise ParameterMissing("The connection to SQLite needs its path.", field="path")
        if "\0" in path:
            raise BadParameter("path holds a zero character.", field="path")
        self._path = path
        self._roots = roots
        self._real()

    def check(self) -> None:
        """Open the file and read its header."""
        with self._session() as session:
            session.execute("SELECT count(*) FROM sqlite_schema").fetchone()

    def validate(self, selection: Selection) -> None:
        """See that the table's name, the columns and the filter are well formed."""
        table_names(selection)
        choices(selection)
        filter_of(selection)

    def explore(self, path: str | None) -> tuple[Entry, ...]:
        """Every table and view but SQLite's own."""
        if path is not None:
            raise SourceObjectMissing("A database has no folders; its tables are at the root.")
        with self._session() as session:
            rows = session.execute(
                "SELECT name FROM main.sqlite_schema WHERE type IN ('table', 'view') "
                "AND name NOT LIKE 'sqlite^_%' ESCAPE '^' ORDER BY name"
            ).fetchall()
        return tuple(Entry("table", name, path_of(name)) for (name,) in rows)

    def detect(self, path: str) -> Mapping[str, str]:  # noqa: ARG002 - as every source
        """Nothing: tables have no such properties. Raises DetectionNotOffered."""
        raise DetectionNotOffered

    def preview(self, selection: Selection, rows: int) -> Preview:
        """The columns and first rows of the table or view."""
        with self._session() as session, _briefly(session):
            session.text_factory = _readable
            table = _table(session, selection, lenient=True)
            columns = table.relation.columns
            names = ", ".join(_head(column) for column in columns)
            where = f"WHERE {table.where} " if table.where else ""
            query = f"SELECT {names} FROM main.{quote(table.name)} {where}LIMIT ?"
            found = session.execute(query, [*table.binds, rows]).fetchall() if rows and columns else []
        return Preview(
            columns,
            tuple(tuple(_shown(v, c.type) for v, c in zip(row, columns, strict=True)) for row in found),
            table.unsupported,
        )

    def describe(self, selection: Selection) -> Relation:
        """The columns of the table or view, with the lake types of the table in `sqlite_types`."""
        with self._session() as session:
            return _table(session, selection).relation

    def delta_error(self, relation: Relation, delta: DeltaColumn) -> str | None:
        """Why `delta` cannot order the rows; None for timestamps, dates, integers and text that can."""
        return delta_error(relation, delta, _orders)

    def survey(self, selection: Selection, window: Window, delta: DeltaColumn | None) -> Iterator[Survey]:
        """The span of the delta column, then the rows of the window, counted."""
        with self._session() as session, _briefly(session):
            table = _table(session, selection)
            where, binds, survey = [table.where] if table.where else [], [*table.binds], Survey()
            if delta is not None:
                column = delta_column(table.relation, delta, _orders)
                _refuse_incomparable(session, table, column)
                name = quoted(column.name)
                least, greatest = session.execute(
                    _selecting(f"min({name}), max({name})", table, where), binds
                ).fetchone()
                survey = Survey(least=plain(least), greatest=plain(greatest))
                yield survey
                inside, bounds = _inside(session, table, column, window, delta)
                where, binds = [inside, *where], [*bounds, *binds]
            rows = session.execute(_selecting("count(*)", table, where), binds).fetchone()[0]
            yield replace(survey, rows=int(rows), exact=True)

    @contextmanager
    def plan(
        self,
        selection: Selection,
        window: Window,
        delta: DeltaColumn | None,
        *,
        parallel: int,  # noqa: ARG002 - one statement reads one state of the file; several would not
        breaking: Breaking = unbroken,
    ) -> Iterator[Reading]:
        """Plan the read as one split."""
        with self._session() as session, breaking(session.interrupt):
            reading = _reading(session, selection, window, delta)
        yield reading

    def prepare(self, connection: "duckdb.DuckDBPyConnection", reading: Reading, split: Split) -> None:  # noqa: ARG002
        """Attach the file read-only."""
        import duckdb

        path = self._file()
        try:
            attach(connection, "sqlite_scanner", str(path), "sqlite")
        except duckdb.Error as error:
            raise self.translate(error) from None

    def interrupt(self, reading: Reading) -> None:
        """Nothing to do: SQLite works inside DuckDB, whose interrupt reaches it."""

    def verify(self, split: Split) -> None:
        """Nothing to verify: one statement reads one state of the file."""

    def account(self, split: Split, rejects: Rejects) -> None:
        """Nothing to complete: every record comes as far as SQL."""

    def translate(self, error: Exception) -> HeadgateError:
        """The error of our tree for one of sqlite3 or DuckDB."""
        if isinstance(error, HeadgateError):
            return error
        text = str(error)
        if (reason := rejection(text)) is not None:
            return UnholdableValue(reason)
        # DuckDB repeats the whole statement, whose words are not SQLite's.
        words = re.sub(r'Failed to prepare query ".*": ', "", text, flags=re.DOTALL).split("\n\nLINE ")[0].strip()
        kind = next((kind for pattern, kind in _BY_WORDS if re.search(pattern, words, re.IGNORECASE)), SourceError)
        return kind(f"SQLite: {words}")

    def _file(self) -> Path:
        path = self._real()
        if not path.is_file():
            raise SourceObjectMissing(f"There is no file {self._path!r}.")
        return path

    def _real(self) -> Path:
        return Path(self._roots.real(str(self._roots.first / self._path)))

    @contextmanager
    def _session(self) -> Iterator[sqlite3.Connection]:
        uri = f"{self._file().as_uri()}?mode=ro"
        try:
            session = sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS, isolation_level=None)
        except sqlite3.Error as error:
            raise self.translate(error) from None
        try:
            yield session
        except sqlite3.Error as error:
            raise self.translate(error) from None
        finally:
            session.close()


def open_sqlite(auth_params: Mapping[str, Any], context: Context) -> SqliteSource:
    """The source of the spec `sqlite`."""
    return SqliteSource(auth_params, context.roots)


def _table(session: sqlite3.Connection, selection: Selection, *, lenient: bool = False) -> _Table:
    """The table that is selected; columns of types that the lake cannot hold are an error, unless `lenient`."""
    for name in table_names(selection):
        if name.schema not in (None, "main"):
            continue
        row = session.execute(
            "SELECT name FROM main.sqlite_schema WHERE name = ? COLLATE NOCASE AND type IN ('table', 'view') "
            "ORDER BY name <> ? LIMIT 1",
            [name.table, name.table],
        ).fetchone()
        if row is None:
            continue
        table = str(row[0])
        found = {
            str(column): (str(declared), not required)
            for column, declared, required in session.execute(
                "SELECT name, type, \"notnull\" FROM pragma_table_xinfo(?, 'main') WHERE hidden <> 1 ORDER BY cid",
                [table],
            )
        }

        def classes(column: str, table: str = table) -> set[str]:
            rows = session.execute(f"SELECT DISTINCT typeof({quoted(column)}) FROM main.{quote(table)}")
            return {str(class_) for (class_,) in rows} - {"null"}

        fields, unsupported = [], {}
        for at, choice in enumerate(chosen(selection, tuple(found), table)):
            try:
                fields.append(field_of(choice.name, *found[choice.name], choice, table, classes, at))
            except UnsupportedType as error:
                if not lenient:
                    raise
                unsupported[choice.name] = error.detail
        row_filter = filter_of(selection)
        where, binds = _where(row_filter, fields, found, table, classes) if row_filter is not None else ("", ())
        return _Table(table, tuple(fields), unsupported, where, binds)
    raise SourceObjectMissing(f"The file has no table or view {selection.params['tableName'][:100]!r}.")


def _where(
    row_filter: RowFilter,
    fields: Sequence[Field],
    found: Mapping[str, tuple[str, bool]],
    table: str,
    classes: Callable[[str], set[str]],
) -> tuple[str, tuple[Bind, ...]]:
    """The rows that `row_filter` takes, as a condition and its binds."""
    known = {field.column.name: field.column.type for field in fields}
    kinds: dict[str, Kind | None] = {}
    for name in {comparison.column for comparison in comparisons(row_filter)} & found.keys():
        type_ = known.get(name) or type_of(name, found[name][0], classes)
        kinds[name] = kind_of(type_) if type_ is not None else None
    literals = typed(row_filter, kinds, table)
    binds: list[Bind] = []

    def leaf(comparison: Comparison) -> str:
        name = comparison.column
        text, more = comparison_sql(comparison, found[name][0], kinds[name], literals[comparison])
        binds.extend(more)
        return text

    return condition(row_filter, leaf), tuple(binds)


@contextmanager
def _briefly(session: sqlite3.Connection) -> Iterator[None]:
    """Stop the statements of `session` once they have taken too long."""
    timer = threading.Timer(_BUSY_SECONDS, session.interrupt)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _head(column: Column) -> str:
    """A column, of whose texts and blobs no more than can be shown."""
    name = quoted(column.name)
    return f"substr({name}, 1, {LONGEST_SHOWN + 1})" if column.type.kind in ("string", "binary") else name


def _readable(text: bytes) -> str:
    return text.decode(errors="replace")


def _shown(value: Any, type_: LakeType) -> Any:
    match type_.kind:
        case "boolean" if value in (0, 1):
            return bool(value)
        case "decimal" if isinstance(value, float):
            return format(value, ".15g")
        case "decimal" if isinstance(value, int):
            return str(value)
    return plain(value)


def _orders(column: Column) -> bool:
    return _ORDERING.fullmatch(column.source_type) is not None


def _reading(session: sqlite3.Connection, selection: Selection, window: Window, delta: DeltaColumn | None) -> Reading:
    table = _table(session, selection)
    if delta is None:
        whole = Split("whole", _relation(table, None, selection.rejecting))
        return Reading(table.relation.columns, (whole,), None, None, rejecting=selection.rejecting)
    column = delta_column(table.relation, delta, _orders)
    _refuse_incomparable(session, table, column)
    bounds, range_ = _bounds(session, table, column, window, delta)
    columns = table.relation.columns
    if window.empty:
        return Reading(columns, (), column.name, bounds, estimated_rows=0)
    relation = _relation(table, (column, range_), selection.rejecting)
    return Reading(columns, (Split("window", relation),), column.name, bounds, rejecting=selection.rejecting)


def _refuse_incomparable(session: sqlite3.Connection, table: _Table, column: Column) -> None:
    """Refuse delta values of another class, which no window would hold: numbers sort before text before blobs."""
    name, source = quoted(column.name), f"main.{quote(table.name)}"
    others = ("{c} >= ''",) if column.type.kind == "long" else ("{c} < ''", "{c} >= x''")
    for other in others:
        row = session.execute(
            f"SELECT substr(quote({name}), 1, 80) FROM {source} WHERE {other.format(c=name)} LIMIT 1"
        ).fetchone()
        if row is not None:
            before, after = complaint(column.name, f"which cannot be compared with a window as {column.type}")
            raise UnholdableValue(f"{before}{row[0]}{after}", column=column.name)


def _bounds(
    session: sqlite3.Connection, table: _Table, column: Column, window: Window, delta: DeltaColumn
) -> tuple[Bounds, _Range]:
    """The window in the lake column's type, and as SQLite compares it."""
    name, source = quoted(column.name), f"main.{quote(table.name)}"
    field = next(field for field in table.fields if field.column == column)

    def one(query: str) -> Any:
        row = session.execute(query).fetchone()
        return row[0] if row else None

    kind = column.type.kind
    if kind == "long":
        bounds = epoch_bounds(window, delta, lambda: one(f"SELECT max({name}) FROM {source}"))
        return bounds, _Range(str(bounds.lower), str(bounds.upper), bind="CAST(? AS INTEGER)")
    if kind == "string":
        sample = f"SELECT {name} FROM {source} WHERE {name} IS NOT NULL LIMIT 1"
        bounds, pattern = text_bounds(window, delta, lambda: one(sample))
        regex = literal(text_regex(pattern, marked=is_utc(delta)))
        odd = _odd(field, f"NOT regexp_full_match({field.travelled}, {regex})")
        return bounds, _Range(str(bounds.lower), str(bounds.upper), cases=odd)
    bounds = Bounds.of(window, DeltaType(kind), timezone=delta.timezone)
    lower, upper = bounds.lower, bounds.upper
    if not isinstance(lower, datetime) or not isinstance(upper, datetime):
        return bounds, _Range(str(lower), str(upper))
    # Spellings of one time (a T, no seconds, an offset) share only their day; the instant is compared after.
    margin = timedelta(days=1 if kind == "timestamptz" else 0)
    cases = field.refusal
    if kind == "timestamp" and not is_utc(delta):
        cases += _odd(field, f"regexp_matches({field.travelled}, '(Z|[+]00(:?00)?)$')")
    within = f"{field.cast} >= {_constant(lower, column)} AND {field.cast} < {_constant(upper, column)}"
    cases += f" WHEN NOT ({within}) THEN {_OUTSIDE}"
    return bounds, _Range(_day(lower, -margin), _day(upper, margin + timedelta(days=1)), cases=cases)


def _selecting(what: str, table: _Table, where: Sequence[str]) -> str:
    return f"SELECT {what} FROM main.{quote(table.name)}" + (f" WHERE {' AND '.join(where)}" if where else "")


def _inside(
    session: sqlite3.Connection, table: _Table, column: Column, window: Window, delta: DeltaColumn
) -> tuple[str, list[Bind]]:
    """The rows of the window as a condition of SQLite's with its binds, to the millisecond."""
    bounds, range_ = _bounds(session, table, column, window, delta)
    name = quoted(column.name)
    inside, binds = f"{name} >= {range_.bind} AND {name} < {range_.bind}", [range_.lower, range_.upper]
    if isinstance(bounds.lower, datetime) and isinstance(bounds.upper, datetime):  # the range is one of days
        at = f"strftime('%Y-%m-%d %H:%M:%f', {name})"
        inside += f" AND {at} >= ? AND {at} < ?"
        binds += [each.isoformat(" ", "milliseconds")[:23] for each in (bounds.lower, bounds.upper)]
    return inside, [*binds]


def _relation(table: _Table, within: tuple[Column, _Range] | None, rejecting: bool) -> str:
    """The query for the rows of the table, or for those whose delta value is `within` a range."""
    values = [f"{field.value} AS {field.travelled}" for field in table.fields]
    guard = "".join(field.guard for field in table.fields)
    query = f"SELECT {', '.join(values)}, CASE{guard} END AS {REJECT} FROM main.{quote(table.name)}"
    conditions, constants, cases = [table.where] if table.where else [], [*table.binds], ""
    if within is not None:
        delta, range_ = within
        name, cases = quoted(delta.name), range_.cases
        conditions.insert(0, f"{name} >= {range_.bind} AND {name} < {range_.bind}")
        constants = [range_.lower, range_.upper, *constants]
    if conditions:
        query += f" WHERE {' AND '.join(conditions)}"
    aliases = ", ".join([*(field.travelled for field in table.fields), REJECT])
    columns = ", ".join(f"{field.cast} AS {quote(field.column.name)}" for field in table.fields)
    refusals = "".join(field.refusal for field in table.fields)
    reasons = f"CASE{cases} WHEN {REJECT} IS NOT NULL THEN {REJECT}{refusals} END"
    record = {field.column.name: _written(field.travelled) for field in table.fields}
    binds = f", params=row({', '.join(map(_bound, constants))})" if constants else ""
    return (
        f"SELECT {columns} FROM (SELECT * REPLACE ({reasons} AS {REJECT}) "
        f"FROM sqlite_query({literal(ATTACHED)}, {literal(query)}{binds}) AS source({aliases})) "
        f"WHERE CASE WHEN {REJECT} = {_OUTSIDE} THEN false ELSE {unless(REJECT, record, rejecting=rejecting)} END"
    )


def _written(text: str) -> str:
    """SQL for what a rejected record shows of a value: its text, or its bytes when that is not UTF-8."""
    return f"coalesce(TRY({cut(f'decode(encode({text}))')}), {cut(f'hex(encode({text}))')})"


def _bound(value: Bind) -> str:
    """A bind of SQLite's as a constant of DuckDB's that arrives in the same storage class."""
    if isinstance(value, str):
        return literal(value)
    return f"{int(value)}::BIGINT" if isinstance(value, int) else f"{literal(repr(value))}::DOUBLE"


def _odd(field: Field, condition: str) -> str:
    before, after = reason(field.column.name, "which does not follow the format of the delta column's other values")
    shown = f"{literal(before)} || '''' || left({field.travelled}, 80) || '''' || {literal(after)}"
    return f" WHEN {condition} THEN {shown}"


def _constant(value: datetime, column: Column) -> str:
    return f"CAST({literal(value.isoformat())} AS {column.type.sql})"


def _day(value: date, margin: timedelta) -> str:
    try:
        return (date(value.year, value.month, value.day) + margin).isoformat()
    except OverflowError:
        return "9999-99-99"  # sorts after every day
