"""Runs accepted per second while the worker executes them: durable before each is answered, on SQLite metadata.

    python bench/accept.py [--seconds 60] [--clients 1 16]

Each client keeps one connection and posts one run of one flow after another; every run brings one row of a SQLite
table.
"""

import argparse
import http.client
import json
import sqlite3
import threading
import time
from urllib.parse import urlsplit

from rich.console import Console

from rig import Goal, Service, make_flow, service, spread

WANTED = {1: 100, 16: 250}
PATH = "/data/foundation/flowservice/runs"
LIMITS = ("REQUESTS_PER_MINUTE", "ORG_REQUESTS_PER_MINUTE", "RUNS_PER_MINUTE", "ORG_RUNS_PER_MINUTE", "WAITING_RUNS")
UNLIMITED = dict.fromkeys(LIMITS, "10000000")


def main() -> None:
    """Print the rates."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--clients", type=int, nargs="+", default=tuple(WANTED))
    arguments = parser.parse_args()
    console = Console(width=120)
    for goal in measure(console, arguments.seconds, arguments.clients):
        console.print(f"{goal.what}: {goal.measured} (goal: {goal.goal})")


def measure(console: Console, seconds: float, clients: tuple[int, ...] = tuple(WANTED)) -> list[Goal]:
    """Post for `seconds` by each number of clients, without and with a worker beside."""
    goals = []
    for count in clients:
        bare = _rate(console, count, min(seconds, 10), "--no-worker")
        rate = _rate(console, count, seconds)
        wanted = WANTED.get(count, 0)
        what = f"runs accepted, worker on, {count} client{'s' if count > 1 else ''}, {seconds:g} s"
        goals.append(
            Goal(what, f"at least {wanted}/s", f"{rate:.0f}/s ({rate / bare:.2f} x without worker)", rate >= wanted)
        )
    return goals


def _rate(console: Console, clients: int, seconds: float, *arguments: str) -> float:
    with service(*arguments, **UNLIMITED) as running:
        flow = _flow(running)
        running.ingest(flow, "2024-01-01", "2024-01-02", "at") if not arguments else None
        times: list[float] = []
        end = time.monotonic() + seconds
        threads = [threading.Thread(target=_post, args=(running, flow, end, times)) for _ in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with running.metadata() as database:
            [(done,)] = database.execute("SELECT count(*) FROM runs WHERE state = 'success'").fetchall()
        half, most = (part * 1000 for part in spread(times))
        said = f"{clients} client(s){', no worker' if arguments else ''}: {len(times) / seconds:.0f} accepted/s"
        console.print(f"{said}, p50 {half:.1f} ms, p95 {most:.1f} ms, {max(times):.2f} s at most; {done} executed")
        return len(times) / seconds


def _post(running: Service, flow: str, end: float, times: list[float]) -> None:
    known = running.credentials
    headers = {
        "Authorization": f"Bearer {known['accessToken']}",
        "x-api-key": known["apiKey"],
        "x-gw-ims-org-id": known["orgId"],
        "x-sandbox-name": known["sandbox"],
        "Content-Type": "application/json",
    }
    params = {"windowStartTime": "1704067200", "windowEndTime": "1704153600", "deltaColumn": {"name": "at"}}
    body = json.dumps({"flowId": flow, "params": params})
    address = urlsplit(known["baseUrl"])
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
    while time.monotonic() < end:
        began = time.perf_counter()
        connection.request("POST", PATH, body, headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 201:
            raise RuntimeError(f"{answer.status} {text[:300]!r}")
        times.append(time.perf_counter() - began)
    connection.close()


def _flow(running: Service) -> str:
    path = running.folder / "events.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE events (id INTEGER PRIMARY KEY, at TIMESTAMP NOT NULL)")
        database.executemany(
            "INSERT INTO events VALUES (?, ?)", [(n, f"2024-01-{n:02} 00:00:00") for n in range(1, 29)]
        )
    database.close()
    source = {"data": {"format": "tabular"}, "params": {"tableName": "events"}}
    return make_flow(running.client, "sqlite", ("Database File", {"path": str(path)}), "events", **source)


if __name__ == "__main__":
    main()
