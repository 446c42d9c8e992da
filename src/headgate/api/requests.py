"""What handlers are given: the service, the caller and the body; and what every route must declare."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, params
from fastapi.routing import APIRoute

from headgate.api.bodies import read_object, read_patch
from headgate.model.permissions import Permission
from headgate.model.scope import Caller
from headgate.service import Service
from headgate.service.paging import known_parameters

__all__ = [
    "Bare",
    "Body",
    "Calling",
    "Open",
    "Patch",
    "Serving",
    "UnguardedRoute",
    "check_guards",
    "if_match",
    "needs",
    "parameters",
]


class UnguardedRoute(RuntimeError):
    """A route declares neither the permission it needs nor that it needs no caller."""


async def _service(request: Request) -> Service:  # async, like all that does not block: it costs no thread
    service: Service = request.app.state.service
    return service


def _caller(request: Request, service: Annotated[Service, Depends(_service)]) -> Caller:
    return service.authenticate(request.headers, request_id=request.state.request_id)


async def _body(request: Request, _caller: Annotated[Caller, Depends(_caller)]) -> dict[str, Any]:
    return await read_object(request)  # only after the caller was let in


async def _patch(request: Request, _caller: Annotated[Caller, Depends(_caller)]) -> list[dict[str, Any]]:
    return await read_patch(request)


Serving = Annotated[Service, Depends(_service)]
Calling = Annotated[Caller, Depends(_caller)]
Body = Annotated[dict[str, Any], Depends(_body)]
Patch = Annotated[list[dict[str, Any]], Depends(_patch)]


class _Guard:
    """Lets a request pass when its caller has a permission. Raises PermissionDenied."""

    def __init__(self, permission: Permission) -> None:
        self.permission = permission

    async def __call__(self, caller: Calling) -> None:
        caller.require(self.permission)


async def _anybody() -> None:
    """Lets everybody pass."""


def needs(permission: Permission) -> params.Depends:
    """The dependency of a route whose caller must have `permission` in the sandbox of the call."""
    dependency: params.Depends = Depends(_Guard(permission))
    return dependency


Open = Depends(_anybody)  # for routes that need no caller


def check_guards(router: APIRouter) -> None:
    """See that every route of `router` declares `needs()` or `Open`, and describe the permission in its OpenAPI part.

    Raises UnguardedRoute.
    """
    for route in router.routes:
        if not isinstance(route, APIRoute):
            raise UnguardedRoute(f"{route!r} is no route that can declare a permission.")
        declared = [dependency.dependency for dependency in route.dependencies]
        permission = next((guard.permission for guard in declared if isinstance(guard, _Guard)), None)
        if permission is not None:
            route.openapi_extra = {**(route.openapi_extra or {}), "x-permission": permission.value}
        elif _anybody not in declared:
            raise UnguardedRoute(f"{' '.join(route.methods or ())} {route.path} declares no permission.")


def parameters(request: Request) -> list[tuple[str, str]]:
    """The query parameters, in order."""
    return request.query_params.multi_items()


def if_match(request: Request) -> str | None:
    """The version the request demands, as stored; None for any. Clients quote it or not."""
    text = request.headers.get("if-match") or request.query_params.get("if-match")
    if not text or text == "*":
        return None
    return '"' + text.removeprefix("W/").strip('"') + '"'


async def _no_parameters(request: Request) -> None:
    known_parameters(parameters(request), ())


Bare = Depends(_no_parameters)  # for routes that take no query parameters
