"""Somebody in front of a browser that keeps cookies and sends forms, for tests of the console's pages."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from pathlib import Path
from typing import Any

import httpx

from headgate.auth import LOCAL_USER, new_code, sha256
from headgate.model.orgs import Client
from headgate.model.resources import now_ms
from tests.integration.face import Face, serving


class Visitor:
    """A browser's cookies and forms, without its scripts."""

    def __init__(self, face: Face) -> None:
        self.face = face
        self.base = str(face.http.base_url).rstrip("/")
        self.http = httpx.Client(base_url=self.base, timeout=30)
        self._csrf = self._sandbox = ""
        self._others: list[Visitor] = []

    def other(self) -> "Visitor":
        """Somebody else at the same service, not signed in."""
        self._others.append(Visitor(self.face))
        return self._others[-1]

    def close(self) -> None:
        """Close this one's connections, and those of the others."""
        self.http.close()
        for one in self._others:
            one.close()

    def get(self, path: str, **headers: str) -> httpx.Response:
        """The answer to a page's address; redirects are not followed."""
        answer = self.http.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        self._csrf = _meta(answer.text, "csrf-token") or self._csrf
        self._sandbox = _meta(answer.text, "sandbox") or self._sandbox
        return answer

    def page(self, path: str) -> str:
        """The text of a page that is there."""
        answer = self.get(path)
        assert answer.status_code == 200, (answer.status_code, answer.headers.get("location"), answer.text)
        return answer.text

    def post(self, path: str, form: dict[str, Any] | None = None, **headers: str) -> httpx.Response:
        """The answer to a form of the page that was last seen."""
        hidden = {"csrf": self._csrf, "in_sandbox": self._sandbox}
        sent = {"origin": self.base, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return self.http.post(path, data={**hidden, **(form or {})}, headers=sent)

    def sign_in(self, user: str = LOCAL_USER, client_id: str = "") -> "Visitor":
        """Sign in as a person, by a code."""
        answer = self.post("/sign-in", {"code": code_of(self.face, user, client_id)})
        assert answer.status_code == 303, answer.text
        return self


def code_of(face: Face, user: str = LOCAL_USER, client_id: str = "") -> str:
    """A person's sign-in code."""
    client = face.store.tenants.client(client_id or face.credentials.client_id)
    assert isinstance(client, Client)
    code = new_code()
    face.store.tenants.add_code(sha256(code), client, user, expires_at=now_ms() + 60_000)
    return code


@contextmanager
def visiting(folder: Path, **more: Any) -> Iterator[Visitor]:
    """A service with a console, and the local user signed in to it."""
    with serving(folder, console=True, **more) as face:
        visitor = Visitor(face)
        try:
            yield visitor.sign_in()
        finally:
            visitor.close()


def _meta(html: str, name: str) -> str:
    found = re.search(rf'<meta name="{name}" content="([^"]*)"', html)
    return unescape(found[1]) if found else ""
