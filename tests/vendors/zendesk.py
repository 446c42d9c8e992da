"""Zendesk's incremental export of tickets, by the description that it publishes (openapi/zendesk.json)."""

import json
import time
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
from starlette.requests import Request

from tests.vendors.fake import Refused, Seen, Vendor, at, epoch, moments, route

TOKEN = "zendesk-oauth-9f2c0a77"
START, END = "2026-03-01T00:00:00", "2026-03-02T00:00:00"
PAGE = 9
DESCRIBED: dict[str, Any] = json.loads((Path(__file__).parent / "openapi" / "zendesk.json").read_text())
OPERATION = DESCRIBED["paths"]["/api/v2/incremental/tickets/cursor"]["get"]
ANSWER = DESCRIBED["components"]["schemas"]["CursorBasedExportIncrementalTicketsResponse"]
TIMES: dict[int, datetime | None] = {35436 + place: moment for place, moment in enumerate(moments(40, START, END))}


def _ticket(id_: int, updated: datetime) -> dict[str, Any]:
    # An update by the system comes later than the one that `updated_at` tells of.
    generated = int((updated + timedelta(seconds=id_ % 3 * 7200)).timestamp())
    time_ = updated.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {**ANSWER["example"]["tickets"][0], "id": id_, "updated_at": time_, "generated_timestamp": generated}


TICKETS = [_ticket(id_, moment) for id_, moment in TIMES.items() if moment is not None]
TICKETS[20]["updated_at"] = "some time ago"
TIMES[TICKETS[20]["id"]] = None
TICKETS.sort(key=lambda ticket: (ticket["generated_timestamp"], ticket["id"]))


def _let_in(request: Request) -> None:
    if request.headers.get("authorization") != f"Bearer {TOKEN}":
        raise Refused(401, {"error": "Couldn't authenticate you"})


def _after(query: Mapping[str, str]) -> tuple[int, int]:
    """The time and the id that tickets are to come after."""
    if "cursor" in query:
        try:
            stamp, id_ = b64decode(query["cursor"]).decode().split("||")
            return int(float(stamp)), int(id_.rstrip("|"))
        except ValueError:
            raise Refused(400, {"error": {"title": "Invalid attribute", "message": "cursor is invalid"}}) from None
    said = query.get("start_time", "")
    if not said.isdigit():
        raise Refused(400, {"error": {"title": "Invalid attribute", "message": "start_time is required"}})
    if int(said) > time.time() - 60:
        words = "Too recent start_time. Use a start_time older than 5 minutes"
        raise Refused(422, {"error": "StartTimeTooRecent", "description": words})
    return int(said), 0


def _export(request: Request, _: bytes) -> Any:
    _let_in(request)
    query = request.query_params
    known = {parameter["name"] for parameter in OPERATION["parameters"]}
    if strangers := query.keys() - known:
        raise Refused(400, {"error": {"title": "Invalid attribute", "message": f"{sorted(strangers)[0]} is unknown"}})
    after = _after(query)
    found = [ticket for ticket in TICKETS if (ticket["generated_timestamp"], ticket["id"]) > after]
    page = found[:PAGE]
    last = (page[-1]["generated_timestamp"], page[-1]["id"]) if page else after
    cursor = b64encode(f"{last[0]}.0||{last[1]}|".encode()).decode()
    answer = {
        "after_cursor": cursor,
        "after_url": f"https://headgate.zendesk.com/api/v2/incremental/tickets/cursor.json?cursor={cursor}",
        "before_cursor": None,
        "before_url": None,
        "end_of_stream": len(found) <= PAGE,
        "tickets": page,
    }
    jsonschema.validate(answer, ANSWER)
    return answer


def _me(request: Request, _: bytes) -> Any:
    _let_in(request)
    return {"user": {"id": 35436, "role": "admin"}}


def _asked(seen: Sequence[Seen]) -> None:
    assert seen[0].query == {"start_time": str(epoch(START))}
    assert [sorted(one.query) for one in seen[1:]] == [["cursor", "start_time"]] * 4


def _first(row: Mapping[str, Any]) -> None:
    assert (row["id"], row["updated_at"], row["due_at"]) == (35437, at(START), None)
    assert row["collaborator_ids"] == [35334, 234]
    assert json.loads(row["custom_fields"])[1] == {"id": 27648, "value": "yes"}


VENDOR = Vendor(
    spec="zendesk",
    auth_spec="OAuth2 Refresh Code",
    auth={"accessToken": TOKEN, "subdomain": "headgate"},
    params={"resourcePath": "tickets"},
    key="id",
    times=TIMES,
    window=(START, END),
    routes=[route("/api/v2/incremental/tickets/cursor", _export), route("/api/v2/users/me", _me)],
    asked=_asked,
    data="/api/v2/incremental/tickets/cursor",
    wrong_auth={"accessToken": "zendesk-wrong-token"},
    check_row=_first,
    empty_window=("2026-06-01T00:00:00", "2026-06-02T00:00:00"),
)
