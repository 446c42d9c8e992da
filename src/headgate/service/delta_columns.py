"""Which columns of a table that is explored could be the delta column of a run."""

from collections.abc import Sequence
from typing import Any

from headgate.model.lake import Column
from headgate.model.runs import Json
from headgate.model.windows import DeltaColumn, text_format
from headgate.sources import Preview, Relation, Source

__all__ = ["delta_columns"]

_TIMES = ("timestamptz", "timestamp", "date")  # the better ones first
# Seconds since 1970 from 2001 to 2096, and their thousandths and millionths: no other count looks like them for long.
_EPOCHS = {"epoch_s": 1, "epoch_ms": 1000, "epoch_us": 1_000_000}
_SECONDS = range(1_000_000_000, 4_000_000_000)


def delta_columns(source: Source, found: Preview) -> list[Json]:
    """The candidates, the likeliest first, each as a run takes it for `deltaColumn`.

    Those of dates and times; integers and texts only when all values that are shown are times, in the form given.
    """
    relation = Relation(found.columns)
    times: list[tuple[int, Json]] = []
    others: list[Json] = []
    for at, column in enumerate(found.columns):
        if column.type.kind in _TIMES:
            candidate: Json = {"name": column.name}
        elif (form := _form(column, [row[at] for row in found.rows if row[at] is not None])) is not None:
            candidate = {"name": column.name, "dateFormat": form}
        else:
            continue
        if source.delta_error(relation, DeltaColumn(column.name, candidate.get("dateFormat"))) is not None:
            continue
        if column.type.kind in _TIMES:
            times.append((_TIMES.index(column.type.kind), candidate))
        else:
            others.append(candidate)
    return [candidate for _, candidate in sorted(times, key=lambda found: found[0])] + others


def _form(column: Column, values: Sequence[Any]) -> str | None:
    """The one form in which every value is a time, None when there is none, or no value."""
    if not values:
        return None
    if column.type.kind in ("int", "long"):
        forms = [{name for name, unit in _EPOCHS.items() if _is_epoch(value, unit)} for value in values]
        return next(iter(set.intersection(*forms)), None)
    if column.type.kind == "string":
        patterns = {text_format(value) if isinstance(value, str) else None for value in values}
        return patterns.pop() if len(patterns) == 1 else None
    return None


def _is_epoch(value: object, unit: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value // unit in _SECONDS
