"""Mailchimp's members of an audience, as the reference of its Marketing API describes them."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from starlette.requests import Request

from tests.vendors.fake import Refused, Seen, Vendor, at, moments, route

USER, KEY, TOKEN = "anystring", "0123456789abcdefkey-us6", "mc-oauth-token-8a"
START, END = "2026-03-01T10:00:00", "2026-03-01T11:00:00"
AUDIENCE = "1510500e0b"
PATH = f"/3.0/lists/{AUDIENCE}/members"
KNOWN = {"fields", "exclude_fields", "count", "offset", "sort_field", "sort_dir", "status", "email_type"}
KNOWN |= {"since_last_changed", "before_last_changed", "since_timestamp_opt", "before_timestamp_opt"}
TIMES = {f"{place:032x}": time for place, time in enumerate(moments(1250, START, END))}
MEMBERS = [
    {
        "id": id_,
        "email_address": f"m{place}@example.com",
        "status": "subscribed",
        "merge_fields": {"FNAME": "Ada"},
        "stats": {"avg_open_rate": 0.25, "avg_click_rate": 0},
        "timestamp_signup": "",
        "timestamp_opt": "2026-01-01T00:00:00+00:00",
        "last_changed": time.isoformat(),
        "vip": False,
        "location": {
            "latitude": 50.9,
            "longitude": 6.9,
            "gmtoff": 1,
            "country_code": "DE",
            "timezone": "europe/berlin",
        },
        "tags_count": 1,
        "tags": [{"id": 7, "name": "tea"}],
        "list_id": AUDIENCE,
    }
    for place, (id_, time) in enumerate(TIMES.items())
]


LEAVING = 0
"""So many of the first members are changed again, and leave the window, once a first page was given."""


def _problem(status: int, title: str, detail: str) -> Refused:
    return Refused(status, {"type": "https://mailchimp.com/errors", "title": title, "status": status, "detail": detail})


def _let_in(request: Request) -> None:
    basic = "Basic " + b64encode(f"{USER}:{KEY}".encode()).decode()
    if request.headers.get("authorization") not in (basic, f"Bearer {TOKEN}"):
        raise _problem(401, "API Key Invalid", "Your API key may be invalid, or you've attempted the wrong datacenter.")


def _members(request: Request, _: bytes) -> Any:
    _let_in(request)
    query = request.query_params
    if strangers := query.keys() - KNOWN:
        raise _problem(400, "Invalid Resource", f"{min(strangers)} is not known")
    count, offset = query.get("count", "10"), query.get("offset", "0")
    if not count.isdigit() or not 1 <= int(count) <= 1000 or not offset.isdigit():
        raise _problem(400, "Invalid Resource", "count is 1 to 1000")
    found = list(MEMBERS)
    for column in ("last_changed", "timestamp_opt"):
        for name, keep in ((f"since_{column}", datetime.__gt__), (f"before_{column}", datetime.__lt__)):
            if name in query:
                try:
                    bound = datetime.fromisoformat(query[name])
                except ValueError:
                    raise _problem(400, "Invalid Resource", f"{name} is no time") from None
                found = [one for one in found if keep(datetime.fromisoformat(str(one[column])), bound)]
    found.sort(key=lambda member: str(member.get(query.get("sort_field", "id"))))
    if int(offset) > 0:
        found = found[LEAVING:]
    page = found[int(offset) : int(offset) + int(count)]
    return {"members": page, "list_id": AUDIENCE, "total_items": len(found)}


def _ping(request: Request, _: bytes) -> Any:
    _let_in(request)
    return {"health_status": "Everything's Chimpy!"}


def _asked(seen: Sequence[Seen]) -> None:
    assert [one.query["offset"] for one in seen] == ["0", "1000"]
    for one in seen:
        assert one.query["since_last_changed"] == "2026-03-01T09:59:59+00:00"
        assert one.query["before_last_changed"] == "2026-03-01T11:00:00+00:00"
        assert (one.query["count"], one.query["sort_field"]) == ("1000", "last_changed")


def _first(row: Mapping[str, Any]) -> None:
    assert (row["last_changed"], row["timestamp_signup"]) == (at(START), None)
    assert (row["merge_fields"], row["stats"]["avg_open_rate"]) == ('{"FNAME":"Ada"}', 0.25)
    assert row["tags"] == [{"id": 7, "name": "tea"}]


ROUTES = [route(PATH, _members), route("/3.0/ping", _ping)]
VENDOR = Vendor(
    spec="mailchimp",
    auth_spec="Basic Authentication",
    auth={"username": USER, "password": KEY},
    params={"list_id": AUDIENCE},
    key="id",
    times=TIMES,
    window=(START, END),
    routes=ROUTES,
    asked=_asked,
    data=PATH,
    wrong_auth={"password": "0000000000wrongkey-us6"},
    check_row=_first,
)
