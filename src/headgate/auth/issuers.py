"""Whose tokens are taken: this deployment's own issuer, and the OpenID Connect issuers of the settings."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from headgate.auth.code_flow import CodeFlow
from headgate.auth.keys import IssuerKeys
from headgate.auth.signatures import check_claims, read_unverified, verified
from headgate.auth.tokens import Tokens
from headgate.config import IssuerSettings
from headgate.errors import TokenInvalid
from headgate.model.scope import Principal

__all__ = ["Issuers", "RemoteIssuer"]

_LONGEST_ID = 255
_RESERVED = ("setup", "headgate")  # what the audit log calls this service itself


class Issuers:
    """Every issuer whose tokens are taken."""

    def __init__(self, own: Tokens, others: Iterable[IssuerSettings]) -> None:
        self._own = own
        self._others = {settings.url: RemoteIssuer(settings) for settings in others}
        self.code_flows = tuple(one.code_flow for one in self._others.values() if one.code_flow is not None)
        """How people sign in at those issuers that take them."""

    def verify(self, token: str) -> Principal:
        """The principal that `token` names. Raises TokenInvalid, IssuerUnreachable."""
        if not self._others:
            return self._own.verify(token)
        told = read_unverified(token)
        remote = self._others.get(told.issuer)
        return remote.verify(token, told.key_id) if remote else self._own.verify(token)


class RemoteIssuer:
    """One issuer of the settings: its keys, and what its claims mean here."""

    def __init__(self, settings: IssuerSettings) -> None:
        self._settings = settings
        self._keys = IssuerKeys(settings.url, settings.jwks)
        self.code_flow = CodeFlow(settings.url, settings.sign_in, self._keys) if settings.sign_in else None

    def verify(self, token: str, key_id: str | None) -> Principal:
        """The principal that a token of this issuer names. Raises TokenInvalid, IssuerUnreachable."""
        settings = self._settings
        claims = verified(token, self._keys.find(key_id))
        if settings.iat_for_nbf and "nbf" not in claims:
            claims = {**claims, "nbf": claims.get("iat")}
        check_claims(claims, issuers=[settings.url], audiences=settings.audience)
        client = _id(_first(claims, settings.client), "client")
        service = self._is_service(claims, client)
        kind: Literal["user", "service"] = "service" if service else "user"
        return Principal(
            client if service else _person(claims, settings.user),
            client,
            kind,
            self._orgs(claims),
            issuer=settings.url,
            roles=self._roles(claims),
            name=_text(claims, "name"),
            email=_text(claims, "email"),
        )

    def _is_service(self, claims: Mapping[str, Any], client: str) -> bool:
        marks = self._settings.service
        if marks:
            return all(_claim(claims, name) == value for name, value in marks.items())
        return bool(_claim(claims, "sub") == client)

    def _orgs(self, claims: Mapping[str, Any]) -> frozenset[str] | None:
        settings = self._settings
        if settings.org:
            return frozenset({settings.org})
        return frozenset(_texts(_claim(claims, settings.orgs))) if settings.orgs else None

    def _roles(self, claims: Mapping[str, Any]) -> frozenset[tuple[str, str | None]]:
        settings = self._settings
        names = _texts(_claim(claims, settings.roles)) if settings.roles else ()
        granted = (settings.role_map[name].partition("@") for name in names if name in settings.role_map)
        return frozenset((role, sandbox or None) for role, _, sandbox in granted)


def _claim(claims: Mapping[str, Any], name: str) -> Any:
    """A claim by its name, or by a path such as `realm_access.roles`."""
    if name in claims:
        return claims[name]
    value: Any = claims
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _first(claims: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((value for name in names if (value := _claim(claims, name)) is not None), None)


def _texts(value: Any) -> tuple[str, ...]:
    """The texts of a list, of a text with spaces between, or the names of an object's members."""
    if isinstance(value, str):
        return tuple(value.split())
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list | dict) else ()


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    return value[:_LONGEST_ID] if isinstance(value, str) else ""


def _id(value: Any, what: str) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= _LONGEST_ID or not value.isprintable():
        raise TokenInvalid(f"The token does not name its {what} in the claim that the settings say.")
    return value


def _person(claims: Mapping[str, Any], name: str) -> str:
    user = _id(_claim(claims, name), "user")
    if user in _RESERVED or user.endswith("@headgate"):
        raise TokenInvalid(f"The user id {user!r} is this deployment's own; another issuer cannot give it.")
    return user
