"""GET /connectionSpecs and /flowSpecs."""

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from headgate.api.requests import Bare, Calling, Serving, needs, parameters
from headgate.model.permissions import Permission

__all__ = ["router"]

router = APIRouter(tags=["specs"], dependencies=[needs(Permission.VIEW_SOURCES)])


@router.get("/connectionSpecs")
def list_connection_specs(request: Request, service: Serving, _caller: Calling) -> Response:
    """Every kind of system that can be connected."""
    return JSONResponse(service.connection_specs.listing(parameters(request)))


@router.get("/connectionSpecs/{id}", dependencies=[Bare])
def get_connection_spec(id: str, service: Serving, _caller: Calling) -> Response:  # noqa: A002
    """One connection spec."""
    return JSONResponse(service.connection_specs.get(id))


@router.get("/flowSpecs")
def list_flow_specs(request: Request, service: Serving, _caller: Calling) -> Response:
    """Every kind of flow."""
    return JSONResponse(service.flow_specs.listing(parameters(request)))


@router.get("/flowSpecs/{id}", dependencies=[Bare])
def get_flow_spec(id: str, service: Serving, _caller: Calling) -> Response:  # noqa: A002
    """One flow spec."""
    return JSONResponse(service.flow_specs.get(id))
