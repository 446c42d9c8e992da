"""File servers: asked folder by folder, in sessions that are kept for the next question."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from headgate.errors import (
    BadParameter,
    HeadgateError,
    ParameterMissing,
    SourceChanged,
    SourceError,
    SourceObjectMissing,
    SourcePathForbidden,
)
from headgate.sources.files.stores.interface import Listed
from headgate.sources.interface import FileRef

__all__ = ["SESSIONS", "About", "FileServer", "Server", "Session", "host_of", "number", "text"]

SESSIONS = 4
"""The sessions that one connection has with its server at the same time, where it does not say."""


@dataclass(frozen=True, slots=True)
class About:
    """What a server says of a name: its size in bytes and last-modified time in microseconds.

    `version` is what it tells contents apart by besides those, where it has such a thing.
    """

    kind: Literal["file", "folder", "other"]
    size: int
    modified_us: int
    version: str | None = None


class Session(Protocol):
    """One session with a server; used by one thread at a time. Paths are absolute, with `/` between the names.

    Every method raises `Server.errors`.
    """

    def alive(self) -> bool:
        """Whether the session can be asked another question, as far as that is known."""

    def about(self, path: str) -> About:
        """The file or folder at `path`."""

    def folder(self, path: str) -> Iterator[tuple[str, About]]:
        """The names in the folder at `path`."""

    def content(self, path: str, start: int, size: int) -> Iterator[bytes]:
        """`size` bytes of the file at `path` from `start` on, or as many as there are."""

    def close(self) -> None:
        """End the session, whatever it is doing. Raises nothing."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server and how it is reached. `prefix` begins every address (`sftp://host`), without a slash at its end.

    Paths are relative to `folder`, which the connection is held to where it is `held`. `sessions` is the most of them
    at the same time. `translate` gives the error of our tree for one of `errors`, which sessions raise.
    """

    prefix: str
    folder: str
    held: bool
    sessions: int
    connect: Callable[[], Session]
    errors: tuple[type[Exception], ...]
    translate: Callable[[Exception, str], HeadgateError]


class FileServer:
    """The files of a server, see `Store`.

    A folder is listed as a whole before any of it is told, so that its session is free for the next one. Contents are
    told apart by size, time and what else the server has; they are compared before and after a file is read.
    """

    local = False

    def __init__(self, server: Server) -> None:
        self._server = server
        self._free = threading.BoundedSemaphore(server.sessions)
        self._idle: list[Session] = []

    def __del__(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def check(self) -> None:
        """List the connection's folder. Raises SourceError."""
        for _ in self.listed(self.address("")):
            return

    def address(self, path: str) -> str:
        """The address of `path`. Raises SourcePathForbidden outside of the connection's folder."""
        prefix, folder = self._server.prefix, _parts(self._server.folder)
        absolute = path == prefix or path.startswith(f"{prefix}/")
        parts = _parts(path.removeprefix(prefix) if absolute else path)
        if ".." in parts or any(ord(letter) < 32 or ord(letter) == 127 for letter in path):
            raise SourcePathForbidden(f"The path {path!r} is refused: it holds a '..' part or a control character.")
        if not absolute:
            parts = folder + parts
        if self._server.held and parts[: len(folder)] != folder:
            raise SourcePathForbidden(f"{path} lies outside of {self.address('')}, which this connection is held to.")
        return "/".join((prefix, *parts)) if parts else f"{prefix}/"

    def pin(self, address: str) -> FileRef | None:
        """The file at `address` as it is now, None for a folder."""
        with self._session(address) as session:
            about = session.about(self._path(address))
        if about.kind == "other":
            raise SourceObjectMissing(f"{address} is not a file.", path=address)
        return None if about.kind == "folder" else _pinned(address, about)

    def listed(self, folder: str) -> Iterator[Listed]:
        """The files and folders in a folder; what is neither is left out."""
        with self._session(folder) as session:
            found = list(session.folder(self._path(folder)))
        for name, about in found:
            address = f"{folder.rstrip('/')}/{name}"
            if "/" in name or "\0" in name or not name.isprintable():
                yield Listed(name, refusal=SourceError(f"The name {address!r} has a character that no path may have."))
            elif about.kind == "folder":
                yield Listed(name, folder=address)
            elif about.kind == "file":
                yield Listed(name, _pinned(address, about))

    def below(self, folder: str) -> Iterator[tuple[str, FileRef]] | None:  # noqa: ARG002 - as every store
        """None: these servers are asked for every folder by itself."""
        return None

    def read(self, file: FileRef, start: int = 0, size: int | None = None) -> Iterator[bytes]:
        """The content of `file`. Raises SourceChanged when it is not the pinned one any more."""
        wanted = max(0, file.size - start if size is None else min(size, file.size - start))
        with self._session(file.path) as session:
            self._see_same(session, file)
            left = wanted
            for piece in session.content(self._path(file.path), start, wanted):
                left -= len(piece)
                yield piece
            self._see_same(session, file)
        if left:
            raise SourceChanged(f"{file.path} changed while it was being read.", path=file.path)

    def _see_same(self, session: Session, file: FileRef) -> None:
        try:
            now = session.about(self._path(file.path))
        except self._server.errors as error:
            told = self._server.translate(error, file.path)
            if isinstance(told, SourceObjectMissing):
                raise SourceChanged(f"{file.path} vanished while it was being read.", path=file.path) from None
            raise told from None
        if _pinned(file.path, now) != file:
            raise SourceChanged(f"{file.path} changed while it was being read.", path=file.path)

    def _path(self, address: str) -> str:
        return address.removeprefix(self._server.prefix) or "/"

    @contextmanager
    def _session(self, what: str) -> Iterator[Session]:
        """A session; one in which something failed, or that was not asked to its end, is not used again."""
        with self._free:
            session: Session | None = None
            try:
                session = self._kept() or self._server.connect()
                yield session
            except BaseException as error:
                if session is not None:
                    session.close()
                if isinstance(error, self._server.errors):
                    raise self._server.translate(error, what) from None
                raise
            self._idle.append(session)

    def _kept(self) -> Session | None:
        while self._idle:
            session = self._idle.pop()
            if session.alive():
                return session
            session.close()
        return None


