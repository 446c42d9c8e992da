"""Runs: made, listed, read, cancelled and repeated."""

from typing import Annotated

from fastapi import APIRouter, Header, Request
from starlette.responses import JSONResponse, Response

from headgate import faults
from headgate.api import schemas
from headgate.api.answers import created, found
from headgate.api.json_schema import parameter
from headgate.api.requests import Bare, Body, Calling, Serving, if_match, needs, parameters, required_version
from headgate.model.permissions import Permission

__all__ = ["router"]

router = APIRouter(tags=["runs"])
view, run = needs(Permission.VIEW_SOURCES), needs(Permission.RUN_ON_DEMAND)
manage = needs(Permission.MANAGE_SOURCES)
_SPAN = {
    "parameters": [
        parameter("from", "Where the calendar begins, as a run's times are written. Default: where recent runs began."),
        parameter("to", "Where it ends. Default: now."),
    ]
}


@router.post("/runs", status_code=201, dependencies=[run, Bare], openapi_extra=schemas.body(schemas.RUN))
def create_run(
    request: Request,
    service: Serving,
    caller: Calling,
    body: Body,
    idempotency_key: Annotated[str | None, Header()] = None,
) -> Response:
    """Run a flow over a window, once. The same Idempotency-Key with the same body gives the same run."""
    made = service.runs.create(caller, body, key=idempotency_key)
    faults.point("api.before_reply")
    return created(f"{request.url.path}/{made['id']}", made)


@router.get("/runs", dependencies=[view])
def list_runs(request: Request, service: Serving, caller: Calling) -> Response:
    """One page of runs, newest first."""
    return JSONResponse(service.runs.listing(caller, parameters(request)))


@router.get("/runs/{id}", dependencies=[view, Bare])
def get_run(id: str, service: Serving, caller: Calling) -> Response:
    """One run."""
    return found(service.runs.get(caller, id))


@router.get("/runs/{id}/details", dependencies=[view, Bare])
def get_details_of_run(id: str, service: Serving, caller: Calling) -> Response:
    """What is known of a run besides: its window, attempts, splits, snapshot and log."""
    return JSONResponse(service.runs.details(caller, id))


@router.put("/runs/{id}", dependencies=[manage, Bare], openapi_extra=schemas.versioned_body(schemas.PROVIDED_RUN))
def update_run(id: str, request: Request, service: Serving, caller: Calling, body: Body) -> Response:
    """Replace what a source provider says of a run. Only service tokens may; what the engine says is read-only."""
    changed = service.runs.put(caller, id, body, etag=required_version(request))
    return JSONResponse(changed, headers={"Location": request.url.path, "ETag": changed["etag"]})


@router.post("/runs/{id}/action", dependencies=[run], openapi_extra=schemas.action("cancel", "re-trigger"))
def act_on_run(id: str, request: Request, service: Serving, caller: Calling) -> Response:
    """Cancel a run, which ends as soon as its worker sees it; or make a new run of its window, and answer that."""
    acted = service.runs.act(caller, id, parameters(request), etag=if_match(request))
    return JSONResponse(acted, headers={"ETag": acted["etag"]})


@router.post("/runs:estimate", dependencies=[run, Bare], openapi_extra=schemas.body(schemas.RUN))
def estimate_run(service: Serving, caller: Calling, body: Body) -> Response:
    """What a run would do: its window in words, rows or files, what was brought of it before. Nothing is stored."""
    return JSONResponse(service.estimates.estimate(caller, body))


@router.get("/flows/{id}/windows", dependencies=[view], openapi_extra=_SPAN)
def list_windows_of_flow(id: str, request: Request, service: Serving, caller: Calling) -> Response:
    """What the flow's runs have brought of which time, what failed, and what is missing."""
    return JSONResponse(service.windows.calendar(caller, id, parameters(request)))


@router.get("/flows/{id}/runs", dependencies=[view])
def list_runs_of_flow(id: str, request: Request, service: Serving, caller: Calling) -> Response:
    """One page of the runs of one flow, newest first."""
    return JSONResponse(service.runs.listing_of_flow(caller, id, parameters(request)))
