"""Runs by itself, with the standard library alone: looks after one program of somebody else's, and all that it starts.

The number of a socket is its argument. There it is told what to run, and tells how that ended. When nobody holds the
other end any more, because the program is no longer wanted or the service has died, the program ends. Whatever it has
started ends with it, and its folder, which holds secrets, goes.
"""

import ctypes
import fcntl
import json
import os
import resource
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

_DEATH_SIGNAL, _SUBREAPER = 1, 36  # of Linux' prctl()
_GRACE, _PATIENCE = 1.0, 5.0  # seconds after SIGTERM, and for what is killed to be gone


def main() -> None:
    """Do one job."""
    control = socket.socket(fileno=int(sys.argv[1]))
    job = json.loads(_received(control))
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake)
    _prctl(_SUBREAPER, 1)
    os.umask(0o077)
    folder, lock = _folder(Path(job["scratch"]), job["name"])
    try:
        for name, text in job["files"].items():
            (folder / name).write_text(text, encoding="utf-8")
        told = _run(job, folder, control, woken)
    except OSError as error:
        told = {"refused": f"{error.strerror or error}"}
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.unlink(missing_ok=True)
    with suppress(OSError):
        control.sendall(json.dumps(told).encode())


def _received(control: socket.socket) -> bytes:
    """The job, after its size in eight bytes."""
    with control.makefile("rb") as file:
        return file.read(int.from_bytes(file.read(8), "big"))


def _folder(scratch: Path, name: str) -> tuple[Path, Path]:
    """A new folder and its lock, as the service's sweep knows them: it takes away what nobody holds."""
    scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder, lock = scratch / name, scratch / f"{name}.lock"
    held = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    folder.mkdir(mode=0o700)
    return folder, lock


def _run(job: dict[str, Any], folder: Path, control: socket.socket, woken: int) -> dict[str, Any]:
    """Run the program until it ends, or is no longer wanted; how that was."""

    def limited() -> None:
        _prctl(_DEATH_SIGNAL, signal.SIGKILL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        for kind, most in ((resource.RLIMIT_DATA, job["memory"]), (resource.RLIMIT_FSIZE, job["disk"])):
            resource.setrlimit(kind, (most, most))
        with suppress(OSError):  # it is to go before the service does, when memory is short
            Path("/proc/self/oom_score_adj").write_text("600", encoding="ascii")

    home = {name: str(folder) for name in ("HOME", "TMPDIR")}
    program = subprocess.Popen(
        [part.replace("{folder}", str(folder)) for part in job["command"]],
        stdin=subprocess.DEVNULL,
        env={**job["environment"], **home},
        cwd=folder,
        process_group=0,
        preexec_fn=limited,  # there is one thread here
    )
    nowhere = os.open(os.devnull, os.O_RDWR)
    for own in (1, 2):  # or who reads what the program says would wait for this process, too
        os.dup2(nowhere, own)
    try:
        wanted = _watched(program.pid, control, woken)
        if not wanted:
            os.killpg(program.pid, signal.SIGTERM)
            _ended(program.pid, woken, _GRACE)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(program.pid, signal.SIGKILL)  # its number is not another's yet: it has not been waited for
        code = program.wait()
        _end_all()
    if not wanted:
        return {"stopped": True}
    return {"code": code} if code >= 0 else {"signal": -code}


def _watched(pid: int, control: socket.socket, woken: int) -> bool:
    """Wait until the program has ended, or nobody holds the other end of `control`; whether it was wanted so long."""
    while not _has_ended(pid):
        ready, _, _ = select.select([control.fileno(), woken], [], [])
        if control.fileno() in ready:
            return False
        os.read(woken, 512)
    return True


def _ended(pid: int, woken: int, seconds: float) -> None:
    """Wait so long for the program to end."""
    end = time.monotonic() + seconds
    while not _has_ended(pid) and (rest := end - time.monotonic()) > 0:
        if select.select([woken], [], [], rest)[0]:
            os.read(woken, 512)


def _has_ended(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _end_all() -> None:
    """End what the program has left, in whatever group: it has become a child of this process."""
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        for pid in _children():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(0.01)
        except ChildProcessError:
            return


def _children() -> list[int]:
    with suppress(OSError):
        return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]
    return []


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    main()
