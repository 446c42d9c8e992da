"""The listing grammar: `property` filters, projections and the order of pages.

    property   = filter | projection
    filter     = path op value *( "," value )
    path       = name *( "." name )             a name may end in "[]": any element of that array
    op         = "==" | "!=" | ">=" | "<=" | ">" | "<" | "="       "=" is read as "=="
    projection = name *( "," name )             no operator
    orderby    = [ "+" | "-" | " " ] path

Several filters are joined by AND, several values by OR; `!=` finds exactly what `==` with the same values does
not. A value may stand in double quotes, and then hold commas. It is compared by the type that is stored: a truth
value with `true` or `false`, a number with a number, anything else as exact text. In order, texts of digits are
numbers too, because clients send times as such.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from headgate.errors import (
    BadFilterValue,
    BadOrderBy,
    BadOrderByPrefix,
    EmptyFilterValue,
    LimitTooSmall,
    OperatorNotForField,
    OperatorNotThere,
    OperatorTakesOneValue,
    UnknownField,
    UnknownOperator,
)

__all__ = [
    "DEFAULT_LIMIT",
    "MAX_LIMIT",
    "NEWEST_FIRST",
    "Field",
    "Filter",
    "Order",
    "Place",
    "Query",
    "Value",
    "is_projection",
    "number_in",
    "parse_limit",
    "parse_order",
    "parse_query",
    "whole_number",
]

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000
FARTHEST = 10**9  # what a listing that counts may leave out at most
_MOST_FILTERS, _MOST_VALUES, _LONGEST_PATH = 50, 1000, 300

Value = str | int | float
Place = tuple[Value | None, int]  # where a page ends: what its last entry is ordered by, and its number

_NAME = r"[A-Za-z_@$][\w:@$-]*"
_PATH = rf"{_NAME}(?:\[\])?(?:\.{_NAME}(?:\[\])?)*"
_FILTER = re.compile(rf"\s*(?P<path>{_PATH})\s*(?P<op>==|!=|>=|<=|=~|!~|=|>|<|~)(?P<value>.*)", re.DOTALL | re.ASCII)
_PROJECTION = re.compile(rf"\s*{_NAME}\s*(,\s*{_NAME}\s*)*", re.ASCII)
_VALUE = re.compile(r'\s*(?:"(?P<quoted>.*?)"\s*(?=,|$)|(?P<plain>[^,]*))(?P<comma>,|$)', re.DOTALL)
_NUMBER = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,9})?")
_ORDER_OPERATORS = (">", ">=", "<", "<=")


@dataclass(frozen=True, slots=True)
class Field:
    """What may be filtered and ordered by: where it is kept, and how its values compare.

    `column` is a store column, or a JSON column and the way into it: `body.connectionSpec.id`,
    `body.transformations[].name`. Of an `open` field all that lies below may be named too, since its shape is not
    ours; its values have any type. `folded` values compare without regard to letter case; those of a field
    with `words` are brought to one of these spellings. A field that is the same for all is `always` that.
    """

    column: str
    number: bool = False
    folded: bool = False
    open: bool = False
    words: tuple[str, ...] = ()
    always: bool | None = None

    @property
    def in_array(self) -> bool:
        """Whether it has several values, those of an array's elements."""
        return "[]" in self.column


@dataclass(frozen=True, slots=True)
class Filter:
    """`field op any of values`. With an order operator there is one value, a number."""

    field: Field
    op: str
    values: tuple[Value, ...]

    @property
    def numbers(self) -> tuple[Value, ...]:
        """What stored numbers may equal."""
        found = (number_in(value) if isinstance(value, str) else value for value in self.values)
        return tuple(value for value in found if value is not None)

    @property
    def texts(self) -> tuple[str, ...]:
        """What stored texts may equal, and truth values, which count as `true` and `false`."""
        given = [str(value) for value in self.values]
        return tuple(dict.fromkeys([*given, *(text.lower() for text in given if text.lower() in ("true", "false"))]))

    def holds(self, item: Any) -> bool:
        """Whether it is true of an `item` of JSON, in which the field's column is a path."""
        found = list(_found(item, self.field.column.split(".")))
        if self.op in _ORDER_OPERATORS:
            quantities = (_quantity(value) for value in found)
            return any(_ordered(value, self.op, self.values[0]) for value in quantities if value is not None)
        return any(self._equals(value) for value in found) == (self.op == "==")

    def _equals(self, value: Any) -> bool:
        if _is_number(value):
            return value in self.numbers
        if isinstance(value, bool):
            return str(value).lower() in self.texts
        if self.field.folded:
            return isinstance(value, str) and value.lower() in [text.lower() for text in self.texts]
        return value in self.texts if isinstance(value, str) else False


