"""The application: routes, error answers, and what surrounds every request."""

import re
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from headgate import __version__
from headgate.api import (
    access,
    batches,
    conversion,
    datasets,
    exploring,
    export,
    health,
    ims,
    insights,
    landing_zones,
    monitoring,
    organisations,
    people,
    registry,
    resources,
    run_events,
    runs,
    sandboxes,
    searches,
    specs,
    tables,
    webhooks,
)
from headgate.api.answers import Envelope, on_headgate_error, on_http_exception
from headgate.api.openapi import describe
from headgate.api.requests import check_guards
from headgate.errors import HeadgateError
from headgate.model.addresses import (
    ACCESS,
    CATALOG,
    CONNECTORS,
    CONVERSION,
    EXPORT,
    FLOW_SERVICE,
    HEADGATE,
    IMPORT,
    INSIGHTS,
    REGISTRY,
    SANDBOXES,
)
from headgate.service.service import Service

__all__ = ["create_app"]

_ROUTERS = {
    "": (health.router, ims.router),
    FLOW_SERVICE: (
        searches.router,
        exploring.router,
        *specs.routers,
        runs.router,
        run_events.router,
        webhooks.router,
        *resources.routers,
    ),
    CATALOG: (datasets.router, batches.router),
    IMPORT: (batches.ingestion,),
    EXPORT: (export.router,),
    INSIGHTS: (insights.router,),
    REGISTRY: (registry.router,),
    SANDBOXES: (sandboxes.router,),
    ACCESS: (access.router,),
    CONNECTORS: (landing_zones.router,),
    CONVERSION: (conversion.router,),
    HEADGATE: (organisations.router, tables.router, people.router, monitoring.router),
}


class Api(FastAPI):
    """FastAPI with our own description of the API."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document."""
        return describe(self)


def create_app(service: Service) -> FastAPI:
    """The API of one deployment, as an ASGI application. Raises UnguardedRoute for a route without a permission."""
    app = Api(
        title="Headgate",
        version=__version__,
        summary="Ad hoc runs of flows: one call pulls one window of a source into an Iceberg table.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        exception_handlers={HeadgateError: on_headgate_error, HTTPException: on_http_exception},
    )
    app.state.service = service
    app.state.methods = _methods()
    for prefix, routers in _ROUTERS.items():
        for router in routers:
            check_guards(router)
            app.include_router(router, prefix=prefix)
    app.add_middleware(Envelope)
    return app


def _methods() -> dict[re.Pattern[str], set[str]]:
    """The methods of every address, in the order in which addresses are tried."""
    methods: dict[re.Pattern[str], set[str]] = {}
    for prefix, routers in _ROUTERS.items():
        for route in (route for router in routers for route in router.routes if isinstance(route, APIRoute)):
            address, *_ = compile_path(prefix + route.path)
            methods.setdefault(address, set()).update(route.methods or ())
    return methods
