"""Datasets of the Catalog."""

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from headgate.api import schemas
from headgate.api.requests import Body, Calling, Serving, needs, parameters
from headgate.model.permissions import Permission
from headgate.service.paging import known_parameters

__all__ = ["router"]

router = APIRouter(prefix="/dataSets", tags=["dataSets"])


@router.post(
    "", status_code=201, dependencies=[needs(Permission.MANAGE_DATASETS)], openapi_extra=schemas.body(schemas.DATASET)
)
def create_dataset(request: Request, service: Serving, caller: Calling, body: Body) -> Response:
    """Make a dataset: a table of the lake, whose columns come with its first run."""
    known_parameters(parameters(request), ("requestDataSource",))
    id_ = service.datasets.create(caller, body)
    return JSONResponse([f"@/dataSets/{id_}"], 201, headers={"Location": f"{request.url.path}/{id_}"})


@router.get("", dependencies=[needs(Permission.VIEW_DATASETS)])
def list_datasets(request: Request, service: Serving, caller: Calling) -> Response:
    """One page of datasets by id, newest first."""
    return JSONResponse(service.datasets.listing(caller, parameters(request)))


@router.get("/{id}", dependencies=[needs(Permission.VIEW_DATASETS)])
def get_dataset(id: str, request: Request, service: Serving, caller: Calling) -> Response:  # noqa: A002
    """One dataset, by its id."""
    return JSONResponse(service.datasets.get(caller, id, parameters(request)))
