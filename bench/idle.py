"""What an idle service takes: memory of all its processes, before its first run and after runs; when it answers.

    python bench/idle.py [--python /path/to/python] [--rounds 3]

`--python` names an environment with the default dependencies alone, as users have it; by default one is made in
`bench/data/default`. The development environment has more installed, some of which libraries import where they find it.
"""

import argparse
import statistics
import subprocess
import sys
import time
import venv
from datetime import date, timedelta
from pathlib import Path

from rich.console import Console

from rig import DATA, Goal, Service, family, lineitem, pss_of, service

_RUNS = 10
ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--python", default="")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    console = Console(width=120)
    for goal in measure(console, arguments.rounds, arguments.python):
        console.print(f"{goal.what}: {goal.measured} (goal: {goal.goal})")


def measure(console: Console, rounds: int, python: str = "") -> list[Goal]:
    """Start a service `rounds` times, and look at it before its first run, after some, and once it had a rest."""
    python = python or default_install()
    starts, sizes = [], []
    first, steady, again = [], [], []
    with lineitem(0.01) as database:
        for _ in range(rounds):
            with service(python=python, WORKER_REST="8") as running:
                starts.append(running.started)
                time.sleep(3)
                fresh = _sizes(running)
                flow = database.flow(running.client, "days", "days")
                first.append(_run(running, flow, 0))
                steady += [_run(running, flow, number) for number in range(1, _RUNS)]
                busy = _sizes(running)
                time.sleep(20)  # the rest that the worker takes, and its successor's start
                rested = _sizes(running)
                again.append(_run(running, flow, _RUNS))
                sizes.append((sum(fresh), sum(busy), sum(rested)))
                console.print(f"MB of its processes before runs {fresh}, after them {busy}, once at rest {rested}")
    fresh, busy, rested = (statistics.median(one) for one in zip(*sizes, strict=True))
    start = statistics.median(starts)
    console.print(
        f"the first run took {statistics.median(first):.0f} ms, the first after a rest {statistics.median(again):.0f}, "
        f"the others {statistics.median(steady):.0f}; right after runs the memory was {busy:.0f} MB"
    )
    return [
        Goal("idle memory, service and worker, PSS", "at most 150 MB", f"{fresh:.0f} MB", fresh <= 150),
        Goal("the same, at rest after runs", "at most 150 MB", f"{rested:.0f} MB", rested <= 150),
        Goal("cold start until it answers", "at most 5 s", f"{start:.1f} s", start <= 5),
    ]


def _sizes(running: Service) -> list[int]:
    return [round(pss_of([process])) for process in family(running.process)]


def _run(running: Service, flow: str, number: int) -> float:
    """Milliseconds from asking for a run that brings one row to its success."""
    day = date(2020, 1, 1) + timedelta(number)
    measured, _ = running.ingest(flow, str(day), str(day + timedelta(1)), "at", pause=0.004)
    return measured.wall * 1000


def default_install() -> str:
    """The Python of an environment with this project and nothing but what it needs."""
    folder = DATA / "default"
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        command = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", "--editable", str(ROOT)]
        if subprocess.run(command, check=False).returncode:
            sys.exit("The default install failed.")
    return str(python)


if __name__ == "__main__":
    main()
