"""The API and what else answers at the same address."""

import asyncio
from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["Beside"]

_API = ("/data/", "/ims/", "/headgate/", "/health/", "/.well-known/", "/openapi.json")


class Beside:
    """Sends requests below the API's prefixes to the API, and all others to what `make` gives on the first of them."""

    def __init__(self, api: ASGIApp, make: Callable[[], ASGIApp]) -> None:
        self._api, self._make = api, make
        self._other: ASGIApp | None = None
        self._making = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http" or scope["path"].startswith(_API):
            await self._api(scope, receive, send)
            return
        async with self._making:
            if self._other is None:
                self._other = await run_in_threadpool(self._make)
        await self._other(scope, receive, send)
