"""What a worker's memory comes to with windows ten times as large: 6 M and 60 M rows of lineitem.

    python bench/memory.py [--scales 1 10]

The peak is the largest resident size of the worker's process, less its size before the first run.
"""

import argparse

from rich.console import Console

from rig import LINEITEM, Goal, lineitem, service

MOST = 300


def main() -> None:
    """Print the peaks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--scales", type=float, nargs="+", default=(1, 10))
    console = Console(width=120)
    for goal in measure(console, tuple(parser.parse_args().scales)):
        console.print(f"{goal.what}: {goal.measured} (goal: {goal.goal})")


def measure(console: Console, scales: tuple[float, ...] = (1, 10)) -> list[Goal]:
    """Bring the full window at each scale, each by a service of its own."""
    peaks = []
    for scale in scales:
        with lineitem(scale) as database, service() as running:
            flow = database.flow(running.client, "lineitem")
            idle = running.forget_peak()
            measured, _ = running.ingest(flow, *LINEITEM["full"], "l_shipdate", pause=0.25)
            peaks.append((database.rows, measured.memory - idle))
            console.print(
                f"{database.rows:,} rows in {measured.wall:.1f} s: {measured.memory:.0f} MB, {idle:.0f} MB before; "
                f"{database.rows / measured.wall:,.0f} rows/s"
            )
    shown = ", ".join(f"{rows / 1e6:.0f} M: {peak:.0f} MB" for rows, peak in peaks)
    met = all(peak <= MOST for _, peak in peaks)
    return [Goal("memory of a worker over its idle size", f"at most {MOST} MB at 6 M and at 60 M rows", shown, met)]


if __name__ == "__main__":
    main()
