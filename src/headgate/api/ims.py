"""The built-in issuer: its token endpoint in three versions, who a token names, and its keys."""

import base64
import binascii
from typing import Annotated, Any
from urllib.parse import unquote_plus

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response

from headgate.api.bodies import read_form
from headgate.api.json_schema import TEXT, Schema, object_of, parameter
from headgate.api.requests import Open, Serving, parameters
from headgate.errors import BadBody, ClientRefused, TokenRefused

__all__ = ["router"]

TOKENS, USERINFO, KEYS = "/ims/token/v3", "/ims/userinfo/v2", "/ims/keys"

Fields = list[tuple[str, str]]

router = APIRouter(tags=["identity"])

_FIELDS: dict[str, Schema] = {
    "grant_type": {"type": "string", "enum": ["client_credentials", "authorization_code"]},
    "client_id": {"type": "string"},
    "client_secret": {"type": "string", "format": "password"},
    "code": {"type": "string", "description": "For authorization_code: what `headgate login --code` printed."},
    "scope": {"type": "string", "description": "Not read: roles decide what a token may do."},
}
_REFUSED: Schema = {
    "description": "The token request is refused.",
    "content": {
        "application/json": {"schema": object_of("error error_description", error=TEXT, error_description=TEXT)}
    },
}
_ANSWERS: dict[int | str, Schema] = {400: _REFUSED, 401: _REFUSED}
_FORM: Schema = {
    "requestBody": {
        "required": True,
        "content": {"application/x-www-form-urlencoded": {"schema": object_of("grant_type", **_FIELDS)}},
    }
}
_QUERY: Schema = {
    "parameters": [parameter(name, required=name == "grant_type", **schema) for name, schema in _FIELDS.items()]
}


async def _form(request: Request) -> Fields:
    try:
        fields = await read_form(request)
    except BadBody as error:
        raise TokenRefused(error.detail) from error
    return [*fields, *_basic(request.headers.get("authorization", ""))]


async def _query(request: Request) -> Fields:
    return [*parameters(request), *await _form(request)]


def _basic(authorization: str) -> Fields:
    """The client's id and secret, where they come by HTTP Basic (RFC 6749, 2.3.1)."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return []
    try:
        id_, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ClientRefused("The Authorization header is not valid for the scheme Basic.") from error
    return [("client_id", unquote_plus(id_)), ("client_secret", unquote_plus(secret))]


FormFields = Annotated[Fields, Depends(_form)]
QueryFields = Annotated[Fields, Depends(_query)]


@router.post(TOKENS, dependencies=[Open], openapi_extra=_FORM, responses=_ANSWERS)
@router.post("/ims/token/v1", dependencies=[Open], openapi_extra=_FORM, responses=_ANSWERS)
def token(service: Serving, fields: FormFields) -> Response:
    """A token for a client's credentials, or for a sign-in code."""
    return _fresh(service.identity.token(fields))


@router.post("/ims/token/v2", dependencies=[Open], openapi_extra=_QUERY, responses=_ANSWERS)
def token_by_query(service: Serving, fields: QueryFields) -> Response:
    """The same, from query parameters."""
    return _fresh(service.identity.token(fields))


@router.get(USERINFO, dependencies=[Open])
def userinfo(request: Request, service: Serving) -> Response:
    """Whom the token of the Authorization header names."""
    return _fresh(service.identity.userinfo(service.identify(request.headers, request_id=request.state.request_id)))


@router.get("/.well-known/openid-configuration", dependencies=[Open])
def discovery(request: Request, service: Serving) -> Response:
    """What a verifier of our tokens must know."""
    base = service.identity.public_url or str(request.base_url).rstrip("/")
    addresses = {"jwks_uri": KEYS, "token_endpoint": TOKENS, "userinfo_endpoint": USERINFO}
    return JSONResponse({**service.identity.description(), **{name: base + at for name, at in addresses.items()}})


@router.get(KEYS, dependencies=[Open])
def keys(service: Serving) -> Response:
    """The public keys that our tokens are signed with."""
    return JSONResponse(service.identity.key_set())


def _fresh(body: dict[str, Any]) -> Response:
    return JSONResponse(body, headers={"Cache-Control": "no-store"})
