"""The gateway's rules: who may call, for which organisation, in which sandbox, and what they may do there."""

from collections.abc import Mapping
from dataclasses import dataclass

from headgate.auth.issuers import Issuers
from headgate.errors import (
    ApiKeyInvalid,
    ApiKeyMissing,
    CrossSandboxForbidden,
    DefaultSandboxMissing,
    OrgForbidden,
    OrgMissing,
    SandboxIdForbidden,
    SandboxMismatch,
    SandboxMissing,
    SandboxNotFound,
    TokenInvalid,
    TokenMissing,
)
from headgate.model.permissions import Permission
from headgate.model.scope import Caller, Principal, Scope
from headgate.store import Tenants
from headgate.telemetry import emit

__all__ = ["Gate"]

_REMEMBERED = 4096


@dataclass(frozen=True, slots=True)
class _Call:
    """What decides whether and where a caller comes in."""

    principal: Principal
    org_id: str
    sandbox: str | None
    sandbox_id: str | None
    whole_org: bool


class Gate:
    """Lets callers in.

    What the store says about a call is remembered until anything about organisations, sandboxes, clients or
    roles changes: the store's revision is read for every call, so a right that was taken is gone at once.
    """

    def __init__(self, issuers: Issuers, tenants: Tenants, *, strict: bool = False) -> None:
        self._issuers = issuers
        self._tenants = tenants
        self._strict = strict
        self._known: tuple[int, dict[_Call, tuple[Scope, frozenset[Permission]]]] = (0, {})

    def identify(self, headers: Mapping[str, str], *, request_id: str = "") -> Principal:
        """The principal whose token a request brings. Raises GatewayError, IssuerUnreachable."""
        authorization = headers.get("authorization")
        if not authorization:
            raise TokenMissing
        return self._verified(authorization, request_id)

    def admit(self, headers: Mapping[str, str], *, request_id: str = "", whole_org: bool = False) -> Caller:
        """The caller that the `headers` (names in lower case) of the request `request_id` speak for.

        A missing x-sandbox-name means the organisation's default sandbox, unless the gate is strict. With
        `whole_org` the call is for no sandbox: those headers are not read, and only roles in the whole organisation
        count. Raises GatewayError, IssuerUnreachable, or the InvalidRequest that the contract has for a sandbox.
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
        principal = self._verified(authorization, request_id)
        # A client application sends its own id as the key, so both must name the same one.
        if api_key != principal.client_id:
            raise ApiKeyInvalid
        name, id_ = headers.get("x-sandbox-name") or None, headers.get("x-sandbox-id") or None
        call = _Call(principal, org_id, *((None, None) if whole_org else (name, id_)), whole_org)
        scope, permissions = self._admitted(call)
        return Caller(principal, scope, permissions, request_id)

    def _verified(self, authorization: str, request_id: str) -> Principal:
        scheme, _, token = authorization.partition(" ")
        if scheme != "Bearer":
            raise TokenInvalid("The Authorization header must read `Bearer <token>`.")
        try:
            return self._issuers.verify(token)
        except TokenInvalid as error:  # the log alone says why: whoever forges tokens need not learn it
            emit("token.refused", request_id=request_id, reason=str(error.__cause__ or error.detail)[:200])
            raise

    def _admitted(self, call: _Call) -> tuple[Scope, frozenset[Permission]]:
        revision = self._tenants.revision()
        remembered, known = self._known
        if remembered != revision or len(known) >= _REMEMBERED:
            known = {}
            self._known = (revision, known)
        if (found := known.get(call)) is None:
            found = known[call] = self._judged(call)
        return found

    def _judged(self, call: _Call) -> tuple[Scope, frozenset[Permission]]:
        principal, org_id = call.principal, call.org_id
        client = self._tenants.client(principal.client_id)
        if client is None or client.issuer != principal.issuer:
            raise ApiKeyInvalid
        standing = self._tenants.standing(principal, org_id)
        if not (standing.grants if principal.orgs is None else org_id in principal.orgs):
            raise OrgForbidden
        scope = self._scope(call)
        return scope, standing.across() if call.whole_org else standing.inside(scope.sandbox_name)

    def _scope(self, call: _Call) -> Scope:
        name, id_ = call.sandbox, call.sandbox_id
        if "*" in (name, id_):
            raise CrossSandboxForbidden
        if id_ is not None and call.principal.kind == "user":
            raise SandboxIdForbidden
        if self._strict and name is None and id_ is None and not call.whole_org:
            raise SandboxMissing
        scope = self._tenants.scope(call.org_id, name, id_)
        if scope is None and name is None and id_ is None:
            raise DefaultSandboxMissing  # as where a token of another issuer names an organisation unknown here
        if scope is None:
            raise SandboxNotFound(
                f"No sandbox {(name or id_ or '')[:80]!r} exists in the organisation.", sandboxName=(name or "")[:80]
            )
        if id_ is not None and scope.sandbox_id != id_:
            raise SandboxMismatch
        return scope
