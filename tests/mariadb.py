"""A private MariaDB server for tests, from the system's package."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pymysql

from tests.emulators import absent
from tests.file_servers import certificate

__all__ = ["SECRET", "Mariadb", "running_mariadb"]

SECRET = "s3cr3t'p;\\ w{x}\"é✓"
"""The password of the account `reader`, with everything that has to be quoted somewhere."""

_PATIENCE = 60  # seconds for a start
_OPTIONS = (
    *("--bind-address=127.0.0.1", "--skip-log-bin", "--skip-name-resolve", "--innodb-flush-log-at-trx-commit=0"),
    *("--innodb-buffer-pool-size=64M", "--innodb-log-file-size=16M", "--sql-mode=", "--default-time-zone=+05:30"),
)


class Mariadb:
    """A server with TLS, an administrator `root` without a password, and the account `reader`, who may only select."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.certificate = certificate(folder)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> dict[str, str]:
        """The auth params of a connection of `reader`."""
        quoted = SECRET.replace('"', '""')
        text = f'Server=127.0.0.1;Port={self.port};Database=test;UID=reader;PWD="{quoted}"'
        return {"connectionString": text}

    @property
    def url(self) -> dict[str, str]:
        """The same as a URL."""
        return {"connectionString": f"mysql://reader:{quote(SECRET, safe='')}@127.0.0.1:{self.port}/test"}

    def start(self) -> None:
        """Start it, and wait until it answers."""
        program = shutil.which("mariadbd") or "/usr/sbin/mariadbd"
        options = (
            *(f"--datadir={self.folder / 'data'}", f"--socket={self.folder / 's'}", f"--port={self.port}"),
            *(f"--ssl-cert={self.certificate}", f"--ssl-key={self.certificate}"),
        )
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [program, "--no-defaults", *options, *_OPTIONS, *_as_root()], stdout=log, stderr=log
            )
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
            except ConnectionRefusedError:
                if time.monotonic() > until or self._process.poll() is not None:
                    raise AssertionError((self.folder / "log").read_text()[-4000:]) from None
                time.sleep(0.05)
            else:
                return

    def stop(self, number: int = signal.SIGKILL) -> None:
        """End it, at once by default."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(_PATIENCE)
            self._process = None

    @contextmanager
    def session(self, database: str = "") -> Iterator[Any]:
        """A cursor of the administrator, in UTC."""
        socket_ = str(self.folder / "s")
        with (
            closing(
                pymysql.connect(unix_socket=socket_, user="root", database=database or None, autocommit=True)
            ) as it,
            it.cursor() as cursor,
        ):
            cursor.execute("SET time_zone = '+00:00', NAMES utf8mb4")
            yield cursor

    def ask(self, *statements: str, database: str = "") -> Sequence[Sequence[Any]]:
        """The answer to the last of some statements of the administrator."""
        with self.session(database) as cursor:
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall())


def _as_root() -> tuple[str, ...]:
    return ("--user=root",) if os.geteuid() == 0 else ()


@contextmanager
def running_mariadb() -> Iterator[Mariadb]:
    """A server in a folder of its own, ended and removed in the end."""
    if shutil.which("mariadb-install-db") is None:
        absent("MariaDB is not installed: apt-get install mariadb-server")
    with tempfile.TemporaryDirectory(prefix="headgate-mariadb-") as folder:
        server = Mariadb(Path(folder))
        subprocess.run(
            [
                "mariadb-install-db",
                "--no-defaults",
                f"--datadir={folder}/data",
                "--skip-test-db",
                *_as_root(),
                "--auth-root-authentication-method=normal",
            ],
            check=True,
            capture_output=True,
        )
        server.start()
        try:
            password = SECRET.replace("\\", "\\\\").replace("'", "''")
            server.ask(
                "CREATE DATABASE test CHARACTER SET utf8mb4",
                f"CREATE USER reader@'%' IDENTIFIED BY '{password}'",
                "GRANT SELECT, SHOW VIEW ON *.* TO reader@'%'",
            )
            yield server
        finally:
            server.stop()
