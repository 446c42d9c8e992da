"""Row filters in PQL: which rows of a table a source connection takes, as a tree of comparisons.

On the wire a filter is `{"type": "PQL", "format": "pql/json", "value": NODE}`. A NODE is
`{"nodeType": "fnApply", "fnName": F, "params": [NODE, …]}`; its leaves are `fieldLookup` with `fieldName`, and
`literal` with `value`. The meaning is SQL's: a comparison with a NULL is neither true nor
false, so its row is not taken.
"""

import base64
import binascii
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from headgate.errors import (
    BadRowFilter,
    FilterFormatWrong,
    FilterNegatesOne,
    FilterNodeUnknown,
    FilterNullLiteral,
    FilterOperatorMissing,
    FilterOperatorMisused,
    FilterOperatorUnknown,
    FilterTypeClash,
    FilterTypeWrong,
    FilterUndecodable,
    FilterValueMissing,
)

__all__ = ["Comparison", "Group", "Op", "RowFilter", "Scalar", "comparisons", "decode_base64", "parse_filter"]

DEEPEST = 32
MOST_COMPARISONS = 500
MOST_VALUES = 10_000
LONGEST_PATTERN = 1000

Scalar = bool | int | float | str


class Op(StrEnum):
    """What a comparison does with a column's value."""

    EQ = "="
    NE = "!="
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="
    LIKE = "like"
    IN = "in"
    IS_NULL = "isNull"


@dataclass(frozen=True, slots=True)
class Comparison:
    """One comparison of one column: `values` are one literal, several for `in`, none for `isNull`.

    In a pattern of `like`, `%` stands for any text, `_` for one character, and a backslash takes away the meaning
    of what follows it. Letter case counts.
    """

    column: str
    op: Op
    values: tuple[Scalar, ...] = ()
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """Comparisons of which all must hold, or any."""

    op: Literal["and", "or"]
    parts: tuple["RowFilter", ...]


RowFilter = Comparison | Group


def comparisons(row_filter: RowFilter) -> Iterator[Comparison]:
    """The comparisons of a filter, in the order they are written."""
    if isinstance(row_filter, Comparison):
        yield row_filter
    else:
        for part in row_filter.parts:
            yield from comparisons(part)


