"""Access tokens of this deployment's own issuer: JWTs (RFC 7519) signed with ES256."""

import time
import uuid
from functools import cached_property
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey

from headgate.auth.signatures import LEEWAY, VerifyingKey, check_claims, verified
from headgate.errors import TokenInvalid
from headgate.model.scope import Principal
from headgate.store.keyring import read_or_create

__all__ = ["AUDIENCE", "LEEWAY", "Tokens"]

AUDIENCE = "headgate"
_ALGORITHM = "ES256"


class Tokens:
    """Issues and verifies tokens with the key pair in `<keys>/signing.pem`, which is made on first use.

    `public_url` is the address that clients reach this deployment at. It becomes the issuer's name where it
    is known, as OpenID Connect wants it.
    """

    def __init__(self, keys: Path, public_url: str = "") -> None:
        self._keys = keys
        self._public_url = public_url.rstrip("/")

    def issue(self, principal: Principal, lifetime: int) -> str:
        """A token for `principal` that lives `lifetime` seconds."""
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": AUDIENCE,
            "sub": principal.user_id,
            "client_id": principal.client_id,
            "orgs": sorted(principal.orgs or ()),
            "kind": principal.kind,
            "iat": now,
            "nbf": now,
            "exp": now + lifetime,
        }
        header = {"alg": _ALGORITHM, "kid": self._key.kid, "typ": "at+jwt"}
        return jwt.encode(header, claims, self._key, [_ALGORITHM])

    def verify(self, token: str) -> Principal:
        """The principal that `token` names. Raises TokenInvalid.

        Only this deployment's key is ever used: what the token's header says about keys is not read.
        """
        claims = verified(token, self._verifying)
        check_claims(claims, issuers=[self._name, self.issuer], audiences=[AUDIENCE])
        return _principal(claims)

    @property
    def issuer(self) -> str:
        """The name in `iss` of the tokens issued."""
        return self._public_url or self._name

    @property
    def key_set(self) -> dict[str, Any]:
        """The public key as a JWKS."""
        described = self._key.as_dict(private=False)
        return {"keys": [{**described, "kid": self._key.kid, "use": "sig", "alg": _ALGORITHM}]}

    @cached_property
    def _name(self) -> str:
        return read_or_create(self._keys / "issuer", f"urn:headgate:{uuid.uuid4()}".encode()).decode()

    @cached_property
    def _key(self) -> ECKey:
        fresh = ECKey.generate_key("P-256").as_pem(private=True)
        key = ECKey.import_key(read_or_create(self._keys / "signing.pem", fresh))
        key.ensure_kid()
        return key

    @cached_property
    def _verifying(self) -> VerifyingKey:
        return VerifyingKey(self._key, (_ALGORITHM,))


def _principal(claims: dict[str, Any]) -> Principal:
    user, client, orgs, kind = (claims.get(name) for name in ("sub", "client_id", "orgs", "kind"))
    if not (isinstance(user, str) and isinstance(client, str) and isinstance(orgs, list)):
        raise TokenInvalid
    if kind not in ("user", "service"):
        raise TokenInvalid
    return Principal(user, client, kind, frozenset(org for org in orgs if isinstance(org, str)))
