"""Listening: the application on a socket, with its worker beside it."""

import signal
import socket
from collections.abc import Callable

import uvicorn

from headgate.api.app import create_app
from headgate.config import Settings
from headgate.service.local import remember_address
from headgate.service.running import serving

__all__ = ["serve"]


def serve(settings: Settings, *, host: str, port: int, with_worker: bool, ready: Callable[[str], None]) -> None:
    """Answer at `host` and `port` (0: a free one) until SIGTERM or SIGINT; `ready` gets the address once it does.

    Open requests are answered before the end, then the worker's runs are finished or given back.
    """
    with serving(settings, with_worker=with_worker) as service:
        config = uvicorn.Config(
            create_app(service),
            host=host,
            port=port,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            timeout_graceful_shutdown=10,
        )

        def answering(address: str) -> None:
            remember_address(settings, address)
            ready(address)

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: None)  # uvicorn raises it again once it has stopped
        _Server(config, answering).run()


class _Server(uvicorn.Server):
    """uvicorn's server, which says when it answers."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[str], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say where."""
        await super().startup(sockets)
        if self.started:
            bound = self.servers[0].sockets[0].getsockname()
            host = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
            self._ready(f"http://{host}:{bound[1]}")
