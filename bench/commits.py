"""What a commit costs a table that has had many of them.

    PYTHONPATH=src:. python bench/commits.py [--commits 1000] [--replacing] [--peer 200]

Each commit brings one small file. Prints the median of the 10 commits up to the 10th, the 100th and so on, for Headgate
and, interleaved with it, for as many appends of PyIceberg as `--peer` says to a table of its own (they become slow).
On a machine with other work, compare the CPU columns.
"""

import argparse
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.lake_tables import COLUMNS, IDENTIFIER, Ingest

from headgate.targets import Lake

_SHOWN = (10, 30, 100, 300, 1000, 3000, 10_000)


def main() -> None:
    """Measure both."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--commits", type=int, default=1000)
    options.add_argument("--peer", type=int, default=200)
    options.add_argument("--replacing", action="store_true", help="each commit replaces a window of its own")
    asked = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="headgate-bench-") as folder:
        ingest, peer = Ingest(Path(folder) / "ours"), Lake(Path(folder) / "theirs")
        bare = peer.table(IDENTIFIER, COLUMNS).iceberg
        ours: list[tuple[float, float]] = []
        theirs: list[tuple[float, float]] = []
        for number in range(asked.commits):
            run_id, table = str(uuid.uuid4()), ingest.table
            staged = ingest.stage(table, [(number, "name")], run_id)
            window = (number, number + 1) if asked.replacing else None
            ours.append(_timed(partial(ingest.commit, table, staged, run_id, window)))
            if number < asked.peer:
                path = f"file://{ingest.stage(table, [(number, 'name')], str(uuid.uuid4())).path}"
                theirs.append(_timed(partial(bare.add_files, [path], check_duplicate_files=False)))
        ingest.close()
        peer.close()
    print(f"{'commit':>8} {'Headgate ms':>12} {'CPU ms':>8} {'CPU to the 10th':>16} {'PyIceberg ms':>13} {'CPU ms':>8}")
    for number in _SHOWN:
        if number <= asked.commits:
            wall, cpu = _median(ours, number)
            other = "{:>13.1f} {:>8.1f}".format(*_median(theirs, number)) if number <= asked.peer else ""
            print(f"{number:>8} {wall:>12.1f} {cpu:>8.1f} {cpu / _median(ours, 10)[1]:>16.2f} {other}")
    walls = sorted(wall for wall, _ in ours)
    print(f"all: p50 {statistics.median(walls):.1f} ms, p95 {walls[int(len(walls) * 0.95)]:.1f} ms")


def _timed(action: Callable[[], object]) -> tuple[float, float]:
    """Milliseconds on the clock, and of both cores together."""
    began, busy = time.perf_counter(), time.process_time()
    action()
    return (time.perf_counter() - began) * 1000, (time.process_time() - busy) * 1000


def _median(figures: list[tuple[float, float]], number: int) -> tuple[float, float]:
    walls, cpus = zip(*figures[max(0, number - 10) : number], strict=True)
    return statistics.median(walls), statistics.median(cpus)


if __name__ == "__main__":
    main()
