"""A source whose records come from Python: what somebody writes who reads a system of their own.

Write a `StreamReader`, which gives record batches, or records as mappings; `BatchSource` makes a `Source` of it, with
everything that a run needs and a reader should not have to know: the window is enforced after the reader, records are
cast and refused or left out as those of every source, rows are shown, a read can be stopped. docs/how-to/plugins.md has
an example; `headgate.testing.source_suite` tests one.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from itertools import islice
from typing import Any, ClassVar, TypeAlias
from uuid import uuid4

import duckdb
import pyarrow as pa

from headgate import dataplane
from headgate.dataplane import Breaking, unbroken
from headgate.errors import (
    BadParameter,
    DetectionNotOffered,
    FilterNotOffered,
    HeadgateError,
    ParameterMissing,
    SourceError,
    SourceObjectMissing,
    SourceUnreachable,
    UnholdableValue,
    UnsupportedType,
)
from headgate.model.lake import Column, column_named
from headgate.model.windows import Bounds, DeltaColumn, DeltaType, Window, text_regex
from headgate.rejects import Rejects
from headgate.sources.files.text_types import declared_types
from headgate.sources.guard import rejection
from headgate.sources.interface import Entry, Preview, Reading, Relation, Selection, Split, Survey
from headgate.sources.nested import nested_sql, nested_types, spelled, travelling, travels
from headgate.sources.sql.arriving import Arrivals, Arriving, conformed
from headgate.sources.sql.delta import delta_column, delta_error, epoch_bounds, is_utc, text_bounds
from headgate.sources.sql.dialect import CatalogueColumn, Rule, decimal_rule, rule_of
from headgate.sources.sql.reader import shown_rows
from headgate.sources.sql.relation import Field, Within, relation_of, schema_of
from headgate.sources.sql.selection import choices, chosen
from headgate.telemetry import redact

__all__ = ["REFUSED", "BatchSource", "StreamReader"]

REFUSED = "_headgate_refused"
"""The last column that a reader which `refuses` gives."""

Records: TypeAlias = "pa.RecordBatch | Sequence[Mapping[str, Any]]"


class StreamReader:
    """Reads one system, with one connection's parameters. Every method but the first four may be left as it is.

    Any exception fails the run, with its text; raise an error of `headgate.errors` to say more: SourceUnreachable for
    what another try may mend, SourceAccessDenied, SourceObjectMissing. Splits are read by several threads at once.
    """

    title: str = "The source"
    """How errors call the system."""

    gives_mappings: ClassVar[bool] = False
    """Whether `read()` gives records as mappings. Their values may be text where the column is not; what is not one
    of its column's values is a bad record. Otherwise it gives record batches, whose types are their columns'."""

    refuses: ClassVar[bool] = False
    """Whether the record batches have one more column, REFUSED: text of why a record is none, NULL for all others. It
    is what `headgate.sources.guard.reason()` gives, a separator, and the record as the system wrote it."""

    def named(self, params: Mapping[str, Any]) -> str:
        """What the `params` of a source connection call a stream. Raises ParameterMissing."""
        name = params.get("tableName")
        if not isinstance(name, str) or not name:
            raise ParameterMissing("params.tableName is missing. Send the name of a table, as exploring gives it.")
        return name

    def knows(self, stream: str) -> bool:
        """Whether there is a stream of that name."""
        return stream in self.streams()

    def default_delta(self, stream: str) -> str | None:  # noqa: ARG002
        """The column that windows are of where nobody says another, if the system has one."""
        return None

    def notes(self, stream: str, window: Window | None, delta: str | None) -> Sequence[str]:  # noqa: ARG002
        """Sentences for the record of a run that reads `stream`, on what is no error and may not be what was meant."""
        return ()

    def passed_over(self, stream: str, split: str) -> tuple[int, int]:  # noqa: ARG002
        """Of the last read of a split: how many records lay outside of the window, and how many came a second time."""
        return 0, 0

    def streams(self) -> Sequence[str]:
        """The names of what can be read; each is a `tableName`."""
        raise NotImplementedError

    def columns(self, stream: str) -> Sequence[Column]:
        """The columns of a stream, in order, with the lake types of their values."""
        raise NotImplementedError

    def read(
        self, stream: str, split: str, window: Window | None, delta: str | None, columns: Sequence[str]
    ) -> Iterator[Records]:
        """The records of a split with at least `columns`, a few thousand at a time.

        With a window, those whose `delta` lies in it; others may come too, and are left out again. None for everything.
        The window of a column whose values have no zone is told as if they were of UTC, and that of days in whole ones.
        """
        raise NotImplementedError

    def check(self) -> None:
        """See that the system can be reached, within ten seconds."""
        self.streams()

    def splits(self, stream: str, window: Window | None, delta: str | None, parallel: int) -> Sequence[str]:  # noqa: ARG002
        """The parts that can be read at the same time, disjoint and whole: at most about `parallel` of them.

        Each is a text that `read()` is given, on whatever worker, and the same for the same plan.
        """
        return ("all",)

    def stop(self) -> None:
        """Have what waits in `read()` end; from any thread, repeatedly. Reads that give records end by themselves."""

    @property
    def secrets(self) -> Sequence[str]:
        """What must not stand in an error."""
        return ()


class BatchSource:
    """The streams of a `StreamReader` as a source of tables."""

    def __init__(self, reader: StreamReader) -> None:
        self._reader = reader
        self._driver = _Driver(reader)
        self._arrivals = Arrivals(self._driver, self.translate)

    def check(self) -> None:
        """Ask the reader."""
        with self._translating():
            self._reader.check()

    def validate(self, selection: Selection) -> None:
        """See that the stream is named, and that nothing is asked for that a reader does not do."""
        self._reader.named(selection.params)
        choices(selection)
        if selection.params.get("filters") is not None:
            raise FilterNotOffered

    def explore(self, path: str | None) -> tuple[Entry, ...]:
        """The reader's streams."""
        if path is not None:
            raise SourceObjectMissing(f"There is no folder {path[:100]!r}; the tables are at the root.")
        with self._translating():
            return tuple(Entry("table", name, name) for name in self._reader.streams())

    def detect(self, path: str) -> Mapping[str, str]:  # noqa: ARG002 - as every source
        """Nothing: tables have no such properties. Raises DetectionNotOffered."""
        raise DetectionNotOffered

    def describe(self, selection: Selection) -> Relation:
        """The columns of the stream."""
        columns = tuple(field.column for field in self._fields(selection))
        delta = self._reader.default_delta(self._reader.named(selection.params))
        return Relation(columns, delta if column_named(columns, delta or "") is not None else None)

    def preview(self, selection: Selection, rows: int) -> Preview:
        """The columns and first rows of the stream."""
        fields = self._fields(selection)
        columns = tuple(field.column for field in fields)
        if not rows or not fields:
            return Preview(columns, ())
        schema, names = self._arriving(fields)
        stream = self._reader.named(selection.params)
        with self._translating():
            splits = self._reader.splits(stream, None, None, 1)
            batches = (
                conformed(batch, schema, names)
                for split in splits
                for batch in _Session(self._reader).batches(_query(stream, split, None, None, columns), schema)
            )
            found = pa.Table.from_batches(_first(batches, rows), schema).slice(0, rows)
        return Preview(columns, tuple(shown_rows(fields, found.select(range(len(fields))))))

    def delta_error(self, relation: Relation, delta: DeltaColumn) -> str | None:
        """Why `delta` cannot order the rows; None for timestamps, dates, integers and text that can."""
        if (found := delta_error(relation, delta, lambda _: True)) is not None:
            return found
        column = next(column for column in relation.columns if column.name == delta.name)
        if column.type.kind in ("int", "long") and delta.date_format is None:
            return f"The delta column {delta.name!r} holds integers; say in dateFormat: epoch_s, epoch_ms or epoch_us."
        return None

    def survey(self, selection: Selection, window: Window, delta: DeltaColumn | None) -> Iterator[Survey]:  # noqa: ARG002
        """Nothing: a reader does not say what it will give."""
        self.validate(selection)
        return iter(())

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
        """Plan the read in the reader's splits."""
        token = uuid4().hex
        try:
            with breaking(self._reader.stop):
                reading = self._reading(token, selection, window, delta, parallel)
            yield reading
        finally:
            self._arrivals.end(token)

    def prepare(self, connection: duckdb.DuckDBPyConnection, reading: Reading, split: Split) -> None:
        """Register the rows of `split`, which are asked for when they are scanned."""
        if split.query is None or reading.arrives is None or reading.token is None:
            raise SourceError(f"The split {split.id} is not one of {self._reader.title}.")
        names = [*(column.name for column in reading.columns), *((REFUSED,) if self._reader.refuses else ())]
        rows = Arriving(self._arrivals, reading.token, split.query, reading.arrives, names)
        connection.register(dataplane.ROWS, rows)

    def interrupt(self, reading: Reading) -> None:
        """Stop what the reader does for the splits of `reading`."""
        if reading.token is not None:
            with self._translating():
                self._arrivals.cancel(reading.token)

    def verify(self, split: Split) -> None:
        """Nothing to verify."""

    def account(self, split: Split, rejects: Rejects) -> None:
        """Count what the reader passed over; every record it took comes as far as SQL."""
        if split.query is not None:
            asked = json.loads(split.query)
            outside, repeated = self._reader.passed_over(asked["stream"], asked["split"])
            rejects.outside += outside
            rejects.repeated += repeated

    def translate(self, error: Exception) -> HeadgateError:
        """The error of our tree for one of the reader or DuckDB, without the reader's secrets."""
        found = self._arrivals.failure(str(error))
        if found is None and isinstance(error, duckdb.Error) and (words := rejection(str(error))) is not None:
            found = UnholdableValue(words)
        if found is None:
            found = error if isinstance(error, HeadgateError) else self._driver.translate(error)
        detail = redact(found.detail, self._reader.secrets)
        return found if detail == found.detail else type(found)(detail)

    @contextmanager
    def _translating(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001 - it is somebody else's code
            raise self.translate(error) from None

    def _fields(self, selection: Selection) -> tuple[Field, ...]:
        self.validate(selection)
        stream = self._reader.named(selection.params)
        with self._translating():
            if not self._reader.knows(stream):
                names = list(self._reader.streams())
                near = get_close_matches(stream, names, n=3) or names[:20]
                known = f"; it has: {', '.join(near)}{', …' if len(near) < len(names) else ''}" if near else ""
                raise SourceObjectMissing(f"{self._reader.title} has no stream {stream[:100]!r}{known}.")
            columns = {column.name: column for column in self._reader.columns(stream)}
        fields = []
        for choice in chosen(selection, tuple(columns), stream):
            if choice.decimal is not None:
                raise BadParameter(f"The type of {choice.name!r} is the source's to say.", field="columns")
            fields.append(_field(columns[choice.name], mappings=self._reader.gives_mappings))
        return tuple(fields)

    def _reading(
        self, token: str, selection: Selection, window: Window, delta: DeltaColumn | None, parallel: int
    ) -> Reading:
        fields, stream = self._fields(selection), self._reader.named(selection.params)
        columns = tuple(field.column for field in fields)
        within, name, span = None, None, None
        if delta is not None:
            if (why := self.delta_error(Relation(columns), delta)) is not None:
                raise SourceError(why, column=delta.name)
            column = delta_column(Relation(columns), delta, lambda _: True)
            within = _within(columns.index(column), column, window, delta)
            name, span = column.name, _asked(window, within.bounds)
            if span.empty:
                return Reading(columns, (), name, within.bounds, estimated_rows=0)
        arrives, _ = self._arriving(fields)
        refused = len(fields) if self._reader.refuses else None
        relation = relation_of(fields, within, selection.rejecting, refused)
        with self._translating():
            parts = self._reader.splits(stream, span, name, parallel)
            notes = tuple(self._reader.notes(stream, span, name))
        if len(set(parts)) != len(parts):
            raise SourceError(f"{self._reader.title} gives two splits of {stream!r} one name.")
        splits = tuple(
            Split(f"part-{at}", relation, query=_query(stream, part, span, name, columns))
            for at, part in enumerate(parts)
        )
        bounds = within.bounds if within is not None else None
        return Reading(columns, splits, name, bounds, None, token, selection.rejecting, arrives, notes)

    def _arriving(self, fields: Sequence[Field]) -> tuple[pa.Schema, list[str]]:
        """What the rows travel as, and what the reader calls their columns."""
        schema, names = schema_of(fields), [field.column.name for field in fields]
        if not self._reader.refuses:
            return schema, names
        return schema.append(pa.field(f"c{len(fields)}", pa.string())), [*names, REFUSED]


class _Driver:
    """A reader as what the rows of SQL sources come by."""

    errors = (Exception,)  # it is somebody else's code

    def __init__(self, reader: StreamReader) -> None:
        self._reader = reader

    @property
    def secrets(self) -> Sequence[str]:
        return self._reader.secrets

    def connect(self) -> "_Session":
        return _Session(self._reader)

    def translate(self, error: Exception) -> HeadgateError:
        kind = SourceUnreachable if isinstance(error, ConnectionError | TimeoutError) else SourceError
        return kind(f"{self._reader.title}: {type(error).__name__}: {error}")


class _Session:
    """One read of a split."""

    def __init__(self, reader: StreamReader) -> None:
        self._reader = reader

    def rows(self, query: str) -> Sequence[Sequence[Any]]:
        raise NotImplementedError(query)

    def batches(self, query: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        asked = json.loads(query)
        span, names = asked["window"], asked["columns"]
        window = Window(*span) if span is not None else None
        nested = {name: travelling(type_) for name, type_ in asked["nested"].items()}
        texts = [nested.get(name, spelled) for name in names]
        for records in self._reader.read(asked["stream"], asked["split"], window, asked["delta"], names):
            if isinstance(records, pa.RecordBatch) is self._reader.gives_mappings:
                wanted = "mappings" if self._reader.gives_mappings else "record batches"
                raise TypeError(f"read() gave {type(records).__name__}, where {wanted} were announced")
            if isinstance(records, pa.RecordBatch):
                yield _selected(records, [*names, REFUSED] if self._reader.refuses else names)
                continue
            arrays = [
                pa.array([text(record.get(name)) for record in records], pa.string())
                for name, text in zip(names, texts, strict=True)
            ]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)

    def cancel(self) -> None:
        self._reader.stop()

    def close(self) -> None:
        """Nothing is open."""


def _stream(selection: Selection) -> str:
    name = selection.params.get("tableName")
    if not isinstance(name, str) or not name:
        raise ParameterMissing("params.tableName is missing. Send the name of a table, as exploring gives it.")
    return name


def _query(stream: str, split: str, window: Window | None, delta: str | None, columns: Sequence[Column]) -> str:
    types = {column.name: column.type for column in columns}
    asked = {
        "stream": stream,
        "split": split,
        "window": [window.start_ms, window.end_ms] if window is not None else None,
        "delta": delta,
        "columns": list(types),
        "nested": nested_types(types),
    }
    return json.dumps(asked)


def _field(column: Column, *, mappings: bool) -> Field:
    rule = _text_rule(column) if mappings else _typed_rule(column)
    if rule is None:
        raise UnsupportedType(
            f"The column {column.name!r} is of the type {column.type}, which cannot come as it is announced. "
            "Leave it out with params.columns.",
            column=column.name,
        )
    return Field(column, CatalogueColumn(column.name, column.type.kind, str(column.type)), rule)


def _typed_rule(column: Column) -> Rule | None:
    """How values are read that come in the Arrow type of their column."""
    if column.type.kind == "decimal":
        return decimal_rule(column.type.precision, column.type.scale)
    if column.type.kind not in ("list", "struct"):
        return rule_of(column.type.kind)
    # What the engine itself would give.
    with dataplane.lent() as connection:
        schema = connection.execute(f"SELECT CAST(NULL AS {column.type.sql}) AS v").to_arrow_table().schema
    return Rule(column.type, schema.field(0).type)


def _text_rule(column: Column) -> Rule | None:
    """How values are read that come as text, whatever they are, so that one which is none is a bad record."""
    reason = f"which is not a {column.type}"
    if column.type.kind in ("list", "struct"):
        if not travels(column.type):
            return None
        refused, cast = nested_sql(column.type)
        return Rule(column.type, pa.string(), cast=cast, refused=refused, reason=reason)
    try:
        found = declared_types({"columns": [{"name": column.name, "type": str(column.type)}]})[column.name]
    except BadParameter:
        return None
    fits, cast = (
        text.replace("{", "{{").replace("}", "}}").replace("{{x}}", "{v}") for text in (found.fits, found.cast)
    )
    misfit = None if found.fits == "true" else f"{{v}} IS NOT NULL AND NOT coalesce({fits}, false)"
    return Rule(column.type, pa.string(), cast=cast, refused=misfit, reason=reason)


def _within(at: int, column: Column, window: Window, delta: DeltaColumn) -> Within:
    match column.type.kind:
        case "int" | "long":
            return Within(at, epoch_bounds(window, delta, lambda: None), needed=True)
        case "string":
            bounds, pattern = text_bounds(window, delta, lambda: None)
            return Within(at, bounds, text_regex(pattern, marked=is_utc(delta)), needed=True)
    return Within(at, Bounds.of(window, DeltaType(column.type.kind), timezone=delta.timezone), needed=True)


def _asked(window: Window, bounds: Bounds) -> Window:
    """The window as a reader is asked for it, who knows no zone and takes values without one for UTC's.

    Of days, those that lie in it, from midnight to midnight.
    """
    if bounds.type not in (DeltaType.DATE, DeltaType.TIMESTAMP):
        return window
    ends = [datetime.fromisoformat(str(end)).replace(tzinfo=UTC) for end in (bounds.lower, bounds.upper)]
    start_ms, end_ms = ((end - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1) for end in ends)
    return Window(start_ms, end_ms)


def _selected(batch: pa.RecordBatch, names: Sequence[str]) -> pa.RecordBatch:
    missing = [name for name in names if name not in batch.schema.names]
    if missing:
        raise KeyError(f"read() gave no column {missing[0]!r}")
    return batch.select(list(names))


def _first(batches: Iterator[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    for batch in islice(batches, rows):  # one of no rows counts, too
        yield batch
        rows -= batch.num_rows
        if rows <= 0:
            return
