"""What all groups of methods share: asking the service, and being methods of both clients.

    @call
    def get(self, id: str) -> Steps[Flow]: ...

is `client.flows.get(id)` on the one client and `await client.flows.get(id)` on the other, with the types that each has.
"""

import functools
import json
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from itertools import count
from typing import Any, ClassVar, Concatenate, Generic, ParamSpec, Self, TypeVar, cast, overload
from urllib.parse import quote

import httpx

from headgate.client.errors import Invalid, NotFound, RequestFailed, Unavailable, refusal
from headgate.client.shapes import Changes, Id
from headgate.client.steps import Async, Exchange, Page, Pause, Steps, Stream, Sync
from headgate.model.addresses import FLOW_SERVICE, HEADGATE

__all__ = ["D", "Group", "answered", "call", "given", "id_of", "only", "operations", "pages"]

_PASSING = frozenset({429, 502, 503, 504})
_PATIENCE = 60.0  # seconds; who asks for a longer wait is not waited for
_FIRST, _LONGEST = 0.2, 5.0  # seconds between tries
_FEW = 5  # things of one name that an error names
_PAGE, _MOST = 100, 1000  # items of a page: asked for where nobody says, and at most

T = TypeVar("T")
One = TypeVar("One", bound=Id)
P = ParamSpec("P")
D = TypeVar("D", bound=Sync | Async)


