"""Salesforce's REST API, its Bulk API 2.0 and the login() of its SOAP API, as their guides have them."""

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from tests.vendors.fake import Refused, Seen, Vendor, at, moments, route

CLIENT, SECRET = "3MVG9-headgate", "salesforce-secret-0d51"
USER, PASSWORD, SECURITY = "etl@example.com", "pass<word>&-8f21", "SecurityToken77c0"
HOST = "https://headgate.my.salesforce.com"
START, END = "2026-03-01T00:00:00", "2026-03-02T00:00:00"
PATH = "/services/data/v64.0"
PAGE = 9
TOKENS: list[str] = []
RESULTS: dict[str, tuple[list[str], list[dict[str, Any]]]] = {}
FIELDS = [
    ("Id", "id"),
    ("IsDeleted", "boolean"),
    ("Name", "string"),
    ("BillingCity", "string"),
    ("BillingAddress", "address"),
    ("AnnualRevenue", "currency"),
    ("NumberOfEmployees", "int"),
    ("LastActivityDate", "date"),
    ("CreatedDate", "datetime"),
    ("SystemModstamp", "datetime"),
]
TIMES = moments(50, START, END)
ROWS: list[dict[str, Any]] = [
    {
        "Id": f"0015g00000Abc{place:03}AAA",
        "IsDeleted": place % 10 == 1,
        "Name": f'Acme, "{place}"\nInc.',
        "BillingCity": None,
        "AnnualRevenue": 350000000.5,
        "NumberOfEmployees": place,
        "LastActivityDate": "2026-02-27",
        "CreatedDate": "2025-01-01T00:00:00.000+0000",
        "SystemModstamp": time.strftime("%Y-%m-%dT%H:%M:%S.000+0000"),
    }
    for place, time in enumerate(TIMES)
]
ALL = {row["Id"]: time for row, time in zip(ROWS, TIMES, strict=True)}
_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
_SOQL = re.compile(
    rf"SELECT (?P<fields>[\w,]+) FROM (?P<object>\w+)"
    rf"(?: WHERE SystemModstamp >= (?P<start>{_TIME}) AND SystemModstamp < (?P<end>{_TIME}))?"
)


def _error(status: int, code: str, message: str) -> Refused:
    return Refused(status, [{"message": message, "errorCode": code}])


def _let_in(request: Request) -> None:
    if not TOKENS or request.headers.get("authorization") != f"Bearer {TOKENS[-1]}":
        raise _error(401, "INVALID_SESSION_ID", "Session expired or invalid")


def _found(soql: str, *, deleted: bool) -> tuple[list[str], list[dict[str, Any]]]:
    found = _SOQL.fullmatch(soql)
    if found is None:
        raise _error(400, "MALFORMED_QUERY", f"unexpected token in {soql[:60]}")
    fields = found["fields"].split(",")
    for name in fields:
        if name not in ROWS[0]:
            raise _error(400, "INVALID_FIELD", f"No such column '{name}' on entity '{found['object']}'.")
    start, end = (datetime.fromisoformat(found[side]) if found[side] else None for side in ("start", "end"))
    rows = [row for row in ROWS if deleted or not row["IsDeleted"]]
    stamped = [(row, datetime.fromisoformat(row["SystemModstamp"])) for row in rows]
    return fields, [row for row, stamp in stamped if start is None or end is None or start <= stamp < end]


def _page(key: str, start: int) -> dict[str, Any]:
    fields, rows = RESULTS[key]
    page = [{"attributes": {"type": "Account"}, **{name: row[name] for name in fields}} for row in rows]
    answer = {"totalSize": len(rows), "done": start + PAGE >= len(rows), "records": page[start : start + PAGE]}
    return answer if answer["done"] else answer | {"nextRecordsUrl": f"{PATH}/query/{key}-{start + PAGE}"}


def _query(request: Request, _: bytes) -> Any:
    _let_in(request)
    if set(request.query_params) != {"q"}:
        raise _error(400, "MALFORMED_QUERY", "q is missing")
    key = f"01g5g00000{len(RESULTS):06}"
    RESULTS[key] = _found(request.query_params["q"], deleted=request.url.path.endswith("queryAll"))
    return _page(key, 0)


