"""Datasets of the Catalog."""

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from headgate.api import catalog_schemas, schemas
from headgate.api.requests import Bare, Body, Calling, Patch, Serving, needs, parameters
from headgate.model.permissions import Permission
from headgate.service.paging import known_parameters

__all__ = ["router"]

router = APIRouter(tags=["dataSets"])
_VIEW, _MANAGE = needs(Permission.VIEW_DATASETS), needs(Permission.MANAGE_DATASETS)


@router.post("/dataSets", status_code=201, dependencies=[_MANAGE], openapi_extra=schemas.body(catalog_schemas.DATASET))
def create_dataset(request: Request, service: Serving, caller: Calling, body: Body) -> Response:
    """Make a dataset: a table of the lake, whose columns come with its first run."""
    known_parameters(parameters(request), ("requestDataSource",))
    id_ = service.datasets.create(caller, body)
    return JSONResponse([f"@/dataSets/{id_}"], 201, headers={"Location": f"{request.url.path}/{id_}"})


@router.get("/dataSets", dependencies=[_VIEW])
def list_datasets(request: Request, service: Serving, caller: Calling) -> Response:
    """One page of datasets by id, newest first."""
    return JSONResponse(service.datasets.listing(caller, parameters(request)))


@router.get("/dataSets/{id}", dependencies=[_VIEW])
def get_dataset(id: str, request: Request, service: Serving, caller: Calling) -> Response:
    """One dataset, by its id."""
    return JSONResponse(service.datasets.get(caller, id, parameters(request)))


@router.patch(
    "/dataSets/{id}", dependencies=[_MANAGE, Bare], openapi_extra=schemas.body(catalog_schemas.DATASET_CHANGE)
)
def change_dataset(id: str, service: Serving, caller: Calling, changes: Patch) -> Response:
    """Change a dataset: by an object that is merged into it, or by JSON Patch operations."""
    service.datasets.change(caller, id, changes)
    return JSONResponse([f"@/dataSets/{id}"])


@router.put("/dataSets/{id}", dependencies=[_MANAGE, Bare], openapi_extra=schemas.body(catalog_schemas.DATASET))
def replace_dataset(id: str, service: Serving, caller: Calling, body: Body) -> Response:
    """Replace all that can be changed of a dataset; its table and rows stay."""
    service.datasets.replace(caller, id, body)
    return JSONResponse([f"@/dataSets/{id}"])


@router.patch("/v2/dataSets/{id}", dependencies=[_MANAGE, Bare], openapi_extra=schemas.body(catalog_schemas.EXTENSIONS))
def extend_dataset(id: str, service: Serving, caller: Calling, body: Body) -> Response:
    """Merge into a dataset's extensions, such as the time its rows are to be kept."""
    service.datasets.extend(caller, id, body)
    return JSONResponse([f"@/dataSets/{id}"])


@router.delete("/dataSets/{id}", dependencies=[_MANAGE, Bare])
def delete_dataset(id: str, service: Serving, caller: Calling) -> Response:
    """Remove a dataset that no flow writes to, with its table and rows."""
    service.datasets.delete(caller, id)
    return JSONResponse([f"@/dataSets/{id}"])
