"""Files that an HTTP server gives out by their addresses. There is no list of them but the connection's own."""

import hashlib
import weakref
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx

from headgate import __version__
from headgate.errors import (
    BadParameter,
    HeadgateError,
    ParameterMissing,
    SourceAccessDenied,
    SourceChanged,
    SourceError,
    SourceObjectMissing,
    SourcePathForbidden,
    SourceUnreachable,
)
from headgate.outbound import Outbound
from headgate.sources.files.stores.asking import text
from headgate.sources.files.stores.interface import Listed
from headgate.sources.files.stores.tunnel import Tunnel
from headgate.sources.interface import FileRef

__all__ = ["WebAddresses", "WebFiles"]

_MOST = 1000  # addresses of one connection
_PIECE = 1 << 20
_TRIES = 3
_SCHEMES = ("https://", "http://")


@dataclass(frozen=True, slots=True)
class WebAddresses:
    """What a connection names: addresses of files, or of folders where they end with `/`, and who asks for them."""

    addresses: tuple[str, ...]
    user: tuple[str, str] | None = field(default=None, repr=False)
    token: str = field(default="", repr=False)

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> "WebAddresses":
        """The addresses in `auth.params`. Raises BadParameter, ParameterMissing."""
        given = params.get("urls")
        urls = given if isinstance(given, list) else str(given or "").split()
        if not urls:
            raise ParameterMissing("urls is missing or empty; it lists the addresses of the files.", field="urls")
        if len(urls) > _MOST:
            raise BadParameter(f"urls holds {len(urls)} addresses; {_MOST} are the most.", field="urls")
        for url in urls:
            if not isinstance(url, str) or not url.startswith(_SCHEMES) or not url.isprintable() or "#" in url:
                raise BadParameter(
                    f"urls holds {_bare(str(url))[:200]!r}; send addresses with http or https.", field="urls"
                )
        user = text(params, "userName")
        return cls(
            tuple(dict.fromkeys(urls)),
            (user, text(params, "password", needed=True)) if user else None,
            text(params, "token"),
        )


class WebFiles:
    """The files of a connection's addresses.

    A server must say when a file was last modified and how large it is, else no window could be told and no change
    be noticed. Redirects are followed nowhere: they would lead past the addresses that the connection names.

    What stands behind a `?` may be a signature that opens the file to whoever reads it. It is asked with, and is no
    part of the address that rows and errors tell; of addresses that differ in nothing else, a digest of it is.
    """

    local = False

    def __init__(self, named: WebAddresses, outbound: Outbound) -> None:
        """Raises HostNotAllowed."""
        self._named = named
        self._tunnel = Tunnel(outbound)
        alike = Counter(map(_bare, named.addresses))
        self._urls: dict[str, str] = {}  # what is asked for, by address
        for url in named.addresses:
            self._tunnel.admit(url)
            address = _bare(url)
            if alike[address] > 1:
                address += f"#{hashlib.sha256(url.encode()).hexdigest()[:12]}"
            self._urls[address] = url
        self._open: httpx.Client | None = None

    def check(self) -> None:
        """Ask for the first of the files; of a folder, see that its server answers. Raises SourceError."""
        first = next(iter(self._urls))
        if not first.endswith("/"):
            self.pin(first)
            return
        with self._asking("HEAD", first) as answer:
            if answer.status_code in (401, 403):
                raise _refused(answer, first)

    def address(self, path: str) -> str:
        """The address that `path` is, or is relative to. Raises SourcePathForbidden for any other."""
        folders = [address for address, url in self._urls.items() if url.endswith("/")]
        if not path.strip("/"):
            return ""
        if path in self._urls:
            return path
        if not path.startswith(_SCHEMES):
            named = [address for address in self._urls if _name(address) == path.lstrip("/")]
            if len(named) == 1:
                return named[0]
            path = f"{folders[0]}{path.lstrip('/')}" if len(folders) == 1 else path
        if f"{path}/" in folders:
            return f"{path}/"
        if named := [address for address, url in self._urls.items() if url == path]:
            return named[0]
        address = _bare(path)
        inside = any(path.startswith(url) for url in folders)
        if not inside or ".." in unquote(urlsplit(path).path).split("/") or not path.isprintable() or "#" in path:
            raise SourcePathForbidden(f"{address} is not, or not below, an address that this connection names (urls).")
        if path != address:
            self._urls[address] = path
        return address

    def pin(self, address: str) -> FileRef | None:
        """The file at the address, as its server describes it."""
        if not address or address.endswith("/"):
            return None
        with self._asking("HEAD", address) as answer:
            if answer.status_code not in (405, 501):
                return _described(answer, address)
        with self._asking("GET", address) as answer:  # a server that knows no HEAD
            return _described(answer, address)

    def listed(self, folder: str) -> Iterator[Listed]:
        """The files that the connection names; a folder of a server has no list. Raises SourceError."""
        if folder:
            raise SourceError(f"{folder} cannot be listed: HTTP has no folders. Name the file.", path=folder)
        for address, url in [*self._urls.items()]:
            if url.endswith("/"):
                yield Listed(_name(address), folder=address, readable=False)
            elif url in self._named.addresses:
                yield Listed(_name(address), self.pin(address))

    def below(self, folder: str) -> Iterator[tuple[str, FileRef]]:
        """The files that the connection names."""
        found = ((entry.name, entry.file) for entry in self.listed(folder))
        return ((name, file) for name, file in found if file is not None)

    def read(self, file: FileRef, start: int = 0, size: int | None = None) -> Iterator[bytes]:
        """The content of the pinned version; when the connection breaks, the rest is asked for again."""
        end = file.size if size is None else min(file.size, start + size)
        tries = _TRIES
        while start < end:
            try:
                for piece in self._rest(file, start, end):
                    start, tries = start + len(piece), _TRIES
                    yield piece
            except SourceUnreachable:
                tries -= 1
                if not tries:
                    raise
            else:
                if start < end:
                    raise _changed(file)

    def _rest(self, file: FileRef, start: int, end: int) -> Iterator[bytes]:
        headers = {"Range": f"bytes={start}-{end - 1}"} if start or end < file.size else {}
        if file.version:
            headers["If-Match"] = file.version
        with self._asking("GET", file.path, headers) as answer:
            if answer.status_code == 412:
                raise _changed(file)
            if _described(answer, file.path) != file:
                raise _changed(file)
            skipped = start if answer.status_code == 200 else 0  # a server that knows no ranges
            left = end - start
            for piece in answer.iter_raw(_PIECE):
                kept = piece[skipped : skipped + left]
                skipped = max(0, skipped - len(piece))
                left -= len(kept)
                if kept:
                    yield kept
                if not left:
                    return

    @contextmanager
    def _asking(self, method: str, address: str, headers: Mapping[str, str] | None = None) -> Iterator[httpx.Response]:
        url = self._urls.get(address, address)
        try:
            with self._client.stream(method, url, headers=dict(headers or {})) as answer:
                if self._tunnel.trouble is not None and answer.status_code in (403, 502):
                    raise SourceUnreachable(f"{address} cannot be reached: {self._tunnel.trouble}.", path=address)
                yield answer
        except (HeadgateError, GeneratorExit):
            raise
        except httpx.HTTPError as error:
            match self._tunnel.trouble:
                case HeadgateError() as refused:
                    raise SourceError(refused.detail, path=address) from None
                case OSError() as failure:
                    raise SourceUnreachable(
                        f"{address} cannot be reached: {failure.strerror or failure}.", path=address
                    ) from None
            kind = SourceError if "CERTIFICATE" in str(error) else SourceUnreachable
            said = str(error).replace(url, address) or type(error).__name__
            raise kind(f"{address} cannot be read: {said}.", path=address) from None

    @property
    def _client(self) -> httpx.Client:
        if self._open is None:
            token = {"Authorization": f"Bearer {self._named.token}"} if self._named.token else {}
            self._open = httpx.Client(
                proxy=self._tunnel.url,
                trust_env=False,
                auth=self._named.user,
                timeout=httpx.Timeout(20, connect=8),
                # What is packed on the way would be of another size than the file.
                headers={"User-Agent": f"headgate/{__version__}", "Accept-Encoding": "identity", **token},
            )
            weakref.finalize(self, self._open.close)
        return self._open