@dataclass(frozen=True, slots=True)
class Order:
    """By what a listing is ordered; entries that are equal in it by the time they were stored."""

    field: Field = field(default=Field("created_at", number=True))
    ascending: bool = False
    text: str = "-createdAt"


NEWEST_FIRST = Order()


@dataclass(frozen=True, slots=True)
class Query:
    """What a listing asks for.

    `after` is the place the previous page ended at; `offset` skips that many entries instead.
    """

    filters: tuple[Filter, ...] = ()
    projection: tuple[str, ...] = ()
    limit: int = DEFAULT_LIMIT
    after: Place | None = None
    count: bool = False
    order: Order = NEWEST_FIRST
    offset: int = 0
    properties: tuple[str, ...] = field(default=(), compare=False)


def parse_query(
    properties: Iterable[str], fields: Mapping[str, Field], *, limit: int = DEFAULT_LIMIT, count: bool = False
) -> Query:
    """Read the `property` parameters of a listing whose fields are `fields`.

    Raises the InvalidRequest that the contract names for an unknown operator, field or value.
    """
    filters: list[Filter] = []
    projection: list[str] = []
    properties = tuple(properties)
    for text in properties:
        if is_projection(text):
            projection += [name.strip() for name in text.split(",")]
        else:
            filters.append(_filter(text, fields))
    if len(filters) > _MOST_FILTERS or sum(len(filter_.values) for filter_ in filters) > _MOST_VALUES:
        raise BadFilterValue(f"A listing takes at most {_MOST_FILTERS} filters with {_MOST_VALUES} values in all.")
    return Query(tuple(filters), tuple(projection), limit, count=count, properties=properties)


def parse_order(text: str | None, fields: Mapping[str, Field]) -> Order:
    """Read `orderby`; newest first when absent. Raises BadOrderByPrefix, BadOrderBy."""
    if not text:
        return NEWEST_FIRST
    prefix, path = (text[0], text[1:]) if text[0] in "+- " else ("+", text)
    if re.match(r"\W", path):
        raise BadOrderByPrefix(f"orderby is {text[:40]!r}; the field is preceded by + or - or nothing.")
    target = fields.get(path)
    if target is None or target.open or target.in_array or target.always is not None:
        sortable = sorted(
            name for name, known in fields.items() if not (known.open or known.in_array or known.always is not None)
        )
        raise BadOrderBy(f"orderby names {path[:40]!r}. Listings here are ordered by one of: {', '.join(sortable)}.")
    return Order(target, prefix != "-", ("-" if prefix == "-" else "") + path)


def parse_limit(text: str | None) -> int:
    """The `limit` parameter: at least 1, at most 1000, 100 when absent."""
    if text is None:
        return DEFAULT_LIMIT
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        raise BadFilterValue(f"limit is {text[:40]!r}; send a number from 1 to {MAX_LIMIT}.", limit=text[:40])
    if int(text) < 1:
        raise LimitTooSmall(f"limit is {text}; it must be at least 1.", limit=text)
    return min(int(text), MAX_LIMIT)


def whole_number(name: str, text: str, least: int = 0, most: int = FARTHEST) -> int:
    """The whole number that the parameter `name` holds. Raises BadFilterValue."""
    if not re.fullmatch(r"[0-9]{1,10}", text) or not least <= int(text) <= most:
        raise BadFilterValue(f"{name} is {text[:40]!r}; send a number from {least} to {most}.", parameter=name)
    return int(text)


def is_projection(text: str) -> bool:
    """Whether a `property` names what to show, rather than filter."""
    return _PROJECTION.fullmatch(text) is not None


