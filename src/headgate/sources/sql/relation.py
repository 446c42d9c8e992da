"""What a split of the generic reader is: the query that its system is asked, and DuckDB's of what that answers."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from headgate.dataplane import ROWS, literal, quote
from headgate.errors import BadParameter, UnsupportedType
from headgate.model.lake import Column, LakeType
from headgate.model.windows import Bounds
from headgate.rejects import SEPARATOR, cut
from headgate.sources.guard import REJECT, reason, unless
from headgate.sources.sql.dialect import CatalogueColumn, Dialect, Rule
from headgate.sources.sql.rows import NAME
from headgate.sources.sql.selection import Choice

__all__ = ["Field", "Within", "field_of", "query_of", "relation_of", "schema_of", "shown_of", "values_of"]

_OUTSIDE = "''"


@dataclass(frozen=True, slots=True)
class Field:
    """A chosen column: as the lake has it, as the catalogue does, and how it is read."""

    column: Column
    catalogue: CatalogueColumn
    rule: Rule

    def lake_value(self, at: int) -> str:
        """DuckDB's expression for the lake's value of what arrived in the column `at`."""
        return f"CAST({self.rule.cast.format(v=_alias(at))} AS {self.column.type.sql})"

    def refused(self, at: int) -> str | None:
        """DuckDB's condition for a value there that the lake cannot hold."""
        return self.rule.refused.format(v=_alias(at)) if self.rule.refused else None


@dataclass(frozen=True, slots=True)
class Within:
    """The window: the delta column's place, the bounds of its lake values, and what text in it must match.

    A row without a value is outside, or, where one is `needed`, refused.
    """

    at: int
    bounds: Bounds
    pattern: str | None = None
    needed: bool = False


def field_of(dialect: Dialect, found: CatalogueColumn, choice: Choice, table: str) -> Field:
    """How a column lands in the lake. Raises UnsupportedType, or BadParameter for a decimal it cannot take."""
    if choice.decimal is not None:
        rule = dialect.declared_decimal(found, choice.decimal)
        if rule is None:
            raise BadParameter(
                f"params.columns declares {choice.decimal} for {found.name!r}, whose type is {found.declared}; "
                "a decimal can be declared for a number of no fixed size only.",
                field="columns",
            )
    else:
        rule = dialect.rule(found)
    if rule is None:
        raise UnsupportedType(
            f"The column {found.name!r} of {table} has the type {found.declared}, which the lake cannot hold "
            "without changing its values. Leave it out with params.columns, or cast it in a view.",
            column=found.name,
        )
    return Field(Column(found.name, rule.lake, found.declared, found.nullable), found, rule)


def schema_of(fields: Sequence[Field]) -> pa.Schema:
    """What the rows of the fields travel as; each knows the NAME of its column."""
    return pa.schema(
        [
            pa.field(_alias(at), field.rule.travels, metadata={NAME: field.column.name})
            for at, field in enumerate(fields)
        ]
    )


def query_of(dialect: Dialect, fields: Sequence[Field], source: str, where: str | None) -> str:
    """The system's query for the rows of `source` that `where` takes, their columns by position."""
    # By position, so that no name of the source can meet another one, or DuckDB's rules for names.
    query = f"SELECT {', '.join(values_of(dialect, fields))} FROM {source}"
    return f"{query} WHERE {where}" if where else query


def values_of(dialect: Dialect, fields: Sequence[Field], shortest: int | None = None) -> list[str]:
    """The expressions of the fields; of texts and bytes no more than `shortest`, when that is given."""
    values = []
    for at, field in enumerate(fields):
        value = field.rule.value.format(c=dialect.quote(field.catalogue.name))
        if shortest is not None and field.column.type.kind in ("string", "binary"):
            value = dialect.shortened(value, field.column.type.kind, shortest)
        values.append(f"{value} AS {dialect.quote(_alias(at))}")
    return values


