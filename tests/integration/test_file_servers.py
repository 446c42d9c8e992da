"""SFTP and FTP: what lands from a server is what would land from its folder, and nothing is said of a password."""

import base64
import os
import re
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from headgate.config import Settings
from headgate.errors import (
    BadParameter,
    HostNotAllowed,
    SourceAccessDenied,
    SourceChanged,
    SourceError,
    SourceObjectMissing,
    SourcePathForbidden,
    SourceUnreachable,
)
from headgate.model.lake import SOURCE_FILE
from headgate.model.runs import RunState
from headgate.model.windows import Window
from headgate.outbound import Outbound
from headgate.sources import connection_specs
from headgate.sources.files import Files, Scratch
from headgate.sources.files.stores import Store
from headgate.sources.files.stores.ftp import ftp
from headgate.sources.files.stores.sftp import sftp
from headgate.sources.files.stores.smb import smb
from tests.conformance.kits import unused_port
from tests.deployment import Deployment, at, multiset
from tests.file_servers import PASSWORD, USER, Running, certificate, ftp_server, key_text, sftp_server, smb_server
from tests.local_files import land

Open = Callable[..., Store]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "root"
    made.mkdir()
    return made


def _put(root: Path, name: str, text: str, modified: str = "2024-01-01") -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (at(modified) / 1000, at(modified) / 1000))
    return path


def _outbound(tmp_path: Path, **settings: Any) -> Outbound:
    return Outbound(Settings(data=tmp_path / "data", **settings), shared=False)


@pytest.fixture(params=["sftp", "ftp", "old ftp", "ftps"])
def server(request: pytest.FixtureRequest, root: Path, tmp_path: Path) -> Iterator[tuple[str, Running, Open]]:
    """A server over `root`, and what opens it as a store with more parameters."""
    kind = request.param
    tls = certificate(tmp_path) if kind == "ftps" else None
    with sftp_server(root) if kind == "sftp" else ftp_server(root, modern=kind != "old ftp", tls=tls) as running:
        if tls is not None:
            request.getfixturevalue("monkeypatch").setenv("SSL_CERT_FILE", str(tls))

        def opened(**more: Any) -> Store:
            params = {"host": "localhost", "port": running.port, "userName": USER, "password": PASSWORD, **more}
            if kind == "ftps":
                params["enableTls"] = True
            return (sftp if kind == "sftp" else ftp)(params, _outbound(tmp_path))

        yield kind, running, opened


def _files(store: Store, tmp_path: Path) -> Files:
    return Files(store, Scratch(tmp_path / "scratch", 10**9))


def test_what_lands_is_what_lies_in_the_folder(server: tuple[str, Running, Open], root: Path, tmp_path: Path) -> None:
    kind, running, opened = server
    _put(root, "in/a.csv", "n,s\n1,x\n2,\n", "2024-01-01")
    _put(root, "in/deep/b c#?%.csv", "n,s\n3,ü\n", "2024-01-02")
    _put(root, "in/ünï.csv", "n,s\n4,z\n", "2024-01-03")
    _put(root, "other/c.csv", "n,s\n5,z\n")
    _put(root, "in/empty.csv", "")
    files = _files(opened(), tmp_path)
    files.check()
    for path, recursive in (
        ("in", False),
        ("in", True),
        ("/in/*.csv", False),
        ("**/*.csv", False),
        ("in/a.csv", False),
    ):
        here = land(root, path.lstrip("/"), params={"recursive": recursive})
        there = land(root, path, params={"recursive": recursive}, source=files)
        assert there.multiset == here.multiset
    scheme = "sftp" if kind == "sftp" else "ftp"
    named = {row[SOURCE_FILE] for row in land(root, "in", params={"recursive": True}, source=files).rows}
    prefix = f"{scheme}://localhost:{running.port}"
    assert named == {f"{prefix}/in/{name}" for name in ("a.csv", "deep/b c#?%.csv", "ünï.csv")}
    day = land(root, "**/*.csv", source=files, window=Window(at("2024-01-02"), at("2024-01-03")))
    assert day.data == [(3, "ü")]
    assert [entry.name for entry in files.explore(None)] == ["in", "other"]
    assert [(entry.type, entry.name) for entry in files.explore("in")] == [
        ("file", "a.csv"),
        ("folder", "deep"),
        ("file", "empty.csv"),
        ("file", "ünï.csv"),
    ]


def test_a_connection_is_held_to_its_folder(server: tuple[str, Running, Open], root: Path, tmp_path: Path) -> None:
    _, _, opened = server
    _put(root, "in/a.csv", "n\n1\n")
    _put(root, "out/a.csv", "n\n2\n")
    store = opened(folderPath="/in")
    assert land(root, "a.csv", source=_files(store, tmp_path)).data == [(1,)]
    assert land(root, "/", source=_files(store, tmp_path)).data == [(1,)]
    prefix = store.address("").removesuffix("/in")
    for path in ("../out/a.csv", f"{prefix}/out/a.csv", f"{prefix}/in/../out/a.csv", "a\n.csv"):
        with pytest.raises(SourcePathForbidden):
            store.address(path)
    with pytest.raises(SourceObjectMissing, match=r"nowhere"):
        opened(folderPath="nowhere").check()


