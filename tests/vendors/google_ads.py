"""Google Ads: the search method, as its proto (openapi/google_ads.json) and the pages on its query language have it."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from starlette.requests import Request

from tests.vendors.fake import Refused, Seen, Vendor, at, route
from tests.vendors.google import Tokens

DESCRIBED = json.loads((Path(__file__).parent / "openapi" / "google_ads.json").read_text())
PAGE = 3
_QUERY = re.compile(
    r"SELECT (?P<fields>[a-z_., ]+) FROM (?P<resource>[a-z_]+)"
    r"(?: WHERE segments\.date BETWEEN '(?P<since>[0-9-]{10})' AND '(?P<until>[0-9-]{10})')?"
    r"(?: ORDER BY [a-z_., ]+)?(?: LIMIT [0-9]+)?"
)
_TEXTS = {"name", "status", "type", "currency_code", "date", "advertising_channel_type"}
_DOUBLES = {"conversions", "conversions_value"}


def _camel(name: str) -> str:
    return re.sub("_(.)", lambda found: found[1].upper(), name)


def refused(status: int, code: str, error: str, message: str) -> Refused:
    """As the API refuses: `error` is its kind and code, `queryError:BAD_FIELD_NAME`."""
    kind, _, word = error.partition(":")
    failure = {
        "@type": "type.googleapis.com/google.ads.googleads.v25.errors.GoogleAdsFailure",
        "errors": [{"errorCode": {kind: word}, "message": message}],
    }
    return Refused(status, {"error": {"code": status, "message": message, "status": code, "details": [failure]}})


class Account:
    """Rows by resource, flat, with the names of the query language."""

    def __init__(self, rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        self.tokens = Tokens("client-1", "secret-client", "1//secret-refresh")
        self._rows = rows

    def search(self, request: Request, body: bytes) -> Any:
        if not self.tokens.let_in(request):
            raise refused(401, "UNAUTHENTICATED", "authenticationError:OAUTH_TOKEN_INVALID", "Invalid credentials.")
        if request.headers.get("developer-token") != "secret-developer":
            raise refused(401, "UNAUTHENTICATED", "authenticationError:DEVELOPER_TOKEN_INVALID", "No such token.")
        if request.headers.get("login-customer-id") != "9998887777":
            raise refused(403, "PERMISSION_DENIED", "authorizationError:USER_PERMISSION_DENIED", "Not that manager.")
        if request.path_params["customer"] != "1234567890":
            raise refused(400, "INVALID_ARGUMENT", "requestError:INVALID_CUSTOMER_ID", "Invalid customer ID.")
        said = json.loads(body)
        if "pageSize" in said:
            raise refused(400, "INVALID_ARGUMENT", "requestError:PAGE_SIZE_NOT_SUPPORTED", "Leave it out.")
        if said.keys() - {_camel(name) for name in DESCRIBED["messages"]["SearchGoogleAdsRequest"]}:
            raise refused(400, "INVALID_ARGUMENT", "requestError:UNKNOWN", f"Unknown members among {sorted(said)}.")
        asked = _QUERY.fullmatch(said.get("query", ""))
        if asked is None:
            raise refused(400, "INVALID_ARGUMENT", "queryError:UNEXPECTED_INPUT", "The query cannot be read.")
        return self._page(asked, asked["fields"].split(", "), said.get("pageToken"))

    def _page(self, asked: re.Match[str], fields: list[str], token: str | None) -> Any:
        if ("segments.date" in fields) != bool(asked["since"]):
            raise refused(400, "INVALID_ARGUMENT", "queryError:EXPECTED_FILTERS_ON_DATE", "Filter by segments.date.")
        rows = self._rows.get(asked["resource"], ())
        if asked["since"]:
            since, until = date.fromisoformat(asked["since"]), date.fromisoformat(asked["until"])
            if until < since:
                raise refused(400, "INVALID_ARGUMENT", "dateRangeError:START_DATE_AFTER_END_DATE", "It ends first.")
            days = [row["segments.date"] for row in rows]
            rows = [row for row, day in zip(rows, days, strict=True) if str(since) <= day[:10] <= str(until)]
        if strangers := [field for row in rows for field in fields if field not in row]:
            raise refused(400, "INVALID_ARGUMENT", "queryError:UNRECOGNIZED_FIELD", f"{strangers[0]} is not known.")
        signed = f"token-{abs(hash(asked[0]))}-"
        if token is not None and not token.startswith(signed):
            raise refused(400, "INVALID_ARGUMENT", "requestError:INVALID_PAGE_TOKEN", "It is of another query.")
        first = int(token.removeprefix(signed)) if token else 0
        found = [_nested(row, fields) for row in rows[first : first + PAGE]]
        more = {"nextPageToken": f"{signed}{first + PAGE}"} if first + PAGE < len(rows) else {}
        results = {"results": found} if found else {}  # proto's JSON leaves an empty list out
        return {**results, "fieldMask": ",".join(map(_camel, fields)), "totalResultsCount": str(len(rows)), **more}


def _nested(row: Mapping[str, Any], fields: Sequence[str]) -> dict[str, Any]:
    """A row as proto's JSON: names in camels, 64-bit integers as text."""
    made: dict[str, Any] = {}
    for field in fields:
        *steps, last = field.split(".")
        inner = made
        for step in steps:
            inner = inner.setdefault(_camel(step), {})
        inner[_camel(last)] = row[field] if last in _TEXTS | _DOUBLES else str(row[field])
    return made


