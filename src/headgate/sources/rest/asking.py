"""One session with a vendor's API: requests are made of templates, authenticated, sent, sent again, and stopped."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal, TypeVar
from urllib.parse import quote, urljoin, urlsplit

import httpx
import orjson

from headgate import __version__
from headgate.errors import ParameterMissing, SourceAccessDenied, SourceError, SourceObjectMissing, SourceUnreachable
from headgate.outbound import Outbound
from headgate.sources.rest.ask import Ask, address_of, moved
from headgate.sources.rest.auth import Authenticator
from headgate.sources.rest.budget import Budget
from headgate.sources.rest.manifest import Manifest, Request
from headgate.sources.rest.paths import Path
from headgate.sources.rest.records import document
from headgate.sources.rest.templates import Filling, filled
from headgate.sources.rest.transport import ERRORS, Transport

__all__ = ["LARGEST", "Answer", "Asking", "TooMany"]

T = TypeVar("T")
LARGEST = 256 << 20
"""Bytes of one answer that is held as a whole."""

_TIMEOUT = httpx.Timeout(300, connect=8).as_dict()  # seconds; an answer may take long to be computed
_HEADERS = {"Accept": "*/*", "Accept-Encoding": "gzip, deflate", "User-Agent": f"headgate/{__version__}"}
_LONGEST_WAIT = 600.0
_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 5


class TooMany(SourceError):
    """The window holds more than the vendor gives at once."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: headers, and all of the body."""

    status: int
    headers: httpx.Headers
    content: bytes


