"""Secrets in the store: rotation under load, lost keys, and ciphertexts that were moved."""

import itertools
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from headgate.cli.secrets import secrets as command
from headgate.errors import VaultLocked
from headgate.model.resources import Kind
from headgate.store import ScopedStore, open_store, tables
from headgate.store.keyring import FileKeys
from headgate.store.vault import Place, Vault
from tests.integration.face import SQLITE, Face, refused, serving

CONNECTIONS = 8


def scoped(face: Face, sandbox: str = "prod") -> ScopedStore:
    scope = face.store.tenants.scope(face.credentials.org_id, sandbox)
    assert scope is not None
    return face.store.scoped(scope)


def cli(face: Face, *arguments: str) -> Any:
    """What `headgate secrets` prints, run as a process of its own beside the service."""
    environment = {"HEADGATE_METADATA_URL": face.settings.metadata_url, "PYTHONPATH": ":".join(sys.path)}
    data = ("--data", str(face.settings.data), "--output", "json")
    done = subprocess.run(
        [sys.executable, "-m", "headgate.cli", "secrets", *arguments, *data],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


@contextmanager
def repeating(*works: Callable[[], None]) -> Iterator[list[BaseException]]:
    """Each of `works` over and over in a thread of its own, while the context is open; what they raised."""
    over, failures, turns = threading.Event(), [], [0] * len(works)

    def repeat(number: int) -> None:
        try:
            while not over.is_set():
                works[number]()
                turns[number] += 1
        except BaseException as error:  # noqa: BLE001 - it is the test's to judge
            failures.append(error)

    threads = [threading.Thread(target=repeat, args=[number]) for number in range(len(works))]
    for thread in threads:
        thread.start()
    try:
        yield failures
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert min(turns) > 0


def sealed(face: Face) -> dict[str, bytes]:
    engine = sa.create_engine(face.metadata)
    with engine.connect() as connection:
        rows = connection.execute(sa.select(tables.secrets.c.connection_id, tables.secrets.c.sealed)).all()
    engine.dispose()
    return {row.connection_id: row.sealed for row in rows}


def replace_sealed(face: Face, connection_id: str, content: bytes) -> None:
    engine = sa.create_engine(face.metadata)
    with engine.begin() as connection:
        table = tables.secrets
        connection.execute(sa.update(table).where(table.c.connection_id == connection_id).values(sealed=content))
    engine.dispose()


def test_rotation_while_the_service_serves(face: Face) -> None:
    """Credentials are changed, read and used for runs without a failure; afterwards no secret has an old key."""
    flow = face.flow()
    ids = [face.connection(f"c{number}") for number in range(CONNECTIONS)]
    store, written = scoped(face), dict.fromkeys(ids, 0)
    path = str(face.folder / "shop.db")
    other = open_store(face.settings)  # as another process has it, with a keyring of its own
    turns = itertools.cycle(ids)

    def patch() -> None:
        id_ = next(turns)
        resource = store.get(Kind.CONNECTION, id_)
        written[id_] += 1
        etag = f'"{id_}-{written[id_]}"'
        store.update(replace(resource, etag=etag), etag=None, secret={"path": path, "n": written[id_]})

    def read() -> None:
        for id_ in ids:
            assert other.scoped(store.scope).secret(id_)["path"] == path

    def run() -> None:
        assert face.run(flow, deltaColumn={"name": "updated_at"}).status_code == 201
        time.sleep(0.05)  # stay below the limit of runs a minute

    def make() -> None:
        face.connection()
        time.sleep(0.1)

    with repeating(patch, read, run, make) as failures:
        keys = [cli(face, "rotate")["key"], *(other.secrets.rotate().key for _ in range(2))]
        deadline = time.monotonic() + 20
        while not all(written.values()) and not failures:
            assert time.monotonic() < deadline, written
            time.sleep(0.05)
        keys.append(other.secrets.rotate().key)
    assert not failures, failures
    assert len(set(keys)) == 4
    for id_ in ids:
        assert store.secret(id_).get("n", 0) == written[id_]
    rotated = other.secrets.rotate()
    assert rotated.rewrapped == len(sealed(face))
    use = other.secrets.use()
    assert (use.current, use.locked) == (rotated.key, ())
    assert {key: count for key, count in use.secrets.items() if count} == {rotated.key: len(sealed(face))}
    assert all(content[4:12].hex() == rotated.key for content in sealed(face).values())
    other.close()


def test_a_rotation_that_was_broken_off_is_finished_with_the_key_it_had_made(face: Face) -> None:
    ids = [face.connection() for _ in range(3)]
    face.store.secrets.rotate()
    made = FileKeys(face.settings.keys).renew()  # and then the process was killed, after it had done one
    before = sealed(face)
    place = Place(scoped(face).scope.org_id, scoped(face).scope.sandbox_id, ids[0])
    fresh = Vault(FileKeys(face.settings.keys)).rewrapped(before[ids[0]], place)
    assert fresh is not None
    replace_sealed(face, ids[0], fresh)
    done = face.store.secrets.rotate()
    assert (done.key, done.rewrapped) == (made.id, len(before) - 1)
    assert all(scoped(face).secret(id_) for id_ in ids)


def test_what_the_first_version_sealed_is_read_and_rotated(face: Face) -> None:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    id_, scope = face.connection(), scoped(face).scope
    place = Place(scope.org_id, scope.sandbox_id, id_)
    secret = json.dumps({"path": str(face.folder / "shop.db")}).encode()
    nonce = b"n" * 12
    replace_sealed(
        face, id_, nonce + AESGCM(FileKeys(face.settings.keys).current().secret).encrypt(nonce, secret, place.bound)
    )
    assert scoped(face).secret(id_) == json.loads(secret)
    flow = face.flow(sourceConnectionIds=[face.source(id_)])
    assert face.run(flow, deltaColumn={"name": "updated_at"}).status_code == 201
    face.store.secrets.rotate()
    assert sealed(face)[id_].startswith(b"HGS2")
    assert scoped(face).secret(id_) == json.loads(secret)


def test_a_ciphertext_moved_to_another_row_does_not_open(face: Face) -> None:
    first, second, elsewhere = face.connection(), face.connection(), face.of("dev").connection()
    contents = sealed(face)
    for thief, loot in ((second, first), (elsewhere, first), (first, elsewhere)):
        replace_sealed(face, thief, contents[loot])
        with pytest.raises(VaultLocked):
            scoped(face, "dev" if thief == elsewhere else "prod").secret(thief)
        replace_sealed(face, thief, contents[thief])


def test_a_lost_key_keeps_nothing_else_from_being_served(tmp_path: Path) -> None:
    with serving(tmp_path) as face:
        connection = face.connection()
        flow = face.flow()
        lost = FileKeys(face.settings.keys).current().id
    (face.settings.keys / "secrets.key").unlink()
    with serving_again(tmp_path) as face:
        assert face.get(f"/connections/{connection}").status_code == 200
        assert face.get(f"/flows/{flow}").status_code == 200
        says = refused(face.run(flow, deltaColumn={"name": "updated_at"}), 500, "FLOW-EXT-SECRETS-500")
        assert f"the secrets key {lost}, which is not known" in says
        assert face.get("/runs").json()["items"] == []
        assert face.get("/health/ready").status_code == 200
        result = CliRunner().invoke(command, ["rotate", "--data", str(face.settings.data)])
        assert result.exit_code == 1
        assert connection in result.output
        again = {"op": "replace", "path": "/auth/params", "value": auth(face)["params"]}
        assert face.patch(f"/connections/{connection}", [again], "*").status_code == 200
        assert scoped(face).secret(connection) == auth(face)["params"]


@contextmanager
def serving_again(folder: Path) -> Iterator[Face]:
    """The service of `folder`, which has its shop already."""
    (folder / "shop.db").unlink()
    with serving(folder) as face:
        yield face


def test_the_command_says_what_it_did(tmp_path: Path) -> None:
    with serving(tmp_path) as face:
        face.made("/connections", {"name": "a", "connectionSpec": {"id": SQLITE}, "auth": auth(face)})
        result = CliRunner().invoke(command, ["rotate", "--data", str(face.settings.data)])
        assert result.exit_code == 0
        assert "Sealed with the key" in result.output
        result = CliRunner().invoke(command, ["status", "--data", str(face.settings.data)])
        assert "current" in result.output


def auth(face: Face) -> dict[str, Any]:
    return {"specName": "Database File", "params": {"path": str(face.folder / "shop.db")}}