def _report(kind: str, days: Mapping[int, str]) -> list[dict[str, Any]]:
    """A row for each day, by the id of the object it is about."""
    metrics = {f"metrics.{name}": 7 for name in ("impressions", "clicks", "interactions", "view_through_conversions")}
    about = {"customer.id": 1234567890, "customer.currency_code": "EUR", "campaign.id": 5, "ad_group.id": 6}
    more = {f"{kind}.name": "Käse", f"{kind}.status": "ENABLED", "campaign.advertising_channel_type": "SEARCH"}
    money = {"metrics.cost_micros": 12_340_000_000_000, "metrics.conversions": 1.5, "metrics.conversions_value": 20.25}
    shared = {**metrics, **about, **more, **money, "ad_group_ad.ad.type": "RESPONSIVE_SEARCH_AD"}
    key = "ad_group_ad.ad.id" if kind == "ad_group_ad" else f"{kind}.id"
    return [{**shared, key: id_, "segments.date": day} for id_, day in days.items()]


# Some rows of a day stand on two pages; the last day of the campaigns is none. The ads' window begins and ends at noon.
DAYS = {100 + place: f"2026-03-{day:02}" for place, day in enumerate([1, 1, 2, 2, 3, 3, 3, 4, 4, 5, 5, 6])}
ACCOUNT = Account(
    {"campaign": _report("campaign", DAYS | {199: "2026-03-03!"}), "ad_group_ad": _report("ad_group_ad", DAYS)}
)
AUTH = {
    "clientCustomerID": "123-456-7890",
    "developerToken": "secret-developer",
    "authenticationType": "UserAuthentication",
    "clientId": "client-1",
    "clientSecret": "secret-client",
    "refreshToken": "1//secret-refresh",
    "loginCustomerID": "999-888-7777",
}


def _spans(seen: Sequence[Seen]) -> set[tuple[str, str]]:
    found = [_QUERY.fullmatch(one.json["query"]) for one in seen]
    return {(one["since"], one["until"]) for one in found if one is not None}


def _of_campaigns(seen: Sequence[Seen]) -> None:
    days = sorted(_spans(seen))
    assert (days[0][0], days[-1][1]) == ("2026-03-02", "2026-03-04")
    assert any("pageToken" in one.json for one in seen)


def _of_ads(seen: Sequence[Seen]) -> None:
    days = sorted(_spans(seen))
    assert (days[0][0], days[-1][1]) == ("2026-03-02", "2026-03-04")  # those whose midnight lies in the window


def _campaign(row: Mapping[str, Any]) -> None:
    assert (row["date"], row["campaign_name"], row["cost_micros"]) == (date(2026, 3, 2), "Käse", 12_340_000_000_000)
    assert (row["conversions"], row["impressions"], row["advertising_channel_type"]) == (1.5, 7, "SEARCH")


def _vendor(stream: str, key: str, data: str, window: tuple[str, str], **more: Any) -> Vendor:
    return Vendor(
        spec="google-ads",
        auth_spec="Basic Authentication",
        auth=AUTH,
        params={"tableName": stream},
        key=key,
        window=window,
        routes=[
            route("/token", ACCOUNT.tokens.token, "POST"),
            route("/v25/customers/{customer}/googleAds:search", ACCOUNT.search, "POST"),
        ],
        data=data,
        delta="date",
        wrong_auth={"refreshToken": "1//wrong-refresh"},
        renews=True,
        empty_window=("2026-02-01T00:00:00", "2026-02-02T00:00:00"),
        **more,
    )


def _times(days: Mapping[int, str]) -> dict[Any, Any]:
    return {id_: at(f"{day}T00:00:00") if len(day) == 10 else None for id_, day in days.items()}


_SEARCH = "/v25/customers"
VENDORS = [
    _vendor(
        "campaign_performance",
        "campaign_id",
        _SEARCH,
        ("2026-03-02T00:00:00", "2026-03-05T00:00:00"),
        times=_times(DAYS | {199: "2026-03-03!"}),
        asked=_of_campaigns,
        check_row=_campaign,
    ),
    _vendor(
        "ad_performance",
        "ad_id",
        f"{_SEARCH}/1234567890",
        ("2026-03-01T12:00:00", "2026-03-04T12:00:00"),
        times=_times(DAYS),
        asked=_of_ads,
    ),
]