class Asking:
    """A session with the API of `manifest`, for one connection's `values`; one thread asks at a time."""

    def __init__(
        self,
        title: str,
        manifest: Manifest,
        values: Mapping[str, Any],
        outbound: Outbound,
        auth: Authenticator,
        budget: Budget,
    ) -> None:
        self.title, self.values = title, values
        self._manifest, self._auth, self._budget = manifest, auth, budget
        self._transport = Transport(outbound)
        self._stopped = threading.Event()

    # -- what is asked

    @property
    def base(self) -> str:
        """What every path begins with."""
        told = self._auth.base(self)
        if told is not None:
            return moved(told.rstrip("/"), self.values)
        return self.said_base

    @property
    def said_base(self) -> str:
        """What the manifest says that every path begins with, before the vendor has let one in."""
        bases = self._manifest.bases
        known = {name for name, value in self.values.items() if value not in (None, "")}
        base = next((base for base in bases if base.places <= known), None)
        if base is None and not self.values.get("serviceUrl"):
            lacking = " or ".join(dict.fromkeys(name for base in bases for name in sorted(base.places - known)))
            raise ParameterMissing(f"{self.title} cannot be found without a host: the connection needs {lacking}.")
        base = base or bases[-1]
        return address_of(str(base.filled(Filling(self.values))), self.values)

    def made(self, request: Request, filling: Filling) -> Ask:
        """The request that `filling` makes of a manifest's."""
        path = str(request.path.filled(filling, lambda value: quote(value, safe="")))
        absolute = path.startswith(("http://", "https://"))
        return Ask(
            request.method,
            moved(path, self.values) if absolute else self.base + path,
            filled(request.query, filling),
            {name: str(value) for name, value in filled(request.headers, filling).items()},
            filled(request.body, filling),
            filled(request.form, filling),
            answers=request.answers,
        )

    def linked(self, ask: Ask, address: str) -> Ask:
        """The request for an address that an answer to `ask` gives as its next page. Raises SourceError."""
        below = urlsplit(str(self.values.get("serviceUrl") or "")).path.rstrip("/")
        if address.startswith("/") and not address.startswith(("//", f"{below}/")):
            address = below + address
        whole = urljoin(ask.url, address)
        if _place(whole) != _place(ask.url):
            raise SourceError(
                f"{self.title} gives {whole[:200]!r} as its next page, which is another host than the one that was "
                "asked. It is not followed."
            )
        following = ask.copy()
        following.url, following.query = whole, {}
        return following

    def elsewhere(self, address: str) -> Ask:
        """The request for a file that an answer gave the address of; without secrets when it is another host's."""
        whole = urljoin(self.base + "/", address)
        return Ask("GET", whole, own=_place(whole) == _place(self.base))

    # -- asking

    def answer(self, ask: Ask) -> Answer:
        """The answer to `ask`, complete. Raises SourceError."""
        return self._exchange(ask, lambda response: self._complete(response))

    @contextmanager
    def opened(self, ask: Ask) -> Iterator[httpx.Response]:
        """The answer to `ask`, its body still to be read by `parts()`. Raises SourceError."""
        response = self._exchange(ask, lambda response: response)
        try:
            yield response
        finally:
            response.close()

    def parts(self, response: httpx.Response) -> Iterator[bytes]:
        """The body of an opened answer, as it comes. Raises SourceUnreachable when it ends early."""
        try:
            yield from response.iter_bytes()
        except httpx.DecodingError as error:
            raise SourceError(f"{self.title}: the answer cannot be unpacked: {error}.") from None
        except ERRORS as error:
            raise self._unreachable(error, str(response.request.url)) from None
        self._check()

    def wait(self, seconds: float) -> None:
        """Let time pass, unless the session is stopped. Raises SourceUnreachable then."""
        self._stopped.wait(seconds)
        self._check()

    def stop(self) -> None:
        """End what is asked and waited for, from any thread."""
        self._stopped.set()
        self._transport.cut()

    def close(self) -> None:
        """Let all connections go."""
        self._transport.close()

    def _exchange(self, ask: Ask, read: Callable[[httpx.Response], T]) -> T:
        limits, renewed, redirected, attempt = self._manifest.limits, False, 0, 1
        asked = ask
        while True:
            self._budget.take(self.wait)
            self._check()
            try:
                response = self._held(self._send(asked))
                status = response.status_code
                inside = self._inside(response) if status < 300 or status == 400 else None
                if inside is None and (status < 300 or status in asked.answers):
                    return read(response)
                refusal = self._refusal(asked, response, inside)
            except ERRORS as error:
                self._check()
                if attempt >= limits.attempts:
                    raise self._unreachable(error, asked.url) from None
                self.wait(_backoff(attempt))
                attempt += 1
                continue
            if status in _REDIRECTS and asked.method == "GET" and redirected < _MOST_REDIRECTS:
                asked, redirected = self.linked(asked, response.headers.get("location", "")), redirected + 1
            elif (status == 401 or inside == "renew") and asked.own and not renewed and self._auth.renew(self):
                renewed = True
            elif (status in limits.retry or inside == "again") and attempt < limits.attempts:
                self.wait(self._pause(response, attempt))
                attempt += 1
            else:
                raise refusal

    def _send(self, ask: Ask) -> httpx.Response:
        sent = ask.copy()
        if ask.own:
            for name, value in filled(self._manifest.headers, Filling(self.values)).items():
                sent.headers.setdefault(name, str(value))
            self._auth.sign(sent, self)
        for name, value in sent.headers.items():  # what sends them would tell the value in its error
            if not (value.isascii() and value.isprintable()):
                raise SourceAccessDenied(
                    f"{self.title}: the header {name!r} would hold a line break or a letter that no header can hold. "
                    "See that no parameter of the connection ends in a line break, and that keys are whole."
                )
        # Not by httpx's client, which writes every address to the log: there may be a secret in its query.
        return self._transport.handle_request(
            httpx.Request(
                sent.method,
                httpx.URL(sent.url).copy_merge_params(sent.query) if sent.query else sent.url,
                headers={**_HEADERS, **sent.headers},
                json=sent.body,
                data=sent.form,
                content=sent.content,
                extensions={"timeout": _TIMEOUT},
            )
        )

    def _complete(self, response: httpx.Response) -> Answer:
        parts, size = [], 0
        try:
            for part in response.iter_bytes():
                size += len(part)
                if size > LARGEST:
                    raise SourceError(
                        f"{self.title}: one answer is larger than {LARGEST >> 20} MB. Ask for smaller pages."
                    )
                parts.append(part)
        except httpx.DecodingError as error:
            raise SourceError(f"{self.title}: the answer cannot be unpacked: {error}.") from None
        finally:
            response.close()
        return Answer(response.status_code, response.headers, b"".join(parts))

    def _held(self, response: httpx.Response) -> httpx.Response:
        """The same, all of it where an error may be inside."""
        status = response.status_code
        if self._manifest.errors is None or not _json(response) or not (status < 300 or status == 400):
            return response
        answer = self._complete(response)
        headers = [(name, value) for name, value in answer.headers.multi_items() if name != "content-encoding"]
        return httpx.Response(status, headers=headers, content=answer.content)

    def _inside(self, response: httpx.Response) -> Literal["error", "again", "renew"] | None:
        """What an answer says of an error, with a status that says none."""
        errors = self._manifest.errors
        if errors is None or not _json(response):
            return None
        code = errors.code.first(document(response.content, self.title))
        if code is None:
            return None
        return "renew" if str(code) in errors.renew else "again" if str(code) in errors.again else "error"

    def _refusal(self, ask: Ask, response: httpx.Response, inside: str | None) -> SourceError:
        """The error that an answer stands for."""
        limits = self._manifest.limits
        said = b""
        for part in response.iter_bytes():
            said += part
            if len(said) > 4000:
                break
        response.close()
        words = " ".join(said[:4000].decode(errors="replace").split())
        words = "an HTML page" if words[:100].lower().startswith(("<!doctype html", "<html")) else words[:300]
        where = f"{ask.method} {urlsplit(ask.url).path}"
        text = f"{self.title} answered {response.status_code} to {where}{f': {words}' if words else ''}."
        if limits.too_many is not None and _says(said, *limits.too_many):
            return TooMany(text)
        match response.status_code:
            case 401 | 403:
                return SourceAccessDenied(text)
            case 404:
                return SourceObjectMissing(text)
            case status if status in limits.retry or inside == "again":
                return SourceUnreachable(text)
        return SourceAccessDenied(text) if inside == "renew" else SourceError(text)

    def _pause(self, response: httpx.Response, attempt: int) -> float:
        """The seconds to wait before asking again. Raises SourceUnreachable when they are too many."""
        told = _seconds(response.headers.get(self._manifest.limits.retry_after, ""))
        if told is None:
            return _backoff(attempt)
        if told > _LONGEST_WAIT:
            raise SourceUnreachable(f"{self.title} asks to wait {told:.0f} seconds before the next request.")
        return told

    def _unreachable(self, error: Exception, url: str) -> SourceUnreachable:
        said = str(error) or type(error).__name__
        return SourceUnreachable(
            f"{self.title} cannot be reached at {urlsplit(url).netloc.rpartition('@')[2]}: {said}."
        )

    def _check(self) -> None:
        if self._stopped.is_set():
            raise SourceUnreachable("The read was stopped.")


def _json(response: httpx.Response) -> bool:
    return "json" in response.headers.get("content-type", "")


def _place(address: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(address)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _says(body: bytes, path: Path, wanted: str) -> bool:
    try:
        return bool(path.first(orjson.loads(body)) == wanted)
    except orjson.JSONDecodeError:
        return False


def _backoff(attempt: int) -> float:
    return min(0.25 * 2.0 ** (attempt - 1), 30.0)


def _seconds(text: str) -> float | None:
    """What a Retry-After says."""
    try:
        return max(float(text), 0.0)
    except ValueError:
        pass
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - datetime.now(UTC).timestamp(), 0.0)
