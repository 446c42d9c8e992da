"""What vendors answer that is neither records nor a plain refusal, and what is made of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from headgate.config import Settings
from headgate.errors import HeadgateError, SourceAccessDenied, SourceError
from headgate.model.scope import Tenancy
from headgate.sources import Selection, Source, connection_specs, open_source
from headgate.sources.rest.asking import Asking
from headgate.sources.rest.budget import Budget
from tests.sql_tables import read, read_counting
from tests.vendors import mailchimp, marketo, paypal
from tests.vendors.fake import Fake, Vendor, served


@pytest.fixture(scope="module")
def fakes() -> Iterator[dict[str, Fake]]:
    with served([mailchimp.VENDOR, marketo.VENDOR, paypal.VENDOR]) as fakes:
        yield {fake.vendor.spec: fake for fake in fakes.values()}


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have requests not wait for the seconds that the vendors want between them."""
    monkeypatch.setattr(Budget, "take", lambda *_: None)


def opened(fake: Fake, folder: Path) -> Source:
    fake.forget()
    params = {**fake.vendor.auth, "serviceUrl": fake.address}
    return open_source(fake.vendor.catalogue.id, params, Settings(data=folder), Tenancy("ORG", shared=False))


def ids(source: Source, vendor: Vendor) -> list[object]:
    selection = Selection(vendor.params)
    place = [column.name for column in source.describe(selection).columns].index(vendor.key)
    assert vendor.delta is not None
    return sorted(row[place] for row in read(source, selection, vendor.span, vendor.delta))


def test_a_window_with_too_many_records_is_asked_for_by_halves(
    fakes: dict[str, Fake], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake, vendor = fakes["paypal"], paypal.VENDOR
    source = opened(fake, tmp_path)
    monkeypatch.setitem(paypal.LIMITS, "largest", 300)
    rows, refused = read_counting(source, Selection(vendor.params), tmp_path, vendor.span, str(vendor.delta))
    assert (len(rows), refused) == (len(vendor.expected), 1)
    assert {row[0] for row in rows} == vendor.expected
    monkeypatch.setitem(paypal.LIMITS, "largest", 0)
    with pytest.raises(SourceError, match="RESULTSET_TOO_LARGE"):
        read_counting(source, Selection(vendor.params), tmp_path, vendor.span, str(vendor.delta))


def test_what_moves_forward_while_pages_are_turned_is_not_passed_over(
    fakes: dict[str, Fake], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake, vendor = fakes["mailchimp"], mailchimp.VENDOR
    source = opened(fake, tmp_path)
    monkeypatch.setattr(mailchimp, "LEAVING", 40)  # of those that were read, once the first page was
    selection = Selection(vendor.params)
    rows = read(source, selection, vendor.span, "last_changed")
    assert len(rows) == len({row[0] for row in rows})
    assert {row[0] for row in rows} == vendor.expected
    assert [seen.query["offset"] for seen in fake.asked] == ["0", "1000", "960"]


def test_a_job_is_waited_for_through_errors_with_the_status_of_success(
    fakes: dict[str, Fake], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake, waited = fakes["marketo"], []
    source = opened(fake, tmp_path)
    marketo.QUEUED[0] = 2
    monkeypatch.setattr(Asking, "wait", lambda _, seconds: waited.append(seconds))
    expired = b'{"success": false, "errors": [{"code": "602", "message": "Access token expired"}]}'
    limited = b'{"success": false, "errors": [{"code": "606", "message": "Max rate limit exceeded"}]}'
    fake.fail(200, on=4, body=expired)
    fake.fail(200, on=5, body=limited)
    assert ids(source, marketo.VENDOR) == sorted(marketo.VENDOR.expected)
    assert waited.count(60.0) == 4  # two jobs, each twice
    assert len([seen for seen in fake.seen if seen.path == "/identity/oauth/token"]) == 2


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b'{"success": false, "errors": [{"code": "1003", "message": "Bad"}]}', SourceError),
        (b'{"success": true, "result": [{"status": "Failed"}]}', SourceError),
        (b'{"success": false, "errors": [{"code": "601", "message": "Invalid"}]}', SourceAccessDenied),
    ],
)
def test_a_job_that_fails_says_so(fakes: dict[str, Fake], tmp_path: Path, body: bytes, error: type[Exception]) -> None:
    fake = fakes["marketo"]
    source = opened(fake, tmp_path)
    for _ in range(6):
        fake.fail(200, body=body, path="/bulk/v1/leads/export/4d8ee1cc-0/status.json")
    with pytest.raises(error, match=r"Bad|Failed|Invalid") as raised:
        ids(source, marketo.VENDOR)
    assert marketo.SECRET not in str(raised.value)


@pytest.mark.parametrize(
    ("spec", "params", "said"),
    [
        ("stripe", {"serviceUrl": "nowhere"}, "serviceUrl is 'nowhere', which is no address; write it as https://host"),
        ("zendesk", {}, "the connection needs host or subdomain"),
    ],
)
def test_an_address_that_leads_nowhere_is_said_with_what_is_needed(
    tmp_path: Path, spec: str, params: dict[str, str], said: str
) -> None:
    found = next(each for each in connection_specs() if each.name == spec)
    source = open_source(
        found.id, {"accessToken": "t", **params}, Settings(data=tmp_path), Tenancy("ORG", shared=False)
    )
    with pytest.raises(HeadgateError, match=said):
        source.check()


def test_a_stream_that_is_none_is_said_with_those_that_are(fakes: dict[str, Fake], tmp_path: Path) -> None:
    source = opened(fakes["marketo"], tmp_path)
    with pytest.raises(SourceError, match="has no stream 'lead'; it has: leads, …"):
        source.describe(Selection({"tableName": "lead"}))
    with pytest.raises(SourceError, match="has no stream 'orders'; it has: leads, activities"):
        source.describe(Selection({"tableName": "orders"}))
