"""Meta Ads: the edges of an ad account, as the specification that Meta makes its SDKs from (openapi/meta_ads.json) and
the reference of the Graph API have them."""

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from starlette.requests import Request

from tests.vendors.fake import Refused, Seen, Vendor, at, epoch, route

DESCRIBED = json.loads((Path(__file__).parent / "openapi" / "meta_ads.json").read_text())
TOKEN = "EAAB-secret-meta-token"
PAGE = 3
WAITED: list[bool] = []
_OF_PAGES = {"fields", "limit", "after", "access_token"}


def _refused(message: str, code: int = 100, status: int = 400) -> Refused:
    error = {"message": message, "type": "OAuthException", "code": code, "fbtrace_id": "AbC"}
    return Refused(status, {"error": error})


def _let_in(request: Request) -> None:
    if request.query_params.get("access_token") != TOKEN:
        raise _refused("Invalid OAuth access token.", 190, 401)


def _account(request: Request, _: bytes) -> Any:
    _let_in(request)
    return {"id": "act_1001", "name": "Shop", "currency": "EUR", "timezone_name": "Europe/Berlin"}


def _edge(request: Request, _: bytes) -> Any:
    _let_in(request)
    asked, about = request.query_params, DESCRIBED["edges"].get(request.path_params["edge"])
    if about is None:
        raise _refused("Unsupported get request.")
    if strangers := set(asked) - set(about["params"]) - _OF_PAGES:
        raise _refused(f"(#100) Unknown parameters: {sorted(strangers)}")
    fields = asked.get("fields", "").split(",")
    if strangers := set(fields) - set(DESCRIBED["fields"][about["return"]]):
        raise _refused(f"(#100) {sorted(strangers)[0]} is not valid for fields param.")
    rows: Sequence[Mapping[str, Any]] = ADS
    if request.path_params["edge"] == "insights":
        rows, fields = _insights(asked), [*fields, "date_start", "date_stop"]
    if (since := asked.get("updated_since")) is not None:
        if not since.isdigit():
            raise _refused("(#100) param updated_since must be an integer.")
        rows = [row for row in rows if row["updated_time"] == "soon" or _seconds(row) >= int(since)]
    return _page(request, rows, fields)


def _insights(asked: Mapping[str, str]) -> list[Mapping[str, Any]]:
    if asked.get("level") not in ("account", "campaign", "adset", "ad") or asked.get("time_increment") != "1":
        raise _refused("(#100) level or time_increment is not valid.")
    if "time_range" not in asked:
        if asked.get("date_preset") != "last_30d":
            raise _refused("(#100) date_preset is not valid.")
        return INSIGHTS
    try:
        span = json.loads(asked["time_range"])
        since, until = (date.fromisoformat(span.pop(side)) for side in ("since", "until"))
    except (ValueError, KeyError):
        raise _refused("(#100) param time_range must be a valid time range.") from None
    if span or until < since:
        raise _refused("(#100) param time_range must be non-empty.")
    return [row for row in INSIGHTS if str(since) <= row["date_start"] <= str(until)]


def _page(request: Request, rows: Sequence[Mapping[str, Any]], fields: Sequence[str]) -> Any:
    after, limit = request.query_params.get("after"), request.query_params.get("limit", "25")
    known = {_cursor(number): number for number in range(len(rows) + 1)}
    if (after is not None and after not in known) or not limit.isdigit():
        raise _refused("(#100) The cursor or the limit is invalid.")
    first = known[after] if after is not None else 0
    if first and not WAITED:
        WAITED.append(True)
        raise _refused("(#17) User request limit reached", 17)
    end = first + min(int(limit), PAGE)
    found = [{name: row[name] for name in fields if name in row} for row in rows[first:end]]
    # The last page has a cursor as well; what it has not is `next`.
    paging: dict[str, Any] = {"cursors": {"before": _cursor(first), "after": _cursor(min(end, len(rows)))}}
    if end < len(rows):
        paging["next"] = str(request.url.include_query_params(after=_cursor(end)))
    return {"data": found, "paging": paging} if rows else {"data": []}


