"""The streams that no fake has: each asks as the vendor's pages say, and reads the record that they show."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from headgate.config import Settings
from headgate.errors import SourceError
from headgate.model.scope import Tenancy
from headgate.sources import Selection, open_source
from tests.sql_tables import read
from tests.vendors import hubspot, mailchimp, marketo, paypal, shopify, square
from tests.vendors.fake import Fake, Vendor, at, route, served

START, END, AT = "2026-03-01T10:00:00", "2026-03-01T11:00:00", "2026-03-01T10:30:00"
MS = {text: f"{text}.000Z" for text in (START, END)}


@dataclass(frozen=True)
class Case:
    """A stream: where it is asked for, what must be asked, and a record as the vendor answers it, for its key."""

    of: Vendor
    stream: Mapping[str, Any]
    delta: str
    path: str
    asked: Mapping[str, Any]
    answer: Any
    key: Any
    method: str = "GET"


def hubspot_case(name: str, delta: str) -> Case:
    bounds = [("GTE", str(int(at(START).timestamp() * 1000))), ("LT", str(int(at(END).timestamp() * 1000)))]
    filters = [{"propertyName": "hs_object_id", "operator": "GT", "value": "0"}]
    filters += [{"propertyName": delta, "operator": operator, "value": value} for operator, value in bounds]
    record = {"id": "7", "properties": {delta: f"{AT}Z", "createdate": f"{AT}Z"}, "archived": False}
    path = f"/crm/objects/2026-03/{name}/search"
    asked = {"filterGroups": [{"filters": filters}], "limit": 200}
    return Case(hubspot.VENDOR, {"tableName": name}, delta, path, asked, {"results": [record]}, "7", "POST")


def shopify_case(name: str, delta: str) -> Case:
    asked = {f"{delta}_min": f"{START}Z", f"{delta}_max": f"{END}Z", "limit": "250"}
    answer = {name: [{"id": 7, delta: "2026-03-01T05:30:00-05:00"}]}
    return Case(shopify.VENDOR, {"tableName": name}, delta, f"/admin/api/2026-10/{name}.json", asked, answer, 7)


def mailchimp_case(name: str, delta: str) -> Case:
    asked = {f"since_{delta}": "2026-03-01T09:59:59+00:00", f"before_{delta}": f"{END}+00:00", "count": "1000"}
    answer = {name: [{"id": "42694e9e57", delta: f"{AT}+00:00"}], "total_items": 1}
    return Case(mailchimp.VENDOR, {"resourcePath": name}, delta, f"/3.0/{name}", asked, answer, "42694e9e57")


def customers(delta: str) -> Case:
    bounds = {"start_at": MS[START], "end_at": MS[END]}
    asked = {"query": {"filter": {delta: bounds}}} if delta == "updated_at" else {"limit": 100}
    answer = {"customers": [{"id": "C1", delta: f"{AT}.5Z", "preferences": {"email_unsubscribed": False}}]}
    return Case(
        square.VENDORS[0], {"tableName": "customers"}, delta, "/v2/customers/search", asked, answer, "C1", "POST"
    )


def refunds(delta: str) -> Case:
    asked = {"updated_at_begin_time": MS[START], "updated_at_end_time": MS[END], "begin_time": "2009-01-01T00:00:00Z"}
    if delta == "created_at":
        asked = {"begin_time": MS[START], "end_time": MS[END], "sort_field": "CREATED_AT"}
    asked |= {"location_id": "L1"}
    answer = {"refunds": [{"id": "R1", delta: f"{AT}.5Z"}]}
    return Case(
        square.VENDORS[0], {"tableName": "refunds", "locationId": "L1"}, delta, "/v2/refunds", asked, answer, "R1"
    )


def by_initiation() -> Case:
    info = {"transaction_id": "5TY", "transaction_initiation_date": "2026-03-01T11:30:00+0100"}
    asked = {"start_date": f"{START}Z", "end_date": f"{END}Z", "fields": "all"}
    answer = {"transaction_details": [{"transaction_info": info}], "total_pages": 1}
    delta = "transaction_initiation_date"
    return Case(paypal.VENDOR, {"tableName": "transactions"}, delta, paypal.PATH, asked, answer, "5TY")


def activities() -> Case:
    text = "marketoGUID,leadId,activityDate,activityTypeId,campaignId,"
    text += "primaryAttributeValueId,primaryAttributeValue,attributes\n"
    text += '4b9d,12,2026-03-01T10:30:00Z,2,null,null,null,"{""Form Fields"":""x""}"\n'
    bounds = {"startAt": f"{START}Z", "endAt": "2026-03-01T10:59:59Z"}
    asked = {"format": "CSV", "filter": {"createdAt": bounds}}
    path = "/bulk/v1/activities/export/create.json"
    return Case(marketo.VENDOR, {"tableName": "activities"}, "activityDate", path, asked, text, "4b9d", "POST")


CASES = [
    hubspot_case("companies", "hs_lastmodifieddate"),
    hubspot_case("deals", "hs_lastmodifieddate"),
    hubspot_case("tickets", "createdate"),
    shopify_case("customers", "updated_at"),
    shopify_case("products", "created_at"),
    shopify_case("orders", "processed_at"),
    mailchimp_case("campaigns", "create_time"),
    mailchimp_case("campaigns", "send_time"),
    mailchimp_case("reports", "send_time"),
    customers("updated_at"),
    customers("created_at"),
    refunds("updated_at"),
    refunds("created_at"),
    by_initiation(),
    activities(),
]


@pytest.fixture(scope="module")
def fakes() -> Iterator[list[Fake]]:
    with served([_as_shown(case, place) for place, case in enumerate(CASES)]) as fakes:
        yield list(fakes.values())


def _as_shown(case: Case, place: int) -> Vendor:
    """A fake of one stream; it lets in whoever the vendor's own fake gives a token."""
    job = {"success": True, "result": [{"exportId": "e1", "status": "Completed"}]}
    if isinstance(case.answer, str):
        below = case.path.rpartition("/")[0]
        own = [route(case.path, lambda *_: job, "POST"), route(f"{below}/e1/enqueue.json", lambda *_: job, "POST")]
        own += [route(f"{below}/e1/status.json", lambda *_: job), route(f"{below}/e1/file.json", _csv(case.answer))]
    else:
        own = [route(case.path, lambda *_: case.answer, case.method)]
    tokens = [found for found in case.of.routes if isinstance(found, Route) and found.path.endswith("/token")]
    return replace(case.of, routes=[*own, *tokens], data=f"/{place}")


