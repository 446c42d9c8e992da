"""Hadoop clusters, through WebHDFS: the REST interface of a name node, a router or HttpFS.

Source: Apache Hadoop 3.4, "WebHDFS REST API".
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from headgate import __version__
from headgate.errors import (
    BadParameter,
    HeadgateError,
    SourceAccessDenied,
    SourceError,
    SourceObjectMissing,
    SourceUnreachable,
)
from headgate.outbound import Outbound
from headgate.sources.files.stores.servers import SESSIONS, About, FileServer, Server, text
from headgate.sources.files.stores.tunnel import Tunnel

__all__ = ["hdfs"]

_PIECE = 1 << 20
_ROOT = "/webhdfs/v1"
_MISSING = ("FileNotFoundException",)
_DENIED = ("AccessControlException", "SecurityException", "AuthorizationException")
_PASSING = ("StandbyException", "RetriableException", "SafeModeException")


class _Refused(Exception):
    """The cluster's own refusal: its exception, and what it says."""

    def __init__(self, exception: str, message: str, status: int) -> None:
        self.exception, self.message, self.status = exception, message, status
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class _Cluster:
    base: str
    user: str
    tunnel: Tunnel


def hdfs(auth_params: Mapping[str, Any], outbound: Outbound) -> FileServer:
    """The files of a Hadoop cluster.

    `auth_params`: `url` of the name node's HTTP address (`http://namenode:9870`), or up to its `/webhdfs/v1`;
    `userName`, whom a cluster without Kerberos takes at its word; `folderPath`. Raises BadParameter, ParameterMissing,
    HostNotAllowed.
    """
    url = text(auth_params, "url").strip().rstrip("/").removesuffix(_ROOT)
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path or parts.query:
        raise BadParameter(
            "url must be the HTTP address of a name node, such as http://namenode:9870; hdfs:// is not spoken.",
            field="url",
        )
    tunnel = Tunnel(outbound)
    tunnel.admit(url)
    folder = text(auth_params, "folderPath", needed=False)
    cluster = _Cluster(url + _ROOT, text(auth_params, "userName", needed=False), tunnel)
    server = Server(
        prefix=f"webhdfs://{parts.netloc}",
        folder=folder or "/",
        held=bool(folder),
        sessions=SESSIONS,
        connect=partial(_Session, cluster),
        errors=(httpx.HTTPError, _Refused, ValueError, KeyError, TypeError, RecursionError),
        translate=partial(_translate, cluster),
    )
    return FileServer(server)


class _Session:
    def __init__(self, cluster: _Cluster) -> None:
        self._cluster = cluster
        self._client = httpx.Client(
            proxy=cluster.tunnel.url,
            trust_env=False,
            timeout=httpx.Timeout(20, connect=8),
            headers={"User-Agent": f"headgate/{__version__}", "Accept-Encoding": "identity"},
        )

    def alive(self) -> bool:
        return True  # a request makes its own connection where it has none

    def about(self, path: str) -> About:
        return _about(self._asked(path, op="GETFILESTATUS")["FileStatus"])

    def folder(self, path: str) -> Iterator[tuple[str, About]]:
        after: dict[str, str] = {}
        while True:
            listing = self._asked(path, op="LISTSTATUS_BATCH", **after)["DirectoryListing"]
            found = listing["partialListing"]["FileStatuses"]["FileStatus"]
            for each in found:
                if each["pathSuffix"]:  # a file is listed as what holds itself
                    yield each["pathSuffix"], _about(each)
            if not found or not listing["remainingEntries"]:
                return
            after = {"startAfter": found[-1]["pathSuffix"]}

    def content(self, path: str, start: int, size: int) -> Iterator[bytes]:
        if not size:
            return
        url = self._url(path, op="OPEN", offset=str(start), length=str(size))
        with self._answer(url) as answer:
            if answer.status_code != 307:  # HttpFS gives the content itself
                yield from answer.iter_raw(_PIECE)
                return
            node = answer.headers["Location"]
        self._cluster.tunnel.admit(node)
        with self._answer(node) as answer:
            yield from answer.iter_raw(_PIECE)

    def close(self) -> None:
        self._client.close()

    def _asked(self, path: str, **query: str) -> dict[str, Any]:
        with self._answer(self._url(path, **query)) as answer:
            answer.read()
            found: dict[str, Any] = answer.json()
        return found

    def _url(self, path: str, **query: str) -> str:
        if self._cluster.user:
            query["user.name"] = self._cluster.user
        return f"{self._cluster.base}{quote(path)}?{httpx.QueryParams(query)}"

    @contextmanager
    def _answer(self, url: str) -> Iterator[httpx.Response]:
        with self._client.stream("GET", url) as answer:
            if answer.status_code >= 400:
                if (trouble := self._cluster.tunnel.trouble) is not None:
                    raise httpx.ConnectError(getattr(trouble, "strerror", None) or str(trouble))
                answer.read()
                raise _refusal(answer)
            yield answer


def _about(found: Mapping[str, Any]) -> About:
    kind = {"FILE": "file", "DIRECTORY": "folder"}.get(found["type"], "other")
    version = str(found["fileId"]) if found.get("fileId") else None
    modified = int(found["modificationTime"]) * 1000
    if kind == "folder":
        return About("folder", 0, modified)
    return About("file" if kind == "file" else "other", int(found["length"]), modified, version)


def _refusal(answer: httpx.Response) -> _Refused:
    try:
        told = json.loads(answer.text)["RemoteException"]
        return _Refused(str(told["exception"]), str(told["message"]).split("\n")[0], answer.status_code)
    except (ValueError, KeyError, TypeError):
        return _Refused("", f"it answers {answer.status_code}", answer.status_code)


def _translate(cluster: _Cluster, error: Exception, what: str) -> HeadgateError:
    host = urlsplit(cluster.base).netloc
    match error:
        case _Refused() if error.exception in _MISSING or (not error.exception and error.status == 404):
            return SourceObjectMissing(f"There is no {what}.", path=what)
        case _Refused() if error.exception in _PASSING or error.status >= 500:
            return SourceUnreachable(f"HDFS: {host} cannot answer just now: {error.message}.")
        case _Refused() if error.exception in _DENIED or error.status in (401, 403):
            return SourceAccessDenied(f"HDFS: {what} may not be read: {error.message}.", path=what)
        case _Refused():
            return SourceError(f"HDFS: {what}: {error.message}.", path=what)
        case httpx.TimeoutException():
            return SourceUnreachable(f"HDFS: {host} did not answer in time.")
        case httpx.HTTPError():
            refused = "CERTIFICATE" in str(error)
            kind = SourceError if refused else SourceUnreachable
            return kind(f"HDFS: {host} cannot be reached: {str(error) or type(error).__name__}.")
    return SourceError(f"HDFS: {host} gives an answer for {what} that is none of WebHDFS.", path=what)
