"""Texts that this deployment gives out and takes back: sealed, so that nobody else can read or make one.

A sealed text consists of letters, digits, `-` and `_`, because clients paste it into addresses unescaped.
"""

import base64
import json
import secrets
from functools import cached_property
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from headgate.model.runs import Json
from headgate.store.keyring import read_or_create

__all__ = ["Seal"]

_NONCE = 12


class Seal:
    """Seals JSON objects with AES-256-GCM under the key in `path`, which is made on first use."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def close(self, content: Json, *place: str) -> str:
        """`content` as a text that opens in this `place` alone."""
        nonce = secrets.token_bytes(_NONCE)
        text = json.dumps(content, separators=(",", ":")).encode()
        return _encoded(nonce + self._cipher.encrypt(nonce, text, _bound(place)))

    def open(self, text: str, *place: str) -> Json:
        """What was sealed for this `place`. Raises ValueError for any other text."""
        sealed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        if _encoded(sealed) != text:  # the decoder skips what it does not know, and has spare bits at the end
            raise ValueError("The text is not one that was sealed.")
        try:
            content: Json = json.loads(self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], _bound(place)))
        except InvalidTag as error:
            raise ValueError("The text is not one that was sealed for this.") from error
        return content

    @cached_property
    def _cipher(self) -> AESGCM:
        return AESGCM(read_or_create(self._path, secrets.token_bytes(32)))


def _encoded(sealed: bytes) -> str:
    return base64.urlsafe_b64encode(sealed).decode().rstrip("=")


def _bound(place: tuple[str, ...]) -> bytes:
    return "\x1f".join(place).encode()