def _more(request: Request, _: bytes) -> Any:
    _let_in(request)
    key, _dash, start = request.path_params["locator"].partition("-")
    if key not in RESULTS or request.query_params:
        raise _error(400, "INVALID_QUERY_LOCATOR", "invalid query locator")
    return _page(key, int(start))


def _create(request: Request, body: bytes) -> Any:
    _let_in(request)
    sent = json.loads(body)
    if sent.keys() - {"operation", "query", "columnDelimiter", "lineEnding", "contentType"}:
        raise _error(400, "INVALIDJOB", "unknown member")
    if sent["operation"] not in ("query", "queryAll"):
        raise _error(400, "INVALIDJOB", f"Invalid operation {sent['operation']}")
    key = f"7505g00000{len(RESULTS):06}"
    RESULTS[key] = _found(sent["query"], deleted=sent["operation"] == "queryAll")
    return {"id": key, "operation": sent["operation"], "object": "Account", "state": "UploadComplete"}


def _job(request: Request, _: bytes) -> Any:
    _let_in(request)
    return {"id": request.path_params["job"], "state": "JobComplete"}


def _results(request: Request, _: bytes) -> Any:
    _let_in(request)
    query = request.query_params
    fields, rows = RESULTS[request.path_params["job"]]
    if query.keys() - {"maxRecords", "locator"} or not query.get("maxRecords", "").isdigit():
        raise _error(400, "INVALID_PARAMETER", "maxRecords or locator")
    start = int(query.get("locator", "0").removeprefix("MTA"))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerow(fields)
    for row in rows[start : start + PAGE]:
        writer.writerow([_written(row[name]) for name in fields])
    locator = "null" if start + PAGE >= len(rows) else f"MTA{start + PAGE}"
    return Response(text.getvalue(), headers={"Sforce-Locator": locator}, media_type="text/csv")


