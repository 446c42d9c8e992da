"""Times as people write them."""

import calendar
import re
from datetime import UTC, datetime, timedelta

from headgate.client.shapes import Moment
from headgate.errors import BadTime

__all__ = ["in_milliseconds", "on_the_wire", "parse_time"]

_AGO = re.compile(r"-(\d{1,6})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def in_milliseconds(moment: Moment, *, now: datetime | None = None) -> int:
    """Milliseconds since the epoch of any `Moment`. Raises BadTime."""
    if isinstance(moment, str):
        return parse_time(moment, now=now)
    if isinstance(moment, int):
        return moment if abs(moment) >= 10**11 else moment * 1000
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    # Not by subtraction, which the datetimes of other libraries have for themselves.
    return calendar.timegm(moment.utctimetuple()) * 1000 + moment.microsecond // 1000


def on_the_wire(moment: Moment, *, now: datetime | None = None) -> int:
    """Seconds where it can be, else milliseconds, which the service tells apart by their size. Raises BadTime."""
    milliseconds = in_milliseconds(moment, now=now)
    seconds, rest = divmod(milliseconds, 1000)
    if rest and milliseconds < 10**11:
        raise BadTime("A time before 1973-03-03 must lie on a whole second.")
    return milliseconds if rest else seconds


def parse_time(text: str, *, now: datetime | None = None) -> int:
    """Milliseconds since the epoch of `text`: ISO 8601 (UTC when it names no zone), `now`, `today`,
    `yesterday`, `tomorrow`, a span ago such as `-7d` or `-90m`, or a number of Unix seconds.

    Raises BadTime.
    """
    present = now or datetime.now(UTC)
    midnight = present.replace(hour=0, minute=0, second=0, microsecond=0)
    named = {
        "now": present,
        "today": midnight,
        "yesterday": midnight - timedelta(days=1),
        "tomorrow": midnight + timedelta(days=1),
    }
    if text in named:
        return in_milliseconds(named[text])
    if found := _AGO.fullmatch(text):
        return in_milliseconds(present - timedelta(**{_UNITS[found[2]]: int(found[1])}))
    if re.fullmatch(r"\d{9,15}", text):
        return in_milliseconds(int(text))
    try:
        return in_milliseconds(datetime.fromisoformat(text))
    except ValueError:
        raise BadTime(f"{text[:40]!r} is no time. Write 2013-03-01, 2013-03-01T06:00:00Z, yesterday or -7d.") from None
