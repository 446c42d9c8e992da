"""Records as columns of the types that the manifest says, fixed before the first record is seen.

Nearly every column of nearly every page is converted as a whole. Where that fails, its values are looked at one by
one, and a record with one that is none of its column's is given with a reason instead of it.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal, InvalidOperation
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from headgate.model.lake import Column, LakeType
from headgate.rejects import LONGEST, SEPARATOR
from headgate.sources.guard import reason
from headgate.sources.rest.manifest import Read
from headgate.sources.rest.paths import Path
from headgate.sources.rest.records import Unreadable

__all__ = ["arrow_type", "batch_of"]

_FAULTS = (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError, ValueError, TypeError)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST, _LAST = (
    (at - _EPOCH) // timedelta(microseconds=1)
    for at in (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
)
_EXACT = Context(prec=100_000)  # decimals keep all digits that a value may have
_MOST_DIGITS = 18  # of a long; a number that writes a larger exponent would be made of all its zeros
_PLAIN = {
    "boolean": pa.bool_(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "string": pa.string(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", "UTC"),
}


def arrow_type(type_: LakeType) -> pa.DataType:
    """The Arrow type of a lake type's values."""
    if type_.kind == "decimal":
        return pa.decimal128(type_.precision, type_.scale)
    if type_.kind == "list" and type_.element is not None:
        return pa.list_(arrow_type(type_.element))
    if type_.kind == "struct":
        return pa.struct([(name, arrow_type(part)) for name, part in type_.fields])
    return _PLAIN[type_.kind]


def batch_of(
    records: Sequence[Any], columns: Sequence[Column], reads: Mapping[str, Read], refused: str
) -> pa.RecordBatch:
    """The records as `columns`, and a last column, called `refused`, of the reasons against some of them.

    The reason that counts is that of the first column which has one.
    """
    why: dict[int, tuple[str, str, str]] = {
        at: (columns[0].name, record.text, f"which is no record: {record.why}")
        if isinstance(record, Unreadable)
        else (columns[0].name, str(record)[:80], "which is no record")
        for at, record in enumerate(records)
        if not isinstance(record, dict)
    }
    known = [record if isinstance(record, dict) else {} for record in records] if why else records
    arrays = []
    for column in columns:
        making = _Making(column, reads[column.name], why)
        arrays.append(making.array(column.type, _values(known, reads[column.name].path), range(len(records))))
    reasons = [_told(why.get(at), record) for at, record in enumerate(records)] if why else [None] * len(records)
    names = [*(column.name for column in columns), refused]
    return pa.RecordBatch.from_arrays([*arrays, pa.array(reasons, pa.string())], names=names)


def _values(records: Sequence[dict[str, Any]], path: Path) -> list[Any]:
    if len(path.steps) == 1 and path.steps[0] is not None:
        step = path.steps[0]
        return [record.get(step) for record in records]
    if None in path.steps:
        return [list(path.all(record)) for record in records]
    return [path.first(record) for record in records]


def _told(found: tuple[str, str, str] | None, record: Any) -> str | None:
    if found is None:
        return None
    column, shown, why = found
    before, after = reason(column, why)
    written = record.text if isinstance(record, Unreadable) else _written(record)
    return f"{before}{shown[:80]}{after}{SEPARATOR}{written[: LONGEST + 1]}"


