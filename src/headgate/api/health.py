"""Whether the process lives, and whether it can serve."""

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from headgate.api.requests import Open, Serving

__all__ = ["router"]

router = APIRouter(prefix="/health", tags=["health"], dependencies=[Open])


@router.get("/live")
def live() -> Response:
    """The process answers."""
    return JSONResponse({"status": "live"})


@router.get("/ready")
def ready(service: Serving) -> Response:
    """The metadata database answers; 503 when it does not."""
    service.ready()
    return JSONResponse({"status": "ready"})
