"""What object stores refuse, in their own words and ours. One table for all: their codes do not clash."""

import json
import re
from html import unescape

from headgate.errors import (
    HeadgateError,
    SourceAccessDenied,
    SourceChanged,
    SourceError,
    SourceObjectMissing,
    SourcePathForbidden,
    SourceUnreachable,
)
from headgate.sources.files.stores.tunnel import Tunnel

__all__ = ["refusal"]

_STATUS = re.compile(r"(?:non-2xx status code|HTTP status \w+ error|status): (\d{3})")
_CODE = re.compile(r"<Code>([^<]{1,100})</Code>")
_MESSAGE = re.compile(r"<Message>([^<\n]{1,500})")
_CERTIFICATE = re.compile(r"InvalidCertificate\(\s*(\w+)")
_ODD_NAME = re.compile(r"(?s)(?:Path|path) \"(.*?)\"")

_ARCHIVED = "{it} lies in the archive. Have the store restore it, or copy it to another class; then run again."
_OTHER_KEY = "{it} is encrypted with a key of its own, which Headgate does not hold. Store it without that key."
_REGION = (
    "{it} is in another region than the connection says. Set `region`, and `serviceUrl` if there is one, to its own."
)
_CLOCK = "The store refuses the time of this machine. Set its clock right, for instance by NTP."
_SENTENCES = {
    "InvalidObjectState": _ARCHIVED,
    "BlobArchived": _ARCHIVED,
    "BlobBeingRehydrated": _ARCHIVED,
    "BlobUsesCustomerSpecifiedEncryption": _OTHER_KEY,
    "AuthorizationHeaderMalformed": _REGION,
    "PermanentRedirect": _REGION,
    "TemporaryRedirect": _REGION,
    "IllegalLocationConstraintException": _REGION,
    "RequestTimeTooSkewed": _CLOCK,
}
_NO_PLACE = ("NoSuchBucket", "ContainerNotFound", "FilesystemNotFound", "InvalidBucketName")
_NOT_LET_IN = (
    "AccessDenied",
    "AuthenticationFailed",
    "AuthorizationFailure",
    "AuthorizationPermissionMismatch",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "SignatureDoesNotMatch",
)


def refusal(error: BaseException, what: str, tunnel: Tunnel) -> HeadgateError:
    """The error of our tree for `error` of a client that reached through `tunnel` for `what`, an address."""
    text = str(error)
    status = int(found[1]) if (found := _STATUS.search(text)) else 0
    code = found[1] if (found := _CODE.search(text)) else ""
    if not status or (tunnel.trouble is not None and not code):
        return _unanswered(text, what, tunnel)
    said = _said(text, code)
    if code in _SENTENCES:
        return SourceError(f"{_SENTENCES[code].format(it=what)} {said}".rstrip(), path=what)
    if "Server Side Encryption" in said or "encryption key" in said.lower():
        return SourceError(f"{_OTHER_KEY.format(it=what)} {said}", path=what)
    if code in _NO_PLACE:
        return SourceObjectMissing(f"There is no bucket or container of that name: {what}. {said}".rstrip(), path=what)
    if code in _NOT_LET_IN or status in (401, 403) or "token request" in text:
        return SourceAccessDenied(f"The store refuses access to {what}. {said}".rstrip(), path=what)
    if status == 404:
        return SourceObjectMissing(f"There is no {what}.", path=what)
    if status == 412:
        return SourceChanged(f"{what} changed while it was being read.", path=what)
    if status >= 500 or status in (408, 429):
        return SourceUnreachable(f"The store cannot answer just now for {what}: {status}. {said}".rstrip(), path=what)
    return SourceError(f"The store refuses {what}: {status}. {said}".rstrip(), path=what)


def _unanswered(text: str, what: str, tunnel: Tunnel) -> HeadgateError:
    """Why a request had no answer, as far as it can be told."""
    if "Encountered object with invalid path" in text or "parse path" in text:
        named = found[1] if (found := _ODD_NAME.search(text)) else what
        return SourcePathForbidden(
            f"{named!r} cannot be read: a part of that name is empty, '.' or '..', or it holds a control character. "
            "Give the object another name, or read a folder that it is not in.",
            path=what,
        )
    if "GCP credential error" in text:
        return SourceError(
            "The environment of this service names a key of Google's that cannot be read (GOOGLE_SERVICE_ACCOUNT or "
            "GOOGLE_SERVICE_ACCOUNT_KEY). Connections do not use it; unset it, or set it right."
        )
    if (found := _CERTIFICATE.search(text)) is not None:
        return SourceError(f"The certificate of the store is refused: {found[1]}. ({what})", path=what)
    if "incorrectly configured region" in text or "redirect" in text.lower():
        return SourceError(_REGION.format(it=what), path=what)
    match tunnel.trouble:
        case HeadgateError() as refused:
            return SourceError(refused.detail, path=what)
        case OSError() as failure:
            return SourceUnreachable(f"The store cannot be reached: {failure.strerror or failure}. ({what})", path=what)
    if "Generic" in text and "HTTP error" not in text and "timed out" not in text:
        return SourceError(f"The store's answer for {what} cannot be understood.", path=what)
    return SourceUnreachable(f"The store did not answer, or broke off, for {what}.", path=what)


def _said(text: str, code: str) -> str:
    """What the store itself says, without the request that it was about."""
    if (found := _MESSAGE.search(text)) is not None:
        message = unescape(found[1]).strip().rstrip(".")
        return f"It says: {message} ({code})." if code else f"It says: {message}."
    if (found := re.search(r"\{.*?\"error.*?\}", text, re.DOTALL)) is not None:
        try:
            about = json.loads(found[0])
        except ValueError:
            return ""
        message = str(about.get("error_description") or about.get("error")).split("\r\n")[0].split(" Trace ID")[0]
        return f"It says: {message[:300].rstrip('.')}."
    return f"It says: {code}." if code else ""