def test_refusals_have_the_server_s_reason_and_no_secret(
    server: tuple[str, Running, Open], root: Path, tmp_path: Path
) -> None:
    _, _, opened = server
    _put(root, "a.csv", "n\n1\n")
    store = opened()
    with pytest.raises(SourceAccessDenied, match="refuses the login of reader") as denied:
        opened(password="wrong-and-secret").check()
    with pytest.raises(SourceObjectMissing, match=r"no \w+://localhost:\d+/b\.csv"):
        store.pin(store.address("b.csv"))
    with pytest.raises(SourceObjectMissing, match="nowhere"):
        list(store.listed(store.address("nowhere")))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(SourceUnreachable, match="refused") as unreachable:
            opened(port=free.getsockname()[1]).check()
    for told in (denied, unreachable):
        assert PASSWORD not in str(told.value.detail)
        assert "wrong-and-secret" not in str(told.value.detail)
    with pytest.raises(BadParameter, match="maxConcurrentConnections"):
        opened(maxConcurrentConnections="many")
    with pytest.raises(HostNotAllowed):
        opened(host="169.254.169.254")
    assert store.pin(store.address("")) is None


def test_a_file_that_changes_or_goes_is_not_read(server: tuple[str, Running, Open], root: Path, tmp_path: Path) -> None:
    _, _, opened = server
    path = _put(root, "a.csv", "n\n1\n")
    store = opened()
    pinned = store.pin(store.address("a.csv"))
    assert pinned is not None
    assert b"".join(store.read(pinned)) == b"n\n1\n"
    assert b"".join(store.read(pinned, 2, 1)) == b"1"
    path.write_text("n\n22\n")
    with pytest.raises(SourceChanged, match=r"a\.csv changed"):
        list(store.read(pinned))
    path.unlink()
    with pytest.raises(SourceChanged, match=r"a\.csv vanished"):
        list(store.read(pinned))


