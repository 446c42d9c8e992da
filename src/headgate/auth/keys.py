"""The public keys of an issuer: found by OpenID Connect discovery, kept, and fetched again with restraint."""

import threading
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

import httpx

from headgate.auth.discovery import asking, discovered, fetched
from headgate.auth.signatures import VerifyingKey
from headgate.errors import TokenInvalid, Unavailable
from headgate.telemetry import emit

__all__ = ["IssuerKeys", "IssuerUnreachable"]

_KEYS = 100
_PAUSE = 60.0  # between two fetches, whatever tokens come
_AGE = 3600.0  # a key that the issuer has withdrawn is refused after this at the latest


class IssuerUnreachable(Unavailable):
    """The keys of the token's issuer cannot be fetched just now."""


class IssuerKeys:
    """The keys of one issuer by their ids. Only the issuer's own host is ever called, or `jwks` where given."""

    def __init__(self, issuer: str, jwks: str = "") -> None:
        self._issuer, self._jwks = issuer, jwks
        self._keys: Mapping[str | None, VerifyingKey] | None = None
        self._fetched_at = self._tried_at = float("-inf")
        self._fetching = threading.Lock()

    def find(self, key_id: str | None) -> VerifyingKey:
        """The key of this id; the only one there is when a token names none.

        An unknown id makes the keys be fetched again, once a minute at most. Raises TokenInvalid, and
        IssuerUnreachable while no keys are known.
        """
        known = self._keys
        if known is None or time.monotonic() - self._fetched_at > _AGE or _of(known, key_id) is None:
            known = self._renewed()
        if known is None:
            raise IssuerUnreachable(f"The keys of the issuer {self._issuer} cannot be fetched just now.")
        key = _of(known, key_id)
        if key is None:
            raise TokenInvalid("The token is signed by a key that its issuer does not publish.")
        return key

    def _renewed(self) -> Mapping[str | None, VerifyingKey] | None:
        # Who has keys to go by does not wait for the one who fetches: unknown ids may come by the thousand.
        if not self._fetching.acquire(blocking=self._keys is None):
            return self._keys
        try:
            if time.monotonic() - self._tried_at >= _PAUSE:
                self._tried_at = time.monotonic()
                self._keys = self._fetched()
                self._fetched_at = time.monotonic()
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, RecursionError) as error:
            emit("issuer.unreachable", level="error", issuer=self._issuer, error=str(error))
        finally:
            self._fetching.release()
        return self._keys

    def _fetched(self) -> Mapping[str | None, VerifyingKey]:
        with asking(self._issuer) as http:
            entries = fetched(http, self._jwks or self._address(http)).get("keys")
        if not isinstance(entries, list) or len(entries) > _KEYS:
            raise ValueError(f"The issuer's key set does not hold a list of at most {_KEYS} keys.")
        keys: dict[str | None, VerifyingKey] = {}
        for entry in entries:
            if isinstance(entry, dict) and (key := VerifyingKey.of(entry)) is not None:
                keys.setdefault(entry.get("kid") if isinstance(entry.get("kid"), str) else None, key)
        return keys

    def _address(self, http: httpx.Client) -> str:
        address = discovered(http, self._issuer).get("jwks_uri")
        if not isinstance(address, str) or _host(address) != _host(self._issuer):
            raise ValueError(f"The key set is at another host, {str(address)[:200]!r}; name it by `jwks`.")
        return address


def _of(keys: Mapping[str | None, VerifyingKey], key_id: str | None) -> VerifyingKey | None:
    if key_id is None and len(keys) == 1:
        return next(iter(keys.values()))
    return keys.get(key_id)


def _host(address: str) -> tuple[str, str]:
    parts = urlsplit(address)
    return parts.scheme, parts.netloc.lower()
