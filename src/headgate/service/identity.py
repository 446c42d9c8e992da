"""The built-in issuer: tokens for clients and for people, and what others must know to check them."""

from collections.abc import Sequence

from headgate.auth import Tokens, matches, sha256
from headgate.config import Settings
from headgate.errors import ClientRefused, CodeRefused, GrantTypeUnsupported, TokenRefused
from headgate.model.orgs import Client
from headgate.model.runs import Json
from headgate.model.scope import Principal
from headgate.store import Store

__all__ = ["Identity"]

_CLIENT, _CODE = "client_credentials", "authorization_code"


class Identity:
    """Issues tokens, and describes the issuer."""

    def __init__(self, settings: Settings, store: Store, tokens: Tokens) -> None:
        self.public_url = settings.public_url.rstrip("/")
        self._lifetime = settings.token_lifetime
        self._tenants = store.tenants
        self._tokens = tokens

    def token(self, fields: Sequence[tuple[str, str]]) -> Json:
        """`{"access_token","token_type","expires_in"}` for the fields of a token request; seconds.

        By `client_credentials` the token is the client's own; by `authorization_code` it is that of whom the
        code was made for, a person or the client itself. Raises TokenRefused.
        """
        given = dict(fields)
        if len(given) < len(fields):
            raise TokenRefused("A parameter of the token request was sent twice.")
        grant_type = given.get("grant_type", "")
        if not grant_type:
            raise TokenRefused("`grant_type` is missing. Send client_credentials or authorization_code.")
        if grant_type not in (_CLIENT, _CODE):
            raise GrantTypeUnsupported(f"`grant_type` is {grant_type[:80]!r}; send {_CLIENT} or {_CODE}.")
        client = self._client(given.get("client_id", ""), given.get("client_secret", ""))
        orgs = frozenset({client.org_id})
        user = client.id if grant_type == _CLIENT else self._whom(given.get("code", ""), client)
        principal = Principal(user, client.id, "service" if user == client.id else "user", orgs)
        token = self._tokens.issue(principal, self._lifetime)
        return {"access_token": token, "token_type": "bearer", "expires_in": self._lifetime}

    def sign_in(self, code: str) -> Json:
        """What `token()` gives for a person's sign-in code, and the `client_id` it was made for; uses the code up.

        For the console alone, which is no client of its own. Raises CodeRefused.
        """
        found = self._tenants.take_persons_code(sha256(code)) if code.isprintable() else None
        client = self._tenants.client(found[0]) if found else None
        if found is None or client is None:
            raise CodeRefused
        principal = Principal(found[1], client.id, "user", frozenset({client.org_id}))
        token = self._tokens.issue(principal, self._lifetime)
        return {
            "access_token": token,
            "token_type": "bearer",
            "expires_in": self._lifetime,
            "client_id": client.id,
        }

    def organisations(self, principal: Principal) -> Json:
        """The organisations that the principal may act in: `{"items":[{"orgId","name"}],"_links":{}}`."""
        items = [
            {"orgId": org.id, "name": org.name}
            for org in self._tenants.orgs()
            if (
                org.id in principal.orgs
                if principal.orgs is not None
                else self._tenants.standing(principal, org.id).grants
            )
        ]
        return {"items": items, "_links": {}}

    def userinfo(self, principal: Principal) -> Json:
        """What the issuer knows of the principal."""
        return {
            "sub": principal.user_id,
            "name": principal.name or principal.user_id,
            "email": principal.email or (principal.user_id if "@" in principal.user_id else ""),
            "account_type": principal.kind,
        }

    def description(self) -> Json:
        """What OpenID Connect discovery tells of the issuer, but for the addresses.

        `issuer` is an address too, as strict verifiers demand, only where the public URL is set.
        """
        return {
            "issuer": self._tokens.issuer,
            "grant_types_supported": [_CLIENT, _CODE],
            "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
            "response_types_supported": [],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
            "claims_supported": ["iss", "aud", "sub", "client_id", "orgs", "kind", "iat", "nbf", "exp"],
        }

    def key_set(self) -> Json:
        """The public keys of the issuer, as a JWKS."""
        return self._tokens.key_set

    def _client(self, client_id: str, secret: str) -> Client:
        if not client_id.isprintable():  # PostgreSQL takes no NUL, not even to say that there is none
            raise ClientRefused
        client = self._tenants.client(client_id)
        known = self._tenants.secrets(client_id)
        if not matches(secret, known) or client is None or client.issuer:
            raise ClientRefused
        return client

    def _whom(self, code: str, client: Client) -> str:
        user = self._tenants.take_code(sha256(code), client.id)
        if user is None:
            raise CodeRefused
        return user
