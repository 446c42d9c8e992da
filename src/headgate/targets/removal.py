"""Rows to take out of a table: those that a run replaces, or those that it had brought."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

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

from headgate.dataplane import literal, quote
from headgate.model.lake import FLOW_ID, PROVENANCE, RUN_ID, Column, Kind, kept_delta
from headgate.model.windows import Bounds, DeltaType
from headgate.targets.schema import lake_type

if TYPE_CHECKING:
    from pyiceberg.schema import Schema

__all__ = ["Removal", "Replacement", "brought_by", "replaced_by"]

_FAMILIES: dict[Kind, tuple[Kind, ...]] = {"int": ("int", "long"), "long": ("int", "long")}  # widened, once or later


@dataclass(frozen=True, slots=True)
class Replacement:
    """The rows a run replaces: those its flow had ingested with their delta value inside `bounds`.

    `column` is the source's delta column, which is in the table where no mapping was at work; a row that was
    mapped has its delta value in the column of `kept_delta()`.
    """

    flow_id: str
    column: Column
    bounds: Bounds


@dataclass(frozen=True, slots=True)
class Removal:
    """Rows to take away, as Iceberg plans for them, and as DuckDB selects them."""

    expression: BooleanExpression
    predicate: str


def brought_by(run_id: str) -> Removal:
    """The rows of a run."""
    expression = EqualTo(term=Reference(RUN_ID), value=constant(run_id))
    return Removal(expression, f"{quote(RUN_ID)} = {literal(run_id)}")


def replaced_by(replacement: Replacement, schema: "Schema") -> Removal | None:
    """The rows of `replacement`; None when a table of this schema has none."""
    expression = _filter(replacement, schema)
    return Removal(expression, _predicate(replacement, schema)) if expression is not None else None


def _places(replacement: Replacement, schema: "Schema") -> tuple[str, ...]:
    """The columns that may hold a row's delta value, the first that is not NULL counting."""
    held = {field.name: field.field_type for field in schema.fields}
    column = replacement.column
    if column.name in PROVENANCE:
        return (column.name,)
    names = [kept_delta(kind) for kind in _FAMILIES.get(column.type.kind, (column.type.kind,))]
    if column.name in held and _comparable(lake_type(held[column.name]).kind, column.type.kind):
        names.append(column.name)
    return tuple(name for name in names if name in held)


def _comparable(held: Kind, given: Kind) -> bool:
    """Whether bounds for a column of the one kind mean the same in a column of the other."""
    return held == given or held in _FAMILIES.get(given, ())


def _filter(replacement: Replacement, schema: "Schema") -> BooleanExpression | None:
    """The rows of `replacement` as Iceberg filters them; None when the table has none."""
    bounds, chosen = replacement.bounds, None
    for name in reversed(_places(replacement, schema)):
        term = Reference(name)
        within: BooleanExpression = And(
            GreaterThanOrEqual(term=term, value=constant(bounds.lower)),
            LessThan(term=term, value=constant(bounds.upper)),
        )
        chosen = within if chosen is None else Or(within, And(IsNull(term=term), chosen))
    flow = EqualTo(term=Reference(FLOW_ID), value=constant(replacement.flow_id))
    return None if chosen is None else And(flow, chosen)


def _predicate(replacement: Replacement, schema: "Schema") -> str:
    """The rows of `replacement`, in DuckDB's SQL. The bounds are our own typed values."""
    bounds = replacement.bounds
    type_ = {
        DeltaType.TIMESTAMP: "TIMESTAMP",
        DeltaType.TIMESTAMPTZ: "TIMESTAMPTZ",
        DeltaType.DATE: "DATE",
        DeltaType.TEXT: "VARCHAR",
    }.get(bounds.type, "BIGINT")
    lower, upper = (f"CAST({literal(str(bound))} AS {type_})" for bound in (bounds.lower, bounds.upper))
    value = f"coalesce({', '.join(map(quote, _places(replacement, schema)))})"
    return f"{quote(FLOW_ID)} = {literal(replacement.flow_id)} AND {value} >= {lower} AND {value} < {upper}"
