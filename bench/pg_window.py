"""Windows of a PostgreSQL table: POST to committed rows, beside the floors, DuckDB alone and other tools.

    python bench/pg_window.py [--rounds 3] [--windows full month day] [--peers dlt ingestr spark connectorx]

The contenders take turns within each round, after one round that does not count; peers, which are slow, run once, in
the last round and over the full window:

* floor: one `psql COPY (SELECT …) TO STDOUT (FORMAT binary)`, thrown away
* floor2: two of them side by side, each over half of the table's pages
* duckdb: a bare DuckDB `COPY (SELECT … FROM <postgres scanner>) TO <parquet>` in a process of its own
* headgate: `POST /runs` until the run is `success` and its rows are committed in Iceberg
* peers: see `bench/peers.py`

Quote the ratios of one run, never a time alone.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial

from rich.console import Console
from rich.table import Table

from peers import PEERS, peer
from rig import LINEITEM, Database, Goal, Measured, Service, cpu_of, lineitem, machine, psql, service, spread

DUCKDB = """
import sys
from headgate import dataplane
address, start, end, path = sys.argv[1:]
with dataplane.connect("postgres_scanner", threads=2, memory="1GB") as connection:
    connection.execute("SET enable_progress_bar = false")
    connection.execute(f"ATTACH '{address}' AS src (TYPE postgres, READ_ONLY)")
    connection.execute(f"COPY (FROM src.lineitem WHERE l_shipdate >= DATE '{start}' AND l_shipdate < DATE '{end}') "
                       f"TO '{path}' (FORMAT parquet)")
"""
FASTER_THAN = {"dlt": 6.0, "spark": 5.0, "ingestr": 3.5}
Figures = dict[str, list[Measured]]


def main() -> None:
    """Run the contenders in turn, and print what they took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--windows", nargs="+", choices=tuple(LINEITEM), default=tuple(LINEITEM))
    parser.add_argument("--peers", nargs="*", choices=tuple(PEERS), default=())
    arguments = parser.parse_args()
    console = Console(width=120)
    for goal in measure(console, arguments.rounds, arguments.windows, arguments.peers):
        console.print(f"{goal.what}: {goal.measured} (goal: {goal.goal})")


def measure(
    console: Console, rounds: int, windows: Sequence[str] = tuple(LINEITEM), others: Sequence[str] = ()
) -> list[Goal]:
    """Run all contenders over the windows, the `others` over the full one, and judge what is promised."""
    goals: list[Goal] = []
    with lineitem() as database, service() as running:
        console.print(f"lineitem: {database.rows:,} rows, {database.pages * 8192 / 1e6:,.0f} MB; {machine()}")
        for window in windows:
            figures = _compare(running, database, window, rounds, others if window == "full" else ())
            _report(console, window, figures)
            goals += {"full": _full, "month": lambda _: [], "day": _day}[window](figures)
    return goals


def _full(figures: Figures) -> list[Goal]:
    floor, twice, duckdb = (_ratio(figures, base) for base in ("floor", "floor2", "duckdb"))
    cpu = statistics.median(
        mine.cpu / other.cpu for mine, other in zip(figures["headgate"], figures["duckdb"], strict=True)
    )
    goals = [
        Goal(
            "6 M-row PostgreSQL window",
            "wall at most 1.0 x floor",
            f"{floor:.2f} x ({twice:.2f} x floor2, {duckdb:.2f} x DuckDB)",
            floor <= 1,
        ),
        Goal("the same, client CPU", "at most 1.2 x bare DuckDB", f"{cpu:.2f} x", cpu <= 1.2),
    ]
    for name, wanted in FASTER_THAN.items():
        if name not in figures:
            continue
        if not figures[name]:
            goals.append(Goal(f"against {name}", f"at least {wanted:g} x faster", "does not run here", None))
            continue
        times = figures[name][0].wall / figures["headgate"][-1].wall  # of the same round
        goals.append(Goal(f"against {name}", f"at least {wanted:g} x faster", f"{times:.1f} x", times >= wanted))
    return goals


