"""Shares of SMB 3 servers, such as Azure Files, through smbprotocol."""

import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import uuid4

from headgate.errors import (
    BadParameter,
    HeadgateError,
    SourceAccessDenied,
    SourceError,
    SourceObjectMissing,
    SourceUnreachable,
)
from headgate.outbound import Outbound
from headgate.sources.files.stores.servers import SESSIONS, About, FileServer, Server, number, text
from headgate.sources.libraries import lacking

try:
    import smbclient
    from smbprotocol import exceptions
except ImportError:
    raise lacking("Azure Files", "smbprotocol", "smb") from None

__all__ = ["smb"]

_CONNECT_SECONDS = 8
_PIECE = 1 << 20
_HOST = re.compile(r"[\\/]{2}(?P<host>[^\\/]+)[\\/](?P<share>[^\\/]+)(?P<folder>(?:[\\/].*)?)")
_UNNAMEABLE = re.compile(r'[\\:*?"<>|]')

os.environ.setdefault("SMB_EXPERIMENTAL_TRANSPORT_RECEIVE_TIMEOUT", "25")  # else the library waits for ten minutes
smbclient.ClientConfig(skip_dfs=True)  # a referral could lead to a server that nobody judged
for _name in ("smbprotocol", "spnego"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)  # what fails is raised, too


@dataclass(frozen=True, slots=True)
class _Login:
    host: str
    port: int
    addresses: tuple[str, ...]
    share: str
    user: str
    password: str


def smb(auth_params: Mapping[str, Any], outbound: Outbound) -> FileServer:
    r"""The files of one share, encrypted on the way.

    `auth_params`: `host` with the share, as `\\account.file.core.windows.net\share` and perhaps a folder in it;
    `userId` (of Azure Files the account's name), `password` (the account's key); `port`, `folderPath`. Raises
    BadParameter, ParameterMissing, HostNotAllowed.
    """
    found = _HOST.fullmatch(text(auth_params, "host").strip())
    if found is None:
        raise BadParameter(
            r"host must name the server and its share, such as \\account.file.core.windows.net\share.", field="host"
        )
    host, share = found["host"], found["share"]
    port = number(auth_params, "port", 445, 65535)
    folder = (found["folder"] + "/" + text(auth_params, "folderPath", needed=False)).replace("\\", "/").strip("/")
    user, password = text(auth_params, "userId"), text(auth_params, "password")
    login = _Login(host, port, outbound.judge(host, port), share, user, password)
    server = Server(
        prefix=f"smb://{host}{'' if port == 445 else f':{port}'}/{share}",
        folder=f"/{folder}",
        held=bool(folder),
        sessions=SESSIONS,
        connect=partial(_Session, login),
        errors=(exceptions.SMBException, OSError, ValueError),
        translate=partial(_translate, login),
    )
    return FileServer(server)


class _Session:
    def __init__(self, login: _Login) -> None:
        self._share = login.share
        self._connections: dict[str, Any] = {}  # of this session alone: the library would share them among all
        self._server = ""
        failure: Exception = OSError(f"the host {login.host!r} is not known")
        for address in login.addresses:
            try:
                smbclient.register_session(
                    address,
                    username=login.user,
                    password=login.password,
                    port=login.port,
                    encrypt=True,
                    connection_timeout=_CONNECT_SECONDS,
                    connection_cache=self._connections,
                    auth_protocol="ntlm",
                )
            except (ValueError, OSError) as error:
                failure = error
                continue
            except BaseException:
                self.close()
                raise
            self._server = address
            self._asking: dict[str, Any] = {"port": login.port, "connection_cache": self._connections}
            return
        raise failure

    def alive(self) -> bool:
        return all(connection.transport.connected for connection in self._connections.values())

    def about(self, path: str) -> About:
        found = smbclient.stat(self._unc(path), **self._asking)
        kind = found.st_mode & 0o170000
        size, modified, number_ = found.st_size, found.st_mtime_ns // 1000, str(found.st_ino)
        if kind == 0o040000:
            return About("folder", 0, modified)
        return About("file" if kind == 0o100000 else "other", size, modified, number_)

    def folder(self, path: str) -> Iterator[tuple[str, About]]:
        for entry in smbclient.scandir(self._unc(path), **self._asking):
            if entry.is_symlink():
                with suppress(exceptions.SMBOSError):  # it leads nowhere
                    yield entry.name, self.about(f"{path.rstrip('/')}/{entry.name}")
                continue
            about = entry.smb_info
            at = about.last_write_time
            modified = int(at.timestamp()) * 1_000_000 + at.microsecond
            if entry.is_dir():
                yield entry.name, About("folder", 0, modified)
            else:
                yield entry.name, About("file", about.end_of_file, modified, str(about.file_id))

    def content(self, path: str, start: int, size: int) -> Iterator[bytes]:
        with smbclient.open_file(self._unc(path), mode="rb", buffering=0, share_access="rwd", **self._asking) as file:
            file.seek(start)
            left = size
            while left and (piece := file.read(min(_PIECE, left))):
                left -= len(piece)
                yield piece

    def close(self) -> None:
        smbclient.reset_connection_cache(fail_on_error=False, connection_cache=self._connections)

    def _unc(self, path: str) -> str:
        if _UNNAMEABLE.search(path):  # no share has such a name, and a server would read a pattern
            path = f"/{uuid4()}"
        inner = path.strip("/").replace("/", "\\")
        return f"\\\\{self._server}\\{self._share}" + (f"\\{inner}" if inner else "")


def _translate(login: _Login, error: Exception, what: str) -> HeadgateError:
    match error:
        case exceptions.BadNetworkName() | exceptions.SMBOSError(ntstatus=0xC00000CC | 0xC0000225):
            return SourceObjectMissing(f"SMB: {login.host} has no share {login.share!r}.", path=what)
        case FileNotFoundError() | exceptions.ObjectNameNotFound() | exceptions.ObjectPathNotFound():
            return SourceObjectMissing(f"There is no {what}.", path=what)
        case exceptions.SMBOSError(errno=2 | 20):
            return SourceObjectMissing(f"There is no {what}.", path=what)
        case exceptions.LogonFailure():
            advice = "Correct userId or password."
            return SourceAccessDenied(f"SMB: {login.host} refuses the login of {login.user}. {advice}")
        case PermissionError() | exceptions.AccessDenied() | exceptions.SMBOSError(errno=13):
            return SourceAccessDenied(f"SMB: {login.user} may not read {what}.", path=what)
        case TimeoutError():
            return SourceUnreachable(f"SMB: {login.host} did not answer in time.")
        case ValueError():  # how the client says that it cannot connect
            reason = str(error).rpartition("] ")[2] if "] " in str(error) else str(error)
            return SourceUnreachable(f"SMB: {login.host} at port {login.port}: {reason}.")
        case exceptions.SMBConnectionClosed() | ConnectionError():
            return SourceUnreachable(f"SMB: {login.host} closed the connection.")
        case exceptions.SMBResponseException():
            return SourceError(f"SMB: {what}: {error.message}", path=what)
    return SourceError(f"SMB: {what}: {getattr(error, 'strerror', None) or error}.", path=what)
