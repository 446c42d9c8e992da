"""How a method is written once and serves both clients.

A method of the client is a generator: it yields what is to be done (an exchange, a pause) and is sent what came of it.
`Sync` carries such steps out and waits, `Async` awaits.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import AsyncExitStack, ExitStack
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

import httpx

__all__ = ["Async", "Exchange", "Line", "OnAnswer", "Page", "Pause", "Steps", "Stream", "Sync"]

T = TypeVar("T")


class Exchange(NamedTuple):
    """Send a request; what comes of it is the response, read unless it is to be a `Stream`."""

    request: httpx.Request
    stream: bool = False


class Pause(NamedTuple):
    """Let so many seconds pass."""

    seconds: float


class Stream(NamedTuple):
    """A response whose lines are read one by one."""

    response: httpx.Response
    lines: Any


class Line(NamedTuple):
    """Read a line; what comes of it is its text, None at the end."""

    stream: Stream


OnAnswer: TypeAlias = Callable[[httpx.Response], object]
Step: TypeAlias = Exchange | Pause | Line
Steps: TypeAlias = Generator[Step, Any, T]


class Page(NamedTuple, Generic[T]):
    """Some items, and the steps to those that follow."""

    items: list[T]
    next: "Steps[Page[T]] | None" = None


class Sync:
    """Carries steps out, and waits meanwhile. A stream that they open is closed in the end, or by the next one."""

    def __init__(self, *, retries: int, on_answer: OnAnswer | None, **options: Any) -> None:
        self.http = httpx.Client(**options)
        self.retries = retries
        self.on_answer = on_answer

    def carry_out(self, steps: Steps[T]) -> T:
        """What the steps return."""
        with ExitStack() as open_:
            return self._carry_out(steps, open_)

    def each(self, steps: Steps[Page[T]]) -> Iterator[T]:
        """The items of all pages, each page read when it is come to."""
        page: Page[T] = Page([], steps)
        with ExitStack() as open_:
            while page.next is not None:
                page = self._carry_out(page.next, open_)
                yield from page.items

    def _carry_out(self, steps: Steps[T], open_: ExitStack) -> T:
        try:
            step = next(steps)
            while True:
                try:
                    outcome = self._do(step, open_)
                except httpx.TransportError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(outcome)
        except StopIteration as end:
            return end.value

    def _do(self, step: Step, open_: ExitStack) -> Any:
        if isinstance(step, Pause):
            return time.sleep(step.seconds)
        if isinstance(step, Line):
            return next(step.stream.lines, None)
        if not step.stream:
            return self.http.send(step.request)
        open_.close()
        response = self.http.send(step.request, stream=True)
        open_.callback(response.close)
        if not response.is_success:
            response.read()
        return Stream(response, response.iter_lines())


class Async:
    """Carries steps out, and awaits them."""

    def __init__(self, *, retries: int, on_answer: OnAnswer | None, **options: Any) -> None:
        self.http = httpx.AsyncClient(**options)
        self.retries = retries
        self.on_answer = on_answer

    async def carry_out(self, steps: Steps[T]) -> T:
        """What the steps return."""
        async with AsyncExitStack() as open_:
            return await self._carry_out(steps, open_)

    async def each(self, steps: Steps[Page[T]]) -> AsyncIterator[T]:
        """The items of all pages, each page read when it is come to."""
        page: Page[T] = Page([], steps)
        async with AsyncExitStack() as open_:
            while page.next is not None:
                page = await self._carry_out(page.next, open_)
                for item in page.items:
                    yield item

    async def _carry_out(self, steps: Steps[T], open_: AsyncExitStack) -> T:
        try:
            step = next(steps)
            while True:
                try:
                    outcome = await self._do(step, open_)
                except httpx.TransportError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(outcome)
        except StopIteration as end:
            return end.value

    async def _do(self, step: Step, open_: AsyncExitStack) -> Any:
        if isinstance(step, Pause):
            return await asyncio.sleep(step.seconds)
        if isinstance(step, Line):
            return await anext(step.stream.lines, None)
        if not step.stream:
            return await self.http.send(step.request)
        await open_.aclose()
        response = await self.http.send(step.request, stream=True)
        open_.push_async_callback(response.aclose)
        if not response.is_success:
            await response.aread()
        return Stream(response, response.aiter_lines())
