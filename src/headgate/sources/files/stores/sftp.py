"""SFTP servers, through paramiko."""

import base64
import binascii
import io
import logging
import socket
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_ssh_private_key,
)

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
from headgate.sources.libraries import lacking

try:
    import paramiko
except ImportError:
    raise lacking("SFTP", "paramiko", "sftp") from None

__all__ = ["sftp"]

_CONNECT_SECONDS = 8
_ANSWER_SECONDS = 25
_PIECE = 1 << 20
_AHEAD = 4  # pieces that are asked for before the first of them is there
logging.getLogger("paramiko").setLevel(logging.CRITICAL)  # what fails is raised, too
_KEYS = (
    (Ed25519PrivateKey, (paramiko.Ed25519Key, PrivateFormat.OpenSSH)),
    (EllipticCurvePrivateKey, (paramiko.ECDSAKey, PrivateFormat.TraditionalOpenSSL)),
    (RSAPrivateKey, (paramiko.RSAKey, PrivateFormat.TraditionalOpenSSL)),
)


@dataclass(frozen=True, slots=True)
class _Login:
    """How a session is begun. `fingerprint` is the host key's, as OpenSSH shows it; any is taken where it is empty."""

    host: str
    port: int
    addresses: tuple[str, ...]
    user: str
    password: str
    key: paramiko.PKey | None
    fingerprint: str
    pipelined: bool


def sftp(auth_params: Mapping[str, Any], outbound: Outbound) -> FileServer:
    """The files of an SFTP server.

    `auth_params`: `host`, `userName`, and `password` or `privateKeyContent` (PEM or OpenSSH's form, or the Base64 of
    it) with its `passPhrase`; `port`, `folderPath`, `maxConcurrentConnections`, `disableChunking` (one request at a
    time, for servers that do not bear several), `hostKeyFingerprint`. Raises BadParameter, ParameterMissing,
    HostNotAllowed.
    """
    host, port, prefix = host_of(auth_params, "sftp", 22)
    content = text(auth_params, "privateKeyContent", needed=False)
    login = _Login(
        host=host,
        port=port,
        addresses=outbound.judge(host, port),
        user=text(auth_params, "userName"),
        password="" if content else text(auth_params, "password"),
        key=_key(content, text(auth_params, "passPhrase", needed=False)) if content else None,
        fingerprint=_fingerprint(text(auth_params, "hostKeyFingerprint", needed=False)),
        pipelined=str(auth_params.get("disableChunking", False)).lower() != "true",
    )
    folder = text(auth_params, "folderPath", needed=False)
    server = Server(
        prefix=prefix if port == 22 else f"{prefix}:{port}",
        folder=folder or "/",
        held=bool(folder),
        sessions=number(auth_params, "maxConcurrentConnections", SESSIONS, 64),
        connect=partial(_Session, login),
        errors=(paramiko.SSHException, paramiko.SFTPError, OSError, EOFError, UnicodeError),
        translate=partial(_translate, login),
    )
    return FileServer(server)


class _Session:
    def __init__(self, login: _Login) -> None:
        self._pipelined = login.pipelined
        self._transport = paramiko.Transport(_connected(login))
        try:
            self._transport.auth_timeout = _ANSWER_SECONDS
            self._transport.start_client(timeout=_ANSWER_SECONDS)
            self._see_known(login)
            if login.key is not None:
                self._transport.auth_publickey(login.user, login.key)
            else:
                self._transport.auth_password(login.user, login.password)
            channel = self._transport.open_session(timeout=_ANSWER_SECONDS)
            channel.settimeout(_ANSWER_SECONDS)
            channel.invoke_subsystem("sftp")
            self._client = paramiko.SFTPClient(channel)
        except BaseException:
            self.close()
            raise

    def _see_known(self, login: _Login) -> None:
        """Raises SourceAccessDenied when the server has another key than is expected of it, TimeoutError for none."""
        if not self._transport.initial_kex_done:  # the client does not say that the time is up
            raise TimeoutError
        known = self._transport.get_remote_server_key().fingerprint
        if login.fingerprint not in ("", known):
            raise SourceAccessDenied(
                f"SFTP: the host key of {login.host} has the fingerprint {known}, not {login.fingerprint}. No password "
                "was sent. Correct hostKeyFingerprint if the server has a new key."
            )

    def alive(self) -> bool:
        return bool(self._transport.is_active())

    def about(self, path: str) -> About:
        return _about(self._client.stat(path))

    def folder(self, path: str) -> Iterator[tuple[str, About]]:
        for found in self._client.listdir_iter(path):
            name = str(found.filename)
            if stat.S_ISLNK(found.st_mode or 0):
                with suppress(FileNotFoundError, PermissionError):  # it leads nowhere
                    yield name, self.about(f"{path.rstrip('/')}/{name}")
            else:
                yield name, _about(found)

    def content(self, path: str, start: int, size: int) -> Iterator[bytes]:
        with self._client.open(path, "rb") as file:
            ahead = _PIECE * _AHEAD if self._pipelined else _PIECE
            for at in range(start, start + size, ahead):
                end = min(start + size, at + ahead)
                if self._pipelined:
                    parts = [(from_, min(_PIECE, end - from_)) for from_ in range(at, end, _PIECE)]
                    yield from filter(None, file.readv(parts))
                else:
                    file.seek(at)
                    yield file.read(end - at)

    def close(self) -> None:
        self._transport.close()


