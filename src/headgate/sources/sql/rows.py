"""Rows of Python values, as drivers without Arrow give them, made into batches exactly."""

from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa

from headgate.errors import UnholdableValue
from headgate.sources.sql.driver import BATCH_BYTES

__all__ = ["NAME", "batch_of", "batches_of"]

NAME = "column"
"""Where a field's metadata keeps what the source calls its column."""

_FIRST, _MOST = 500, 20_000  # rows that are fetched at a time
_MIDNIGHT = time()


def batches_of(fetch: Callable[[int], Sequence[Sequence[Any]]], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The batches of what `fetch(n)` gives, the next at most n rows; none at the end. Raises UnholdableValue.

    How many are fetched follows their size, so that a batch is about BATCH_BYTES.
    """
    wanted = _FIRST
    while rows := fetch(wanted):
        batch = batch_of(rows, schema)
        wanted = max(1, min(_MOST, 2 * wanted, len(rows) * BATCH_BYTES // max(1, batch.nbytes)))
        yield batch


def batch_of(rows: Sequence[Sequence[Any]], schema: pa.Schema) -> pa.RecordBatch:
    """One batch of `rows`. A value that is not of its column's type, or not exactly, raises UnholdableValue.

    Texts of numbers and of times in ISO form are taken for what they say where the column is of that type.
    """
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(schema)
    arrays = [_array(values, field) for values, field in zip(columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _array(values: Sequence[Any], field: pa.Field) -> pa.Array:
    exact, convert = _KINDS.get(str(field.type), (Decimal, _decimal))
    if {type(value) for value in values} <= {exact, type(None)} and _alike(values, field.type):
        try:
            return pa.array(values, type=field.type)
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, UnicodeEncodeError):
            pass  # what follows finds the value
    return pa.array([None if value is None else _one(convert, value, field) for value in values], type=field.type)


def _alike(values: Sequence[Any], type_: pa.DataType) -> bool:
    """Whether Arrow, which takes a time without a zone for one in UTC, may convert `values` by itself."""
    if not pa.types.is_timestamp(type_):
        return True
    zoned = type_.tz is not None
    return all(value is None or (value.tzinfo is not None) is zoned for value in values)


def _one(convert: Callable[[Any], Any], value: Any, field: pa.Field) -> Any:
    try:
        found = convert(value)
        pa.scalar(found, type=field.type)
    except (ValueError, TypeError, ArithmeticError, pa.ArrowException) as error:
        name = (field.metadata or {}).get(NAME.encode(), field.name.encode()).decode()
        raise UnholdableValue(
            f"The column {name!r} holds {repr(value)[:80]}, which cannot be read as {field.type}. Correct it at "
            "the source, narrow the window, or leave the column out with params.columns.",
            column=name,
        ) from error
    return found


def _whole(value: Any) -> int:
    found = int(value)
    if isinstance(value, bool) or found != value:
        if isinstance(value, bool | str):
            return found
        raise ValueError(value)
    return found


def _decimal(value: Any) -> Decimal:
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)


def _truth(value: Any) -> bool:
    if value not in (0, 1):
        raise ValueError(value)
    return bool(value)


def _text(value: Any) -> str:
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode()
    return value if isinstance(value, str) else str(value)


def _bytes(value: Any) -> bytes:
    if isinstance(value, str):
        raise TypeError(value)
    return bytes(value)


def _moment(value: Any) -> datetime:
    if isinstance(value, str):
        return datetime.fromisoformat(value)
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime.combine(value, _MIDNIGHT)
    raise TypeError(value)


def _naive(value: Any) -> datetime:
    found = _moment(value)
    if found.tzinfo is not None and found.utcoffset():
        raise ValueError(value)
    return found.replace(tzinfo=None)


def _aware(value: Any) -> datetime:
    found = _moment(value)
    if found.tzinfo is None:
        raise ValueError(value)
    return found


def _day(value: Any) -> date:
    if isinstance(value, str):
        return date.fromisoformat(value)
    if isinstance(value, datetime):
        if value.time() != _MIDNIGHT:
            raise ValueError(value)
        return value.date()
    if isinstance(value, date):
        return value
    raise TypeError(value)


def _clock(value: Any) -> time:
    if isinstance(value, str):
        return time.fromisoformat(value)
    if isinstance(value, timedelta):  # how some drivers give a time of day
        if not timedelta(0) <= value < timedelta(days=1):
            raise ValueError(value)
        return (datetime.min + value).time()
    if isinstance(value, time):
        return value
    raise TypeError(value)


_KINDS: dict[str, tuple[type, Callable[[Any], Any]]] = {
    "bool": (bool, _truth),
    "int32": (int, _whole),
    "int64": (int, _whole),
    "float": (float, float),
    "double": (float, float),
    "string": (str, _text),
    "binary": (bytes, _bytes),
    "date32[day]": (date, _day),
    "time64[us]": (time, _clock),
    "timestamp[us]": (datetime, _naive),
    "timestamp[us, tz=UTC]": (datetime, _aware),
}
"""By Arrow type: the Python type that Arrow converts exactly by itself, and how other values are read."""