def _written(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
    return str(value).replace(".000+0000", ".000Z")


def _objects(request: Request, _: bytes) -> Any:
    _let_in(request)
    names = (("Account", True), ("Case", True), ("AccountChangeEvent", False))
    return {"encoding": "UTF-8", "sobjects": [{"name": name, "queryable": queryable} for name, queryable in names]}


def _describe(request: Request, _: bytes) -> Any:
    _let_in(request)
    fields = [{"name": name, "type": type_, "filterable": True} for name, type_ in FIELDS]
    return {"name": request.path_params["object"], "label": request.path_params["object"], "fields": fields}


def _top(request: Request, _: bytes) -> Any:
    _let_in(request)
    return {"query": f"{PATH}/query", "sobjects": f"{PATH}/sobjects"}


def _token(_: Request, body: bytes) -> Any:
    wanted = {"grant_type": "client_credentials", "client_id": CLIENT, "client_secret": SECRET}
    if Seen("POST", "", {}, {}, body).form != wanted:
        raise Refused(400, {"error": "invalid_client", "error_description": "invalid client credentials"})
    TOKENS.append(f"00D5g-session-{len(TOKENS)}")
    return {"access_token": TOKENS[-1], "instance_url": HOST, "token_type": "Bearer"}


def _login(request: Request, body: bytes) -> Any:
    text = body.decode()
    password = (PASSWORD + SECURITY).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    known = f"<n1:username>{USER}</n1:username>" in text and f"<n1:password>{password}</n1:password>" in text
    if not known or request.headers.get("soapaction") != "login":
        fault = "<faultcode>INVALID_LOGIN</faultcode><faultstring>INVALID_LOGIN: Invalid username</faultstring>"
        return Response(_envelope(f"<soapenv:Fault>{fault}</soapenv:Fault>"), 500, media_type="text/xml")
    TOKENS.append(f"00D5g-session-{len(TOKENS)}")
    server = f"<serverUrl>{HOST}/services/Soap/u/64.0/00D5g</serverUrl><sessionId>{TOKENS[-1]}</sessionId>"
    valid = "<userInfo><sessionSecondsValid>7200</sessionSecondsValid></userInfo>"
    answer = f"<loginResponse><result>{server}{valid}</result></loginResponse>"
    return Response(_envelope(answer), media_type="text/xml")


def _envelope(inside: str) -> str:
    spaces = 'xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns="urn:partner.soap.sforce.com"'
    return f"<soapenv:Envelope {spaces}><soapenv:Body>{inside}</soapenv:Body></soapenv:Envelope>"


def _spans(queries: Sequence[str]) -> None:
    spans = sorted({found.group("start", "end") for query in queries if (found := _SOQL.fullmatch(query))})
    assert (spans[0][0], spans[-1][1]) == (f"{START}.000Z", f"{END}.000Z")
    assert all(one[1] == two[0] for one, two in pairwise(spans)), "the slices of a window touch"


def _asked(seen: Sequence[Seen]) -> None:
    _spans([one.query["q"] for one in seen if "q" in one.query])
    assert {one.headers["sforce-query-options"] for one in seen} == {"batchSize=2000"}


def _asked_in_bulk(seen: Sequence[Seen]) -> None:
    _spans([one.json["query"] for one in seen if one.method == "POST"])
    assert any("locator" in one.query for one in seen)


def _account(row: Mapping[str, Any]) -> None:
    assert (row["SystemModstamp"], row["AnnualRevenue"], row["BillingCity"]) == (at(START), 350000000.5, None)
    assert (row["IsDeleted"], row["Name"], str(row["LastActivityDate"])) == (True, 'Acme, "1"\nInc.', "2026-02-27")


def _forget() -> None:
    TOKENS.clear()
    RESULTS.clear()


KEPT = {row["Id"]: ALL[row["Id"]] for row in ROWS if not row["IsDeleted"]}
ROUTES = [
    route("/services/oauth2/token", _token, "POST"),
    route("/services/Soap/u/64.0", _login, "POST"),
    route(PATH, _top),
    route(f"{PATH}/sobjects", _objects),
    route(f"{PATH}/sobjects/{{object}}/describe", _describe),
    route(f"{PATH}/query", _query),
    route(f"{PATH}/queryAll", _query),
    route(f"{PATH}/query/{{locator}}", _more),
    route(f"{PATH}/jobs/query", _create, "POST"),
    route(f"{PATH}/jobs/query/{{job}}", _job),
    route(f"{PATH}/jobs/query/{{job}}/results", _results),
]
OAUTH = {"environmentUrl": HOST, "clientId": CLIENT, "clientSecret": SECRET, "apiVersion": "64.0"}


def _vendor(spec: str, auth_spec: str, auth: Mapping[str, Any], wrong: str, **about: Any) -> Vendor:
    return Vendor(
        spec=spec,
        auth_spec=auth_spec,
        auth=auth,
        wrong_auth={wrong: "salesforce-wrong-secret"},
        delta="SystemModstamp",
        key="Id",
        window=(START, END),
        routes=ROUTES,
        renews=True,
        reset=_forget,
        **about,
    )


VENDORS = [
    _vendor(
        "salesforce",
        "OAuth2 Client Credential",
        OAUTH | {"includeDeletedObjects": True},
        "clientSecret",
        params={"tableName": "Account"},
        times=ALL,
        asked=_asked,
        data=f"{PATH}/queryAll",
        check_row=_account,
    ),
    _vendor(
        "salesforce",
        "Basic Authentication",
        {"username": USER, "password": PASSWORD, "securityToken": SECURITY},
        "password",
        params={"tableName": "Account", "bulk": True},
        times=KEPT,
        asked=_asked_in_bulk,
        data=f"{PATH}/jobs/query",
    ),
    _vendor(
        "salesforce-service-cloud",
        "OAuth2 Client Credential",
        OAUTH,
        "clientSecret",
        params={"tableName": "Case"},
        times=KEPT,
        asked=_asked,
        data=f"{PATH}/query",
    ),
]
