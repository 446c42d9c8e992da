"""The listing grammar: `property` filters and pages.

Grammar (public Flow Service listing parameters): `path op value ("," value)*`, where op is one of
`==`, `!=`, `>=`, `<=`, `>`, `<`, with `=` read as `==`; a `property` without an operator is a projection.
Several filters are joined by AND, several values of `==` by OR.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from headgate.errors import (
    BadFilterValue,
    EmptyFilterValue,
    LimitTooSmall,
    OperatorNotForField,
    OperatorNotThere,
    OperatorTakesOneValue,
    UnknownField,
    UnknownOperator,
)

__all__ = ["MAX_LIMIT", "Field", "Filter", "Query", "parse_limit", "parse_query"]

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000

_FILTER = re.compile(r"(?P<path>[A-Za-z_][\w.\[\]]*)(?P<op>==|!=|>=|<=|=~|!~|=|>|<|~)(?P<value>.*)", re.DOTALL)
_PROJECTION = re.compile(r"[A-Za-z_]\w*(,[A-Za-z_]\w*)*")


@dataclass(frozen=True, slots=True)
class Field:
    """What may be filtered: a store column, and whether its values are integers.

    `column` may be a path into a JSON column, such as `body.connectionSpec.id`.
    """

    column: str
    number: bool = False
    folded: bool = False  # compared without regard to letter case, as statuses are


@dataclass(frozen=True, slots=True)
class Filter:
    """`column op any of values`; the values have the column's type."""

    column: str
    op: str
    values: tuple[str | int, ...]
    folded: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """What a listing asks for, newest first unless `ascending`.

    `after` is the place the previous page ended at; `offset` skips that many entries instead.
    """

    filters: tuple[Filter, ...] = ()
    projection: tuple[str, ...] = ()
    limit: int = DEFAULT_LIMIT
    after: int | None = None
    count: bool = False
    ascending: bool = False
    offset: int = 0
    properties: tuple[str, ...] = field(default=(), compare=False)


def parse_query(
    properties: Iterable[str], fields: Mapping[str, Field], *, limit: int = DEFAULT_LIMIT, count: bool = False
) -> Query:
    """Read the `property` parameters of a listing whose filterable fields are `fields`.

    Raises the InvalidRequest that the contract names for an unknown operator, field or value.
    """
    filters: list[Filter] = []
    projection: list[str] = []
    properties = tuple(properties)
    for text in properties:
        if _PROJECTION.fullmatch(text):
            projection += text.split(",")
        else:
            filters.append(_filter(text, fields))
    return Query(tuple(filters), tuple(projection), limit, count=count, properties=properties)


def parse_limit(text: str | None) -> int:
    """The `limit` parameter: at least 1, at most 1000, 100 when absent."""
    if text is None:
        return DEFAULT_LIMIT
    if not re.fullmatch(r"-?\d{1,18}", text):
        raise BadFilterValue(f"limit is {text[:40]!r}; send a number from 1 to {MAX_LIMIT}.", limit=text[:40])
    if int(text) < 1:
        raise LimitTooSmall(f"limit is {text}; it must be at least 1.", limit=text)
    return min(int(text), MAX_LIMIT)


def _filter(text: str, fields: Mapping[str, Field]) -> Filter:
    found = _FILTER.fullmatch(text)
    if not found:
        raise UnknownOperator(f"property={text[:80]!r} has no operator that is known here. Use == for instance.")
    if "~" in found["op"]:
        raise OperatorNotThere(f"property={text[:80]!r} matches patterns, which is not possible. Use ==.")
    path, op = found["path"], "==" if found["op"] == "=" else found["op"]
    target = fields.get(path)
    if target is None:
        raise UnknownField(f"{path!r} cannot be filtered by. Fields: {', '.join(sorted(fields))}.", field=path)
    if op not in ("==", "!=") and not target.number:
        raise OperatorNotForField(f"{op} cannot be used with {path!r}, which is text.", field=path, operator=op)
    values = tuple(_value(part, path, target) for part in found["value"].split(","))
    if len(values) > 1 and op not in ("==", "!="):
        raise OperatorTakesOneValue(f"{op} compares {path!r} with one value.", field=path, operator=op)
    return Filter(target.column, op, values, target.folded)


def _value(text: str, path: str, target: Field) -> str | int:
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = text[1:-1]
    if not text:
        raise EmptyFilterValue(f"The filter on {path!r} has no value.", field=path)
    if not target.number:
        return text
    if not re.fullmatch(r"-?\d{1,18}", text):
        raise BadFilterValue(f"{path!r} is compared with a number, not with {text[:40]!r}.", field=path)
    return int(text)