class _Making:
    """Makes the array of one column, and of what is inside of its values."""

    def __init__(self, column: Column, read: Read, why: dict[int, tuple[str, str, str]]) -> None:
        self._column, self._read, self._why = column, read, why

    def array(self, type_: LakeType, values: list[Any], owners: Sequence[int]) -> pa.Array:
        """The values as the type; `owners` are the records they are of."""
        if type_.kind == "list" and type_.element is not None:
            return self._list(type_.element, values, owners)
        if type_.kind == "struct":
            return self._struct(type_, values, owners)
        if self._read.how == "json":
            return pa.array([None if value is None else _written(value) for value in values], pa.string())
        wanted = arrow_type(type_)
        with suppress(*_FAULTS):
            return _whole(type_, values, wanted, self._read)
        one, found = _one(type_, self._read), []
        for at, value in enumerate(values):
            try:
                found.append(None if value is None or (value == "" and type_.kind != "string") else one(value))
            except (*_FAULTS, InvalidOperation, KeyError):
                self._refuse(owners[at], value, type_)
                found.append(None)
        return pa.array(found, wanted)

    def _list(self, element: LakeType, values: list[Any], owners: Sequence[int]) -> pa.Array:
        offsets, inner, inside = [0], [], []
        for at, value in enumerate(values):
            if isinstance(value, list):
                inner += value
                inside += [owners[at]] * len(value)
            elif value is not None:
                self._refuse(owners[at], value, LakeType("list", element=element))
            offsets.append(len(inner))
        missing = pa.array([not isinstance(value, list) for value in values], pa.bool_())
        return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), self.array(element, inner, inside), mask=missing)

    def _struct(self, type_: LakeType, values: list[Any], owners: Sequence[int]) -> pa.Array:
        for at, value in enumerate(values):
            if value is not None and not isinstance(value, dict):
                self._refuse(owners[at], value, type_)
        parts = [
            self.array(part, [value.get(name) if isinstance(value, dict) else None for value in values], owners)
            for name, part in type_.fields
        ]
        missing = pa.array([not isinstance(value, dict) for value in values], pa.bool_())
        return pa.StructArray.from_arrays(parts, fields=list(arrow_type(type_)), mask=missing)

    def _refuse(self, record: int, value: Any, type_: LakeType) -> None:
        self._why.setdefault(record, (self._column.name, _written(value), f"which is not a {type_}"))


def _whole(type_: LakeType, values: list[Any], wanted: pa.DataType, read: Read) -> pa.Array:
    """All values at once. Raises one of _FAULTS where that would not be exact."""
    match type_.kind:
        case "string" | "boolean":
            return pa.array(values, wanted)
        case "int" | "long":
            return _of(pa.array(values), (pa.int64(),)).cast(wanted)
        case "float" | "double":
            if any(type(value) is Decimal for value in values):  # a body with long numbers keeps the digits of all
                values = [float(value) if type(value) is Decimal else value for value in values]
            numbers = _of(pa.array(values), (pa.int64(), pa.float64())).cast(wanted, safe=type_.kind == "double")
            if pc.any(pc.is_inf(numbers)).as_py():
                raise ValueError(type_)
            return numbers
        case "decimal":
            return _of(pa.array(values), (pa.int64(), pa.string()), decimals=True).cast(wanted)
    if read.how.startswith("strptime:"):
        coded = pa.array(values, pa.string()).dictionary_encode()
        one = _one(type_, read)
        found = pa.array([one(value) for value in coded.dictionary.to_pylist()], wanted)
        return found.take(coded.indices)
    if read.how in ("epoch_s", "epoch_ms"):
        counted = _of(pa.array(values), (pa.int64(),)).cast(pa.int64())
        unit = 1_000_000 if read.how == "epoch_s" else 1000
        micros = pc.multiply_checked(counted, unit)
        if pc.any(pc.or_(pc.less(micros, _FIRST), pc.greater(micros, _LAST))).as_py():
            raise ValueError(type_)
        times = micros.cast(pa.timestamp("us"))
        # Counted since 1970 as the clocks of a zone show it; an hour that they show twice is the first.
        return (pc.assume_timezone(times, read.zone, ambiguous="earliest") if read.zone else times).cast(wanted)
    texts = pa.array(values, pa.string())
    if type_.kind != "timestamptz":
        return texts.cast(wanted)
    with suppress(pa.ArrowInvalid):
        return texts.cast(wanted)
    return pc.assume_timezone(texts.cast(pa.timestamp("us")), read.zone or "UTC").cast(wanted)


def _of(array: pa.Array, types: tuple[pa.DataType, ...], *, decimals: bool = False) -> pa.Array:
    fits = array.type in types or pa.types.is_null(array.type) or (decimals and pa.types.is_decimal128(array.type))
    if not fits:
        raise ValueError(array.type)
    return array