def test_a_large_file_comes_whole_by_few_sessions(
    server: tuple[str, Running, Open], root: Path, tmp_path: Path
) -> None:
    kind, running, opened = server
    content = os.urandom(9 << 20) + b"end"
    (root / "large.bin").write_bytes(content)
    store = opened(maxConcurrentConnections="2")
    pinned = store.pin(store.address("large.bin"))
    assert pinned is not None
    assert b"".join(store.read(pinned)) == content
    assert b"".join(store.read(pinned, 1 << 20, 5 << 20)) == content[1 << 20 : 6 << 20]
    got: list[bytes] = []
    readers = [threading.Thread(target=lambda: got.append(b"".join(store.read(pinned)))) for _ in range(5)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(60)
    assert got == [content] * 5
    if kind == "sftp":
        assert running.most <= 2
    broken_off = store.read(pinned)
    assert next(broken_off)
    broken_off.close()  # type: ignore[attr-defined]
    assert b"".join(store.read(pinned)) == content


def test_a_session_that_the_server_ended_is_replaced(root: Path, tmp_path: Path) -> None:
    _put(root, "a.csv", "n\n1\n")
    params = {"host": "127.0.0.1", "userName": USER, "password": PASSWORD}
    with ftp_server(root) as first:
        store = ftp({**params, "port": first.port}, _outbound(tmp_path))
        assert store.pin(store.address("a.csv"))
    with pytest.raises(SourceUnreachable):
        store.pin(store.address("a.csv"))
    with ftp_server(root, port=first.port):
        assert store.pin(store.address("a.csv"))


@pytest.mark.parametrize(
    ("kind", "passphrase"),
    [("ssh-ed25519", None), ("ecdsa-sha2-nistp256", None), ("ssh-rsa", None), ("ssh-ed25519", "to the key")],
)
def test_keys_open_an_sftp_server(root: Path, tmp_path: Path, kind: str, passphrase: str | None) -> None:
    _put(root, "a.csv", "n\n1\n")
    key, private = key_text(kind, passphrase)
    with sftp_server(root, key) as running:
        params = {"host": f"sftp://localhost:{running.port}", "userName": USER, "passPhrase": passphrase}
        for content in (private, base64.b64encode(private.encode()).decode()):
            store = sftp({**params, "privateKeyContent": content}, _outbound(tmp_path))
            assert store.pin(store.address("a.csv"))
        if passphrase is None:
            _, foreign = key_text(kind)
            with pytest.raises(SourceAccessDenied, match="refuses the login"):
                sftp({**params, "privateKeyContent": foreign}, _outbound(tmp_path)).check()
        else:
            with pytest.raises(BadParameter, match=r"passPhrase"):
                sftp({**params, "privateKeyContent": private, "passPhrase": None}, _outbound(tmp_path))
            with pytest.raises(BadParameter, match="no Ed25519"):
                sftp({**params, "privateKeyContent": private, "passPhrase": "another"}, _outbound(tmp_path))


def test_no_password_goes_to_a_server_with_another_key(root: Path, tmp_path: Path) -> None:
    with sftp_server(root) as running:
        params = {"host": "localhost", "port": running.port, "userName": USER, "password": PASSWORD}
        sftp({**params, "hostKeyFingerprint": running.fingerprint}, _outbound(tmp_path)).check()
        running.logins.clear()
        with pytest.raises(SourceAccessDenied, match=re.escape(f"fingerprint {running.fingerprint}")):
            sftp({**params, "hostKeyFingerprint": "SHA256:" + "A" * 43}, _outbound(tmp_path)).check()
        assert running.logins == []
        with pytest.raises(BadParameter, match="ssh-keygen"):
            sftp({**params, "hostKeyFingerprint": "aa:bb"}, _outbound(tmp_path))
        slow = sftp({**params, "disableChunking": "true"}, _outbound(tmp_path))
        (root / "b").write_bytes(b"x" * (3 << 20))
        pinned = slow.pin(slow.address("b"))
        assert pinned is not None
        assert sum(map(len, slow.read(pinned))) == 3 << 20


def test_a_certificate_that_nobody_signed_is_refused(root: Path, tmp_path: Path) -> None:
    with ftp_server(root, tls=certificate(tmp_path)) as running:
        params = {
            "host": "localhost",
            "port": running.port,
            "userName": USER,
            "password": PASSWORD,
            "enableTls": "true",
        }
        with pytest.raises(SourceError, match=r"certificate of localhost is refused"):
            ftp(params, _outbound(tmp_path)).check()


def test_a_server_that_says_nothing_does_not_hold_a_connection_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headgate.sources.files.stores.ftp._CONNECT_SECONDS", 0.5)
    monkeypatch.setattr("headgate.sources.files.stores.sftp._ANSWER_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        params = {"host": "127.0.0.1", "port": silent.getsockname()[1], "userName": USER, "password": PASSWORD}
        for opens in (ftp, sftp):
            with pytest.raises(SourceUnreachable, match=r"did not answer|closed|banner"):
                opens(params, _outbound(tmp_path)).check()


def test_a_share_is_named_with_its_server(root: Path, tmp_path: Path) -> None:
    _put(root, "in/a.csv", "n\n1\n")
    with smb_server(root, tmp_path) as running:
        params = {"port": running.port, "userId": "nobody", "password": PASSWORD}
        here = {**params, "host": r"\\127.0.0.1\files\in"}
        store = smb(here, _outbound(tmp_path))
        assert store.address("a.csv") == f"smb://127.0.0.1:{running.port}/files/in/a.csv"
        assert land(root, "a.csv", source=_files(store, tmp_path)).data == [(1,)]
        for path in ("a?c", "a*", 'a"b', "a:b"):
            with pytest.raises(SourceObjectMissing):
                store.pin(store.address(path))
        with pytest.raises(SourceObjectMissing, match="no share 'nowhere'"):
            smb({**params, "host": "//127.0.0.1/nowhere"}, _outbound(tmp_path)).check()
        for host in ("127.0.0.1", r"\\127.0.0.1", "smb://127.0.0.1/files"):
            with pytest.raises(BadParameter, match="server and its share"):
                smb({**params, "host": host}, _outbound(tmp_path))
        with pytest.raises(SourceUnreachable, match="refused"):
            smb({**here, "port": unused_port()}, _outbound(tmp_path)).check()


def test_a_flow_reads_an_sftp_server(root: Path, tmp_path: Path) -> None:
    for day in (1, 2, 3):
        _put(root, f"in/{day}.csv", f"n,s\n{day},a\n{day},\n", f"2024-01-0{day}")
    spec = next(spec.id for spec in connection_specs() if spec.name == "sftp")
    with sftp_server(root) as running:
        deployment = Deployment(tmp_path)
        auth: dict[str, Any] = {"host": "localhost", "port": running.port, "userName": USER, "password": PASSWORD}
        flow = deployment.flow(spec, auth, {"path": "in"}, data={"format": "delimited"}, kind="file")
        for _ in range(2):
            run = deployment.run(flow, "2024-01-01", "2024-01-03")
            assert run.state is RunState.SUCCESS, run.metrics
            assert multiset(deployment.rows()) == multiset([(1, "a"), (1, None), (2, "a"), (2, None)])
        deployment.close()
    assert run.metrics["fileSummary"]["inputFileCount"] == 2
