"""What a database's refusal is about, by the words that databases use."""

import re

from headgate.errors import SourceAccessDenied, SourceError, SourceObjectMissing, SourceUnreachable

__all__ = ["kind_of_refusal"]

_WORDS: tuple[tuple[str, type[SourceError]], ...] = (
    (r"authentication failed|access denied|permission denied|login failed|not authori[sz]ed", SourceAccessDenied),
    (r"invalid (?:username|password|credentials)|no password supplied|pg_hba|not permitted", SourceAccessDenied),
    (r"role .* does not exist|insufficient privilege", SourceAccessDenied),
    (
        r"does not exist|doesn't exist|no such (?:table|column|file)|unknown (?:table|column|database)",
        SourceObjectMissing,
    ),
    (r"invalid (?:object|table|column) name|table or view .*not found", SourceObjectMissing),
    (r"could not (?:connect|receive|send)|can't connect|unable to (?:connect|open)", SourceUnreachable),
    (r"connection .*(?:lost|closed|refused)", SourceUnreachable),
    (r"lost connection|gone away|server closed|terminating connection", SourceUnreachable),
    (r"connection (?:timed out|timeout)|timeout expired", SourceUnreachable),
    (
        r"is locked|deadlock|could not serialize|too many (?:clients|connections)|shutting down|starting up",
        SourceUnreachable,
    ),
)


def kind_of_refusal(words: str) -> type[SourceError]:
    """The error that stands for what a driver said; SourceError when the words are not known."""
    return next((kind for pattern, kind in _WORDS if re.search(pattern, words, re.IGNORECASE)), SourceError)
