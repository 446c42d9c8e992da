"""Tables of the lake: what they are made of, their first rows, and SQL over all of a sandbox's."""

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from headgate.api import schemas
from headgate.api.requests import Bare, Body, Calling, Serving, needs, parameters
from headgate.model.permissions import Permission
from headgate.service.queries import watched

__all__ = ["router"]

router = APIRouter(tags=["tables"], dependencies=[needs(Permission.VIEW_DATASETS)])


@router.post("/queries", dependencies=[Bare], openapi_extra=schemas.body(schemas.QUERY))
async def run_query(request: Request, service: Serving, caller: Calling, body: Body) -> Response:
    """Ask the sandbox's datasets one SELECT, each a table under its name: at most 1,000 rows, within 30 seconds."""
    async with watched(request.is_disconnected) as gone:
        return JSONResponse(await run_in_threadpool(service.queries.ask, caller, body, gone))


@router.get("/datasets/{id}/schema", dependencies=[Bare])
def get_table(id: str, service: Serving, caller: Calling) -> Response:
    """The columns of a dataset's table, and how it is partitioned; none before its first run."""
    return JSONResponse(service.tables.schema(caller, id))


@router.get("/datasets/{id}/snapshots")
def list_snapshots(id: str, request: Request, service: Serving, caller: Calling) -> Response:
    """One page of the states of a dataset's table that can still be read, newest first, with their runs."""
    return JSONResponse(service.tables.snapshots(caller, id, parameters(request)))


@router.get("/datasets/{id}/preview")
async def preview_table(id: str, request: Request, service: Serving, caller: Calling) -> Response:
    """The first rows of a dataset, in the form of a query's answer."""
    async with watched(request.is_disconnected) as gone:
        return JSONResponse(await run_in_threadpool(service.queries.preview, caller, id, parameters(request), gone))
