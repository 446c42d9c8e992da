"""Sealing: where keys come from, what is bound to what, and what the first version sealed."""

import base64
import os
import secrets
import stat
import sys
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from headgate.config import Settings
from headgate.errors import SecretsKeyUnusable, VaultLocked
from headgate.store import keyring
from headgate.store.keyring import FileKeys, keyring_of
from headgate.store.vault import Place, Vault

PLACE = Place("org", "sandbox", "connection")
SECRET = {"password": "h0pe", "port": 5432}
OLD, NEW = (base64.b64encode(bytes([digit]) * 32).decode() for digit in (1, 2))


def given(*keys: str) -> Vault:
    return Vault(keyring_of(Settings(secrets_key=",".join(keys))))  # type: ignore[arg-type]


def commanded(program: str) -> Vault:
    return Vault(keyring_of(Settings(secrets_key_command=f"{sys.executable} -c {program!r}")))


def test_what_is_sealed_opens_only_where_it_belongs(tmp_path: Path) -> None:
    vault = Vault(FileKeys(tmp_path))
    sealed = vault.seal(SECRET, PLACE)
    assert vault.open(sealed, PLACE) == SECRET
    assert b"h0pe" not in sealed
    assert vault.seal(SECRET, PLACE) != sealed
    for other in (Place("x", "sandbox", "connection"), Place("org", "x", "connection"), Place("org", "sandbox", "x")):
        for attempt in (vault.open, vault.rewrapped, vault.key_id):
            with pytest.raises(VaultLocked):
                attempt(sealed, other)


def test_no_part_of_an_envelope_can_be_changed(tmp_path: Path) -> None:
    vault = Vault(FileKeys(tmp_path))
    sealed, other = vault.seal(SECRET, PLACE), vault.seal({"password": "x"}, PLACE)
    for at in range(len(sealed)):
        with pytest.raises(VaultLocked):
            vault.open(sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :], PLACE)
    for end in range(len(sealed)):
        with pytest.raises(VaultLocked):
            vault.open(sealed[:end], PLACE)
    with pytest.raises(VaultLocked):
        vault.open(sealed[:72] + other[72:], PLACE)


def test_what_the_first_version_sealed_opens_and_becomes_an_envelope(tmp_path: Path) -> None:
    keys = FileKeys(tmp_path)
    vault, key, nonce = Vault(keys), keys.current(), secrets.token_bytes(12)
    for nonce in (secrets.token_bytes(12), b"HGS2" + secrets.token_bytes(8)):
        sealed = nonce + AESGCM(key.secret).encrypt(nonce, b'{"password":"' + b"x" * 90 + b'"}', PLACE.bound)
        assert vault.open(sealed, PLACE) == {"password": "x" * 90}
        assert vault.key_id(sealed, PLACE) == key.id
        fresh = vault.rewrapped(sealed, PLACE)
        assert fresh is not None
        assert fresh.startswith(b"HGS2")
        assert vault.open(fresh, PLACE) == {"password": "x" * 90}
        assert vault.rewrapped(fresh, PLACE) is None
        with pytest.raises(VaultLocked):
            vault.open(sealed, Place("org", "sandbox", "x"))


def test_the_key_file_is_made_once_and_nobody_elses_to_read(tmp_path: Path) -> None:
    first = FileKeys(tmp_path / "keys").current()
    assert FileKeys(tmp_path / "keys").current() == first
    path = tmp_path / "keys" / "secrets.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert first.secret.hex() not in repr(first)
    assert first.id not in first.secret.hex()


def test_a_renewed_key_is_seen_by_who_had_the_old_one(tmp_path: Path) -> None:
    running, rotating = FileKeys(tmp_path), FileKeys(tmp_path)
    sealed = Vault(running).seal(SECRET, PLACE)
    old = running.current()
    new = rotating.renew()
    assert running.current() == new != old
    assert running.known(old.id) == old
    assert Vault(running).open(sealed, PLACE) == SECRET
    assert Vault(FileKeys(tmp_path)).open(sealed, PLACE) == SECRET
    assert rotating.forget(frozenset({old.id})) == ()
    assert rotating.forget(frozenset()) == ()  # it was current a moment ago
    assert {path.stat().st_mode & 0o777 for path in tmp_path.glob("*.key")} == {0o600}


def test_a_replaced_key_is_forgotten_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = FileKeys(tmp_path)
    old = keys.current()
    keys.renew()
    present = time.time()
    monkeypatch.setattr(time, "time", lambda: present + 601)
    assert keys.forget(frozenset({old.id})) == ()
    assert keys.forget(frozenset()) == (old.id,)
    assert keys.known(old.id) is None


