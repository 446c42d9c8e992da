"""Times as people write them."""

import re
from datetime import UTC, datetime, timedelta

from headgate.errors import BadTime

__all__ = ["parse_time"]

_AGO = re.compile(r"-(\d{1,6})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


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
        moment = named[text]
    elif found := _AGO.fullmatch(text):
        moment = present - timedelta(**{_UNITS[found[2]]: int(found[1])})
    elif re.fullmatch(r"\d{9,15}", text):
        return int(text) if int(text) >= 10**11 else int(text) * 1000
    else:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise BadTime(
                f"{text[:40]!r} is no time. Write 2013-03-01, 2013-03-01T06:00:00Z, yesterday or -7d."
            ) from None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
