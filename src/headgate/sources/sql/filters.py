"""Row filters against the columns of a table: what may be compared with what, and each literal in its column's type."""

import re
import struct
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Literal, NoReturn
from uuid import UUID

from headgate.errors import FilterColumnUnknown, FilterTypeClash
from headgate.model.row_filter import Comparison, Op, RowFilter, Scalar, comparisons, parse_filter
from headgate.sources.interface import Selection

__all__ = ["Kind", "Value", "condition", "filter_of", "typed"]

Kind = Literal[
    "boolean", "integer", "float", "double", "decimal", "text", "date", "time", "timestamp", "timestamptz", "uuid"
]
"""How the values of a column compare with one another."""

Value = bool | int | float | Decimal | str | date | time | datetime | UUID

_LONGS = range(-(2**63), 2**63)
_DECIMAL = re.compile(r"[+-]?[0-9]{1,200}([.][0-9]{1,200})?")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_CLOCK = r"([0-9]{2}:[0-9]{2})(?::([0-9]{2})(?:[.]([0-9]{1,6})0*)?)?"
_TIME = re.compile(_CLOCK)
_INSTANT = re.compile(rf"([0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}})(?:[ T]{_CLOCK}(Z|[+-][0-9]{{2}}(?::?[0-9]{{2}})?)?)?")
_WANTED: Mapping[Kind, str] = {
    "boolean": "true or false",
    "integer": "an integer of 64 bits",
    "float": "a number in its range",
    "double": "a number in its range",
    "decimal": "a number, or its digits as a text",
    "text": "a text",
    "date": "a text such as 2024-01-31",
    "time": "a text such as 10:30:00",
    "timestamp": "a text such as 2024-01-31T10:30:00, in the column's own time",
    "timestamptz": "a text such as 2024-01-31T10:30:00Z",
    "uuid": "a text such as 123e4567-e89b-42d3-a456-426614174000",
}


def filter_of(selection: Selection) -> RowFilter | None:
    """The filter in `params.filters`; None when there is none. Raises the ProviderRefusal of a malformed one."""
    value = selection.params.get("filters")
    return None if value is None else parse_filter(value)


def condition(row_filter: RowFilter, leaf: Callable[[Comparison], str]) -> str:
    """The filter as a condition in SQL, of which `leaf` writes the single comparisons."""
    if isinstance(row_filter, Comparison):
        negation = "NOT " if row_filter.negated else ""
        return f"{negation}({leaf(row_filter)})"
    return "(" + f" {row_filter.op.upper()} ".join(condition(part, leaf) for part in row_filter.parts) + ")"


def typed(row_filter: RowFilter, kinds: Mapping[str, Kind | None], table: str) -> dict[Comparison, tuple[Value, ...]]:
    """The literals of every comparison in their column's type; `kinds` are the columns of `table`, None incomparable.

    Raises FilterColumnUnknown, FilterTypeClash.
    """
    return {comparison: _values(comparison, kinds, table) for comparison in comparisons(row_filter)}


def _values(comparison: Comparison, kinds: Mapping[str, Kind | None], table: str) -> tuple[Value, ...]:
    column, op = comparison.column, comparison.op
    if column not in kinds:
        raise FilterColumnUnknown(f"The row filter names the column {column[:80]!r}, which {table} does not have.")
    kind = kinds[column]
    if op is Op.IS_NULL:
        return ()
    if kind is None:
        raise FilterTypeClash(f"The column {column!r} has a type that can be compared by isNull only.", column=column)
    if (op is Op.LIKE and kind != "text") or (kind == "boolean" and op not in (Op.EQ, Op.NE, Op.IN)):
        raise FilterTypeClash(f"The column {column!r} is of the type {kind}, which has no {op.value!r}.", column=column)
    return tuple(_value(literal, kind, column) for literal in comparison.values)


def _value(literal: Scalar, kind: Kind, column: str) -> Value:
    try:
        value = _read(literal, kind)
    except (ValueError, OverflowError):
        value = None
    if value is None:
        _clash(literal, kind, column)
    return value


def _clash(literal: Scalar, kind: Kind, column: str) -> NoReturn:
    raise FilterTypeClash(
        f"The row filter compares the column {column!r}, which is of the type {kind}, with {repr(literal)[:80]}; "
        f"send {_WANTED[kind]}.",
        column=column,
    )


def _read(literal: Scalar, kind: Kind) -> Value | None:
    """`literal` as a value of `kind`; None, ValueError or OverflowError when it is none."""
    if isinstance(literal, bool):
        return literal if kind == "boolean" else None
    if kind in ("integer", "float", "double", "decimal"):
        return _number(literal, kind)
    if not isinstance(literal, str):
        return None
    match kind:
        case "text":
            return literal
        case "date":
            return date.fromisoformat(literal) if _DAY.fullmatch(literal) else None
        case "time":
            return _clock(found.groups()) if (found := _TIME.fullmatch(literal)) else None
        case "uuid":
            return UUID(literal) if len(literal) == 36 else None
        case "timestamp" | "timestamptz":
            return _instant(literal, zoned=kind == "timestamptz")
        case _:
            return None


def _number(literal: int | float | str, kind: Kind) -> Value | None:
    if kind == "decimal":
        if isinstance(literal, str):
            return Decimal(literal) if _DECIMAL.fullmatch(literal) else None
        return Decimal(repr(literal))  # the digits as they were written
    if isinstance(literal, str):
        return None
    if kind == "integer":
        if literal == int(literal):
            return int(literal) if int(literal) in _LONGS else None
        return Decimal(repr(literal))
    if kind == "float":
        struct.pack("<f", literal)  # raises OverflowError
    return float(literal)


def _clock(parts: tuple[str | None, ...]) -> time:
    minutes, seconds, fraction = parts
    return time.fromisoformat(f"{minutes}:{seconds or '00'}.{(fraction or '').ljust(6, '0')}")


def _instant(literal: str, *, zoned: bool) -> datetime | None:
    found = _INSTANT.fullmatch(literal)
    if found is None:
        return None
    day, *clock, zone = found.groups()
    at = datetime.combine(date.fromisoformat(day), _clock(tuple(clock)) if clock[0] else time())
    if not zoned:
        return at if zone is None or zone.strip("Z+0:") == "" else None
    offset = "+00:00" if zone in (None, "Z") else zone
    return datetime.fromisoformat(f"{at.isoformat()}{offset}").astimezone(UTC)
