"""Runs accepted per second while the worker executes them: durable before each is answered, on SQLite metadata.

    python bench/accept.py [--seconds 60] [--clients 1 16]

Each client keeps one connection and posts one run of one flow after another; every run brings one row of a SQLite
table. All clients live in one thread that writes the same bytes again and again and reads no more of an answer than
its status and length: less than 0.1 ms of CPU for each, so that the service has the machine for itself.
"""

import argparse
import json
import selectors
import socket
import sqlite3
import time
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import psutil
from rich.console import Console

from rig import Goal, Service, cpu_of, make_flow, service, spread

WANTED = {1: 100, 16: 250}
LONGEST = 1.0  # seconds; no client may wait so long
PATH = "/data/foundation/flowservice/runs"
LIMITS = ("REQUESTS_PER_MINUTE", "ORG_REQUESTS_PER_MINUTE", "RUNS_PER_MINUTE", "ORG_RUNS_PER_MINUTE", "WAITING_RUNS")
UNLIMITED = dict.fromkeys(LIMITS, "10000000")
SPAN = 5  # seconds over which the slowest stretch is looked for


def main() -> None:
    """Print the rates."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--clients", type=int, nargs="+", default=tuple(WANTED))
    arguments = parser.parse_args()
    console = Console(width=140)
    for goal in measure(console, arguments.seconds, arguments.clients):
        console.print(f"{goal.what}: {goal.measured} (goal: {goal.goal})")


def measure(console: Console, seconds: float, clients: tuple[int, ...] = tuple(WANTED)) -> list[Goal]:
    """Post for `seconds` by each number of clients, without and with a worker beside."""
    goals = []
    for count in clients:
        bare = _rate(console, count, min(seconds, 10), "--no-worker").rate
        seen = _rate(console, count, seconds)
        wanted, longest = WANTED.get(count, 0), max(seen.times)
        what = f"runs accepted, worker on, {count} client{'s' if count > 1 else ''}, {seconds:g} s"
        measured = (
            f"{seen.rate:.0f}/s, {seen.slowest:.0f}/s in the slowest {SPAN} s, {longest:.2f} s at most "
            f"({seen.rate / bare:.2f} x without worker)"
        )
        met = seen.rate >= wanted and longest < LONGEST
        goals.append(Goal(what, f"at least {wanted}/s, none waits {LONGEST:g} s", measured, met))
    return goals


@dataclass
class Load:
    """What clients saw: how long each answer took, and when each came, in seconds since they began."""

    seconds: float
    times: list[float] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.times) / self.seconds

    @property
    def slowest(self) -> float:
        """Answers a second in the slowest whole span."""
        spans = Counter(int(end // SPAN) for end in self.ends)
        return min(spans[span] for span in range(max(1, int(self.seconds // SPAN)))) / min(SPAN, self.seconds)


def _rate(console: Console, clients: int, seconds: float, *arguments: str) -> Load:
    with service(*arguments, **UNLIMITED) as running:
        flow = _flow(running)
        if not arguments:
            running.ingest(flow, "2024-01-01", "2024-01-02", "at")
        own = psutil.Process()
        workers = running.process.children(recursive=True)
        before = _cpu(running.process, workers, own)
        load = _post(running, flow, clients, seconds)
        took = [after - earlier for after, earlier in zip(_cpu(running.process, workers, own), before, strict=True)]
        with running.metadata() as database:
            [(done,)] = database.execute("SELECT count(*) FROM runs WHERE state = 'success'").fetchall()
    half, most = (part * 1000 for part in spread(load.times))
    each = zip(("service", "worker", "clients"), took, strict=True)
    cpu = ", ".join(f"{name} {1000 * one / len(load.times):.2f}" for name, one in each)
    who = f"{clients} client{'s' if clients > 1 else ''}{', no worker' if arguments else ''}"
    console.print(
        f"{who}: {load.rate:.0f} accepted/s, {load.slowest:.0f}/s in the slowest {SPAN} s; "
        f"p50 {half:.1f} ms, p95 {most:.1f} ms, {max(load.times):.2f} s at most; {done} executed; "
        f"CPU ms for each: {cpu}"
    )
    return load


def _cpu(process: psutil.Process, workers: list[psutil.Process], own: psutil.Process) -> tuple[float, float, float]:
    """CPU seconds so far of the service, of its worker and of the clients."""
    beside = sum(cpu_of(worker) for worker in workers)
    mine = own.cpu_times()
    return cpu_of(process) - beside, beside, mine.user + mine.system


def _post(running: Service, flow: str, clients: int, seconds: float) -> Load:
    """Post as so many clients until `seconds` are over and all are answered."""
    address = urlsplit(running.credentials["baseUrl"])
    message, load = _message(running, flow), Load(seconds)
    selector = selectors.DefaultSelector()
    connections = [socket.create_connection((address.hostname or "", address.port or 80), 60) for _ in range(clients)]
    for number, connection in enumerate(connections):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(connection, selectors.EVENT_READ, (number, bytearray()))
    began, sent = time.perf_counter(), {}
    for number, connection in enumerate(connections):
        sent[number] = time.perf_counter()
        connection.sendall(message)
    while sent:
        ready = selector.select(60)
        if not ready:
            raise TimeoutError(f"{len(sent)} client(s) had no answer for a minute.")
        for key, _ in ready:
            number, seen = key.data
            seen += connections[number].recv(65_536)
            if not _whole(seen):
                continue
            present = time.perf_counter()
            load.times.append(present - sent.pop(number))
            load.ends.append(present - began)
            seen.clear()
            if present - began < seconds:
                sent[number] = present
                connections[number].sendall(message)
    for connection in connections:
        connection.close()
    return load


def _whole(seen: bytearray) -> bool:
    """Whether an answer is all there. Raises RuntimeError for one that accepts no run."""
    head = seen.find(b"\r\n\r\n")
    if head < 0:
        if not seen:
            raise RuntimeError("The service closed a connection.")
        return False
    if not seen.startswith(b"HTTP/1.1 201 "):
        raise RuntimeError(bytes(seen[:500]).decode(errors="replace"))
    at = seen.index(b"content-length: ") + 16
    return len(seen) == head + 4 + int(seen[at : seen.index(b"\r", at)])


def _message(running: Service, flow: str) -> bytes:
    known = running.credentials
    params = {"windowStartTime": "1704067200", "windowEndTime": "1704153600", "deltaColumn": {"name": "at"}}
    body = json.dumps({"flowId": flow, "params": params})
    head = [
        f"POST {PATH} HTTP/1.1",
        f"Host: {urlsplit(known['baseUrl']).netloc}",
        f"Authorization: Bearer {known['accessToken']}",
        f"x-api-key: {known['apiKey']}",
        f"x-gw-ims-org-id: {known['orgId']}",
        f"x-sandbox-name: {known['sandbox']}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*head, "", body]).encode()


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
