"""Didomi: users and events, as the OpenAPI description of its platform API (openapi/didomi.json) and its pages on
tokens and paging have them."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from starlette.requests import Request

from tests.vendors.fake import Refused, Seen, Vendor, at, moments, route

DESCRIBED = json.loads((Path(__file__).parent / "openapi" / "didomi.json").read_text())
SESSION = {"type": "api-key", "key": "secret-key-didomi", "secret": "secret-didomi"}
START, END = "2026-03-01T06:30:00", "2026-03-02T18:00:00"
GIVEN: list[str] = []


def _refused(status: int, name: str, message: str) -> Refused:
    return Refused(status, {"code": status, "name": name, "message": message, "errors": {}})


def _sessions(request: Request, body: bytes) -> Any:
    if request.headers.get("content-type") != "application/json" or json.loads(body) != SESSION:
        raise _refused(400, "BadRequest", "Invalid API key")
    GIVEN.append(f"eyJ.{len(GIVEN)}-secret-session")
    return {"id": "s", "code": 200, "access_token": GIVEN[-1]}


def _asked(request: Request, path: str, *paged: str) -> Mapping[str, str]:
    if not GIVEN or request.headers.get("authorization") != f"Bearer {GIVEN[-1]}":
        raise _refused(401, "NotAuthenticated", "Your token is invalid or expired")
    known = {found["name"] for found in DESCRIBED["paths"][path]["get"]["parameters"]}
    if strangers := set(request.query_params) - known - set(paged):
        raise _refused(400, "BadRequest", f"Filters are not supported: {sorted(strangers)}")
    if request.query_params.get("organization_id") != "acme":
        raise _refused(403, "Forbidden", "You do not have access to this organization")
    return request.query_params


def _users(request: Request, _: bytes) -> Any:
    asked = _asked(request, "/consents/users", *DESCRIBED["pagination"]["request"])
    limit, skip = asked.get("$limit", "10"), asked.get("$skip", "0")
    if not (limit.isdigit() and skip.isdigit() and 0 < int(limit) <= DESCRIBED["pagination"]["highest_limit"]):
        raise _refused(400, "BadRequest", "$limit must be lower than 100")
    found = list(TIMES.items())[int(skip) : int(skip) + int(limit)]
    page = {"total": len(TIMES), "limit": len(found), "skip": int(skip)}
    return {**page, "data": [_user(*user) for user in found]}


def _events(request: Request, _: bytes) -> Any:
    asked = _asked(request, "/consents/events")
    users = {asked.get("organization_user_id"), asked.get("user_id")} - {None}
    if not users:
        raise _refused(400, "BadRequest", "organization_user_id or user_id must be provided")
    about = {"organization_id": "acme", "status": "confirmed", "user": {"id": "u", "organization_user_id": "ada"}}
    return {
        "data": [{**about, "id": id_, "created_at": _iso(time)} for id_, time in HAPPENED.items() if "ada" in users]
    }


def _iso(time: datetime | None) -> str | None:
    return f"{time:%Y-%m-%dT%H:%M:%S.000Z}" if time is not None else None


def _user(id_: str, time: datetime | None) -> dict[str, Any]:
    purposes = [{"id": "news", "enabled": True}]
    vendors = {"enabled": ["google"], "disabled": []}
    consents = {"purposes": purposes, "vendors": vendors, "channels": []}
    return {"id": id_, "updated_at": _iso(time), "version": 3, "consents": consents, "metadata": {"from": "web"}}


TIMES: dict[Any, datetime | None] = {f"u{place:03}": time for place, time in enumerate(moments(210, START, END))}
TIMES |= {"never": None}
HAPPENED = {f"e{place:02}": time for place, time in enumerate(moments(12, START, END))}


def _of_users(seen: Sequence[Seen]) -> None:
    assert [one.query.get("$skip") for one in seen] == ["0", "99", "198"]
    assert {one.query.get("regulation") for one in seen} == {None}


def _of_events(seen: Sequence[Seen]) -> None:
    assert [(one.query["organization_user_id"], one.query["regulation"]) for one in seen] == [("ada", "cpra")]


def _first(row: Mapping[str, Any]) -> None:
    assert (row["updated_at"], row["version"], row["metadata"]) == (at(START), 3.0, '{"from":"web"}')
    assert row["purposes"] == [{"id": "news", "enabled": True, "enabled_li": None}]
    assert row["vendors"]["enabled"] == ["google"]


def _vendor(stream: str, data: str, delta: str, params: Mapping[str, str], **more: Any) -> Vendor:
    return Vendor(
        spec="didomi",
        auth_spec="API Key",
        auth={"organizationId": "acme", "apiKey": SESSION["key"], "apiSecret": SESSION["secret"]},
        params={"tableName": stream, **params},
        key="id",
        window=(START, END),
        routes=[
            route("/v1/sessions", _sessions, "POST"),
            route("/v1/consents/users", _users),
            route("/v1/consents/events", _events),
        ],
        data=data,
        delta=delta,
        wrong_auth={"apiSecret": "wrong-api-secret"},
        renews=True,
        reset=GIVEN.clear,
        empty_window=(START, START),
        **more,
    )


VENDORS = [
    _vendor("users", "/v1/consents/users", "updated_at", {}, times=TIMES, asked=_of_users, check_row=_first),
    _vendor(
        "events",
        "/v1/consents/events",
        "created_at",
        {"organizationUserId": "ada", "regulation": "cpra"},
        times=HAPPENED,
        asked=_of_events,
    ),
]
