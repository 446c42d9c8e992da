"""What a source connection says of a stream itself, for an API that has no manifest."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from headgate.config import Settings
from headgate.errors import BadParameter, HeadgateError, ParameterMissing, SourceError
from headgate.model.scope import Tenancy
from headgate.model.windows import DeltaColumn
from headgate.sources import Selection, Source, open_source
from tests.sql_tables import read, read_counting
from tests.vendors import any_api, graphql
from tests.vendors.fake import Fake, Vendor, served

[REST] = any_api.VENDORS
GRAPHQL = graphql.VENDOR
STREAM: Mapping[str, Any] = any_api.STREAM
BASIC = {"host": "api.example.com/v2/", "username": any_api.USER, "password": any_api.PASSWORD}


@pytest.fixture(scope="module")
def fakes() -> Iterator[dict[str, Fake]]:
    with served([REST, GRAPHQL]) as fakes:
        yield {fake.vendor.spec: fake for fake in fakes.values()}


def opened(fakes: Mapping[str, Fake], vendor: Vendor, folder: Path, auth: Mapping[str, Any] | None = None) -> Source:
    fake = fakes[vendor.spec]
    fake.forget()
    params = {**(auth or vendor.auth), "serviceUrl": fake.address}
    return open_source(vendor.catalogue.id, params, Settings(data=folder), Tenancy("ORG", shared=False))


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in STREAM.items() if key != name}


def test_columns_that_are_not_named_are_found_in_the_first_records(fakes: dict[str, Fake], tmp_path: Path) -> None:
    source = opened(fakes, REST, tmp_path, BASIC)
    selection = Selection({"resourcePath": "orders?state=all", "stream": without("columns")})
    types = {column.name: str(column.type) for column in source.describe(selection).columns}
    wanted = {"id": "long", "updated": "timestamptz", "price": "string", "open": "boolean", "buyer": "string"}
    assert types == wanted
    # They are fixed by the plan, whatever another look would find: a worker that reads a split of it does not look.
    with source.plan(selection, REST.span, DeltaColumn("updated"), parallel=1) as reading:
        [split] = reading.splits
        assert json.loads(str(split.query))["split"].endswith(
            json.dumps({**types, "buyer": {"type": "string", "read": "json"}})
        )
    again = opened(fakes, REST, tmp_path, BASIC)
    rows, refused = read_counting(again, selection, tmp_path, REST.span, "updated")
    assert ({row[0] for row in rows}, refused) == (REST.expected, 1)
    assert rows[0][4] == '{"name":"Ada","tags":["a","b"]}'


def test_where_no_record_is_columns_must_be_named(fakes: dict[str, Fake], tmp_path: Path) -> None:
    source = opened(fakes, REST, tmp_path)
    stream = {**without("columns"), "request": {"query": {"since": "2030-01-01T00:00:00Z"}}}
    with pytest.raises(ParameterMissing, match="no record to find columns in"):
        source.describe(Selection({"resourcePath": "orders?state=all", "stream": stream}))


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({}, "resourcePath is missing"),
        ({"resourcePath": "https://elsewhere.example/x"}, "below the host"),
        ({"resourcePath": "../admin"}, "below the host"),
        ({"resourcePath": "x", "stream": []}, "is an object"),
        ({"resourcePath": "x", "stream": {"request": {"path": "/y"}}}, "no path"),
        ({"resourcePath": "x", "stream": {**STREAM, "pages": 1}}, "pages"),
        ({"resourcePath": "x", "stream": {**STREAM, "columns": {"id": "number"}}}, "is no type"),
        ({"resourcePath": "x", "stream": {**STREAM, "key": ["nothing"]}}, "not one of the columns"),
        # What a connection keeps secret cannot be put into a request.
        ({"resourcePath": "x", "stream": {**STREAM, "request": {"query": {"q": "{accessToken}"}}}}, "accessToken"),
    ],
)
def test_a_description_that_is_not_right_is_refused(
    fakes: dict[str, Fake], tmp_path: Path, params: Mapping[str, Any], words: str
) -> None:
    source = opened(fakes, REST, tmp_path)
    with pytest.raises(HeadgateError, match=words) as raised:
        source.describe(Selection(params))
    assert isinstance(raised.value, BadParameter | ParameterMissing)
    assert not fakes["generic-rest"].seen


def test_braces_of_a_path_are_no_places(fakes: dict[str, Fake], tmp_path: Path) -> None:
    source = opened(fakes, REST, tmp_path)
    with pytest.raises(SourceError, match="404"):
        read(source, Selection({"resourcePath": "{accessToken}", "stream": STREAM}), REST.span, "updated")
    assert any_api.FIRST not in fakes["generic-rest"].seen[-1].path


def test_a_token_without_a_way_to_renew_it_is_refused_at_once(fakes: dict[str, Fake], tmp_path: Path) -> None:
    source = opened(fakes, REST, tmp_path, {"host": "api.example.com/v2", "accessToken": "any-expired-31"})
    with pytest.raises(HeadgateError, match="401") as raised:
        read(source, Selection(REST.params), REST.span, "updated")
    assert "any-expired-31" not in str(raised.value)
    assert len(fakes["generic-rest"].seen) == 1


def test_errors_beside_data_fail_the_read(fakes: dict[str, Fake], tmp_path: Path) -> None:
    source = opened(fakes, GRAPHQL, tmp_path)
    selection = Selection({**GRAPHQL.params, "variables": {"first": 5000}})
    with pytest.raises(SourceError, match="first must be 1 to 100"):
        read(source, selection, GRAPHQL.span, "updatedAt")


def test_a_query_is_sent_as_it_was_written_and_pages_follow_its_cursor(fakes: dict[str, Fake], tmp_path: Path) -> None:
    source = opened(fakes, GRAPHQL, tmp_path)
    source.check()
    rows = read(source, Selection(GRAPHQL.params), GRAPHQL.span, "updatedAt")
    assert {row[0] for row in rows} == GRAPHQL.expected
    assert {seen.json["query"] for seen in fakes["generic-graphql"].seen} == {"{ __typename }", graphql.QUERY}
