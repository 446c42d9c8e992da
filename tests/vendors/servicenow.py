"""ServiceNow's Table API, as its documentation and its community have it: incidents, which extend tasks."""

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse

from tests.vendors.fake import Refused, Seen, Vendor, at, moments, route

USER, PASSWORD = "integration", "snow-password-91c"
START, END = "2026-03-01T00:00:00", "2026-03-02T00:00:00"
FORM = "%Y-%m-%d %H:%M:%S"
PARENTS = {"incident": "task", "task": "", "sys_user": ""}
DICTIONARY = [
    ("task", "sys_id", "GUID"),
    ("task", "number", "string"),
    ("task", "active", "boolean"),
    ("task", "priority", "integer"),
    ("task", "opened_at", "glide_date_time"),
    ("task", "sys_updated_on", "glide_date_time"),
    ("task", "assigned_to", "reference"),
    ("incident", "business_stc", "integer"),
    ("incident", "follow_up", "glide_date"),
]
COLUMNS = [element for _, element, _ in DICTIONARY]
TIMES = moments(55, START, END)
INCIDENTS = [
    {
        "sys_id": f"{place:032x}",
        "number": f"INC{place:07}",
        "active": "true",
        "priority": str(place % 5 + 1),
        "opened_at": "",
        "sys_updated_on": time.strftime(FORM),
        "assigned_to": "6816f79cc0a8016401c5a33be04be441",
        "business_stc": "",
        "follow_up": "2026-04-01",
    }
    for place, time in enumerate(TIMES)
]
PAGE = 9
HIDDEN: set[str] = set()
_SPAN = r"(?:(?P<column>\w+)>=(?P<start>[^^]+)\^(?P=column)<(?P<end>[^^]+)\^)?"
_QUERY = re.compile(rf"{_SPAN}(?:sys_id>(?P<last>[0-9a-f]{{32}})\^)?ORDERBYsys_id")


def _error(status: int, message: str) -> Refused:
    return Refused(status, {"error": {"message": message, "detail": None}, "status": "failure"})


def _incidents(query: Mapping[str, str]) -> list[dict[str, str]]:
    found = _QUERY.fullmatch(query.get("sysparm_query", ""))
    if found is None or (found["column"] and found["column"] not in COLUMNS):
        raise _error(400, f"Invalid query: {query.get('sysparm_query')}")
    rows = INCIDENTS
    if found["column"]:
        if not all(re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", found[side]) for side in ("start", "end")):
            raise _error(400, "Invalid date")
        rows = [row for row in rows if found["start"] <= row[found["column"]] < found["end"]]
    return sorted((row for row in rows if row["sys_id"] > (found["last"] or "")), key=lambda row: row["sys_id"])


def _dictionary(query: Mapping[str, str]) -> list[dict[str, str]]:
    found = re.fullmatch(r"nameIN([\w,]+)\^elementISNOTEMPTY\^active=true\^ORDERBYelement", query["sysparm_query"])
    if found is None:
        raise _error(400, "Invalid query")
    return [{"element": name, "internal_type": type_} for of, name, type_ in DICTIONARY if of in found[1].split(",")]


def _tables(query: Mapping[str, str]) -> list[dict[str, str]]:
    one = re.fullmatch(r"name=(\w+)", query["sysparm_query"])
    rows = [{"name": name, "super_class.name": parent} for name, parent in PARENTS.items()]
    return [row for row in rows if one is None or row["name"] == one[1]]


def _table(request: Request, _: bytes) -> Any:
    wanted = "Basic " + b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    if request.headers.get("authorization") != wanted:
        raise _error(401, "User is not authenticated")
    query = request.query_params
    if any(not name.startswith("sysparm_") for name in query) or not query.get("sysparm_limit", "").isdigit():
        raise _error(400, "Invalid parameter")
    table, fields = request.path_params["table"], query.get("sysparm_fields", "").split(",")
    rows: list[dict[str, str]]
    start, size = int(query.get("sysparm_offset", "0")), int(query["sysparm_limit"])
    size = min(size, PAGE) if table == "incident" else size
    match table:
        case "incident":
            rows = _incidents(query)
        case "sys_dictionary":
            rows = _dictionary(query)
        case "sys_db_object":
            rows = _tables(query)
        case "sys_user":
            rows = [{"sys_id": "6816f79cc0a8016401c5a33be04be441"}]
        case _:
            raise _error(400, f"Invalid table {table}")
    # Limited first, and then without what the account may not see.
    page = [row for row in rows[start : start + size] if row.get("sys_id") not in HIDDEN]
    found = {"result": [{name: row[name] for name in fields if name in row} for row in page]}
    return JSONResponse(found, headers={"X-Total-Count": str(len(rows))})


def _asked(seen: Sequence[Seen]) -> None:
    queries = [one.query["sysparm_query"] for one in seen]
    assert "sys_updated_on>=2026-03-01 00:00:00^sys_updated_on<2026-03-01 12:00:00^ORDERBYsys_id" in queries
    second = f"sys_updated_on>=2026-03-01 00:00:00^sys_updated_on<2026-03-01 12:00:00^sys_id>{PAGE:032x}^ORDERBYsys_id"
    assert second in queries
    assert {one.query["sysparm_display_value"] for one in seen} == {"false"}


def _incident(row: Mapping[str, Any]) -> None:
    assert (row["number"], row["active"], row["priority"]) == ("INC0000001", True, 2)
    assert (row["sys_updated_on"], row["opened_at"], str(row["follow_up"])) == (at(START), None, "2026-04-01")


VENDOR = Vendor(
    spec="servicenow",
    auth_spec="Basic Authentication",
    auth={"endpoint": "https://headgate.service-now.com", "username": USER, "password": PASSWORD},
    params={"tableName": "incident"},
    delta="sys_updated_on",
    key="sys_id",
    times={row["sys_id"]: time for row, time in zip(INCIDENTS, TIMES, strict=True)},
    window=(START, END),
    routes=[route("/api/now/table/{table}", _table)],
    asked=_asked,
    data="/api/now/table/incident",
    wrong_auth={"password": "snow-wrong"},
    check_row=_incident,
)
