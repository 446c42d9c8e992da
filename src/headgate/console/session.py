"""Who is signed in: a session is sealed into a cookie, and holds what the API's headers would.

It ends with its token, when the person signs out, which alone is kept here, or as soon as the gate does not let the
token in any more; rights are looked up for every request.
"""

import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from headgate.service.service import Service

__all__ = ["Cookies", "Session", "is_secure"]

_CHUNK = 3800  # characters; browsers keep no cookie of more than 4096
_CHUNKS = 5


@dataclass(frozen=True, slots=True)
class Session:
    """A token and where it is used. `ends` is in seconds since the epoch; `csrf` marks the forms of this session.

    `id` stays the same in every organisation and sandbox, so that signing out ends it in all.
    """

    token: str = field(repr=False)
    api_key: str
    org_id: str
    sandbox: str
    ends: int
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    id: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "Session | None":
        """The session that was kept as `content`; None where another version of Headgate kept something else."""
        types = {each.name: each.type for each in fields(cls)}
        fits = {name: type(value) for name, value in content.items()} == types
        return cls(**content) if fits else None

    @property
    def headers(self) -> dict[str, str]:
        """The headers that a client of the API would send."""
        return {
            "authorization": f"Bearer {self.token}",
            "x-api-key": self.api_key,
            "x-gw-ims-org-id": self.org_id,
            **({"x-sandbox-name": self.sandbox} if self.sandbox else {}),
        }

    def inside(self, sandbox: str) -> "Session":
        """This session in another sandbox."""
        return replace(self, sandbox=sandbox)

    def of_org(self, org_id: str) -> "Session":
        """This session in another organisation; forms of pages that were open before no longer count."""
        return replace(self, org_id=org_id, sandbox="", csrf=secrets.token_urlsafe(24))


class Cookies:
    """Small sealed things that a browser keeps for this deployment, by name.

    The names end in the port of the address, since browsers do not part the cookies of one host by port.
    """

    def __init__(self, service: Service, request: Request) -> None:
        self._sessions, self._request = service.sessions, request
        self._secure = is_secure(service, request)
        port = request.url.port
        self._suffix = f"_{port}" if port else ""

    def session(self) -> Session | None:
        """The session of the request, None for who is not signed in, or not any more. Raises Unavailable."""
        content = self.get("session")
        session = Session.of(content) if content is not None else None
        if session is None or session.ends <= time.time() or self._sessions.has_ended(session.id):
            return None
        return session

    def keep_session(self, response: Response, session: Session) -> None:
        """Have the browser keep `session` until it ends."""
        self.keep(response, "session", asdict(session), seconds=max(0, session.ends - int(time.time())))

    def get(self, name: str) -> dict[str, Any] | None:
        """What was kept under `name`; None when nothing was, or another made it up."""
        stem, cookies = self._stem(name), self._request.cookies
        text = "".join(_chunks(cookies, stem))
        try:
            return self._sessions.open(text, "console", name) if text else None
        except ValueError:
            return None

    def keep(self, response: Response, name: str, content: Mapping[str, Any], *, seconds: int) -> None:
        """Have the browser keep `content` under `name` for so many seconds."""
        stem, text = self._stem(name), self._sessions.close(dict(content), "console", name)
        parts = [text[begin : begin + _CHUNK] for begin in range(0, len(text), _CHUNK)]
        if len(parts) > _CHUNKS:
            raise ValueError(f"The session has {len(text)} characters, more than browsers keep.")
        for number, part in enumerate(parts):
            response.set_cookie(
                _numbered(stem, number), part, seconds, path="/", secure=self._secure, httponly=True, samesite="lax"
            )
        self._forget(response, stem, len(parts))

    def forget(self, response: Response, name: str) -> None:
        """Have the browser forget what it kept under `name`."""
        self._forget(response, self._stem(name), 0)

    def _forget(self, response: Response, stem: str, begin: int) -> None:
        for number in range(begin, _CHUNKS):
            if (cookie := _numbered(stem, number)) in self._request.cookies:
                response.delete_cookie(cookie, path="/", secure=self._secure, httponly=True, samesite="lax")

    def _stem(self, name: str) -> str:
        host = "__Host-" if self._secure else ""  # browsers take such a name from this host alone, and by https
        return f"{host}headgate_{name}{self._suffix}"


def is_secure(service: Service, request: Request) -> bool:
    """Whether browsers reach this deployment by https, perhaps through a proxy that says nothing of it."""
    return request.url.scheme == "https" or service.identity.public_url.startswith("https://")


def _numbered(stem: str, number: int) -> str:
    return f"{stem}.{number}" if number else stem


def _chunks(cookies: Mapping[str, str], stem: str) -> list[str]:
    names = [_numbered(stem, number) for number in range(_CHUNKS)]
    return [cookies[name] for name in names if name in cookies]
