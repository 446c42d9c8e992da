"""One program of somebody else's, while it runs: what it writes, how it ends, and that it does."""

import json
import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast
from uuid import uuid4

from headgate.errors import SourceError, SourceUnreachable
from headgate.model.run_log import Level
from headgate.sources.child.registration import Connector
from headgate.sources.context import Telling
from headgate.telemetry import emit, redact

__all__ = ["Job", "Program"]

_SUPERVISOR = Path(__file__).with_name("supervisor.py")
_LOOK = 0.2  # seconds between two looks at whether a program that is silent is still wanted
_PIPE, _CHUNK = 1 << 20, 1 << 20
_LONGEST = 16 << 20  # bytes of a line, which holds one record
_PATIENCE = 10.0  # seconds for the supervisor to end everything
_LAST_WORDS = 2.0  # seconds for what it said last to come
_TOLD_LINES, _KEPT_LINES = 100, 20  # of its standard error: in the logs, and in an error
_LONGEST_TOLD, _LONGEST_READ = 500, 65_536  # characters of such a line
_SET_PIPE_SIZE = 1031  # Linux' F_SETPIPE_SZ


@dataclass(frozen=True, slots=True)
class Job:
    """What a program is to do: its arguments, in which `{folder}` is its folder, and the files it finds there.

    It may take `seconds` altogether; None for as long as it writes anything.
    """

    arguments: Sequence[str]
    files: Mapping[str, str]
    seconds: float | None = None


