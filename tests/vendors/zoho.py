"""Zoho CRM's queries, by the description that Zoho publishes (openapi/zoho.json)."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import jsonschema
from starlette.requests import Request
from starlette.responses import Response

from tests.vendors.fake import Refused, Seen, Vendor, at, moments, route

CLIENT, SECRET, REFRESH = "1000.HEADGATE", "zoho-client-secret-4c1e", "1000.refresh-7a90b1c2"
OLD = "1000.old-access-token"
TOKENS: list[str] = []
START, END = "2026-03-01T00:00:00", "2026-03-02T00:00:00"
PAGE = 8
DESCRIBED: dict[str, Any] = json.loads((Path(__file__).parent / "openapi" / "zoho.json").read_text())
COQL = DESCRIBED["paths"]["/coql"]["post"]
SENT = COQL["requestBody"]["content"]["application/json"]["schema"]
ANSWER = COQL["responses"]["200"]["content"]["application/json"]["schema"]
FIELDS = {"id", *(field["api_name"] for field in DESCRIBED["fields"])}
TIMES = moments(50, START, END)
LEADS: list[dict[str, Any]] = [
    {
        "id": f"48326750000007{place:05}",
        "Modified_Time": time.strftime("%Y-%m-%dT%H:%M:%S+00:00"),
        "Owner": {"id": "4832675000000015972"},
        "Company": "Morlong Associates",
        "First_Name": None,
        "Converted_Date": "2026-02-01",
        "Interests": ["Tea", "Rain"],
        "Email_Opt_Out": False,
        "No_of_Employees": 7,
        "Address_1_Coordinates_Latitude": 50.9375,
    }
    for place, time in enumerate(TIMES)
]
_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00"
_QUERY = re.compile(
    rf"select (?P<fields>[\w,]+) from Leads where \((?:\(Modified_Time >= '(?P<start>{_TIME})' and "
    rf"Modified_Time < '(?P<end>{_TIME})'\) and )?(?:id > (?P<last>\d+)|id is not null)\) "
    r"order by id asc limit (?P<limit>\d+)"
)


def _error(status: int, code: str, **details: Any) -> Refused:
    return Refused(status, {"code": code, "details": details, "message": code.lower(), "status": "error"})


def _let_in(request: Request) -> None:
    if not TOKENS or request.headers.get("authorization") != f"Zoho-oauthtoken {TOKENS[-1]}":
        raise _error(401, "INVALID_TOKEN")


def _coql(request: Request, body: bytes) -> Any:
    _let_in(request)
    sent = json.loads(body)
    try:
        jsonschema.validate(sent, SENT)
    except jsonschema.ValidationError as error:
        raise _error(400, "INVALID_DATA", message=error.message) from None
    found = _QUERY.fullmatch(sent["select_query"])
    if found is None or not 1 <= int(found["limit"]) <= 2000:
        raise _error(400, "SYNTAX_ERROR", near=sent["select_query"][:30])
    fields = found["fields"].split(",")
    if len(fields) > 500 or (strangers := set(fields) - FIELDS) or "Record_Image" in fields:
        raise _error(400, "INVALID_QUERY", column_name=sorted(strangers))
    start, end = (datetime.fromisoformat(found[side]) if found[side] else None for side in ("start", "end"))
    rows = [row for row in LEADS if start is None or end is None or start <= _changed(row) < end]
    rows = sorted((row for row in rows if row["id"] > (found["last"] or "")), key=lambda row: str(row["id"]))
    if not rows:
        return Response(status_code=204)
    page = [{name: row[name] for name in fields} for row in rows[:PAGE]]
    answer = {"data": page, "info": {"count": len(page), "more_records": len(rows) > len(page)}}
    jsonschema.validate(answer, ANSWER)
    return answer


def _changed(row: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(row["Modified_Time"])


def _fields(request: Request, _: bytes) -> Any:
    _let_in(request)
    if request.query_params.get("module") != "Leads":
        raise _error(400, "INVALID_MODULE", resource_path_index=0)
    return {"fields": DESCRIBED["fields"]}


def _modules(request: Request, _: bytes) -> Any:
    _let_in(request)
    return {"modules": [{"api_name": "Leads", "api_supported": True}, {"api_name": "Home", "api_supported": False}]}


def _token(_: Request, body: bytes) -> Any:
    wanted = {"grant_type": "refresh_token", "refresh_token": REFRESH, "client_id": CLIENT, "client_secret": SECRET}
    if Seen("POST", "", {}, {}, body).form != wanted:
        raise Refused(401, {"error": "invalid_client"})
    TOKENS.append(f"1000.fresh-access-token-{len(TOKENS)}")
    return {"access_token": TOKENS[-1], "api_domain": "https://www.zohoapis.com", "expires_in": 3600}


def _asked(seen: Sequence[Seen]) -> None:
    asked = [found for one in seen if (found := _QUERY.fullmatch(one.json["select_query"]))]
    spans = sorted({found.group("start", "end") for found in asked})
    assert (spans[0][0], spans[-1][1]) == (f"{START}+00:00", f"{END}+00:00")
    assert all(one[1] == two[0] for one, two in pairwise(spans)), "the slices of a window touch"
    assert any(found["last"] for found in asked)


def _lead(row: Mapping[str, Any]) -> None:
    assert (row["Modified_Time"], row["No_of_Employees"], row["Interests"]) == (at(START), 7, '["Tea","Rain"]')
    assert row["Owner"] == {"id": "4832675000000015972", "name": None}


VENDOR = Vendor(
    spec="zoho-crm",
    auth_spec="Access Token Authentication",
    auth={
        "endpoint": "https://www.zohoapis.com",
        "accountsUrl": "https://accounts.zoho.com",
        "clientId": CLIENT,
        "clientSecret": SECRET,
        "accessToken": OLD,
        "refreshToken": REFRESH,
    },
    params={"tableName": "Leads"},
    delta="Modified_Time",
    key="id",
    times={row["id"]: time for row, time in zip(LEADS, TIMES, strict=True)},
    window=(START, END),
    routes=[
        route("/crm/v8/coql", _coql, "POST"),
        route("/crm/v8/settings/fields", _fields),
        route("/crm/v8/settings/modules", _modules),
        route("/oauth/v2/token", _token, "POST"),
    ],
    asked=_asked,
    data="/crm/v8/coql",
    wrong_auth={"refreshToken": "1000.wrong-refresh-token"},
    renews=True,
    reset=TOKENS.clear,
    check_row=_lead,
)
