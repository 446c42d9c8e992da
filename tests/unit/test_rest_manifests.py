"""The manifests that come with Headgate, and the catalogue that they serve."""

import pytest

from headgate.sources import connection_specs
from headgate.sources.rest.loading import built_in, loaded, shipped, stream_of
from headgate.sources.rest.manifest import BadManifest

SPECS = {spec.name: spec for spec in connection_specs()}


@pytest.mark.parametrize("name", shipped())
def test_a_manifest_is_well_and_says_what_its_catalogue_entry_says(name: str) -> None:
    spec = SPECS[name]
    manifest = built_in(name, [auth.schema for auth in spec.auth_specs])
    assert manifest.name == name
    assert spec.runnable
    assert spec.verified == manifest.verified
    assert manifest.auth.keys() <= {"", *(auth.name for auth in spec.auth_specs)}
    declared = spec.params_schema["properties"]
    for stream in manifest.streams.values():
        for parameter, about in stream.parameters.items():
            assert {parameter, *about.alias} & declared.keys(), f"params.{parameter} is not in the catalogue"
    if "enum" in declared.get("resourcePath", {}):
        assert set(declared["resourcePath"]["enum"]) == manifest.streams.keys()
    for auth in spec.auth_specs:
        if manifest.auth.keys() & {"", auth.name}:
            assert "serviceUrl" in auth.properties, auth.name


def test_what_is_missing_is_said_with_its_line() -> None:
    text = "spec: x\nverified: documented\nbase: https://x\nauth: {kind: none}\nstreams: {s: {request: {path: /}}}"
    with pytest.raises(BadManifest, match=r"line 5, streams\.s: 'columns' is missing"):
        loaded(text)


def test_the_days_of_a_column_without_a_zone_are_cut_in_none() -> None:
    window = {"query": {"day": "{window.start|date}"}, "grain": "day", "sides": "both", "timezone": "America/New_York"}
    about = {"request": {"path": "/"}, "windows": {"on": window}}
    stream_of("s", {**about, "columns": {"on": "timestamptz"}}, frozenset())
    with pytest.raises(ValueError, match="'on' has no zone"):
        stream_of("s", {**about, "columns": {"on": "date"}}, frozenset())


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("into:", "inot:", "line 9, streams.items.paging: 'inot' is not known here. Did you mean 'into'?"),
        ("kind: cursor", "kind: curser", "line 9, streams.items.paging.kind: 'curser' is none of these. Did you mean"),
        ("token: abc", "tokn: abc", "line 3, auth: 'tokn' is not known here. Did you mean 'token'?"),
        ("kind: bearer", "kind: barer", "line 3, auth.kind: 'barer' is none of these. Did you mean 'bearer'?"),
        ("records:", "record:", "line 7, streams.items: 'record' is not known here. Did you mean 'records'?"),
        ("{id: long}", "{id: {tpye: long}}", "line 10, streams.items.columns.id: 'tpye' is not known here."),
        ("{kind: cursor, from: next, into: a}", "{kind: last_id, field: id}", "one of parameter, text is needed"),
        (", into: a", "", "line 9, streams.items.paging: 'into' is missing"),
        ("https://shop", "ftp://shop", "line 2, base: 'ftp://shop.example' is no address of an API"),
    ],
)
def test_a_slip_is_named_with_what_was_meant(right: str, wrong: str, said: str) -> None:
    text = """spec: stripe
base: https://shop.example
auth: {kind: bearer, token: abc}
verified: documented
streams:
  items:
    request: {path: /items}
    records: items
    paging: {kind: cursor, from: next, into: a}
    columns: {id: long}
"""
    loaded(text)
    with pytest.raises(BadManifest) as refused:
        loaded(text.replace(right, wrong))
    assert said in str(refused.value)
