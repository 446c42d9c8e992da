"""Access tokens: JWTs (RFC 7519) signed with ES256 by this deployment's own key."""

import time
import uuid
from functools import cached_property
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from headgate.errors import TokenInvalid
from headgate.model.scope import Principal
from headgate.store.vault import read_or_create

__all__ = ["AUDIENCE", "LEEWAY", "Tokens"]

AUDIENCE = "headgate"
LEEWAY = 60  # seconds by which the clocks of issuer and verifier may differ
_ALGORITHM = "ES256"
_LONGEST = 8192  # characters; a token of ours has about 600


class Tokens:
    """Issues and verifies tokens with the key pair in `<keys>/signing.pem`, which is made on first use."""

    def __init__(self, keys: Path) -> None:
        self._keys = keys

    def issue(self, principal: Principal, lifetime: int) -> str:
        """A token for `principal` that lives `lifetime` seconds."""
        now = int(time.time())
        claims = {
            "iss": self._issuer,
            "aud": AUDIENCE,
            "sub": principal.user_id,
            "client_id": principal.client_id,
            "orgs": sorted(principal.orgs),
            "kind": principal.kind,
            "iat": now,
            "nbf": now,
            "exp": now + lifetime,
        }
        return jwt.encode({"alg": _ALGORITHM, "kid": self._key.kid}, claims, self._key, [_ALGORITHM])

    def verify(self, token: str) -> Principal:
        """The principal that `token` names. Raises TokenInvalid.

        Only this deployment's key is ever used: what the token's header says about keys is not read.
        """
        if len(token) > _LONGEST:
            raise TokenInvalid("The token is too long to be one of this service.")
        try:
            claims = jwt.decode(token, self._key, [_ALGORITHM]).claims
            self._rules().validate(claims)
            return _principal(claims)
        except (JoseError, ValueError, TypeError, RecursionError) as error:
            raise TokenInvalid from error

    def _rules(self) -> jwt.JWTClaimsRegistry:
        present: jwt.ClaimsOption = {"essential": True}
        return jwt.JWTClaimsRegistry(
            leeway=LEEWAY,
            iss={"essential": True, "value": self._issuer},
            aud={"essential": True, "value": AUDIENCE},
            exp=present,
            nbf=present,
            iat=present,
        )

    @cached_property
    def _issuer(self) -> str:
        return read_or_create(self._keys / "issuer", f"urn:headgate:{uuid.uuid4()}".encode()).decode()

    @cached_property
    def _key(self) -> ECKey:
        fresh = ECKey.generate_key("P-256").as_pem(private=True)
        key = ECKey.import_key(read_or_create(self._keys / "signing.pem", fresh))
        key.ensure_kid()
        return key


def _principal(claims: dict[str, Any]) -> Principal:
    user, client, orgs, kind = (claims.get(name) for name in ("sub", "client_id", "orgs", "kind"))
    if not (isinstance(user, str) and isinstance(client, str) and isinstance(orgs, list)):
        raise TypeError("sub, client_id and orgs")
    if kind not in ("user", "service"):
        raise ValueError(kind)
    return Principal(user, client, kind, frozenset(org for org in orgs if isinstance(org, str)))
