"""What the suite does not see of sources that are discovered: nested values, ways to log in, pages that move."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from headgate.config import Settings
from headgate.errors import BadParameter, SourceAccessDenied, SourceObjectMissing
from headgate.model.scope import Tenancy
from headgate.model.windows import Window
from headgate.sources import Selection, Source, open_source
from headgate.sources.rest.hooks import servicenow as hook
from tests.sql_tables import read
from tests.vendors import odata, salesforce, servicenow, zendesk
from tests.vendors.fake import Fake, epoch, route, served

PERSON = {
    "UserName": "russellwhyte",
    "FirstName": "Russell",
    "Gender": "Male",
    "Age": 3_000_000_000,
    "Emails": ["Russell@example.com", "Russell@contoso.com"],
    "AddressInfo": [
        {"Address": "187 Suffolk Ln.", "City": {"Name": "Boise", "CountryRegion": "United States", "Region": "ID"}}
    ],
    "HomeAddress": None,
    "FavoriteFeature": "Feature1",
    "Features": [],
}


@pytest.fixture(scope="module")
def fakes() -> Iterator[dict[str, Fake]]:
    plain = odata.VENDORS[0]
    people = route("/TripPin/People", lambda *_: {"value": [PERSON]})
    first = replace(plain, routes=[*plain.routes, people])
    others = [odata.VENDORS[1], salesforce.VENDORS[1], servicenow.VENDOR, zendesk.VENDOR]
    with served([first, *others]) as fakes:
        yield fakes


def _opened(fake: Fake, **changed: Any) -> Source:
    params = {**fake.vendor.auth, "serviceUrl": fake.address, **changed}
    return open_source(fake.vendor.catalogue.id, params, Settings(), Tenancy("ORG", shared=False))


def _fake(fakes: dict[str, Fake], spec: str) -> Fake:
    found = next(fake for fake in fakes.values() if fake.vendor.spec == spec)
    found.forget()
    return found


def test_complex_types_and_collections_come_as_structs_and_lists(fakes: dict[str, Fake]) -> None:
    source = _opened(_fake(fakes, "generic-odata"))
    assert [entry.name for entry in source.explore(None)] == ["Airports", "Employees", "People", "Trips"]
    preview = source.preview(Selection({"tableName": "People"}), 5)
    assert preview.rows == (tuple(PERSON.values()),)
    with pytest.raises(SourceObjectMissing, match="no stream 'Nobody'"):
        source.describe(Selection({"tableName": "Nobody"}))


def test_a_record_that_leaves_the_window_during_the_read_moves_no_other(
    fakes: dict[str, Fake], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = _fake(fakes, "servicenow")
    rows, answered = [dict(row) for row in servicenow.INCIDENTS], servicenow._incidents

    def changing(query: Any) -> Any:
        page = [dict(row) for row in answered(query)]
        if page:  # somebody changes the first record of the page that was just answered
            next(row for row in rows if row["sys_id"] == page[0]["sys_id"])["sys_updated_on"] = "2026-05-01 00:00:00"
        return page

    monkeypatch.setattr(servicenow, "INCIDENTS", rows)
    monkeypatch.setattr(servicenow, "_incidents", changing)
    selection = Selection({"tableName": "incident"})
    source = _opened(fake)
    place = [column.name for column in source.describe(selection).columns].index("sys_id")
    found = [row[place] for row in read(source, selection, fake.vendor.span, "sys_updated_on")]
    assert sorted(found) == sorted(fake.vendor.expected)


def test_records_behind_pages_that_are_hidden_from_the_account_are_read(
    fakes: dict[str, Fake], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = _fake(fakes, "servicenow")
    ids = sorted(row["sys_id"] for row in servicenow.INCIDENTS)
    monkeypatch.setattr(servicenow, "HIDDEN", {*ids[:20], *ids[25:50]})
    monkeypatch.setattr(hook, "_TOGETHER", servicenow.PAGE)
    source, selection = _opened(fake), Selection({"tableName": "incident"})
    place = [column.name for column in source.describe(selection).columns].index("sys_id")
    found = [row[place] for row in read(source, selection, fake.vendor.span, "sys_updated_on")]
    assert sorted(found) == sorted(fake.vendor.expected - servicenow.HIDDEN)


def test_a_wrong_password_is_tried_once_so_that_the_user_is_not_locked_out(fakes: dict[str, Fake]) -> None:
    fake = _fake(fakes, "salesforce")
    with pytest.raises(SourceAccessDenied, match="refuses the login: INVALID_LOGIN: Invalid username"):
        _opened(fake, password="wrong-password").check()
    assert [seen.path for seen in fake.seen] == ["/services/Soap/u/64.0"]


def test_a_way_in_that_the_vendor_has_ended_is_refused_by_the_one_that_is_left(fakes: dict[str, Fake]) -> None:
    fake = _fake(fakes, "microsoft-dynamics")
    params = {"serviceUri": odata.ORGANISATION, "username": "u@example.com", "password": "a-password"}
    with pytest.raises(BadParameter, match="choose 'Service Principal Key Based Authentication'"):
        open_source(fake.vendor.catalogue.id, params, Settings(), Tenancy("ORG", shared=False))


def test_a_read_in_the_order_of_its_delta_column_ends_with_the_window(fakes: dict[str, Fake]) -> None:
    fake = _fake(fakes, "zendesk")
    start, end = epoch(zendesk.START), epoch(zendesk.START) + 3600
    span = Window(start * 1000, end * 1000)
    rows = read(_opened(fake), Selection({"tableName": "tickets"}), span, "generated_timestamp")
    inside = [ticket["id"] for ticket in zendesk.TICKETS if start <= ticket["generated_timestamp"] < end]
    assert sorted(row[0] for row in rows) == sorted(inside)
    assert len(fake.asked) == 1 < len(zendesk.TICKETS) / zendesk.PAGE