def decode_base64(text: str) -> object:
    """The JSON of a filter in `text`, its Base64; both alphabets and missing padding are taken.

    Raises FilterUndecodable, BadRowFilter.
    """
    try:
        plain = text.strip().replace(" ", "+").replace("-", "+").replace("_", "/").rstrip("=")
        raw = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True).decode()
    except (binascii.Error, UnicodeError, ValueError) as error:
        raise FilterUndecodable from error
    try:
        value: object = json.loads(raw, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise BadRowFilter("The row filter is no JSON, once decoded from Base64.") from error
    return value


def parse_filter(value: object) -> RowFilter:
    """The filter that the JSON `value` describes. Raises the ProviderRefusal that the contract names."""
    if not isinstance(value, Mapping):
        raise BadRowFilter(f"The row filter is {_shown(value)}; send an object with type, format and value.")
    if value.get("type") != "PQL":
        raise FilterTypeWrong(f"The row filter's type is {_shown(value.get('type'))}; send PQL.")
    if value.get("format") != "pql/json":
        raise FilterFormatWrong(f"The row filter's format is {_shown(value.get('format'))}; send pql/json.")
    if value.get("value") is None:
        raise FilterValueMissing
    found = _node(value["value"], 1)
    written = list(comparisons(found))
    if len(written) > MOST_COMPARISONS:
        raise BadRowFilter(f"The row filter has {len(written)} comparisons; {MOST_COMPARISONS} are allowed.")
    if (values := sum(len(comparison.values) for comparison in written)) > MOST_VALUES:
        raise BadRowFilter(f"The row filter has {values} literals; {MOST_VALUES} are allowed.")
    return found


def _node(node: object, depth: int) -> RowFilter:
    if depth > DEEPEST:
        raise BadRowFilter(f"The row filter is nested deeper than {DEEPEST} levels.")
    if not isinstance(node, Mapping):
        raise BadRowFilter(f"A part of the row filter is {_shown(node)}; send an object with a nodeType.")
    if node.get("nodeType") != "fnApply":
        raise FilterNodeUnknown(
            f"A part of the row filter has the nodeType {_shown(node.get('nodeType'))} where a comparison is expected; "
            "send fnApply.",
        )
    name, params = node.get("fnName"), node.get("params")
    if not isinstance(name, str) or not name:
        raise FilterOperatorMissing
    if not isinstance(params, list) or not params:
        raise FilterValueMissing(f"The operator {name[:40]!r} of the row filter has no params.")
    if name in ("and", "or"):
        return Group("and" if name == "and" else "or", tuple(_node(part, depth + 1) for part in params))
    if name in ("not", "NOT"):
        return _negated(params, depth)
    if name == "==":
        name = "="
    if name not in list(Op):
        raise FilterOperatorUnknown(
            f"The row filter has no operator {name[:40]!r}; it has and, or, not, {', '.join(Op)}.", operator=name[:40]
        )
    return _comparison(Op(name), params)


def _negated(params: Sequence[object], depth: int) -> Comparison:
    if len(params) != 1:
        raise FilterNegatesOne
    inner = _node(params[0], depth + 1)
    if isinstance(inner, Group) or inner.negated:
        raise FilterNegatesOne
    return Comparison(inner.column, inner.op, inner.values, negated=True)


def _comparison(op: Op, params: Sequence[object]) -> Comparison:
    column, *rest = params
    if not isinstance(column, Mapping) or column.get("nodeType") != "fieldLookup":
        raise FilterOperatorMisused(f"The first of the params of {op.value!r} must be a fieldLookup.", operator=op)
    name = column.get("fieldName")
    if not isinstance(name, str) or not name:
        raise FilterValueMissing("A fieldLookup of the row filter has no fieldName.")
    values = tuple(value for literal in rest for value in _literal(literal, op, name))
    if op is Op.IS_NULL and values:
        raise FilterOperatorMisused(f"'isNull' on {name[:80]!r} takes no literal.", operator=op)
    if op is not Op.IS_NULL and not values:
        raise FilterValueMissing(f"{op.value!r} on {name[:80]!r} has no literal to compare with.", column=name[:80])
    if len(values) > 1 and op is not Op.IN:
        raise FilterOperatorMisused(f"{op.value!r} on {name[:80]!r} takes one literal.", operator=op)
    if op is Op.LIKE:
        _check_pattern(values[0], name)
    return Comparison(name, op, values)


def _literal(node: object, op: Op, column: str) -> Sequence[Scalar]:
    if not isinstance(node, Mapping) or node.get("nodeType") != "literal":
        raise FilterOperatorMisused(f"{op.value!r} compares {column[:80]!r} with a literal only.", operator=op)
    if "value" not in node:
        raise FilterValueMissing(f"A literal that {column[:80]!r} is compared with has no value.", column=column[:80])
    value = node["value"]
    values: list[Any] = value if isinstance(value, list) and op is Op.IN else [value]
    for single in values:
        if single is None:
            raise FilterNullLiteral(column=column[:80])
        if not isinstance(single, Scalar) or (isinstance(single, float) and not math.isfinite(single)):
            raise FilterTypeClash(
                f"{column[:80]!r} is compared with {_shown(single)}; send a text, a number, true or false.",
                column=column[:80],
            )
        if isinstance(single, str) and ("\0" in single or any("\ud800" <= sign <= "\udfff" for sign in single)):
            raise FilterTypeClash(f"{column[:80]!r} is compared with text that no table can hold.", column=column[:80])
    return values


def _check_pattern(pattern: Scalar, column: str) -> None:
    if not isinstance(pattern, str):
        raise FilterTypeClash(
            f"'like' compares {column[:80]!r} with {_shown(pattern)}; send a text.", column=column[:80]
        )
    if len(pattern) > LONGEST_PATTERN:
        raise BadRowFilter(f"A pattern has {len(pattern)} characters; {LONGEST_PATTERN} are allowed.")
    if (len(pattern) - len(pattern.rstrip("\\"))) % 2:
        raise FilterOperatorMisused(
            f"The pattern {pattern[:80]!r} ends in a single backslash, which takes away the meaning of nothing.",
            operator=Op.LIKE,
        )


def _shown(value: object) -> str:
    return repr(value)[:80]


def _no_constant(name: str) -> float:
    raise ValueError(name)
