"""Reaches ClickHouse by its HTTP interface, whose results come as Arrow streams; it needs no library."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import httpx
import pyarrow as pa

from headgate.errors import (
    HeadgateError,
    SourceAccessDenied,
    SourceError,
    SourceObjectMissing,
    SourceUnreachable,
)
from headgate.sources.sql.batches import sliced
from headgate.sources.sql.clickhouse.address import Address
from headgate.sources.sql.http import Calls

__all__ = ["ClickHouseDriver"]

_ENDED = b"\xff\xff\xff\xff\x00\x00\x00\x00"
_BY_CODE: Mapping[int, type[SourceError]] = {
    **dict.fromkeys((192, 193, 194, 195, 516, 497, 291), SourceAccessDenied),
    **dict.fromkeys((60, 81, 47, 16, 36), SourceObjectMissing),
    **dict.fromkeys((202, 159, 160, 209, 210, 203, 241, 242, 252, 364, 394, 425, 439, 999), SourceUnreachable),
}
_CODE = re.compile(r"Code: ([0-9]+)\. DB::Exception: (.*)", re.DOTALL)


class ServerRefused(Exception):
    """ClickHouse's own words about a query that it did not answer, or not to its end."""


class ClickHouseSession:
    """Queries of one user, which the server itself keeps from writing because they are asked by GET."""

    def __init__(self, calls: Calls, address: Address) -> None:
        self._calls, self._address = calls, address
        self._id: str | None = None

    def rows(self, query: str) -> Sequence[Sequence[Any]]:
        """The whole answer."""
        rows: list[Sequence[Any]] = []
        with self._answer(query) as reader:
            for batch in reader:
                rows += zip(*(column.to_pylist() for column in batch.columns), strict=True)
        return rows

    def batches(self, query: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:  # noqa: ARG002 - the server's own
        """The answer in the blocks that the server makes."""
        with self._answer(query) as reader:
            yield from sliced(reader)

    def cancel(self) -> None:
        """Kill the query."""
        if (id_ := self._id) is not None:
            with self._asked("POST", f"KILL QUERY WHERE query_id = '{id_}' ASYNC", {}) as answer:
                answer.read()

    def close(self) -> None:
        """Let the connections go; whatever is being read ends."""
        self._calls.close()

    @contextmanager
    def _answer(self, query: str) -> Iterator[pa.RecordBatchReader]:
        self._id = str(uuid4())
        try:
            with self._asked("GET", f"{query} FORMAT ArrowStream", {"query_id": self._id}) as answer:
                body = _Body(answer)
                with pa.ipc.open_stream(body) as reader:
                    yield reader
                body.complete()
        except pa.ArrowInvalid as error:
            # A server that fails half way writes its words where the next block would be.
            raise ServerRefused(f"the answer broke off: {error}") from None
        finally:
            self._id = None

    @contextmanager
    def _asked(self, method: str, query: str, more: Mapping[str, str]) -> Iterator[httpx.Response]:
        said = {"database": self._address.database, **more}
        if method == "GET":
            said["query"] = query
        with self._calls.call(
            method,
            "/",
            query=said,
            body="" if method == "GET" else query,
            auth=(self._address.user, self._address.password),
        ) as answer:
            if answer.status_code != 200:
                raise ServerRefused(answer.read()[:4000].decode(errors="replace"))
            yield answer


class _Body:
    """An answer's body as a file, which knows whether the stream in it was ended."""

    closed = False

    def __init__(self, answer: httpx.Response) -> None:
        self._parts = answer.iter_bytes()
        self._waiting = bytearray()
        self._last = b""

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes; fewer at the end only."""
        while size < 0 or len(self._waiting) < size:
            part = next(self._parts, None)
            if part is None:
                break
            self._waiting += part
        size = len(self._waiting) if size < 0 else size
        found = bytes(self._waiting[:size])
        del self._waiting[:size]
        self._last = (self._last + found)[-len(_ENDED) :]
        return found

    def close(self) -> None:
        """As files have it."""

    def complete(self) -> None:
        """Raises ServerRefused when the body ended before the stream did, or went on behind it."""
        rest = self.read()
        if self._last != _ENDED or (rest and rest != _ENDED):
            words = rest.decode(errors="replace").strip("\0\xff \n")
            raise ServerRefused(words[:4000] or "the answer broke off")


class ClickHouseDriver:
    """One ClickHouse, reached at the addresses that its host was judged by."""

    def __init__(self, address: Address, reached: Sequence[str]) -> None:
        self._address, self._reached = address, reached

    @property
    def secrets(self) -> Sequence[str]:
        """The password's spellings."""
        return self._address.secrets

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """What is raised on the way."""
        return (httpx.HTTPError, ServerRefused, OSError)

    def connect(self) -> ClickHouseSession:
        """A session; what it asks first shows whether it is let in."""
        address = self._address
        calls = Calls("ClickHouse", address.host, address.port, self._reached, encrypted=address.encrypted)
        return ClickHouseSession(calls, address)

    def translate(self, error: Exception) -> HeadgateError:
        """The error of our tree, by ClickHouse's number."""
        if isinstance(error, HeadgateError):
            return error
        text = " ".join(str(error).split())
        if isinstance(error, httpx.HTTPError):
            return SourceUnreachable(f"ClickHouse: {text or type(error).__name__}")
        if found := _CODE.search(text):
            return _BY_CODE.get(int(found[1]), SourceError)(f"ClickHouse: {found[2]}")
        broken = isinstance(error, ServerRefused) and "broke off" in text
        return (SourceUnreachable if broken else SourceError)(f"ClickHouse: {text}")