def _described(answer: httpx.Response, url: str) -> FileRef:
    """The file as `answer` describes it. Raises SourceError."""
    if answer.status_code not in (200, 206):
        raise _refused(answer, url)
    headers = answer.headers
    of_all = headers.get("Content-Range", "").rpartition("/")[2] if answer.status_code == 206 else None
    size = headers.get("Content-Length") if of_all is None else of_all
    if headers.get("Content-Encoding", "identity") != "identity" or not size or not size.isdigit():
        raise SourceError(f"{url}: the server does not say how large the file is, so it cannot be pinned.", path=url)
    try:
        modified = parsedate_to_datetime(headers["Last-Modified"])
    except (KeyError, ValueError):
        raise SourceError(
            f"{url}: the server does not say when the file was last modified (Last-Modified), so it is in no window.",
            path=url,
        ) from None
    tag = headers.get("ETag")
    strong = tag if tag and not tag.startswith("W/") else None
    return FileRef(url, int(size), int(modified.timestamp()) * 1_000_000, version=strong)


def _refused(answer: httpx.Response, url: str) -> SourceError:
    status = answer.status_code
    if status in (401, 403):
        return SourceAccessDenied(f"The server refuses access to {url} ({status}).", path=url)
    if status in (404, 410):
        return SourceObjectMissing(f"There is no {url} ({status}).", path=url)
    if status in (408, 429) or status >= 500:
        return SourceUnreachable(f"The server cannot answer just now for {url} ({status}).", path=url)
    if 300 <= status < 400:
        to = _bare(answer.headers.get("Location", "elsewhere"))[:200]
        return SourceError(f"{url} leads on to {to}, which is not followed. Name that address instead.", path=url)
    return SourceError(f"The server answers {status} for {url}.", path=url)


def _bare(url: str) -> str:
    """An address without what stands behind its `?`."""
    return url.partition("?")[0]


def _name(url: str) -> str:
    parts = urlsplit(url)
    return unquote(parts.path.rstrip("/").rpartition("/")[2]) or parts.netloc


def _changed(file: FileRef) -> SourceChanged:
    return SourceChanged(f"{file.path} changed while it was being read.", path=file.path)
