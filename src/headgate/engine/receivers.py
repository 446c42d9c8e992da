"""Calling the receivers of webhooks: at an address that was judged, within a time, and following no redirect."""

import http.client
import json
import secrets
import socket
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from typing import Final
from urllib.parse import urlsplit

import httpx

from headgate import __version__
from headgate.errors import ChallengeFailed, HeadgateError
from headgate.outbound import Endpoint, Outbound

__all__ = ["ReceiverFailed", "Receivers"]

_AGENT: Final = {"User-Agent": f"headgate/{__version__}", "Connection": "close"}
_LONGEST_ANSWER = 4096


class ReceiverFailed(HeadgateError):
    """The receiver of a webhook was not reached, or did not answer in time."""


class Receivers:
    """Calls receivers as far as `outbound` lets it; each call may last `seconds`, but for looking the host up."""

    def __init__(self, outbound: Outbound, seconds: float) -> None:
        self._outbound = outbound
        self._seconds = seconds

    def challenge(self, url: str) -> None:
        """See that whoever listens at `url` wants to: it repeats what it is asked as `?challenge=`.

        Raises HostNotAllowed, ChallengeFailed.
        """
        asked = secrets.token_urlsafe(24)
        parts = urlsplit(url)
        joint, where = "&" if parts.query else "?", f"The receiver at {parts.hostname!r}"
        try:
            status, answer = self._call("GET", f"{url}{joint}challenge={asked}", None, {})
        except ReceiverFailed as error:
            raise ChallengeFailed(f"{where} cannot be asked for the challenge: {error.detail}.") from error
        if status != 200:
            raise ChallengeFailed(f"{where} answers the challenge with {status}; it must answer 200.")
        if asked not in (answer.strip(), _member(answer)):
            raise ChallengeFailed(
                f"{where} does not repeat the challenge. Answer GET ?challenge=… with the value itself, or with "
                '{"challenge": value}.'
            )

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """Send `body`; the status of the answer, whatever it is. Raises HostNotAllowed, ReceiverFailed."""
        status, _ = self._call("POST", url, body, {"Content-Type": "application/json", **headers})
        return status

    def _call(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> tuple[int, str]:
        endpoint = self._outbound.judge_url(url)
        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection = _Judged(endpoint, self._seconds)
        # One that sends a byte now and then would never end.
        timer = threading.Timer(self._seconds, connection.break_off)
        timer.start()
        try:
            connection.request(method, target, body, {**_AGENT, **headers})
            answer = connection.getresponse()
            text = answer.read(_LONGEST_ANSWER).decode(errors="replace") if method == "GET" else ""
        except (OSError, http.client.HTTPException) as error:
            raise ReceiverFailed(_reason(error)) from error
        finally:
            timer.cancel()
            connection.close()
        if connection.over:  # what was broken off may look whole
            raise ReceiverFailed(_reason(TimeoutError()))
        return answer.status, text


class _Judged(http.client.HTTPConnection):
    """A connection to one of the addresses of `endpoint`, never to what its name may mean by now."""

    def __init__(self, endpoint: Endpoint, seconds: float) -> None:
        super().__init__(endpoint.host, endpoint.port, timeout=seconds)
        self.default_port = {"https": 443, "http": 80}[endpoint.scheme]  # which the Host header leaves out
        self.over = False
        self._endpoint, self._seconds = endpoint, seconds

    def connect(self) -> None:
        """Connect to the first address that answers. Raises OSError."""
        endpoint = self._endpoint
        failure: OSError = OSError(f"the host {endpoint.host!r} is not known")
        for address in endpoint.addresses:
            if self.over:
                raise TimeoutError
            try:
                self.sock = socket.create_connection((address, endpoint.port), self._seconds)
            except OSError as error:
                failure = error
                continue
            if endpoint.scheme == "https":
                self.sock = _tls().wrap_socket(self.sock, server_hostname=endpoint.host)
            return
        raise failure

    def break_off(self) -> None:
        """Make whatever waits for the other side end, from another thread."""
        self.over = True
        sock: socket.socket | None = self.sock
        if sock is not None:
            with suppress(OSError):  # it has ended by itself
                socket.socket.shutdown(sock, socket.SHUT_RDWR)


@cache
def _tls() -> ssl.SSLContext:
    return httpx.create_ssl_context()  # the authorities that all other calls of this process go by


def _member(answer: str) -> str | None:
    try:
        document = json.loads(answer)
    except (ValueError, RecursionError):
        return None
    return document.get("challenge") if isinstance(document, dict) else None


def _reason(error: Exception) -> str:
    match error:
        case TimeoutError():
            return "no answer in time"
        case ssl.SSLCertVerificationError():
            return f"its certificate is refused: {error.verify_message}"
        case OSError(strerror=str(reason)):
            return reason
    return str(error) or "no answer in HTTP"
