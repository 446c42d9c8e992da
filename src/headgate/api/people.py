"""Who may do what in an organisation: clients and their keys, roles, grants and people."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from headgate.api import schemas
from headgate.api.requests import Bare, OrgBody, OrgCalling, Serving, needs_in_org, parameters
from headgate.model.permissions import Permission

__all__ = ["router"]

router = APIRouter(tags=["people"], dependencies=[needs_in_org(Permission.MANAGE_ACCESS)])
_TAKEN: dict[int | str, dict[str, Any]] = {
    409: {
        "description": "The id or name is taken, the role is held by somebody, or the last admin would go.",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    }
}


@router.get("/people")
def list_people(request: Request, service: Serving, caller: OrgCalling) -> Response:
    """One page of the people who were granted a role, by their user id."""
    return JSONResponse(service.people.people(caller, parameters(request)))


@router.get("/clients")
def list_clients(request: Request, service: Serving, caller: OrgCalling) -> Response:
    """One page of the client applications; an id is also the API key."""
    return JSONResponse(service.people.clients(caller, parameters(request)))


@router.post(
    "/clients", status_code=201, dependencies=[Bare], openapi_extra=schemas.body(schemas.CLIENT), responses=_TAKEN
)
def create_client(request: Request, service: Serving, caller: OrgCalling, body: OrgBody) -> Response:
    """Make a client, perhaps with a role; its secret is shown only now."""
    made = service.people.add_client(caller, body)
    return JSONResponse(made, 201, headers={"Location": f"{request.url.path}/{made['id']}"})


@router.delete("/clients/{id}", status_code=204, dependencies=[Bare], responses=_TAKEN)
def delete_client(id: str, service: Serving, caller: OrgCalling) -> Response:
    """Remove a client with its secrets and roles; its tokens are refused from now on."""
    service.people.remove_client(caller, id)
    return Response(status_code=204)


@router.post("/clients/{id}/rotate", dependencies=[Bare], openapi_extra=schemas.body(schemas.ROTATION))
def rotate_secret(id: str, service: Serving, caller: OrgCalling, body: OrgBody) -> Response:
    """Give a client a new secret, which is shown only now; the last one stays good for a while."""
    return JSONResponse(service.people.rotate(caller, id, body))


@router.post("/clients/{id}/code", dependencies=[Bare], openapi_extra=schemas.body(schemas.SIGN_IN_CODE))
def create_code(id: str, service: Serving, caller: OrgCalling, body: OrgBody) -> Response:
    """A code by which a person signs in through this client, once and within ten minutes."""
    return JSONResponse(service.people.code(caller, id, body))


@router.get("/roles")
def list_roles(request: Request, service: Serving, caller: OrgCalling) -> Response:
    """One page of the roles and what they allow, the built-in ones first."""
    return JSONResponse(service.people.roles(caller, parameters(request)))


@router.post("/roles", status_code=201, dependencies=[Bare], openapi_extra=schemas.body(schemas.ROLE), responses=_TAKEN)
def create_role(request: Request, service: Serving, caller: OrgCalling, body: OrgBody) -> Response:
    """Make a role of the organisation's own, of permissions that the caller has."""
    made = service.people.add_role(caller, body)
    return JSONResponse(made, 201, headers={"Location": f"{request.url.path}/{made['id']}"})


@router.delete("/roles/{id}", status_code=204, dependencies=[Bare], responses=_TAKEN)
def delete_role(id: str, service: Serving, caller: OrgCalling) -> Response:
    """Remove a role of the organisation's own that nobody has."""
    service.people.remove_role(caller, id)
    return Response(status_code=204)


@router.get("/grants")
def list_grants(request: Request, service: Serving, caller: OrgCalling) -> Response:
    """One page of who has which role where, oldest first."""
    return JSONResponse(service.people.grants(caller, parameters(request)))


@router.post("/grants", status_code=201, dependencies=[Bare], openapi_extra=schemas.body(schemas.GRANT))
def create_grant(request: Request, service: Serving, caller: OrgCalling, body: OrgBody) -> Response:
    """Give a person or a client a role, in one sandbox or in the whole organisation."""
    made = service.people.grant(caller, body)
    return JSONResponse(made, 201, headers={"Location": f"{request.url.path}/{made['id']}"})


@router.delete("/grants/{id}", status_code=204, dependencies=[Bare], responses=_TAKEN)
def delete_grant(id: str, service: Serving, caller: OrgCalling) -> Response:
    """Take a role from whom it was given to, at once. The last admin stays."""
    service.people.revoke(caller, id)
    return Response(status_code=204)
