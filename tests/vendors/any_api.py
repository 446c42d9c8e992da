"""An API that has no manifest, read by what a source connection says of it."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from starlette.requests import Request

from tests.vendors.fake import Refused, Seen, Vendor, at, moments, route

USER, PASSWORD = "headgate-user", "any-password-31"
CLIENT, SECRET, REFRESH, FIRST = "any-client", "any-secret-31", "any-refresh-31", "any-first-31"
START, END = "2026-03-01T10:00:00", "2026-03-01T12:00:00"
TOKENS: set[str] = {FIRST}
TIMES: dict[int, datetime | None] = {100 + place: time for place, time in enumerate(moments(530, START, END))}
HIDDEN = dict(TIMES)
TIMES[300] = None  # shows a time that is none
ROWS = [
    {
        "id": id_,
        "updated": "yesterday" if TIMES[id_] is None else f"{time:%Y-%m-%dT%H:%M:%S}Z",
        "price": "12.30",
        "open": True,
        "buyer": {"name": "Ada", "tags": ["a", "b"]},
    }
    for id_, time in HIDDEN.items()
    if time is not None
]


def _let_in(request: Request) -> None:
    given = request.headers.get("authorization", "")
    basic = "Basic " + b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    if given != basic and given.removeprefix("Bearer ") not in TOKENS:
        raise Refused(401, {"error": "unauthorized"})


def _token(_: Request, body: bytes) -> Any:
    asked = Seen("POST", "", {}, {}, body).form
    wanted = {"grant_type": "refresh_token", "refresh_token": REFRESH, "client_id": CLIENT, "client_secret": SECRET}
    if asked != wanted:
        raise Refused(400, {"error": "invalid_grant"})
    TOKENS.add(token := f"any-token-{len(TOKENS)}")
    return {"access_token": token, "expires_in": 3600}


def _orders(request: Request, _: bytes) -> Any:
    _let_in(request)
    query = request.query_params
    if query.keys() - {"state", "since", "until", "page", "size"} or query.get("state") != "all":
        raise Refused(400, {"error": f"parameters are {sorted(query.keys())}"})
    since = datetime.fromisoformat(query.get("since", "0001-01-01T00:00:00Z"))
    until = datetime.fromisoformat(query.get("until", "9999-01-01T00:00:00Z"))
    found = [row for row in ROWS if since <= (HIDDEN[int(str(row["id"]))] or until) < until]
    page, size = int(query.get("page", "0")), int(query.get("size", "50"))
    return {"result": {"orders": found[page * size : (page + 1) * size], "more": (page + 1) * size < len(found)}}


def _asked(seen: Sequence[Seen]) -> None:
    assert [one.query["page"] for one in seen] == ["0", "1", "2"]
    assert {one.query["since"] for one in seen} == {"2026-03-01T10:00:00Z"}
    assert {one.query["until"] for one in seen} == {"2026-03-01T12:00:00Z"}


def _first(row: Mapping[str, Any]) -> None:
    assert (row["updated"], str(row["price"]), row["open"]) == (at(START), "12.30", True)
    assert row["buyer"] == {"name": "Ada", "tags": ["a", "b"]}


def _reset() -> None:
    TOKENS.clear()
    TOKENS.add(FIRST)


STREAM = {
    "request": {"query": {"size": 200}},
    "records": "result.orders",
    "paging": {"kind": "page", "parameter": "page", "first": 0, "more": "result.more"},
    "windows": {
        "updated": {
            "query": {"since": "{window.start|iso}", "until": "{window.end|iso}"},
            "grain": "second",
            "sides": "both",
        }
    },
    "key": ["id"],
    "columns": {
        "id": "long",
        "updated": "timestamptz",
        "price": "decimal(18,2)",
        "open": "boolean",
        "buyer": "struct<name: string, tags: list<string>>",
    },
}
ROUTES = [route("/v2/orders", _orders), route("/oauth/token", _token, "POST"), route("/v2/me", _orders)]
VENDORS = [
    Vendor(
        spec="generic-rest",
        auth_spec="oAuth2RefreshCode",
        auth={
            "host": "https://api.example.com/v2",
            "accessToken": FIRST,
            "refreshToken": REFRESH,
            "clientId": CLIENT,
            "clientSecret": SECRET,
            "accessTokenUrl": "https://api.example.com/oauth/token",
            "authorizationTestUrl": "https://api.example.com/v2/orders?state=all",
        },
        params={"resourcePath": "orders?state=all", "stream": STREAM},
        key="id",
        times=TIMES,
        window=(START, END),
        routes=ROUTES,
        asked=_asked,
        data="/v2/orders",
        wrong_auth={"accessToken": "any-wrong-31", "refreshToken": "any-wrong-32"},
        listed=False,
        renews=True,
        reset=_reset,
        check_row=_first,
    ),
]
