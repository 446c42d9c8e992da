"""What of a reading lands: its columns as they are, or what the flow's mapping set makes of them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from headgate.dataplane import literal, quote, value_at
from headgate.errors import BadTime, MappingFailed, SchemaMismatch, UnholdableValue
from headgate.mapping import Rule, Shape, Unmappable, compiled, held, thawed
from headgate.model.lake import (
    PROVENANCE,
    SOURCE_FILE,
    SOURCE_MODIFIED,
    Column,
    LakeType,
    column_named,
    kept_delta,
    key_path,
)
from headgate.model.resources import WriteMode
from headgate.model.runs import Json, Run
from headgate.model.windows import Bounds, DeltaType
from headgate.rejects import SEPARATOR, cut, leave_out, record_of
from headgate.sources import Reading
from headgate.targets import Layout, Replacement, Upsert

__all__ = ["Landing", "refusal"]

_MARKS = ("'headgate-key<'", "'>headgate-key'")
_REFUSED = re.compile(r"headgate-key<(.*)>headgate-key", re.DOTALL)
_INSTANTS = frozenset({DeltaType.TIMESTAMP, DeltaType.TIMESTAMPTZ, DeltaType.DATE})
_FAULT = "_headgate_fault"
_UNKNOWN = Column("", LakeType("string"))
_FILES_TIME = Column(SOURCE_MODIFIED, LakeType("timestamptz"), nullable=False)


@dataclass(frozen=True, slots=True)
class Landing:
    """The columns that a run brings into its table, and the SQL that makes them from the source's.

    `delta` is the source's column that orders its rows, `primary_key` what rows are told apart by, where they replace
    each other by it, `asked` what the target connection asks of the files' layout. What is known of them only with a
    reading is empty before `onto()`.
    """

    rules: tuple[Rule, ...] | None
    schema: Shape
    mode: WriteMode
    primary_key: tuple[str, ...] = ()
    asked: Json = field(default_factory=dict)
    columns: tuple[Column, ...] = ()
    sql: str = "*"
    key: tuple[tuple[str, ...], ...] = ()
    rejecting: bool = False
    fault: str = ""
    source: tuple[Column, ...] = ()
    delta: Column = _UNKNOWN

    @classmethod
    def of(cls, frozen: Json) -> "Landing":
        """What the frozen flow asks for. Raises MappingFailed."""
        target, about = frozen["target"], frozen.get("mapping")
        mode, key = WriteMode(target["writeMode"]), tuple(target.get("primaryKey", ()))
        if about is None:
            return cls(None, Shape(), mode, key, target.get("layout", {}))
        try:
            return cls(*thawed(about), mode, key, target.get("layout", {}))
        except Unmappable as error:
            raise MappingFailed(str(error)) from error

    def held(self, columns: Sequence[Column]) -> Mapping[str, LakeType]:
        """The types that columns of the source should take, where the data allows, to fit a table of `columns`."""
        if self.rules is None:
            return {column.name: column.type for column in columns}
        return held(self.rules, columns, self.schema)

    def onto(self, reading: Reading) -> "Landing":
        """This landing for the columns of `reading`. Raises MappingFailed.

        A mapping may rename or drop the delta column, by which a repeated window finds its rows; so its values
        are kept in a provenance column.
        """
        if not reading.columns:  # no files are there, nor rows; those that files of the window had brought still go
            return replace(self, delta=_FILES_TIME) if reading.window_column == SOURCE_MODIFIED else self
        rejecting = reading.rejecting
        if reading.window_column is None:
            self._refuse_unknown_delta()
        delta = column_named(reading.columns, reading.window_column or "") or _UNKNOWN
        if self.rules is None:
            return replace(self, columns=reading.columns, delta=delta, rejecting=rejecting)._with_key()
        mapped = [column for column in reading.columns if column.name not in PROVENANCE]
        try:
            made = compiled(self.rules, mapped, self.schema)
            fault = made.fault if rejecting else ""
            if fault:  # then those that do not fit are left out first
                made = compiled(self.rules, mapped, self.schema.fitting())
        except Unmappable as error:
            raise MappingFailed(str(error)) from error
        columns, values = [*made.columns], [made.sql]
        for column in reading.columns:
            if column.name in PROVENANCE:
                columns.append(column)
                values.append(quote(column.name))
        keeps = self.mode is not WriteMode.APPEND or "partitionBy" in self.asked
        if keeps and delta is not _UNKNOWN and delta.name not in PROVENANCE:
            name = kept_delta(delta.type.kind)
            columns.append(Column(name, delta.type))
            values.append(f"{quote(delta.name)} AS {quote(name)}")
        return replace(
            self,
            columns=tuple(columns),
            sql=", ".join(values),
            delta=delta,
            rejecting=rejecting,
            fault=fault,
            source=reading.columns,
        )._with_key()

    def rows(self, relation: str) -> str:
        """The query for what lands of `relation`.

        A row without a key makes it fail, `refusal()` then reads why; where the reading is rejecting, it is left out.
        """
        query = f"SELECT {self.sql} FROM ({self._mappable(relation) if self.fault else relation})"
        if not self.key:
            return query
        values = {c.name: f"CAST(r.{quote(c.name)} AS VARCHAR)" for c in self.columns if c.name not in PROVENANCE}
        faults = []
        for name, path in zip(self.primary_key, self.key, strict=True):
            if self.rejecting:
                about = {"code": UnholdableValue.code, "column": literal(name), "record": record_of(values)}
                fault = leave_out(literal(_no_key(name)), **about)
            else:
                shown = "coalesce(TRY(left(CAST(r AS VARCHAR), 200)), 'not to be shown')"
                fault = f"error({_MARKS[0]} || {literal(_no_key(name) + ' The record: ')} || {shown} || {_MARKS[1]})"
            faults.append(f"WHEN {value_at(path, 'r')} IS NULL THEN {fault}")
        return f"SELECT * FROM ({query}) AS r WHERE CASE {' '.join(faults)} ELSE true END"

    def _mappable(self, relation: str) -> str:
        """The rows of `relation` that the mapping can make something of; the others are left out."""
        column, words = (f"split_part({_FAULT}, {literal(SEPARATOR)}, {part})" for part in (1, 2))
        file = quote(SOURCE_FILE) if column_named(self.source, SOURCE_FILE) else "NULL"
        record = record_of({c.name: _written(c) for c in self.source if c.name not in PROVENANCE})
        out = leave_out(words, code=MappingFailed.code, column=column, file=file, record=record)
        found = f"SELECT *, {self.fault} AS {_FAULT} FROM ({relation})"
        return f"SELECT * FROM ({found}) WHERE CASE WHEN {_FAULT} IS NOT NULL THEN {out} ELSE true END"

    def replacing(self, run: Run, bounds: Bounds | None) -> Replacement | Upsert | None:
        """What tells the rows of the table whose place a run takes, with its rows in `bounds` or all there are."""
        match self.mode:
            case WriteMode.REPLACE_WINDOW:
                others = _others(run, bounds.type) if bounds is not None else ()
                return Replacement(run.flow_id, self.delta, bounds, tuple(others))
            case WriteMode.UPSERT if self.key:
                return Upsert(self.key, self._landed_delta)
        return None

    @property
    def layout(self) -> Layout:
        """How the files are to be laid out that the rows land in."""
        asked = self.asked
        order, size = tuple(asked.get("sortBy", ())), asked.get("targetFileSizeMb")
        return Layout(asked.get("partitionBy"), self._landed_delta, order, size)

    @property
    def _landed_delta(self) -> str:
        """The column of the table that holds the delta values, where they are kept."""
        mapped = self.rules is not None and self.delta.name not in PROVENANCE
        return kept_delta(self.delta.type.kind) if mapped else self.delta.name

    def _refuse_unknown_delta(self) -> None:
        """Refuse rows that no later run could find again, or order. Raises MappingFailed, SchemaMismatch."""
        if self.mode is WriteMode.REPLACE_WINDOW and self.rules is not None:
            raise MappingFailed(
                "An initial load knows no delta column, which a mapping set does not keep, so that no later window "
                "could replace these rows. Bring them by a run with a window and params.deltaColumn, or choose the "
                "write mode append."
            )
        if self.mode is WriteMode.UPSERT:
            raise SchemaMismatch(
                "An initial load knows no delta column, which says in the write mode upsert which row of a key is the "
                "last. Bring the rows by a run with a window and params.deltaColumn."
            )
        if "partitionBy" in self.asked:
            raise SchemaMismatch(
                "An initial load knows no delta column, by which params.partitionBy of the target connection divides "
                "the table. Bring the rows by a run with a window and params.deltaColumn."
            )

    def _with_key(self) -> "Landing":
        """This landing with the paths of its key. Raises SchemaMismatch."""
        paths = []
        for name in self.primary_key:
            path = key_path(self.columns, name)
            if path is None:
                usable = ", ".join(
                    c.name for c in self.columns if key_path(self.columns, c.name) and c.name not in PROVENANCE
                )
                raise SchemaMismatch(
                    f"params.primaryKey of the target connection names {name!r}, which is no column that lands, or one "
                    f"of a type that tells no rows apart. Name others in a new target connection, of: {usable}.",
                    column=name,
                )
            paths.append(path)
        return replace(self, key=tuple(paths))


def _others(run: Run, type_: DeltaType) -> Iterator[Bounds]:
    """The window of a run for the other types of a delta column that stand for instants by themselves."""
    if type_ in _INSTANTS and run.delta_column is not None:
        for other in _INSTANTS - {type_}:
            with suppress(BadTime):  # no value of that type lies past its last one
                yield Bounds.of(run.window, other, timezone=run.delta_column.timezone)


def refusal(text: str) -> str | None:
    """Why a row without a key was refused, when `text` is the message of that failure."""
    return found[1] if (found := _REFUSED.search(text)) else None


def _no_key(name: str) -> str:
    return (
        f"The column {name!r} is part of params.primaryKey and holds NULL, so that its row can replace no "
        "other. Correct it at the source, narrow the window, or choose another key."
    )


def _written(column: Column) -> str:
    """SQL for what a rejected record shows of a column: a decimal with all its digits, text up to what is kept."""
    name = quote(column.name)
    match column.type.kind:
        case "decimal":
            return f"CAST({name} AS VARCHAR)"
        case "string":
            return cut(name)
    return name