class Group(Generic[D]):
    """What has methods that are steps: `D` says who carries them out."""

    _path: ClassVar[str]  # of the collection

    def __init__(self, driver: D) -> None:
        self._driver = driver

    def _one(self, id: Id, rest: str = "", *, of: str | None = None) -> str:
        """The address of one of the collection, or of another one. Raises NotFound for what would leave it."""
        if not id_of(id).strip("."):
            raise NotFound(f"{id!r} is no id.", status=404)
        return f"{of or self._path}/{quote(id_of(id), safe='')}{rest}"

    def _ask(self, method: str, path: str, **sent: Any) -> Steps[Any]:
        """One call; the answer's JSON, None when it has no body. Raises RequestFailed."""
        answer = yield from self._send(method, path, **sent)
        try:
            return answer.json() if answer.content else None
        except (json.JSONDecodeError, UnicodeDecodeError):
            raise RequestFailed(
                f"{answer.url} answers, but not in JSON. Is it the address of a Headgate service?",
                status=answer.status_code,
            ) from None

    def _send(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Steps[httpx.Response]:
        """One call; the whole answer. Raises RequestFailed."""
        asked = given(**(params or {}))
        request = self._driver.http.build_request(method, path, json=body, params=asked, headers=headers)
        answer: httpx.Response = yield from answered(self._driver, request)
        return answer

    def _by_link(
        self,
        path: str,
        params: Mapping[str, Any],
        limit: int | None,
        made: Callable[[Any], T] = lambda item: cast(Any, item),
    ) -> Steps[Page[T]]:
        """The pages of a listing that has links, at most `limit` items, each as `made` of what is answered."""
        if limit is not None:
            if limit <= 0:
                return Page([])
            params = {**params, "limit": min(limit, _MOST)}
        page = yield from self._ask("GET", path, params=params)
        found = [made(item) for item in page["items"][:limit]]
        link, left = page["_links"].get("next"), None if limit is None else limit - len(found)
        if link is None or left == 0:
            return Page(found)
        url = httpx.URL(link["href"])
        base = "" if url.path.startswith(f"{HEADGATE}/") else FLOW_SERVICE  # whose links are relative to it
        return Page(found, self._by_link(base + url.path, dict(url.params), left, made))

    def _by_offset(
        self,
        items: Callable[[Any], list[T]],
        params: Mapping[str, Any],
        limit: int | None,
        *,
        start: int = 0,
        counter: str = "start",
    ) -> Steps[Page[T]]:
        """The pages of a listing that counts its items, at most `limit`; a page that is not full is the last."""
        size = _PAGE if limit is None else min(_PAGE, limit - start)
        if size <= 0:
            return Page([])
        answer = yield from self._ask("GET", self._path, params={**params, "limit": size, counter: start})
        found = items(answer)[:size]
        if len(found) < size:
            return Page(found)
        return Page(found, self._by_offset(items, params, limit, start=start + size, counter=counter))


G = TypeVar("G", bound=Group[Any])


class call(Generic[G, P, T]):
    """A method of steps: answers on the one client, is awaited on the other."""

    def __init__(self, steps: Callable[Concatenate[G, P], Steps[T]]) -> None:
        self.steps = steps
        functools.update_wrapper(cast(Any, self), steps)

    @overload
    def __get__(self, group: Group[Sync], owner: object = None) -> Callable[P, T]: ...
    @overload
    def __get__(self, group: Group[Async], owner: object = None) -> Callable[P, Coroutine[Any, Any, T]]: ...
    @overload
    def __get__(self, group: None, owner: object = None) -> Self: ...
    def __get__(self, group: Any, owner: object = None) -> Any:
        return self if group is None else _bound(self.steps, group, group._driver.carry_out)


class pages(Generic[G, P, T]):
    """A method of pages: an iterator of their items on the one client, an asynchronous one on the other."""

    def __init__(self, steps: Callable[Concatenate[G, P], Steps[Page[T]]]) -> None:
        self.steps = steps
        functools.update_wrapper(cast(Any, self), steps)

    @overload
    def __get__(self, group: Group[Sync], owner: object = None) -> Callable[P, Iterator[T]]: ...
    @overload
    def __get__(self, group: Group[Async], owner: object = None) -> Callable[P, AsyncIterator[T]]: ...
    @overload
    def __get__(self, group: None, owner: object = None) -> Self: ...
    def __get__(self, group: Any, owner: object = None) -> Any:
        return self if group is None else _bound(self.steps, group, group._driver.each)


def _bound(steps: Callable[..., Any], group: Any, carried_out: Callable[[Any], Any]) -> Callable[..., Any]:
    method = functools.partial(steps, group)  # whose signature is that of the bound method

    @functools.wraps(steps)
    def bound(*arguments: Any, **named: Any) -> Any:
        return carried_out(method(*arguments, **named))

    bound.__wrapped__ = method
    return bound


def answered(
    driver: Sync | Async, request: httpx.Request, *, stream: bool = False, tries: int | None = None
) -> Steps[Any]:
    """The response to a request, or a Stream of its lines. Raises RequestFailed.

    What may only be sent once is sent once; a GET, and what carries an Idempotency-Key, is sent again while the service
    does not answer or says that it cannot just now, as often as the client is to or `tries` says.
    """
    keyed = "Idempotency-Key" in request.headers
    if tries is None:
        tries = driver.retries if keyed or request.method == "GET" else 0
    for tried in count():
        pause = min(_LONGEST, _FIRST * 2**tried) * random.uniform(0.5, 1)  # noqa: S311 - no secret
        try:
            outcome = yield Exchange(request, stream)
        except httpx.TransportError as error:
            # A slow answer is not made faster by asking twice; but what has a key may have been stored.
            slow = isinstance(error, httpx.TimeoutException) and not keyed
            if tried >= tries or slow or isinstance(error, httpx.UnsupportedProtocol):
                raise _unreached(request, error) from error
        else:
            answer = outcome.response if isinstance(outcome, Stream) else outcome
            if driver.on_answer is not None:
                driver.on_answer(answer)
            if answer.is_success:
                return outcome
            failure = refusal(answer)
            if tried >= tries or answer.status_code not in _PASSING or failure.retry_after > _PATIENCE:
                raise failure
            pause = failure.retry_after or pause
        yield Pause(pause)


def given(**members: Any) -> dict[str, Any]:
    """The members that are not None."""
    return {name: value for name, value in members.items() if value is not None}


def id_of(of: Id) -> str:
    """The id itself."""
    return of if isinstance(of, str) else of["id"]


def only(found: Sequence[One], noun: str, name: str) -> One:
    """The one that was found by this name. Raises Invalid where there are several, NotFound where there is none."""
    if not found:
        raise NotFound(f"There is no {noun} {name!r} in this sandbox.", status=404)
    if len(found) > 1:
        ids = ", ".join(id_of(one) for one in found[:_FEW])
        raise Invalid(
            f"Several {noun}s are called {name!r}; name one by its id. The newest are {ids}.",
            status=400,
        )
    return found[0]


def operations(changes: Changes) -> Sequence[Mapping[str, Any]]:
    """`changes` as JSON Patch operations: `add` sets a member, whether it was there or not."""
    if not isinstance(changes, Mapping):
        return changes
    return [
        {"op": "add", "path": name if name.startswith("/") else f"/{name}", "value": value}
        for name, value in changes.items()
    ]


def _unreached(request: httpx.Request, error: httpx.TransportError) -> Unavailable:
    place = request.url.copy_with(raw_path=b"/")
    if isinstance(error, httpx.TimeoutException):
        return Unavailable(f"{place} did not answer in time ({type(error).__name__}).")
    return Unavailable(f"{place} does not answer ({error}). Is `headgate serve` running?")
