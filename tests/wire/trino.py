"""Trino's HTTP protocol: a statement is posted, its result is read page by page from the address each answer gives."""

import base64
import json
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa

from tests.wire import HttpWire, Refusal

PAGE = 2
"""Rows of a page."""


class Trino(HttpWire):
    """A Trino coordinator. `elsewhere` is the origin that its answers lead to, its own when it is None."""

    def __init__(self, answer: Any, elsewhere: str | None = None) -> None:
        super().__init__(answer)
        self.elsewhere = elsewhere
        self.headers: list[dict[str, str]] = []
        self._asked: list[str] = []
        self._results: dict[int, pa.Table] = {}

    def respond(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        self.headers.append(headers)
        if method == "DELETE":
            self.cancelled.set()
            return 204, {}, b""
        if path == "/v1/statement":
            self._asked.append(body.decode())
            return self._json(self._queued(len(self._asked) - 1))
        result, page = (int(part) for part in path.rsplit("/", 2)[1:])
        if result not in self._results:
            try:
                self._results[result] = self.ask(self._asked[result])
            except Refusal as refusal:
                return self._json(self._failed(refusal))
        return self._json(self._page(result, page))

    def _queued(self, number: int) -> dict[str, Any]:
        return {
            "id": f"q{number}",
            "infoUri": f"{self._origin}/ui/{number}",
            "stats": {"state": "QUEUED"},
            "nextUri": f"{self._origin}/v1/statement/queued/{number}/0",
        }

    @property
    def _origin(self) -> str:
        return self.elsewhere or f"http://127.0.0.1:{self.port}"

    def _page(self, number: int, page: int) -> dict[str, Any]:
        table = self._results[number]
        origin = self._origin
        rows = table.slice((page - 1) * PAGE, PAGE) if page else table.slice(0, 0)
        more = page * PAGE < table.num_rows or page == 0
        found = {
            "id": f"q{number}",
            "infoUri": f"{origin}/ui/{number}",
            "columns": [{"name": field.name, **_signature(field.type)} for field in table.schema],
            "stats": {"state": "RUNNING" if more else "FINISHED"},
        }
        if rows.num_rows:
            found["data"] = [list(map(_value, row)) for row in zip(*rows.to_pydict().values(), strict=True)]
        if more:
            found["nextUri"] = f"{origin}/v1/statement/executing/{number}/{page + 1}"
        return found

    def _failed(self, refusal: Refusal) -> dict[str, Any]:
        kind = "INSUFFICIENT_RESOURCES" if refusal.code == "QUERY_QUEUE_FULL" else "USER_ERROR"
        error = {"message": refusal.words, "errorCode": 1, "errorName": refusal.code, "errorType": kind}
        return {"id": "q", "infoUri": "", "stats": {"state": "FAILED"}, "error": error}

    def _json(self, found: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        return 200, {"Content-Type": "application/json"}, json.dumps(found).encode()


def _signature(type_: pa.DataType) -> dict[str, Any]:
    arguments: list[dict[str, Any]] = []
    if pa.types.is_boolean(type_):
        name = "boolean"
    elif pa.types.is_integer(type_):
        name = {8: "tinyint", 16: "smallint", 32: "integer", 64: "bigint"}[type_.bit_width]
    elif pa.types.is_floating(type_):
        name = {32: "real", 64: "double"}[type_.bit_width]
    else:
        assert pa.types.is_string(type_) or pa.types.is_null(type_), f"{type_} is not asked for as text"
        name, arguments = "varchar", [{"kind": "LONG", "value": 2147483647}]
    return {"type": name, "typeSignature": {"rawType": name, "arguments": arguments}}


def _value(value: Any) -> Any:
    if isinstance(value, float) and value != value:
        return "NaN"
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    assert not isinstance(value, date | datetime | Decimal), value
    return value