def relation_of(fields: Sequence[Field], within: Within | None, rejecting: bool, refused: int | None = None) -> str:
    """DuckDB's query of the rows that arrived, as the lake's values: those of the window, and none that it refuses.

    `refused` is the place of a column of reasons against rows, which what gave them has found.
    """
    columns = ", ".join(f"{field.lake_value(at)} AS {quote(field.column.name)}" for at, field in enumerate(fields))
    clauses = []
    if within is not None:  # before all others: a row outside of the window is nobody's business
        if refused is not None:
            name = literal(fields[within.at].column.name)
            clauses.append(
                f"WHEN split_part({_alias(refused)}, {literal(SEPARATOR)}, 1) = {name} THEN {_alias(refused)}"
            )
        clauses += _refusals(fields, [within.at]) + _of_window(fields[within.at], within)
    if refused is not None:
        clauses.append(f"WHEN {_alias(refused)} IS NOT NULL THEN {_alias(refused)}")
    clauses += _refusals(fields, [at for at in range(len(fields)) if within is None or at != within.at])
    if not clauses:
        return f"SELECT {columns} FROM {ROWS}"
    record = {field.column.name: _written(_alias(at), field) for at, field in enumerate(fields)}
    return (
        f"SELECT {columns} FROM (SELECT *, CASE {' '.join(clauses)} END AS {REJECT} FROM {ROWS}) "
        f"WHERE CASE WHEN {REJECT} = {_OUTSIDE} THEN false ELSE {unless(REJECT, record, rejecting=rejecting)} END"
    )


def shown_of(fields: Sequence[Field]) -> str:
    """DuckDB's query of the rows that arrived, for people: of each column the lake's value, and the text if refused."""
    values = []
    for at, field in enumerate(fields):
        refused = field.refused(at) or "false"
        values.append(f"CASE WHEN {refused} THEN NULL ELSE {field.lake_value(at)} END")
        values.append(f"CASE WHEN {refused} THEN CAST({_alias(at)} AS VARCHAR) END")
    return f"SELECT {', '.join(f'{value} AS v{at}' for at, value in enumerate(values))} FROM {ROWS}"


def _refusals(fields: Sequence[Field], places: Sequence[int]) -> list[str]:
    return [
        _clause(fields[at], at, condition, fields[at].rule.reason)
        for at in places
        if (condition := fields[at].refused(at)) is not None
    ]


def _clause(field: Field, at: int, condition: str, why: str) -> str:
    before, after = reason(field.column.name, why)
    shown = f"left(CAST({_alias(at)} AS VARCHAR), 80)"
    return f"WHEN {condition} THEN {literal(before)} || {shown} || {literal(after)}"


def _of_window(field: Field, within: Within) -> list[str]:
    """The clauses about the delta column: of another form than its text has, and outside of the window."""
    value, clauses = field.lake_value(within.at), []
    if within.needed:
        nothing = "no value".join(reason(field.column.name, "so that no window takes the record"))
        clauses.append(f"WHEN {value} IS NULL THEN {literal(nothing)}")
    if within.pattern is not None:
        odd = f"NOT regexp_full_match({value}, {literal(within.pattern)})"
        clauses.append(
            _clause(field, within.at, odd, "which does not follow the format of the delta column's other values")
        )
    lower, upper = (_constant(bound, field.column.type) for bound in (within.bounds.lower, within.bounds.upper))
    clauses.append(f"WHEN NOT coalesce({value} >= {lower} AND {value} < {upper}, false) THEN {_OUTSIDE}")
    return clauses


def _constant(value: object, type_: LakeType) -> str:
    if isinstance(value, int):
        return f"{value}::BIGINT"
    text = value if isinstance(value, str) else value.isoformat()  # type: ignore[attr-defined]
    return f"CAST({literal(text)} AS {type_.sql})"


def _written(value: str, field: Field) -> str:
    """SQL for what a rejected record shows of `value`: a decimal with all its digits, text up to what is kept."""
    if pa.types.is_decimal(field.rule.travels):
        return f"CAST({value} AS VARCHAR)"
    return cut(value) if pa.types.is_string(field.rule.travels) else value


def _alias(at: int) -> str:
    return f"c{at}"
