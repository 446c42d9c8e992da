"""Times finer than the lake's microseconds: they come as text, so that a digit too many is seen and never cut."""

from typing import Literal

import pyarrow as pa

from headgate.model.lake import LakeType
from headgate.sources.sql.dialect import Rule

__all__ = ["text_rule"]

_BEYOND = "which is finer than the microseconds, or outside the years 1 to 9999, that the lake holds"
_TYPES = {"timestamp": "TIMESTAMP", "timestamptz": "TIMESTAMPTZ", "time": "TIME"}
_LENGTHS = {"timestamp": 26, "timestamptz": 26, "time": 15}  # of `2024-01-31 10:00:00.000000`, `10:00:00.000000`


def text_rule(kind: Literal["timestamp", "timestamptz", "time"], value: str) -> Rule:
    """How a column is read that `value` writes as `2024-01-31 10:00:00.123456789`, or as `10:00:00.123456789`.

    Every digit of the fraction is written, up to twelve, and the time is in UTC where `kind` is timestamptz.
    """
    length = _LENGTHS[kind]
    zone = " || '+00'" if kind == "timestamptz" else ""
    cast = f"TRY_CAST(left({{v}}, {length}){zone} AS {_TYPES[kind]})"
    shape = "([01][0-9]|2[0-3]):[0-9]{{2}}:[0-9]{{2}}([.][0-9]{{0,6}}0*)?"
    early = ""
    if kind != "time":
        shape = f"[0-9]{{{{4}}}}-[0-9]{{{{2}}}}-[0-9]{{{{2}}}} {shape}"
        early = " OR starts_with({v}, '0000')"
    refused = f"NOT regexp_full_match({{v}}, '{shape}'){early} OR ({{v}} IS NOT NULL AND {cast} IS NULL)"
    return Rule(LakeType(kind), pa.string(), value, cast, refused, _BEYOND, kind)
