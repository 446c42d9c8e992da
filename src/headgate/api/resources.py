"""Connections, source connections, target connections and flows: the four verbs they share."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from headgate.api import schemas
from headgate.api.answers import created, found
from headgate.api.requests import Bare, Body, Calling, Serving, needs, parameters
from headgate.model.permissions import Permission
from headgate.service import Service
from headgate.service.resources import Collection

__all__ = ["routers"]


def _router(name: str, chosen: Callable[[Service], Collection], schema: dict[str, Any]) -> APIRouter:
    router = APIRouter(prefix=f"/{name}", tags=[name])
    view, manage = needs(Permission.VIEW_SOURCES), needs(Permission.MANAGE_SOURCES)

    @router.post(
        "",
        status_code=201,
        name=f"create {name}",
        dependencies=[manage, Bare],
        openapi_extra=schemas.body(schema),
    )
    def create(request: Request, service: Serving, caller: Calling, body: Body) -> Response:
        """Make one; the answer has its id and etag."""
        made = chosen(service).create(caller, body)
        return created(f"{request.url.path}/{made['id']}", made)

    @router.get("", dependencies=[view], name=f"list {name}")
    def listing(request: Request, service: Serving, caller: Calling) -> Response:
        """One page, newest first."""
        return JSONResponse(chosen(service).listing(caller, parameters(request)))

    @router.get("/{id}", dependencies=[view, Bare], name=f"get {name}")
    def get(id: str, service: Serving, caller: Calling) -> Response:  # noqa: A002
        """One of them."""
        return found(chosen(service).get(caller, id))

    @router.delete("/{id}", status_code=204, dependencies=[manage, Bare], name=f"delete {name}")
    def delete(id: str, service: Serving, caller: Calling) -> Response:  # noqa: A002
        """Remove one that no flow uses."""
        chosen(service).delete(caller, id)
        return Response(status_code=204)

    return router


routers = (
    _router("connections", lambda service: service.connections, schemas.CONNECTION),
    _router("sourceConnections", lambda service: service.source_connections, schemas.SOURCE_CONNECTION),
    _router("targetConnections", lambda service: service.target_connections, schemas.TARGET_CONNECTION),
    _router("flows", lambda service: service.flows, schemas.FLOW),
)
