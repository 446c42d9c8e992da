"""The catalogue of connection specs and flow specs."""

import re
from pathlib import Path
from typing import Any
from uuid import UUID

import jsonschema
import pytest

from headgate.config import Settings
from headgate.errors import SourceNotOnDemand
from headgate.model.scope import Tenancy
from headgate.sources.registry import open_source
from headgate.sources.specs import ConnectionSpec, connection_specs, flow_specs

POSTGRES = "74a1c565-4e59-48d7-9d67-7c03b8a13137"
DATALAKE = "c604ff05-7f1a-43c0-8e18-33bf874cb11c"
TABLES = "14518937-270c-4525-bdec-c2ba7cce3860"
FILES = "9753525b-82c7-4dce-8a9b-5ccfce2b9876"
CATEGORIES = {
    "advertising",
    "analytics",
    "cloudStorage",
    "consentAndPreferences",
    "crm",
    "customerSuccess",
    "dataLake",
    "database",
    "ecommerce",
    "marketingAutomation",
    "payments",
    "protocols",
}
SECRET = re.compile(r"password|secret|token$|key$|connectionString|sasUri|passphrase", re.IGNORECASE)


def named(name: str) -> ConnectionSpec:
    [spec] = [spec for spec in connection_specs() if spec.name == name]
    return spec


def test_ids_and_names_are_unique_and_ids_are_uuids() -> None:
    specs = connection_specs()
    assert len({spec.id for spec in specs}) == len({spec.name for spec in specs}) == len(specs) == 59
    assert all(str(UUID(spec.id)) == spec.id for spec in specs)
    assert {spec.category for spec in specs} == CATEGORIES
    assert {spec.provider_id for spec in specs} == {"0ed90a81-07f4-4586-8190-b40eccef1c5a"}


def test_what_runs_comes_first_and_is_exactly_this() -> None:
    assert [spec.name for spec in connection_specs() if spec.runnable] == [
        "datalake",
        "local-files",
        "postgresql",
        "sqlite",
    ]
    assert [spec.runnable for spec in connection_specs()[:5]] == [True, True, True, True, False]
    assert (named("postgresql").id, named("datalake").id) == (POSTGRES, DATALAKE)


@pytest.mark.parametrize("spec", connection_specs(), ids=lambda spec: spec.name)
def test_every_connection_spec_has_the_shape_of_the_contract(spec: ConnectionSpec) -> None:
    wire = spec.wire
    assert wire["id"] == spec.id
    assert wire["version"] == "1.0"
    assert wire["attributes"]["status"] == ("runnable" if spec.runnable else "listed")
    assert wire["attributes"]["isSource"] is (spec.kind != "target")
    jsonschema.Draft7Validator.check_schema(dict(spec.params_schema))
    if spec.is_source:
        about = wire["sourceSpec"]["attributes"]["uiAttributes"]
        assert (about["category"]["key"], about["frequency"]["key"]) == (spec.category, "batch")
        assert wire["exploreSpec"]["type"] in {"Tabular", "FileSystem", "Resource"}
    for auth, shown in zip(spec.auth_specs, wire["authSpec"], strict=True):
        assert shown["spec"]["$schema"] == "http://json-schema.org/draft-07/schema#"
        jsonschema.Draft7Validator.check_schema(shown["spec"])
        assert set(shown["spec"]["required"]) <= set(shown["spec"]["properties"])
        assert spec.auth_spec(auth.name) is auth
        for name in shown["spec"]["properties"]:
            assert (name in auth.secrets) or not SECRET.search(name)


def test_answers_are_independent_of_each_other() -> None:
    named("postgresql").wire["sourceSpec"]["name"] = "changed"
    assert named("postgresql").wire["sourceSpec"]["name"] == "Table"


@pytest.mark.parametrize(
    ("params", "valid"),
    [
        ({"server": "db", "database": "d", "username": "u", "password": "p"}, True),
        ({"server": "db", "database": "d", "username": "u", "password": "p", "port": 5433}, True),
        ({"server": "db", "database": "d", "username": "u", "password": "p", "port": "65535"}, True),
        ({"server": "db", "database": "d", "username": "u", "password": "p", "port": "65536"}, False),
        ({"server": "db", "database": "d", "username": "u", "password": "p", "port": 0}, False),
        ({"server": "db", "database": "d", "username": "u", "password": "p", "port": "22;rm"}, False),
        ({"server": "db", "database": "d", "username": "u", "password": "p", "sslMode": "maybe"}, False),
        ({"server": "db", "database": "d", "username": "u"}, False),
    ],
)
def test_basic_authentication_of_postgresql(params: dict[str, Any], valid: bool) -> None:
    auth = named("postgresql").auth_spec("Basic Authentication")
    assert auth is not None
    assert auth.secrets == {"password"}
    assert jsonschema.Draft7Validator(dict(auth.schema)).is_valid(params) is valid


