"""FTP servers, with or without TLS, through the standard library's client."""

import ftplib
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import httpx

from headgate.errors import (
    BadParameter,
    HeadgateError,
    SourceAccessDenied,
    SourceError,
    SourceObjectMissing,
    SourceUnreachable,
)
from headgate.outbound import Outbound
from headgate.sources.files.stores.servers import SESSIONS, About, FileServer, Server, host_of, number, text

__all__ = ["ftp"]

_CONNECT_SECONDS = 8
_ANSWER_SECONDS = 25
_PIECE = 1 << 20
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME = re.compile(r"(\d{14})(?:\.(\d{1,6})\d*)?")
_UNKNOWN_COMMAND = ("500", "501", "502", "504")


@dataclass(frozen=True, slots=True)
class _Login:
    host: str
    port: int
    addresses: tuple[str, ...]
    user: str
    password: str
    encrypted: bool


def ftp(auth_params: Mapping[str, Any], outbound: Outbound) -> FileServer:
    """The files of an FTP server.

    `auth_params`: `host` (which may hold the port), `userName`, `password`; `port`, `folderPath`,
    `maxConcurrentConnections`, `enableTls` for FTP over explicit TLS. Raises BadParameter, ParameterMissing,
    HostNotAllowed.
    """
    host, port, prefix = host_of(auth_params, "ftp", 21)
    user, password = text(auth_params, "userName"), text(auth_params, "password", needed=False)
    if re.search(r"[\r\n]", user + password):
        raise BadParameter("userName and password cannot hold a line break.", field="userName")
    encrypted = str(auth_params.get("enableTls", False)).lower() == "true"
    login = _Login(host, port, outbound.judge(host, port), user, password, encrypted)
    folder = text(auth_params, "folderPath", needed=False)
    server = Server(
        prefix=prefix if port == 21 else f"{prefix}:{port}",
        folder=folder or "/",
        held=bool(folder),
        sessions=number(auth_params, "maxConcurrentConnections", SESSIONS, 64),
        connect=partial(_Session, login),
        errors=(*ftplib.all_errors, ValueError),
        translate=partial(_translate, login),
    )
    return FileServer(server)


class _Session:
    def __init__(self, login: _Login) -> None:
        self._ftp = _connected(login)
        try:
            self._ftp.timeout = _ANSWER_SECONDS
            if self._ftp.sock is not None:
                self._ftp.sock.settimeout(_ANSWER_SECONDS)
            self._ftp.host = login.host  # which the certificate is for
            self._ftp.login(login.user, login.password)
            if isinstance(self._ftp, ftplib.FTP_TLS):
                self._ftp.prot_p()
        except BaseException:
            self.close()
            raise

    def alive(self) -> bool:
        try:
            self._ftp.voidcmd("NOOP")
        except ftplib.all_errors:
            return False
        return True

    def about(self, path: str) -> About:
        try:
            answer = self._ftp.sendcmd(f"MLST {path}")
        except ftplib.error_perm as error:
            if not str(error).startswith(_UNKNOWN_COMMAND):
                raise
            return self._asked(path)
        facts = next((line for line in answer.split("\n")[1:] if "=" in line), "")
        return _about(_facts(facts.strip().split(" ")[0]))

    def folder(self, path: str) -> Iterator[tuple[str, About]]:
        self._ftp.cwd(path)  # a server may list a file as a folder that holds it
        try:
            found = list(self._ftp.mlsd())
        except ftplib.error_perm as error:
            if not str(error).startswith(_UNKNOWN_COMMAND):
                raise
            yield from self._names(path)
            return
        for name, facts in found:
            if facts.get("type", "").lower() not in ("cdir", "pdir"):
                yield name.rpartition("/")[2], _about(facts)

    def _names(self, path: str) -> Iterator[tuple[str, About]]:
        """The folder as a server without MLSD tells of it, name by name."""
        try:
            names = self._ftp.nlst()
        except ftplib.error_perm as error:
            if str(error).startswith("550"):  # how they say that there is nothing
                return
            raise
        for name in names:
            plain = name.rpartition("/")[2]
            if plain not in (".", ".."):
                yield plain, self._asked(f"{path.rstrip('/')}/{plain}")

    def content(self, path: str, start: int, size: int) -> Iterator[bytes]:
        if not size:
            return
        left = size
        self._ftp.voidcmd("TYPE I")  # a listing has left it at text
        with self._ftp.transfercmd(f"RETR {path}", rest=start or None) as data:
            while left and (piece := data.recv(min(_PIECE, left))):
                left -= len(piece)
                yield piece
            more = not left and data.recv(1)  # the rest is not wanted, or has come since
        if more:
            with suppress(*ftplib.all_errors):
                self._ftp.voidresp()  # 426: we hung up
        else:
            self._ftp.voidresp()

    def close(self) -> None:
        self._ftp.close()

    def _asked(self, path: str) -> About:
        """What a server without MLST says."""
        self._ftp.voidcmd("TYPE I")
        try:
            size = self._ftp.size(path)
            modified = self._ftp.sendcmd(f"MDTM {path}")
        except ftplib.error_perm as error:
            try:
                self._ftp.cwd(path)
            except ftplib.error_perm:
                raise error from None
            return About("folder", 0, 0)
        return _about({"type": "file", "size": str(size), "modify": modified[4:].strip()})


