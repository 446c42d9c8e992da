"""The catalogue of connection specs and flow specs."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

import jsonschema
import pytest

from headgate.api.schemas import TARGET_CONNECTION
from headgate.config import Settings
from headgate.errors import MissingExtra, SourceNotOnDemand
from headgate.model.resources import WriteMode
from headgate.model.scope import Tenancy
from headgate.outbound import Outbound
from headgate.service.target_layout import LAYOUT
from headgate.sources.files.stores.ftp import ftp
from headgate.sources.files.stores.hdfs import hdfs
from headgate.sources.files.stores.sftp import sftp
from headgate.sources.files.stores.smb import smb
from headgate.sources.registry import open_source
from headgate.sources.specs import ConnectionSpec, connection_specs, flow_specs

POSTGRES = "74a1c565-4e59-48d7-9d67-7c03b8a13137"
DATALAKE = "c604ff05-7f1a-43c0-8e18-33bf874cb11c"
TABLES = "14518937-270c-4525-bdec-c2ba7cce3860"
FILES = "9753525b-82c7-4dce-8a9b-5ccfce2b9876"
OF_TABLES = {
    "advertising",
    "analytics",
    "consentAndPreferences",
    "crm",
    "customerSuccess",
    "database",
    "marketingAutomation",
    "payments",
    "protocols",
}
CATEGORIES = {
    *OF_TABLES,
    "cloudStorage",
    "dataAndIdentityPartners",
    "dataLake",
    "ecommerce",
    "localSystem",
    "streaming",
}
PUBLIC = {
    "amazon-redshift": "3416976c-a9ca-4bba-901a-1f08f66978ff",
    "amazon-s3-destination": "4fce964d-3f37-408f-9778-e597338a21ee",
    "azure-blob-destination": "6d6b59bf-fb58-4107-9064-4d246c0e5bb2",
    "profile-store": "8a9c3494-9708-43d7-ae3f-cda01e5030e1",
    "amazon-s3": "ecadc60c-7455-4d87-84dc-2a0e293d997b",
    "azure-blob": "4c10e202-c428-4796-9208-5f1f5732b1cf",
    "Data Landing Zone": "10440537-2a7b-4583-ac39-ed38d4b848e8",
    "Streaming Connection": "bc7b00d6-623a-4dfc-9fdb-f1240aeadaeb",
    "activation-datalake": "23598e46-f560-407b-88d5-ea6207e49db0",
    "datalake": DATALAKE,
    "google-big-query": "3c9b37f8-13a6-43d8-bad3-b863b941fedd",
    "landing-zone": "26f526f2-58f4-4712-961d-e41bf1ccc0e8",
    "mysql": "26d738e0-8963-47ea-aadf-c60de735468a",
    "postgresql": POSTGRES,
    "salesforce": "cfc0fee1-7dc0-40ef-b73e-d8b134c436f5",
    "sftp": "b7bf2577-4520-42c9-bae9-cad01560f7bc",
    "snowflake": "b2e08744-4f1a-40ce-af30-7abac3e23cf3",
    "stripe": "cc2c31d6-7b8c-4581-b49f-5c8698aa3ab3",
}
OUR_OWN = {
    "acxiom-data-ingestion",
    "acxiom-prospecting",
    "airbyte",
    "algolia-user-profiles",
    "bombora-intent",
    "clickhouse",
    "demandbase-intent",
    "didomi",
    "duckdb",
    "generic-graphql",
    "google-analytics-4",
    "http-files",
    "local-file-upload",
    "local-files",
    "marketo",
    "merkury-identity-resolution",
    "meta-ads",
    "odbc",
    "pathfactory",
    "singer",
    "sqlalchemy",
    "sqlite",
    "trino",
}
SECRET = re.compile(r"password|secret|token$|key$|connectionString|sasUri|passphrase", re.IGNORECASE)


def named(name: str) -> ConnectionSpec:
    [spec] = [spec for spec in connection_specs() if spec.name == name]
    return spec


def test_ids_and_names_are_unique_and_ids_are_uuids() -> None:
    specs = connection_specs()
    assert len({spec.id for spec in specs}) == len({spec.name for spec in specs}) == len(specs) == 63 + len(OUR_OWN)
    assert all(str(UUID(spec.id)) == spec.id for spec in specs)
    assert {spec.category for spec in specs} == CATEGORIES
    assert {spec.provider_id for spec in specs if spec.kind != "stream"} == {"0ed90a81-07f4-4586-8190-b40eccef1c5a"}


def test_ids_are_the_public_ones_where_there_is_one() -> None:
    by_name = {spec.name: spec for spec in connection_specs()}
    assert {name: by_name[name].id for name in PUBLIC} == PUBLIC
    assert {name for name, spec in by_name.items() if not spec.public_id} == OUR_OWN
    assert all(spec.wire["attributes"]["publicId"] is spec.public_id for spec in by_name.values())
    # Sources of these categories are read as tables, or record by record.
    assert {spec.kind for spec in connection_specs() if spec.category in OF_TABLES} == {"table", "rest"}


@pytest.mark.parametrize(
    ("name", "names", "required"),
    [
        ("snowflake", {"tableName", "columns", "cdcEnabled"}, ["tableName"]),
        ("amazon-s3", {"path", "type", "recursive"}, ["path"]),
        ("stripe", {"resourcePath"}, ["resourcePath"]),
        ("mixpanel", {"projectId", "timezone"}, ["projectId", "timezone"]),
        ("sugar-crm", {"object_type", "resourcePath"}, []),
        ("mailchimp", {"listId", "list_id"}, []),
    ],
)
def test_every_source_has_its_own_params(name: str, names: set[str], required: list[str]) -> None:
    schema = named(name).params_schema
    assert names <= set(schema["properties"])
    assert list(schema.get("required", ())) == required
    assert "cdcEnabled" not in named("mysql").params_schema["properties"]


class _Asked(dict[str, Any]):
    """Params that remember which of them were looked for."""

    def __init__(self, params: dict[str, Any]) -> None:
        super().__init__(params)
        self.names = set[str]()

    def get(self, name: str, default: Any = None, /) -> Any:
        self.names.add(name)
        return super().get(name, default)


@pytest.mark.parametrize(
    ("name", "open_", "params"),
    [
        ("hdfs", hdfs, {"url": "http://127.0.0.1:1"}),
        ("azure-file-storage", smb, {"host": r"\\127.0.0.1\x", "userId": "u", "password": "p"}),
        ("ftp", ftp, {"host": "127.0.0.1", "userName": "u", "password": "p"}),
        ("sftp", sftp, {"host": "127.0.0.1", "userName": "u", "password": "p"}),
    ],
)
def test_every_param_that_a_file_server_takes_is_published(
    name: str, open_: Callable[[Mapping[str, Any], Outbound], object], params: dict[str, Any], tmp_path: Path
) -> None:
    asked = _Asked(params)
    open_(asked, Outbound(Settings(data=tmp_path), shared=False))
    published = {p for auth in named(name).wire["authSpec"] for p in auth["spec"]["properties"]}
    assert {"folderPath"} <= asked.names <= published


def test_what_runs_comes_first_and_says_what_it_is_tested_against() -> None:
    runnable = [spec.runnable for spec in connection_specs()]
    assert runnable == sorted(runnable, reverse=True)
    assert {"datalake", "local-files", "postgresql", "sqlite"} <= {s.name for s in connection_specs() if s.runnable}
    for spec in connection_specs():
        told = spec.verified in ("server", "interface", "vendor", "openapi", "documented")
        assert told is (spec.runnable and spec.is_source), spec.name
        assert spec.wire["attributes"].get("verified") == spec.verified
    assert named("postgresql").verified == "server"
    assert (named("postgresql").id, named("datalake").id) == (POSTGRES, DATALAKE)


@pytest.mark.parametrize("spec", connection_specs(), ids=lambda spec: spec.name)
def test_every_connection_spec_has_the_shape_of_the_contract(spec: ConnectionSpec) -> None:
    wire = spec.wire
    assert wire["id"] == spec.id
    assert wire["version"] == "1.0"
    assert wire["attributes"]["status"] == ("runnable" if spec.runnable else "listed")
    assert wire["attributes"]["isSource"] is (spec.kind not in ("target", "destination"))
    assert wire["attributes"]["description"].endswith(".")
    for member, permission in (("view", "read"), ("manage", "write")):
        about = {"@type": "lowLevel", "name": "EnterpriseSource", "permissions": [permission]}
        assert wire["permissionsInfo"][member] == [about]
    jsonschema.Draft7Validator.check_schema(dict(spec.params_schema))
    if spec.is_source:
        shown = wire["sourceSpec"]["attributes"]["uiAttributes"]
        assert (shown["category"]["key"], shown["frequency"]["key"]) == (
            spec.category,
            "streaming" if spec.kind == "stream" else "batch",
        )
    if spec.kind in ("table", "file", "rest"):
        assert wire["exploreSpec"]["type"] in {"Tabular", "FileSystem", "Resource"}
    for auth, entry in zip(spec.auth_specs, wire["authSpec"], strict=True):
        assert entry["spec"]["$schema"] == "http://json-schema.org/draft-07/schema#"
        jsonschema.Draft7Validator.check_schema(entry["spec"])
        assert set(entry["spec"]["required"]) <= set(entry["spec"]["properties"])
        assert spec.auth_spec(auth.name) is auth
        for name in entry["spec"]["properties"]:
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
    table, file, rest, *others = flow_specs()
    assert [spec.runnable for spec in flow_specs()] == [True, True, True, False, False, False]
    assert [(spec.name, spec.kind) for spec in others] == [
        ("StreamingToAEP", "stream"),
        ("StreamingWithMappingToAEP", "stream"),
        ("DatasetsToLandingZone", "export"),
    ]
    assert set(others[-1].target_connection_spec_ids) == {
        named(name).id
        for name in ("Data Landing Zone", "amazon-s3-destination", "azure-blob-destination", "profile-store")
    }
    assert (rest.name, rest.id) == ("RestToAEP", "6499120c-0b15-42dc-936e-847ea3c24d72")
    assert {named("stripe").id, named("generic-rest").id} <= set(rest.source_connection_spec_ids)
    assert (table.name, table.id, table.needs_delta_column) == ("CRMToAEP", TABLES, True)
    assert (file.name, file.id, file.needs_delta_column) == ("CloudStorageToAEP", FILES, False)
    assert {named("postgresql").id, named("sqlite").id, named("shopify").id} <= set(table.source_connection_spec_ids)
    assert named("local-files").id in file.source_connection_spec_ids
    assert not set(table.source_connection_spec_ids) & set(file.source_connection_spec_ids)
    for flow in (table, file, rest):
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
        ("ba5126ec-c9ac-11eb-b8bc-0242ac130003", "Oracle Service Cloud is listed in the catalogue"),
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
        ("sqlite", {"path": "{root}/none.db"}, "SqliteSource"),
        ("local-files", {}, "Files"),
    ],
)
def test_what_runs_is_opened_without_being_reached(
    name: str, params: dict[str, Any], source: str, tmp_path: Path
) -> None:
    params = {key: value.replace("{root}", str(tmp_path)) for key, value in params.items()}
    found = open_source(named(name).id, params, Settings(file_roots=(tmp_path,)), Tenancy("org", shared=False))
    assert type(found).__name__ == source


def test_without_its_library_a_store_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headgate.sources.files.clouds.find_spec", lambda _: None)
    for name in ("amazon-s3", "azure-blob", "google-cloud-storage", "oracle-object-storage"):
        with pytest.raises(MissingExtra, match=r"needs obstore, .*pip install 'headgate\[cloud\]'"):
            open_source(named(name).id, {}, Settings(), Tenancy("org", shared=False))


def test_the_lake_s_spec_tells_every_parameter_of_a_target_connection() -> None:
    told = next(spec for spec in connection_specs() if spec.id == DATALAKE).params_schema["properties"]
    assert {*told} == {"dataSetId", "writeMode", "primaryKey", *LAYOUT}
    assert told["writeMode"]["enum"] == list(WriteMode)
    assert TARGET_CONNECTION["properties"]["params"]["properties"].keys() == told.keys()
