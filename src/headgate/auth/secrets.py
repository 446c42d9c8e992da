"""Ids and secrets that this deployment makes up: 256 random bits, kept only as their SHA-256."""

import hashlib
import hmac
import secrets
from collections.abc import Iterable

__all__ = ["matches", "new_client_id", "new_code", "new_org_id", "new_secret", "sha256"]


def new_org_id() -> str:
    """An id for an organisation, in the form that clients of the public service expect."""
    return f"{secrets.token_hex(12).upper()}@AdobeOrg"


def new_client_id() -> str:
    """An id for a client; it is also the client's API key."""
    return f"hg_{secrets.token_urlsafe(32)}"


def new_secret() -> str:
    """A client's secret."""
    return f"hgs_{secrets.token_urlsafe(32)}"


def new_code() -> str:
    """A sign-in code."""
    return f"hgc_{secrets.token_urlsafe(32)}"


def sha256(text: str) -> str:
    """What is stored in place of `text`. A random text of this length needs no slow hash."""
    return hashlib.sha256(text.encode()).hexdigest()


def matches(secret: str, stored: Iterable[str]) -> bool:
    """Whether `secret` is one of those whose SHA-256 is stored. Takes the same time wherever they differ."""
    digest = sha256(secret)
    return sum(hmac.compare_digest(digest, known) for known in stored) > 0