def number_in(text: str) -> int | float | None:
    """The number that `text` writes in decimal digits; None when it is none."""
    found = _NUMBER.fullmatch(text)
    return None if not found else float(text) if found[1] else int(text)


def _filter(text: str, fields: Mapping[str, Field]) -> Filter:
    found = _FILTER.fullmatch(text)
    if not found:
        raise UnknownOperator(f"property={text[:80]!r} has no operator that is known here. Use == for instance.")
    path, op, rest = found["path"], found["op"], found["value"]
    if "~" in op or rest.startswith("~"):
        raise OperatorNotThere(f"property={text[:80]!r} matches patterns, which is not possible. Use ==.")
    if op not in ("==", "!=") and rest[:1] in ("=", "<", ">", "!"):
        raise UnknownOperator(f"property={text[:80]!r} has the operator {op + rest[:1]}, which is not known here.")
    op = "==" if op == "=" else op
    target = _target(path, fields)
    in_order = op in _ORDER_OPERATORS
    if in_order and not (target.number or target.open):
        raise OperatorNotForField(f"{op} cannot be used with {path!r}, which is no number.", field=path, operator=op)
    texts = tuple(_texts(rest, path))
    if in_order and len(texts) > 1:
        raise OperatorTakesOneValue(f"{op} compares {path!r} with one value.", field=path, operator=op)
    numeric = target.number or in_order
    return Filter(target, op, tuple(_value(part, path, target, numeric=numeric) for part in texts))


def _target(path: str, fields: Mapping[str, Field]) -> Field:
    """The field that `path` names, itself or below an open one. Raises UnknownField."""
    if (target := fields.get(path)) is not None:
        return target
    names = path.split(".") if len(path) <= _LONGEST_PATH else []
    for count in range(len(names), 0, -1):
        above = ".".join(names[:count])
        known = fields.get(above) or fields.get(above.removesuffix("[]"))
        if known is not None and known.open:
            start = known.column + ("" if above in fields else "[]")
            return replace(known, column=".".join((start, *names[count:])))
    known_names = ", ".join(f"{name}.*" if fields[name].open else name for name in sorted(fields))
    raise UnknownField(f"{path[:80]!r} cannot be filtered by. Fields: {known_names}.", field=path[:80])


def _texts(text: str, path: str) -> Iterator[str]:
    """The values of a filter, without quotes."""
    at = 0
    while found := _VALUE.match(text, at):
        value = found["plain"].strip() if found["quoted"] is None else found["quoted"]
        if not value:
            raise EmptyFilterValue(f"The filter on {path!r} has no value.", field=path)
        yield value
        at = found.end()
        if not found["comma"]:
            return


def _value(text: str, path: str, target: Field, *, numeric: bool) -> Value:
    if numeric:
        if (number := number_in(text)) is None:
            raise BadFilterValue(f"{path!r} is compared with a number, not with {text[:40]!r}.", field=path)
        return number
    if target.always is not None:
        if text.lower() not in ("true", "false"):
            raise BadFilterValue(f"{path!r} is true or false, not {text[:40]!r}.", field=path)
        return text.lower()
    folded = _fold(text)
    return next((word for word in target.words if _fold(word) == folded), text)


def _fold(text: str) -> str:
    """`text` as it compares: statuses are written inProgress, InProgress and IN_PROGRESS."""
    return text.lower().replace("_", "").replace("-", "")


def _found(item: Any, names: list[str]) -> Iterator[Any]:
    """The values at a path through JSON."""
    if not names:
        yield item
        return
    name, *below = names
    value = item.get(name.removesuffix("[]")) if isinstance(item, dict) else None
    if not name.endswith("[]"):
        if value is not None:
            yield from _found(value, below)
    elif isinstance(value, list):
        for element in value:
            yield from _found(element, below)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _quantity(value: Any) -> float | None:
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}", value):
        return int(value)
    return value if _is_number(value) else None


def _ordered(value: float, op: str, than: Any) -> bool:
    match op:
        case ">":
            return bool(value > than)
        case ">=":
            return bool(value >= than)
        case "<":
            return bool(value < than)
        case _:
            return bool(value <= than)
