"""Signing people in at an OpenID Connect issuer: the authorization code flow with PKCE (RFC 7636), state and nonce."""

import base64
import hashlib
import os
import secrets
import time
from collections.abc import Mapping
from hmac import compare_digest
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import httpx

from headgate.auth.discovery import asking, discovered, fetched
from headgate.auth.keys import IssuerKeys, IssuerUnreachable
from headgate.auth.signatures import check_claims, read_unverified, verified
from headgate.config import SignInSettings
from headgate.errors import BadSetting, HeadgateError, SignInFailed, TokenInvalid
from headgate.telemetry import emit

__all__ = ["CodeFlow"]

_ENDPOINTS = ("authorization_endpoint", "token_endpoint")


class CodeFlow:
    """How people sign in at one issuer. `label` is what they know it by."""

    def __init__(self, issuer: str, settings: SignInSettings, keys: IssuerKeys) -> None:
        self.label = settings.label or str(urlsplit(issuer).hostname)
        self._issuer, self._settings, self._keys = issuer, settings, keys

    def begin(self, back: str) -> tuple[str, dict[str, str]]:
        """The address to send a browser to, which is sent to `back` in the end; and what `finish()` must be given.

        That must be kept where only this browser brings it from. Raises IssuerUnreachable.
        """
        kept = {name: secrets.token_urlsafe(32) for name in ("state", "nonce", "verifier")}
        challenge = base64.urlsafe_b64encode(hashlib.sha256(kept["verifier"].encode()).digest()).decode().rstrip("=")
        asked = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": back,
            "scope": self._settings.scope,
            "state": kept["state"],
            "nonce": kept["nonce"],
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        with self._calling() as http:
            address = self._endpoints(http)["authorization_endpoint"]
        return f"{address}{'&' if urlsplit(address).query else '?'}{urlencode(asked)}", kept

    def finish(self, answer: Mapping[str, str], kept: Mapping[str, str], back: str) -> dict[str, Any]:
        """The token of who came back with `answer`: `{"access_token","expires_in"}`; seconds.

        Raises SignInFailed, TokenInvalid, IssuerUnreachable.
        """
        if not compare_digest(answer.get("state", "").encode(), kept["state"].encode()):
            raise SignInFailed("The answer of the issuer is not to what this browser asked. Sign in again.")
        if answer.get("iss", self._issuer) != self._issuer:  # RFC 9207
            raise SignInFailed("The answer is of another issuer. Sign in again.")
        if "error" in answer or "code" not in answer:
            said = answer.get("error_description") or answer.get("error") or "no code"
            raise SignInFailed(f"The issuer {self.label} refused: {said[:200]}.")
        tokens = self._exchanged(answer["code"], kept["verifier"], back)
        claims = self._checked(str(tokens.get("id_token", "")), kept["nonce"])
        token = tokens.get(self._settings.token)
        if not isinstance(token, str):
            raise SignInFailed(f"The issuer {self.label} gave no {self._settings.token}.")
        lifetime = tokens.get("expires_in", claims["exp"] - int(time.time()))
        return {"access_token": token, "expires_in": int(lifetime)}

    def _exchanged(self, code: str, verifier: str, back: str) -> dict[str, Any]:
        settings = self._settings
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": back, "code_verifier": verifier}
        secret = _secret(settings.client_secret)
        # RFC 6749, 2.3.1: both are encoded as in a form before they go into the header.
        basic = (quote(settings.client_id, safe=""), quote(secret, safe="")) if secret else None
        with self._calling() as http:
            address = self._endpoints(http)["token_endpoint"]
            form["client_id"] = settings.client_id
            tokens = fetched(http, address, form, basic=basic, taken=(200, 400, 401))
        if "error" in tokens:
            said = tokens.get("error_description") or tokens["error"]
            raise SignInFailed(f"The issuer {self.label} refused the code: {str(said)[:200]}.")
        return tokens

    def _checked(self, id_token: str, nonce: str) -> dict[str, Any]:
        """The claims of an ID token that was made for this sign-in. Raises SignInFailed, IssuerUnreachable."""
        try:
            claims = verified(id_token, self._keys.find(read_unverified(id_token).key_id))
            claims = {"nbf": claims.get("iat"), **claims}
            check_claims(claims, issuers=[self._issuer], audiences=[self._settings.client_id])
        except TokenInvalid as error:
            raise SignInFailed(f"The ID token of the issuer {self.label} cannot be used: {error.detail}") from error
        if not compare_digest(str(claims.get("nonce", "")).encode(errors="replace"), nonce.encode()):
            raise SignInFailed("The ID token is not for this sign-in. Sign in again.")
        return claims

    def _endpoints(self, http: httpx.Client) -> dict[str, str]:
        document = discovered(http, self._issuer)
        found = {name: str(document.get(name, "")) for name in _ENDPOINTS}
        for name, address in found.items():
            parts = urlsplit(address)
            if parts.scheme != "https" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
                raise ValueError(f"The {name} is {address[:200]!r}; it must begin with https://.")
        return found

    def _calling(self) -> "_Calling":
        return _Calling(self._issuer)


class _Calling:
    """A client for calls of an issuer, under which its failures become ours."""

    def __init__(self, issuer: str) -> None:
        self._issuer, self._http = issuer, asking(issuer)

    def __enter__(self) -> httpx.Client:
        return self._http

    def __exit__(self, _type: object, error: BaseException | None, _trace: object) -> None:
        self._http.close()
        if isinstance(error, httpx.HTTPError | httpx.InvalidURL | ValueError) and not isinstance(error, HeadgateError):
            emit("issuer.unreachable", level="error", issuer=self._issuer, error=str(error))
            raise IssuerUnreachable(f"The issuer {self._issuer} cannot be asked just now.") from error


def _secret(reference: str) -> str:
    """The secret that `env:NAME` or `file:PATH` refers to. Raises BadSetting."""
    kind, _, name = reference.partition(":")
    try:
        return "" if not reference else os.environ[name] if kind == "env" else Path(name).read_text().strip()
    except (KeyError, OSError, UnicodeDecodeError) as error:
        raise BadSetting(f"sign_in.client_secret refers to {reference!r}, which cannot be read.") from error
