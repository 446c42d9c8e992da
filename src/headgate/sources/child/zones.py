"""Times without a zone in columns that have one: some programs say `date-time`, and write none."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from headgate.model.lake import Column, LakeType

__all__ = ["zoned"]

_WITHOUT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?")

Record = Mapping[str, Any]


def zoned(columns: Sequence[Column], offset: str) -> Callable[[Record], Record]:
    """What gives a record whose times in columns with a zone have one: where none is written, `offset`."""
    changes = [(column.name, change) for column in columns if (change := _change(column.type, offset)) is not None]

    def record(found: Record) -> Record:
        return {**found, **{name: change(found[name]) for name, change in changes if name in found}}

    return record


def _change(type_: LakeType, offset: str) -> Callable[[Any], Any] | None:
    """What a value of a type becomes; None for a type that has no times with a zone."""
    if type_.kind == "timestamptz":
        return lambda value: value + offset if isinstance(value, str) and _WITHOUT.fullmatch(value) else value
    if type_.kind == "list" and type_.element is not None:
        element = _change(type_.element, offset)
        if element is None:
            return None
        return lambda value: [element(each) for each in value] if isinstance(value, list) else value
    inner = [(name, change) for name, each in type_.fields if (change := _change(each, offset)) is not None]
    if not inner:
        return None
    return lambda value: (
        {**value, **{name: change(value[name]) for name, change in inner if name in value}}
        if isinstance(value, dict)
        else value
    )