def test_local_files_take_one_optional_folder_and_no_account() -> None:
    spec = named("local-files")
    assert spec.category == "cloudStorage"
    assert spec.auth_optional
    assert [auth.name for auth in spec.auth_specs] == ["Folder"]
    assert jsonschema.Draft7Validator(dict(spec.auth_specs[0].schema)).is_valid({})
    assert not named("postgresql").auth_optional


def test_flow_specs_lead_from_every_source_of_their_kind_to_the_lake() -> None:
    table, file = flow_specs()
    assert (table.name, table.id, table.needs_delta_column) == ("CRMToAEP", TABLES, True)
    assert (file.name, file.id, file.needs_delta_column) == ("CloudStorageToAEP", FILES, False)
    assert {named("postgresql").id, named("sqlite").id, named("shopify").id} <= set(table.source_connection_spec_ids)
    assert named("local-files").id in file.source_connection_spec_ids
    assert not set(table.source_connection_spec_ids) & set(file.source_connection_spec_ids)
    for flow in (table, file):
        assert flow.target_connection_spec_ids == (DATALAKE,)
        wire = flow.wire
        assert wire["transformationSpec"] == wire["transformationSpecs"]
        assert wire["scheduleSpec"]["name"] == "PeriodicSchedule"
        for part in ("optionSpec", "scheduleSpec", "runSpec"):
            jsonschema.Draft7Validator.check_schema(wire[part]["spec"])
    assert [spec["name"] for spec in table.wire["transformationSpec"]] == ["Copy", "Mapping"]
    assert "deltaColumn" in table.wire["runSpec"]["spec"]["properties"]
    assert "deltaColumn" not in file.wire["runSpec"]["spec"]["properties"]


@pytest.mark.parametrize(
    ("schedule", "valid"),
    [
        ({"startTime": 1, "frequency": "once"}, True),
        ({"startTime": "1612310466", "frequency": "once"}, True),
        ({"startTime": "soon", "frequency": "once"}, False),
        ({"frequency": "once"}, False),
        ({"startTime": 1}, False),
        ({"startTime": 1, "frequency": "once", "interval": 15}, False),
        ({"startTime": 1, "frequency": "once", "backfill": True}, False),
        ({"startTime": 1, "frequency": "day"}, False),
        ({"startTime": 1, "frequency": "day", "interval": 1, "backfill": "true"}, True),
        ({"startTime": 1, "frequency": "day", "interval": 0}, False),
        ({"startTime": 1, "frequency": "minute", "interval": 14}, False),
        ({"startTime": 1, "frequency": "minute", "interval": 15}, True),
        ({"startTime": 1, "frequency": "yearly", "interval": 1}, False),
    ],
)
def test_the_schedule_spec_says_which_schedules_are_legal(schedule: dict[str, Any], valid: bool) -> None:
    schema = flow_specs()[0].wire["scheduleSpec"]["spec"]
    assert jsonschema.Draft7Validator(schema).is_valid(schedule) is valid


@pytest.mark.parametrize(
    ("spec_id", "says"),
    [
        (DATALAKE, "Data lake is a target"),
        ("ecadc60c-7455-4d87-84dc-2a0e293d997b", "Amazon S3 is listed in the catalogue"),
        ("nonsense", "No connection spec has the id 'nonsense'"),
    ],
)
def test_what_cannot_be_read_says_so(spec_id: str, says: str) -> None:
    with pytest.raises(SourceNotOnDemand, match=says):
        open_source(spec_id, {}, Settings(), Tenancy("org", shared=False))


@pytest.mark.parametrize(
    ("name", "params", "source"),
    [
        ("postgresql", {"connectionString": "postgresql://nobody@localhost/none"}, "PostgresSource"),
        ("sqlite", {"path": "none.db"}, "SqliteSource"),
        ("local-files", {}, "LocalFiles"),
    ],
)
def test_what_runs_is_opened_without_being_reached(
    name: str, params: dict[str, Any], source: str, tmp_path: Path
) -> None:
    found = open_source(named(name).id, params, Settings(file_roots=(tmp_path,)), Tenancy("org", shared=False))
    assert type(found).__name__ == source
