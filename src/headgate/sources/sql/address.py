"""Where a database is and who reads it: what the auth params of every driver's connections have in common.

Of every connection string and every parameter it is known what it means. Whatever else is sent is refused by name,
for a driver's options reach files, programs, other hosts and the identity of the account that runs the service.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any

from headgate.errors import BadParameter, ParameterMissing

__all__ = ["CONNECT_SECONDS", "flag", "number", "only", "pairs", "plain", "refused", "required", "spellings", "strings"]

CONNECT_SECONDS = 10
"""How long reaching a server may take."""

# The grammar of ADO.NET's connection strings, one pair at a time: `==` in a key stands for `=`, a value in quotes
# holds anything but a zero character, with its own quote doubled; another one neither begins nor ends with a quote.
_CONTROL = r"\x00-\x1f\x7f-\x9f"
_PAIR = re.compile(
    rf"[\s;]*(?P<key>(?:[^=;\s{_CONTROL}]|\s+[^=;\s{_CONTROL}]|\s*==)+)\s*=(?!=)\s*"
    r"""(?:"(?P<double>(?:[^"\0]|"")*)"|'(?P<single>(?:[^'\0]|'')*)'"""
    r"""|(?P<bare>(?:(?!["'])(?:[^;\s\0]|\s+[^;\s\0])*(?<!["']))?))\s*(?:;|$)"""
)
_TRUE, _FALSE = ("true", "yes", "1", "on"), ("false", "no", "0", "off")


def pairs(text: str, keys: Mapping[str, str], ignored: Collection[str] = ()) -> dict[str, str]:
    """What a connection string `Key=Value;…` says, by ADO.NET's rules for quotes, under the names that `keys` gives.

    Keys are compared without regard to case, and to single spaces in `keys`' own spelling. Those in `ignored` say
    neither where nor who, and are passed over; an empty value is none. Raises BadParameter for every other key, for
    one that stands twice, and for text that is no such string; no message repeats a value.
    """
    found: dict[str, str] = {}
    at, end = 0, len(text.rstrip("; \t\r\n"))
    while at < end:
        pair = _PAIR.match(text, at)
        if pair is None:
            raise BadParameter(
                "connectionString cannot be read: every part must be Key=Value, parted by semicolons; a value with a "
                "semicolon or a quote of its own stands in quotes, its own quotes doubled.",
                field="connectionString",
            )
        at = pair.end()
        written = " ".join(pair["key"].replace("==", "=").split())
        key = written.lower()
        if key in ignored:
            continue
        name = keys.get(key)
        if name is None:
            raise refused(written)
        if name in found:
            raise BadParameter(f"{written} stands twice in connectionString, under this name or another.", field=name)
        if pair["double"] is not None:
            found[name] = pair["double"].replace('""', '"')
        elif pair["single"] is not None:
            found[name] = pair["single"].replace("''", "'")
        else:
            found[name] = pair["bare"]
    return {name: value for name, value in found.items() if value}


def strings(auth_params: Mapping[str, Any]) -> dict[str, str]:
    """The parameters that have a value, as text. Raises BadParameter for a value that is neither text nor number."""
    found: dict[str, str] = {}
    for key, value in auth_params.items():
        if value is None or value == "":
            continue
        if not isinstance(value, str | int):
            raise BadParameter(f"{key} must be a text.", field=key)
        found[key] = str(value).lower() if isinstance(value, bool) else str(value)
    return found


def only(params: Mapping[str, str], allowed: Collection[str]) -> None:
    """Raises BadParameter for the first of `params` that is not `allowed`."""
    for key in params:
        if key not in allowed:
            raise refused(key)


def required(params: Mapping[str, str], system: str, *names: str) -> None:
    """Raises ParameterMissing for the first of `names` that `params` does not give."""
    for name in names:
        if not params.get(name):
            raise ParameterMissing(f"The connection to {system} needs its {name}.", field=name)


def plain(params: Mapping[str, str], secret: Collection[str]) -> None:
    """Raises BadParameter for a value with a control character; those in `secret` only may hold no zero character."""
    for key, value in params.items():
        if "\0" in value or (key not in secret and not value.isprintable()):
            raise BadParameter(f"{key} holds a control character.", field=key)


def number(params: Mapping[str, str], key: str, default: int, highest: int = 65535) -> int:
    """The number from 1 to `highest` that `key` holds."""
    text = params.get(key) or str(default)
    if not re.fullmatch("[0-9]{1,6}", text) or not 1 <= int(text) <= highest:
        raise BadParameter(f"{key} must be a number from 1 to {highest}.", field=key)
    return int(text)


def flag(params: Mapping[str, str], key: str, default: bool) -> bool:
    """Whether `key` says true. Raises BadParameter for what is neither true nor false."""
    text = params.get(key, "").lower()
    if not text:
        return default
    if text not in _TRUE + _FALSE:
        raise BadParameter(f"{key} must be true or false.", field=key)
    return text in _TRUE


def refused(key: str) -> BadParameter:
    """The error for a parameter that has no business here."""
    return BadParameter(f"The connection parameter {key[:80]!r} is not allowed here; leave it out.", field=key[:80])


def spellings(*secrets: str | None) -> tuple[str, ...]:
    """Every spelling of `secrets` that a driver's message may hold, the longest first."""
    found = set()
    for secret in filter(None, secrets):
        escaped = secret.replace("\\", "\\\\").replace("'", "\\'")
        found |= {secret, escaped, secret.replace("}", "}}"), secret.replace("'", "''"), secret.replace('"', '\\"')}
    return tuple(sorted(found, key=lambda text: (-len(text), text)))