def _csv(text: str) -> Any:
    def answer(_: Request, __: bytes) -> Response:
        return Response(text, media_type="text/csv")

    return answer


@pytest.mark.parametrize("place", range(len(CASES)), ids=[f"{case.of.spec}-{case.path}-{case.delta}" for case in CASES])
def test_a_stream_asks_as_documented(fakes: list[Fake], tmp_path: Path, place: int) -> None:
    case, fake = CASES[place], fakes[place]
    params = {**case.of.auth, "serviceUrl": fake.address}
    source = open_source(case.of.catalogue.id, params, Settings(data=tmp_path), Tenancy("ORG", shared=False))
    selection = Selection(case.stream)
    rows = read(source, selection, replace(case.of, window=(START, END)).span, case.delta)
    names = [column.name for column in source.describe(selection).columns]
    key = next(name for name in ("id", "marketoGUID", "transaction_id") if name in names)
    assert [row[names.index(key)] for row in rows] == [case.key]
    [seen] = [seen for seen in fake.seen if seen.path == case.path]
    asked = seen.json if case.method == "POST" else seen.query
    assert {name: asked.get(name) for name in case.asked} == dict(case.asked)


@pytest.mark.parametrize(
    ("given", "base"),
    [
        ({"host": "https://us9.api.mailchimp.com/", "password": "0123456789abcdef-us6"}, "us9.api.mailchimp.com"),
        ({"host": "us9.api.mailchimp.com", "accessToken": "mc-token"}, "us9.api.mailchimp.com"),
        ({"password": "0123456789abcdef-us6"}, "us6.api.mailchimp.com"),
        (
            {"accessToken": "mc-token", "authorizationTestUrl": "https://us7.api.mailchimp.com/3.0/ping"},
            "us7.api.mailchimp.com",
        ),
    ],
)
def test_the_data_centre_of_mailchimp_is_found_in_what_is_given(
    given: Mapping[str, str], base: str, tmp_path: Path
) -> None:
    auth = {"username": "any", **given} if "password" in given else dict(given)
    source = open_source(mailchimp.VENDOR.catalogue.id, auth, Settings(data=tmp_path), Tenancy("ORG", shared=False))
    with source._reader._asking() as asking:  # type: ignore[attr-defined]
        assert asking.base == f"https://{base}/3.0"


def test_a_key_of_mailchimp_that_names_no_data_centre_is_refused(tmp_path: Path) -> None:
    auth = {"username": "any", "password": "0123456789abcdef"}
    source = open_source(mailchimp.VENDOR.catalogue.id, auth, Settings(data=tmp_path), Tenancy("ORG", shared=False))
    with pytest.raises(SourceError, match="is no address of an API"):
        source.check()
