"""What all accounts of object stores read of their parameters, and how they ask."""

import re
from collections.abc import Mapping
from datetime import timedelta
from html import unescape
from typing import Any, Final

import httpx

from headgate import __version__
from headgate.errors import (
    BadParameter,
    ParameterMissing,
    SourceAccessDenied,
    SourceError,
    SourceObjectMissing,
    SourceUnreachable,
)
from headgate.sources.files.stores.tunnel import Tunnel

__all__ = ["RETRIES", "asked", "client_options", "folder_of", "refused", "service_url", "text"]

_CLIENT: Final = {
    "allow_http": True,  # the addresses are ours; a redirect leads nowhere through the tunnel
    "allow_invalid_certificates": False,
    "connect_timeout": timedelta(seconds=8),
    "read_timeout": timedelta(seconds=20),
    "timeout": timedelta(minutes=30),
    "proxy_excludes": "",
    "user_agent": f"headgate/{__version__}",
}
RETRIES: Final[Any] = {
    "max_retries": 6,
    "retry_timeout": timedelta(seconds=20),
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=5), "base": 2},
}


def client_options(tunnel: Tunnel) -> Any:
    """How the client of obstore reaches a store: through the tunnel, and in bounded time."""
    return {**_CLIENT, "proxy_url": tunnel.url}


def asked(tunnel: Tunnel, url: str, method: str = "GET", headers: Mapping[str, str] | None = None) -> httpx.Response:
    """The answer to one small question that obstore has no words for. Raises SourceError."""
    try:
        with httpx.Client(proxy=tunnel.url, trust_env=False, timeout=10) as client:
            answer = client.request(method, url, headers=headers)
    except httpx.HTTPError as error:
        reason = tunnel.trouble or type(error).__name__  # what httpx says may hold the URL, and that a signature
        raise SourceUnreachable(f"The store cannot be reached: {reason}.") from None
    if tunnel.trouble is not None:
        raise SourceUnreachable(f"The store cannot be reached: {tunnel.trouble}.")
    return answer


def refused(answer: httpx.Response, sentence: str) -> SourceError:
    """The error that stands for an `answer` that is none, after a `sentence` on what to do."""
    kind = {401: SourceAccessDenied, 403: SourceAccessDenied, 404: SourceObjectMissing}.get(answer.status_code)
    found = re.search(r"<Message>([^<\n]{1,500})", answer.text)
    said = f"It says: {unescape(found[1]).rstrip('.')}." if found else f"It answers {answer.status_code}."
    return (kind or SourceError)(f"{sentence} {said}")


def text(params: Mapping[str, Any], name: str, *, needed: bool = False) -> str:
    """A parameter as a text; empty when it is not given. Raises ParameterMissing, BadParameter."""
    value = params.get(name)
    if value is None or value == "":
        if needed:
            raise ParameterMissing(f"{name} is missing or empty.", field=name)
        return ""
    if not isinstance(value, str) or not value.isprintable():
        raise BadParameter(f"{name} must be a text without control characters.", field=name)
    return value


def service_url(params: Mapping[str, Any], name: str, *, default: str = "") -> str:
    """The address of a service, without a path. Raises BadParameter."""
    url = text(params, name).rstrip("/") or default
    scheme, found, host = url.partition("://")
    if url and (scheme not in ("http", "https") or not found or not host or any(mark in host for mark in "/?#@")):
        raise BadParameter(
            f"{name} is {url[:200]!r}; send the address of the service alone, such as https://minio.example.com:9000.",
            field=name,
        )
    return url


def folder_of(params: Mapping[str, Any], bucket: str) -> tuple[str, ...]:
    """The bucket and folder that a connection is held to. Raises BadParameter."""
    name, folder = text(params, bucket), text(params, "folderPath")
    parts = tuple(part for part in folder.split("/") if part not in ("", "."))
    if "/" in name or ".." in parts:
        raise BadParameter(f"{bucket} must be one name, and folderPath hold no '..'.", field=bucket)
    return (name, *parts) if name else parts
