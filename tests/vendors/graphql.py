"""An API that is asked in GraphQL, with connections as Relay describes them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
from starlette.requests import Request

from tests.vendors.fake import Refused, Seen, Vendor, at, moments, route

TOKEN = "gql-token-8c1f"
START, END = "2026-03-01T10:00:00", "2026-03-01T11:00:00"
QUERY = """
query Orders($first: Int!, $after: String, $since: DateTime, $until: DateTime) {
  orders(first: $first, after: $after, updatedFrom: $since, updatedBefore: $until) {
    edges { node { id updatedAt total { amount currency } lines { sku } } }
    pageInfo { hasNextPage endCursor }
  }
}
"""
TIMES = {f"gid://shop/Order/{place:04}": time for place, time in enumerate(moments(240, START, END))}


def _orders(request: Request, body: bytes) -> Any:
    if request.headers.get("authorization") != f"Bearer {TOKEN}":
        raise Refused(401, {"errors": [{"message": "Not signed in"}]})
    asked = orjson.loads(body)
    if asked.get("query") == "{ __typename }":
        return {"data": {"__typename": "Query"}}
    variables = asked.get("variables", {})
    if asked.get("query") != QUERY or variables.keys() - {"first", "after", "since", "until"}:
        return {"data": None, "errors": [{"message": "Syntax Error: the query is not as it was written"}]}
    if not isinstance(variables.get("first"), int) or not 1 <= variables["first"] <= 100:
        return {"data": None, "errors": [{"message": "first must be 1 to 100"}]}
    since = datetime.fromisoformat(variables.get("since") or "0001-01-01T00:00:00Z")
    until = datetime.fromisoformat(variables.get("until") or "9999-01-01T00:00:00Z")
    found = [id_ for id_, time in TIMES.items() if since <= time < until]
    after = variables.get("after")
    if after is not None and after not in found:
        return {"data": None, "errors": [{"message": f"{after} is no cursor"}]}
    start = found.index(after) + 1 if after is not None else 0
    page = found[start : start + variables["first"]]
    nodes = [
        {
            "id": id_,
            "updatedAt": TIMES[id_].isoformat(),
            "total": {"amount": "9.90", "currency": "EUR"},
            "lines": [{"sku": "A"}, {"sku": "B"}],
        }
        for id_ in page
    ]
    info = {"hasNextPage": start + len(page) < len(found), "endCursor": page[-1] if page else None}
    return {"data": {"orders": {"edges": [{"node": node} for node in nodes], "pageInfo": info}}}


def _asked(seen: Sequence[Seen]) -> None:
    variables = [one.json["variables"] for one in seen]
    assert {(one["since"], one["until"]) for one in variables} == {("2026-03-01T10:00:00Z", "2026-03-01T11:00:00Z")}
    assert ["after" in one for one in variables] == [False, True, True]


def _first(row: Mapping[str, Any]) -> None:
    assert (row["updatedAt"], row["total"]) == (at(START), {"amount": "9.90", "currency": "EUR"})
    assert row["lines"] == [{"sku": "A"}, {"sku": "B"}]


VENDOR = Vendor(
    spec="generic-graphql",
    auth_spec="Access Token",
    auth={"endpoint": "https://shop.example.com/graphql", "accessToken": TOKEN},
    params={
        "query": QUERY,
        "variables": {"first": 100},
        "stream": {
            "records": "data.orders.edges[].node",
            "windows": {
                "updatedAt": {
                    "variables": {"since": "{window.start|iso}", "until": "{window.end|iso}"},
                    "grain": "second",
                    "sides": "both",
                }
            },
            "key": ["id"],
            "columns": {
                "id": "string",
                "updatedAt": "timestamptz",
                "total": "struct<amount: string, currency: string>",
                "lines": "list<struct<sku: string>>",
            },
        },
    },
    key="id",
    times=TIMES,
    window=(START, END),
    routes=[route("/graphql", _orders, "POST")],
    asked=_asked,
    data="/graphql",
    listed=False,
    wrong_auth={"accessToken": "gql-wrong-8c1f"},
    check_row=_first,
)
