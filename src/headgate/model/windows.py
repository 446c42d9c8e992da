"""Windows of time, and how a delta column of any type is compared with one.

A window is half-open, `[start, end)`, in UTC. On the wire its ends are Unix seconds or milliseconds, as
integers or strings of digits; inside Headgate they are integer milliseconds.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from headgate.errors import BadTime

__all__ = [
    "Bounds",
    "DeltaColumn",
    "DeltaType",
    "Window",
    "parse_instant",
    "sortable_pattern",
    "text_format",
    "text_regex",
    "wire_time",
]

_LATEST_MS = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z, the last instant a timestamp column holds
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_instant(value: object, name: str) -> int:
    """Milliseconds since the epoch of a wire time; `name` is the field an error speaks of.

    Below 10^11 a number means seconds, else milliseconds (every millisecond value since 1973 is above).
    Raises BadTime.
    """
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise BadTime(
            f"{name} is {repr(value)[:40]}; send Unix seconds, as an integer or a string of digits.", field=name
        )
    if isinstance(value, str):
        if not re.fullmatch(r"[0-9]{1,18}", value):
            raise BadTime(
                f"{name} is {value[:40]!r}; send Unix seconds, as an integer or a string of digits.",
                field=name,
            )
        value = int(value)
    milliseconds = value * 1000 if value < 10**11 else value
    if not 0 <= milliseconds <= _LATEST_MS:
        raise BadTime(f"{name} is {value}; it must lie between 1970 and the end of 9999.", field=name)
    return milliseconds


def wire_time(milliseconds: int) -> int:
    """A wire time: whole seconds where it is one, else milliseconds; `parse_instant()` reads either."""
    return milliseconds // 1000 if milliseconds % 1000 == 0 else milliseconds


@dataclass(frozen=True, slots=True)
class Window:
    """The half-open span `[start_ms, end_ms)` in milliseconds since the epoch."""

    start_ms: int
    end_ms: int

    @property
    def empty(self) -> bool:
        """Whether no instant lies in it."""
        return self.end_ms <= self.start_ms

    @property
    def wire(self) -> dict[str, int]:
        """As the `params` of a run name it."""
        return {"windowStartTime": wire_time(self.start_ms), "windowEndTime": wire_time(self.end_ms)}

    def __str__(self) -> str:
        start, end = (_instant(ms).strftime("%Y-%m-%dT%H:%M:%S.%fZ") for ms in (self.start_ms, self.end_ms))
        return f"[{start}, {end})"


@dataclass(frozen=True, slots=True)
class DeltaColumn:
    """The column that separates new rows from old ones.

    `date_format` says what its values look like when the type alone does not: `epoch_s`, `epoch_ms` or
    `epoch_us` for integers, a pattern such as `yyyy-MM-dd HH:mm:ss` for text. `timezone` is the zone of
    values that carry none; UTC when absent.
    """

    name: str
    date_format: str | None = None
    timezone: str | None = None


class DeltaType(StrEnum):
    """How the values of a delta column stand for instants."""

    TIMESTAMP = "timestamp"
    TIMESTAMPTZ = "timestamptz"
    DATE = "date"
    EPOCH_S = "epoch_s"
    EPOCH_MS = "epoch_ms"
    EPOCH_US = "epoch_us"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Bounds:
    """A window in a delta column's own type: a row is taken when `lower <= value < upper`.

    The values are a naive `datetime` (TIMESTAMP), an aware UTC one (TIMESTAMPTZ), a `date` (DATE), an `int`
    (EPOCH_*) or a `str` that sorts like the column's text (TEXT). Casting the bounds instead of the column
    keeps the source's index useful.
    """

    type: DeltaType
    lower: datetime | date | int | str
    upper: datetime | date | int | str

    @classmethod
    def of(
        cls, window: Window, type_: DeltaType, *, timezone: str | None = None, pattern: str | None = None
    ) -> "Bounds":
        """The bounds of `window` for a column of `type_`.

        `timezone` is the zone of values without one. `pattern` is what `text_format()` gave (TEXT only).
        A value coarser than the bound (a date, a whole second) stands for the first instant it names.
        Raises BadTime when a bound lies past the year 9999 in the column's own values.
        """
        zone = ZoneInfo(timezone) if timezone else UTC

        def at(milliseconds: int) -> datetime | date | int | str:
            instant = _instant(milliseconds)
            local = instant.astimezone(zone).replace(tzinfo=None)
            match type_:
                case DeltaType.TIMESTAMPTZ:
                    return instant
                case DeltaType.TIMESTAMP:
                    return local
                case DeltaType.DATE:
                    return _next_day(local)
                case DeltaType.EPOCH_S:
                    return -(-milliseconds // 1000)
                case DeltaType.EPOCH_MS:
                    return milliseconds
                case DeltaType.EPOCH_US:
                    return milliseconds * 1000
                case DeltaType.TEXT:
                    if pattern is None:
                        raise ValueError("a text delta column needs the pattern of its values")
                    return _render(local, pattern)

        try:
            return cls(type_, at(window.start_ms), at(window.end_ms))
        except OverflowError:
            raise BadTime("The window reaches past the end of 9999 in the delta column's own values.") from None


_DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_UTC_MARK = "(Z|[+]00(:?00)?)?"
_TEXT = {
    "yyyy-MM-dd": _DAY,
    "yyyy-MM-dd HH:mm": f"{_DAY} [0-9]{{2}}:[0-9]{{2}}",
    "yyyy-MM-ddTHH:mm": f"{_DAY}T[0-9]{{2}}:[0-9]{{2}}",
    "yyyy-MM-dd HH:mm:ss": f"{_DAY} [0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}([.][0-9]{{1,9}})?",
    "yyyy-MM-ddTHH:mm:ss": f"{_DAY}T[0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}([.][0-9]{{1,9}})?",
}


def text_regex(pattern: str, *, marked: bool = True) -> str:
    """A regular expression, in a dialect every database reads, that whole values of `pattern` match.

    `marked` says whether they may carry a UTC mark (`Z`, `+00`, `+0000`, `+00:00`).
    """
    return _TEXT[pattern] + (_UTC_MARK if marked and pattern != "yyyy-MM-dd" else "")


def text_format(sample: str) -> str | None:
    """The sortable pattern that `sample` follows, or None when text like it does not sort by time.

    One of `yyyy-MM-dd`, `yyyy-MM-dd HH:mm`, `yyyy-MM-dd HH:mm:ss` and the latter two with a `T`; a fraction of a
    second and a UTC mark may follow in the values. Text with another UTC offset does not sort by time.
    """
    return next((pattern for pattern in _TEXT if re.fullmatch(text_regex(pattern), sample)), None)


def sortable_pattern(date_format: str) -> str | None:
    """The pattern of `text_format()` that a caller's `date_format` means; None when such text does not sort by time.

    A fraction, a zone letter and quotes around letters are allowed: `yyyy-MM-dd'T'HH:mm:ss.SSSZ`.
    """
    text = date_format.replace("'", "")
    text = re.sub(r"^YYYY-MM-DD", "yyyy-MM-dd", text, flags=re.IGNORECASE)
    text = re.sub(r"([.][SfF]{1,9})?(Z|X{1,3})?$", "", text)
    return text if text in _TEXT else None


def _render(local: datetime, pattern: str) -> str:
    # A value stands for the first instant it names, so a bound between two values becomes the later one.
    if pattern == "yyyy-MM-dd":
        return _next_day(local).isoformat()
    day, clock = local.strftime("%Y-%m-%d"), "%H:%M:%S"
    if pattern.endswith("mm"):
        if local.second or local.microsecond:
            local = local.replace(second=0, microsecond=0) + timedelta(minutes=1)
        day, clock = local.strftime("%Y-%m-%d"), "%H:%M"
    # No fraction and no zone: the bare second is a prefix of, and so sorts before, every spelling of it.
    text = day + pattern[10] + local.strftime(clock)
    return text if not local.microsecond else f"{text}.{local.microsecond:06d}".rstrip("0")


def _next_day(local: datetime) -> date:
    """The first day that does not begin before `local`."""
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    return local.date() if local == midnight else local.date() + timedelta(days=1)


def _instant(milliseconds: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=milliseconds)
