"""The gateway's rules: who may call, for which organisation, in which sandbox."""

from collections.abc import Mapping

from headgate.auth.tokens import Tokens
from headgate.errors import (
    ApiKeyInvalid,
    ApiKeyMissing,
    CrossSandboxForbidden,
    OrgForbidden,
    OrgMissing,
    SandboxIdForbidden,
    SandboxMismatch,
    SandboxNotFound,
    TokenInvalid,
    TokenMissing,
)
from headgate.model.permissions import EVERYTHING
from headgate.model.scope import Caller, Principal, Scope
from headgate.store import Tenants

__all__ = ["Gate"]


class Gate:
    """Lets callers in."""

    def __init__(self, tokens: Tokens, tenants: Tenants) -> None:
        self._tokens = tokens
        self._tenants = tenants

    def admit(self, headers: Mapping[str, str], *, request_id: str = "") -> Caller:
        """The caller that the `headers` (names in lower case) of the request `request_id` speak for.

        A missing x-sandbox-name means the organisation's default sandbox. Raises GatewayError, or the
        InvalidRequest that the contract has for a sandbox.
        """
        authorization = headers.get("authorization")
        if not authorization:
            raise TokenMissing
        api_key = headers.get("x-api-key")
        if not api_key:
            raise ApiKeyMissing
        org_id = headers.get("x-gw-ims-org-id")
        if not org_id:
            raise OrgMissing
        scheme, _, token = authorization.partition(" ")
        if scheme != "Bearer":
            raise TokenInvalid("The Authorization header must read `Bearer <token>`.")
        principal = self._tokens.verify(token)
        # A client application sends its own id as the key, so both must name the same one.
        if api_key != principal.client_id or self._tenants.client(api_key) is None:
            raise ApiKeyInvalid
        if org_id not in principal.orgs:
            raise OrgForbidden
        return Caller(principal, self._scope(principal, org_id, headers), EVERYTHING, request_id)

    def _scope(self, principal: Principal, org_id: str, headers: Mapping[str, str]) -> Scope:
        name, id_ = headers.get("x-sandbox-name") or None, headers.get("x-sandbox-id") or None
        if "*" in (name, id_):
            raise CrossSandboxForbidden
        if id_ is not None and principal.kind == "user":
            raise SandboxIdForbidden
        scope = self._tenants.scope(org_id, name, id_)
        if scope is None:
            raise SandboxNotFound(
                f"No sandbox {(name or id_ or 'by default')[:80]!r} exists in the organisation.",
                sandboxName=(name or "")[:80],
            )
        if id_ is not None and scope.sandbox_id != id_:
            raise SandboxMismatch
        return scope
