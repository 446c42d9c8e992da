"""Lists and structs that come as mappings: as text that the engine's own cast takes, changed in no value.

The engine's cast from JSON rounds numbers and takes what is no value of its type, so each value inside is seen here, by
the rules that hold for text at the top; it then travels as the text that is cast.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from functools import cache
from math import isfinite
from typing import Any

from headgate.model.lake import LakeType

__all__ = ["MISFIT", "Travelling", "nested_sql", "nested_types", "spelled", "travelling", "travels"]

Travelling = Callable[[Any], str | None]
"""Gives the text that a value travels as; one that is no value of its type begins with MISFIT."""

MISFIT = " "  # no JSON of `json.dumps()` begins so

_DATE = r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_CLOCK = r"[ T]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,6})?)?"
_ZONE = r"(Z|[+-]([01][0-9]|2[0-3])(:[0-5][0-9])?)"
_TIMES = {"date": _DATE, "timestamp": _DATE + _CLOCK, "timestamptz": _DATE + _CLOCK + _ZONE}
_LARGEST = {"int": 2**31, "long": 2**63}
_DOUBLE = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?|[+-]?(inf|infinity|nan)", re.IGNORECASE)


class _Misfit(Exception):
    """A value that is none of its type."""


def travels(type_: LakeType) -> bool:
    """Whether values of a list or struct can come as mappings: whether everything inside can."""
    if type_.kind == "list":
        return type_.element is not None and travels(type_.element)
    if type_.kind == "struct":
        return bool(type_.fields) and all(travels(each) for _, each in type_.fields)
    return type_.kind in ("string", "boolean", "double", "decimal", *_LARGEST, *_TIMES)


def nested_sql(type_: LakeType) -> tuple[str, str]:
    """DuckDB's condition for a text `{v}` that is no value of `type_`, and the value of one that is."""
    return f"{{v}} IS NOT NULL AND starts_with({{v}}, '{MISFIT}')", f"CAST(CAST({{v}} AS JSON) AS {type_.sql})"


def nested_types(types: Mapping[str, LakeType]) -> dict[str, Any]:
    """The lists and structs among `types`, as JSON that `travelling()` understands."""
    return {name: _written(type_) for name, type_ in types.items() if type_.kind in ("list", "struct")}


def travelling(written: Any) -> Travelling:
    """What makes texts of the values of a type that `nested_types()` has written."""
    spell, encode = _spelling(_read(written)), json.JSONEncoder(ensure_ascii=False, check_circular=False).encode

    def text(value: Any) -> str | None:
        if value is None:
            return None
        try:
            return encode(spell(value))
        except _Misfit:
            return MISFIT + (spelled(value) or "")

    return text


def spelled(value: Any) -> str | None:
    """The text of a value, whatever it is; of objects and lists their JSON."""
    match value:
        case None | str():
            return value
        case bool():
            return "true" if value else "false"
        case int() | float():  # before what is rare
            return str(value)
        case Decimal():
            return format(value, "f")
        case datetime():
            return value.isoformat(" ")
        case date() | time():
            return value.isoformat()
        case Mapping() | list() | tuple():
            return json.dumps(value, default=str, ensure_ascii=False)
    return str(value)


def _spelling(type_: LakeType) -> Callable[[Any], Any]:
    """What gives a value as JSON whose leaves are texts, or null. It raises _Misfit."""
    if type_.kind == "list" and type_.element is not None:
        return _list(_spelling(type_.element))
    if type_.kind == "struct":
        return _struct([(name, _spelling(each)) for name, each in type_.fields])
    fits = _fits(type_)

    def leaf(value: Any) -> str | None:
        if value is None:
            return None
        text = value if isinstance(value, str) else spelled(value)
        if text is None or not fits(text):
            raise _Misfit
        return text

    return leaf


def _list(element: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def values(value: Any) -> list[Any] | None:
        if value is None:
            return None
        if isinstance(value, str | bytes | Mapping) or not isinstance(value, Sequence):
            raise _Misfit
        return [element(each) for each in value]

    return values


def _struct(members: Sequence[tuple[str, Callable[[Any], Any]]]) -> Callable[[Any], Any]:
    def values(value: Any) -> dict[str, Any] | None:
        if value is None:
            return None
        if not isinstance(value, dict | Mapping):
            raise _Misfit
        return {name: member(value.get(name)) for name, member in members}  # the engine wants every one

    return values


@cache
def _fits(type_: LakeType) -> Callable[[str], bool]:
    """Whether a text is a value of a type that is neither list nor struct."""
    kind = type_.kind
    if kind == "boolean":
        return lambda text: text.lower() in ("true", "false", "1", "0")
    if kind in _LARGEST:
        whole, largest = re.compile(r"[+-]?[0-9]{1,40}", re.ASCII), _LARGEST[kind]
        return lambda text: whole.fullmatch(text) is not None and -largest <= int(text) < largest
    if kind == "double":
        return lambda text: bool(_DOUBLE.fullmatch(text)) and (isfinite(float(text)) or "n" in text.lower())
    if kind == "decimal":
        digits = re.compile(rf"[+-]?[0-9]{{1,400}}(\.[0-9]{{0,{type_.scale}}}0*)?", re.ASCII)
        most = 10 ** (type_.precision - type_.scale)
        return lambda text: bool(digits.fullmatch(text)) and abs(int(text.partition(".")[0])) < most
    if kind in _TIMES:
        form = re.compile(_TIMES[kind])
        return lambda text: bool(form.fullmatch(text)) and _is_time(text)
    return lambda _: True


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _written(type_: LakeType) -> Any:
    if type_.kind == "list" and type_.element is not None:
        return ["list", _written(type_.element)]
    if type_.kind == "struct":
        return ["struct", [[name, _written(each)] for name, each in type_.fields]]
    return [type_.kind, type_.precision, type_.scale]


def _read(written: Any) -> LakeType:
    kind, *more = written
    if kind == "list":
        return LakeType("list", element=_read(more[0]))
    if kind == "struct":
        return LakeType("struct", fields=tuple((name, _read(each)) for name, each in more[0]))
    return LakeType(kind, *more)
