"""Google Analytics 4: runReport, as the discovery document of its Data API has it (openapi/google_analytics_4.json)."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from joserfc import jwk, jwt
from starlette.requests import Request

from tests.vendors.fake import Refused, Seen, Vendor, at, route
from tests.vendors.google import Tokens

DESCRIBED = json.loads((Path(__file__).parent / "openapi" / "google_analytics_4.json").read_text())["schemas"]
DIMENSIONS = {"date", "eventName", "country", "deviceCategory", "operatingSystem", "hostName", "pagePath"}
METRICS = {"eventCount", "totalUsers", "eventValue", "totalRevenue", "activeUsers", "newUsers", "sessions"}
KEY = rsa.generate_private_key(65537, 2048)
PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
EMAIL, AUDIENCE = "headgate@project.iam.gserviceaccount.com", "https://oauth2.googleapis.com/token"
TOKENS = Tokens("client-4", "secret-client", "1//secret-refresh")


def _refused(message: str, status: int = 400, code: str = "INVALID_ARGUMENT") -> Refused:
    return Refused(status, {"error": {"code": status, "message": message, "status": code}})


def _token(request: Request, body: bytes) -> Any:
    form = dict(parse_qsl(body.decode()))
    if form.get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer":
        return TOKENS.token(request, body)
    public = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    claims = jwt.decode(form["assertion"], jwk.import_key(public, "RSA"), algorithms=["RS256"]).claims
    scope = "https://www.googleapis.com/auth/analytics.readonly"
    wanted = {"iss": EMAIL, "aud": AUDIENCE, "scope": scope}
    if form.keys() != {"grant_type", "assertion"} or {name: claims.get(name) for name in wanted} != wanted:
        raise Refused(400, {"error": "invalid_grant", "error_description": "Invalid JWT"})
    if not 0 < claims["exp"] - claims["iat"] <= 3600:
        raise Refused(400, {"error": "invalid_grant", "error_description": "It is valid for longer than an hour."})
    return TOKENS.give()


def _let_in(request: Request) -> None:
    if not TOKENS.let_in(request):
        raise _refused("Request had invalid authentication credentials.", 401, "UNAUTHENTICATED")
    if request.path_params["property"] != "4321":
        raise _refused("User does not have sufficient permissions for this property.", 403, "PERMISSION_DENIED")


def _metadata(request: Request, _: bytes) -> Any:
    _let_in(request)
    return {"name": "properties/4321/metadata", "dimensions": [], "metrics": []}


def _run_report(request: Request, body: bytes) -> Any:
    _let_in(request)
    asked = json.loads(body)
    if strangers := asked.keys() - DESCRIBED["RunReportRequest"]["properties"].keys():
        raise _refused(f'Invalid JSON payload received. Unknown name "{sorted(strangers)[0]}".')
    dimensions, metrics = ([entry["name"] for entry in asked.get(kind, [])] for kind in ("dimensions", "metrics"))
    if strangers := {*dimensions} - DIMENSIONS | {*metrics} - METRICS:
        raise _refused(f"Field {sorted(strangers)[0]} is not a valid dimension or metric.")
    if not 1 <= len(dimensions) <= 9 or not 1 <= len(metrics) <= 10:
        raise _refused("Requests are limited to 9 dimensions and 10 metrics.")
    orders = [order.get("dimension", {}).get("dimensionName") for order in asked.get("orderBys", [])]
    limit, offset = (str(asked.get(name, default)) for name, default in (("limit", 10000), ("offset", 0)))
    if {*orders} - {*dimensions} or not (limit.isdigit() and 0 < int(limit) <= 250_000 and offset.isdigit()):
        raise _refused("orderBys, limit or offset is not valid.")
    days = [_day(span.get(side)) for span in asked.get("dateRanges", []) for side in ("startDate", "endDate")]
    if len(days) != 2 or days[1] < days[0]:
        raise _refused("dateRanges is not one valid range.")
    found = [row for row in ROWS if days[0].isoformat() <= row["day"] <= days[1].isoformat()]
    found.sort(key=lambda row: [row[name] for name in orders])
    page = found[int(offset) : int(offset) + int(limit)]
    kinds = (("dimensionValues", dimensions), ("metricValues", metrics))
    return {
        "dimensionHeaders": [{"name": name} for name in dimensions],
        "metricHeaders": [{"name": name, "type": "TYPE_INTEGER"} for name in metrics],
        # An empty report has neither rows nor their count.
        **(
            {"rows": [{kind: [{"value": row[name]} for name in names] for kind, names in kinds} for row in page]}
            if page
            else {}
        ),
        **({"rowCount": len(found)} if found else {}),
        "metadata": {"currencyCode": "EUR", "timeZone": "Europe/Berlin"},
        "kind": "analyticsData#runReport",
    }


def _day(text: Any) -> date:
    if text in ("today", "28daysAgo"):
        return datetime.now(UTC).date() - timedelta(days=28 if text != "today" else 0)
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except (TypeError, ValueError):
        raise _refused(f"Invalid date: {text}.") from None


# The third day has so many rows that they take more than a page; the one that is called "bad" has no day.
DAYS = {f"e{place:05}": "2026-03-03" for place in range(10_100)}
DAYS |= {
    "before": "2026-03-01",
    "first": "2026-03-02",
    "last": "2026-03-04",
    "after": "2026-03-05",
    "bad": "2026-03-03",
}
ROWS: list[dict[str, str]] = [
    {
        **dict.fromkeys(METRICS, "12"),
        "totalRevenue": "1234.567891",
        "day": day,
        "date": "(other)" if name == "bad" else day.replace("-", ""),
        "eventName": name,
        "country": name,
        "deviceCategory": "mobile",
        "operatingSystem": "iOS",
    }
    for name, day in DAYS.items()
]


def _of_events(seen: Sequence[Seen]) -> None:
    spans = [one.json["dateRanges"][0] for one in seen]
    assert (min(span["startDate"] for span in spans), max(span["endDate"] for span in spans)) == (
        "2026-03-02",
        "2026-03-04",
    )
    assert {one.json["offset"] for one in seen} == {0, 10000}


def _of_audience(seen: Sequence[Seen]) -> None:
    spans = [span for one in seen for span in one.json["dateRanges"]]
    assert (min(span["startDate"] for span in spans), max(span["endDate"] for span in spans)) == (
        "2026-03-02",
        "2026-03-02",
    )


def _event(row: Mapping[str, Any]) -> None:
    assert (row["date"], row["event_count"], row["total_revenue"]) == (date(2026, 3, 3), 12, 1234.567891)


def _vendor(way: str, auth: Mapping[str, str], stream: str, key: str, wrong: Mapping[str, str], **more: Any) -> Vendor:
    return Vendor(
        spec="google-analytics-4",
        auth_spec=way,
        auth={"propertyId": "4321", **auth},
        params={"tableName": stream},
        key=key,
        routes=[
            route("/token", _token, "POST"),
            route("/v1beta/properties/{property}/metadata", _metadata),
            route("/v1beta/properties/{property}:runReport", _run_report, "POST"),
        ],
        delta="date",
        wrong_auth=wrong,
        renews=True,
        **more,
    )


TIMES = {name: at(f"{day}T00:00:00") if name != "bad" else None for name, day in DAYS.items()}
VENDORS = [
    _vendor(
        "OAuth2 Refresh Code",
        {"clientId": "client-4", "clientSecret": "secret-client", "refreshToken": "1//secret-refresh"},
        "events_by_day",
        "event_name",
        {"clientSecret": "wrong-secret"},
        times=TIMES,
        window=("2026-03-02T00:00:00", "2026-03-05T00:00:00"),
        data="/v1beta/properties",
        asked=_of_events,
        check_row=_event,
    ),
    _vendor(
        "Service Account",
        {"clientEmail": EMAIL, "privateKey": PEM},
        "audience_by_day",
        "country",
        {"clientEmail": "nobody@project.iam.gserviceaccount.com"},
        times={name: time for name, time in TIMES.items() if time is not None},
        window=("2026-03-01T18:00:00", "2026-03-02T06:00:00"),
        data="/v1beta/properties/4321",
        asked=_of_audience,
    ),
]