@cache
def _one(type_: LakeType, read: Read) -> Callable[[Any], Any]:
    """What makes the exact value of one value of JSON, or raises."""
    match type_.kind:
        case "string":
            return lambda value: value if isinstance(value, str) else _written(value)
        case "boolean":
            return lambda value: {"true": True, "false": False, "1": True, "0": False}[_word(value)]
        case "int" | "long":
            return lambda value: _int(_number(value), 31 if type_.kind == "int" else 63)
        case "float" | "double":
            return lambda value: _float(_number(value), type_)
        case "decimal":
            return lambda value: _decimal(_number(value), type_)
    times = {
        "epoch_s": lambda value: _after_epoch(_number(value), read.zone),
        "epoch_ms": lambda value: _after_epoch(_number(value) / 1000, read.zone),
    }
    moment: Callable[[Any], datetime] = times.get(read.how) or (lambda value: _moment(value, read))
    if type_.kind == "timestamptz":
        return moment
    if type_.kind == "timestamp":
        return lambda value: moment(value).replace(tzinfo=None)
    return lambda value: _day(moment(value))


def _word(value: Any) -> str:
    return value.lower() if isinstance(value, str) else _written(value)


def _number(value: Any) -> Decimal:
    """The number with the digits it was written with. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise ValueError(value)  # noqa: TRY004 - it is a value of data that is none of its column's
    found = Decimal(repr(value) if isinstance(value, float) else value)
    if not found.is_finite():
        raise ValueError(value)
    return found


def _int(value: Decimal, bits: int) -> int:
    if value.adjusted() > _MOST_DIGITS:
        raise ValueError(value)
    found = int(value)
    if found != value or not -(2**bits) <= found < 2**bits:
        raise ValueError(value)
    return found


def _float(value: Decimal, type_: LakeType) -> float:
    found = float(value)
    if math.isinf(pa.scalar(found, arrow_type(type_)).as_py()):
        raise ValueError(value)
    return found


def _decimal(value: Decimal, type_: LakeType) -> Decimal:
    """`value`, which has no more digits than the type. Raises ValueError."""
    _, figures, exponent = value.normalize(_EXACT).as_tuple()
    digits = len(figures)
    if not isinstance(exponent, int) or -exponent > type_.scale or digits + exponent > type_.precision - type_.scale:
        raise ValueError(value)
    return value


def _after_epoch(seconds: Decimal, zone: str | None) -> datetime:
    if seconds.adjusted() > _MOST_DIGITS:
        raise ValueError(seconds)
    micros = seconds * 1_000_000
    if micros != int(micros):
        raise ValueError(seconds)
    found = _EPOCH + timedelta(microseconds=int(micros))
    return found.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC) if zone else found


def _moment(value: Any, read: Read) -> datetime:
    """The time that a text says, in the read's zone where it says none. Raises ValueError."""
    if not isinstance(value, str):
        raise ValueError(value)  # noqa: TRY004 - it is a value of data that is none of its column's
    if read.how.startswith("strptime:"):
        found = datetime.strptime(value, read.how.removeprefix("strptime:"))
    else:
        found = datetime.fromisoformat(_to_micros(value))
    if found.tzinfo is None:
        found = found.replace(tzinfo=ZoneInfo(read.zone) if read.zone else UTC)
    return found.astimezone(UTC)


def _to_micros(text: str) -> str:
    """`text`, whose fraction of a second has no more than six digits. Raises ValueError when more of them count."""
    before, dot, after = text.partition(".")
    digits = after[: len(after) - len(after.lstrip("0123456789"))]
    if digits[6:].strip("0"):
        raise ValueError(text)
    return f"{before}{dot}{digits[:6]}{after[len(digits) :]}"


def _day(at: datetime) -> date:
    if at.time() != datetime.min.time():
        raise ValueError(at)
    return at.date()


def _written(value: Any) -> str:
    """`value` as JSON."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # numbers that keep their digits
        return _exactly(value)


def _exactly(value: Any) -> str:
    match value:
        case dict():
            return "{" + ",".join(f"{json.dumps(name)}:{_exactly(part)}" for name, part in value.items()) + "}"
        case list():
            return "[" + ",".join(map(_exactly, value)) + "]"
        case Decimal():
            return str(value)
    return json.dumps(value, ensure_ascii=False)
