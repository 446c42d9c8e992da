"""Stripe's list of charges, as its API reference has it."""

from collections.abc import Mapping, Sequence
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


def _charges(request: Request, _: bytes) -> Any:
    _let_in(request)
    query = request.query_params
    for name in query:
        if name not in KNOWN:
            raise _error(400, f"Received unknown parameter: {name}", name)
    limit = query.get("limit", "10")
    if not limit.isdigit() or not 1 <= int(limit) <= 100:
        raise _error(400, f"Invalid limit: {limit}", "limit")
    bounds = [query.get(name, default) for name, default in (("created[gte]", "0"), ("created[lt]", "9999999999"))]
    if not all(bound.isdigit() for bound in bounds):
        raise _error(400, f"Invalid timestamp: {bounds}", "created")
    found = [charge for charge in CHARGES if int(bounds[0]) <= charge["created"] < int(bounds[1])]
    if "starting_after" in query:
        ids = [charge["id"] for charge in found]
        if query["starting_after"] not in ids:
            raise _error(400, f"No such charge: {query['starting_after']}", "starting_after")
        found = found[ids.index(query["starting_after"]) + 1 :]
    page = found[: int(limit)]
    return {"object": "list", "url": "/v1/charges", "has_more": len(found) > len(page), "data": page}


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


VENDOR = Vendor(
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
