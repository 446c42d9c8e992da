"""Row filters as SQLite evaluates them: comparisons of one storage class, with binds."""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from headgate.errors import FilterTypeClash
from headgate.model.lake import LakeType
from headgate.model.row_filter import Comparison, Op
from headgate.sources.sql.filters import Kind, Value
from headgate.sources.sql.sqlite_types import quoted

__all__ = ["Bind", "comparison_sql", "kind_of"]

Bind = int | float | str

_KINDS: dict[str, Kind] = {
    "long": "integer",
    "boolean": "boolean",
    "double": "double",
    "decimal": "decimal",
    "string": "text",
    "date": "date",
    "time": "time",
    "timestamp": "timestamp",
    "timestamptz": "timestamptz",
}
_TEXT_AFFINITY = re.compile(r"(?i)(?!.*INT).*(CHAR|CLOB|TEXT)")
_MOMENTS = ("time", "timestamp", "timestamptz")
_DAY_OF_TIMES = "2000-01-01"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EXACT_DIGITS = 15


def kind_of(type_: LakeType) -> Kind | None:
    """How the values of a column compare that the lake holds as `type_`; None for blobs."""
    return _KINDS.get(type_.kind)


def comparison_sql(
    comparison: Comparison, declared: str, kind: Kind | None, values: Sequence[Value]
) -> tuple[str, list[Bind]]:
    """One comparison as a condition with binds; `declared` is the column's type in the table.

    Raises FilterTypeClash for a literal that SQLite's numbers cannot stand for.
    """
    name = quoted(comparison.column)
    if comparison.op is Op.IS_NULL:
        return f"{name} IS NULL", []
    binds = [_bind(value, comparison.column) for value in values]
    if comparison.op is Op.LIKE:
        return f"CAST({name} AS TEXT) GLOB ?", [_glob(str(values[0]))]
    marks = ", ".join("?" for _ in binds)
    against = f"IN ({marks})" if comparison.op is Op.IN else f"{comparison.op} ?"
    if kind in _MOMENTS:
        return _moment(name, kind == "time", against), binds
    if kind == "text" and not _TEXT_AFFINITY.match(declared):
        name = f"CAST({name} AS TEXT)"  # or a literal that looks like a number would be compared as one
    return f"{name} {against}", binds


def _bind(value: Value, column: str) -> Bind:
    match value:
        case datetime():
            return _microseconds(value if value.tzinfo else value.replace(tzinfo=UTC))
        case time():
            return _microseconds(datetime.combine(date.fromisoformat(_DAY_OF_TIMES), value, UTC))
        case Decimal():
            return _number(value, column)
        case int() | float() | str():
            return value
    return str(value)


def _number(value: Decimal, column: str) -> int | float:
    if value == value.to_integral_value() and abs(value) < 2**63:
        return int(value)
    # SQLite's reals tell this many digits apart, and no more.
    if len(value.normalize().as_tuple().digits) > _EXACT_DIGITS:
        raise FilterTypeClash(
            f"The row filter compares the column {column!r} with {value}, which SQLite's numbers cannot tell from "
            f"others; send at most {_EXACT_DIGITS} digits.",
            column=column,
        )
    return float(value)


def _glob(pattern: str) -> str:
    """The GLOB of a LIKE pattern: GLOB tells letter case apart in SQLite, LIKE does not."""
    found, escaped = "", False
    for sign in pattern:
        if sign == "\\" and not escaped:
            escaped = True
            continue
        wild = {"%": "*", "_": "?"}.get(sign) if not escaped else None
        found += wild or (f"[{sign}]" if sign in "*?[" else sign)
        escaped = False
    return found


def _moment(name: str, clock: bool, against: str) -> str:
    """A comparison of times, whatever their spelling, by the microseconds since 1970.

    A text that is no time is let through, for the column's own guard to name.
    """
    text = f"('{_DAY_OF_TIMES} ' || {name})" if clock else name
    tail = f"substr({text}, 20)"
    zone = f"ltrim({tail}, '.0123456789')"
    fraction = f"substr({tail}, 2, max(length({tail}) - length({zone}) - 1, 0))"
    digits = f"replace({zone}, ':', '')"
    minutes = f"(CAST(substr({digits}, 2, 2) AS INTEGER) * 60 + CAST(substr({digits}, 4, 2) AS INTEGER))"
    offset = f"CASE substr({zone}, 1, 1) WHEN '+' THEN {minutes} WHEN '-' THEN -{minutes} ELSE 0 END"
    seconds = f"(CAST(strftime('%s', substr({text}, 1, 19)) AS INTEGER) - 60 * {offset})"
    moment = f"{seconds} * 1000000 + CAST(substr({fraction} || '000000', 1, 6) AS INTEGER)"
    return f"CASE typeof({name}) WHEN 'null' THEN NULL WHEN 'text' THEN coalesce({moment} {against}, 1) ELSE 1 END"


def _microseconds(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)
