"""The root of the tree, and what any address may answer."""

import math
from typing import ClassVar

__all__ = [
    "BadBody",
    "BadSetting",
    "BodyEmpty",
    "BodyTooLarge",
    "HeadersTooLarge",
    "HeadgateError",
    "InvalidRequest",
    "MetadataMoved",
    "MetadataNewer",
    "MetadataOlder",
    "MethodNotAllowed",
    "NotFound",
    "OutcomeUnknown",
    "ResourceBusy",
    "RouteNotFound",
    "SecretsKeyUnusable",
    "TooManyRequests",
    "Unavailable",
    "VaultLocked",
    "VersionConflict",
]


class HeadgateError(Exception):
    """Something went wrong inside Headgate. The request id in this answer finds it in the log."""

    status: int = 500
    code: str = "FLOW-1400-500"
    title: ClassVar[str] = "Internal Error"
    retryable: ClassVar[bool] = False

    retry_after: int = 1  # seconds after which a retryable request may be sent again

    def __init__(self, detail: str | None = None, **report: str) -> None:
        """Raise with `detail` in place of the docstring; `report` names the values it speaks of."""
        self.detail = detail or " ".join((type(self).__doc__ or "").split())
        self.report = report
        super().__init__(self.detail)


class BadSetting(HeadgateError):
    """A setting cannot be read."""

    status = 400
    title = "Bad setting"


class VaultLocked(HeadgateError):
    """The credentials of this connection do not open: they were sealed elsewhere, or with a key that is lost."""

    code = "FLOW-EXT-SECRETS-500"
    title = "Secrets locked"


class SecretsKeyUnusable(HeadgateError):
    """The secrets key cannot be read."""

    code = "FLOW-EXT-SECRETS-500"
    title = "Secrets locked"


class MetadataNewer(HeadgateError):
    """The metadata database was written by a newer Headgate. Run that one, or a newer one."""

    title = "Metadata newer"


class MetadataOlder(HeadgateError):
    """The metadata database was written by an older Headgate. `headgate db upgrade` brings it up to date."""

    title = "Metadata older"


class MetadataMoved(HeadgateError):
    """The metadata of this folder was moved to PostgreSQL. Set HEADGATE_METADATA_URL to where it is now."""

    title = "Metadata moved"


class InvalidRequest(HeadgateError):
    """The request is not valid."""

    status = 400
    code = "FLOW-1100-400"
    title = "Invalid request"


class BadBody(InvalidRequest):
    """The body is not valid JSON."""

    code = "BadRequestError"
    title = "BadRequestError"


class BodyEmpty(InvalidRequest):
    """The request body is empty. Send a JSON object."""

    code = "FLOW-1405-400"


class BodyTooLarge(InvalidRequest):
    """The request body is larger than 1 MiB."""

    status = 413
    code = "FLOW-1100-413"
    title = "Payload too large"


class HeadersTooLarge(InvalidRequest):
    """The request's header is too large: it may have 100 fields and 16 KiB."""

    status = 431
    code = "FLOW-1100-431"
    title = "Request header too large"


class TooManyRequests(HeadgateError):
    """Too much was asked for in a short time; nothing was stored. Try again after the seconds of Retry-After."""

    status = 429
    code = "FLOW-EXT-LIMIT-429"
    title = "Too many requests"
    retryable = True

    def __init__(self, reason: str, *, after: float) -> None:
        """Refuse because of `reason`; it is worth trying again `after` so many seconds."""
        self.retry_after = max(1, math.ceil(after))
        super().__init__(f"{reason} Nothing was stored. Try again in {self.retry_after} seconds.")


class NotFound(HeadgateError):
    """No resource with this id exists in this organisation and sandbox."""

    status = 404
    code = "FLOW-1439-404"
    title = "Resource not found"


class RouteNotFound(NotFound):
    """There is nothing at this address."""

    code = "FLOW-1101-404"


class MethodNotAllowed(HeadgateError):
    """This address does not take this method."""

    status = 405
    code = "FLOW-1100-405"
    title = "Method not allowed"


class VersionConflict(HeadgateError):
    """The resource has changed since. Read it again and repeat with its new etag."""

    status = 412
    code = "FLOW-1404-412"
    title = "Version not matching"


class ResourceBusy(VersionConflict):
    """The resource kept changing meanwhile; nothing was stored. Try again."""


class Unavailable(HeadgateError):
    """The service cannot store anything just now; nothing was stored. Try again in a moment."""

    status = 503
    code = "FLOW-1103-503"
    title = "Service unavailable"
    retryable = True


class OutcomeUnknown(Unavailable):
    """The metadata database went away while it stored the change; look whether it is there before you send it again."""
