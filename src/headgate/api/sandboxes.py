"""Sandbox management: the sandboxes of an organisation."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from headgate.api import schemas
from headgate.api.requests import OrgBody, OrgCalling, Serving, needs_in_org, parameters
from headgate.model.permissions import Permission
from headgate.service.paging import known_parameters

__all__ = ["router"]

router = APIRouter(tags=["sandboxes"])

_VIEW = needs_in_org(Permission.VIEW_SANDBOXES)
_MANAGE = needs_in_org(Permission.MANAGE_SANDBOXES)
_RESET = needs_in_org(Permission.RESET_SANDBOXES)
_TAKEN: dict[int | str, dict[str, Any]] = {
    409: {
        "description": "The name is taken, or a run has not ended yet.",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    }
}


@router.get("", dependencies=[_VIEW])
def list_usable(request: Request, service: Serving, caller: OrgCalling) -> Response:
    """The sandboxes that the caller may use now."""
    return JSONResponse(service.sandboxes.usable(caller, parameters(request)))


@router.get("/sandboxes", dependencies=[_VIEW])
def list_sandboxes(request: Request, service: Serving, caller: OrgCalling) -> Response:
    """The organisation's sandboxes in any state, as far as the caller has a role in them."""
    return JSONResponse(service.sandboxes.listing(caller, parameters(request)))


@router.get("/sandboxTypes", dependencies=[_VIEW])
def list_types(request: Request, service: Serving, caller: OrgCalling) -> Response:  # noqa: ARG001 - let in
    """The types of sandbox."""
    known_parameters(parameters(request), ())
    return JSONResponse(service.sandboxes.types())


@router.get("/sandboxes/{name}", dependencies=[_VIEW])
def get_sandbox(name: str, request: Request, service: Serving, caller: OrgCalling) -> Response:
    """One sandbox."""
    known_parameters(parameters(request), ())
    return JSONResponse(service.sandboxes.get(caller, name))


@router.post(
    "/sandboxes",
    status_code=202,
    dependencies=[_MANAGE],
    openapi_extra=schemas.body(schemas.SANDBOX),
    responses=_TAKEN,
)
def create_sandbox(request: Request, service: Serving, caller: OrgCalling, body: OrgBody) -> Response:
    """Make a sandbox, which is active by the next request."""
    known_parameters(parameters(request), ())
    return JSONResponse(service.sandboxes.create(caller, body), 202)


@router.patch("/sandboxes/{name}", dependencies=[_MANAGE], openapi_extra=schemas.body(schemas.SANDBOX_TITLE))
def rename_sandbox(name: str, request: Request, service: Serving, caller: OrgCalling, body: OrgBody) -> Response:
    """Give a sandbox another title."""
    known_parameters(parameters(request), ())
    return JSONResponse(service.sandboxes.rename(caller, name, body))


@router.put(
    "/sandboxes/{name}",
    status_code=202,
    dependencies=[_RESET],
    openapi_extra=schemas.body(schemas.SANDBOX_ACTION),
    responses=_TAKEN,
)
def reset_sandbox(name: str, request: Request, service: Serving, caller: OrgCalling, body: OrgBody) -> Response:
    """Remove all that a sandbox holds, its tables in the lake too."""
    return JSONResponse(service.sandboxes.act(caller, name, body, parameters(request)), 202)


@router.delete("/sandboxes/{name}", status_code=202, dependencies=[_MANAGE])
def delete_sandbox(name: str, request: Request, service: Serving, caller: OrgCalling) -> Response:
    """Close a sandbox for good."""
    return JSONResponse(service.sandboxes.delete(caller, name, parameters(request)), 202)
