"""Values that the lake cannot hold make a split fail by name, or leave their record out, instead of arriving changed.

Every clause that finds such a value gives a reason: the column's name, SEPARATOR, and the words.
"""

import re
from collections.abc import Mapping

from headgate.dataplane import literal
from headgate.errors import UnholdableValue
from headgate.rejects import SEPARATOR, leave_out, record_of

__all__ = ["REJECT", "complaint", "fail", "reason", "rejection", "unless"]

REJECT = "_headgate_reject"
"""The extra column of a split's SQL: why the row cannot be held, NULL when it can."""

_FOUND = re.compile(r"headgate-reject<(.*)>headgate-reject", re.DOTALL)


_REMEDY = "Correct it at the source, narrow the window, or leave the column out with params.columns."


def complaint(column: str, reason: str, remedy: str = _REMEDY) -> tuple[str, str]:
    """The text before and after an example value: `column` cannot be held because of `reason`."""
    return f'The column "{column}" holds ', f", {reason}. {remedy}"


def reason(column: str, why: str, remedy: str = _REMEDY) -> tuple[str, str]:
    """What a clause gives, before and after the example value."""
    before, after = complaint(column, why, remedy)
    return f"{column}{SEPARATOR}{before}", after


def unless(found: str, record: Mapping[str, str], *, rejecting: bool, file: str = "NULL") -> str:
    """A condition in DuckDB's SQL: true unless there is a reason in `found`, the name of a column.

    Then the query fails, or, when `rejecting`, the row is left out. `record` is the SQL of its values by column, `file`
    of the address of its file; a third part of the reason is the record as the source itself writes it.
    """
    column, words, written = (f"split_part({found}, {literal(SEPARATOR)}, {part})" for part in (1, 2, 3))
    if not rejecting:
        return f"CASE WHEN {found} IS NOT NULL THEN {fail(words)} ELSE true END"
    told = f"coalesce(nullif({written}, ''), {record_of(record)})"
    out = leave_out(words, code=UnholdableValue.code, column=column, file=file, record=told)
    return f"CASE WHEN {found} IS NOT NULL THEN {out} ELSE true END"


def fail(words: str) -> str:
    """A DuckDB expression that ends the query with `words`, itself a DuckDB expression that yields text."""
    # A value quoted in the words may be text that is not UTF-8, which no error could carry.
    shown = f"coalesce(TRY(decode(encode({words}))), 'A column holds text that is not valid UTF-8.')"
    return f"error({literal('headgate-reject<')} || {shown} || {literal('>headgate-reject')})"


def rejection(text: str) -> str | None:
    """The words that `fail()` gave, when `text` is the message of such an error."""
    return found[1] if (found := _FOUND.search(text)) else None
