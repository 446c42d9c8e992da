"""Values of the lake in the form JSON can carry without losing any of them."""

import math
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

__all__ = ["plain"]


def plain(value: Any) -> Any:
    """`value` for JSON: decimals, NaN and infinity are texts, times ISO 8601, bytes hexadecimal."""
    match value:
        case dict():
            return {key: plain(member) for key, member in value.items()}
        case list() | tuple():  # a map is a list of pairs
            return [plain(member) for member in value]
        case Decimal() | UUID():
            return str(value)
        case datetime() | date() | time():
            return value.isoformat()
        case bytes():
            return value.hex()
        case float() if not math.isfinite(value):
            return str(value)
    return value
