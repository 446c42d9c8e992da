"""The keys that secrets are sealed with: the current one, and those that are known while rotating."""

import base64
import binascii
import fcntl
import hashlib
import os
import secrets
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from headgate.config import Settings
from headgate.errors import SecretsKeyUnusable
from headgate.telemetry import emit

__all__ = ["FileKeys", "GivenKeys", "Key", "Keyring", "keyring_of", "read_or_create"]

KEY_BYTES = 32
COMMAND_SECONDS = 10
_FRESH_SECONDS = 60
_GRACE_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Key:
    """An AES-256 key. `id` is public: 16 hexadecimal digits of its digest."""

    id: str
    secret: bytes = field(repr=False)

    @classmethod
    def of(cls, secret: bytes, where: str) -> "Key":
        """The key that `secret` is. Raises SecretsKeyUnusable naming `where` it was found."""
        if len(secret) != KEY_BYTES:
            raise SecretsKeyUnusable(f"The secrets key in {where} has {len(secret)} bytes; it must have {KEY_BYTES}.")
        return cls(hashlib.sha256(b"headgate secrets key" + secret).hexdigest()[:16], secret)


class Keyring(Protocol):
    """Where keys come from. Every method may raise SecretsKeyUnusable."""

    def current(self) -> Key:
        """The key that is sealed with now."""

    def known(self, id_: str) -> Key | None:
        """The key with this id, if it is still known."""

    def all(self) -> tuple[Key, ...]:
        """Every known key, the current one first."""


def keyring_of(settings: Settings) -> Keyring:
    """The keyring that the settings name: a command's, the environment's, or that of the keys folder."""
    if settings.secrets_key_command:
        return GivenKeys(_Command(settings.secrets_key_command), "HEADGATE_SECRETS_KEY_COMMAND")
    if settings.secrets_key is not None:
        text = settings.secrets_key.get_secret_value()
        return GivenKeys(lambda: text, "HEADGATE_SECRETS_KEY")
    return FileKeys(settings.keys)


