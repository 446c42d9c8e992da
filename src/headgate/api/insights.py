"""Insights: what was brought into the lake over time."""

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from headgate.api import catalog_schemas, schemas
from headgate.api.requests import Bare, Body, Calling, Serving, needs
from headgate.model.permissions import Permission

__all__ = ["router"]

router = APIRouter(tags=["insights"])


@router.post(
    "/metrics",
    dependencies=[needs(Permission.VIEW_MONITORING), Bare],
    openapi_extra=schemas.body(catalog_schemas.METRICS),
)
def report_metrics(service: Serving, caller: Calling, body: Body) -> Response:
    """Time series by hour or day, of all datasets or of some."""
    return JSONResponse(service.insights.report(caller, body))
