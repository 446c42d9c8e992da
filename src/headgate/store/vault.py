"""Secrets at rest: sealed with AES-256-GCM, bound to the place they belong to.

A sealed secret is an envelope: `HGS2`, the id of the key that wraps it, the wrapped data key, and the secret
under that data key. Both are bound to organisation, sandbox and connection, so that an envelope moved to another
row does not open. Rotating wraps the data key anew. What the first version sealed, a nonce and the secret under
the one key, still opens.
"""

import json
import secrets
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from headgate.errors import VaultLocked
from headgate.model.runs import Json
from headgate.store.keyring import KEY_BYTES, Key, Keyring

__all__ = ["Place", "Vault"]

_MARK = b"HGS2"
_ID = 8
_NONCE = 12
_TAG = 16
_WRAPPED = _NONCE + KEY_BYTES + _TAG


@dataclass(frozen=True, slots=True)
class Place:
    """Where a secret belongs, and nowhere else."""

    org_id: str
    sandbox_id: str
    connection_id: str

    @property
    def bound(self) -> bytes:
        """The place as what ciphertexts are bound to."""
        return "\x1f".join((self.org_id, self.sandbox_id, self.connection_id)).encode()


class Vault:
    """Seals and opens JSON secrets with the keys of a keyring. Every method may raise SecretsKeyUnusable."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def seal(self, secret: Json, place: Place) -> bytes:
        """Encrypt `secret` for this place alone, under the current key."""
        data_key = secrets.token_bytes(KEY_BYTES)
        text = json.dumps(secret, separators=(",", ":")).encode()
        return self._wrap(data_key, place) + _encrypt(data_key, text, place.bound)

    def open(self, sealed: bytes, place: Place) -> Json:
        """Decrypt what was sealed for this place. Raises VaultLocked."""
        envelope = self._unwrap(sealed, place)
        text = _decrypt(*envelope, place.bound) if envelope else self._open_first_version(sealed, place)[1]
        secret: Json = json.loads(text)
        return secret

    def rewrapped(self, sealed: bytes, place: Place) -> bytes | None:
        """`sealed` under the current key; None when it is already. Raises VaultLocked."""
        envelope = self._unwrap(sealed, place)
        if envelope is None:
            return self.seal(self.open(sealed, place), place)
        if self.key_id(sealed, place) == self._keyring.current().id:
            return None
        data_key, rest = envelope
        _decrypt(data_key, rest, place.bound)  # what does not open must not look as if it did
        return self._wrap(data_key, place) + rest

    def key_id(self, sealed: bytes, place: Place) -> str:
        """The id of the key that `sealed` needs. Raises VaultLocked when none is known that opens it."""
        if self._unwrap(sealed, place) is not None:
            return sealed[len(_MARK) : len(_MARK) + _ID].hex()
        return self._open_first_version(sealed, place)[0].id

    def _wrap(self, data_key: bytes, place: Place) -> bytes:
        key = self._keyring.current()
        head = _MARK + bytes.fromhex(key.id)
        return head + _encrypt(key.secret, data_key, head + place.bound)

    def _unwrap(self, sealed: bytes, place: Place) -> tuple[bytes, bytes] | None:
        """The data key and what it encrypts; None for what the first version sealed."""
        head, rest = sealed[: len(_MARK) + _ID], sealed[len(_MARK) + _ID :]
        if not head.startswith(_MARK) or len(rest) <= _WRAPPED + _NONCE + _TAG:
            return None
        id_ = head[len(_MARK) :].hex()
        key = self._keyring.known(id_)
        if key is None:
            # One in 2^32 nonces of the first version looks like the mark.
            if self._try_first_version(sealed, place) is not None:
                return None
            raise VaultLocked(
                f"The credentials of this connection were sealed with the secrets key {id_}, which is not known "
                f"here; the current key is {self._keyring.current().id}. Restore that key, or send the credentials "
                "again by a PATCH of the connection.",
                key=id_,
            )
        return _decrypt(key.secret, rest[:_WRAPPED], head + place.bound), rest[_WRAPPED:]

    def _open_first_version(self, sealed: bytes, place: Place) -> tuple[Key, bytes]:
        found = self._try_first_version(sealed, place)
        if found is None:
            raise VaultLocked
        return found

    def _try_first_version(self, sealed: bytes, place: Place) -> tuple[Key, bytes] | None:
        if len(sealed) <= _NONCE + _TAG:
            return None
        for key in self._keyring.all():
            try:
                return key, AESGCM(key.secret).decrypt(sealed[:_NONCE], sealed[_NONCE:], place.bound)
            except InvalidTag:
                continue
        return None


def _encrypt(key: bytes, text: bytes, bound: bytes) -> bytes:
    nonce = secrets.token_bytes(_NONCE)
    return nonce + AESGCM(key).encrypt(nonce, text, bound)


def _decrypt(key: bytes, sealed: bytes, bound: bytes) -> bytes:
    try:
        return AESGCM(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], bound)
    except InvalidTag as error:
        raise VaultLocked from error
