"""A data folder is saved while its service works, destroyed, and restored: each row is there once."""

import json
import os
import shutil
import threading
from pathlib import Path

import psycopg
import pytest

from headgate.client import Client
from headgate.errors import HeadgateError
from headgate.model.resources import Kind
from headgate.service.backups import back_up
from headgate.service.local import settings_for
from headgate.service.restoring import restore
from headgate.store import open_store
from headgate.targets import Lake
from tests.acceptance.processes import Deployment, flow, until

WINDOW = ("2024-01-01", "2024-01-03")
ROWS = 1000


def quiet(_done: int, _total: int) -> None:
    pass


def test_a_backup_during_loads_restores_to_each_row_once(deployment: Deployment, events: dict[str, str]) -> None:
    made: list[str] = []
    over = threading.Event()
    with deployment.service() as service, Client.of(deployment.credentials()) as client:
        appending = flow(client, "sqlite", events, mode="append", dataset="appended")
        replacing = flow(client, "sqlite", events, dataset="replaced")

        def load() -> None:
            while not over.is_set():
                for id_ in (appending, replacing):
                    made.append(client.runs.start(id_, window=WINDOW, delta_column="at").id)
                client.runs.get(made[-2]).wait(timeout=30)

        loading = threading.Thread(target=load)
        loading.start()
        try:
            until(lambda: len(made) > 3)
            first, second = (deployment.data.with_name(f"backup{number}") for number in range(2))
            deployment.cli("backup", str(first))
            so_far = len(made)
            until(lambda: len(made) > so_far + 2)
            deployment.cli("backup", str(second), "--since", str(first))
        finally:
            over.set()
            loading.join()
        service.terminate()
        service.wait(20)
    assert [path for path in second.rglob("*.parquet") if path.stat().st_nlink > 1]
    assert not [path for path in second.rglob("*") if path.stat().st_mode & 0o077]
    shutil.rmtree(deployment.data)
    deployment.cli("restore", str(second))
    with deployment.service(), Client.of(deployment.credentials()) as client:
        runs = [run.data for run in client.runs.list()]
        assert 4 < len(runs) <= len(made)
        for run in runs:
            client.runs.get(run["id"]).wait(timeout=60)
        client.runs.start(replacing, window=WINDOW, delta_column="at").wait(timeout=60)
    told = deployment.query("SELECT _headgate_run_id AS run, count(*) AS n FROM appended GROUP BY ALL")
    assert {each["run"]: each["n"] for each in told} == {run["id"]: ROWS for run in runs if run["flowId"] == appending}
    assert deployment.query("SELECT count(*) AS n, count(DISTINCT id) AS ids FROM replaced") == [
        {"n": ROWS, "ids": ROWS}
    ]
    assert json.loads(deployment.cli("db", "reconcile", "-o", "json")) == []


@pytest.fixture
def saved(deployment: Deployment, events: dict[str, str]) -> Deployment:
    """A deployment that has brought one table and rests."""
    deployment.cli("copy", f"sqlite:///{events['path']}", "events", "--delta-column", "at", "--from", "2024-01-01")
    zone = deployment.data / "landing" / "zone"
    zone.mkdir(parents=True)
    (zone / "drop.csv").write_text("a\n1\n")
    os.utime(zone / "drop.csv", ns=(10**18, 10**18 + 5))
    return deployment


def test_a_backup_is_judged_before_anything_is_restored(saved: Deployment, tmp_path: Path) -> None:
    folder = tmp_path / "backup"
    (saved.data / "own").mkdir()
    told = json.loads(saved.cli("backup", str(folder), "-o", "json"))
    assert (told["keys"], told["leftOut"]) == (True, ["own"])
    assert "not an empty folder" in saved.cli("backup", str(folder), code=2)
    assert "data folder" in saved.cli("backup", str(saved.data / "own"), code=2)
    assert "is not empty" in saved.cli("restore", str(folder), code=2)
    assert "holds no backup" in saved.cli("restore", str(saved.data), code=2)
    elsewhere = Deployment(tmp_path / "other")
    assert f"The backup is of {saved.data}" in elsewhere.cli("restore", str(folder), code=2)
    shutil.move(saved.data, tmp_path / "lost")
    [parquet] = folder.rglob("*.parquet")
    whole = parquet.read_bytes()
    parquet.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    (folder / "keys" / "signing.pem").rename(tmp_path / "signing.pem")
    for arguments in (("--dry-run",), ()):
        said = saved.cli("restore", str(folder), *arguments, code=1)
        assert "keys/signing.pem is missing" in said
        assert "parquet has another content" in said
        assert not saved.data.exists()
    parquet.write_bytes(whole)
    (tmp_path / "signing.pem").rename(folder / "keys" / "signing.pem")
    saved.cli("restore", str(folder), "--dry-run")
    assert not saved.data.exists()
    saved.cli("restore", str(folder))
    assert (saved.data / "landing" / "zone" / "drop.csv").stat().st_mtime_ns == 10**18 + 5
    assert saved.query("SELECT count(*) AS n FROM events") == [{"n": ROWS}]


