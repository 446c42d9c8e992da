"""OData services: one by the TripPin sample's description, and a Dataverse organisation behind Microsoft Entra."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from tests.vendors.fake import Refused, Seen, Vendor, at, moments, route

START, END = "2026-03-01T00:00:00", "2026-03-02T00:00:00"
_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
_FILTER = re.compile(rf"(\w+) ge ({_TIME}) and (\w+) lt ({_TIME})")
_PROPERTY = re.compile(r'<Property Name="(\w+)"')


def error(status: int, message: str, code: str = "") -> Refused:
    """An error as OData's JSON format has it."""
    return Refused(status, {"error": {"code": code, "message": message}})


class Entities:
    """An entity set, and how it is asked for."""

    def __init__(self, name: str, type_: str, metadata: str, rows: Sequence[dict[str, Any]], page: int) -> None:
        self.metadata = (Path(__file__).parent / "openapi" / metadata).read_text()
        about = self.metadata.partition(f'<EntityType Name="{type_}"')[2].partition("</EntityType>")[0]
        self.name, self.properties, self.rows, self.page = name, _PROPERTY.findall(about), rows, page

    def described(self, request: Request) -> Response:
        if "xml" not in request.headers.get("accept", ""):
            raise error(406, "The metadata document is XML.")
        return Response(self.metadata, media_type="application/xml")

    def answer(self, request: Request, link: Callable[[str], str]) -> Any:
        query = dict(request.query_params)
        if strangers := query.keys() - {"$filter", "$select", "$skiptoken"}:
            raise error(400, f"The query option {sorted(strangers)[0]!r} is not known.")
        chosen = query.get("$select", ",".join(self.properties)).split(",")
        for name in chosen:
            if name not in self.properties:
                raise error(400, f"Could not find a property named '{name}'.")
        rows = [row for row in self.rows if self._lets(query.get("$filter"), row)]
        size = re.fullmatch(r"odata\.maxpagesize=(\d+)", request.headers.get("prefer", ""))
        if size is None:
            raise error(400, "The page size is missing.")
        start = int(query.get("$skiptoken", "0"))
        until = start + min(self.page, int(size[1]))
        found: dict[str, Any] = {"@odata.context": "$metadata#" + self.name}
        found["value"] = [{"@odata.etag": 'W/"1"', **{n: row[n] for n in chosen}} for row in rows[start:until]]
        if until < len(rows):
            query["$skiptoken"] = str(until)
            found["@odata.nextLink"] = link("&".join(f"{quote(n)}={quote(v)}" for n, v in query.items()))
        return found

    def _lets(self, text: str | None, row: Mapping[str, Any]) -> bool:
        if text is None:
            return True
        found = _FILTER.fullmatch(text)
        if found is None or found[1] != found[3] or found[1] not in self.properties:
            raise error(400, f"Syntax error in {text!r}.")
        value = row[found[1]]
        return value is not None and _moment(found[2]) <= _moment(value) < _moment(found[4])


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


# -- a plain service

TRIPS = Entities(
    "Trips",
    "Trip",
    "odata.xml",
    [
        {
            "TripId": place,
            "ShareId": f"9d9b2fa0-efbf-490e-a5e3-{place:012}",
            "Name": f"Trip {place}",
            "Budget": 3000.5,
            "Description": None,
            "Tags": ["Trip in New York", "business"] if place % 2 else [],
            "StartsAt": time.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "EndsAt": "2026-04-01T12:00:00+02:00",
        }
        for place, time in enumerate(moments(60, START, END))
    ],
    page=7,
)


def _trips(request: Request, _: bytes) -> Any:
    return TRIPS.answer(request, lambda query: f"Trips?{query}")  # relative, as the format allows


def _asked(seen: Sequence[Seen]) -> None:
    condition = "StartsAt ge 2026-03-01T00:00:00.000Z and StartsAt lt 2026-03-02T00:00:00.000Z"
    assert {one.query["$filter"] for one in seen} == {condition}
    assert len(seen) == 9
    assert [one.query.get("$skiptoken") for one in seen] == [None, "7", "14", "21", "28", "35", "42", "49", "56"]
    assert sorted(seen[0].query["$select"].split(",")) == sorted(TRIPS.properties)


def _trip(row: Mapping[str, Any]) -> None:
    assert (row["TripId"], row["Budget"], row["Tags"]) == (1, 3000.5, ["Trip in New York", "business"])
    assert (row["StartsAt"], row["EndsAt"]) == (at(START), at("2026-04-01T10:00:00"))


# -- a Dataverse organisation

