"""Any database as a source: a dialect says how it is asked, a driver asks it, and the rows arrive as Arrow batches."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import duckdb
import pyarrow as pa

from headgate import dataplane
from headgate.dataplane import Breaking, unbroken
from headgate.errors import (
    DetectionNotOffered,
    HeadgateError,
    SourceError,
    SourceObjectMissing,
    SourceUnreachable,
    UnholdableValue,
    UnsupportedType,
)
from headgate.model.lake import Column
from headgate.model.plain import plain
from headgate.model.row_filter import Comparison
from headgate.model.windows import Bounds, DeltaColumn, DeltaType, Window, text_regex
from headgate.rejects import Rejects
from headgate.sources.guard import rejection
from headgate.sources.interface import LONGEST_SHOWN, Entry, Preview, Reading, Relation, Selection, Split, Survey
from headgate.sources.sql.arriving import Arrivals, Arriving, conformed
from headgate.sources.sql.delta import delta_column, delta_error, epoch_bounds, is_utc, text_bounds
from headgate.sources.sql.dialect import Dialect, Table
from headgate.sources.sql.driver import Driver, Session
from headgate.sources.sql.filters import condition, filter_of, typed
from headgate.sources.sql.ranges import KINDS, delta_ranges, key_ranges
from headgate.sources.sql.relation import (
    Field,
    Within,
    field_of,
    query_of,
    relation_of,
    schema_of,
    shown_of,
    values_of,
)
from headgate.sources.sql.selection import choices, chosen, table_names
from headgate.telemetry import redact

__all__ = ["SPLIT_FROM_ROWS", "SqlSource", "shown_rows"]

SPLIT_FROM_ROWS = 200_000
"""A read of fewer rows is not worth several sessions."""

_BRIEF_SECONDS = 9  # what /test, /explore and previews give a system; those who ask give up after ten


@dataclass(frozen=True, slots=True)
class _Selected:
    """What a selection means: the table, the chosen fields, those the lake cannot hold, and the row filter."""

    table: Table
    fields: tuple[Field, ...]
    unsupported: Mapping[str, str]
    where: str | None

    @property
    def relation(self) -> Relation:
        return Relation(tuple(field.column for field in self.fields))


class SqlSource:
    """Tables and views of one database, read by any `Driver` in the words of its `Dialect`."""

    def __init__(self, driver: Driver, dialect: Dialect) -> None:
        self._driver = driver
        self._dialect = dialect
        self._arrivals = Arrivals(driver, self.translate)

    def check(self) -> None:
        """Connect and run a query."""
        with self._session() as session:
            self._dialect.answer(session)

    def validate(self, selection: Selection) -> None:
        """See that the table's name, the columns and the filter are well formed."""
        self._names(selection)
        choices(selection)
        filter_of(selection)

    def explore(self, path: str | None) -> tuple[Entry, ...]:
        """Every table and view but the system's own; where it has several databases, they may be folders."""
        with self._session() as session:
            found = self._dialect.entries(session, path)
        if found is None:
            raise SourceObjectMissing(f"There is no folder {str(path)[:100]!r}; the tables are at the root.")
        return tuple(found)

    def detect(self, path: str) -> Mapping[str, str]:  # noqa: ARG002 - as every source
        """Nothing: tables have no such properties. Raises DetectionNotOffered."""
        raise DetectionNotOffered

    def describe(self, selection: Selection) -> Relation:
        """The columns of the table or view, in the lake types of the dialect's table."""
        with self._session() as session:
            return self._selected(session, selection).relation

    def preview(self, selection: Selection, rows: int) -> Preview:
        """The columns and first rows of the table or view."""
        with self._session() as session:
            selected = self._selected(session, selection, lenient=True)
            found = self._head(session, selected, rows) if rows and selected.fields else ()
        return Preview(selected.relation.columns, tuple(found), selected.unsupported)

    def delta_error(self, relation: Relation, delta: DeltaColumn) -> str | None:
        """Why `delta` cannot order the rows; None for timestamps, dates, integers and text that can."""
        return delta_error(relation, delta, self._dialect.orders)

    def survey(self, selection: Selection, window: Window, delta: DeltaColumn | None) -> Iterator[Survey]:
        """What the system expects of the window; the span of its delta column and its rows, where it may count them."""
        dialect, survey = self._dialect, Survey()
        with self._session() as session:
            selected = self._selected(session, selection)
            source, where = dialect.named(selected.table.name) + dialect.as_of(session), selected.where
            inside = self._window(session, selected, source, window, delta) if delta is not None else None
            wanted = " AND ".join(f"({part})" for part in (inside, where) if part) or None
            rows = dialect.estimate(session, selected.table, query_of(dialect, selected.fields, source, wanted))
            if rows is not None:
                survey = Survey(rows)
                yield survey
            if not dialect.counts:
                return
            if delta is not None:
                name = dialect.quote(delta_column(selected.relation, delta, dialect.orders).name)
                span = f"SELECT min({name}), max({name}) FROM {source}" + (f" WHERE {where}" if where else "")
                survey = replace(
                    survey, **dict(zip(("least", "greatest"), map(plain, session.rows(span)[0]), strict=True))
                )
                yield survey
            counted = session.rows(f"SELECT count(*) FROM {source}" + (f" WHERE {wanted}" if wanted else ""))
            yield replace(survey, rows=int(counted[0][0]), exact=inside is None or not dialect.widens)

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
        """Plan the read, in several splits where the dialect offers that and enough rows are expected."""
        token = uuid4().hex
        session = self._connect()
        try:
            try:
                with breaking(session.cancel):
                    reading = self._reading(session, token, selection, window, delta, parallel)
            except self._driver.errors as error:
                raise self.translate(error) from None
            if not self._dialect.holds:
                session.close()
            yield reading
        finally:
            self._arrivals.end(token)
            session.close()

    def prepare(self, connection: duckdb.DuckDBPyConnection, reading: Reading, split: Split) -> None:
        """Register the rows of `split`, which are asked for when they are scanned."""
        if split.query is None or reading.arrives is None or reading.token is None:
            raise SourceError(f"The split {split.id} is not one of {self._dialect.title}.")
        names = [column.name for column in reading.columns]
        rows = Arriving(self._arrivals, reading.token, split.query, reading.arrives, names)
        connection.register(dataplane.ROWS, rows)

    def interrupt(self, reading: Reading) -> None:
        """Have the system stop what it does for the splits of `reading`."""
        if reading.token is None:
            return
        try:
            self._arrivals.cancel(reading.token)
        except self._driver.errors as error:
            raise self.translate(error) from None

    def verify(self, split: Split) -> None:
        """Nothing to verify: one query reads one state."""

    def account(self, split: Split, rejects: Rejects) -> None:
        """Nothing to complete: every record comes as far as SQL."""

    def translate(self, error: Exception) -> HeadgateError:
        """The error of our tree for one of the driver or DuckDB, without secrets."""
        if isinstance(error, HeadgateError):
            return error
        text = str(error)
        if (known := self._arrivals.failure(text)) is not None:
            return known
        if isinstance(error, duckdb.Error) and (words := rejection(text)) is not None:
            return UnholdableValue(words)
        found = self._driver.translate(error)
        return type(found)(redact(found.detail, self._driver.secrets))

    def _connect(self) -> Session:
        try:
            return self._driver.connect()
        except self._driver.errors as error:
            raise self.translate(error) from None

    @contextmanager
    def _session(self) -> Iterator[Session]:
        """A session for a few quick queries, which are stopped when they are not."""
        session, late = self._connect(), threading.Event()

        def stop() -> None:
            late.set()
            with suppress(HeadgateError, *self._driver.errors):  # it tells nobody, in a thread of its own
                session.cancel()

        timer = threading.Timer(_BRIEF_SECONDS, stop)
        timer.daemon = True
        timer.start()
        try:
            yield session
        except self._driver.errors as error:
            if late.is_set():
                words = f"{self._dialect.title} did not answer within {_BRIEF_SECONDS} seconds."
                raise SourceUnreachable(words) from None
            raise self.translate(error) from None
        finally:
            timer.cancel()
            session.close()

    def _names(self, selection: Selection) -> Sequence[Any]:
        return table_names(selection, parts=self._dialect.parts, fold=self._dialect.fold)

    def _selected(self, session: Session, selection: Selection, *, lenient: bool = False) -> _Selected:
        """The table that is selected; columns that the lake cannot hold are an error, unless `lenient`."""
        dialect = self._dialect
        for name in self._names(selection):
            table = dialect.table(session, name)
            if table is None:
                continue
            columns = {column.name: column for column in table.columns}
            fields, unsupported = [], {}
            for choice in chosen(selection, tuple(columns), table.label):
                try:
                    fields.append(field_of(dialect, columns[choice.name], choice, table.label))
                except UnsupportedType as error:
                    if not lenient:
                        raise
                    unsupported[choice.name] = error.detail
            if not fields and not lenient:
                raise SourceObjectMissing(f"The table {table.label} has no columns.")
            return _Selected(table, tuple(fields), unsupported, self._where(selection, table))
        raise SourceObjectMissing(
            f"{dialect.title} has no table or view {selection.params['tableName'][:100]!r} that this account can see."
        )

    def _where(self, selection: Selection, table: Table) -> str | None:
        """The rows that the row filter takes, as a condition of the system's SQL."""
        row_filter = filter_of(selection)
        if row_filter is None:
            return None
        dialect, columns = self._dialect, {column.name: column for column in table.columns}
        rules = {name: dialect.rule(column) for name, column in columns.items()}
        kinds = {name: rule.kind if rule is not None else None for name, rule in rules.items()}
        literals = typed(row_filter, kinds, table.label)

        def leaf(comparison: Comparison) -> str:
            column, kind = columns[comparison.column], kinds[comparison.column]
            if kind is None or not comparison.values:
                return f"{dialect.quote(column.name)} IS NULL"
            return dialect.comparison(comparison, column, kind, literals[comparison])

        return condition(row_filter, leaf)

    def _head(self, session: Session, selected: _Selected, rows: int) -> list[tuple[Any, ...]]:
        fields = selected.fields
        values = ", ".join(values_of(self._dialect, fields, LONGEST_SHOWN + 1))
        query = self._dialect.limited(values, self._dialect.named(selected.table.name), selected.where, rows)
        schema = schema_of(fields)
        found = pa.Table.from_batches(
            (conformed(batch, schema, [f.column.name for f in fields]) for batch in session.batches(query, schema)),
            schema,
        )
        return shown_rows(fields, found)

    def _reading(
        self,
        session: Session,
        token: str,
        selection: Selection,
        window: Window,
        delta: DeltaColumn | None,
        parallel: int,
    ) -> Reading:
        dialect, selected = self._dialect, self._selected(session, selection)
        columns, where = selected.relation.columns, selected.where
        within, name, bounds = None, None, None
        as_of = dialect.as_of(session)
        source = dialect.named(selected.table.name) + as_of
        if delta is not None:
            column = delta_column(selected.relation, delta, dialect.orders)
            at = columns.index(column)
            name = column.name
            bounds, pattern = self._bounds(session, source, column, window, delta)
            within = Within(at, bounds, pattern)
            if window.empty:
                return Reading(columns, (), name, bounds, estimated_rows=0)
            catalogue = selected.fields[at].catalogue
            inside = dialect.within(catalogue, KINDS[column.type.kind], bounds.lower, bounds.upper)
            where = f"{inside} AND ({where})" if where else inside
        fields = selected.fields
        query = query_of(dialect, fields, source, where)
        rows = dialect.estimate(session, selected.table, query)
        steady = dialect.holds or bool(as_of)
        relation = relation_of(fields, within, selection.rejecting)
        ranges = []
        if parallel > 1 and rows is not None and rows >= SPLIT_FROM_ROWS:
            ranges = self._ranges(session, selected, source, where, within if steady else None, parallel)
        if len(ranges) < 2:
            splits = [Split("whole" if delta is None else "window", relation, query=query)]
        else:
            both = f" AND ({where})" if where else ""
            splits = [
                Split(id_, relation, query=query_of(dialect, fields, source, f"{range_}{both}"))
                for id_, range_ in ranges
            ]
        return Reading(columns, tuple(splits), name, bounds, rows, token, selection.rejecting, schema_of(fields))

    def _window(self, session: Session, selected: _Selected, source: str, window: Window, delta: DeltaColumn) -> str:
        """The rows in the window, and others perhaps, as a condition of the system's SQL."""
        column = delta_column(selected.relation, delta, self._dialect.orders)
        bounds, _ = self._bounds(session, source, column, window, delta)
        catalogue = selected.fields[selected.relation.columns.index(column)].catalogue
        return self._dialect.within(catalogue, KINDS[column.type.kind], bounds.lower, bounds.upper)

    def _ranges(
        self,
        session: Session,
        selected: _Selected,
        source: str,
        where: str | None,
        steady: Within | None,
        parallel: int,
    ) -> list[tuple[str, str]]:
        """The ranges to read one by one; fewer than two when one query does as well.

        By times only of a `steady` window, which all sessions see in one state: a row whose delta value changes would
        else be lost between two ranges, or come with both. A key does not change.
        """
        for way in self._dialect.splits:
            found: list[tuple[str, str]] = []
            if way == "keys" and selected.table.key is not None:
                found = key_ranges(session, self._dialect, source, where, selected.table.key, parallel)
            elif way == "times" and steady is not None and where is not None:
                column = selected.fields[steady.at].catalogue
                found = delta_ranges(session, self._dialect, source, where, column, steady.bounds, parallel)
            if len(found) > 1:
                return found
        return []

    def _bounds(
        self, session: Session, source: str, column: Column, window: Window, delta: DeltaColumn
    ) -> tuple[Bounds, str | None]:
        """The window in the column's own type and, for text, the regular expression its values must match."""
        dialect, name = self._dialect, self._dialect.quote(column.name)

        def one(query: str) -> Any:
            rows = session.rows(query)
            return rows[0][0] if rows else None

        def latest() -> int | None:
            found = one(f"SELECT max({name}) FROM {source}")
            return None if found is None else int(found)  # some drivers take what max() gives for a text

        match column.type.kind:
            case "int" | "long":
                return epoch_bounds(window, delta, latest), None
            case "string":
                sample = dialect.limited(name, source, f"{name} IS NOT NULL", 1)
                bounds, pattern = text_bounds(window, delta, lambda: one(sample))
                return bounds, text_regex(pattern, marked=is_utc(delta))
        return Bounds.of(window, DeltaType(column.type.kind), timezone=delta.timezone), None


def shown_rows(fields: Sequence[Field], found: pa.Table) -> list[tuple[Any, ...]]:
    """Rows that arrived, as a preview shows them: values that the lake would refuse by their text."""
    with dataplane.lent() as connection:
        connection.register(dataplane.ROWS, found)
        columns = [column.to_pylist() for column in connection.execute(shown_of(fields)).to_arrow_table().columns]
    shown = [
        [plain(value) if text is None else text for value, text in zip(values, texts, strict=True)]
        for values, texts in zip(columns[::2], columns[1::2], strict=True)
    ]
    return list(zip(*shown, strict=True))
