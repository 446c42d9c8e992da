"""Listings: reading the query parameters, and continuation tokens.

A continuation token is the query and the place it goes on at, sealed for one organisation, sandbox and
collection. It consists of letters, digits, `-` and `_`, because clients paste it into addresses unescaped.
"""

import base64
import json
import re
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from headgate.errors import BadFilterValue, BadOrderBy, BadOrderByPrefix, UnknownParameter
from headgate.model.query import Field, Query, parse_limit, parse_query
from headgate.model.runs import Json
from headgate.model.scope import Scope
from headgate.store import Page
from headgate.store.keyring import read_or_create

__all__ = ["Listings", "Parameters", "known_parameters", "projected", "truth"]

T = TypeVar("T")
Parameters = Sequence[tuple[str, str]]
_LISTING = ("property", "limit", "orderby", "count", "continuationToken")
_NONCE = 12


class Listings:
    """Reads listings and writes their pages. The key of the tokens is kept in `<keys>/paging.key`."""

    def __init__(self, keys: Path) -> None:
        self._path = keys / "paging.key"

    def read(self, scope: Scope, collection: str, parameters: Parameters, fields: Mapping[str, Field]) -> Query:
        """What the query parameters of `GET /<collection>` ask for.

        Raises the InvalidRequest that the contract names for an unknown or unusable parameter.
        """
        properties, single = known_parameters(parameters, _LISTING)
        limit, order, after = single.get("limit"), single.get("orderby"), None
        ascending = _ascending(order)
        if token := single.get("continuationToken"):
            begun = self._open(token, scope, collection)
            if properties not in ((), tuple(begun["property"])) or (order and ascending != begun["ascending"]):
                raise BadFilterValue(
                    "The continuationToken belongs to another query; send it alone or with the same query."
                )
            properties, ascending, after = tuple(begun["property"]), begun["ascending"], begun["after"]
            limit = limit or str(begun["limit"])
        query = parse_query(properties, fields, limit=parse_limit(limit), count=truth(single.get("count"), "count"))
        return replace(query, after=after, ascending=ascending)

    def answer(
        self,
        scope: Scope,
        collection: str,
        query: Query,
        page: Page[T],
        shown: Callable[[Sequence[T]], list[Json]],
    ) -> Json:
        """The wire's form of a page: `{items, _links}`, or `{count}` when that was asked for."""
        if query.count:
            return {"count": page.total}
        links = {}
        if page.next is not None:
            token = self._seal(
                {
                    "property": query.properties,
                    "limit": query.limit,
                    "ascending": query.ascending,
                    "after": page.next,
                },
                scope,
                collection,
            )
            links = {"next": {"href": f"/{collection}?continuationToken={token}"}}
        return {"items": projected(shown(page.items), query.projection), "_links": links}

    @cached_property
    def _cipher(self) -> AESGCM:
        return AESGCM(read_or_create(self._path, secrets.token_bytes(32)))

    def _seal(self, content: Json, scope: Scope, collection: str) -> str:
        nonce = secrets.token_bytes(_NONCE)
        text = json.dumps(content, separators=(",", ":")).encode()
        sealed = nonce + self._cipher.encrypt(nonce, text, _place(scope, collection))
        return _encoded(sealed)

    def _open(self, token: str, scope: Scope, collection: str) -> Json:
        try:
            sealed = _decoded(token)
            text = self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], _place(scope, collection))
        except (ValueError, InvalidTag) as error:
            raise BadFilterValue(
                "The continuationToken is not one that this listing gave. Begin again without it."
            ) from error
        content: Json = json.loads(text)
        return content


def known_parameters(parameters: Parameters, known: Iterable[str]) -> tuple[tuple[str, ...], dict[str, str]]:
    """The values of `property`, and the last value of every other parameter. Raises UnknownParameter, BadFilterValue.

    `if-match` is let pass, because one client sends that header as a parameter.
    """
    properties, single = [], {}
    for name, value in parameters:
        if name not in known and name != "if-match":
            raise UnknownParameter(
                f"The query parameter {name[:40]!r} is not known here. Known: {', '.join(known) or 'none'}.",
                parameter=name[:40],
            )
        if "\0" in value:
            raise BadFilterValue(f"{name} holds the character NUL.", parameter=name)
        if name == "property":
            properties.append(value)
        else:
            single[name] = value
    return tuple(properties), single


def truth(text: str | None, name: str) -> bool:
    """A parameter that is true or false, in any letter case; absent means false. Raises BadFilterValue."""
    if text is None or text.lower() == "false":
        return False
    if text.lower() == "true":
        return True
    raise BadFilterValue(f"{name} is {text[:40]!r}; it is true or false.")


def projected(items: list[Json], names: Sequence[str]) -> list[Json]:
    """`items` with only the members `names` and `id`; as they are when no names are given."""
    if not names:
        return items
    chosen = {"id", *names}
    return [{name: value for name, value in item.items() if name in chosen} for item in items]


def _ascending(order: str | None) -> bool:
    if not order:
        return False
    prefix, field = (order[0], order[1:]) if order[0] in "+- " else ("+", order)
    if re.match(r"\W", field):
        raise BadOrderByPrefix(f"orderby is {order[:40]!r}; the field is preceded by + or - or nothing.")
    if field != "createdAt":
        raise BadOrderBy(f"orderby names {field[:40]!r}; listings are ordered by createdAt or -createdAt.")
    return prefix != "-"


def _encoded(sealed: bytes) -> str:
    return base64.urlsafe_b64encode(sealed).decode().rstrip("=")


def _decoded(token: str) -> bytes:
    sealed = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    if _encoded(sealed) != token:  # the decoder skips what it does not know, and has spare bits at the end
        raise ValueError(token)
    return sealed


def _place(scope: Scope, collection: str) -> bytes:
    return "\x1f".join((scope.org_id, scope.sandbox_id, collection)).encode()