def text(params: Mapping[str, Any], name: str, *, needed: bool = True) -> str:
    """A parameter as a text; empty when it is absent and not needed. Raises ParameterMissing, BadParameter."""
    value = params.get(name)
    if value is None or value == "":
        if needed:
            raise ParameterMissing(f"{name} is missing or empty.", field=name)
        return ""
    if not isinstance(value, str) or "\0" in value:
        raise BadParameter(f"{name} must be a text without zero characters.", field=name)
    return value


def number(params: Mapping[str, Any], name: str, default: int, most: int) -> int:
    """A parameter that is a whole number from 1 to `most`, or its digits. Raises BadParameter."""
    value = params.get(name)
    if value is None or value == "":
        return default
    if isinstance(value, bool) or not str(value).isdecimal() or not 1 <= int(str(value)) <= most:
        raise BadParameter(f"{name} is {str(value)[:80]!r}; it must be a whole number from 1 to {most}.", field=name)
    return int(str(value))


def host_of(params: Mapping[str, Any], scheme: str, port: int) -> tuple[str, int, str]:
    """The host and port of a server, and what begins its addresses. Raises ParameterMissing, BadParameter.

    The host may be written as an address (`sftp://host:2222`), and may hold the port.
    """
    host = text(params, "host").strip().removeprefix(f"{scheme}://").rstrip("/")
    name, colon, digits = host.rpartition(":")
    if colon and "]" not in digits and (":" not in name or name.endswith("]")):
        port = number({"host": digits}, "host", port, 65535)
        host = name
    host = host.removeprefix("[").removesuffix("]")
    port = number(params, "port", port, 65535)
    return host, port, f"{scheme}://{f'[{host}]' if ':' in host else host}"


def _parts(path: str) -> tuple[str, ...]:
    return tuple(part for part in path.split("/") if part not in ("", "."))


def _pinned(address: str, about: About) -> FileRef:
    return FileRef(address, about.size, about.modified_us, version=about.version)
