"""One request, and where it goes."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from headgate.errors import SourceError

__all__ = ["Ask", "address_of", "moved"]


@dataclass(slots=True)
class Ask:
    """A request, its templates filled. `own` says that it goes to the API itself, with its headers and secrets.

    `content` is a body as it is sent, in place of JSON or a form; an answer of a status in `answers` is no refusal.
    """

    method: str
    url: str
    query: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    form: dict[str, Any] | None = None
    own: bool = True
    content: bytes | None = None
    answers: frozenset[int] = frozenset()

    def copy(self) -> "Ask":
        """Another one like it."""
        return deepcopy(self)


def address_of(text: str, values: Mapping[str, Any]) -> str:
    """The absolute address that a filled base is. Raises SourceError."""
    whole = text if "://" in text else f"https://{text}"
    place = urlsplit(whole)
    named = place.scheme in ("http", "https") and not (place.hostname or ".").startswith(".")
    if any(sign in whole for sign in " @?#\\") or not named:
        raise SourceError(f"{text[:100]!r} is no address of an API; give a host, or https://host/path.")
    return moved(whole.rstrip("/"), values)


def moved(address: str, values: Mapping[str, Any]) -> str:
    """`address`, at the connection's `serviceUrl` when it has one. Raises SourceError."""
    instead = values.get("serviceUrl")
    if not instead:
        return address
    there, here = urlsplit(str(instead)), urlsplit(address)
    if there.scheme not in ("http", "https") or not there.hostname:
        raise SourceError(f"serviceUrl is {str(instead)[:100]!r}, which is no address; write it as https://host/path.")
    return urlunsplit((there.scheme, there.netloc, there.path.rstrip("/") + here.path, here.query, ""))
