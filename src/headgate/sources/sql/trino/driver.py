"""Reaches Trino by its HTTP protocol; it needs no library."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import httpx
import pyarrow as pa

from headgate.errors import (
    HeadgateError,
    SourceAccessDenied,
    SourceError,
    SourceObjectMissing,
    SourceUnreachable,
)
from headgate.sources.sql.http import Calls
from headgate.sources.sql.rows import batch_of
from headgate.sources.sql.trino.address import Address

__all__ = ["TrinoDriver"]

_BUSY = (429, 502, 503, 504)
_LONGEST_PAGE = 256 << 20  # Trino makes pages of some 16 MB
_PATIENCE = 6  # times that a busy coordinator is asked again, each after a longer pause
_BY_NAME: Mapping[str, type[SourceError]] = {
    **dict.fromkeys(("PERMISSION_DENIED", "ACCESS_DENIED"), SourceAccessDenied),
    **dict.fromkeys(
        ("TABLE_NOT_FOUND", "COLUMN_NOT_FOUND", "SCHEMA_NOT_FOUND", "CATALOG_NOT_FOUND"), SourceObjectMissing
    ),
    **dict.fromkeys(("MISSING_SCHEMA_NAME", "MISSING_CATALOG_NAME"), SourceObjectMissing),
}
_PASSING = ("INSUFFICIENT_RESOURCES", "EXTERNAL")


class QueryFailed(Exception):
    """Trino's own words about a query, its name for what went wrong, and the kind of it."""

    def __init__(self, words: str, name: str = "", kind: str = "") -> None:
        super().__init__(words)
        self.name, self.kind = name, kind


class TrinoSession:
    """Queries of one user. Nothing keeps them from writing but what they are."""

    def __init__(self, calls: Calls, address: Address) -> None:
        self._calls, self._address = calls, address
        self._next: str | None = None

    def rows(self, query: str) -> Sequence[Sequence[Any]]:
        """The whole answer."""
        return [row for page in self._pages(query) for row in page]

    def batches(self, query: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """The answer in the pages that Trino makes."""
        for page in self._pages(query):
            yield batch_of(page, schema)

    def cancel(self) -> None:
        """Have Trino stop the query."""
        if (path := self._next) is not None:
            with self._call("DELETE", path) as answer:
                answer.read()

    def close(self) -> None:
        """Let the connections go."""
        self._calls.close()

    def _pages(self, query: str) -> Iterator[Sequence[Sequence[Any]]]:
        found = self._said("POST", "/v1/statement", query)
        try:
            while True:
                if found.get("error"):
                    error = found["error"]
                    raise QueryFailed(error.get("message", ""), error.get("errorName", ""), error.get("errorType", ""))
                # It goes on where it came from, whatever host the answer names.
                self._next = urlsplit(found["nextUri"]).path if found.get("nextUri") else None
                if found.get("data"):
                    yield found["data"]
                if self._next is None:
                    return
                found = self._said("GET", self._next)
        finally:
            self.cancel()
            self._next = None

    def _said(self, method: str, path: str, body: str = "") -> dict[str, Any]:
        for attempt in range(_PATIENCE):
            with self._call(method, path, body) as answer:
                text = _body(answer)
                if answer.status_code == 200:
                    return _page(text)
                if answer.status_code in (401, 403):
                    raise QueryFailed(text[:400].decode(errors="replace") or "not let in", "ACCESS_DENIED")
                if answer.status_code not in _BUSY:
                    raise QueryFailed(f"the answer has the status {answer.status_code}: {text[:400]!r}")
            time.sleep(0.1 * 2**attempt)
        raise QueryFailed(f"busy, by status {answer.status_code}", "", "INSUFFICIENT_RESOURCES")

    def _call(self, method: str, path: str, body: str = "") -> Any:
        address = self._address
        headers = {
            "X-Trino-User": address.user,
            "X-Trino-Source": "headgate",
            "X-Trino-Catalog": address.catalog,
            "X-Trino-Time-Zone": "UTC",
            "X-Trino-Client-Capabilities": "PARAMETRIC_DATETIME",
        }
        if address.schema:
            headers["X-Trino-Schema"] = address.schema
        auth = (address.user, address.password) if address.password else None
        return self._calls.call(method, path, headers=headers, body=body, auth=auth)


def _body(answer: httpx.Response) -> bytes:
    """The whole of `answer`, unpacked. Raises QueryFailed for what no page of Trino's comes to."""
    parts, size = list[bytes](), 0
    for part in answer.iter_bytes():
        parts.append(part)
        size += len(part)
        if size > _LONGEST_PAGE:
            raise QueryFailed(f"a page has more than {_LONGEST_PAGE} bytes")
    return b"".join(parts)


def _page(text: bytes) -> dict[str, Any]:
    """One page of an answer. Raises QueryFailed for what is none, so that it is not taken for an empty last one."""
    try:
        found = json.loads(text)
    except RecursionError:
        found = None
    if (
        not isinstance(found, dict)
        or not {"id", "stats"} <= found.keys()
        or not isinstance(found.get("nextUri"), str | None)
        or not isinstance(found.get("data"), list | None)
        or not isinstance(found.get("error"), dict | None)
    ):
        raise QueryFailed(f"it gives an answer that is none of Trino's: {text[:200]!r}")
    return found


class TrinoDriver:
    """One Trino, reached at the addresses that its host was judged by."""

    def __init__(self, address: Address, reached: Sequence[str]) -> None:
        self._address, self._reached = address, reached

    @property
    def secrets(self) -> Sequence[str]:
        """The password's spellings."""
        return self._address.secrets

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """What is raised on the way."""
        return (httpx.HTTPError, QueryFailed, ValueError)

    def connect(self) -> TrinoSession:
        """A session; what it asks first shows whether it is let in."""
        address = self._address
        return TrinoSession(
            Calls("Trino", address.host, address.port, self._reached, encrypted=address.encrypted), address
        )

    def translate(self, error: Exception) -> HeadgateError:
        """The error of our tree, by Trino's name for it."""
        if isinstance(error, HeadgateError):
            return error
        text = f"Trino: {' '.join(str(error).split()) or type(error).__name__}"
        if isinstance(error, httpx.HTTPError):
            return SourceUnreachable(text)
        if isinstance(error, QueryFailed):
            passing = SourceUnreachable if error.kind in _PASSING else SourceError
            return _BY_NAME.get(error.name, passing)(text)
        return SourceError(text)
