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
    with pytest.raises(BadManifest, match=r"line 5, streams\.s: 'columns' is a required property"):
        loaded(text)


def test_the_days_of_a_column_without_a_zone_are_cut_in_none() -> None:
    window = {"query": {"day": "{window.start|date}"}, "grain": "day", "sides": "both", "timezone": "America/New_York"}
    about = {"request": {"path": "/"}, "windows": {"on": window}}
    stream_of("s", {**about, "columns": {"on": "timestamptz"}}, frozenset())
    with pytest.raises(ValueError, match="'on' has no zone"):
        stream_of("s", {**about, "columns": {"on": "date"}}, frozenset())
