"""The local organisation and its tokens."""

import hashlib
import multiprocessing
import re
import time
from pathlib import Path

import pytest

from headgate.auth import Tokens, local_credentials
from headgate.config import Settings
from headgate.errors import TokenInvalid
from headgate.model.scope import Principal
from headgate.store import open_store


def first_use(folder: str) -> tuple[str, str, str]:
    settings = Settings(data=Path(folder))
    store = open_store(settings)
    try:
        found = local_credentials(settings, store)
        scope = store.tenants.scope(found.org_id, None)
        assert scope is not None
        return found.client_id, found.client_secret, scope.sandbox_id
    finally:
        store.close()


def test_processes_that_come_first_together_make_one_organisation(tmp_path: Path) -> None:
    first_use(str(tmp_path / "warm"))  # so that the race is about the organisation, not about the imports
    settings = Settings(data=tmp_path / "data")
    open_store(settings).close()
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        found = pool.map(first_use, [str(settings.data)] * 8, chunksize=1)
    assert len(set(found)) == 1


def test_credentials(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, token_lifetime=90)
    store = open_store(settings)
    try:
        found = local_credentials(settings, store)
        stored = store.tenants.secrets(found.client_id)
    finally:
        store.close()
    assert re.fullmatch(r"[0-9A-F]{24}@AdobeOrg", found.org_id)
    assert re.fullmatch(r"hg_[A-Za-z0-9_-]{43}", found.api_key)
    assert found.api_key == found.client_id
    assert stored == (hashlib.sha256(found.client_secret.encode()).hexdigest(),)
    wire = found.wire("http://127.0.0.1:8080")
    names = ("baseUrl", "orgId", "sandbox", "apiKey", "clientId", "clientSecret", "accessToken")
    assert tuple(wire) == names
    assert wire["sandbox"] == "prod"
    principal = Tokens(settings.keys).verify(found.access_token)
    assert principal == Principal("local@headgate", found.client_id, "user", frozenset({found.org_id}))


def test_token_ends_with_its_lifetime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = Tokens(tmp_path)
    now = time.time()
    token = tokens.issue(Principal("u", "c", "user", frozenset({"o"})), 100)
    monkeypatch.setattr(time, "time", lambda: now + 155)
    assert tokens.verify(token).user_id == "u"
    monkeypatch.setattr(time, "time", lambda: now + 165)
    with pytest.raises(TokenInvalid):
        tokens.verify(token)


def test_token_of_another_deployment(tmp_path: Path) -> None:
    token = Tokens(tmp_path / "one").issue(Principal("u", "c", "user", frozenset({"o"})), 100)
    with pytest.raises(TokenInvalid):
        Tokens(tmp_path / "two").verify(token)


def test_token_does_not_tell_its_key(tmp_path: Path) -> None:
    Tokens(tmp_path).issue(Principal("u", "c", "user", frozenset({"o"})), 100)
    assert (tmp_path / "signing.pem").read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----")
    assert (tmp_path / "signing.pem").stat().st_mode & 0o777 == 0o600
