"""Signatures of tokens: checked by the algorithms of the key, never by the one a token's header asks for."""

import base64
import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from joserfc import jwt
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from headgate.errors import TokenInvalid

__all__ = ["LEEWAY", "LONGEST", "Unverified", "VerifyingKey", "check_claims", "read_unverified", "verified"]

LEEWAY = 60  # seconds by which the clocks of issuer and verifier may differ
LONGEST = 12_288  # characters; a token of ours has about 600, and all headers together may have 16 KiB
_RSA_BITS = 2048
_KINDS: Mapping[tuple[Any, Any], tuple[type[RSAKey | ECKey | OKPKey], tuple[str, ...], tuple[str, ...]]] = {
    ("RSA", None): (RSAKey, ("kty", "n", "e"), ("RS256",)),
    ("EC", "P-256"): (ECKey, ("kty", "crv", "x", "y"), ("ES256",)),
    ("OKP", "Ed25519"): (OKPKey, ("kty", "crv", "x"), ("EdDSA", "Ed25519")),
}
_TYPES = (None, "jwt", "at+jwt", "application/at+jwt")


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """A public key and the algorithms that its type allows."""

    key: RSAKey | ECKey | OKPKey
    algorithms: tuple[str, ...]

    @classmethod
    def of(cls, jwk: Mapping[str, Any]) -> "VerifyingKey | None":
        """The key that a member of a JWKS describes; None when it is no key for signatures that we take.

        Taken are RSA from 2048 bits (RS256), P-256 (ES256) and Ed25519 (EdDSA).
        """
        kind = jwk.get("kty"), jwk.get("crv")
        if kind not in _KINDS or (kind[0] == "RSA" and _bits(jwk.get("n")) < _RSA_BITS):
            return None
        type_, members, algorithms = _KINDS[kind]
        if jwk.get("use", "sig") != "sig" or jwk.get("alg", algorithms[0]) not in algorithms:
            return None
        try:
            return cls(type_.import_key({name: jwk[name] for name in members}), algorithms)
        except (JoseError, KeyError, TypeError, ValueError):
            return None


class Unverified(NamedTuple):
    """What a token says before anybody looked at its signature. Good only to choose the key to check it by."""

    issuer: str
    key_id: str | None


def read_unverified(token: str) -> Unverified:
    """The issuer and key id that a token names. Raises TokenInvalid."""
    if len(token) > LONGEST:
        raise TokenInvalid("The token is too long.")
    try:
        header, payload, _ = (_decoded(part) for part in token.split("."))
        issuer, key_id = json.loads(payload).get("iss"), json.loads(header).get("kid")
    except (ValueError, AttributeError, RecursionError) as error:
        raise TokenInvalid from error
    if not isinstance(issuer, str) or not isinstance(key_id, str | None):
        raise TokenInvalid
    return Unverified(issuer, key_id)


def verified(token: str, key: VerifyingKey) -> dict[str, Any]:
    """The claims of a token that `key` signed. Raises TokenInvalid.

    Of the header only `alg`, `typ` and `crit` are read; keys and addresses of keys in it are not.
    """
    if len(token) > LONGEST:
        raise TokenInvalid("The token is too long.")
    try:
        found = jwt.decode(token, key.key, registry=_Registry(key.algorithms))
    except (JoseError, ValueError, TypeError, RecursionError) as error:
        raise TokenInvalid from error
    type_ = found.header.get("typ")
    if (type_.lower() if isinstance(type_, str) else type_) not in _TYPES:
        raise TokenInvalid("The token is not an access token.")
    return found.claims


def check_claims(claims: Mapping[str, Any], *, issuers: Sequence[str], audiences: Sequence[str]) -> None:
    """See that a token is from one of `issuers`, for one of `audiences`, and valid now. Raises TokenInvalid."""
    rules = jwt.JWTClaimsRegistry(
        now=lambda: int(time.time()),
        leeway=LEEWAY,
        iss={"essential": True, "values": list(issuers)},
        aud={"essential": True, "values": list(audiences)},
        exp={"essential": True},
        nbf={"essential": True},
    )
    try:
        rules.validate(dict(claims))
    except JoseError as error:
        raise TokenInvalid from error
    if not math.isfinite(claims["exp"]) or not math.isfinite(claims["nbf"]):  # JSON as Python reads it has NaN
        raise TokenInvalid


class _Registry(JWSRegistry):
    max_header_length = 4096

    def __init__(self, algorithms: tuple[str, ...]) -> None:
        super().__init__(algorithms=algorithms, strict_check_header=False)

    def get_alg(self, name: str) -> Any:
        if not isinstance(name, str) or name not in (self.allowed or ()):
            raise UnsupportedAlgorithmError("The key is not for this algorithm.")
        return self.algorithms[name]


def _bits(number: object) -> int:
    try:
        return int.from_bytes(_decoded(str(number))).bit_length()
    except ValueError:
        return 0


def _decoded(part: str) -> bytes:
    return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
