"""Shopify's Admin REST API, as its documentation describes it."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.vendors.fake import Refused, Seen, Vendor, at, moments, route

TOKEN = "shpat_0f1e2d3c4b5a"
START, END = "2026-03-01T00:00:00", "2026-03-02T00:00:00"
PATH = "/admin/api/2026-10/orders.json"
KNOWN = {"limit", "status", "fields", "page_info"}
KNOWN |= {f"{column}_{end}" for column in ("updated_at", "created_at", "processed_at") for end in ("min", "max")}
SHOP = timezone(timedelta(hours=-5))
TIMES = {5_000_000_000_000 + place: time for place, time in enumerate(moments(620, START, END))}
ORDERS = [
    {
        "id": id_,
        "name": f"#{1000 + place}",
        "order_number": 1000 + place,
        "created_at": "2026-01-01T00:00:00-05:00",
        "updated_at": time.astimezone(SHOP).isoformat(),
        "processed_at": "2026-01-01T00:00:00-05:00",
        "cancelled_at": None,
        "currency": "EUR",
        "total_price": "598.94",
        "financial_status": "paid",
        "test": False,
        "customer": {"id": 207119551},
        "line_items": [{"id": 1, "sku": "IPOD", "quantity": 2, "price": "199.00"}],
        "shipping_address": {"city": "Köln", "country_code": "DE"},
        "refunds": [],
    }
    for place, (id_, time) in enumerate(TIMES.items())
]
ASKED: dict[str, tuple[list[Any], int]] = {}  # by page_info, what follows


def _bad(text: str) -> Refused:
    return Refused(400, {"errors": {"base": [text]}})


def _let_in(request: Request) -> None:
    if request.headers.get("x-shopify-access-token") != TOKEN:
        raise Refused(401, {"errors": "[API] Invalid API key or access token (unrecognized login or wrong password)"})


def _orders(request: Request, _: bytes) -> Response:
    _let_in(request)
    query = request.query_params
    if strangers := query.keys() - KNOWN:
        raise _bad(f"{min(strangers)} is not known")
    if not query.get("limit", "50").isdigit() or not 1 <= int(query.get("limit", "50")) <= 250:
        raise _bad("limit must be 1 to 250")
    if "page_info" in query:
        if query.keys() - {"page_info", "limit", "fields"}:
            raise _bad("status cannot be passed when page_info is present")
        if query["page_info"] not in ASKED:
            raise _bad("Invalid value for page_info")
        found = ASKED[query["page_info"]][0]
    elif query.get("status", "open") != "any":
        found = []  # all of them are closed
    else:
        found = ORDERS
        for name in query.keys() & (KNOWN - {"limit", "status", "fields"}):
            try:
                bound = datetime.fromisoformat(query[name])
            except ValueError:
                raise _bad(f"{name} is no time") from None
            column, least = name[:-4], name.endswith("_min")
            found = [
                order
                for order in found
                if (
                    datetime.fromisoformat(str(order[column])) >= bound
                    if least
                    else datetime.fromisoformat(str(order[column])) <= bound
                )
            ]
    limit = int(query.get("limit", "50"))
    page, rest = found[:limit], found[limit:]
    headers = {"X-Shopify-Shop-Api-Call-Limit": "1/40"}
    if rest:
        token = f"eyJsYXN0X2lkIjo{len(ASKED)}"
        ASKED[token] = (rest, limit)
        following = request.url.replace(query=f"limit={limit}&page_info={token}")
        headers["Link"] = f'<{following}>; rel="next"'
    return JSONResponse({"orders": page}, headers=headers)


def _shop(request: Request, _: bytes) -> Any:
    _let_in(request)
    return {"shop": {"id": 548380009}}


def _asked(seen: Sequence[Seen]) -> None:
    first, *others = seen
    assert first.query == {
        "limit": "250",
        "status": "any",
        "updated_at_min": "2026-03-01T00:00:00Z",
        "updated_at_max": "2026-03-02T00:00:00Z",
    }
    assert [one.query.keys() for one in others] == [{"limit", "page_info"}] * 2


def _first(row: Mapping[str, Any]) -> None:
    assert row["updated_at"] == at(START)
    assert (str(row["total_price"]), row["customer_id"], row["refunds"]) == ("598.940000", 207119551, "[]")
    assert row["line_items"][0]["sku"] == "IPOD"
    assert row["shipping_address"]["city"] == "Köln"


VENDOR = Vendor(
    spec="shopify",
    auth_spec="Basic Authentication",
    auth={"host": "headgate.myshopify.com", "accessToken": TOKEN},
    params={"tableName": "orders"},
    key="id",
    times=TIMES,
    window=(START, END),
    delta="updated_at",
    routes=[route(PATH, _orders), route("/admin/api/2026-10/shop.json", _shop)],
    asked=_asked,
    data=PATH,
    wrong_auth={"accessToken": "shpat_wrong"},
    reset=ASKED.clear,
    check_row=_first,
)