class Program:
    """A registered program doing a job, below a supervisor that ends it with all that it has started.

    Use it as a context: it ends when that is left. `stop()` may come from any thread.
    """

    def __init__(self, connector: Connector, job: Job, scratch: Path, secrets: Sequence[str], telling: Telling) -> None:
        self._connector, self._job, self._secrets, self._telling = connector, job, secrets, telling
        self._stopped, self._over = threading.Event(), threading.Event()
        self._last: deque[str] = deque(maxlen=_KEPT_LINES)
        self._told = 0
        self._began = self._heard = time.monotonic()
        self._control, theirs = socket.socketpair()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_SUPERVISOR), str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                cwd="/",
                env={"LANG": "C.UTF-8"},
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        except BaseException:
            self._control.close()
            raise
        finally:
            theirs.close()
        self._out, self._errors = cast(IO[bytes], self._process.stdout), cast(IO[bytes], self._process.stderr)
        self._widen()
        self._listener = threading.Thread(target=self._listen, name="connector", daemon=True)
        self._listener.start()
        self._send(scratch)

    def __enter__(self) -> "Program":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_PATIENCE)
        self._process.kill()
        self._process.wait(_PATIENCE)
        self._over.set()
        self._listener.join(_PATIENCE)
        self._control.close()
        for pipe in (self._out, self._errors):
            pipe.close()

    def stop(self) -> None:
        """Have the program end, and everything that it has started."""
        self._stopped.set()
        with suppress(OSError):
            self._control.shutdown(socket.SHUT_WR)

    def lines(self) -> Iterator[list[bytes]]:
        """The lines that it writes, some at a time; none when nothing has come for a moment.

        Raises SourceError when it writes a line that is too long, or takes too long, or ends with another code than 0,
        and SourceUnreachable when it was stopped.
        """
        rest, out = b"", self._out.fileno()
        while True:
            self._see_time()
            ready, _, _ = select.select([out, self._control.fileno()], [], [], _LOOK)
            if not ready:
                yield []
                continue
            if out not in ready:  # its supervisor is gone, and whoever may write yet is nobody's any more
                break
            chunk = os.read(out, _CHUNK)
            self._heard = time.monotonic()
            if not chunk:
                break
            *found, rest = (rest + chunk).split(b"\n")
            if len(rest) > _LONGEST:
                raise SourceError(f"{self._title} wrote a line of more than {_LONGEST >> 20} MiB; a record is a line.")
            yield found
        self._see_end()
        if rest.strip():
            yield [rest]

    def said(self, text: str, level: Level = "info") -> None:
        """Take a line that it said of itself, without secrets, to the logs of the service and the run; some of them."""
        if len(text) >= _LONGEST_READ:  # the end of what is read may be the beginning of a secret
            text = text[: _LONGEST_READ - max(map(len, self._secrets), default=0)]
        shown = redact(text, self._secrets).strip()[:_LONGEST_TOLD]
        self._heard = time.monotonic()
        if not shown:
            return
        self._last.append(shown)
        self._told += 1
        if self._told > _TOLD_LINES + 1:
            return
        if self._told == _TOLD_LINES + 1:
            shown, level = "It says more, which is left out here.", "info"
        emit("connector.said", level=level, connector=self._connector.name, text=shown)
        self._telling(f"{self._title}: {shown}", level)

    @property
    def last_words(self) -> str:
        """What it said last, for an error."""
        return f" It said last: {' | '.join(self._last)}" if self._last else " It said nothing."

    @property
    def _title(self) -> str:
        return self._connector.title

    def _send(self, scratch: Path) -> None:
        connector = self._connector
        job = {
            "command": [*connector.command, *self._job.arguments, *connector.arguments],
            "environment": connector.given_environment(),
            "files": self._job.files,
            "scratch": str(scratch),
            "name": f"connector-{uuid4().hex[:16]}",
            "memory": connector.memory,
            "disk": connector.disk,
        }
        text = json.dumps(job).encode()
        with suppress(OSError):  # it has ended, and what it says of that is read
            self._control.sendall(len(text).to_bytes(8, "big") + text)

    def _widen(self) -> None:
        if sys.platform == "linux":
            import fcntl

            with suppress(OSError):  # more than this account may have
                fcntl.fcntl(self._out, _SET_PIPE_SIZE, _PIPE)

    def _listen(self) -> None:
        """Read its standard error to the end, whatever it holds: a pipe that is full would stop it."""
        rest, cut = b"", False
        while True:
            if not select.select([self._errors], [], [], _LOOK)[0]:
                if self._over.is_set():  # one that nobody looks after any more may hold it for ever
                    return
                continue
            if not (chunk := os.read(self._errors.fileno(), 65_536)):
                break
            *found, rest = (rest + chunk).split(b"\n")
            for line in found:
                if not cut:
                    self.said(line.decode(errors="replace"))
                cut = False
            if len(rest) > _LONGEST_READ:  # what follows until the line ends is thrown away
                if not cut:
                    self.said(rest.decode(errors="replace"))
                rest, cut = b"", True
        if rest and not cut:
            self.said(rest.decode(errors="replace"))

    def _see_time(self) -> None:
        """Raises SourceUnreachable when it takes too long."""
        now = time.monotonic()
        if self._stopped.is_set():
            raise SourceUnreachable(f"{self._title} was stopped.")
        if self._job.seconds is not None and now - self._began > self._job.seconds:
            raise SourceUnreachable(
                f"{self._title} took more than {self._job.seconds:g} seconds, and was ended.{self.last_words}"
            )
        if now - self._heard > self._connector.silence:
            raise SourceUnreachable(
                f"{self._title} wrote nothing for {self._connector.silence:g} seconds, and was ended.{self.last_words}"
            )

    def _see_end(self) -> None:
        """See that it has ended well. Raises SourceError, SourceUnreachable."""
        told = self._ending()
        self._listener.join(_LAST_WORDS)
        if self._stopped.is_set():
            raise SourceUnreachable(f"{self._title} was stopped.")
        if (refusal := told.get("refused")) is not None:
            raise SourceError(f"{self._title} cannot be started: {refusal}. HEADGATE_CONNECTORS registers its command.")
        if (number := told.get("signal")) is not None:
            raise SourceUnreachable(
                f"{self._title} was ended by signal {number}, perhaps for the memory it took.{self.last_words}"
            )
        if told.get("code") != 0:
            raise SourceError(f"{self._title} ended with the exit code {told.get('code')}.{self.last_words}")

    def _ending(self) -> dict[str, Any]:
        """What the supervisor tells once all has ended. A program may close its output before that."""
        while not select.select([self._control], [], [], _LOOK)[0]:
            self._see_time()
        text = b""
        with suppress(OSError):
            while part := self._control.recv(65_536):
                text += part
        return cast(dict[str, Any], json.loads(text or b'{"signal": 9}'))