def test_without_its_keys_a_backup_waits_for_them(saved: Deployment, tmp_path: Path) -> None:
    folder = tmp_path / "backup"
    saved.cli("backup", str(folder), "--without-keys")
    assert not (folder / "keys").exists()
    before = saved.credentials()
    shutil.move(saved.data, tmp_path / "lost")
    assert "Put the keys there first" in saved.cli("restore", str(folder), code=2)
    saved.data.mkdir()
    shutil.copytree(tmp_path / "lost" / "keys", saved.data / "keys")
    saved.cli("restore", str(folder))
    assert saved.credentials()["orgId"] == before["orgId"]


def test_what_is_deleted_in_the_middle_is_of_another_moment(saved: Deployment, tmp_path: Path) -> None:
    window = ("--delta-column", "at", "--from", "2024-01-01")
    saved.cli("copy", f"sqlite:///{tmp_path}/events.sqlite", "events", "--into", "zz", *window)
    store, lake = open_store(settings_for(saved.data)), Lake(saved.data / "warehouse")
    [target] = [each for each in store.reconciling.targets() if each.table[-1] == "zz"]

    told: list[tuple[int, int]] = []

    def drop(done: int, total: int) -> None:
        told.append((done, total))
        if lake.find(target.table) is not None:
            store.scoped(target.scope).delete(Kind.DATASET, target.id)
            lake.drop(target.table)

    backup = back_up(saved.data, tmp_path / "backup", since=None, with_keys=True, tell=drop)
    lake.close()
    store.close()
    assert told[-1][0] == told[-1][1] > 0
    assert not [path for path in backup.files if "/zz/" in path]
    assert {
        str(path.relative_to(tmp_path / "backup")) for path in (tmp_path / "backup").rglob("*") if path.is_file()
    } == {
        *backup.files,
        "backup.json",
    }
    shutil.rmtree(saved.data)
    restore(saved.data, tmp_path / "backup", dry_run=False, tell=quiet)
    assert saved.query("SHOW TABLES") == [{"name": "events"}]


def test_a_backup_that_fails_leaves_nothing(saved: Deployment, tmp_path: Path) -> None:
    [parquet] = saved.data.rglob("*.parquet")
    parquet.unlink()
    with pytest.raises(HeadgateError, match="missing in 5 tries"):
        back_up(saved.data, tmp_path / "backup", since=None, with_keys=True, tell=quiet)
    assert not (tmp_path / "backup").exists()


@pytest.mark.parametrize("deployment", ["postgresql"], indirect=True)
def test_what_landed_after_the_metadata_was_saved_is_taken_up(
    deployment: Deployment, events: dict[str, str], metadata_database: str, postgres: str, tmp_path: Path
) -> None:
    def copied(start: str, end: str) -> None:
        window = ("--delta-column", "at", "--from", start, "--to", end)
        deployment.cli("copy", f"sqlite:///{events['path']}", "events", *window)

    copied("2024-01-01T00:00", "2024-01-01T01:00")
    name = metadata_database.partition("?")[0].rpartition("/")[2]
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}_saved" TEMPLATE "{name}"')
    copied("2024-01-01T01:00", "2024-01-01T02:00")
    told = json.loads(deployment.cli("backup", str(tmp_path / "backup"), "-o", "json"))
    assert [each for each in told["leftOut"] if "HEADGATE_METADATA_URL" in each]
    shutil.rmtree(deployment.data)
    address = deployment.environment["HEADGATE_METADATA_URL"]
    deployment.environment["HEADGATE_METADATA_URL"] = ""
    assert "holds no metadata" in deployment.cli("restore", str(tmp_path / "backup"), code=2)
    deployment.environment["HEADGATE_METADATA_URL"] = address.replace(name, f"{name}_saved")
    try:
        said = deployment.cli("restore", str(tmp_path / "backup"), code=1)
        assert "still differ in 1. `headgate db reconcile` shows them" in said
        assert "still differ in 1" in deployment.cli("db", "reconcile", "--dry-run", code=1)
        [one] = json.loads(deployment.cli("db", "reconcile", "--yes", "-o", "json"))
        assert one["kind"] == "unknown"
        assert json.loads(deployment.cli("db", "reconcile", "-o", "json")) == []
        copied("2024-01-01T01:00", "2024-01-01T02:00")
        assert deployment.query("SELECT count(*) AS n FROM events") == [{"n": 120}]
    finally:
        with psycopg.connect(postgres, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}_saved" WITH (FORCE)')
