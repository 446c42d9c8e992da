"""Systems whose protocol is HTTP itself: calls to one judged address, and to no other."""

import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache

import httpx

from headgate.sources.sql.reach import first_listening

__all__ = ["Calls"]

_CONNECT, _ANSWER = 8, 600  # seconds; an answer's parts may take long to be computed


class Calls:
    """HTTP calls to `host` at `port`, made to the addresses that it was judged by. `system` is what errors call it."""

    def __init__(self, system: str, host: str, port: int, reached: Sequence[str], *, encrypted: bool) -> None:
        self._system, self._host, self._port = system, host, port
        self._reached, self._encrypted = reached, encrypted
        self._address: str | None = None
        timeout = httpx.Timeout(_ANSWER, connect=_CONNECT)
        self._http = httpx.Client(
            timeout=timeout, follow_redirects=False, trust_env=False, verify=_tls() if encrypted else False
        )

    @contextmanager
    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: str = "",
        auth: tuple[str, str] | None = None,
    ) -> Iterator[httpx.Response]:
        """The answer, its body still to be read. Raises SourceUnreachable, httpx.HTTPError."""
        if self._address is None:
            self._address = first_listening(self._system, self._host, self._port, self._reached)
        request = self._http.build_request(
            method,
            f"{'https' if self._encrypted else 'http'}://{self._bracketed(self._address)}:{self._port}{path}",
            params=query,
            headers={
                "Host": f"{self._bracketed(self._host)}:{self._port}",
                "User-Agent": "headgate",
                **(headers or {}),
            },
            content=body.encode(),
            extensions={"sni_hostname": self._host},
        )
        answer = self._http.send(request, auth=httpx.BasicAuth(*auth) if auth else None, stream=True)
        try:
            yield answer
        finally:
            answer.close()

    def close(self) -> None:
        """Let all connections go."""
        self._http.close()

    @staticmethod
    def _bracketed(host: str) -> str:
        return f"[{host}]" if ":" in host else host


@cache
def _tls() -> ssl.SSLContext:
    return httpx.create_ssl_context()  # the authorities that all other calls of this process go by
