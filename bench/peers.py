"""Other tools over the full window of lineitem, each in an environment of its own below `bench/data/peers`.

    python bench/peers.py            # makes the environments that can be made here

* dlt: dlt's `sql_table` (pyarrow backend) into an Iceberg table by its filesystem destination: the whole job
* ingestr: into a DuckDB file
* connectorx: read to Arrow batches by batches, written by pyarrow to one Parquet file
* spark: JDBC with two partitions to Parquet; needs Java, and PostgreSQL's driver where SPARK_JDBC_JAR says

None is a dependency of the project. `peer()` gives None for one that is not there.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import venv
from pathlib import Path

from rig import DATA, Measured

PEERS = {
    "dlt": ("dlt[parquet,filesystem,pyiceberg]", "psycopg2-binary", "pyiceberg[sql-sqlite]", "sqlalchemy"),
    "ingestr": ("ingestr",),
    "connectorx": ("connectorx", "pyarrow"),
    "spark": ("pyspark",),
}
_FOLDER = Path(os.environ.get("HEADGATE_BENCH_PEERS", DATA / "peers"))
_JAR = os.environ.get("SPARK_JDBC_JAR", "")
_SECONDS = 600  # that a tool may take

_DLT = """
import os, sys
address, start, end, folder = sys.argv[1:]
os.environ |= {"DLT_DATA_DIR": folder, "DESTINATION__FILESYSTEM__BUCKET_URL": f"file://{folder}/lake",
               "RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "ERROR"}
import dlt
from datetime import date
from dlt.sources.sql_database import sql_table
def window(query, table):
    return query.where(table.c.l_shipdate >= date.fromisoformat(start), table.c.l_shipdate < date.fromisoformat(end))
address = address.replace("postgresql:", "postgresql+psycopg2:")
rows = sql_table(address, table="lineitem", backend="pyarrow", chunk_size=100_000, query_adapter_callback=window)
rows.apply_hints(table_format="iceberg", write_disposition="replace")
pipeline = dlt.pipeline("bench", destination="filesystem", dataset_name="bench", pipelines_dir=folder)
pipeline.run(rows).raise_on_failed_jobs()
"""
_CONNECTORX = """
import sys
import connectorx, pyarrow.parquet
address, start, end, folder = sys.argv[1:]
query = f"SELECT * FROM lineitem WHERE l_shipdate >= DATE '{start}' AND l_shipdate < DATE '{end}'"
batches = connectorx.read_sql(address, query, return_type="arrow_stream", batch_size=100_000)
with pyarrow.parquet.ParquetWriter(f"{folder}/out.parquet", batches.schema) as writer:
    for batch in batches:
        writer.write_batch(batch)
"""
_SPARK = """
import sys
from pyspark.sql import SparkSession
jar, address, start, end, folder = sys.argv[1:]
spark = SparkSession.builder.master("local[2]").config("spark.jars", jar).config("spark.driver.memory", "2g") \\
    .config("spark.ui.enabled", "false").getOrCreate()
query = f"(SELECT * FROM lineitem WHERE l_shipdate >= DATE '{start}' AND l_shipdate < DATE '{end}') AS w"
server = address.partition("@")[2]
options = {"driver": "org.postgresql.Driver", "url": f"jdbc:postgresql://{server}", "user": "postgres",
           "dbtable": query, "fetchsize": 10000, "partitionColumn": "l_shipdate", "lowerBound": start,
           "upperBound": end, "numPartitions": 2}
spark.read.format("jdbc").options(**options).load().write.parquet(f"{folder}/out")
"""


def main() -> None:
    """Make the environments."""
    for name, packages in PEERS.items():
        folder = _FOLDER / name
        if folder.exists():
            continue
        if name == "spark" and not (_JAR and shutil.which("java")):
            print("spark: left out; it needs Java, and PostgreSQL's JDBC driver where SPARK_JDBC_JAR says")
            continue
        venv.create(folder, with_pip=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check", *packages]
        installed = subprocess.run(pip, check=False).returncode == 0
        print(f"{name}: {'ready' if installed else 'does not install here'}")
        if not installed:
            shutil.rmtree(folder)


def peer(name: str, address: str, start: str, end: str) -> Measured | None:
    """What the tool took for the window, its start included; None when it is not installed or fails."""
    python = _FOLDER / name / "bin" / "python"
    if not python.exists() or (name == "spark" and not _JAR):
        return None
    with tempfile.TemporaryDirectory() as folder:
        command = _command(name, python, address, (start, end), folder)
        began = time.perf_counter()
        with (Path(folder) / "log").open("w+") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
            timer = threading.Timer(_SECONDS, process.kill)
            timer.start()
            _, status, usage = os.wait4(process.pid, 0)
            timer.cancel()
            process.returncode = status
            wall = time.perf_counter() - began
            log.seek(0)
            if status:
                print(f"{name} failed: {log.read()[:1500]}", file=sys.stderr)
                return None
    return Measured(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def _command(name: str, python: Path, address: str, window: tuple[str, str], folder: str) -> list[str]:
    start, end = window
    if name == "ingestr":
        source = ["--source-uri", address, "--source-table", "public.lineitem"]
        target = ["--dest-uri", f"duckdb:///{folder}/out.db", "--dest-table", "main.lineitem"]
        bounds = ["--incremental-key", "l_shipdate", "--interval-start", start, "--interval-end", end]
        return [str(python.with_name("ingestr")), "ingest", *source, *target, *bounds, "--yes", "--progress", "log"]
    code = {"dlt": _DLT, "connectorx": _CONNECTORX, "spark": _SPARK}[name]
    return [str(python), "-c", code, *([_JAR] if name == "spark" else []), address, start, end, folder]


if __name__ == "__main__":
    main()
