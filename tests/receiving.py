"""A receiver of webhooks on a socket of this machine, for tests."""

import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

Json = dict[str, Any]


@dataclass
class Receiver:
    """What was posted, and what is answered next: a status, or None to close the connection without one.

    `challenged` says how a challenge is answered: with the value as a `text`, as `json`, or with something `else`, or
    by a `redirect`.
    """

    address: str = ""
    answers: list[int | None] = field(default_factory=list)
    challenged: str = "text"
    posts: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    seconds: float = 0.0  # that pass before an answer

    @property
    def events(self) -> list[Json]:
        return [json.loads(body) for _, body in self.posts]

    def wait(self, count: int) -> None:
        end = time.monotonic() + 20
        while len(self.posts) < count:
            assert time.monotonic() < end, f"only {len(self.posts)} of {count} came"
            time.sleep(0.01)


@contextmanager
def receiving(port: int = 0, tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """A receiver at a free port, or this one; it speaks TLS if it is given what to speak it by."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            receiver.asked.append(self.path)
            if receiver.challenged == "redirect":
                return self._answer(302, b"")
            challenge = parse_qs(urlsplit(self.path).query)["challenge"][0]
            known = {"text": challenge, "json": json.dumps({"challenge": challenge})}
            return self._answer(200, known.get(receiver.challenged, "hello").encode())

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            receiver.posts.append(({name.lower(): value for name, value in self.headers.items()}, body))
            time.sleep(receiver.seconds)
            status = receiver.answers.pop(0) if receiver.answers else 204
            if status is not None:
                self._answer(status, b"")

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", f"{receiver.address}/elsewhere?challenge=followed")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        receiver.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()


def verified(secret: str, headers: dict[str, str], body: bytes) -> bool:
    """Whether a post is signed as docs/how-to/webhooks.md says, by the code that it says."""
    page = (Path(__file__).parents[1] / "docs/how-to/webhooks.md").read_text()
    names: dict[str, Any] = {}
    exec(page.partition("```python\n")[2].partition("```")[0], names)  # noqa: S102 - the example is our own
    return bool(names["verified"](secret, headers, body))
