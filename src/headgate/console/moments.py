"""Moments as forms and addresses write them, always in UTC, and the windows that people mean by a word."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from headgate.errors import BadTime

__all__ = ["PRESETS", "moment", "preset", "read_instant", "written"]

PRESETS = {
    "hour": "Last hour",
    "yesterday": "Yesterday",
    "week": "Last 7 days",
    "since": "Since the last success",
}
_EPOCHS = {"epoch_s": 1, "epoch_ms": 1000, "epoch_us": 1_000_000}  # in a second
_FORMS = ("%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S.%f", "%Y-%m-%d")


def moment(text: str, name: str) -> int:
    """Milliseconds since the epoch of what a field for a time holds; a bare day is its midnight. Raises BadTime."""
    for form in _FORMS:
        try:
            found = datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
        return round(found.timestamp() * 1000)
    shown = f"{text[:40]!r} is no time" if text else "There is no time"
    raise BadTime(f"{shown}; write it as 2024-03-01T12:30, in UTC.", parameter=f"params.{name}")


def read_instant(value: object, date_format: str = "", timezone: str = "") -> int:
    """Milliseconds since the epoch of a delta column's value, as a survey tells it. Raises ValueError where it is open.

    A time without a zone is one of `timezone`, else of UTC; a number is a time only where `date_format` says of what.
    """
    if isinstance(value, int) and date_format in _EPOCHS:
        return value * 1000 // _EPOCHS[date_format]
    if not isinstance(value, str) or date_format:
        raise ValueError(f"{value!r} is no time by itself.")
    found = datetime.fromisoformat(value)
    zoned = found if found.tzinfo else found.replace(tzinfo=ZoneInfo(timezone) if timezone else UTC)
    return int(zoned.timestamp() * 1000)


def written(milliseconds: int) -> str:
    """The same the other way round."""
    found = datetime.fromtimestamp(milliseconds / 1000, UTC).replace(tzinfo=None)
    return found.isoformat(timespec="minutes" if milliseconds % 60_000 == 0 else "auto")


def preset(name: str, present_ms: int) -> tuple[int, int]:
    """The window that a word means: hours and days are whole ones of UTC. Raises KeyError for an unknown word."""
    now = datetime.fromtimestamp(present_ms / 1000, UTC)
    hour, day = now.replace(minute=0, second=0, microsecond=0), now.replace(hour=0, minute=0, second=0, microsecond=0)
    start, end = {
        "hour": (hour - timedelta(hours=1), hour),
        "yesterday": (day - timedelta(days=1), day),
        "week": (day - timedelta(days=7), day),
    }[name]
    return round(start.timestamp() * 1000), round(end.timestamp() * 1000)
