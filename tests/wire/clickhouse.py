"""ClickHouse's HTTP interface: a statement in the body, a result in the form that it or its header asks for."""

import base64
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.wire import HttpWire, Refusal, ipc


class ClickHouse(HttpWire):
    """A ClickHouse that knows one password, and answers in the form ArrowStream."""

    def __init__(self, answer: Any, password: str = "s3cret") -> None:
        super().__init__(answer)
        self.password = password
        self.asked: list[dict[str, str]] = []
        self.methods: list[str] = []

    def respond(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        query = {key: values[-1] for key, values in parse_qs(urlsplit(path).query, keep_blank_values=True).items()}
        statement = (query.pop("query", "") + body.decode()).strip()
        self.asked.append(query)
        self.methods.append(method)
        user, _, password = base64.b64decode(headers.get("authorization", "Basic Og==")[6:]).decode().partition(":")
        if password != self.password:
            return self._refusal(Refusal(516, f"{user}: Authentication failed: password is incorrect"), 403)
        if statement.startswith("KILL QUERY"):
            self.cancelled.set()
            self.statements.append(statement)
            return 200, {}, b""
        if not statement:
            return 200, {}, b"Ok.\n"
        form, _, name = statement.rpartition("FORMAT ")
        assert name.strip() == "ArrowStream", statement
        try:
            return 200, {"X-ClickHouse-Timezone": "UTC"}, ipc(self.ask(form.strip()))
        except Refusal as refusal:
            return self._refusal(refusal, 404)

    def _refusal(self, refusal: Refusal, status: int) -> tuple[int, dict[str, str], bytes]:
        words = f"Code: {refusal.code}. DB::Exception: {refusal.words}. (REFUSED) (version 26.9.1.1 (official build))"
        return status, {"X-ClickHouse-Exception-Code": str(refusal.code)}, words.encode()
