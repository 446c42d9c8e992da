"""Scripts, styles and icons: read once, sent packed, and kept by browsers for as long as their content stays."""

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

__all__ = ["ROOT", "address", "serve"]

ROOT = Path(__file__).parent / "static"
_FOREVER = "public, max-age=31536000, immutable"
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class _Asset:
    content: bytes
    packed: bytes
    type: str
    digest: str


@cache
def _names() -> frozenset[str]:
    return frozenset(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*") if path.is_file())


@cache
def _asset(name: str) -> _Asset:
    path = ROOT / name
    content = path.read_bytes()
    type_ = _TYPES.get(path.suffix) or mimetypes.guess_type(name)[0] or "text/plain"
    packed = gzip.compress(content, mtime=0)
    return _Asset(content, packed, type_, hashlib.sha256(content).hexdigest()[:12])


def address(name: str) -> str:
    """The address of the file `name` below `static`, which changes with its content. Raises KeyError."""
    if name not in _names():
        raise KeyError(f"The console has no file static/{name}.")
    return f"/static/{name}?v={_asset(name).digest}"


def serve(request: Request) -> Response:
    """The file that a request names."""
    name = request.path_params["name"]
    if name not in _names():
        raise HTTPException(404)
    asset = _asset(name)
    headers = {"etag": f'"{asset.digest}"', "vary": "accept-encoding"}
    current = request.query_params.get("v") == asset.digest
    headers["cache-control"] = _FOREVER if current else "no-cache"
    if request.headers.get("if-none-match") == headers["etag"]:
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(asset.packed, headers={**headers, "content-encoding": "gzip"}, media_type=asset.type)
    return Response(asset.content, headers=headers, media_type=asset.type)
