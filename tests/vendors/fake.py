"""The harness: what a fake of a vendor's API says of itself, and one server for all of them.

A fake is a module with `VENDOR`: a `Vendor`, whose `routes` answer as the vendor does and refuse as it does, by raising
`Refused` with the vendor's own error body. Requests are kept in `fake.seen`; `fake.fail()` has some answered otherwise.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from headgate.api.listening import listening
from headgate.model.windows import Window
from headgate.sources import ConnectionSpec, connection_specs

__all__ = ["Fake", "Refused", "Seen", "Vendor", "at", "epoch", "moments", "route", "served"]


def at(text: str) -> datetime:
    """A time in UTC, of ISO text without a zone."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def epoch(text: str) -> int:
    """The same in seconds."""
    return int(at(text).timestamp())


@dataclass(frozen=True)
class Seen:
    """A request that came."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body) if self.body else None

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode()))


class Refused(Exception):
    """The vendor refuses a request, with a body of its own."""

    def __init__(self, status: int, body: Any, **headers: str) -> None:
        super().__init__(status, body)
        self.answer = JSONResponse(body, status, {name.replace("_", "-"): value for name, value in headers.items()})


@dataclass
class Vendor:
    """A fake, and what a run over `window` must land of it.

    `times` gives every record's delta value by its key: those in the window land; None stands for a record that has no
    delta value, or none that can be read, which is a bad record. `asked` is called with the requests of that run.
    `params` are those of the source connection; `delta` None for the manifest's own.
    """

    spec: str
    auth_spec: str
    auth: Mapping[str, Any]
    params: Mapping[str, Any]
    key: str
    times: Mapping[Any, datetime | None]
    window: tuple[str, str]
    routes: Sequence[BaseRoute]
    asked: Callable[[Sequence[Seen]], None]
    data: str
    """The path, or its beginning, that records are asked for at."""

    delta: str | None = None
    wrong_auth: Mapping[str, Any] = field(default_factory=dict)
    """What of `auth` to replace so that the vendor refuses it; empty where it refuses nothing."""

    listed: bool = True
    """Whether exploring lists the stream; not where a source connection describes it."""

    renews: bool = False
    """Whether a token that is refused in mid-run is renewed."""

    reset: Callable[[], None] = lambda: None
    """Forgets tokens, jobs and whatever else the fake has made."""

    empty_window: tuple[str, str] = ("2001-01-01T00:00:00", "2001-01-02T00:00:00")
    check_row: Callable[[Mapping[str, Any]], None] = lambda _: None
    """Looks at the landed row of the first key."""

    @property
    def catalogue(self) -> ConnectionSpec:
        return next(spec for spec in connection_specs() if spec.name == self.spec)

    @property
    def expected(self) -> set[Any]:
        """The keys of the records that lie in the window."""
        start, end = map(at, self.window)
        return {key for key, time_ in self.times.items() if time_ is not None and start <= time_ < end}

    @property
    def bad(self) -> set[Any]:
        return {key for key, time_ in self.times.items() if time_ is None}

    @property
    def span(self) -> Window:
        start, end = (int(at(text).timestamp() * 1000) for text in self.window)
        return Window(start, end)


class Fake:
    """A vendor's fake, as it is served."""

    def __init__(self, vendor: Vendor) -> None:
        self.vendor = vendor
        self.seen: list[Seen] = []
        self.address = ""
        self._faults: list[tuple[str, int, int, Mapping[str, str], bytes]] = []
        self._app = Starlette(routes=list(vendor.routes), exception_handlers={Refused: _refused})

    def forget(self) -> None:
        """Begin anew: nothing was seen, nothing fails."""
        self.seen.clear()
        self._faults.clear()
        self.vendor.reset()

    def fail(self, status: int, *, on: int = 1, path: str | None = None, body: bytes = b"{}", **headers: str) -> None:
        """Answer the `on`th request from now below `path`, which is where records are, with `status` instead."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        self._faults.append((path or self.vendor.data, on, status, sent, body))

    @property
    def asked(self) -> list[Seen]:
        """The requests for records."""
        return [seen for seen in self.seen if seen.path.startswith(self.vendor.data)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        body = await request.body()
        path = request.url.path.removeprefix(scope.get("root_path", ""))
        headers = dict(request.headers)
        self.seen.append(Seen(request.method, path, dict(request.query_params), headers, body))
        fault = self._fault(path)
        app: ASGIApp = fault if fault is not None else self._app

        async def again() -> Any:
            return {"type": "http.request", "body": body, "more_body": False}

        await app(scope, again, send)

    def _fault(self, path: str) -> Response | None:
        for place, (below, on, status, headers, body) in enumerate(self._faults):
            if not path.startswith(below):
                continue
            if on > 1:
                self._faults[place] = (below, on - 1, status, headers, body)
                continue
            del self._faults[place]
            return Response(body, status, headers, "application/json")
        return None


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return error.answer


def route(path: str, answer: Callable[[Request, bytes], Any], method: str = "GET") -> Route:
    """A route that `answer` gives the JSON, or the response, of; it is given the request and its body."""

    async def endpoint(request: Request) -> Response:
        found = answer(request, await request.body())
        return found if isinstance(found, Response) else JSONResponse(found)

    return Route(path, endpoint, methods=[method])


def moments(count: int, start: str, end: str) -> list[datetime]:
    """Times for `count` records: just before `start`, at it, spread over the window with equal ones in the middle, just
    before `end`, and at `end`. In whole seconds."""
    first, last = at(start), at(end)
    step = (last - first) / (count - 4)
    inside = [(first + step * place).replace(microsecond=0) for place in range(count - 4)]
    middle = len(inside) // 2
    inside[middle - 1] = inside[middle] = inside[middle + 1]
    second = (first - at("1970-01-01")).resolution * 1_000_000
    return [first - second, first, *inside[1:], last - second, last, last]


@contextmanager
def served(vendors: Sequence[Vendor]) -> Iterator[dict[str, Fake]]:
    """Every fake, at its own path of one server, by the name of its spec and, where one has several, of its stream."""
    fakes = {_name(vendor): Fake(vendor) for vendor in vendors}
    app = Starlette(routes=[Mount(f"/{name}", app=fake) for name, fake in fakes.items()])
    server = uvicorn.Server(listening(app, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        for name, fake in fakes.items():
            fake.address = f"http://127.0.0.1:{port}/{name}"
        yield fakes
    finally:
        server.should_exit = True
        thread.join()


def _name(vendor: Vendor) -> str:
    return f"{vendor.spec}-{vendor.data.strip('/').replace('/', '-')}"
