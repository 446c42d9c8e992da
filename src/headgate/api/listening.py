"""How requests are read off a socket, the same for the service and for its tests."""

import json
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["listening"]

_LONGEST_HEAD = 256 * 1024  # bytes; `Envelope` refuses far less, but in JSON
_SENTENCE = "The request is not valid HTTP, or its header is too large."


def listening(app: ASGIApp, **more: Any) -> uvicorn.Config:
    """The server's configuration. What proxies say about a request is not believed: nobody vouches for them."""
    return uvicorn.Config(
        app,
        http=_Http,
        ws="none",
        lifespan="off",
        server_header=False,
        proxy_headers=False,
        h11_max_incomplete_event_size=_LONGEST_HEAD,
        timeout_keep_alive=75,  # longer than clients keep an idle connection, or they send into a closed one
        **more,
    )


class _Http(H11Protocol):
    """uvicorn's protocol, which answers in JSON what is no request at all."""

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - the signature is uvicorn's
        """Answer and close."""
        body = json.dumps({"error_code": "400000", "message": _SENTENCE}).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        for event in (h11.Response(status_code=400, headers=headers), h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
