"""Rows to take out of a table: those that a run replaces, or those that it had brought."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import duckdb
from pyiceberg.expressions import (
    And,
    BooleanExpression,
    EqualTo,
    GreaterThanOrEqual,
    IsNull,
    LessThan,
    Or,
    Reference,
)
from pyiceberg.expressions.literals import literal as constant
from pyiceberg.expressions.visitors import _StrictMetricsEvaluator

from headgate import dataplane
from headgate.dataplane import literal, quote
from headgate.model.lake import FLOW_ID, PROVENANCE, RUN_ID, Column, Kind, kept_delta
from headgate.model.windows import Bounds, DeltaType
from headgate.targets.schema import lake_type

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile
    from pyiceberg.schema import Schema

__all__ = ["Removal", "Replacement", "brought_by"]

_FAMILIES: dict[Kind, tuple[Kind, ...]] = {"int": ("int", "long"), "long": ("int", "long")}  # widened, once or later


@dataclass(frozen=True, slots=True)
class Replacement:
    """The rows a run replaces: those its flow had ingested with their delta value inside `bounds`; all of them
    when that is None.

    `column` is the source's delta column, which is in the table where no mapping was at work; a row that was
    mapped has its delta value in the column of `kept_delta()`. `others` are the same window for other types that
    the delta column may have had when a row was mapped.
    """

    flow_id: str
    column: Column
    bounds: Bounds | None
    others: tuple[Bounds, ...] = ()

    def removal(self, schema: "Schema") -> "Removal | None":
        """The rows in a table of `schema`; None when it has none."""
        expression = _filter(self, schema)
        return _Condition(schema, expression, _predicate(self, schema)) if expression is not None else None


class Removal(Protocol):
    """Rows to take away from a table: how Iceberg plans for them, and how DuckDB tells them in a file.

    `rows` is a FROM clause for the live rows of a file, `name` what the file in its present state is known by.
    """

    @property
    def expression(self) -> BooleanExpression:
        """What all of the rows meet; others may, too."""

    def opened(self) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """An engine that can tell the rows."""

    def takes_all(self, file: "DataFile") -> bool:
        """Whether the figures of a file say that all its rows are such rows."""

    def takes_none(self, file: "DataFile") -> bool:
        """Whether they say that none is."""

    def count(self, connection: duckdb.DuckDBPyConnection, name: str, rows: str, file: "DataFile") -> int:
        """How many of the rows of a file are such rows."""

    def kept(self, name: str, rows: str) -> str:
        """A FROM clause for the others, of a file that was counted."""


def brought_by(run_id: str, schema: "Schema") -> Removal:
    """The rows of a run."""
    expression = EqualTo(term=Reference(RUN_ID), value=constant(run_id))
    return _Condition(schema, expression, f"{quote(RUN_ID)} = {literal(run_id)}")


@dataclass(frozen=True, slots=True)
class _Condition:
    """The rows of tables of `schema` that meet a condition, written for Iceberg and for DuckDB."""

    schema: "Schema"
    expression: BooleanExpression
    predicate: str

    def opened(self) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        return dataplane.lent()

    def takes_all(self, file: "DataFile") -> bool:
        return bool(_StrictMetricsEvaluator(self.schema, self.expression).eval(file))

    def takes_none(self, _file: "DataFile") -> bool:
        return False  # then it is not planned for

    def count(self, connection: duckdb.DuckDBPyConnection, _name: str, rows: str, _file: "DataFile") -> int:
        return int(connection.execute(f"SELECT count(*) FROM {rows} WHERE {self.predicate}").fetchall()[0][0])

    def kept(self, _name: str, rows: str) -> str:
        return f"{rows} WHERE NOT coalesce({self.predicate}, false)"


def _places(replacement: Replacement, bounds: Bounds, schema: "Schema") -> tuple[tuple[str, Bounds], ...]:
    """The columns that may hold a row's delta value, the first that is not NULL counting, with the bounds in each."""
    held = {field.name: field.field_type for field in schema.fields}
    column = replacement.column
    if column.name in PROVENANCE:
        return ((column.name, bounds),) if column.name in held else ()
    places = [(kept_delta(kind), bounds) for kind in _FAMILIES.get(column.type.kind, (column.type.kind,))]
    places += [(kept_delta(other.type.value), other) for other in replacement.others]
    if column.name in held and _comparable(lake_type(held[column.name]).kind, column.type.kind):
        places.append((column.name, bounds))
    return tuple((name, within) for name, within in places if name in held)


def _comparable(held: Kind, given: Kind) -> bool:
    """Whether bounds for a column of the one kind mean the same in a column of the other."""
    return held == given or held in _FAMILIES.get(given, ())


def _filter(replacement: Replacement, schema: "Schema") -> BooleanExpression | None:
    """The rows of `replacement` as Iceberg filters them; None when the table has none."""
    chosen: BooleanExpression | None = None
    if FLOW_ID not in schema.column_names:  # no flow has brought a row yet
        return None
    flow = EqualTo(term=Reference(FLOW_ID), value=constant(replacement.flow_id))
    if replacement.bounds is None:
        return flow
    for name, bounds in reversed(_places(replacement, replacement.bounds, schema)):
        term = Reference(name)
        within: BooleanExpression = And(
            GreaterThanOrEqual(term=term, value=constant(bounds.lower)),
            LessThan(term=term, value=constant(bounds.upper)),
        )
        chosen = within if chosen is None else Or(within, And(IsNull(term=term), chosen))
    return None if chosen is None else And(flow, chosen)


def _predicate(replacement: Replacement, schema: "Schema") -> str:
    """The rows of `replacement`, in DuckDB's SQL. The bounds are our own typed values."""
    flow = f"{quote(FLOW_ID)} = {literal(replacement.flow_id)}"
    if replacement.bounds is None:
        return flow
    places = " ".join(
        f"WHEN {quote(name)} IS NOT NULL THEN {quote(name)} >= {_constant(bounds, bounds.lower)} "
        f"AND {quote(name)} < {_constant(bounds, bounds.upper)}"
        for name, bounds in _places(replacement, replacement.bounds, schema)
    )
    return f"{flow} AND CASE {places} ELSE false END"


def _constant(bounds: Bounds, bound: object) -> str:
    type_ = {
        DeltaType.TIMESTAMP: "TIMESTAMP",
        DeltaType.TIMESTAMPTZ: "TIMESTAMPTZ",
        DeltaType.DATE: "DATE",
        DeltaType.TEXT: "VARCHAR",
    }.get(bounds.type, "BIGINT")
    return f"CAST({literal(str(bound))} AS {type_})"
