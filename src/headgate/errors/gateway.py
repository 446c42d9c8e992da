"""Who calls, and for whom: the gateway, the sandbox of the call, and the token endpoint."""

from headgate.errors.root import HeadgateError, InvalidRequest

__all__ = [
    "ApiKeyInvalid",
    "ApiKeyMissing",
    "ClientRefused",
    "CodeRefused",
    "CrossSandboxForbidden",
    "DefaultSandboxMissing",
    "GatewayError",
    "GrantTypeUnsupported",
    "OrgForbidden",
    "OrgMissing",
    "PermissionDenied",
    "SandboxIdForbidden",
    "SandboxMismatch",
    "SandboxMissing",
    "SandboxNotFound",
    "TokenInvalid",
    "TokenMissing",
    "TokenRefused",
]


class GatewayError(HeadgateError):
    """The request could not be let in."""

    status = 403
    code = "403000"
    title = "Forbidden"


class TokenMissing(GatewayError):
    """The Authorization header is missing. Send `Authorization: Bearer <token>`."""

    code = "403010"


class TokenInvalid(GatewayError):
    """The token is expired or cannot be used here. `headgate credentials` prints a new one."""

    status = 401
    code = "401013"
    title = "Unauthorized"


class ApiKeyMissing(GatewayError):
    """The x-api-key header is missing."""

    code = "403000"


class ApiKeyInvalid(GatewayError):
    """The x-api-key header names no client of this service."""

    code = "403003"


class OrgMissing(GatewayError):
    """The x-gw-ims-org-id header is missing."""

    status = 400
    code = "400003"
    title = "Bad Request"


class OrgForbidden(GatewayError):
    """The token is not entitled to this organisation."""

    code = "403025"


class TokenRefused(HeadgateError):
    """The token request is not valid."""

    status = 400
    code = "invalid_request"
    title = "Bad Request"


class ClientRefused(TokenRefused):
    """`client_id` and `client_secret` are not those of a client of this service."""

    status = 401
    code = "invalid_client"
    title = "Unauthorized"


class CodeRefused(TokenRefused):
    """`code` is not valid: it was used, it is too old, or another client's. `headgate login --code` makes one."""

    code = "invalid_grant"


class GrantTypeUnsupported(TokenRefused):
    """`grant_type` must be client_credentials or authorization_code."""

    code = "unsupported_grant_type"


class SandboxMissing(InvalidRequest):
    """The x-sandbox-name header is missing."""

    code = "FLOW-2105-400"


class SandboxNotFound(InvalidRequest):
    """No sandbox of this name exists in the organisation."""

    status = 404
    code = "FLOW-2100-404"
    title = "Resource not found"


class DefaultSandboxMissing(SandboxNotFound):
    """The organisation has no default sandbox here. Name one by x-sandbox-name."""

    code = "FLOW-2106-404"


class SandboxMismatch(InvalidRequest):
    """x-sandbox-id and x-sandbox-name do not name the same sandbox."""

    status = 404
    code = "FLOW-2103-404"
    title = "Resource not found"


class SandboxIdForbidden(InvalidRequest):
    """x-sandbox-id is for service tokens; a user token names its sandbox by x-sandbox-name."""

    code = "FLOW-2110-400"


class CrossSandboxForbidden(InvalidRequest):
    """A user token reads one sandbox at a time; `*` is not allowed in x-sandbox-name."""

    status = 403
    code = "FLOW-2111-403"


class PermissionDenied(InvalidRequest):
    """The caller may not do this in this sandbox. An administrator can grant a role that may."""

    status = 403
    code = "FLOW-2121-403"
    title = "Forbidden"
