"""Values that the lake cannot hold make a split fail by name, instead of arriving changed."""

import re

from headgate.dataplane import literal

__all__ = ["REJECT", "complaint", "fail", "rejection"]

REJECT = "_headgate_reject"
"""The extra column of a split's SQL at the source: why the row cannot be held, NULL when it can."""

_FOUND = re.compile(r"headgate-reject<(.*)>headgate-reject", re.DOTALL)


def complaint(column: str, reason: str) -> tuple[str, str]:
    """The text before and after an example value: `column` cannot be held because of `reason`."""
    return (
        f'The column "{column}" holds ',
        f", {reason}. Correct it at the source, narrow the window, or leave the column out with params.columns.",
    )


def fail(reason: str) -> str:
    """A DuckDB expression that ends the query with `reason`, itself a DuckDB expression that yields text."""
    # A value quoted in the reason may be text that is not UTF-8, which no error could carry.
    shown = f"coalesce(TRY(decode(encode({reason}))), 'A column holds text that is not valid UTF-8.')"
    return f"error({literal('headgate-reject<')} || {shown} || {literal('>headgate-reject')})"


def rejection(text: str) -> str | None:
    """The reason that `fail()` gave, when `text` is the message of such an error."""
    return found[1] if (found := _FOUND.search(text)) else None
