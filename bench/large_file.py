"""What one large CSV file costs a worker in memory: where it is on this machine, and copied from a web server.

    python bench/large_file.py [--scales 0.3 2.7]

The files are lineitem as tpchgen-cli writes it; scale 2.7 comes to 2 GB. The web server is Python's own. The peak is
the largest resident size of the worker's process, less its size before the run.
"""

import argparse
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from csv_window import LAKE_TYPES, TYPES, csv_file
from rig import DATA, Goal, make_flow, service

MOST = 400


def main() -> None:
    """Print the peaks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--scales", type=float, nargs="+", default=(0.3, 2.7))
    console = Console(width=120)
    for goal in measure(console, tuple(parser.parse_args().scales)):
        console.print(f"{goal.what}: {goal.measured} (goal: {goal.goal})")


def measure(console: Console, scales: tuple[float, ...] = (0.3, 2.7)) -> list[Goal]:
    """Bring each file both ways, each by a service of its own."""
    columns = [{"name": name, "type": LAKE_TYPES.get(type_, type_.lower())} for name, type_ in TYPES.items()]
    peaks: list[float] = []
    for path in map(csv_file, scales):
        os.utime(path)
        size, window = path.stat().st_size / 1e6, _around(time.time())
        with _served(path.parent) as address:
            for spec, auth, selected in (
                ("local-files", ("Folder", {"folder": str(DATA)}), path.parent.name),
                ("http-files", ("No Authentication", {"urls": f"{address}/{path.name}"}), f"{address}/{path.name}"),
            ):
                with service() as running:
                    params = {"path": selected, "columns": columns}
                    flow = make_flow(running.client, spec, auth, "csv", data={"format": "delimited"}, params=params)
                    idle = running.forget_peak()
                    measured, run = running.ingest(flow, *window, None, pause=0.25)
                    peaks.append(measured.memory - idle)
                    rows = run["metrics"]["recordSummary"]["outputRecordCount"]
                    console.print(
                        f"{spec}, {size:,.0f} MB, {rows:,} rows in {measured.wall:.1f} s ({size / measured.wall:,.0f} "
                        f"MB/s): {peaks[-1]:.0f} MB over {idle:.0f} MB"
                    )
    shown = ", ".join(f"{peak:.0f} MB" for peak in peaks)
    return [Goal("memory for one large file", f"at most {MOST} MB, whatever its size", shown, max(peaks) <= MOST)]


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def _around(now: float) -> tuple[str, str]:
    start, end = (time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now + by)) for by in (-3600, 3600))
    return start, end


if __name__ == "__main__":
    main()
