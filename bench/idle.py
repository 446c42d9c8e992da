"""What an idle service takes: memory of all its processes, and the time until it answers.

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
from pathlib import Path

from rich.console import Console

from rig import DATA, Goal, family, pss_of, service

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
    """Start a service `rounds` times, and look at it after three seconds without a request."""
    python = python or default_install()
    sizes, starts = [], []
    for _ in range(rounds):
        with service(python=python) as running:
            time.sleep(3)
            each = [pss_of([process]) for process in family(running.process)]
            console.print(f"answers after {running.started:.2f} s; MB of its processes: {[round(one) for one in each]}")
            sizes.append(sum(each))
            starts.append(running.started)
    size, start = statistics.median(sizes), statistics.median(starts)
    return [
        Goal("idle memory, service and worker, PSS", "at most 150 MB", f"{size:.0f} MB", size <= 150),
        Goal("cold start until it answers", "at most 5 s", f"{start:.1f} s", start <= 5),
    ]


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
