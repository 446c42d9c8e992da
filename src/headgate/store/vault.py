"""Secrets at rest: sealed with AES-256-GCM, bound to the place they belong to."""

import json
import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from headgate.errors import HeadgateError
from headgate.model.runs import Json
from headgate.model.scope import Scope

__all__ = ["Vault", "VaultLocked"]

_NONCE = 12


class VaultLocked(HeadgateError):
    """The credentials of the connection were sealed with another secrets key than the one in use."""


class Vault:
    """Seals and opens JSON secrets with one key, kept in `<keys>/secrets.key` (mode 0600)."""

    def __init__(self, keys: Path) -> None:
        self._path = keys / "secrets.key"
        self._cipher: AESGCM | None = None

    def seal(self, secret: Json, scope: Scope, connection_id: str) -> bytes:
        """Encrypt `secret` for this connection of this scope alone."""
        nonce = secrets.token_bytes(_NONCE)
        text = json.dumps(secret, separators=(",", ":")).encode()
        return nonce + self._key().encrypt(nonce, text, _place(scope, connection_id))

    def open(self, sealed: bytes, scope: Scope, connection_id: str) -> Json:
        """Decrypt what was sealed for this connection. Raises VaultLocked."""
        try:
            text = self._key().decrypt(sealed[:_NONCE], sealed[_NONCE:], _place(scope, connection_id))
        except InvalidTag as error:
            raise VaultLocked from error
        secret: Json = json.loads(text)
        return secret

    def _key(self) -> AESGCM:
        if self._cipher is None:
            self._cipher = AESGCM(read_or_create(self._path, secrets.token_bytes(32)))
        return self._cipher


def read_or_create(path: Path, content: bytes) -> bytes:
    """The content of `path`, which becomes `content` if there is none yet, even when two processes begin."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)  # fails, unlike a rename, when another process was first
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_bytes()


def _place(scope: Scope, connection_id: str) -> bytes:
    return "\x1f".join((scope.org_id, scope.sandbox_id, connection_id)).encode()
