"""HubSpot's search of its CRM, as its reference describes it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
from starlette.requests import Request

from tests.vendors.fake import Refused, Seen, Vendor, at, epoch, moments, route

CLIENT, SECRET, REFRESH, FIRST = "hs-client-id", "hs-secret-77", "hs-refresh-77", "hs-access-first-77"
START, END = "2026-03-01T10:00:00", "2026-03-01T11:00:00"
PATH = "/crm/objects/2026-03/contacts/search"
CAP = 10_000
TOKENS: set[str] = {FIRST}
# Ids are numbers in text, of different lengths, and not in the order of the changes.
TIMES = {str(9_950 + 37 * place % 601): time for place, time in enumerate(moments(450, START, END))}
STANDARD = ("createdate", "lastmodifieddate", "email", "firstname", "lastname", "lifecyclestage")


def _contact(id_: str, time: datetime) -> dict[str, str | None]:
    return {
        "hs_object_id": id_,
        "createdate": "2025-01-01T00:00:00.123Z",
        "lastmodifieddate": f"{time:%Y-%m-%dT%H:%M:%S}.000Z",
        "email": f"c{id_}@example.com",
        "firstname": "Ada",
        "lastname": "",
        "lifecyclestage": "lead",
    }


CONTACTS = [_contact(id_, time) for id_, time in TIMES.items()]


def _error(status: int, message: str, category: str) -> Refused:
    return Refused(status, {"status": "error", "message": message, "correlationId": "a43683b0", "category": category})


def _bad(message: str) -> Refused:
    return _error(400, message, "VALIDATION_ERROR")


def _let_in(request: Request) -> None:
    if request.headers.get("authorization", "").removeprefix("Bearer ") not in TOKENS:
        raise _error(401, "Authentication credentials not found or expired", "EXPIRED_AUTHENTICATION")


def _token(request: Request, body: bytes) -> Any:
    if request.headers.get("content-type") != "application/x-www-form-urlencoded":
        raise _bad("the token endpoint takes a form")
    asked = Seen("POST", "", {}, {}, body).form
    wanted = {"grant_type": "refresh_token", "client_id": CLIENT, "client_secret": SECRET, "refresh_token": REFRESH}
    if asked != wanted:
        raise _error(400, "missing or invalid refresh token", "BAD_REFRESH_TOKEN")
    TOKENS.add(token := f"hs-access-{len(TOKENS)}")
    return {"access_token": token, "refresh_token": REFRESH, "expires_in": 1800, "token_type": "bearer"}


def _number(name: str, value: Any) -> int:
    if name == "hs_object_id":
        return int(value)
    if isinstance(value, str) and value.isdigit():
        return int(value)
    return int(datetime.fromisoformat(value).timestamp() * 1000)


KEEPS = {"GT": int.__gt__, "GTE": int.__ge__, "LT": int.__lt__, "LTE": int.__le__}


def _kept(contact: Mapping[str, Any], filters: Sequence[Mapping[str, Any]]) -> bool:
    for one in filters:
        name = one["propertyName"]
        if name not in ("hs_object_id", "lastmodifieddate", "createdate") or one.keys() != {
            "propertyName",
            "operator",
            "value",
        }:
            raise _bad(f"There was a problem with the request: {name}")
        if not isinstance(one["value"], str) or not one["value"].isdigit():
            raise _bad(f"{one['value']} is not a valid value of {name}")
        if not KEEPS[one["operator"]](_number(name, contact[name]), int(one["value"])):
            return False
    return True


def _search(request: Request, body: bytes) -> Any:
    _let_in(request)
    if len(body) > 3000:
        raise _bad("The request body is longer than 3,000 characters")
    asked = orjson.loads(body)
    if asked.keys() - {"filterGroups", "sorts", "query", "properties", "limit", "after"}:
        raise _bad("Unrecognized field")
    limit, after = asked.get("limit", 10), int(asked.get("after", 0))
    if not 1 <= limit <= 200 or after + limit > CAP:
        raise _bad("limit is up to 200, and paging up to 10,000 results")
    groups = asked.get("filterGroups", [])
    if len(groups) > 5 or any(len(group["filters"]) > 6 for group in groups):
        raise _bad("too many filters")
    found = [contact for contact in CONTACTS if not groups or any(_kept(contact, one["filters"]) for one in groups)]
    for sort in asked.get("sorts", []):
        found.sort(key=lambda contact: _number(sort["propertyName"], contact[sort["propertyName"]]))
    page = found[after : after + limit]
    wanted = [name for name in asked.get("properties", STANDARD) if name in STANDARD]
    results = [
        {
            "id": contact["hs_object_id"],
            "properties": {"hs_object_id": contact["hs_object_id"], **{name: contact[name] for name in wanted}},
            "createdAt": contact["createdate"],
            "updatedAt": contact["lastmodifieddate"],
            "archived": False,
        }
        for contact in page
    ]
    more = {"paging": {"next": {"after": str(after + limit)}}} if after + limit < len(found) else {}
    return {"total": len(found), "results": results, **more}


def _properties(request: Request, _: bytes) -> Any:
    _let_in(request)
    return {"results": [{"name": name, "type": "string", "hubspotDefined": True} for name in STANDARD]}


def _asked(seen: Sequence[Seen]) -> None:
    assert len(seen) == 3
    last = "0"
    for one in seen:
        [group] = one.json["filterGroups"]
        ids, start, end = group["filters"]
        assert (start["value"], end["value"]) == (f"{epoch(START)}000", f"{epoch(END)}000")
        assert (start["operator"], end["operator"]) == ("GTE", "LT")
        assert int(ids["value"]) > int(last) or last == "0"
        assert "after" not in one.json
        last = ids["value"]


def _first(row: Mapping[str, Any]) -> None:
    assert (row["firstname"], row["lastname"], row["archived"]) == ("Ada", "", False)
    assert row["createdate"] == at("2025-01-01T00:00:00.123")


def _reset() -> None:
    TOKENS.clear()
    TOKENS.add(FIRST)


VENDOR = Vendor(
    spec="hubspot",
    auth_spec="Basic Authentication",
    auth={"clientId": CLIENT, "clientSecret": SECRET, "accessToken": FIRST, "refreshToken": REFRESH},
    params={"tableName": "contacts"},
    key="id",
    times=TIMES,
    window=(START, END),
    delta="lastmodifieddate",
    routes=[
        route("/oauth/2026-03/token", _token, "POST"),
        route(PATH, _search, "POST"),
        route("/crm/properties/2026-03/contacts", _properties),
    ],
    asked=_asked,
    data=PATH,
    wrong_auth={"accessToken": "hs-access-wrong", "refreshToken": "hs-refresh-wrong"},
    renews=True,
    reset=_reset,
    check_row=_first,
)
