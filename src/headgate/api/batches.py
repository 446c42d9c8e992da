"""Batches of the Catalog: what runs brought."""

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from headgate.api.json_schema import parameter
from headgate.api.requests import Calling, Serving, needs, parameters
from headgate.model.permissions import Permission

__all__ = ["ingestion", "router"]

ingestion = APIRouter(tags=["batches"])
_ACTION = parameter("action", required=True, enum=["REVERT"])
router = APIRouter(tags=["batches"], dependencies=[needs(Permission.VIEW_DATASETS)])


@router.get("/batches")
def list_batches(request: Request, service: Serving, caller: Calling) -> Response:
    """One page of batches by id, newest first."""
    return JSONResponse(service.batches.listing(caller, parameters(request)))


@router.get("/lastBatches")
def list_last_batches(request: Request, service: Serving, caller: Calling) -> Response:
    """As the list of batches: the newest ones, of one dataset if so asked."""
    return JSONResponse(service.batches.listing(caller, parameters(request)))


@router.get("/batches/{id}")
def get_batch(id: str, request: Request, service: Serving, caller: Calling) -> Response:
    """One batch, by its id."""
    return JSONResponse(service.batches.get(caller, id, parameters(request)))


@ingestion.post(
    "/batches/{id}", dependencies=[needs(Permission.MANAGE_DATASETS)], openapi_extra={"parameters": [_ACTION]}
)
def act_on_batch(id: str, request: Request, service: Serving, caller: Calling) -> Response:
    """Take the rows of a batch out of its table again."""
    return JSONResponse(service.batches.act(caller, id, parameters(request)))
