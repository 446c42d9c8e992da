"""Marketo's bulk extract of leads, as its documentation describes it."""

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from tests.vendors.fake import Refused, Seen, Vendor, at, moments, route

CLIENT, SECRET = "mk-client-id", "mk-secret-4Zq"
START, END = "2026-01-10T00:00:00", "2026-02-15T00:00:00"  # longer than a job may be
BULK = "/bulk/v1/leads/export"
TOKENS: set[str] = set()
JOBS: dict[str, dict[str, Any]] = {}
QUEUED = [0]  # how often a job is still waiting when it is asked for
TIMES = {1_000_000 + place: time for place, time in enumerate(moments(700, START, END))}


def _said(*codes: tuple[str, str]) -> dict[str, Any]:
    return {"requestId": "e42b", "success": False, "errors": [{"code": code, "message": text} for code, text in codes]}


def _result(**result: Any) -> dict[str, Any]:
    return {"requestId": "e42b", "success": True, "result": [result]}


def _let_in(request: Request) -> None:
    token = request.headers.get("authorization", "").removeprefix("Bearer ")
    if not token:
        raise Refused(200, _said(("600", "Empty access token")))
    if token not in TOKENS:
        raise Refused(200, _said(("601", "Access token invalid")))


def _token(_: Request, body: bytes) -> Any:
    asked = Seen("POST", "", {}, {}, body).form
    if asked != {"grant_type": "client_credentials", "client_id": CLIENT, "client_secret": SECRET}:
        raise Refused(401, {"error": "invalid_client", "error_description": "Bad client credentials"})
    TOKENS.add(token := f"cdf01657-{len(TOKENS)}:ab")
    return {"access_token": token, "token_type": "bearer", "expires_in": 3599, "scope": "apis@example.com"}


def _create(request: Request, body: bytes) -> Any:
    _let_in(request)
    asked = orjson.loads(body)
    if asked.get("format") != "CSV" or asked.get("filter", {}).keys() != {"createdAt"} or not asked.get("fields"):
        return _said(("1003", "Exactly one filter, fields and format must be given"))
    try:
        start, end = (datetime.fromisoformat(asked["filter"]["createdAt"][name]) for name in ("startAt", "endAt"))
    except (KeyError, ValueError):
        return _said(("1035", "Unsupported filter"))
    if not timedelta() <= end - start <= timedelta(days=31) or start.microsecond or end.microsecond:
        return _said(("1003", "Date range is longer than 31 days"))
    id_ = f"4d8ee1cc-{len(JOBS)}"
    JOBS[id_] = {"span": (start, end), "fields": asked["fields"], "status": "Created", "waits": QUEUED[0]}
    return _result(exportId=id_, format="CSV", status="Created")


def _job(request: Request) -> dict[str, Any]:
    _let_in(request)
    found = JOBS.get(request.path_params["id"])
    if found is None:
        raise Refused(200, _said(("1013", "Export job not found")))
    return found


def _enqueue(request: Request, _: bytes) -> Any:
    job = _job(request)
    if job["status"] != "Created":
        return _said(("1029", "The job was enqueued already"))
    job["status"] = "Queued"
    return _result(exportId=request.path_params["id"], status="Queued")


def _status(request: Request, _: bytes) -> Any:
    job = _job(request)
    if job["status"] == "Queued":
        job["waits"] -= 1
        if job["waits"] < 0:
            job["status"] = "Completed"
    return _result(exportId=request.path_params["id"], status=job["status"])


def _file(request: Request, _: bytes) -> Response | dict[str, Any]:
    job = _job(request)
    if job["status"] != "Completed":
        return _said(("1037", "The job is not completed"))
    start, end = job["span"]
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(job["fields"])
    for id_, time in TIMES.items():
        if start <= time <= end:
            known = {
                "id": id_,
                "createdAt": f"{time:%Y-%m-%dT%H:%M:%SZ}",
                "email": f"l{id_}@example.com",
                "leadScore": 7,
            }
            writer.writerow([known.get(name, "null") for name in job["fields"]])
    return Response(text.getvalue(), media_type="text/csv")


def _types(request: Request, _: bytes) -> Any:
    _let_in(request)
    return _result(id=2, name="Fill Out Form")


def _asked(seen: Sequence[Seen]) -> None:
    created = [one.json["filter"]["createdAt"] for one in seen if one.path == f"{BULK}/create.json"]
    assert (min(one["startAt"] for one in created), max(one["endAt"] for one in created)) == (
        "2026-01-10T00:00:00Z",
        "2026-02-14T23:59:59Z",
    )
    assert len(created) == len([one for one in seen if one.path.endswith("/enqueue.json")]) > 1


def _first(row: Mapping[str, Any]) -> None:
    assert (row["createdAt"], row["updatedAt"], row["leadScore"], row["company"]) == (at(START), None, 7, None)


def _reset() -> None:
    TOKENS.clear()
    JOBS.clear()
    QUEUED[0] = 0


VENDOR = Vendor(
    spec="marketo",
    auth_spec="OAuth2 Client Credential",
    auth={"munchkinId": "123-ABC-456", "clientId": CLIENT, "clientSecret": SECRET},
    params={"tableName": "leads"},
    key="id",
    times=TIMES,
    window=(START, END),
    delta="createdAt",
    routes=[
        route("/identity/oauth/token", _token, "POST"),
        route("/rest/v1/activities/types.json", _types),
        route(f"{BULK}/create.json", _create, "POST"),
        route(BULK + "/{id}/enqueue.json", _enqueue, "POST"),
        route(BULK + "/{id}/status.json", _status),
        route(BULK + "/{id}/file.json", _file),
    ],
    asked=_asked,
    data=BULK,
    wrong_auth={"clientSecret": "mk-secret-wrong"},
    renews=True,
    reset=_reset,
    check_row=_first,
)
