"""Loopback servers that speak as much of a database's wire protocol as its driver needs to read a result.

Each is given a function that answers a statement with an Arrow table or raises `Refusal`, and keeps what it was asked.
They show what a driver is sent and what it makes of a type, and nothing of what the real system would answer.
"""

from __future__ import annotations

import random
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar

import pyarrow as pa

__all__ = ["Answer", "HttpWire", "Refusal", "Wire", "closed_port", "ipc", "serving"]

Answer = Callable[[str], pa.Table]
W = TypeVar("W", bound="Wire")


class Refusal(Exception):
    """What the server says instead of a result, with the number or the state it gives it."""

    def __init__(self, code: int | str, words: str) -> None:
        super().__init__(words)
        self.code, self.words = code, words


class Wire:
    """What every fake server has: the statements it was sent, and how it answers them."""

    port: int

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.statements: list[str] = []
        self.cancelled = threading.Event()

    def ask(self, statement: str) -> pa.Table:
        """The rows of `statement`, which is kept. Raises Refusal."""
        self.statements.append(statement)
        return self._answer(statement)

    def serve(self) -> socketserver.BaseServer:
        """The server, bound to a port of loopback and not yet listening."""
        raise NotImplementedError


class HttpWire(Wire):
    """A fake server behind HTTP: `respond` is given the method, the path with its query, the headers and the body."""

    def respond(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        """The status, headers and body of the answer."""
        raise NotImplementedError

    def serve(self) -> socketserver.BaseServer:
        """An HTTP server of one thread for each connection."""
        wire = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # an answer in one piece: its parts would wait for one another

            def do_GET(self) -> None:
                size = int(self.headers.get("Content-Length") or 0)
                headers = {key.lower(): value for key, value in self.headers.items()}
                status, said, body = wire.respond(self.command, self.path, headers, self.rfile.read(size))
                self.send_response(status)
                for key, value in {**said, "Content-Length": str(len(body))}.items():
                    self.send_header(key, value)
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_DELETE = do_HEAD = do_GET  # noqa: N815

            def log_message(self, *_: Any) -> None:
                return

        return ThreadingHTTPServer(("127.0.0.1", 0), Handler)


@contextmanager
def serving(wire: W) -> Iterator[W]:
    """`wire` at its `port` on loopback, until the context is left."""
    with wire.serve() as server:
        wire.port = _port(server)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield wire
        finally:
            server.shutdown()
            thread.join(5)


def closed_port(*, given_out: bool = True) -> int:
    """A port of loopback where nothing listens; unless it is of those `given_out`, no other test is given it later."""
    while True:
        wanted = 0 if given_out else random.randint(20_000, 32_000)
        try:
            with socketserver.TCPServer(("127.0.0.1", wanted), socketserver.BaseRequestHandler) as server:
                return _port(server)
        except OSError:
            continue


def _port(server: socketserver.BaseServer) -> int:
    address: Any = server.server_address
    return int(address[1])


def ipc(table: pa.Table) -> bytes:
    """The table as an Arrow stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    found: bytes = sink.getvalue().to_pybytes()
    return found
