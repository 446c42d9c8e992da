"""Answers: errors in the contract's envelopes, and the headers every answer carries."""

import re
import uuid
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from headgate.errors import (
    BadBody,
    BodyTooLarge,
    GatewayError,
    HeadersTooLarge,
    HeadgateError,
    InvalidRequest,
    MethodNotAllowed,
    RangeNotSatisfiable,
    RouteNotFound,
    RunError,
    TokenRefused,
    Unavailable,
)
from headgate.model.addresses import CATALOG, EXPORT, REGISTRY, SANDBOXES
from headgate.telemetry import emit

__all__ = ["Envelope", "created", "error_answer", "found", "on_headgate_error", "on_http_exception"]

_TYPES = "https://ns.adobe.com/aep/errors/"
_SANDBOX_TYPES = "http://ns.adobe.com/aep/errors/"
_PROBLEMS = {  # of the services that have a type of error for themselves, by their address
    CATALOG: "http://ns.adobe.com/adobecloud/problem/catalogservice",
    EXPORT: "http://ns.adobe.com/adobecloud/problem/dataaccessservice",
}


def created(location: str, body: dict[str, Any]) -> Response:
    """201, with the address and version of what was made."""
    return JSONResponse(body, 201, headers={"Location": location, "ETag": body["etag"]})


def found(item: dict[str, Any]) -> Response:
    """200 with one item, in the shape of a list, and its version."""
    return JSONResponse({"items": [item], "_links": {}}, headers={"ETag": item["etag"]})


def error_answer(error: HeadgateError, request_id: str, path: str = "") -> Response:
    """The answer to `error`: in the envelope of OAuth, the gateway, a neighbour or the flow service."""
    if isinstance(error, RunError) and error.retryable:  # the lake does not answer just now
        error = Unavailable(error.detail)
    headers = {"Retry-After": str(error.retry_after)} if error.retryable else {}
    if isinstance(error, BodyTooLarge):
        headers["Connection"] = "close"  # or the client may go on sending
    if isinstance(error, TokenRefused):
        headers |= {"Cache-Control": "no-store"}
        if error.status == 401:
            headers["WWW-Authenticate"] = 'Basic realm="headgate"'
        return JSONResponse({"error": error.code, "error_description": error.detail}, error.status, headers=headers)
    if isinstance(error, GatewayError):
        body: dict[str, Any] = {"error_code": error.code, "message": error.detail}
        return JSONResponse(body, error.status, headers=headers)
    if path.startswith(SANDBOXES):
        body = {"status": error.status, "title": error.detail, "type": _SANDBOX_TYPES + error.code}
        return JSONResponse(body, error.status, headers=headers)
    if isinstance(error, RangeNotSatisfiable):
        headers["Content-Range"] = f"bytes */{error.report['size']}"
    problem = next((type_ for prefix, type_ in _PROBLEMS.items() if path.startswith(prefix)), None)
    body = {
        "type": problem or _TYPES + error.code,
        "title": error.title,
        "status": error.status,
        "report": {**error.report, "detailed-message": error.detail, "request-id": request_id},
        "errorMessage": error.detail,
        "errorDetails": error.detail,
    }
    if problem or isinstance(error, BadBody) or path.startswith(REGISTRY):
        body["detail"] = error.detail
    return JSONResponse(body, error.status, headers=headers)


async def on_headgate_error(request: Request, error: Exception) -> Response:
    """Answer an error of our tree."""
    if not isinstance(error, HeadgateError):
        raise TypeError(error)
    if error.status >= 500:
        emit("request.failed", level="error", path=request.url.path, code=error.code, detail=error.detail)
    return error_answer(error, request.state.request_id, request.url.path)


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Answer an unknown address or method."""
    if not isinstance(error, HTTPException):
        raise TypeError(error)
    known = MethodNotAllowed if error.status_code == 405 else RouteNotFound
    answer = error_answer(known(), request.state.request_id, request.url.path)
    if known is MethodNotAllowed:  # the framework names the methods of the first route it finds alone
        methods: dict[re.Pattern[str], set[str]] = request.app.state.methods
        allowed = next((names for address, names in methods.items() if address.match(request.url.path)), set())
        answer.headers["Allow"] = ", ".join(sorted(allowed))
    return answer


_MOST_FIELDS, _MOST_BYTES = 100, 16 * 1024
_HOST = re.compile(rb"[A-Za-z0-9._-]*(:[0-9]*)?|\[[0-9A-Fa-f:.]+\](:[0-9]*)?")
_SECURITY = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)


class Envelope:
    """What surrounds every request: its id, the limits of its header, one trailing slash too many, the headers that
    tell browsers to keep off, and the last line of defence.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on. An unexpected exception is logged, and answered 500 without its text."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = uuid.uuid4().hex
        path = _path(scope)
        if len(path) > 1 and path.endswith("/"):
            path = path[:-1]
        scope = {**scope, "path": path, "state": {**scope.get("state", {}), "request_id": request_id}}
        begun = False

        async def send_with_id(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                given = {name for name, _ in message["headers"]}
                added = [(name, value) for name, value in _SECURITY if name not in given]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode()), *added]
            await send(message)

        if (refusal := _refused_header(scope["headers"])) is not None:
            await error_answer(refusal, request_id, path)(scope, receive, send_with_id)
            return
        try:
            await self._app(scope, receive, send_with_id)
        except Exception as error:
            emit("request.crashed", level="error", path=path, request_id=request_id, exc_info=error)
            if begun:
                raise
            await error_answer(HeadgateError(), request_id, path)(scope, receive, send_with_id)


def _refused_header(headers: Sequence[tuple[bytes, bytes]]) -> HeadgateError | None:
    if len(headers) > _MOST_FIELDS or sum(len(name) + len(value) for name, value in headers) > _MOST_BYTES:
        return HeadersTooLarge()
    if any(name == b"host" and not _HOST.fullmatch(value) for name, value in headers):
        return InvalidRequest("The Host header is no host.")
    return None


def _path(scope: Scope) -> str:
    """The request's path, decoded but for slashes inside a segment: an id may be an address."""
    raw: bytes = scope.get("raw_path") or b""
    if b"%2f" not in raw.lower():
        return str(scope["path"])
    return "/".join(unquote(segment).replace("/", "%2F") for segment in raw.decode("latin-1").split("/"))
