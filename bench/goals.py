"""Every promise about speed and size, measured, in one table.

    python bench/goals.py [--only NAME …] [--quick] [--peers dlt ingestr spark connectorx]

`make bench` runs it. The whole takes about an hour the first time, most of it filling databases, which `bench/data`
keeps; `--quick` leaves the 60 M rows, the million listed runs and the 770 MB file out and takes fewer rounds: with the
environments that `make bench` builds about 15 minutes. A part that breaks stands in the table, and the others go on.
"""

import argparse
import time
from collections.abc import Callable

from rich.console import Console
from rich.table import Table

import accept
import csv_window
import idle
import large_file
import list_runs
import memory
import pg_window
import recovery
import small_window
from peers import PEERS
from rig import Goal, machine


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", nargs="+", default=())
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--peers", nargs="*", choices=tuple(PEERS), default=tuple(PEERS))
    asked = parser.parse_args()
    console = Console(width=120)
    quick: bool = asked.quick
    measures: dict[str, Callable[[], list[Goal]]] = {
        "windows": lambda: pg_window.measure(console, 3 if quick else 5, others=asked.peers),
        "small": lambda: small_window.measure(console, 20 if quick else 60),
        "memory": lambda: memory.measure(console, (1,) if quick else (1, 10)),
        "large": lambda: large_file.measure(console, (0.1,) if quick else (0.3, 2.7)),
        "csv": lambda: csv_window.measure(console, *((2, 0.1) if quick else (5, 1))),
        "accept": lambda: accept.measure(console, 15 if quick else 60),
        "listings": lambda: list_runs.measure(console, *((10_000, 20) if quick else (1_000_000, 40))),
        "idle": lambda: idle.measure(console, 3),
        "recovery": lambda: recovery.measure(console, 2 if quick else 5),
    }
    goals: list[Goal] = []
    for name, measure in measures.items():
        if name in asked.only or not asked.only:
            console.rule(name)
            goals += _measured(console, name, measure)
    table = Table(title=f"{time.strftime('%d %B %Y')}, {machine()}")
    for heading in ("what", "goal", "measured", "met"):
        table.add_column(heading)
    for goal in goals:
        table.add_row(goal.what, goal.goal, goal.measured, {True: "yes", False: "no", None: "-"}[goal.met])
    console.print(table)


def _measured(console: Console, name: str, measure: Callable[[], list[Goal]]) -> list[Goal]:
    """What a part measures; that it broke, and why, so that the others are measured all the same."""
    began = time.monotonic()
    try:
        return measure()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - it stands in the table
        console.print_exception()
        return [Goal(name, "", f"did not come to its end: {str(error)[:200] or type(error).__name__}", None)]
    finally:
        console.print(f"{name}: {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
