"""References in place of secrets: followed at use, stored and shown as they are, and confined."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from headgate.config import Settings
from headgate.errors import ReferenceRefused, SourcePathForbidden
from headgate.model.scope import Tenancy
from headgate.sources.references import is_reference, resolved
from headgate.sources.roots import Roots
from tests.integration.face import POSTGRESQL, Face, refused, serving

CODE = "FLOW-EXT-REFERENCE-400"
SECRET = "h0pe-and-glory"
ALONE, SHARED = Tenancy("A1@AdobeOrg", shared=False), Tenancy("A1@AdobeOrg", shared=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    secrets = tmp_path / "secrets"
    (secrets / "A1@AdobeOrg").mkdir(parents=True)
    (secrets / "B2@AdobeOrg").mkdir()
    for path in ("pg", "A1@AdobeOrg/pg", "B2@AdobeOrg/pg"):
        (secrets / path).write_text(f"{SECRET}\n")
    (tmp_path / "outside").write_text("x")
    return secrets


def follow(reference: str, folder: Path, tenancy: Tenancy = ALONE, **settings: Any) -> str:
    found = Settings(**{"data": folder.parent / "data", "secret_files": folder, **settings})
    return str(resolved({"password": reference}, {"password"}, found, tenancy)["password"])


def test_what_references_lead_to(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_PASSWORD", SECRET)
    monkeypatch.setenv("HEADGATE_SECRET_X", SECRET)
    monkeypatch.setenv("HEADGATE_SECRET_A1_AdobeOrg_PG", SECRET)
    (folder / "..data").mkdir()
    (folder / "..data" / "pg").write_text(SECRET)
    (folder / "linked").symlink_to("..data/pg")  # as Kubernetes mounts them
    for reference in ("env:SHOP_PASSWORD", "env:HEADGATE_SECRET_X", "file:pg", f"file:{folder}/pg", "file:linked"):
        assert is_reference(reference)
        assert follow(reference, folder) == SECRET
    for reference in ("env:HEADGATE_SECRET_A1_AdobeOrg_PG", "file:pg", f"file:{folder}/A1@AdobeOrg/pg"):
        assert follow(reference, folder, SHARED) == SECRET


@pytest.mark.parametrize("value", ["vault:x", "ENV:X", " env:X", "plain", "", "xenv:X"])
def test_everything_else_is_the_secret_itself(folder: Path, value: str) -> None:
    assert not is_reference(value)
    assert follow(value, folder) == value


def test_only_secret_parameters_are_followed(folder: Path) -> None:
    params = {"server": "env:HOME", "password": "file:pg", "port": 5432}
    found = resolved(params, {"password"}, Settings(secret_files=folder), ALONE)
    assert found == {"server": "env:HOME", "password": SECRET, "port": 5432}


REFUSED = [
    "env:",
    "env:NO_SUCH_VARIABLE",
    "env:EMPTY",
    "env:A B",
    "env:A=B",
    "env:A\0B",
    "env:HEADGATE_SECRETS_KEY",
    "env:HEADGATE_METADATA_URL",
    "file:",
    "file:.",
    "file:../outside",
    "file:/etc/passwd",
    "file:pg/../../outside",
    "file:a\0b",
    "file:escape",
    "file:folder",
    "file:pipe",
    "file:missing",
    "file:empty",
    "file:binary",
    "file:huge",
    "file://etc/passwd",
]


@pytest.mark.parametrize("reference", REFUSED)
def test_what_references_may_not_lead_to(folder: Path, monkeypatch: pytest.MonkeyPatch, reference: str) -> None:
    monkeypatch.setenv("EMPTY", "")
    monkeypatch.setenv("HEADGATE_SECRETS_KEY", "A" * 43 + "=")
    monkeypatch.setenv("HEADGATE_METADATA_URL", "sqlite://")
    (folder / "escape").symlink_to("../outside")
    (folder / "folder").mkdir()
    os.mkfifo(folder / "pipe")
    (folder / "empty").write_text("\n")
    (folder / "binary").write_bytes(b"\xff\xfe")
    (folder / "huge").write_bytes(b"x" * 70_000)
    with pytest.raises(ReferenceRefused):
        follow(reference, folder)


@pytest.mark.parametrize(
    "reference",
    [
        "env:HOME",
        "env:HEADGATE_SECRET_X",
        "env:HEADGATE_SECRET_B2_AdobeOrg_PG",
        "env:HEADGATE_SECRET_A1_AdobeOrg",
        "file:../pg",
        "file:../B2@AdobeOrg/pg",
        "file:../A1@AdobeOrg/../B2@AdobeOrg/pg",
    ],
)
def test_no_organisation_refers_to_anothers(folder: Path, monkeypatch: pytest.MonkeyPatch, reference: str) -> None:
    monkeypatch.setenv(reference.removeprefix("env:").replace("/", "_"), SECRET)
    with pytest.raises(ReferenceRefused):
        follow(reference, folder, SHARED)


def test_without_a_folder_there_are_no_files(folder: Path) -> None:
    with pytest.raises(ReferenceRefused, match="HEADGATE_SECRET_FILES"):
        follow("file:pg", folder, secret_files=None)


def test_the_services_own_files_are_no_secrets_of_connections(folder: Path) -> None:
    keys = folder / "data" / "keys"
    keys.mkdir(parents=True)
    (keys / "local.json").write_text("x")
    with pytest.raises(ReferenceRefused):
        follow("file:data/keys/local.json", folder, data=folder / "data")


def test_no_source_reads_the_files_that_hold_secrets(folder: Path) -> None:
    roots = Roots.of(Settings(file_roots=(folder.parent,), data=folder.parent / "data", secret_files=folder), ALONE)
    with pytest.raises(SourcePathForbidden, match="belongs to the service"):
        roots.real(str(folder / "pg"))


# -- over the API ----------------------------------------------------------------------------------


@pytest.fixture
def service(tmp_path: Path, folder: Path, own_metadata: str) -> Iterator[Face]:
    with serving(tmp_path, own_metadata, secret_files=folder) as face:
        yield face


def connecting(face: Face, auth: dict[str, str], name: str = "Basic Authentication") -> httpx.Response:
    body = {"name": "db", "connectionSpec": {"id": POSTGRESQL}, "auth": {"specName": name, "params": auth}}
    return face.post("/connections", body)


def test_a_reference_is_stored_and_shown_as_it_is(service: Face, folder: Path) -> None:
    auth = {"server": "localhost", "database": "d", "username": "u", "password": "file:pg"}
    made = connecting(service, auth)
    assert made.status_code == 201
    shown = service.get(f"/connections/{made.json()['id']}").json()["items"][0]["auth"]["params"]
    assert shown["password"] == "file:pg"
    (folder / "pg").unlink()
    says = refused(connecting(service, auth), 400, CODE)
    assert "file:pg cannot be read: No such file" in says
    assert SECRET not in made.text + says


def test_a_run_reads_with_what_the_reference_leads_to(service: Face, folder: Path, database: str) -> None:
    """A whole connection string in a file, which changes while the connection stays."""
    with psycopg.connect(database) as server:
        server.execute("CREATE TABLE t (id int, at timestamp); INSERT INTO t VALUES (1, '2024-03-01 12:00')")
    (folder / "dsn").write_text(database)
    made = connecting(service, {"connectionString": "file:dsn"}, "Connection String Based Authentication")
    assert made.status_code == 201, made.text
    source = service.made(
        "/sourceConnections",
        {
            "name": "t",
            "connectionSpec": {"id": POSTGRESQL},
            "baseConnectionId": made.json()["id"],
            "params": {"tableName": "t"},
        },
    )
    flow = service.flow(sourceConnectionIds=[source])
    assert service.run(flow, deltaColumn={"name": "at"}).status_code == 201
    (folder / "dsn").write_text(database.replace("host=", "host=/nowhere"))
    says = service.run(service.flow(sourceConnectionIds=[source]), deltaColumn={"name": "at"}).json()["errorMessage"]
    assert "cannot be read" in says
    (folder / "dsn").unlink()
    refused(service.run(service.flow(sourceConnectionIds=[source]), deltaColumn={"name": "at"}), 400, CODE)
