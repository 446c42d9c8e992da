"""Streams that a source connection describes itself, for APIs that have no manifest.

In `params.stream` stands what a manifest would say of it: records, paging, windows, columns. `rest` takes
`params.resourcePath` besides, `graphql` the query and its variables. Columns that are left out are found in the first
records, when a read is planned.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from headgate.errors import BadParameter, ParameterMissing
from headgate.sources.rest.ask import Ask, moved
from headgate.sources.rest.asking import Asking
from headgate.sources.rest.loading import stream_fault, stream_of
from headgate.sources.rest.manifest import Stream

__all__ = ["LOOKED_AT", "check_of", "columns_found", "inline_about", "inline_name", "inline_stream"]

LOOKED_AT = 1000
"""So many records are looked at to find columns, at most."""

_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d([.]\d{1,6})?)?(Z|[+-]\d\d:?\d\d)")
_OWN = ("resourcePath", "stream", "query", "variables")


def inline_name(kind: str, params: Mapping[str, Any]) -> str:
    """What a stream that `params` describe is called: its description. Raises ParameterMissing."""
    needed = "resourcePath" if kind == "rest" else "query"
    if not isinstance(params.get(needed), str) or not params[needed].strip():
        raise ParameterMissing(f"params.{needed} is missing.")
    return json.dumps({name: params[name] for name in _OWN if name in params}, sort_keys=True)


def inline_about(kind: str, name: str) -> dict[str, Any]:
    """What a manifest would say of the stream; without `columns` where the source connection says none."""
    params = json.loads(name)
    return _rest(params) if kind == "rest" else _graphql(params)


def inline_stream(kind: str, name: str, about: Mapping[str, Any]) -> Stream:
    """The stream that `about` describes. Raises BadParameter."""
    fault = stream_fault(about)
    if fault is None:
        try:
            return stream_of(_title(kind, json.loads(name)), about, frozenset())
        except ValueError as error:
            fault = str(error)
    raise BadParameter(f"params.stream does not describe a stream: {fault}.", parameter="stream")


def check_of(kind: str, asking: Asking) -> Ask:
    """What testing a connection asks: where it says to, or what any such service answers."""
    if kind == "graphql":
        return Ask("POST", asking.base, body={"query": "{ __typename }"})
    said = asking.values.get("authorizationTestUrl")
    if said:
        return Ask("GET", moved(str(said), asking.values) if "://" in str(said) else asking.base + str(said))
    return Ask("GET", asking.base, answers=frozenset({404, 405}))


def _title(kind: str, params: Mapping[str, Any]) -> str:
    return str(params["resourcePath"]) if kind == "rest" else "query"


def _rest(params: Mapping[str, Any]) -> dict[str, Any]:
    path, _, query = str(params["resourcePath"]).partition("?")
    if "://" in path or ".." in path.split("/"):
        raise BadParameter(
            f"params.resourcePath is {path[:100]!r}; give a path below the host.", parameter="resourcePath"
        )
    about = _said(params)
    request = about.get("request", {})
    if not isinstance(request, Mapping) or "path" in request:
        raise BadParameter("params.stream.request has no path: it is params.resourcePath.", parameter="stream")
    asked = {**dict(parse_qsl(query, keep_blank_values=True)), **(request.get("query") or {})}
    written = _braced("/" + path.lstrip("/"))
    return {**about, "request": {**request, "path": written, "query": asked}}


def _graphql(params: Mapping[str, Any]) -> dict[str, Any]:
    about = _said(params)
    if "request" in about or "error" in about:
        raise BadParameter(
            "params.stream has no request and no error here: the query is params.query.", parameter="stream"
        )
    records = about.get("records")
    if not isinstance(records, str) or not records:
        raise ParameterMissing("params.stream.records is missing: where they stand, as data.orders.edges[].node.")
    connection = records.partition("[]")[0].rpartition(".")[0]
    paging = {
        "kind": "cursor",
        "from": f"{connection}.pageInfo.endCursor",
        "into": "body:variables.after",
        "more": f"{connection}.pageInfo.hasNextPage",
    }
    windows = {column: _of_variables(said) for column, said in (about.get("windows") or {}).items()}
    body = {"query": _braced(str(params["query"])), "variables": params.get("variables") or {}}
    request = {"method": "POST", "path": "", "body": body}
    return {"paging": paging, **about, "windows": windows, "request": request, "error": "errors"}


def _of_variables(said: Any) -> Any:
    """A window of a manifest, for one that names variables of the query."""
    if not isinstance(said, Mapping):
        return said
    rest = {name: value for name, value in said.items() if name != "variables"}
    return {**rest, "body": {"variables": said.get("variables", {})}}


def _said(params: Mapping[str, Any]) -> dict[str, Any]:
    about = params.get("stream", {})
    if not isinstance(about, Mapping):
        raise BadParameter("params.stream is an object: records, paging, windows, columns, …", parameter="stream")
    return dict(about)


def _braced(text: str) -> str:
    """`text` as a template that holds no place."""
    return text.replace("{", "{{").replace("}", "}}")


def columns_found(records: Sequence[Any]) -> dict[str, Any]:
    """What a manifest would say of the columns of these records: a type that holds every value that was seen.

    Raises ParameterMissing where there are none.
    """
    seen: dict[str, list[Any]] = {}
    for record in records[:LOOKED_AT]:
        if isinstance(record, Mapping):
            for name, value in record.items():
                seen.setdefault(name, []).append(value)
    if not seen:
        raise ParameterMissing('There is no record to find columns in. Name them in columns, as {"id": "long"}.')
    return {name: _column([value for value in values if value is not None]) for name, values in seen.items()}


def _column(values: Sequence[Any]) -> str | dict[str, str]:
    kinds = {type(value) for value in values}
    if kinds == {bool}:
        return "boolean"
    if kinds == {int} and all(abs(value) < 1 << 63 for value in values):
        return "long"
    if kinds and kinds <= {int, float}:
        return "double"
    if kinds == {str}:
        return "timestamptz" if all(_INSTANT.fullmatch(value) for value in values) else "string"
    return {"type": "string", "read": "json"}
