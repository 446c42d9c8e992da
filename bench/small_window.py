"""What a run costs that brings one row: POST to `success`, and the commit's part of it.

    python bench/small_window.py [--rounds 40]

The source is a PostgreSQL table of a thousand days; each run replaces one day's row in a table of its own.
"""

import argparse
from datetime import date, timedelta

from rich.console import Console

from rig import Goal, lineitem, service, spread


def main() -> None:
    """Print the median and the 95th percentile."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=40)
    console = Console(width=120)
    for goal in measure(console, parser.parse_args().rounds):
        console.print(f"{goal.what}: {goal.measured} (goal: {goal.goal})")


def measure(console: Console, rounds: int) -> list[Goal]:
    """Run `rounds` windows, after five that do not count."""
    walls, commits, copies = [], [], []
    with lineitem() as database, service() as running:
        flow = database.flow(running.client, "days", "days")
        for number in range(rounds + 5):
            day = date(2020, 1, 1) + timedelta(number)
            measured, run = running.ingest(flow, str(day), str(day + timedelta(1)), "at", pause=0.004)
            assert run["metrics"]["recordSummary"]["outputRecordCount"] == 1, run["metrics"]
            if number >= 5:
                copy, promotion = (_span(run["activities"], at) for at in (0, 1))
                walls.append(measured.wall * 1000)
                copies.append(copy)
                commits.append(promotion)
    (wall, wall95), (copy, copy95), (commit, commit95) = (spread(values) for values in (walls, copies, commits))
    console.print(
        f"one row, ms, p50 / p95: POST to success {wall:.0f} / {wall95:.0f}; reading {copy:.0f} / {copy95:.0f}, "
        f"commit {commit:.0f} / {commit95:.0f}, the rest of it accepting, claiming and asking"
    )
    return [
        Goal("one-row window, POST to success", "p50 at most 150 ms", f"{wall:.0f} ms", wall <= 150),
        Goal("the same, the commit in it", "p50 at most 60 ms", f"{commit:.0f} ms", commit <= 60),
    ]


def _span(activities: list[dict[str, dict[str, float]]], at: int) -> float:
    """Milliseconds from an activity's beginning to its end."""
    summary = activities[at]["durationSummary"]
    return summary["completedAtUTC"] - summary["startedAtUTC"]


if __name__ == "__main__":
    main()