def test_a_key_that_vanishes_is_not_replaced_under_a_running_service(tmp_path: Path) -> None:
    keys = FileKeys(tmp_path)
    key = keys.current()
    (tmp_path / "secrets.key").unlink()
    assert keys.current() == key
    assert not (tmp_path / "secrets.key").exists()


def test_another_key_says_which_one_is_missing(tmp_path: Path) -> None:
    sealed = Vault(FileKeys(tmp_path / "a")).seal(SECRET, PLACE)
    lost = FileKeys(tmp_path / "a").current().id
    with pytest.raises(VaultLocked, match=f"the secrets key {lost}, which is not known") as failure:
        Vault(FileKeys(tmp_path / "b")).open(sealed, PLACE)
    assert failure.value.report == {"key": lost}


def test_several_keys_while_rotating() -> None:
    sealed = given(OLD).seal(SECRET, PLACE)
    both = given(NEW, OLD)
    assert both.open(sealed, PLACE) == SECRET
    fresh = both.rewrapped(sealed, PLACE)
    assert fresh is not None
    assert given(NEW).open(fresh, PLACE) == SECRET
    assert both.rewrapped(fresh, PLACE) is None
    with pytest.raises(VaultLocked):
        given(NEW).open(sealed, PLACE)


def test_a_command_gives_the_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sealed = given(OLD).seal(SECRET, PLACE)
    assert commanded(f"print('{NEW}\\n{OLD}')").open(sealed, PLACE) == SECRET
    monkeypatch.setenv("HEADGATE_SECRETS_KEY", OLD)
    program = "import os; print(os.environ.get('HEADGATE_SECRETS_KEY', '" + NEW + "'))"
    with pytest.raises(VaultLocked):  # the environment's key is not the command's to see, and not used beside it
        commanded(program).open(sealed, PLACE)


@pytest.mark.parametrize(
    ("program", "says"),
    [
        ("import sys; sys.exit('h0pe')", "ended with the code 1"),
        ("print('h0pe!')", "no base64"),
        ("print('aDBwZQ==')", "has 4 bytes"),
        ("print(chr(233))", "no base64"),
        ("", "gives no key"),
    ],
)
def test_a_command_that_gives_no_key(program: str, says: str) -> None:
    with pytest.raises(SecretsKeyUnusable, match=says) as failure:
        commanded(program).seal(SECRET, PLACE)
    assert "h0pe" not in failure.value.detail
    assert "aDBwZQ" not in failure.value.detail


def test_a_command_that_hangs_with_its_children_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(keyring, "COMMAND_SECONDS", 0.5)
    note = tmp_path / "pid"
    vault = Vault(keyring_of(Settings(secrets_key_command=f"sh -c 'sleep 60 & echo $! > {note}; wait'")))
    with pytest.raises(SecretsKeyUnusable, match=r"\(sh\) gave no key within"):
        vault.seal(SECRET, PLACE)
    deadline = time.monotonic() + 10
    while _lives(int(note.read_text())) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _lives(int(note.read_text()))


@pytest.mark.parametrize("command", ["/no/such/program --key", "'unbalanced", " "])
def test_a_command_that_cannot_be_run(command: str) -> None:
    with pytest.raises(SecretsKeyUnusable):
        Vault(keyring_of(Settings(secrets_key_command=command))).seal(SECRET, PLACE)


def test_a_command_is_asked_again_and_its_failure_then_outlived(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source = tmp_path / "key"
    source.write_text(OLD)
    vault = Vault(keyring_of(Settings(secrets_key_command=f"cat {source}")))
    old = vault.seal(SECRET, PLACE)
    source.write_text(f"{NEW},{OLD}")
    assert vault.key_id(vault.seal(SECRET, PLACE), PLACE) == vault.key_id(old, PLACE)
    present = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: present + 61)
    assert vault.key_id(vault.seal(SECRET, PLACE), PLACE) != vault.key_id(old, PLACE)
    source.unlink()
    monkeypatch.setattr(time, "monotonic", lambda: present + 200)
    assert vault.open(old, PLACE) == SECRET


@pytest.mark.parametrize("content", [b"", b"x" * 16, b"x" * 33])
def test_a_key_file_of_another_size(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "secrets.key").write_bytes(content)
    with pytest.raises(SecretsKeyUnusable, match=f"has {len(content)} bytes"):
        Vault(FileKeys(tmp_path)).seal(SECRET, PLACE)


def test_the_setting_does_not_show_itself() -> None:
    settings = Settings(secrets_key=OLD)  # type: ignore[arg-type]
    assert OLD not in repr(settings)
    assert OLD not in str(settings.model_dump())


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
