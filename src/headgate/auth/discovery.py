"""What an issuer says of itself, and asking it for JSON: with limits, since it is another's server."""

import json
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

__all__ = ["asking", "discovered", "fetched"]

SECONDS = 10.0  # one fetch, from the first byte sent to the last received
_BYTES = 1024 * 1024


def asking(issuer: str) -> httpx.Client:
    """A client for calls of an issuer. It follows no redirects."""
    # A proxy of the environment is for the world outside, not for this machine.
    local = urlsplit(issuer).hostname in ("localhost", "127.0.0.1", "::1")
    return httpx.Client(follow_redirects=False, timeout=SECONDS / 2, trust_env=not local)


def discovered(http: httpx.Client, issuer: str) -> dict[str, Any]:
    """The issuer's discovery document. Raises ValueError for one of another issuer, httpx.HTTPError."""
    document = fetched(http, issuer.rstrip("/") + "/.well-known/openid-configuration")
    if document.get("issuer") != issuer:
        raise ValueError(f"The discovery document is of the issuer {str(document.get('issuer'))[:200]!r}.")
    return document


def fetched(
    http: httpx.Client,
    address: str,
    form: Mapping[str, str] | None = None,
    *,
    basic: tuple[str, str] | None = None,
    taken: tuple[int, ...] = (200,),
) -> dict[str, Any]:
    """The JSON object at an address, or what it answers to a form. Raises ValueError, httpx.HTTPError.

    `basic` are a name and a password for it; `taken` the statuses of answers that are read.
    """
    ends = time.monotonic() + SECONDS
    content = bytearray()
    method, headers = "GET" if form is None else "POST", {"Accept": "application/json"}
    auth = httpx.BasicAuth(*basic) if basic else None
    with http.stream(method, address, headers=headers, data=form, auth=auth) as answer:
        if answer.status_code not in taken:
            raise ValueError(f"{address} answers {answer.status_code}.")
        for chunk in answer.iter_bytes():
            content += chunk
            if len(content) > _BYTES or time.monotonic() > ends:
                raise ValueError(f"{address} answers with more than {_BYTES} bytes, or too slowly.")
    document = json.loads(content)
    if not isinstance(document, dict):
        raise ValueError(f"{address} answers with no JSON object.")  # noqa: TRY004 - the answer is wrong, not a type
    return document
