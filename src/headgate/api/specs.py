"""Connection specs and flow specs: the catalogue, and what an organisation describes itself."""

from collections.abc import Callable

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from headgate.api import schemas
from headgate.api.json_schema import Schema
from headgate.api.requests import Bare, Body, Calling, Serving, needs, parameters
from headgate.model.permissions import Permission
from headgate.service.service import Service
from headgate.service.specs import Specs

__all__ = ["routers"]


def _router(name: str, chosen: Callable[[Service], Specs], schema: Schema) -> APIRouter:
    # Who may change specs is the service's to say: the contract answers those who may not in its own way.
    router = APIRouter(prefix=f"/{name}", tags=["specs"], dependencies=[needs(Permission.VIEW_SOURCES)])
    described = {**schemas.body(schema), "x-permission": Permission.MANAGE_SPECS.value}

    @router.get("", name=f"list {name}")
    def listing(request: Request, service: Serving, caller: Calling) -> Response:
        """Every one, or those that match; not paged."""
        return JSONResponse(chosen(service).listing(caller, parameters(request)))

    @router.post("", status_code=201, dependencies=[Bare], name=f"create {name}", openapi_extra=described)
    def create(request: Request, service: Serving, caller: Calling, body: Body) -> Response:
        """Describe one for the organisation. It is listed, and never run."""
        made = chosen(service).create(caller, body)
        return JSONResponse(made, 201, headers={"Location": f"{request.url.path}/{made['id']}"})

    @router.get("/{id}", dependencies=[Bare], name=f"get {name}")
    def get(id: str, service: Serving, caller: Calling) -> Response:
        """One of them."""
        return JSONResponse(chosen(service).get(caller, id))

    @router.put("/{id}", dependencies=[Bare], name=f"replace {name}", openapi_extra=described)
    def replace(id: str, service: Serving, caller: Calling, body: Body) -> Response:
        """Describe one of the organisation's anew."""
        return JSONResponse(chosen(service).put(caller, id, body))

    return router


routers = (
    _router("connectionSpecs", lambda service: service.connection_specs, schemas.CONNECTION_SPEC),
    _router("flowSpecs", lambda service: service.flow_specs, schemas.FLOW_SPEC),
)