def _connected(login: _Login) -> socket.socket:
    failure = OSError(f"the host {login.host!r} is not known")
    for address in login.addresses:
        try:
            return socket.create_connection((address, login.port), _CONNECT_SECONDS)
        except OSError as error:
            failure = error
    raise failure


def _about(found: paramiko.SFTPAttributes) -> About:
    mode = found.st_mode or 0
    kind = stat.S_ISDIR(mode)
    modified = (found.st_mtime or 0) * 1_000_000
    if kind:
        return About("folder", 0, modified)
    return About("file" if stat.S_ISREG(mode) or not stat.S_IFMT(mode) else "other", found.st_size or 0, modified)


def _key(content: str, password: str) -> paramiko.PKey:
    """The private key in `content`. Raises BadParameter, which says nothing of it.

    It is read by cryptography and handed on unencrypted: paramiko 5.1 cannot read every ECDSA key in OpenSSH's form.
    """
    if "PRIVATE KEY" not in content:
        with suppress(binascii.Error):
            content = base64.b64decode("".join(content.split()), validate=True).decode("ascii", "replace")
    load = load_ssh_private_key if "OPENSSH PRIVATE KEY" in content else load_pem_private_key
    try:
        found = load(content.encode(), password.encode() or None)
        form = next((form for kind, form in _KEYS if isinstance(found, kind)), None)
        if form is not None:
            key, written = form
            return key.from_private_key(
                io.StringIO(found.private_bytes(Encoding.PEM, written, NoEncryption()).decode())
            )
    except (ValueError, TypeError, UnsupportedAlgorithm, paramiko.SSHException):  # TypeError: it needs another password
        pass
    raise BadParameter(
        "privateKeyContent is no Ed25519, ECDSA or RSA key that can be read with this passPhrase. Send the text of the "
        "private key, or the Base64 of it, and the passPhrase that it is encrypted with, if it is.",
        field="privateKeyContent",
    )


def _fingerprint(value: str) -> str:
    value = value.strip().rstrip("=")
    if value and not value.startswith("SHA256:"):
        raise BadParameter(
            "hostKeyFingerprint must look like SHA256:…, as `ssh-keygen -lf` shows it.", field="hostKeyFingerprint"
        )
    return value


def _translate(login: _Login, error: Exception, what: str) -> HeadgateError:
    match error:
        case paramiko.AuthenticationException():
            advice = "Correct userName, or its password or key."
            return SourceAccessDenied(f"SFTP: {login.host} refuses the login of {login.user}. {advice}")
        case FileNotFoundError():
            return SourceObjectMissing(f"There is no {what}.", path=what)
        case PermissionError():
            return SourceAccessDenied(f"SFTP: {login.user} may not read {what}.", path=what)
        case TimeoutError():
            return SourceUnreachable(f"SFTP: {login.host} did not answer in time.")
        case EOFError():
            return SourceUnreachable(f"SFTP: {login.host} closed the connection.")
        case ConnectionError() | socket.gaierror() | paramiko.SSHException():
            return SourceUnreachable(
                f"SFTP: {login.host} at port {login.port}: {getattr(error, 'strerror', 0) or error}."
            )
        case UnicodeDecodeError():
            return SourceError(f"{what} holds a name that is not valid UTF-8.", path=what)
        case OSError():
            unreachable = error.errno is not None
            kind = SourceUnreachable if unreachable else SourceError  # SFTP's own refusals have no number
            return kind(f"SFTP: {what}: {error.strerror or error}.", path=what)
    return SourceError(f"SFTP: {what}: {error}.", path=what)
