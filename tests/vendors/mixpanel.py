"""Mixpanel: its export and its profiles, as the OpenAPI descriptions of both have them (openapi/mixpanel.json)."""

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import PlainTextResponse

from tests.vendors.fake import Refused, Seen, Vendor, at, moments, route

PATHS = json.loads((Path(__file__).parent / "openapi" / "mixpanel.json").read_text())["paths"]
SIGNED = "Basic " + b64encode(b"svc.headgate:secret-mixpanel").decode()
ZONE = ZoneInfo("America/Los_Angeles")
START, END = "2026-03-07T20:30:00", "2026-03-09T10:00:00"  # a clock is put forward in between
PAGE = 4
SESSIONS: set[str] = set()


def _refused(status: int, message: str) -> Refused:
    return Refused(status, {"request": "/api/2.0", "error": message, "status": "error"})


def _let_in(request: Request, known: set[str]) -> Mapping[str, str]:
    if request.headers.get("authorization") != SIGNED:
        raise _refused(401, "Invalid service account credentials")
    if request.query_params.get("project_id") != "77":
        raise _refused(400, "project_id is required")
    if strangers := set(request.query_params) - known:
        raise _refused(400, f"unknown parameters {sorted(strangers)}")
    return request.query_params


def _export(request: Request, _: bytes) -> Any:
    about = PATHS["/export"]["get"]["parameters"]
    asked = _let_in(request, {parameter["name"] for parameter in about})
    try:
        since, until = (date.fromisoformat(asked[name]) for name in ("from_date", "to_date"))
    except (KeyError, ValueError):
        raise _refused(400, "from_date and to_date must be yyyy-mm-dd") from None
    if until < since or asked.get("time_in_ms", "false") not in ("true", "false"):
        raise _refused(400, "to_date is before from_date, or time_in_ms is neither true nor false")
    thousand = 1000 if asked.get("time_in_ms") == "true" else 1
    return PlainTextResponse("".join(_line(*event, thousand) for event in EVENTS if since <= _day(event[1]) <= until))


def _day(time: datetime | None) -> date:
    """The day that the export has an event under, in the project's zone."""
    return time.astimezone(ZONE).date() if time is not None else date(2026, 3, 8)


def _line(id_: str, time: datetime | None, thousand: int) -> str:
    # The seconds since 1970 that the clocks of the project's zone show.
    shown = time.astimezone(ZONE).replace(tzinfo=UTC).timestamp() if time is not None else None
    properties = {
        "time": int(shown * thousand) if shown is not None else "yesterday",
        "distinct_id": "ada",
        "$insert_id": id_,
        "mp_processing_time_ms": 1602625711874,
        "$city": "Köln",
        "plan": {"seats": 3},
    }
    return json.dumps({"event": "Signed up", "properties": properties}) + "\n"


def _engage(request: Request, body: bytes) -> Any:
    about = PATHS["/engage"]["post"]
    _let_in(request, {parameter["name"] for parameter in about["parameters"]})
    form = dict(parse_qsl(body.decode()))
    content = about["requestBody"]["content"]["application/x-www-form-urlencoded"]
    if strangers := form.keys() - content["schema"]["properties"].keys():
        raise _refused(400, f"unknown parameters {sorted(strangers)}")
    page = int(form.get("page", "0"))
    if page and form.get("session_id") not in SESSIONS:
        raise _refused(400, "request for page in uncached query for params")
    session = form.get("session_id") or f"{1234567890 + len(SESSIONS)}-EXAMPL"
    SESSIONS.add(session)
    found = PROFILES[page * PAGE : (page + 1) * PAGE]
    about = {"page": page, "page_size": PAGE, "session_id": session, "status": "ok", "total": len(found)}
    return {**about, "results": found}


TIMES: dict[Any, datetime | None] = {f"i{place:03}": time for place, time in enumerate(moments(40, START, END))}
EVENTS = [*TIMES.items(), ("broken", None)]
SEEN: dict[Any, datetime | None] = {str(place): time for place, time in enumerate(moments(10, START, END))}
PROFILES = [
    {"$distinct_id": id_, "$properties": {"$email": "a@example.org", "$last_seen": f"{time:%Y-%m-%dT%H:%M:%S}"}}
    for id_, time in SEEN.items()
    if time is not None
] + [{"$distinct_id": 12, "$properties": {"$email": "never@example.org"}}]


def _of_events(seen: Sequence[Seen]) -> None:
    # Noon in Los Angeles of the first day, and three in the morning, with the clock put forward, of the last.
    assert {(one.query["from_date"], one.query["to_date"]) for one in seen} == {("2026-03-07", "2026-03-09")}
    assert {one.query["time_in_ms"] for one in seen} == {"true"}


def _of_profiles(seen: Sequence[Seen]) -> None:
    assert [one.form["page"] for one in seen] == ["0", "1", "2"]  # the third is not full
    assert len({one.form.get("session_id") for one in seen[1:]}) == 1


def _event(row: Mapping[str, Any]) -> None:
    assert (row["time"], row["city"], row["event"]) == (at(START), "Köln", "Signed up")
    assert json.loads(row["properties"])["plan"] == {"seats": 3}


def _vendor(params: Mapping[str, str], key: str, data: str, **more: Any) -> Vendor:
    return Vendor(
        spec="mixpanel",
        auth_spec="Basic Authentication",
        auth={"host": "https://data.mixpanel.com/", "username": "svc.headgate", "password": "secret-mixpanel"},
        params={"projectId": "77", "timezone": "Pacific Standard Time", **params},
        key=key,
        window=(START, END),
        routes=[route("/api/2.0/export", _export), route("/api/query/engage", _engage, "POST")],
        data=data,
        wrong_auth={"password": "wrong-password"},
        reset=SESSIONS.clear,
        **more,
    )


VENDORS = [
    _vendor({}, "insert_id", "/api/2.0/export", times=TIMES | {"broken": None}, asked=_of_events, check_row=_event),
    _vendor(
        {"resourcePath": "engage"},
        "distinct_id",
        "/api/query/engage",
        times=SEEN | {"12": None},
        empty_window=(START, START),
        asked=_of_profiles,
    ),
]
