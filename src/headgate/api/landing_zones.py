"""The Data Landing Zone of a sandbox."""

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from headgate.api.requests import Calling, Serving, needs, parameters
from headgate.model.permissions import Permission

__all__ = ["router"]

router = APIRouter(tags=["landing zone"])


@router.get("/landingzone", dependencies=[needs(Permission.VIEW_SOURCES)])
def get_landing_zone(request: Request, service: Serving, caller: Calling) -> Response:
    """The name of the zone, and how long files stay in it."""
    return JSONResponse(service.landing_zones.container(caller, parameters(request)))


@router.get("/landingzone/credentials", dependencies=[needs(Permission.MANAGE_SOURCES)])
def get_landing_zone_credentials(request: Request, service: Serving, caller: Calling) -> Response:
    """Where files are put so that flows find them."""
    return JSONResponse(service.landing_zones.credentials(caller, parameters(request)))
