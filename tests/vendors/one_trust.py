"""OneTrust: data subjects and receipts, as the OpenAPI description of its consent APIs has them (one_trust.json)."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request

from tests.vendors.fake import Refused, Seen, Vendor, at, moments, route

PATHS = json.loads((Path(__file__).parent / "openapi" / "one_trust.json").read_text())["paths"]
CLIENT = {"grant_type": "client_credentials", "client_id": "client-o", "client_secret": "secret-client"}
SUBJECTS, RECEIPTS = "/rest/api/consent/v4/datasubjects/unordered", "/api/consent/v2/receipts"
START, END = "2026-03-01T06:30:00", "2026-03-09T18:00:00"
PAGE = 50
TOKEN = "secret-onetrust-token"
GIVEN: list[str] = []


def _refused(status: int, message: str) -> Refused:
    return Refused(status, {"status": status, "message": message, "timestamp": "2026-11-24T10:00:00"})


def _token(request: Request, body: bytes) -> Any:
    if dict(parse_qsl(body.decode())) != CLIENT:
        raise Refused(401, {"error": "invalid_client", "error_description": "Bad client credentials"})
    GIVEN.append(f"{TOKEN}-{len(GIVEN)}")
    return {"access_token": GIVEN[-1], "token_type": "bearer", "expires_in": 3600}


def _asked(request: Request, about: Mapping[str, Any]) -> tuple[datetime, datetime]:
    """The range that is asked for."""
    if request.headers.get("authorization") != f"Bearer {GIVEN[-1] if GIVEN else TOKEN}":
        raise _refused(401, "Full authentication is required to access this resource")
    asked = request.query_params
    if strangers := set(asked) - {found["name"] for found in about["parameters"] if found["in"] == "query"}:
        raise _refused(400, f"Unknown parameters {sorted(strangers)}")
    if not 1 <= int(asked.get("size", "20")) <= 50 or asked.get("sort") not in (None, "consentCreationDate,asc"):
        raise _refused(400, "size must be less than or equal to 50")
    try:
        since, until = (datetime.strptime(asked[side], "%Y-%m-%dT%H:%M:%S") for side in ("fromDate", "toDate"))
    except (KeyError, ValueError):
        raise _refused(400, "fromDate and toDate must be yyyy-MM-ddTHH:mm:ss") from None
    if not timedelta(0) <= until - since <= timedelta(days=about["longest_days"]):
        raise _refused(400, f"The date range must not exceed {about['longest_days']} days")
    return since.replace(tzinfo=UTC), until.replace(tzinfo=UTC)


def _subjects(request: Request, _: bytes) -> Any:
    since, until = _asked(request, PATHS[SUBJECTS]["get"])
    unknown = at("2026-03-02T00:00:00")
    found = [_subject(id_, time) for id_, time in TIMES.items() if since <= (time or unknown) <= until]
    page, following = _page(found, request.headers.get("requestContinuation"))
    return {**page, "requestContinuation": following}


def _receipts(request: Request, body: bytes) -> Any:
    about = PATHS[RECEIPTS]["post"]
    since, until = _asked(request, about)
    said = json.loads(body)
    if said.keys() - about["requestBody"].keys():
        raise _refused(400, "Unknown members")
    found = [_receipt(id_, time) for id_, time in CREATED.items() if since <= time <= until]
    page, following = _page(found, said.get("requestContinuation"))
    return {**page, "pageable": {"pageNumber": 0, "requestContinuation": following}}


def _page(found: Sequence[Any], token: str | None) -> tuple[dict[str, Any], str]:
    try:
        first = int(json.loads(token)["compositeToken"]) if token is not None else 0
    except (ValueError, KeyError):
        raise _refused(400, "requestContinuation is not valid") from None
    # The last page has a token as well; that it is the last is said by `last`.
    page = {"content": found[first : first + PAGE], "last": first + PAGE >= len(found), "size": PAGE}
    return page, json.dumps({"compositeToken": str(first + PAGE)})


def _subject(id_: str, time: datetime | None) -> dict[str, Any]:
    written = f"{time:%Y-%m-%dT%H:%M:%S.000Z}" if time is not None else None
    elements = [{"name": "Work Email", "value": "a@example.org"}]
    source = {"latestSource": {"sourceType": "WEB"}, "latestGeoLocation": {"country": "DE"}}
    return {"id": id_, "identifier": "a@example.org", "lastUpdatedDate": written, "dataElements": elements, **source}


def _receipt(id_: str, time: datetime) -> dict[str, Any]:
    purposes = [{"id": "p", "name": "News", "status": "ACTIVE", "version": 2, "transactionType": "CONFIRMED"}]
    return {"id": id_, "consentCreationDate": f"{time:%Y-%m-%dT%H:%M:%S.123Z}", "purposes": purposes}


TIMES: dict[Any, datetime | None] = {f"s{place:03}": time for place, time in enumerate(moments(130, START, END))}
TIMES |= {"never": None}
CREATION = ("2026-03-01T00:00:00", "2026-03-02T12:00:00")
CREATED = {f"r{place:03}": time for place, time in enumerate(moments(120, *CREATION))}


def _of_subjects(seen: Sequence[Seen]) -> None:
    spans = {(one.query["fromDate"], one.query["toDate"]) for one in seen}
    assert {min(spans)[0], max(spans)[1]} == {START, END}
    assert len(spans) > 1  # no span of more than seven days is asked for
    assert any("requestcontinuation" in one.headers for one in seen)


def _of_receipts(seen: Sequence[Seen]) -> None:
    assert len({one.query["fromDate"] for one in seen}) == 2
    assert any("requestContinuation" in one.json for one in seen)


def _first(row: Mapping[str, Any]) -> None:
    assert (row["last_updated_date"], row["latest_country"], row["latest_source_type"]) == (at(START), "DE", "WEB")
    assert json.loads(row["data_elements"])[0]["name"] == "Work Email"


def _of_a_receipt(row: Mapping[str, Any]) -> None:
    assert row["purposes"][0]["transactionType"] == "CONFIRMED"
    assert row["consent_creation_date"].microsecond == 123_000


def _vendor(stream: str, data: str, **more: Any) -> Vendor:
    return Vendor(
        spec="one-trust",
        auth_spec="OAuth2 Refresh Code",
        auth={"accessToken": TOKEN, "clientId": "client-o", "clientSecret": "secret-client"},
        params={"resourcePath": stream},
        key="id",
        routes=[
            route("/api/access/v1/oauth/token", _token, "POST"),
            route(SUBJECTS, _subjects),
            route(RECEIPTS, _receipts, "POST"),
        ],
        data=data,
        wrong_auth={"accessToken": "wrong-access-token", "clientSecret": "wrong-client-secret"},
        renews=True,
        reset=GIVEN.clear,
        **more,
    )


VENDORS = [
    _vendor("data_subjects", SUBJECTS, times=TIMES, window=(START, END), asked=_of_subjects, check_row=_first),
    _vendor(
        "receipts",
        RECEIPTS,
        # Created at 123 milliseconds, so that what is created in the last second of the window lies in it.
        times={id_: time + timedelta(milliseconds=123) for id_, time in CREATED.items()},
        window=CREATION,
        asked=_of_receipts,
        check_row=_of_a_receipt,
    ),
]
