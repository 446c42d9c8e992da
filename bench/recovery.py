"""How long after `kill -9` of a worker its run is under way again, with the lease that is the default.

    python bench/recovery.py [--rounds 3] [--lease 15]

A worker reads a large window when it is killed; another one waits beside it. The lease began anew at the last
heartbeat, up to a second before the kill.
"""

import argparse
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console

from rig import LINEITEM, Goal, Service, lineitem, service


def main() -> None:
    """Print the slowest."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--lease", type=float, default=15)
    arguments = parser.parse_args()
    console = Console(width=120)
    for goal in measure(console, arguments.rounds, arguments.lease):
        console.print(f"{goal.what}: {goal.measured} (goal: {goal.goal})")


def measure(console: Console, rounds: int, lease: float = 15) -> list[Goal]:
    """Kill `rounds` workers."""
    taken = []
    with lineitem() as database, service("--no-worker", LEASE=str(lease)) as running:
        flow = database.flow(running.client, "lineitem")
        for _ in range(rounds):
            with _worker(running, lease) as first:
                id_ = running.post(flow, *LINEITEM["full"], "l_shipdate")["id"]
                _until(running, id_, attempt=1)
                with _worker(running, lease):  # until it is there, the first one has had a heartbeat or two
                    first.send_signal(signal.SIGKILL)
                    began = time.perf_counter()
                    _until(running, id_, attempt=2)
                    taken.append(time.perf_counter() - began)
                    while _status(running, id_)["status"] not in ("success", "failed"):
                        time.sleep(0.1)
                    assert _status(running, id_)["status"] == "success"
    console.print(f"taken over after, s: {[round(one, 1) for one in taken]}, lease {lease:g}")
    worst = max(taken)
    measured = f"{worst:.1f} s at worst, {statistics.median(taken):.1f} s p50"
    return [Goal("recovery after kill -9", f"at most lease + 1 s ({lease + 1:g})", measured, worst <= lease + 1)]


def _until(running: Service, id_: str, attempt: int) -> None:
    with running.metadata() as database:
        while True:
            found, state = database.execute("SELECT attempt, state FROM runs WHERE id = ?", [id_]).fetchone()
            if found >= attempt:
                return
            if state in ("success", "failed"):
                sys.exit("The run ended before its worker was killed.")
            time.sleep(0.02)


def _status(running: Service, id_: str) -> Mapping[str, object]:
    return running.client.runs.get(id_).metrics["statusSummary"]


@contextmanager
def _worker(running: Service, lease: float) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "headgate.cli", "worker", "--data", str(running.folder)]
    with (running.folder / "worker.log").open("a") as log:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, text=True, env={**os.environ, "HEADGATE_LEASE": str(lease)}
        )
    assert process.stdout is not None
    process.stdout.readline()
    try:
        yield process
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    main()