def _connected(login: _Login) -> ftplib.FTP:
    failure: Exception = OSError(f"the host {login.host!r} is not known")
    for address in login.addresses:
        client = ftplib.FTP_TLS(context=_tls()) if login.encrypted else ftplib.FTP()  # noqa: S321 - it is what is asked for
        try:
            client.connect(address, login.port, _CONNECT_SECONDS)
        except (OSError, EOFError, ftplib.Error) as error:
            client.close()
            failure = error
            continue
        return client
    raise failure


def _tls() -> ssl.SSLContext:
    return httpx.create_ssl_context()  # the authorities that all other calls of this process go by


def _facts(text: str) -> dict[str, str]:
    pairs = (fact.partition("=") for fact in text.split(";") if fact)
    return {name.lower(): value for name, _, value in pairs}


def _about(facts: Mapping[str, str]) -> About:
    kind = facts.get("type", "").lower()
    modified = _microseconds(facts.get("modify", ""))
    if kind in ("dir", "cdir", "pdir"):
        return About("folder", 0, modified)
    size = facts.get("size", "")
    return About("file" if kind == "file" else "other", int(size) if size.isdecimal() else 0, modified)


def _microseconds(text: str) -> int:
    """A time such as 20241124101530.25, in UTC; 0 where there is none."""
    found = _TIME.fullmatch(text)
    if found is None:
        return 0
    at = datetime.strptime(f"{found[1]}+0000", "%Y%m%d%H%M%S%z")
    return (at - _EPOCH) // timedelta(microseconds=1) + int((found[2] or "").ljust(6, "0"))


def _translate(login: _Login, error: Exception, what: str) -> HeadgateError:
    said = str(error).strip()
    match error:
        case ssl.SSLCertVerificationError():
            return SourceError(f"FTP: the certificate of {login.host} is refused: {error.verify_message}.")
        case ftplib.error_perm():
            if said.startswith(("530", "532", "331", "332")):
                return SourceAccessDenied(f"FTP: {login.host} refuses the login of {login.user}: {said}")
            if re.search(r"(?i)denied|permission|not allowed|forbidden", said):
                return SourceAccessDenied(f"FTP: {login.user} may not read {what}: {said}", path=what)
            if said.startswith(("550", "553")):
                return SourceObjectMissing(f"There is no {what}: {said}", path=what)
            return SourceError(f"FTP: {login.host} refuses {what}: {said}", path=what)
        case ftplib.error_temp():
            return SourceUnreachable(f"FTP: {login.host} cannot answer just now: {said}")
        case TimeoutError():
            return SourceUnreachable(f"FTP: {login.host} did not answer in time.")
        case EOFError():
            return SourceUnreachable(f"FTP: {login.host} closed the connection.")
        case UnicodeError():
            return SourceError(f"{what} holds a name that is not valid UTF-8.", path=what)
        case ValueError():  # of a name with a line break, which the client refuses
            return SourceError(f"FTP: {what}: {said}.", path=what)
        case socket.gaierror() | OSError():
            return SourceUnreachable(f"FTP: {login.host} at port {login.port}: {error.strerror or said}.")
    return SourceError(f"FTP: {login.host}: {said}", path=what)
