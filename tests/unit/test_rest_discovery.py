"""What vendors' own descriptions become: columns, keys, and what can be asked for a window."""

from pathlib import Path

import pytest

from headgate.errors import SourceError
from headgate.sources.rest.hooks import odata, salesforce
from headgate.sources.rest.loading import stream_of
from headgate.sources.rest.manifest import Stream

FOLDER = Path(__file__).parents[1] / "vendors" / "openapi"


def _columns(stream: Stream) -> dict[str, str]:
    return {column.name: str(column.type) for column in stream.columns}


def _entity_set(document: str, name: str) -> Stream:
    model = odata.Model.read((FOLDER / document).read_bytes(), "The service")
    return stream_of(name, odata.stream_about(model, name), frozenset())


def test_types_of_odata_are_inherited_nested_and_listed() -> None:
    city = "struct<Name: string, CountryRegion: string, Region: string>"
    location = f"struct<Address: string, City: {city}>"
    person = _columns(_entity_set("odata.xml", "People"))
    assert person == {
        "UserName": "string",
        "FirstName": "string",
        "Gender": "string",
        "Age": "long",
        "Emails": "list<string>",
        "AddressInfo": f"list<{location}>",
        "HomeAddress": location,
        "FavoriteFeature": "string",
        "Features": "list<string>",
    }
    employees = _entity_set("odata.xml", "Employees")  # by an alias, of a type that has a base
    assert _columns(employees) == person | {"Cost": "long"}
    assert (employees.key, employees.windows) == (("UserName",), ())
    airports = _entity_set("odata.xml", "Airports")
    assert (_columns(airports)["Location"], airports.reads["Location"].how) == ("string", "json")  # a point is no type


def test_the_first_window_of_odata_is_by_what_sounds_like_a_change() -> None:
    accounts = _entity_set("dynamics.xml", "accounts")
    assert [window.column for window in accounts.windows] == ["modifiedon", "createdon"]
    assert _columns(accounts)["revenue"] == "decimal(38,10)"
    assert accounts.key == ("accountid",)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (b'<!DOCTYPE x [<!ENTITY a "b">]><x/>', "declares entities"),
        (b"<html>", "no XML"),
        (b'<Edmx Version="1.0"/>', "OData 1.0; version 4 is what can be read"),
    ],
)
def test_a_description_that_is_none_of_version_4_is_refused(document: bytes, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        odata.Model.read(document, "The service")


@pytest.mark.parametrize(
    ("said", "version"), [(None, "64.0"), ("", "64.0"), ("52.0", "52.0"), ("58", "58.0"), ("v60.0", "60.0")]
)
def test_a_version_of_salesforce_is_taken_however_it_is_written(said: object, version: str) -> None:
    assert salesforce.version_of(said) == version


def test_what_is_no_version_of_salesforce_is_refused() -> None:
    with pytest.raises(SourceError, match="apiVersion is 'latest/x'; give a version"):
        salesforce.version_of("latest/x")
