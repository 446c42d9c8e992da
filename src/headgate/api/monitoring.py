"""What a deployment does: its workers, its queue, and its audit log."""

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from headgate.api.requests import Bare, Calling, OrgCalling, Serving, needs, needs_in_org, parameters
from headgate.model.permissions import Permission

__all__ = ["router"]

router = APIRouter(tags=["monitoring"])


@router.get("/workers", dependencies=[needs(Permission.VIEW_MONITORING)])
def list_workers(request: Request, service: Serving, caller: Calling) -> Response:
    """One page of the workers that are there, with the runs of this sandbox that they have; oldest first."""
    return JSONResponse(service.workers.listing(caller, parameters(request)))


@router.get("/queue", dependencies=[needs(Permission.VIEW_SOURCES), Bare])
def get_queue(service: Serving, caller: Calling) -> Response:
    """How many runs of the sandbox wait and are under way, in all and by flow, and how long the first waits."""
    return JSONResponse(service.workers.queue(caller))


@router.get("/activity", dependencies=[needs(Permission.VIEW_SOURCES), Bare])
def get_activity(service: Serving, caller: Calling) -> Response:
    """The runs of the last 24 hours by hour and state, and which flows their schedules start next."""
    return JSONResponse(service.insights.activity(caller))


@router.get("/audit", dependencies=[needs_in_org(Permission.VIEW_AUDIT)])
def list_audit(request: Request, service: Serving, caller: OrgCalling) -> Response:
    """One page of who did what in the organisation, or was refused it; newest first."""
    return JSONResponse(service.audit.listing(caller, parameters(request)))
