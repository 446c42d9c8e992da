"""What surrounds every page: the headers that bind browsers, the id of the request, and the last line of defence."""

import uuid
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from headgate.errors import CrossSite

__all__ = ["Policy", "is_local", "see_same_origin"]

_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "referrer-policy": "same-origin",  # with no-referrer, browsers would not say either where a form came from
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class Policy:
    """Gives every request an id and every answer the headers above, where it has not its own.

    An exception that `app` has logged and answered by an error page goes no further.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on. An unexpected exception that no error page has answered whole is raised."""
        request_id = uuid.uuid4().hex
        path = scope["path"].rstrip("/") or "/"  # what a page is called with a slash at its end, too
        scope = {**scope, "path": path, "state": {**scope.get("state", {}), "request_id": request_id}}
        answered, status = False, 0

        async def send_with_headers(message: Message) -> None:
            nonlocal answered, status
            answered = message["type"] == "http.response.body" and not message.get("more_body", False)
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = request_id
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception:
            if not answered or status != 500:
                raise


def see_same_origin(request: Request, public_url: str) -> None:
    """See that a form comes from a page of this console. Raises CrossSite.

    Browsers say so by Sec-Fetch-Site, old ones by Origin.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        same = site == "same-origin"
    else:
        host = urlsplit(origin or "").netloc  # empty for the origin `null`, which a page without one has
        same = bool(host) and host in (request.headers.get("host"), urlsplit(public_url).netloc)
    if not same:
        raise CrossSite


def is_local(path: str) -> bool:
    """Whether a browser that is sent to `path` stays with this console."""
    return path.startswith("/") and path[1:2] not in ("/", "\\") and path.isprintable()