def _cursor(number: int) -> str:
    return b64encode(f"cursor-{number}".encode()).decode()


def _seconds(row: Mapping[str, Any]) -> int:
    return epoch(row["updated_time"].removesuffix("+0000"))


DAYS = {str(200 + place): f"2026-03-{day:02}" for place, day in enumerate([1, 2, 2, 3, 3, 3, 3, 4, 5, 5])}
INSIGHTS: list[Mapping[str, Any]] = [
    {
        "account_id": "1001",
        "account_currency": "EUR",
        "campaign_id": id_,
        "campaign_name": "Käse",
        "objective": "OUTCOME_SALES",
        "impressions": "361324",
        "reach": "100",
        "frequency": "1.5",
        "clicks": "12",
        "spend": "5339.5",
        "cpc": "0.123456789",
        "actions": [{"action_type": "link_click", "value": "12"}],
        "date_start": day,
        "date_stop": day,
    }
    for id_, day in DAYS.items()
]
# What was changed in the hour before, at the start, in between, at the end, and never.
CHANGED = {
    **dict(enumerate(["2026-03-01T23:00:00", "2026-03-02T00:00:00", *["2026-03-02T11:30:00"] * 4])),
    **dict(enumerate(["2026-03-02T23:59:59", "2026-03-03T00:00:00", "2026-03-04T00:00:00"], 6)),
}
ADS: Sequence[Mapping[str, Any]] = [
    {"id": f"ad{place}", "name": "Ad", "status": "ACTIVE", "campaign_id": "5", "updated_time": f"{time}+0000"}
    for place, time in CHANGED.items()
] + [{"id": "ad9", "name": "Ad", "status": "ACTIVE", "updated_time": "soon"}]


def _of_insights(seen: Sequence[Seen]) -> None:
    spans = [json.loads(one.query["time_range"]) for one in seen]
    assert {(span["since"], span["until"]) for span in spans} == {("2026-03-02", "2026-03-04")}
    assert len(seen) == 4  # one was told to wait, and the cursor of the last page is not followed
    assert all(one.query["level"] == "campaign" for one in seen)


def _of_ads(seen: Sequence[Seen]) -> None:
    assert {one.query["updated_since"] for one in seen} == {str(epoch("2026-03-02T00:00:00"))}


def _insight(row: Mapping[str, Any]) -> None:
    assert (row["impressions"], str(row["spend"]), row["cpc"]) == (361324, "5339.500000", 0.123456789)
    assert row["actions"] == [{"action_type": "link_click", "value": "12"}]
    assert row["date_stop"] == date(2026, 3, 2)


def _vendor(stream: str, key: str, data: str, delta: str, **more: Any) -> Vendor:
    return Vendor(
        spec="meta-ads",
        auth_spec="Access Token",
        auth={"accountId": "act_1001", "accessToken": TOKEN},
        params={"tableName": stream},
        key=key,
        routes=[route("/v25.0/act_1001", _account), route("/v25.0/act_1001/{edge}", _edge)],
        data=data,
        delta=delta,
        wrong_auth={"accessToken": "EAAB-wrong-token"},
        reset=WAITED.clear,
        **more,
    )


VENDORS = [
    _vendor(
        "campaign_insights",
        "campaign_id",
        "/v25.0/act_1001/insights",
        "date_start",
        times={id_: at(f"{day}T00:00:00") for id_, day in DAYS.items()},
        window=("2026-03-02T00:00:00", "2026-03-05T00:00:00"),
        asked=_of_insights,
        check_row=_insight,
    ),
    _vendor(
        "ads",
        "id",
        "/v25.0/act_1001/ads",
        "updated_time",
        times={f"ad{place}": at(time) for place, time in CHANGED.items()} | {"ad9": None},
        window=("2026-03-02T00:00:00", "2026-03-03T00:00:00"),
        empty_window=("2026-03-02T00:00:00", "2026-03-02T00:00:00"),
        asked=_of_ads,
    ),
]
