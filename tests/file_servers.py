"""SFTP, FTP and SMB servers over a folder, on loopback, for the tests."""

import asyncio
import datetime
import logging
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler, TLS_FTPHandler
from pyftpdlib.servers import FTPServer

from tests.emulators import absent

_SAMBA = """
[global]
server role = standalone server
smb ports = {port}
interfaces = 127.0.0.1/8
bind interfaces only = yes
private dir = {own}/private
state directory = {own}/state
cache directory = {own}/cache
lock directory = {own}/lock
pid directory = {own}/run
ncalrpc dir = {own}/run/ncalrpc
passdb backend = smbpasswd:{own}/private/smbpasswd
map to guest = never
server min protocol = SMB3
load printers = no
printing = bsd
disable spoolss = yes
[files]
path = {root}
read only = yes
force user = root
valid users = nobody
"""
logging.getLogger("pyftpdlib").setLevel(logging.ERROR)
USER, PASSWORD = "reader", "s3cret-of-the-tests"


@dataclass
class Running:
    """A server that listens; `logins` are the users that it let in."""

    port: int
    fingerprint: str = ""
    logins: list[str] = field(default_factory=list)
    most: int = 0


@contextmanager
def sftp_server(root: Path, key: asyncssh.SSHKey | None = None) -> Iterator[Running]:
    """An SFTP server whose root is `root`; a user comes in by the password, or by the private key of `key`."""
    running = Running(0)
    host_key = asyncssh.generate_private_key("ssh-ed25519")
    running.fingerprint = host_key.get_fingerprint()
    open_now: set[asyncssh.SSHServerConnection] = set()

    class Server(asyncssh.SSHServer):
        def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
            self._connection = conn
            open_now.add(conn)
            running.most = max(running.most, len(open_now))

        def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
            open_now.discard(self._connection)

        def password_auth_supported(self) -> bool:
            return True

        def validate_password(self, username: str, password: str) -> bool:
            running.logins.append(username)
            return (username, password) == (USER, PASSWORD)

        def public_key_auth_supported(self) -> bool:
            return key is not None

        def validate_public_key(self, username: str, public: asyncssh.SSHKey) -> bool:  # noqa: ARG002
            return key is not None and public.public_data == key.public_data

    def files(channel: asyncssh.SSHServerChannel) -> asyncssh.SFTPServer:  # type: ignore[type-arg]
        return asyncssh.SFTPServer(channel, chroot=str(root).encode())

    loop = asyncio.new_event_loop()
    listening: list[asyncssh.SSHAcceptor] = []
    ready = threading.Event()

    async def listen() -> None:
        listening.append(
            await asyncssh.create_server(
                Server, "127.0.0.1", 0, server_host_keys=[host_key], sftp_factory=files, allow_scp=False
            )
        )
        running.port = listening[0].get_port()
        ready.set()

    async def end() -> None:
        listening[0].close()
        for connection in tuple(open_now):
            connection.abort()
            await connection.wait_closed()
        await listening[0].wait_closed()

    def serve() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(listen())
        loop.run_forever()
        loop.run_until_complete(end())
        loop.run_until_complete(asyncio.sleep(0.05))  # for the transports to close
        loop.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    assert ready.wait(20)
    try:
        yield running
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(20)


@contextmanager
def ftp_server(root: Path, *, modern: bool = True, tls: Path | None = None, port: int = 0) -> Iterator[Running]:
    """An FTP server whose root is `root`. One that is not `modern` knows no MLST and no MLSD.

    With the certificate `tls` it takes encrypted connections only.
    """

    class Handler(TLS_FTPHandler if tls else FTPHandler):  # type: ignore[misc]
        pass

    if tls is not None:
        Handler.certfile = str(tls)
        Handler.tls_control_required = Handler.tls_data_required = True

    if not modern:
        known = dict(FTPHandler.proto_cmds)
        for command in ("MLST", "MLSD"):
            known.pop(command)
        Handler.proto_cmds = known
    authorizer = DummyAuthorizer()
    authorizer.add_user(USER, PASSWORD, str(root), perm="elr")
    Handler.authorizer = authorizer
    Handler.banner = "ready"
    Handler.auth_failed_timeout = 0
    server = FTPServer(("127.0.0.1", port), Handler)
    ended = threading.Event()

    def serve() -> None:
        while not ended.is_set():
            server.serve_forever(timeout=0.05, blocking=False, handle_exit=False)
        server.close_all()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield Running(server.address[1])
    finally:
        ended.set()
        thread.join(20)


@contextmanager
def smb_server(root: Path, folder: Path) -> Iterator[Running]:
    """Samba with the share `files`, which is `root`, for the user nobody; what it keeps is below `folder`."""
    program = shutil.which("smbd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        absent("Samba is not installed: apt-get install samba samba-common-bin")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    # Samba's folders are longer than a socket's address may be below pytest's own.
    with tempfile.TemporaryDirectory(prefix="headgate-samba-") as own:
        for kept in ("private", "state", "cache", "lock", "run"):
            (Path(own) / kept).mkdir()
        settings = Path(own) / "smb.conf"
        settings.write_text(_SAMBA.format(own=own, port=port, root=root))
        subprocess.run(
            ["smbpasswd", "-c", settings, "-L", "-a", "-s", "nobody"],
            input=f"{PASSWORD}\n{PASSWORD}\n",
            text=True,
            check=True,
            capture_output=True,
        )
        with (folder / "samba.log").open("w") as log:
            command = [program, "--foreground", "--no-process-group", "--debug-stdout", "-s", str(settings)]
            process = subprocess.Popen(  # in a group of its own, which it ends as a whole
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
            )
            try:
                _await_port(port, process)
                yield Running(port)
            finally:
                process.terminate()
                process.wait(30)


def _await_port(port: int, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + 60
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        assert process.poll() is None, "the server ended at once"
        assert time.monotonic() < end, "the server did not listen in time"
        time.sleep(0.05)


def key_text(kind: str, passphrase: str | None = None) -> tuple[asyncssh.SSHKey, str]:
    """A fresh key, and its private part as OpenSSH writes it."""
    key = asyncssh.generate_private_key(kind)
    return key, key.export_private_key("openssh", passphrase=passphrase, rounds=64).decode()


def certificate(folder: Path) -> Path:
    """A certificate for localhost that nobody signed, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path
