"""Connections, source connections, target connections and flows: what they have in common."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from headgate.api import schemas
from headgate.api.answers import created, found
from headgate.api.requests import (
    Bare,
    Body,
    Calling,
    Patch,
    Report,
    Serving,
    if_match,
    needs,
    parameters,
    required_version,
)
from headgate.model.permissions import Permission
from headgate.service.resources import Collection
from headgate.service.service import Service

__all__ = ["routers"]


def _router(
    name: str, chosen: Callable[[Service], Collection], schema: dict[str, Any], ops: tuple[str, ...] = ()
) -> APIRouter:
    router = APIRouter(prefix=f"/{name}", tags=[name])
    view, manage = needs(Permission.VIEW_SOURCES), needs(Permission.MANAGE_SOURCES)

    @router.post(
        "",
        status_code=201,
        name=f"create {name}",
        dependencies=[manage],
        openapi_extra={**schemas.body(schema), **schemas.MODE},
    )
    def create(request: Request, service: Serving, caller: Calling, body: Body) -> Response:
        """Make one, or with mode=draft a draft, which may lack members; the answer has its id and etag."""
        made = chosen(service).create(caller, body, parameters(request))
        return created(f"{request.url.path}/{made['id']}", made)

    @router.get("", dependencies=[view], name=f"list {name}")
    def listing(request: Request, service: Serving, caller: Calling) -> Response:
        """One page, newest first."""
        return JSONResponse(chosen(service).listing(caller, parameters(request)))

    @router.get("/{id}", dependencies=[view, Bare], name=f"get {name}")
    def get(id: str, service: Serving, caller: Calling) -> Response:
        """One of them."""
        return found(chosen(service).get(caller, id))

    @router.patch(
        "/{id}", dependencies=[manage, Bare], name=f"change {name}", openapi_extra=schemas.versioned_body(schemas.PATCH)
    )
    def patch(id: str, request: Request, service: Serving, caller: Calling, operations: Patch) -> Response:
        """Change one by JSON Patch, if it still has the version of If-Match; the answer is all of it."""
        changed = chosen(service).patch(caller, id, operations, etag=required_version(request))
        return JSONResponse(changed, headers={"ETag": changed["etag"]})

    @router.post(
        "/{id}/action",
        dependencies=[manage],
        name=f"act on {name}",
        openapi_extra=schemas.action("publish", *ops, "finalize", "finalize-update"),
    )
    def act(id: str, request: Request, service: Serving, caller: Calling, report: Report) -> Response:
        """Publish a draft; enable or disable a flow. Only a provider finalizes."""
        etag = if_match(request)
        acted = chosen(service).act(caller, id, parameters(request), report, etag=etag)
        return JSONResponse(acted, headers={"ETag": acted["etag"]})

    @router.delete("/{id}", status_code=204, dependencies=[manage, Bare], name=f"delete {name}")
    def delete(id: str, service: Serving, caller: Calling) -> Response:
        """Remove one that no flow uses."""
        chosen(service).delete(caller, id)
        return Response(status_code=204)

    return router


routers = (
    _router("connections", lambda service: service.connections, schemas.CONNECTION),
    _router("sourceConnections", lambda service: service.source_connections, schemas.SOURCE_CONNECTION),
    _router("targetConnections", lambda service: service.target_connections, schemas.TARGET_CONNECTION),
    _router("flows", lambda service: service.flows, schemas.FLOW, ("enable", "disable")),
)
