"""Testing connections, and exploring what they reach."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from headgate.api.requests import Bare, Calling, Serving, needs, parameters
from headgate.model.permissions import Permission

__all__ = ["router"]

router = APIRouter(tags=["explore"], dependencies=[needs(Permission.VIEW_SOURCES)])


def _parameter(name: str, description: str, **schema: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "description": description, "schema": schema}


_OBJECT = _parameter("object", "The path of a table, folder or file.", type="string")
_FILE_TYPE = _parameter("fileType", "delimited, json or parquet.", type="string")
_EXPLORE = {
    "parameters": [
        {
            **_parameter("objectType", "What to look at, in any letter case.", type="string"),
            "required": True,
            "schema": {"type": "string", "enum": ["root", "table", "folder", "file", "rest"]},
        },
        _OBJECT,
        _FILE_TYPE,
        _parameter("preview", "Whether the first rows are shown too.", type="boolean"),
        _parameter("columnDelimiter", "One character, or \\t for a tabulator.", type="string"),
        _parameter("compressionType", "gzip.", type="string"),
        _parameter("encoding", "UTF-8 or ISO-8859-1.", type="string"),
        _parameter("determineProperties", "Whether the properties of a file are found in it.", type="boolean"),
        _parameter("filters", "The Base64 of a row filter in PQL.", type="string"),
        _parameter("sourceParams", "The Base64 of a JSON object; for REST sources.", type="string"),
    ]
}
_CONFIGS = {
    "parameters": [
        _OBJECT,
        _FILE_TYPE,
        _parameter("limit", "At most so many columns.", type="integer", minimum=1),
        _parameter("start", "So many columns are left out first.", type="integer", minimum=0),
    ]
}


@router.get("/connections/{id}/test", dependencies=[Bare])
def test_connection(id: str, service: Serving, caller: Calling) -> Response:
    """Whether the connection's system lets it in; if not, `reason` says why."""
    return JSONResponse(service.exploring.test(caller, id))


@router.get("/connections/{id}/explore", openapi_extra=_EXPLORE)
def explore_connection(id: str, request: Request, service: Serving, caller: Calling) -> Response:
    """The tables, folders and files that a connection reaches, or the columns and first rows of one."""
    return JSONResponse(service.exploring.connection(caller, id, parameters(request)))


@router.get("/connections/{id}/configs", openapi_extra=_CONFIGS)
def configs_of_connection(id: str, request: Request, service: Serving, caller: Calling) -> Response:
    """The names and types of the columns of `object`."""
    return JSONResponse(service.exploring.connection_configs(caller, id, parameters(request)))


@router.get("/connectionSpecs/{id}/explore", openapi_extra=_EXPLORE)
def explore_connection_spec(id: str, request: Request, service: Serving, caller: Calling) -> Response:
    """The same as of a connection, for a spec that needs no account."""
    return JSONResponse(service.exploring.spec(caller, id, parameters(request)))


@router.get("/connectionSpecs/{id}/configs", openapi_extra=_CONFIGS)
def configs_of_connection_spec(id: str, request: Request, service: Serving, caller: Calling) -> Response:
    """The same as of a connection, for a spec that needs no account."""
    return JSONResponse(service.exploring.spec_configs(caller, id, parameters(request)))
