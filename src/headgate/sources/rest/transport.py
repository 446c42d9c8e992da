"""Connections that are made only where the outbound policy lets them be, and that another thread can end.

The policy judges every host at the moment a connection is made to it, whatever named it: a connection's parameters, a
link in an answer, a redirect. What is connected to is an address it judged, never the name.
"""

import socket
import ssl
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from typing import Any

import httpcore
import httpx

from headgate.outbound import Outbound

__all__ = ["ERRORS", "Transport"]

ERRORS = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpx.TransportError,
    OSError,
)
"""What a connection that fails raises."""

_CONNECT_SECONDS = 8.0


class Transport(httpx.BaseTransport):
    """What httpx sends by. `cut()` ends all its connections, from any thread."""

    def __init__(self, outbound: Outbound) -> None:
        self._network = _Judged(outbound)
        self._pool = httpcore.ConnectionPool(
            ssl_context=_tls(), max_connections=8, keepalive_expiry=60, network_backend=self._network
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The answer, its body still to be read."""
        assert isinstance(request.stream, httpx.SyncByteStream)  # noqa: S101 - httpx's own transport does
        answer = self._pool.handle_request(
            httpcore.Request(
                method=request.method,
                url=httpcore.URL(
                    scheme=request.url.raw_scheme,
                    host=request.url.raw_host,
                    port=request.url.port,
                    target=request.url.raw_path,
                ),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        body = _Body(answer.stream)
        return httpx.Response(answer.status, headers=answer.headers, stream=body, request=request)

    def cut(self) -> None:
        """End every connection; what waits for one fails at once."""
        self._network.cut()

    def close(self) -> None:
        """Let all connections go."""
        self._pool.close()


class _Body(httpx.SyncByteStream):
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        yield from self._stream

    def close(self) -> None:
        self._stream.close()


class _Judged(httpcore.NetworkBackend):
    def __init__(self, outbound: Outbound) -> None:
        self._outbound = outbound
        self._plain = httpcore.SyncBackend()
        self._open: list[_Connection] = []
        self._cut = False
        self._lock = threading.Lock()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        addresses = self._outbound.judge(host, port)
        if not addresses:
            raise httpcore.ConnectError(f"the host {host!r} is not known")
        share = min(timeout or _CONNECT_SECONDS, _CONNECT_SECONDS) / len(addresses)
        for address in addresses:
            try:
                found = self._plain.connect_tcp(address, port, share, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if address == addresses[-1]:
                    raise
            else:
                return self.kept(found)
        raise AssertionError

    def kept(self, stream: httpcore.NetworkStream) -> "_Connection":
        """`stream`, which is cut with all others."""
        made = _Connection(stream, self)
        with self._lock:
            self._open.append(made)
        if self._cut:
            made.cut()
        return made

    def forget(self, stream: "_Connection") -> None:
        with self._lock, suppress(ValueError):
            self._open.remove(stream)

    def cut(self) -> None:
        self._cut = True
        with self._lock:
            streams = list(self._open)
        for stream in streams:
            stream.cut()


class _Connection(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, network: _Judged) -> None:
        self._stream, self._network = stream, network

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, timeout)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, timeout)

    def close(self) -> None:
        self._network.forget(self)
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        self._network.forget(self)
        return self._network.kept(self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    def cut(self) -> None:
        found = self._stream.get_extra_info("socket")
        if found is not None:
            with suppress(OSError):
                found.shutdown(socket.SHUT_RDWR)


@cache
def _tls() -> ssl.SSLContext:
    return httpx.create_ssl_context()  # the authorities that all other calls of this process go by