ORGANISATION = "https://headgate.crm4.dynamics.com"
CLIENT, SECRET, TENANT = "6a1e4b6c-app", "entra~secret-7c2f", "72f988bf-tenant"
TOKENS: list[str] = []
ACCOUNTS = Entities(
    "accounts",
    "account",
    "dynamics.xml",
    [
        {
            "accountid": f"475b158c-541c-e511-80d3-{place:012}",
            "name": f"Account {place}",
            "createdon": "2025-01-01T00:00:00Z",
            "modifiedon": time.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "revenue": 20000000.1234567,
            "statecode": 0,
            "donotemail": False,
            "entityimage": None,
            "_primarycontactid_value": "88cea450-cb0c-ea11-a813-000d3a1b1223",
        }
        for place, time in enumerate(moments(40, START, END))
    ],
    page=6,
)


def _let_in(request: Request) -> None:
    if not TOKENS or request.headers.get("authorization") != f"Bearer {TOKENS[-1]}":
        place = f"Bearer authorization_uri=https://login.microsoftonline.com/{TENANT}/oauth2/authorize"
        raise Refused(401, {}, WWW_Authenticate=f"{place}, resource_id={ORGANISATION}/")
    if request.headers.get("odata-version") != "4.0":
        raise error(400, "The header OData-Version is missing.", "0x80060888")


def _token(_: Request, body: bytes) -> Any:
    wanted = {
        "grant_type": "client_credentials",
        "client_id": CLIENT,
        "client_secret": SECRET,
        "scope": f"{ORGANISATION}/.default",
    }
    if (form := Seen("POST", "", {}, {}, body).form) != wanted:
        what = next((name for name in (*wanted, *form) if form.get(name) != wanted.get(name)), "")
        raise Refused(401, {"error": "invalid_client", "error_description": f"AADSTS7000215: Invalid {what}."})
    TOKENS.append(f"eyJ0eXAi-{len(TOKENS)}")
    return {"token_type": "Bearer", "expires_in": 3599, "access_token": TOKENS[-1]}


def _accounts(request: Request, _: bytes) -> Any:
    _let_in(request)
    return ACCOUNTS.answer(request, lambda query: f"{str(request.url).partition('?')[0]}?{query}")


def _metadata(request: Request, _: bytes) -> Any:
    _let_in(request)
    return ACCOUNTS.described(request)


def _who(request: Request, _: bytes) -> Any:
    _let_in(request)
    return {"BusinessUnitId": "1", "UserId": "2", "OrganizationId": "3"}


def _asked_accounts(seen: Sequence[Seen]) -> None:
    spans = sorted({_FILTER.fullmatch(one.query["$filter"]).group(2, 4) for one in seen})  # type: ignore[union-attr]
    assert (spans[0][0], spans[-1][1]) == (f"{START}.000Z", f"{END}.000Z")
    assert all(one[1] == two[0] for one, two in pairwise(spans)), "the slices of a window touch"
    assert {one.headers["prefer"] for one in seen} == {"odata.maxpagesize=5000"}


def _account(row: Mapping[str, Any]) -> None:
    assert (row["name"], str(row["revenue"]), row["modifiedon"]) == ("Account 1", "20000000.1234567000", at(START))


VENDORS = [
    Vendor(
        spec="generic-odata",
        auth_spec="Anonymous Authentication",
        auth={"url": "https://services.odata.org/TripPin"},
        params={"tableName": "Trips"},
        delta="StartsAt",
        key="TripId",
        times=dict(enumerate(moments(60, START, END))),
        window=(START, END),
        routes=[
            route("/TripPin/Trips", _trips),
            route("/TripPin/$metadata", lambda request, _: TRIPS.described(request)),
        ],
        asked=_asked,
        data="/TripPin/Trips",
        check_row=_trip,
    ),
    Vendor(
        spec="microsoft-dynamics",
        auth_spec="Service Principal Key Based Authentication",
        auth={"serviceUri": ORGANISATION, "servicePrincipalId": CLIENT, "servicePrincipalKey": SECRET},
        params={"tableName": "accounts"},
        delta="modifiedon",
        key="accountid",
        times={row["accountid"]: time for row, time in zip(ACCOUNTS.rows, moments(40, START, END), strict=True)},
        window=(START, END),
        routes=[
            route("/api/data/v9.2/accounts", _accounts),
            route("/api/data/v9.2/$metadata", _metadata),
            route("/api/data/v9.2/WhoAmI", _who),
            route("/api/data/v9.2/", _who),
            route(f"/{TENANT}/oauth2/v2.0/token", _token, "POST"),
        ],
        asked=_asked_accounts,
        data="/api/data/v9.2/accounts",
        wrong_auth={"servicePrincipalKey": "entra~wrong"},
        renews=True,
        reset=TOKENS.clear,
        check_row=_account,
    ),
]
