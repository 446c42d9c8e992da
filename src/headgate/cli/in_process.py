"""The service and a worker within this process, for commands that need no server."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx
from anyio.from_thread import BlockingPortal, start_blocking_portal

from headgate import telemetry
from headgate.api import create_app
from headgate.client import Client
from headgate.config import Settings
from headgate.service.local import credentials
from headgate.service.running import serving
from headgate.service.working import working

if TYPE_CHECKING:
    from headgate.engine import Worker

__all__ = ["in_process"]


@contextmanager
def in_process(settings: Settings) -> Iterator[Client]:
    """A client of a service in this process, on the data folder of `settings`, with a worker beside it.

    Nothing listens anywhere; requests go through the same application as over HTTP. Makes the folder on first use.
    """
    workers: list[Worker] = []

    def wake() -> None:
        for worker in workers:
            worker.wake()

    with telemetry.hushed(), serving(settings, wake=wake) as service, working(settings) as worker:
        workers.append(worker)
        with (
            start_blocking_portal() as portal,
            Client.of(credentials(settings.data), transport=_Transport(create_app(service), portal)) as client,
        ):
            yield client


class _Transport(httpx.BaseTransport):
    """Hands requests to an ASGI application whose event loop runs beside.

    An answer is given when it is whole; so there are no streams of events, and a run that is waited for is looked at.
    """

    def __init__(self, app: object, portal: BlockingPortal) -> None:
        self._asgi = httpx.ASGITransport(app)  # type: ignore[arg-type]  # httpx's own name for the same
        self._portal = portal

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The application's answer."""
        if request.headers["Accept"] == "text/event-stream":
            return httpx.Response(404, json={"errorMessage": "There are no streams within a process."}, request=request)
        return self._portal.call(self._answer, request)

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        answer = await self._asgi.handle_async_request(request)
        content = await answer.aread()
        return httpx.Response(answer.status_code, headers=answer.headers, content=content, request=request)
