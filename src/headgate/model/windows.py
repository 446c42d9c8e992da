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

__all__ = ["Bounds", "DeltaColumn", "DeltaType", "Window", "parse_instant", "text_format"]

_LATEST_MS = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z, the last instant a timestamp column holds
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_instant(value: object, name: str) -> int:
    """Milliseconds since the epoch of a wire time; `name` is the field an error speaks of.

    Below 10^11 a number means seconds, else milliseconds (every millisecond value since 1973 is above).
    Raises BadTime.
    """
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise BadTime(
            f"{name} is {value!r}; send Unix seconds, as an integer or a string of digits.", field=name
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


@dataclass(frozen=True, slots=True)
class Window:
    """The half-open span `[start_ms, end_ms)` in milliseconds since the epoch."""

    start_ms: int
    end_ms: int

    @property
    def empty(self) -> bool:
        """Whether no instant lies in it."""
        return self.end_ms <= self.start_ms

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
                    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
                    return local.date() if local == midnight else local.date() + timedelta(days=1)
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

        return cls(type_, at(window.start_ms), at(window.end_ms))


_DATE_TEXT = re.compile(r"\d{4}-\d{2}-\d{2}")
_TIME_TEXT = re.compile(r"\d{4}-\d{2}-\d{2}([ T])\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|\+00(:?00)?)?")


def text_format(sample: str) -> str | None:
    """The sortable pattern that `sample` follows, or None when text like it does not sort by time.

    One of `yyyy-MM-dd`, `yyyy-MM-dd HH:mm:ss`, `yyyy-MM-ddTHH:mm:ss`; a fraction and a UTC mark may follow
    in the values. Text with another UTC offset does not sort by time.
    """
    if _DATE_TEXT.fullmatch(sample):
        return "yyyy-MM-dd"
    if found := _TIME_TEXT.fullmatch(sample):
        return f"yyyy-MM-dd{found[1]}HH:mm:ss"
    return None


def _render(local: datetime, pattern: str) -> str:
    if pattern == "yyyy-MM-dd":
        day = local.date()
        if local != datetime(day.year, day.month, day.day):
            day += timedelta(days=1)
        return day.isoformat()
    # No fraction and no zone: the bare second is a prefix of, and so sorts before, every spelling of it.
    text = local.strftime("%Y-%m-%d") + pattern[10] + local.strftime("%H:%M:%S")
    return text if not local.microsecond else f"{text}.{local.microsecond:06d}".rstrip("0")


def _instant(milliseconds: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=milliseconds)
