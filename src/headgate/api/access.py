"""Access control: which permissions there are, and which of them the caller has in the sandbox of the call."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response

from headgate.api import schemas
from headgate.api.bodies import read_texts
from headgate.api.requests import Anyone, Bare, Calling
from headgate.service.access import effective_policies, reference

__all__ = ["router"]

router = APIRouter(prefix="/acl", tags=["access control"])


async def _names(request: Request, caller: Calling) -> list[str]:  # noqa: ARG001 - read only after it was let in
    return await read_texts(request)


Names = Annotated[list[str], Depends(_names)]


@router.get("/reference", dependencies=[Anyone, Bare])
def list_permissions() -> Response:
    """Every permission, and what it allows."""
    return JSONResponse(reference())


@router.post("/effective-policies", dependencies=[Anyone, Bare], openapi_extra=schemas.body(schemas.POLICIES))
def list_effective(caller: Calling, names: Names) -> Response:
    """What the caller may do, for each of the names that are sent."""
    return JSONResponse(effective_policies(caller, names))
