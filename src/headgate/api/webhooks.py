"""Webhooks, and what they were sent."""

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from headgate.api import schemas
from headgate.api.answers import created, found
from headgate.api.requests import Bare, Body, Calling, Patch, Serving, needs, parameters, required_version
from headgate.model.permissions import Permission

__all__ = ["router"]

router = APIRouter(prefix="/webhooks", tags=["webhooks"])
_VIEW, _MANAGE = needs(Permission.VIEW_SOURCES), needs(Permission.MANAGE_SOURCES)


@router.post("", status_code=201, dependencies=[_MANAGE], openapi_extra=schemas.body(schemas.WEBHOOK))
def create_webhook(request: Request, service: Serving, caller: Calling, body: Body) -> Response:
    """Register one whose receiver answers the challenge; the answer has its secret, which is shown only now."""
    made = service.webhooks.create(caller, body, parameters(request))
    return created(f"{request.url.path}/{made['id']}", made)


@router.get("", dependencies=[_VIEW])
def list_webhooks(request: Request, service: Serving, caller: Calling) -> Response:
    """One page, newest first."""
    return JSONResponse(service.webhooks.listing(caller, parameters(request)))


@router.get("/{id}", dependencies=[_VIEW, Bare])
def get_webhook(id: str, service: Serving, caller: Calling) -> Response:
    """One of them."""
    return found(service.webhooks.get(caller, id))


@router.patch("/{id}", dependencies=[_MANAGE, Bare], openapi_extra=schemas.versioned_body(schemas.PATCH))
def change_webhook(id: str, request: Request, service: Serving, caller: Calling, operations: Patch) -> Response:
    """Change one by JSON Patch, if it still has the version of If-Match; the answer is all of it."""
    changed = service.webhooks.patch(caller, id, operations, etag=required_version(request))
    return JSONResponse(changed, headers={"ETag": changed["etag"]})


@router.delete("/{id}", status_code=204, dependencies=[_MANAGE, Bare])
def delete_webhook(id: str, service: Serving, caller: Calling) -> Response:
    """Remove one; what it was not sent yet is not sent any more."""
    service.webhooks.delete(caller, id)
    return Response(status_code=204)


@router.get("/{id}/deliveries", dependencies=[_VIEW])
def list_deliveries(id: str, request: Request, service: Serving, caller: Calling) -> Response:
    """One page of what one was or will be sent, newest first."""
    return JSONResponse(service.webhooks.deliveries(caller, id, parameters(request)))
