"""PayPal's transaction search, held to the description that PayPal publishes (openapi/paypal.json)."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from starlette.requests import Request

from tests.vendors.described import Description
from tests.vendors.fake import Refused, Seen, Vendor, at, moments, route

CLIENT, SECRET = "AYpaypalClient", "EKpaypalSecret5b1d"
START, END = "2026-01-10T00:00:00", "2026-02-19T00:00:00"  # longer than a search may be
PATH = "/v1/reporting/transactions"
DESCRIPTION = Description("paypal")
LIMITS = {"largest": 10_000}
TOKENS: set[str] = set()

TIMES: dict[str, datetime | None] = {
    f"5TY05022{place:09}": time for place, time in enumerate(moments(1600, START, END))
}
HIDDEN = dict(TIMES)  # what PayPal goes by for the one that it shows no time of
UNTIMED = "5TY05022000000300"
TIMES[UNTIMED] = None


def _transaction(id_: str, place: int) -> dict[str, Any]:
    time = TIMES[id_]
    info = {
        "paypal_account_id": f"A{place:012}",
        "transaction_id": id_,
        "transaction_event_code": "T0006",
        "transaction_initiation_date": "2026-01-01T09:00:00+0000",
        "transaction_amount": {"currency_code": "USD", "value": f"{place}.50"},
        "fee_amount": {"currency_code": "USD", "value": "-0.30"},
        "transaction_status": "S",
    }
    if time is not None:
        info["transaction_updated_date"] = f"{time:%Y-%m-%dT%H:%M:%S}+0000"
    return {
        "transaction_info": info,
        "payer_info": {"email_address": f"b{place}@example.com", "payer_name": {"given_name": "Ada"}},
        "cart_info": {"item_details": [{"item_name": "Tea", "item_quantity": "1"}]},
    }


TRANSACTIONS = [(HIDDEN[id_], _transaction(id_, place)) for place, id_ in enumerate(TIMES)]


def _error(status: int, name: str, issue: str, field: str = "") -> Refused:
    details = [{"field": field, "issue": issue, "location": "query"}]
    return Refused(status, {"name": name, "message": issue, "debug_id": "90957fca61718", "details": details})


def _let_in(request: Request) -> None:
    if request.headers.get("authorization", "").removeprefix("Bearer ") not in TOKENS:
        raise _error(401, "AUTHENTICATION_FAILURE", "Authentication failed due to missing authorization header.")
    if (fault := DESCRIPTION.fault("GET", _path(request), request.query_params)) is not None:
        raise _error(400, "INVALID_REQUEST", fault[1], fault[0])


def _path(request: Request) -> str:
    return request.url.path.removeprefix(request.scope.get("root_path", ""))


def _token(request: Request, body: bytes) -> Any:
    expected = "Basic " + b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
    if request.headers.get("authorization") != expected:
        raise Refused(401, {"error": "invalid_client", "error_description": "Client Authentication failed"})
    if body != b"grant_type=client_credentials":
        raise Refused(400, {"error": "unsupported_grant_type"})
    TOKENS.add(token := f"A21AAF{len(TOKENS)}paypalToken")
    return {"access_token": token, "token_type": "Bearer", "expires_in": 32400, "scope": "search/read"}


def _transactions(request: Request, _: bytes) -> Any:
    _let_in(request)
    query = request.query_params
    start, end = (datetime.fromisoformat(query[name]) for name in ("start_date", "end_date"))
    if not timedelta() <= end - start <= timedelta(days=31):
        raise _error(400, "INVALID_REQUEST", "Date range is greater than 31 days", "end_date")
    found = [transaction for time, transaction in TRANSACTIONS if time is not None and start <= time <= end]
    if len(found) > LIMITS["largest"]:
        raise _error(400, "RESULTSET_TOO_LARGE", "Result set size is greater than the maximum limit.")
    size, page = int(query.get("page_size", "100")), int(query.get("page", "1"))
    answer = {
        "transaction_details": found[(page - 1) * size : page * size],
        "account_number": "RZDMNB9ASDKBJ",
        "last_refreshed_datetime": "2026-03-01T00:00:00+0000",
        "page": page,
        "total_items": len(found),
        "total_pages": -(-len(found) // size),
    }
    return DESCRIPTION.answers("GET", PATH, answer)


def _balances(request: Request, _: bytes) -> Any:
    _let_in(request)
    return {"balances": [], "account_id": "RZDMNB9ASDKBJ"}


def _asked(seen: Sequence[Seen]) -> None:
    spans = {(at(one.query["start_date"][:19]), at(one.query["end_date"][:19])) for one in seen}
    assert (min(start for start, _ in spans), max(end for _, end in spans)) == (at(START), at(END))
    assert len(spans) > 1
    assert all(one.query["balance_affecting_records_only"] == "N" for one in seen)
    assert {one.query["page"] for one in seen} >= {"1", "2"}


def _first(row: Mapping[str, Any]) -> None:
    assert row["transaction_updated_date"] == at(START)
    assert (str(row["transaction_amount"]), row["transaction_currency"]) == ("1.500000", "USD")
    assert row["payer_info"]["payer_name"]["given_name"] == "Ada"
    assert row["cart_items"][0]["item_name"] == "Tea"


VENDOR = Vendor(
    spec="paypal",
    auth_spec="Basic Authentication",
    auth={"host": "api-m.sandbox.paypal.com", "clientId": CLIENT, "clientSecret": SECRET},
    params={"tableName": "transactions"},
    key="transaction_id",
    times=TIMES,
    window=(START, END),
    delta="transaction_updated_date",
    routes=[
        route("/v1/oauth2/token", _token, "POST"),
        route(PATH, _transactions),
        route("/v1/reporting/balances", _balances),
    ],
    asked=_asked,
    data=PATH,
    wrong_auth={"clientSecret": "EKwrongSecret"},
    renews=True,
    reset=TOKENS.clear,
    check_row=_first,
)