class FileKeys:
    """The key in `<folder>/secrets.key`, made on first use, and those it replaced, `secrets-<id>.key`.

    Another process may renew the key at any time; it is looked at before every use.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / "secrets.key"
        self._loaded: tuple[tuple[int, int], Key] | None = None

    def current(self) -> Key:
        """The key in the file, as it is now."""
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            if self._loaded is not None:  # lost under a running service, which can still open what it has
                return self._loaded[1]
            read_or_create(self._path, secrets.token_bytes(KEY_BYTES))
            stat = self._path.stat()
        state = (stat.st_ino, stat.st_mtime_ns)
        if self._loaded is None or self._loaded[0] != state:
            self._loaded = (state, Key.of(self._path.read_bytes(), str(self._path)))
        return self._loaded[1]

    def known(self, id_: str) -> Key | None:
        """The current key, or one that was replaced and not forgotten."""
        current = self.current()
        return current if current.id == id_ else next((key for key in self.all() if key.id == id_), None)

    def all(self) -> tuple[Key, ...]:
        """The current key, then those it replaced."""
        return (self.current(), *(Key.of(path.read_bytes(), str(path)) for path in self._replaced()))

    def renew(self) -> Key:
        """Make a new current key; the old one stays known until `forget()`."""
        old = self.current()
        kept = self._folder / f"secrets-{old.id}.key"
        if not kept.exists():
            os.link(self._path, kept)
        fresh = self._folder / f".secrets.key.{secrets.token_hex(4)}"
        read_or_create(fresh, secrets.token_bytes(KEY_BYTES))
        fresh.replace(self._path)
        _sync(self._folder)
        return self.current()

    def forget(self, in_use: frozenset[str]) -> tuple[str, ...]:
        """Delete replaced keys that are not in use; the ids of those deleted.

        One that was replaced a moment ago is kept: a transaction that sealed with it may just be under way.
        """
        gone = []
        for path in self._replaced():
            key = Key.of(path.read_bytes(), str(path))
            if key.id not in in_use and time.time() - path.stat().st_ctime > _GRACE_SECONDS:
                path.unlink()
                gone.append(key.id)
        return tuple(gone)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """While open, no other process renews or forgets keys of this folder."""
        descriptor = os.open(self._folder / ".rotating", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _replaced(self) -> list[Path]:
        found = self._folder.glob("secrets-*.key")
        return sorted(found, key=lambda path: path.stat().st_ctime, reverse=True)


class GivenKeys:
    """Keys that the operator keeps elsewhere: base64 texts, the current one first, parted by commas or spaces.

    They are asked for again once a minute at most; should that fail, those known are used on.
    """

    def __init__(self, give: Callable[[], str], where: str) -> None:
        self._give = give
        self._where = where
        self._keys: tuple[Key, ...] = ()
        self._asked = 0.0

    def current(self) -> Key:
        """The first of the keys."""
        return self.all()[0]

    def known(self, id_: str) -> Key | None:
        """Any of the keys."""
        return next((key for key in self.all() if key.id == id_), None)

    def all(self) -> tuple[Key, ...]:
        """The keys in the operator's order."""
        if not self._keys or time.monotonic() - self._asked > _FRESH_SECONDS:
            self._asked = time.monotonic()
            try:
                self._keys = self._read(self._give())
            except SecretsKeyUnusable as error:
                if not self._keys:
                    raise
                emit("secrets.key_not_renewed", level="warning", reason=error.detail)
        return self._keys

    def _read(self, text: str) -> tuple[Key, ...]:
        keys = []
        for part in text.replace(",", " ").split():
            try:
                secret = base64.b64decode(part.translate(str.maketrans("-_", "+/")), validate=True)
            except (binascii.Error, ValueError):
                raise SecretsKeyUnusable(
                    f"{self._where} gives no base64 text. `openssl rand -base64 {KEY_BYTES}` makes a key."
                ) from None
            keys.append(Key.of(secret, self._where))
        if not keys:
            raise SecretsKeyUnusable(f"{self._where} gives no key.")
        return tuple(keys)


class _Command:
    """Runs the operator's command, without a shell, for at most ten seconds."""

    def __init__(self, command: str) -> None:
        self._command = command

    def __call__(self) -> str:
        """What it prints. Raises SecretsKeyUnusable; its error output may hold secrets and is not read."""
        try:
            arguments = shlex.split(self._command)
        except ValueError as error:
            raise SecretsKeyUnusable(f"HEADGATE_SECRETS_KEY_COMMAND cannot be read: {error}.") from None
        name = Path(arguments[0]).name if arguments else ""
        environment = {key: value for key, value in os.environ.items() if key != "HEADGATE_SECRETS_KEY"}
        try:
            child = subprocess.Popen(
                arguments,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except (OSError, IndexError, ValueError) as error:
            raise SecretsKeyUnusable(f"HEADGATE_SECRETS_KEY_COMMAND cannot be run: {name!r}: {error}.") from None
        try:
            output, _ = child.communicate(timeout=COMMAND_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)  # whatever it started holds the pipe open, too
            child.communicate()
            raise SecretsKeyUnusable(
                f"HEADGATE_SECRETS_KEY_COMMAND ({name}) gave no key within {COMMAND_SECONDS} seconds."
            ) from None
        if child.returncode != 0:
            raise SecretsKeyUnusable(f"HEADGATE_SECRETS_KEY_COMMAND ({name}) ended with the code {child.returncode}.")
        try:
            return output.decode("ascii")
        except UnicodeDecodeError:
            raise SecretsKeyUnusable(f"HEADGATE_SECRETS_KEY_COMMAND ({name}) prints no base64 text.") from None


def read_or_create(path: Path, content: bytes) -> bytes:
    """The content of `path`, which becomes `content` if there is none yet, even when two processes begin."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)  # fails, unlike a rename, when another process was first
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_bytes()


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
