"""The schema registry.

Ids are addresses, and arrive as one percent-encoded segment of the path; `Envelope` leaves their slashes encoded.
"""

from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from headgate.api import schemas
from headgate.api.json_schema import parameter
from headgate.api.requests import Bare, Body, Calling, Patch, Serving, needs, parameters
from headgate.model.permissions import Permission
from headgate.service.paging import known_parameters

__all__ = ["router"]

router = APIRouter(tags=["schemaregistry"])
_VIEW, _MANAGE = needs(Permission.VIEW_SCHEMAS), needs(Permission.MANAGE_SCHEMAS)
_FROM_SOURCE = parameter(
    "fromSource", "The source connection whose columns become the schema's fields; schemas of the tenant only."
)
_ONE = "/{container}/{collection}/{id}"


@router.get("/stats", dependencies=[_VIEW, Bare])
def registry_stats(service: Serving, caller: Calling) -> Response:
    """The tenant's id, how many documents there are, and the newest of them."""
    return JSONResponse(service.registry.stats(caller))


@router.get("/{container}/{collection}", dependencies=[_VIEW])
def list_documents(container: str, collection: str, request: Request, service: Serving, caller: Calling) -> Response:
    """One page of schemas, fieldgroups, classes, datatypes, descriptors or behaviors; Accept chooses their form."""
    accept = request.headers.get("accept", "")
    return JSONResponse(service.registry.listing(caller, container, collection, parameters(request), accept))


@router.get(_ONE, dependencies=[_VIEW, Bare])
def get_document(
    container: str,
    collection: str,
    id: str,
    request: Request,
    service: Serving,
    caller: Calling,
) -> Response:
    """One document, by its `$id` or `meta:altId`; Accept chooses its form."""
    accept = request.headers.get("accept", "")
    return JSONResponse(service.registry.get(caller, container, collection, _decoded(id), accept))


@router.post(
    "/{container}/{collection}",
    status_code=201,
    dependencies=[_MANAGE],
    openapi_extra={**schemas.body(schemas.DOCUMENT), "parameters": [_FROM_SOURCE]},
)
def create_document(
    container: str, collection: str, request: Request, service: Serving, caller: Calling, body: Body
) -> Response:
    """Make a document; the answer is the whole of it. Schemas can be made from what a source connection reads."""
    of_schemas = (container, collection) == ("tenant", "schemas")
    _, single = known_parameters(parameters(request), ("fromSource",) if of_schemas else ())
    if source_id := single.get("fromSource"):
        made = service.schema_import.create(caller, source_id, body)
    else:
        made = service.registry.create(caller, container, collection, body)
    id_ = quote(made.get("$id") or made["@id"], safe="")
    return JSONResponse(made, 201, headers={"Location": f"{request.url.path}/{id_}"})


@router.put(_ONE, dependencies=[_MANAGE, Bare], openapi_extra=schemas.body(schemas.DOCUMENT))
def replace_document(
    container: str,
    collection: str,
    id: str,
    service: Serving,
    caller: Calling,
    body: Body,
) -> Response:
    """Put another document in place of one."""
    return JSONResponse(service.registry.replace(caller, container, collection, _decoded(id), body))


@router.patch(_ONE, dependencies=[_MANAGE, Bare], openapi_extra=schemas.body(schemas.PATCH))
def patch_document(
    container: str,
    collection: str,
    id: str,
    service: Serving,
    caller: Calling,
    patch: Patch,
) -> Response:
    """Change parts of a document by JSON Patch."""
    return JSONResponse(service.registry.patch(caller, container, collection, _decoded(id), patch))


@router.delete(_ONE, status_code=204, dependencies=[_MANAGE, Bare])
def delete_document(container: str, collection: str, id: str, service: Serving, caller: Calling) -> Response:
    """Remove a document that nothing uses."""
    service.registry.delete(caller, container, collection, _decoded(id))
    return Response(status_code=204)


def _decoded(id_: str) -> str:
    return id_.replace("%2F", "/")
