"""The asynchronous client, driven from tests that are written once for both."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

from headgate import AsyncClient, Client
from headgate.client.asking import Group

__all__ = ["client_of"]


@contextmanager
def client_of(kind: str, credentials: dict[str, Any], **options: Any) -> Iterator[Any]:
    """A `sync` client, or an `async` one whose answers are awaited and whose iterators are read."""
    if kind == "sync":
        with Client.of(credentials, **options) as client:
            yield client
        return
    with asyncio.Runner() as runner:
        awaited = AsyncClient.of(credentials, **options)
        try:
            yield _Awaited(awaited, runner)
        finally:
            runner.run(awaited.aclose())


class _Awaited:
    """An object of the asynchronous client, as the same object of the other one would be."""

    def __init__(self, inner: Any, runner: asyncio.Runner) -> None:
        self._inner, self._runner = inner, runner

    def __getattr__(self, name: str) -> Any:
        return self._shown(getattr(self._inner, name))

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        if callback := named.get("on_progress"):
            named["on_progress"] = lambda run: callback(self._shown(run))
        return self._shown(self._inner(*arguments, **named))

    def _shown(self, found: Any) -> Any:
        if inspect.isawaitable(found):
            return self._shown(self._runner.run(_awaited(found)))
        if isinstance(found, AsyncIterator):
            return self._read(found)
        if callable(found) or isinstance(found, Group):
            return _Awaited(found, self._runner)
        return found

    def _read(self, items: AsyncIterator[Any]) -> Iterator[Any]:
        nothing = object()
        try:
            while (item := self._runner.run(_awaited(anext(items, nothing)))) is not nothing:
                yield self._shown(item)
        finally:
            self._runner.run(_awaited(items.aclose()))  # type: ignore[attr-defined]


async def _awaited(found: Any) -> Any:
    return await found
