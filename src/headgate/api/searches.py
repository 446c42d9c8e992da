"""POST /<collection>/search: listings whose query stands in the body. `search` is thereby no id anywhere."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Header, Request
from starlette.responses import JSONResponse, Response

from headgate.api import schemas
from headgate.api.requests import Body, Calling, Serving, needs, parameters
from headgate.model.permissions import Permission
from headgate.service.resources import Collection
from headgate.service.service import Service
from headgate.service.specs import Specs

__all__ = ["router"]

router = APIRouter(tags=["search"], dependencies=[needs(Permission.VIEW_SOURCES)])


def _resources(name: str, chosen: Callable[[Service], Collection]) -> None:
    @router.post(f"/{name}/search", name=f"search {name}", openapi_extra=schemas.body(schemas.SEARCH))
    def search(
        request: Request,
        service: Serving,
        caller: Calling,
        body: Body,
        x_active_sandbox_ids: Annotated[str | None, Header()] = None,
    ) -> Response:
        """One page of what matches, in the sandbox of the call."""
        found = chosen(service).search(caller, parameters(request), body, sandbox_ids=x_active_sandbox_ids)
        return JSONResponse(found)


def _specs(name: str, chosen: Callable[[Service], Specs]) -> None:
    @router.post(f"/{name}/search", name=f"search {name}", openapi_extra=schemas.body(schemas.SPEC_SEARCH))
    def search(request: Request, service: Serving, caller: Calling, body: Body) -> Response:
        """All that match; grouped by a property if so asked."""
        return JSONResponse(chosen(service).search(caller, parameters(request), body))


_resources("connections", lambda service: service.connections)
_resources("sourceConnections", lambda service: service.source_connections)
_resources("targetConnections", lambda service: service.target_connections)
_resources("flows", lambda service: service.flows)
_specs("connectionSpecs", lambda service: service.connection_specs)
_specs("flowSpecs", lambda service: service.flow_specs)
