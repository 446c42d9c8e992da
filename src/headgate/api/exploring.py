"""Testing connections, and exploring what they reach."""

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from headgate.api.json_schema import parameter
from headgate.api.requests import Bare, Calling, Serving, needs, parameters
from headgate.model.permissions import Permission

__all__ = ["router"]

router = APIRouter(tags=["explore"], dependencies=[needs(Permission.VIEW_SOURCES)])
_OBJECT = parameter("object", "The path of a table, folder or file.")
_FILE_TYPE = parameter("fileType", "delimited, json, parquet, avro or orc.")
_EXPLORE = {
    "parameters": [
        parameter(
            "objectType",
            "What to look at, in any letter case.",
            required=True,
            enum=["root", "table", "folder", "file", "rest"],
        ),
        _OBJECT,
        _FILE_TYPE,
        parameter("preview", "Whether the first rows are shown too.", type="boolean"),
        parameter("columnDelimiter", "One character, or \\t for a tabulator."),
        parameter("compressionType", "none, gzip, bzip2, deflate, zipDeflate, tar, tarGzip, zstd or xz."),
        parameter("encoding", "UTF-8, ISO-8859-1, UTF-16, UTF-16LE or UTF-16BE."),
        parameter("determineProperties", "Whether the properties of a file are found in it.", type="boolean"),
        parameter("filters", "The Base64 of a row filter in PQL."),
        parameter("sourceParams", "The Base64 of a JSON object; for REST sources."),
    ]
}
_CONFIGS = {
    "parameters": [
        _OBJECT,
        _FILE_TYPE,
        parameter("limit", "At most so many columns.", type="integer", minimum=1),
        parameter("start", "So many columns are left out first.", type="integer", minimum=0),
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