def _day(figures: Figures) -> list[Goal]:
    wall, _ = spread([one.wall for one in figures["headgate"]])
    server, _ = spread([one.server for one in figures["headgate"]])
    measured = f"{wall * 1000:.0f} ms, {server:.3f} s"
    met = wall <= 0.25 and server <= 0.05
    return [Goal("one-day window, POST to success", "p50 at most 250 ms, 0.05 server CPU s", measured, met)]


def _compare(running: Service, database: Database, window: str, rounds: int, others: Sequence[str]) -> Figures:
    start, end = LINEITEM[window]
    flow = database.flow(running.client, window)
    where = f"l_shipdate >= '{start}' AND l_shipdate < '{end}'"
    half = database.pages // 2
    halves = [f"{where} AND ctid < '({half},0)'", f"{where} AND ctid >= '({half},0)'"]
    contenders: dict[str, Callable[[], Measured]] = {
        "floor": partial(_export, database.address, [where]),
        "floor2": partial(_export, database.address, halves),
        "duckdb": partial(_duckdb, database.address, start, end),
        "headgate": lambda: running.ingest(flow, start, end, "l_shipdate")[0],
    }
    figures: Figures = {contender: [] for contender in contenders}
    for number in range(rounds + 1):
        for contender, run in contenders.items():
            busy = cpu_of(database.process)
            measured = run()
            if number:
                server = cpu_of(database.process) - busy
                figures[contender].append(Measured(measured.wall, measured.cpu, measured.memory, server))
    for name in others:
        found = peer(name, database.tcp, start, end)
        figures[name] = [found] if found is not None else []
    return figures


def _export(address: str, conditions: list[str]) -> Measured:
    """The server's own binary export thrown away, one connection for each condition."""
    before, start = _children(), time.perf_counter()
    running = [
        subprocess.Popen(
            [str(psql()), address, "-qXc", f"COPY (SELECT * FROM lineitem WHERE {where}) TO STDOUT (FORMAT binary)"],
            stdout=subprocess.DEVNULL,
        )
        for where in conditions
    ]
    if any(process.wait() for process in running):
        sys.exit("psql failed")
    return Measured(time.perf_counter() - start, _children() - before)


def _duckdb(address: str, start: str, end: str) -> Measured:
    """DuckDB's scanner to one Parquet file, process start included."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        process = subprocess.Popen([sys.executable, "-c", DUCKDB, address, start, end, f"{folder}/out.parquet"])
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = status
        if status:
            sys.exit("DuckDB failed")
        return Measured(time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def _report(console: Console, window: str, figures: Figures) -> None:
    """Medians, and the median of the ratios within each round."""
    table = Table(title=f"window: {window}")
    headings = ("contender", "wall s", "/ floor", "/ floor2", "/ duckdb", "client CPU s", "server CPU s", "peak MB")
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "contender" else "right")
    for contender, measured in figures.items():
        if not measured:
            table.add_row(contender, "does not run here")
            continue
        memory = statistics.median(one.memory for one in measured)
        table.add_row(
            contender,
            f"{statistics.median(one.wall for one in measured):.3f}",
            *(f"{_ratio(figures, base, contender):.2f}" for base in ("floor", "floor2", "duckdb")),
            f"{statistics.median(one.cpu for one in measured):.2f}",
            f"{statistics.median(one.server for one in measured):.3f}" if contender not in PEERS else "",
            f"{memory:.0f}" if memory else "",
        )
    console.print(table)


def _ratio(figures: Figures, base: str, contender: str = "headgate") -> float:
    """The median of how much longer `contender` took than `base` in each round; a peer has the last one alone."""
    measured = figures[contender]
    pairs = zip(measured, figures[base][-len(measured) :], strict=True)
    return statistics.median(mine.wall / other.wall for mine, other in pairs)


def _children() -> float:
    """CPU seconds of the processes waited for so far."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
