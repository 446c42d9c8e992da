"""Stripe's list of charges, as its API reference has it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from starlette.requests import Request

from tests.vendors.fake import Refused, Seen, Vendor, at, epoch, moments, route

TOKEN = "sk_test_51Headgate0fake"
START, END = "2026-03-01T00:00:00", "2026-03-02T00:00:00"
KNOWN = {"limit", "starting_after", "ending_before", "created[gte]", "created[lt]", "created[gt]", "created[lte]"}
# Newest first, as Stripe lists them; the last has no time, which no charge of Stripe's is without.
TIMES = {f"ch_{place:03}": time for place, time in enumerate(moments(250, START, END))}
CHARGES: list[dict[str, Any]] = [
    {
        "id": id_,
        "object": "charge",
        "created": int(time.timestamp()),
        "amount": 1000 + place,
        "amount_captured": 1000 + place,
        "amount_refunded": 0,
        "currency": "eur",
        "status": "succeeded",
        "paid": True,
        "captured": True,
        "livemode": False,
        "customer": None,
        "payment_method_details": {"type": "card", "card": {"brand": "visa", "country": "DE"}},
        "billing_details": {"email": "a@example.org", "name": "Ada", "phone": None, "address": {"city": "Köln"}},
        "metadata": {"order": str(place)},
    }
    for place, (id_, time) in enumerate(TIMES.items())
]
CHARGES.sort(key=lambda charge: (charge["created"], charge["id"]), reverse=True)


def _error(status: int, message: str, parameter: str | None = None) -> Refused:
    return Refused(status, {"error": {"type": "invalid_request_error", "message": message, "param": parameter}})


def _let_in(request: Request) -> None:
    if request.headers.get("authorization") != f"Bearer {TOKEN}":
        raise _error(401, "Invalid API Key provided: sk_test_*****wrong")
    if not request.headers.get("stripe-version"):
        raise _error(400, "The version is missing.")


SUBSCRIPTIONS: list[dict[str, Any]] = [
    {
        "id": f"sub_{place:03}",
        "object": "subscription",
        "created": charge["created"],
        "status": "canceled" if place % 2 else "active",
        "customer": "cus_1",
        "start_date": charge["created"],
        "canceled_at": charge["created"] if place % 2 else None,
        "items": {"object": "list", "data": [{"id": "si_1", "quantity": 2, "price": {"id": "p", "unit_amount": 5}}]},
        "metadata": {},
    }
    for place, charge in enumerate(CHARGES)
]


def _charges(request: Request, _: bytes) -> Any:
    return _page(request, CHARGES, KNOWN)


def _subscriptions(request: Request, _: bytes) -> Any:
    # Without `status`, those that were cancelled are not among them.
    every = request.query_params.get("status") == "all"
    return _page(request, [one for one in SUBSCRIPTIONS if every or one["status"] == "active"], KNOWN | {"status"})


def _page(request: Request, records: Sequence[dict[str, Any]], known: set[str]) -> Any:
    _let_in(request)
    query = request.query_params
    for name in query:
        if name not in known:
            raise _error(400, f"Received unknown parameter: {name}", name)
    limit = query.get("limit", "10")
    if not limit.isdigit() or not 1 <= int(limit) <= 100:
        raise _error(400, f"Invalid limit: {limit}", "limit")
    bounds = [query.get(name, default) for name, default in (("created[gte]", "0"), ("created[lt]", "9999999999"))]
    if not all(bound.isdigit() for bound in bounds):
        raise _error(400, f"Invalid timestamp: {bounds}", "created")
    found = [charge for charge in records if int(bounds[0]) <= charge["created"] < int(bounds[1])]
    if "starting_after" in query:
        ids = [charge["id"] for charge in found]
        if query["starting_after"] not in ids:
            raise _error(400, f"No such charge: {query['starting_after']}", "starting_after")
        found = found[ids.index(query["starting_after"]) + 1 :]
    page = found[: int(limit)]
    return {"object": "list", "url": request.url.path, "has_more": len(found) > len(page), "data": page}


def _balance(request: Request, _: bytes) -> Any:
    _let_in(request)
    return {"object": "balance", "available": []}


def _asked(seen: Sequence[Seen]) -> None:
    spans = sorted({(int(one.query["created[gte]"]), int(one.query["created[lt]"])) for one in seen})
    assert (spans[0][0], spans[-1][1]) == (epoch(START), epoch(END))
    assert all(one[1] == two[0] for one, two in pairwise(spans)), "the slices of a window touch"
    assert all(one.query["limit"] == "100" for one in seen)
    assert any("starting_after" in one.query for one in seen)


def _first(row: Mapping[str, Any]) -> None:
    assert row["created"] == at(START)
    assert (row["amount"], row["card_brand"], row["metadata"]) == (1001, "visa", '{"order":"1"}')
    assert row["billing_details"]["address"]["city"] == "Köln"


def _first_subscription(row: Mapping[str, Any]) -> None:
    assert row["items"][0]["price"] == {"id": "p", "product": None, "currency": None, "unit_amount": 5}
    assert row["metadata"] == "{}"


CHARGED = Vendor(
    spec="stripe",
    auth_spec="OAuth2 Refresh Code",
    auth={"accessToken": TOKEN},
    params={"resourcePath": "charges"},
    key="id",
    times=TIMES,
    window=(START, END),
    routes=[route("/v1/charges", _charges), route("/v1/balance", _balance)],
    asked=_asked,
    data="/v1/charges",
    wrong_auth={"accessToken": "sk_test_wrong"},
    check_row=_first,
)
VENDORS = [
    CHARGED,
    replace(
        CHARGED,
        params={"tableName": "subscriptions"},
        times={str(one["id"]): datetime.fromtimestamp(one["created"], UTC) for one in SUBSCRIPTIONS},
        routes=[route("/v1/subscriptions", _subscriptions), route("/v1/balance", _balance)],
        data="/v1/subscriptions",
        check_row=_first_subscription,
    ),
]
