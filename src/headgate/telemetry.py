"""Structured logs through one `emit()`.

Every line is one JSON object on standard error: `timestamp` (UTC), `level`, `event` and the fields given.
Secrets never get here: callers log ids, not connection parameters, and `redact()` cleans foreign texts.
"""

import logging
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import structlog

__all__ = ["configure", "emit", "hushed", "redact"]

_MASK = "xxxx"
_USED = r"password: (?:yes|no)\)"  # so servers of MySQL tell whether one was sent
_IN_TEXT = re.compile(
    rf"(?i)\b(?!{_USED})(password|passwd|pwd|secret|token)(\s*[=:]\s*)('[^']*'|\"[^\"]*\"|[^\s;&\"']+)"
)
_IN_URL = re.compile(r"(?<=://)([^\s:/@]*):([^\s@/]+)@")

_log = structlog.get_logger("headgate")


def configure(level: str = "INFO") -> None:
    """Send structured lines of at least `level` to standard error."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


@contextmanager
def hushed() -> Iterator[None]:
    """Send nothing less than errors meanwhile: for programs whose own words are the answer."""
    before = structlog.get_config()
    configure("ERROR")
    try:
        yield
    finally:
        structlog.configure(**before)


def emit(event: str, *, level: str = "info", **fields: object) -> None:
    """Record that `event` happened; `fields` must be JSON values and free of secrets."""
    getattr(_log, level)(event, **fields)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Mask passwords in `text`: those given, and what looks like one in a connection string or address."""
    for secret in secrets:
        if len(secret) > 2:
            text = text.replace(secret, _MASK)
    return _IN_URL.sub(rf"\1:{_MASK}@", _IN_TEXT.sub(rf"\1\2{_MASK}", text))
