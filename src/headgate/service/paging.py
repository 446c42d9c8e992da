"""Listings: reading the query parameters, and continuation tokens.

A continuation token is the query and the place it goes on at, sealed for one organisation, sandbox and
collection.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar
from urllib.parse import parse_qsl

from headgate.errors import BadFilterValue, LimitWithCount, UnknownParameter
from headgate.model.query import (
    NEWEST_FIRST,
    Field,
    Order,
    Query,
    is_projection,
    parse_limit,
    parse_order,
    parse_query,
    whole_number,
)
from headgate.model.runs import Json
from headgate.model.scope import Scope
from headgate.service.sealing import Seal
from headgate.store import Page

__all__ = ["SINGLE", "Listings", "Parameters", "counted", "known_parameters", "projected", "searched", "truth"]

T = TypeVar("T")
Parameters = Sequence[tuple[str, str]]
SINGLE = ("limit", "orderby", "count")
_LISTING = ("property", *SINGLE, "continuationToken")


class Listings:
    """Reads listings and writes their pages. The key of the tokens is kept in `<keys>/paging.key`."""

    def __init__(self, keys: Path, *, strict: bool = False) -> None:
        self._tokens = Seal(keys / "paging.key")
        self._strict = strict

    def read(self, scope: Scope, collection: str, parameters: Parameters, fields: Mapping[str, Field]) -> Query:
        """What the query parameters of `GET /<collection>` ask for.

        Raises the InvalidRequest that the contract names for an unknown or unusable parameter.
        """
        properties, single = known_parameters(parameters, _LISTING)
        limit, order, after = single.get("limit"), parse_order(single.get("orderby"), fields), None
        if token := single.get("continuationToken"):
            begun = self._open(token, scope, collection)
            if properties not in ((), tuple(begun["property"])) or (
                single.get("orderby") and order.text != begun["orderby"]
            ):
                raise BadFilterValue(
                    "The continuationToken belongs to another query; send it alone or with the same query."
                )
            properties, order, after = tuple(begun["property"]), _order(begun["orderby"], fields), begun["after"]
            limit = limit or str(begun["limit"])
        count = truth(single.get("count"), "count")
        if self._strict and count and "limit" in single:
            raise LimitWithCount
        query = parse_query(properties, fields, limit=parse_limit(limit), count=count)
        return replace(query, after=None if after is None else (after[0], after[1]), order=order)

    def read_search(
        self,
        scope: Scope,
        collection: str,
        parameters: Parameters,
        body: Json,
        fields: Mapping[str, Field],
        *,
        extra: Iterable[str] = (),
    ) -> Query:
        """What the body of `POST /<collection>/search` asks for, but for its members `extra`. Raises InvalidRequest."""
        _, single = known_parameters(parameters, ("continuationToken",))
        return self.read(scope, collection, [*searched(body, *extra), *single.items()], fields)

    def answer(
        self,
        scope: Scope,
        collection: str,
        query: Query,
        page: Page[T],
        shown: Callable[[Sequence[T]], list[Json]],
        *,
        address: str | None = None,
    ) -> Json:
        """The wire's form of a page: `{items, _links}`, or `{count}` when that was asked for.

        The next page is at `address`, which is `/<collection>` unless given.
        """
        if query.count:
            return {"count": page.total}
        links = {}
        if page.next is not None:
            token = self._tokens.close(
                {
                    "property": query.properties,
                    "limit": query.limit,
                    "orderby": query.order.text,
                    "after": page.next,
                },
                *_place(scope, collection),
            )
            links = {"next": {"href": f"{address or '/' + collection}?continuationToken={token}"}}
        return {"items": projected(shown(page.items), query.projection), "_links": links}

    def _open(self, token: str, scope: Scope, collection: str) -> Json:
        try:
            return self._tokens.open(token, *_place(scope, collection))
        except ValueError as error:
            raise BadFilterValue(
                "The continuationToken is not one that this listing gave. Begin again without it."
            ) from error


def _order(text: str, fields: Mapping[str, Field]) -> Order:
    return NEWEST_FIRST if text == NEWEST_FIRST.text else parse_order(text, fields)


def counted(items: Sequence[Json], parameters: Parameters, address: str) -> Json:
    """The page of a short list that `limit` and `continuationToken` ask for, as `{items, _links}`.

    The token is the number of the entry that the page begins with. Raises InvalidRequest.
    """
    _, single = known_parameters(parameters, ("limit", "continuationToken"))
    limit = parse_limit(single.get("limit"))
    first = whole_number("continuationToken", single.get("continuationToken", "0"))
    links = {}
    if first + limit < len(items):
        links = {"next": {"href": f"{address}?limit={limit}&continuationToken={first + limit}"}}
    return {"items": list(items[first : first + limit]), "_links": links}


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


def searched(body: Json, *extra: str) -> list[tuple[str, str]]:
    """The query parameters that a search's body stands for: those in its `queryString`, then its own members.

    `extra` are the members it may have besides. Raises UnknownParameter, BadFilterValue.
    """
    known = ("queryString", *SINGLE, "projectionFields", *extra)
    for name in body:
        if name not in known:
            raise UnknownParameter(
                f"The member {name[:40]!r} is not known here. Known: {', '.join(known)}.", parameter=name[:40]
            )
    text, names = body.get("queryString") or "", body.get("projectionFields") or []
    if not isinstance(text, str):
        raise BadFilterValue("queryString is a text such as 'property=state==enabled&property=name==x'.")
    if not isinstance(names, list) or not all(isinstance(name, str) and is_projection(name) for name in names):
        raise BadFilterValue("projectionFields is a list of the names of top-level members.")
    parameters = parse_qsl(text.removeprefix("?"), keep_blank_values=True)
    parameters += [("property", ",".join(names))] if names else []
    return parameters + [(name, str(body[name])) for name in SINGLE if body.get(name) is not None]


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


def _place(scope: Scope, collection: str) -> tuple[str, ...]:
    return scope.org_id, scope.sandbox_id, collection
