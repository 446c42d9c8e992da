"""The application: the routes of all pages, and how errors look."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from headgate.console import assets, sign_in
from headgate.console.page import is_partial, look
from headgate.console.pages import GROUPS
from headgate.console.policy import Policy
from headgate.console.rendering import Rendering
from headgate.errors import (
    ApiKeyInvalid,
    HeadgateError,
    OrgForbidden,
    RouteNotFound,
    SandboxNotFound,
    TokenInvalid,
    TokenMissing,
)
from headgate.service.service import Service
from headgate.telemetry import emit

__all__ = ["create_console"]

_SIGNED_OUT = (ApiKeyInvalid, OrgForbidden, TokenInvalid, TokenMissing)


def create_console(service: Service) -> ASGIApp:
    """The console of one deployment, as an ASGI application."""
    app = Starlette(
        routes=[
            Route("/static/{name:path}", assets.serve),
            *sign_in.routes,
            *(route for pages in GROUPS for route in pages.routes),
        ],
        exception_handlers={
            HeadgateError: _on_headgate_error,
            HTTPException: _on_http_exception,
            Exception: _on_any_exception,
        },
    )
    app.router.redirect_slashes = False
    app.state.service = service
    app.state.rendering = Rendering()
    app.state.guards = {path: guard for pages in GROUPS for path, guard in pages.guards.items()}
    return Policy(app)


def _on_headgate_error(request: Request, error: Exception) -> Response:
    """Answer an error of our tree: by a page, or for htmx by a message above the page."""
    if not isinstance(error, HeadgateError):
        raise TypeError(error)
    if isinstance(error, _SIGNED_OUT):
        return sign_in.sent_to_sign_in(request, error)
    if isinstance(error, SandboxNotFound) and (moved := sign_in.sent_to_first_sandbox(request, error)) is not None:
        return moved
    if error.status >= 500:
        emit("request.failed", level="error", path=request.url.path, code=error.code, detail=error.detail)
    rendering: Rendering = request.app.state.rendering
    context = {"error": error, "visit": look(request), "request_id": request.state.request_id}
    headers = {"Retry-After": str(error.retry_after)} if error.retryable else {}
    if is_partial(request):
        headers |= {"HX-Retarget": "#messages", "HX-Reswap": "innerHTML"}
        return HTMLResponse(rendering.render(request, "error.html", context, "message"), error.status, headers)
    return HTMLResponse(rendering.render(request, "error.html", context), error.status, headers)


def _on_http_exception(request: Request, error: Exception) -> Response:
    """Answer an unknown address or method."""
    if not isinstance(error, HTTPException):
        raise TypeError(error)
    answer = _on_headgate_error(request, RouteNotFound("There is no page at this address."))
    if error.status_code == 405:
        answer.status_code = 405
        answer.headers.update(error.headers or {})
    return answer


def _on_any_exception(request: Request, error: Exception) -> Response:
    """Log what nobody expected, and answer 500 without its text."""
    request_id = request.state.request_id
    emit("request.crashed", level="error", path=request.url.path, request_id=request_id, exc_info=error)
    return _on_headgate_error(request, HeadgateError())
