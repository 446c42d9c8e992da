"""The organisations that a token is good for."""

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from headgate.api.requests import Bare, Open, Serving

__all__ = ["router"]

router = APIRouter(tags=["identity"])


@router.get("/organisations", dependencies=[Open, Bare])
def list_organisations(request: Request, service: Serving) -> Response:
    """The organisations that whom the token of the Authorization header names may act in."""
    principal = service.identify(request.headers, request_id=request.state.request_id)
    return JSONResponse(service.identity.organisations(principal))
