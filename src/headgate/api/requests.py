"""What handlers are given: the service, the caller and the body; and what every route must declare."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, params
from fastapi.concurrency import run_in_threadpool
from fastapi.routing import APIRoute

from headgate.api.bodies import read_object, read_patch, read_report
from headgate.errors import PermissionDenied, VersionMissing
from headgate.model.permissions import Permission
from headgate.model.scope import Caller
from headgate.service.paging import known_parameters
from headgate.service.service import Service

__all__ = [
    "Anyone",
    "Bare",
    "Body",
    "Calling",
    "Open",
    "OrgBody",
    "OrgCalling",
    "Patch",
    "Report",
    "Serving",
    "UnguardedRoute",
    "check_guards",
    "if_match",
    "needs",
    "needs_in_org",
    "parameters",
    "required_version",
]


class UnguardedRoute(RuntimeError):
    """A route declares neither the permission it needs nor that it needs no caller."""


async def _service(request: Request) -> Service:  # async, like all that does not block: it costs no thread
    service: Service = request.app.state.service
    return service


def _caller(request: Request, service: Annotated[Service, Depends(_service)]) -> Caller:
    return service.authenticate(request.headers, request_id=request.state.request_id)


def _org_caller(request: Request, service: Annotated[Service, Depends(_service)]) -> Caller:
    return service.authenticate(request.headers, request_id=request.state.request_id, whole_org=True)


async def _body(request: Request, _caller: Annotated[Caller, Depends(_caller)]) -> dict[str, Any]:
    return await read_object(request)  # only after the caller was let in


async def _org_body(request: Request, _caller: Annotated[Caller, Depends(_org_caller)]) -> dict[str, Any]:
    return await read_object(request)


async def _patch(request: Request, _caller: Annotated[Caller, Depends(_caller)]) -> list[dict[str, Any]]:
    return await read_patch(request)


async def _report(request: Request, _caller: Annotated[Caller, Depends(_caller)]) -> dict[str, Any]:
    return await read_report(request)


Serving = Annotated[Service, Depends(_service)]
Calling = Annotated[Caller, Depends(_caller)]
OrgCalling = Annotated[Caller, Depends(_org_caller)]  # a caller in no sandbox, with its rights in the organisation
Body = Annotated[dict[str, Any], Depends(_body)]
OrgBody = Annotated[dict[str, Any], Depends(_org_body)]
Patch = Annotated[list[dict[str, Any]], Depends(_patch)]
Report = Annotated[dict[str, Any], Depends(_report)]


class _Guard:
    """Lets a request pass when its caller has a permission. Raises PermissionDenied."""

    def __init__(self, permission: Permission) -> None:
        self.permission = permission

    async def __call__(self, request: Request, service: Serving, caller: Calling) -> None:
        await self._check(request, service, caller)

    async def _check(self, request: Request, service: Service, caller: Caller) -> None:
        try:
            caller.require(self.permission)
        except PermissionDenied:
            what = f"{request.method} {request.url.path}"
            await run_in_threadpool(service.record_denied, caller, self.permission, what)
            raise


class _OrgGuard(_Guard):
    async def __call__(self, request: Request, service: Serving, caller: OrgCalling) -> None:
        await self._check(request, service, caller)


async def _anybody() -> None:
    """Lets everybody pass."""


def needs(permission: Permission) -> params.Depends:
    """The dependency of a route whose caller must have `permission` in the sandbox of the call."""
    dependency: params.Depends = Depends(_Guard(permission))
    return dependency


def needs_in_org(permission: Permission) -> params.Depends:
    """The dependency of a route that is about no sandbox: its caller has `permission` in the whole organisation."""
    dependency: params.Depends = Depends(_OrgGuard(permission))
    return dependency


Open = Depends(_anybody)  # for routes that need no caller
Anyone = Depends(_caller)  # for routes that every caller who is let in may take


def check_guards(router: APIRouter) -> None:
    """See that every route of `router` declares `needs()`, `Anyone` or `Open`, and describe it in its OpenAPI part.

    Raises UnguardedRoute.
    """
    for route in router.routes:
        if not isinstance(route, APIRoute):
            raise UnguardedRoute(f"{route!r} is no route that can declare a permission.")
        declared = [dependency.dependency for dependency in route.dependencies]
        needed = [guard.permission.value for guard in declared if isinstance(guard, _Guard)]
        if needed or _caller in declared:
            said = {"x-permission": ", ".join(needed) or "any"}
            route.openapi_extra = {**said, **(route.openapi_extra or {})}
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


def required_version(request: Request) -> str | None:
    """The version the request demands, as `if_match()` gives it. Raises VersionMissing when it names none."""
    if not (request.headers.get("if-match") or request.query_params.get("if-match")):
        raise VersionMissing
    return if_match(request)


async def _no_parameters(request: Request) -> None:
    known_parameters(parameters(request), ())


Bare = Depends(_no_parameters)  # for routes that take no query parameters
