"""Data access: files of batches, their bytes, and previews of datasets."""

import re

from fastapi import APIRouter, Request
from starlette.responses import FileResponse, JSONResponse, Response

from headgate.api import catalog_schemas
from headgate.api.requests import Bare, Calling, Serving, needs, parameters
from headgate.errors import RangeNotSatisfiable
from headgate.model.permissions import Permission

__all__ = ["router"]

router = APIRouter(tags=["data access"], dependencies=[needs(Permission.VIEW_DATASETS)])
_OCTETS = "application/octet-stream"
_RANGE = re.compile(r"bytes=(?P<first>[0-9]{0,19})-(?P<last>[0-9]{0,19})")


@router.get("/batches/{id}/files")
def list_files_of_batch(id: str, request: Request, service: Serving, caller: Calling) -> Response:
    """The data files that a batch brought."""
    return JSONResponse(service.data_access.batch_files(caller, id, parameters(request)))


@router.get("/batches/{id}/meta", responses=catalog_schemas.LINES)
def get_meta_of_batch(id: str, request: Request, service: Serving, caller: Calling) -> Response:
    """What is known of a batch's errors: a list of files, or the lines of one."""
    found = service.data_access.meta(caller, id, parameters(request))
    return Response(found, media_type=_OCTETS) if isinstance(found, str) else JSONResponse(found)


@router.get("/batches/{id}/failed", responses=catalog_schemas.LINES)
def list_failed_files_of_batch(id: str, request: Request, service: Serving, caller: Calling) -> Response:
    """The files of records that a batch rejected, or the lines of one."""
    found = service.data_access.failed(caller, id, parameters(request))
    return Response(found, media_type=_OCTETS) if isinstance(found, str) else JSONResponse(found)


@router.head("/files/{id}", include_in_schema=False)
@router.get("/files/{id}", responses=catalog_schemas.BYTES)
def get_file(id: str, request: Request, service: Serving, caller: Calling) -> Response:
    """A data file: its parts, or with `path` the bytes of one, as many as the Range header asks for."""
    if (name := request.query_params.get("path")) is None:
        return JSONResponse(service.data_access.file_parts(caller, id, parameters(request)))
    path = service.data_access.file(caller, id, name)
    _settle_range(request, path.stat().st_size)
    return FileResponse(path, media_type=_OCTETS)


@router.get("/datasets/{id}/preview", dependencies=[Bare])
def preview_dataset(id: str, service: Serving, caller: Calling) -> Response:
    """The first 100 rows of a dataset."""
    return JSONResponse(service.data_access.preview(caller, id))


def _settle_range(request: Request, size: int) -> None:
    """Leave in the request a range of bytes that the file has, or none. Raises RangeNotSatisfiable.

    Several ranges at once, and what is no range of bytes, are not looked at: the answer is then the whole file.
    """
    header = request.headers.get("range")
    if header is None:
        return
    found = _RANGE.fullmatch(header.replace(" ", ""))
    if found and (found["first"] or found["last"]):
        first, last = found["first"], found["last"]
        there = int(first) < size if first else int(last) > 0
        if there and not (first and last and int(last) < int(first)):
            return
        if not there and "if-range" not in request.headers:
            raise RangeNotSatisfiable(f"The file has {size} bytes, and none of {header[:60]!r}.", size=str(size))
    request.scope["headers"] = [(name, value) for name, value in request.scope["headers"] if name != b"range"]
