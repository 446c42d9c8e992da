"""Square's payments, refunds, orders and customers, as its reference describes them."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from starlette.requests import Request

from tests.vendors.fake import Refused, Seen, Vendor, at, moments, route

CLIENT, SECRET, REFRESH, FIRST = "sq0idp-client", "sq0csp-secretQx", "EQAAEG-refreshQx", "EAAAEE-firstQx"
START, END = "2026-03-01T10:00:00", "2026-03-01T11:00:00"
LOCATION = "L88917AVBK2S5"
TOKENS: set[str] = {FIRST}
# Created long before they were changed, which is why a search by their change must say since when they exist.
CREATED = "2019-05-01T08:00:00.000Z"
PAYMENT_TIMES = {f"pay{place:05}": time for place, time in enumerate(moments(330, START, END))}
ORDER_TIMES = {f"ord{place:05}": time for place, time in enumerate(moments(1300, START, END))}
QUERY = {"begin_time", "end_time", "sort_order", "cursor", "location_id", "limit", "sort_field"}
QUERY |= {"updated_at_begin_time", "updated_at_end_time"}


def _money(amount: int) -> dict[str, Any]:
    return {"amount": amount, "currency": "USD"}


def _written(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%S}.000Z"


PAYMENTS = [
    {
        "id": id_,
        "created_at": CREATED,
        "updated_at": _written(time),
        "amount_money": _money(100 + place),
        "status": "COMPLETED",
        "source_type": "CARD",
        "location_id": LOCATION,
        "card_details": {"status": "CAPTURED", "card": {"card_brand": "VISA", "last_4": "1111", "exp_year": 2030}},
        "refund_ids": ["r1", "r2"] if place % 2 else [],
    }
    for place, (id_, time) in enumerate(PAYMENT_TIMES.items())
]
ORDERS = [
    {
        "id": id_,
        "created_at": CREATED,
        "updated_at": _written(time),
        "location_id": LOCATION,
        "state": "COMPLETED",
        "version": 3,
        "source": {"name": "Point of Sale"},
        "line_items": [{"uid": "u1", "name": "Tea", "quantity": "2", "total_money": _money(500)}],
        "total_money": _money(500),
        "tenders": [{"id": "t1", "type": "CARD"}],
    }
    for id_, time in ORDER_TIMES.items()
]


def _error(status: int, category: str, code: str, detail: str, field: str | None = None) -> Refused:
    return Refused(status, {"errors": [{"category": category, "code": code, "detail": detail, "field": field}]})


def _bad(detail: str, field: str) -> Refused:
    return _error(400, "INVALID_REQUEST_ERROR", "BAD_REQUEST", detail, field)


def _let_in(request: Request) -> None:
    if request.headers.get("authorization", "").removeprefix("Bearer ") not in TOKENS:
        raise _error(401, "AUTHENTICATION_ERROR", "UNAUTHORIZED", "This request could not be authorized.")
    if not request.headers.get("square-version"):
        raise _bad("The version is missing.", "Square-Version")


def _token(_: Request, body: bytes) -> Any:
    try:
        asked = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise _bad("The body is no JSON.", "body") from None
    if (asked.get("client_id"), asked.get("client_secret")) != (CLIENT, SECRET):
        raise _error(401, "AUTHENTICATION_ERROR", "UNAUTHORIZED", "Not authorized")
    if (asked.get("grant_type"), asked.get("refresh_token")) != ("refresh_token", REFRESH):
        raise _error(401, "AUTHENTICATION_ERROR", "UNAUTHORIZED", "Invalid refresh token")
    TOKENS.add(token := f"EAAAEE-renewed{len(TOKENS)}")
    return {"access_token": token, "token_type": "bearer", "expires_at": "2027-01-01T00:00:00Z"}


def _time(text: str, field: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise _bad(f"{text} is not a valid RFC 3339 timestamp", field) from None


def _page(records: list[dict[str, Any]], asked: Mapping[str, Any], limit: int) -> dict[str, Any]:
    """A page of what was asked for, and a cursor that belongs to the very same question."""
    question = json.dumps({name: value for name, value in asked.items() if name != "cursor"}, sort_keys=True)
    digest = hashlib.sha256(question.encode()).hexdigest()[:12]
    start = 0
    if "cursor" in asked:
        of, _, place = str(asked["cursor"]).partition(".")
        if of != digest or not place.isdigit():
            raise _error(400, "INVALID_REQUEST_ERROR", "INVALID_CURSOR", "The cursor is of another query.", "cursor")
        start = int(place)
    more = {"cursor": f"{digest}.{start + limit}"} if start + limit < len(records) else {}
    return {"found": records[start : start + limit], **more}


def _payments(request: Request, _: bytes) -> Any:
    _let_in(request)
    query = dict(request.query_params)
    if strangers := query.keys() - QUERY:
        raise _bad("Unrecognized parameter", min(strangers))
    year_ago, now = datetime(2025, 11, 24, tzinfo=UTC), datetime(2026, 11, 24, tzinfo=UTC)
    begin = _time(query["begin_time"], "begin_time") if "begin_time" in query else year_ago
    end = _time(query["end_time"], "end_time") if "end_time" in query else now
    since = _time(query["updated_at_begin_time"], "updated_at_begin_time") if "updated_at_begin_time" in query else None
    until = _time(query["updated_at_end_time"], "updated_at_end_time") if "updated_at_end_time" in query else None
    if since is not None and query.get("sort_field") != "UPDATED_AT":
        raise _bad("sort_field must be UPDATED_AT", "sort_field")
    found = [
        payment
        for payment in PAYMENTS
        if begin <= _time(str(payment["created_at"]), "") < end
        and (since is None or _time(str(payment["updated_at"]), "") >= since)
        and (until is None or _time(str(payment["updated_at"]), "") <= until)
    ]
    page = _page(found, query, min(int(query.get("limit", "100")), 100))
    return {"payments": page.pop("found"), **page}


def _orders(request: Request, body: bytes) -> Any:
    _let_in(request)
    asked = orjson.loads(body)
    if strangers := asked.keys() - {"location_ids", "cursor", "query", "limit", "return_entries"}:
        raise _bad("Unrecognized field", min(strangers))
    if asked.get("location_ids") != [LOCATION]:
        raise _bad("location_ids must have 1 to 10 of the merchant's locations", "location_ids")
    filter_ = asked.get("query", {}).get("filter", {}).get("date_time_filter", {})
    field = next(iter(filter_), "updated_at")
    if filter_ and asked["query"].get("sort", {}).get("sort_field") != field.upper():
        raise _bad("sort_field must match the date_time_filter", "query.sort.sort_field")
    bounds = filter_.get(field, {})
    start, end = (
        _time(bounds.get(name, text), name)
        for name, text in (("start_at", "0001-01-01T00:00:00Z"), ("end_at", "9999-01-01T00:00:00Z"))
    )
    found = [order for order in ORDERS if start <= _time(str(order[field]), field) <= end]
    page = _page(found, asked, int(asked.get("limit", 500)))
    return {"orders": page.pop("found"), **page}


def _merchant(request: Request, _: bytes) -> Any:
    _let_in(request)
    return {"merchant": {"id": "DM7VKY8Q63GNP", "main_location_id": LOCATION}}


def _asked_payments(seen: Sequence[Seen]) -> None:
    assert {one.query["updated_at_begin_time"] for one in seen} == {"2026-03-01T10:00:00.000Z"}
    assert {one.query["updated_at_end_time"] for one in seen} == {"2026-03-01T11:00:00.000Z"}
    assert len(seen) == 4
    assert sum("cursor" in one.query for one in seen) == 3
    assert not any("location_id" in one.query for one in seen)


def _asked_orders(seen: Sequence[Seen]) -> None:
    assert len(seen) == 3
    assert all(one.json["query"]["sort"] == {"sort_field": "UPDATED_AT", "sort_order": "ASC"} for one in seen)
    assert ["cursor" in one.json for one in seen] == [False, True, True]


def _first_payment(row: Mapping[str, Any]) -> None:
    assert row["updated_at"] == at(START)
    assert row["amount_money"] == {"amount": 101, "currency": "USD"}
    assert row["card_details"]["card"]["last_4"] == "1111"
    assert row["refund_ids"] == ["r1", "r2"]


def _first_order(row: Mapping[str, Any]) -> None:
    assert row["source_name"] == "Point of Sale"
    assert row["line_items"][0]["total_money"]["amount"] == 500
    assert row["tenders"] == '[{"id":"t1","type":"CARD"}]'


def _reset() -> None:
    TOKENS.clear()
    TOKENS.add(FIRST)


ROUTES = [
    route("/oauth2/token", _token, "POST"),
    route("/v2/payments", _payments),
    route("/v2/orders/search", _orders, "POST"),
    route("/v2/merchants/me", _merchant),
]
AUTH = {
    "host": "connect.squareup.com",
    "clientId": CLIENT,
    "clientSecret": SECRET,
    "accessToken": FIRST,
    "refreshToken": REFRESH,
}
VENDORS = [
    Vendor(
        spec="square",
        auth_spec="OAuth2 Refresh Code",
        auth=AUTH,
        params={"tableName": "payments"},
        key="id",
        times=PAYMENT_TIMES,
        window=(START, END),
        delta="updated_at",
        routes=ROUTES,
        asked=_asked_payments,
        data="/v2/payments",
        wrong_auth={"accessToken": "EAAAEE-wrong", "refreshToken": "EQAAEG-wrong"},
        renews=True,
        reset=_reset,
        check_row=_first_payment,
    ),
    Vendor(
        spec="square",
        auth_spec="OAuth2 Refresh Code",
        auth=AUTH,
        params={"tableName": f"orders?locationId={LOCATION}"},
        key="id",
        times=ORDER_TIMES,
        window=(START, END),
        delta="updated_at",
        routes=ROUTES,
        asked=_asked_orders,
        data="/v2/orders/search",
        wrong_auth={"accessToken": "EAAAEE-wrong", "refreshToken": "EQAAEG-wrong"},
        renews=True,
        reset=_reset,
        check_row=_first_order,
    ),
]
