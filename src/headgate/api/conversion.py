"""Data preparation: mapping sets and the language of their expressions."""

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from headgate.api import schemas
from headgate.api.requests import Bare, Body, Calling, Serving, needs, parameters
from headgate.model.permissions import Permission

__all__ = ["router"]

router = APIRouter(tags=["conversion"])
_VIEW, _MANAGE = needs(Permission.VIEW_SOURCES), needs(Permission.MANAGE_SOURCES)
_SET, _MAPPING = schemas.body(schemas.MAPPING_SET), schemas.body(schemas.MAPPING)


@router.post("/mappingSets", dependencies=[_MANAGE], openapi_extra=_SET)
def create_mapping_set(request: Request, service: Serving, caller: Calling, body: Body) -> Response:
    """Make a mapping set; with `validate=true` only a valid one."""
    return JSONResponse(service.mapping_sets.create(caller, body, parameters(request)))


@router.get("/mappingSets", dependencies=[_VIEW])
def list_mapping_sets(request: Request, service: Serving, caller: Calling) -> Response:
    """One page of mapping sets, newest first."""
    return JSONResponse(service.mapping_sets.listing(caller, parameters(request)))


@router.post("/mappingSets/validate", dependencies=[_VIEW, Bare], openapi_extra=_SET)
def validate_mapping_set(service: Serving, caller: Calling, body: Body) -> Response:
    """What is wrong with each mapping of a set that is not stored."""
    return JSONResponse(service.mapping_sets.validate(caller, body))


@router.post("/mappingSets/preview", dependencies=[_VIEW, Bare], openapi_extra=schemas.body(schemas.PREVIEW))
def preview_mapping_set(service: Serving, caller: Calling, body: Body) -> Response:
    """What a set that is not stored makes of sample records."""
    return JSONResponse(service.mapping_sets.preview(caller, body))


@router.get("/mappingSets/{id}", dependencies=[_VIEW])
def get_mapping_set(id: str, request: Request, service: Serving, caller: Calling) -> Response:
    """One mapping set, in its newest version or the one asked for."""
    return JSONResponse(service.mapping_sets.get(caller, id, parameters(request)))


@router.put("/mappingSets/{id}", dependencies=[_MANAGE, Bare], openapi_extra=_SET)
def replace_mapping_set(id: str, service: Serving, caller: Calling, body: Body) -> Response:
    """Make the next version of a mapping set. Flows keep the version they have."""
    return JSONResponse(service.mapping_sets.replace(caller, id, body))


@router.delete("/mappingSets/{id}", status_code=204, dependencies=[_MANAGE, Bare])
def delete_mapping_set(id: str, service: Serving, caller: Calling) -> Response:
    """Remove a mapping set that no flow uses."""
    service.mapping_sets.delete(caller, id)
    return Response(status_code=204)


@router.get("/mappingSets/{id}/mappings", dependencies=[_VIEW, Bare])
def list_mappings(id: str, service: Serving, caller: Calling) -> Response:
    """The mappings of a set."""
    return JSONResponse(service.mapping_sets.mappings(caller, id))


@router.post("/mappingSets/{id}/mappings", dependencies=[_MANAGE, Bare], openapi_extra=_MAPPING)
def add_mapping(id: str, service: Serving, caller: Calling, body: Body) -> Response:
    """Add a mapping to a set, as its next version."""
    return JSONResponse(service.mapping_sets.add_mapping(caller, id, body))


@router.get("/mappingSets/{id}/mappings/{mapping_id}", dependencies=[_VIEW, Bare])
def get_mapping(id: str, mapping_id: str, service: Serving, caller: Calling) -> Response:
    """One mapping of a set."""
    return JSONResponse(service.mapping_sets.mapping(caller, id, mapping_id))


@router.put("/mappingSets/{id}/mappings/{mapping_id}", dependencies=[_MANAGE, Bare], openapi_extra=_MAPPING)
def replace_mapping(
    id: str,
    mapping_id: str,
    service: Serving,
    caller: Calling,
    body: Body,
) -> Response:
    """Put another mapping in place of one, as the set's next version."""
    return JSONResponse(service.mapping_sets.replace_mapping(caller, id, mapping_id, body))


@router.delete("/mappingSets/{id}/mappings/{mapping_id}", status_code=204, dependencies=[_MANAGE, Bare])
def delete_mapping(id: str, mapping_id: str, service: Serving, caller: Calling) -> Response:
    """Take a mapping out of a set, as its next version."""
    service.mapping_sets.delete_mapping(caller, id, mapping_id)
    return Response(status_code=204)


@router.get("/languages/el/functions", dependencies=[_VIEW, Bare])
def list_functions() -> Response:
    """The functions that expressions may call here: none yet."""
    return JSONResponse([])


@router.get("/languages/el/operators", dependencies=[_VIEW, Bare])
def list_operators() -> Response:
    """The operators that expressions may use here: none yet."""
    return JSONResponse([])


@router.post("/languages/el/validate", dependencies=[_VIEW, Bare], openapi_extra=schemas.body(schemas.EXPRESSION))
def validate_expression(service: Serving, _caller: Calling, body: Body) -> Response:
    """Whether an expression can be carried out here."""
    return JSONResponse(service.mapping_sets.understands(body))
