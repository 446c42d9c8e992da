"""Values that a destination cannot hold make the query fail by name; nothing arrives changed.

A fault is SQL for the reason: the destination's path, SEPARATOR, and the words.
"""

import re

from headgate.dataplane import literal
from headgate.mapping.rules import Rule, SourceType
from headgate.rejects import SEPARATOR

__all__ = ["failing", "misfit", "missing", "rejection"]

_FOUND = re.compile(r"headgate-mapping<(.*)>headgate-mapping", re.DOTALL)


def misfit(value: str, rule: Rule, expected: str, actual: str) -> str:
    """The fault that the SQL `value` of the type `actual` is no `expected`.

    The words are those that clients of the original service take the parts out of.
    """
    before = f"A value does not fit the destination path {rule.destination}. Its value is "
    after = (
        f", the expected data type was: {expected.upper()}, the actual data type was: {actual.upper()}. Correct it "
        f"at the source, or declare another type in the schema. {_fields(rule)}"
    )
    shown = f"coalesce(TRY(left(CAST({value} AS VARCHAR), 80)), 'not to be shown')"
    return f"{literal(rule.destination + SEPARATOR + before + chr(39))} || {shown} || {literal(chr(39) + after)}"


def missing(destination: str, rule: Rule | None) -> str:
    """The fault that a required field has no value."""
    text = (
        f"A record has no value for the destination path {destination}. The schema requires one. Correct it at the "
        f"source, or take the field out of the schema's `required`. {_fields(rule) if rule else ''}"
    )
    return literal(destination + SEPARATOR + text.strip())


def failing(fault: str) -> str:
    """SQL that fails with the words of a fault."""
    words = f"split_part({fault}, {literal(SEPARATOR)}, 2)"
    return f"error({literal('headgate-mapping<')} || {words} || {literal('>headgate-mapping')})"


def rejection(text: str) -> str | None:
    """The reason that one of these failures gave, when `text` is the message of such an error."""
    return found[1] if (found := _FOUND.search(text)) else None


def _fields(rule: Rule) -> str:
    source = rule.source if rule.type is SourceType.ATTRIBUTE else rule.type.value
    return f"sourceField: {source} destinationField: {rule.destination}"
