"""What PostgreSQL's refusals mean, from psycopg by SQLSTATE and from DuckDB by the server's words."""

import re

import psycopg

from headgate.errors import (
    HeadgateError,
    SnapshotGone,
    SourceAccessDenied,
    SourceError,
    SourceObjectMissing,
    SourceUnreachable,
    UnholdableValue,
)
from headgate.sources.guard import rejection

__all__ = ["translate"]

_BY_STATE: tuple[tuple[str, type[SourceError]], ...] = (
    ("28", SourceAccessDenied),  # invalid authorization
    ("42501", SourceAccessDenied),  # insufficient privilege
    ("42P01", SourceObjectMissing),  # undefined table
    ("42703", SourceObjectMissing),  # undefined column
    ("3D000", SourceObjectMissing),  # undefined database
    ("3F000", SourceObjectMissing),  # undefined schema
    ("08", SourceUnreachable),  # connection exception
    ("57P0", SourceUnreachable),  # shutdown, cannot connect now
    ("53", SourceUnreachable),  # insufficient resources, too many connections
    ("40", SourceUnreachable),  # serialization failure, deadlock
    ("22021", UnholdableValue),  # text that is not in its database's encoding
    ("55P03", SourceUnreachable),  # lock not available
)
_BY_WORDS: tuple[tuple[str, type[SourceError]], ...] = (
    # The reading that exported the snapshot is gone; another attempt plans anew.
    (r"snapshot .*does not exist|invalid snapshot|could not import", SnapshotGone),
    (r"invalid byte sequence for encoding", UnholdableValue),
    (r"authentication failed|no password supplied|pg_hba|permission denied", SourceAccessDenied),
    (r"role .* does not exist|not permitted to log in", SourceAccessDenied),
    (r"does not exist", SourceObjectMissing),
    (
        r"server closed|terminating connection|connection (?:refused|to server)|could not connect",
        SourceUnreachable,
    ),
    (r"no connection to the server|SSL (?:SYSCALL|connection)|timeout expired", SourceUnreachable),
    (r"could not (?:receive|send) data|unable to connect|connection .*(?:lost|closed)", SourceUnreachable),
    (
        r"deadlock detected|could not serialize|conflict with recovery|shutting down|starting up",
        SourceUnreachable,
    ),
    (r"too many (?:clients|connections)|remaining connection slots", SourceUnreachable),
)
_SERVER_SAID = re.compile(r"(?:ERROR|FATAL|PANIC):\s+([^\n]+(?:\n(?:DETAIL|HINT):[^\n]+)*)")


def translate(error: Exception) -> HeadgateError:
    """The error of our tree that `error` stands for; its text may still hold what a connection string holds."""
    if isinstance(error, HeadgateError):
        return error
    import duckdb

    text = str(error).strip()
    if isinstance(error, duckdb.Error) and (reason := rejection(text)) is not None:
        return UnholdableValue(reason)
    said = _SERVER_SAID.search(text)
    reason = " ".join((said[1] if said else text).split())
    return _kind(error, reason)(f"PostgreSQL: {reason}")


def _kind(error: Exception, reason: str) -> type[SourceError]:
    if isinstance(error, psycopg.Error) and (state := error.sqlstate) is not None:
        return next((kind for start, kind in _BY_STATE if state.startswith(start)), SourceError)
    for pattern, kind in _BY_WORDS:
        if re.search(pattern, reason, re.IGNORECASE):
            return kind
    return SourceUnreachable if isinstance(error, psycopg.OperationalError) else SourceError
