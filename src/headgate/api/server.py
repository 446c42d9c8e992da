"""Listening: the application on a socket, and its worker in a process beside it."""

import gc
import os
import signal
import socket
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial

import uvicorn
from starlette.types import ASGIApp

from headgate.api.app import create_app
from headgate.api.beside import Beside
from headgate.api.listening import listening
from headgate.config import Settings
from headgate.errors import Unavailable
from headgate.service.local import remember_address
from headgate.service.running import serving
from headgate.service.service import Service
from headgate.service.worker_process import worker_process

__all__ = ["AddressInUse", "serve"]


class AddressInUse(Unavailable):
    """The service cannot listen at this address."""


def serve(
    settings: Settings,
    *,
    host: str,
    port: int,
    with_worker: bool,
    ready: Callable[[str], None],
    console: Callable[[Service], ASGIApp] | None = None,
) -> None:
    """Answer at `host` and `port` (0: a free one) until SIGTERM or SIGINT; `ready` gets the address once it does.

    `console` makes what answers beside the API, on the first request for it.

    Open requests are answered before the end, then the worker's runs are finished or given back. Raises
    AddressInUse, Unavailable.
    """
    with (
        worker_process(settings) if with_worker else nullcontext(_nobody) as wake,
        _listen(host, port) as sock,
        serving(settings, wake=wake) as service,
    ):
        app: ASGIApp = create_app(service)
        if console is not None:
            app = Beside(app, partial(console, service))
        config = listening(app, log_config=None, access_log=False, timeout_graceful_shutdown=10)

        def answering() -> None:
            name, number = sock.getsockname()[:2]
            address = f"http://{f'[{name}]' if ':' in name else name}:{number}"
            remember_address(settings, address)
            ready(address)

        for stop in (signal.SIGTERM, signal.SIGINT):
            signal.signal(stop, lambda _number, _frame: None)  # uvicorn raises it again once it has stopped
        gc.collect()
        gc.freeze()  # what is there now stays: a full collection would look at all of it and hold up an answer
        _Server(config, answering, service.run_events.stop).run([sock])


def _nobody() -> None:
    """Workers of other processes find a new run at their next poll."""


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise AddressInUse(f"Cannot listen at {host}, port {port}: {reason}. Choose another.") from error
    # Accepted sockets inherit it; else the end of an answer waits 40 ms for the client's acknowledgement.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


class _Server(uvicorn.Server):
    """uvicorn's server, which says when it answers and when it stops."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None], stopping: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready
        self._stopping = stopping

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer, then say so."""
        await super().startup(sockets)
        if self.started:
            self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the answers that have no end of their own, then wait for the others."""
        self._stopping()
        await super().shutdown(sockets)
