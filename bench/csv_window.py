"""A window of a CSV file: POST to committed rows, beside a bare DuckDB COPY of the same file with the same types.

    python bench/csv_window.py [--rounds 3] [--scale 1]

The file is lineitem as tpchgen-cli writes it, 6 M rows in 770 MB. The bare COPY reads it strictly, without guessing,
and writes one Parquet file; like the service it has two threads.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from rig import DATA, Goal, Measured, generator, make_flow, service

TYPES = {
    **dict.fromkeys(("l_orderkey", "l_partkey", "l_suppkey"), "BIGINT"),
    "l_linenumber": "INTEGER",
    **dict.fromkeys(("l_quantity", "l_extendedprice", "l_discount", "l_tax"), "DECIMAL(15,2)"),
    **dict.fromkeys(("l_returnflag", "l_linestatus"), "VARCHAR"),
    **dict.fromkeys(("l_shipdate", "l_commitdate", "l_receiptdate"), "DATE"),
    **dict.fromkeys(("l_shipinstruct", "l_shipmode", "l_comment"), "VARCHAR"),
}
LAKE_TYPES = {"BIGINT": "long", "INTEGER": "int", "VARCHAR": "string"}
DUCKDB = """
import sys
from headgate import dataplane
source, path, types = sys.argv[1:]
with dataplane.connect(threads=2, memory="1GB") as connection:
    connection.execute("SET enable_progress_bar = false")
    connection.execute(f"COPY (FROM read_csv('{source}', auto_detect=false, header=true, delim=',', quote='\\"', "
                       f"strict_mode=true, columns={types})) TO '{path}' (FORMAT parquet)")
"""


def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1)
    arguments = parser.parse_args()
    console = Console(width=120)
    for goal in measure(console, arguments.rounds, arguments.scale):
        console.print(f"{goal.what}: {goal.measured} (goal: {goal.goal})")


def measure(console: Console, rounds: int, scale: float = 1) -> list[Goal]:
    """Bring the file and copy it, in turn, after one round that does not count."""
    source = csv_file(scale)
    ours, bare = [], []
    with service() as running:
        columns = [{"name": name, "type": LAKE_TYPES.get(type_, type_.lower())} for name, type_ in TYPES.items()]
        params = {"path": source.parent.name, "columns": columns}
        auth = ("Folder", {"folder": str(DATA)})
        flow = make_flow(running.client, "local-files", auth, "csv", data={"format": "delimited"}, params=params)
        for number in range(rounds + 1):
            os.utime(source)
            now = time.time()
            began, end = (time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now + by)) for by in (-3600, 3600))
            measured, run = running.ingest(flow, began, end, None)
            copied = _copy(source)
            if number:
                ours.append(measured)
                bare.append(copied)
    ratio = statistics.median(mine.wall / other.wall for mine, other in zip(ours, bare, strict=True))
    console.print(
        f"CSV of {source.stat().st_size / 1e6:.0f} MB, {run['metrics']['recordSummary']['outputRecordCount']:,} rows: "
        f"headgate {statistics.median(one.wall for one in ours):.2f} s, bare COPY "
        f"{statistics.median(one.wall for one in bare):.2f} s"
    )
    return [Goal("CSV window", "at most 1.15 x bare DuckDB COPY", f"{ratio:.2f} x", ratio <= 1.15)]


def _copy(source: Path) -> Measured:
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        command = [sys.executable, "-c", DUCKDB, str(source), f"{folder}/out.parquet", str(TYPES)]
        process = subprocess.Popen(command)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = status
        if status:
            sys.exit("DuckDB failed")
        return Measured(time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def csv_file(scale: float) -> Path:
    """The file at this scale, made when it is not there."""
    path = DATA / f"csv-{scale:g}" / "lineitem.csv"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".draft")
        with draft.open("wb") as file:
            subprocess.run([generator(), "csv", "-s", f"{scale:g}", "-T", "lineitem", "--stdout", "-q"], stdout=file)
        shutil.move(draft, path)
    return path


if __name__ == "__main__":
    main()
