"""Which columns order rows by time, and what a window's bounds are for each."""

from collections.abc import Callable
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from headgate.errors import SourceError
from headgate.model.lake import Column, column_named
from headgate.model.windows import Bounds, DeltaColumn, DeltaType, Window, sortable_pattern, text_format
from headgate.sources.interface import Relation

__all__ = ["delta_column", "delta_error", "epoch_bounds", "is_utc", "text_bounds"]

_EPOCHS = (DeltaType.EPOCH_S, DeltaType.EPOCH_MS, DeltaType.EPOCH_US)
_DEFAULT_PATTERN = "yyyy-MM-dd HH:mm:ss"


def delta_error(relation: Relation, delta: DeltaColumn, orders: Callable[[Column], bool]) -> str | None:
    """Why `delta` cannot order the rows of `relation`; None when it can.

    `orders` says whether the source's own type of an integer or text column may stand for times.
    """
    column = column_named(relation.columns, delta.name)
    if column is None:
        names = ", ".join(column.name for column in relation.columns)
        return f"The delta column {delta.name!r} is not among the columns of the source connection, which are: {names}."
    kind, form = column.type.kind, delta.date_format
    if delta.timezone is not None and _zone(delta.timezone) is None:
        return f"The time zone {delta.timezone!r} of the delta column is not known; send a name such as Europe/Berlin."
    if kind in ("timestamp", "timestamptz", "date"):
        return None
    if kind not in ("int", "long", "string") or not orders(column):
        return (
            f"The delta column {delta.name!r} has the type {column.source_type or column.type}, which does not order "
            "rows by time. Choose a timestamp or date column, integers of Unix time, or ISO text."
        )
    if kind == "string" and form is not None and sortable_pattern(form) is None:
        return (
            f"Text in the format {form!r} does not sort by time. The delta column {delta.name!r} must hold ISO text "
            "such as yyyy-MM-dd HH:mm:ss."
        )
    if kind != "string" and form is not None and form not in _EPOCHS:
        return (
            f"The delta column {delta.name!r} holds integers; its dateFormat must be epoch_s, epoch_ms or epoch_us, "
            f"not {form!r}."
        )
    return None


def delta_column(relation: Relation, delta: DeltaColumn, orders: Callable[[Column], bool]) -> Column:
    """The column that `delta` names. Raises SourceError with the sentence of `delta_error()`."""
    if reason := delta_error(relation, delta, orders):
        raise SourceError(reason, column=delta.name)
    return next(column for column in relation.columns if column.name == delta.name)


def epoch_bounds(window: Window, delta: DeltaColumn, latest: Callable[[], int | None]) -> Bounds:
    """The bounds for a column of integers; `latest` gives its largest value when its unit was not said."""
    if delta.date_format is not None:
        return Bounds.of(window, DeltaType(delta.date_format))
    largest = latest() or 0
    if largest < 10**11:
        return Bounds.of(window, DeltaType.EPOCH_S)
    return Bounds.of(window, DeltaType.EPOCH_MS if largest < 10**14 else DeltaType.EPOCH_US)


def text_bounds(window: Window, delta: DeltaColumn, sample: Callable[[], str | None]) -> tuple[Bounds, str]:
    """The bounds for a column of ISO text, and the pattern its values follow.

    `sample` gives one of its values. Raises SourceError when text like it does not sort by time.
    """
    value = sample()
    pattern = sortable_pattern(delta.date_format) if delta.date_format else None
    if pattern is None:
        pattern = _DEFAULT_PATTERN if value is None else text_format(value)
    if pattern is None:
        raise SourceError(
            f"The delta column {delta.name!r} holds {str(value)[:80]!r}, and text like it does not sort by time. "
            "It must be ISO text without a UTC offset, such as 2013-01-31 10:00:00 or 2013-01-31T10:00:00Z.",
            column=delta.name,
        )
    if pattern.endswith("ss") and (window.start_ms % 1000 or window.end_ms % 1000):
        raise SourceError(
            f"The delta column {delta.name!r} holds text, whose fractions of a second do not sort by time. "
            "Begin and end the window on a whole second.",
            column=delta.name,
        )
    return Bounds.of(window, DeltaType.TEXT, timezone=delta.timezone, pattern=pattern), pattern


def is_utc(delta: DeltaColumn) -> bool:
    """Whether values that carry no zone are in UTC."""
    return delta.timezone is None or delta.timezone.upper() in ("UTC", "Z", "ETC/UTC", "GMT")


def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None
