"""The metadata database restarts, locks, fills up, goes out of reach, and is not what it was."""

import os
import random
import shutil
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tests.conftest import on_postgresql
from tests.faults.case import RUNS, Case
from tests.faults.matrix import fault
from tests.faults.proxy import proxied
from tests.faults.sources import SqliteTable
from tests.faults.test_sources import _socket
from tests.faults.world import World, until

DAY = (0, 240)
on_sqlite = pytest.mark.parametrize("world", ["sqlite"], indirect=True)
on_postgres = pytest.mark.parametrize("world", ["postgresql"], indirect=True)


@contextmanager
def _own(folder: Path, metadata: str = "", **settings: str) -> Iterator[Case]:
    """A case in a world of its own, whose metadata may be broken."""
    world = World(folder / "world", metadata, **settings)
    (folder / "world" / "source").mkdir()
    case = Case(world, SqliteTable(folder / "world" / "source", 300))
    try:
        yield case
    finally:
        case.close()
        world.close()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Case]:
    """A case with SQLite metadata of its own."""
    with _own(tmp_path) as case:
        yield case


@pytest.fixture
def restarting(tmp_path: Path, server: Any) -> Iterator[Case]:
    """A case whose metadata is on the PostgreSQL server of the test alone."""
    with _own(tmp_path, on_postgresql(server.get_uri())) as case:
        yield case


class Asking:
    """A client that asks for one run after another, each until it is answered, with a key each."""

    def __init__(self, case: Case, flows: list[str]) -> None:
        self._case, self._flows = case, flows
        self.made: dict[str, tuple[str, tuple[int, int]]] = {}
        self.answers: list[int] = []
        self.broken = 0

    def ask(self, over: threading.Event) -> None:
        """Ask until it is over."""
        number = 0
        with self._case.world.http() as http:
            while not over.is_set():
                flow, window = self._flows[number % len(self._flows)], (number % 4 * 60, number % 4 * 60 + 60)
                key = {"Idempotency-Key": f"{self._case.name}-{number}"}
                while True:
                    try:
                        answer = http.post(RUNS, json=self._case.body(flow, window), headers=key)
                    except httpx.TransportError:
                        self.broken += 1
                        time.sleep(0.1)
                        continue
                    self.answers.append(answer.status_code)
                    if answer.status_code == 201:
                        break
                    assert answer.status_code == 503, answer.text
                    assert "retry-after" in answer.headers
                    time.sleep(0.1)
                self.made[answer.json()["id"]] = flow, window
                number += 1
                time.sleep(0.2)


def _under_load(case: Case, shake: Callable[[], None], seconds: float) -> str:
    """Shake while a client asks for runs and workers execute them; what was seen."""
    case.settings = {"HEADGATE_MAX_ATTEMPTS": "30"}
    flows = [case.flow() for _ in range(3)]
    for _ in range(2):
        case.worker()
    asking, over = Asking(case, flows), threading.Event()
    thread = threading.Thread(target=asking.ask, args=[over])
    thread.start()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        shake()
    over.set()
    thread.join(60)
    assert not thread.is_alive()
    for id_, (flow, window) in asking.made.items():
        case.asked(id_, flow, window)
    case.heal()
    for run in case.runs:
        case.ends(run, 60)
        assert run.status == "success", run.reasons
    stored = {run.id for run in case.world.client.runs.list()}
    assert stored == set(asking.made)
    refused = sum(answer == 503 for answer in asking.answers)
    most = max(run.attempt for run in case.runs)
    return f"{len(asking.made)} runs, each stored once and success by attempt {most} at most; {refused} times 503"


@fault("F19", "metadata server restarted at once every 2 to 4 s under load, for 20 s")
def test_restarted_under_load(restarting: Case, server: Any) -> None:
    dice = random.Random(7)

    def shake() -> None:
        time.sleep(dice.uniform(2, 4))
        os.kill(server.get_pid(), signal.SIGQUIT)
        time.sleep(dice.uniform(0.2, 1))
        server.ensure_postgres_running()

    restarting.seen = _under_load(restarting, shake, 20)


@fault("F20", "all backends of the metadata server ended every 0.5 s under load, for 8 s")
def test_backends_ended(restarting: Case, server: Any) -> None:
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'headgate'"

    def shake() -> None:
        time.sleep(0.5)
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute(end)

    restarting.seen = _under_load(restarting, shake, 8)


@fault("F20", "no connection left at the metadata server for 4 s")
def test_no_connection_left(restarting: Case, server: Any) -> None:
    case = restarting
    flow = case.flow()
    run = case.run(flow, DAY)
    with psycopg.connect(server.get_uri(database="template1"), autocommit=True) as connection:
        connection.execute("ALTER DATABASE postgres ALLOW_CONNECTIONS false")
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'headgate'")
        with case.world.http() as http:
            answers = {http.get(RUNS).status_code, http.post(RUNS, json=case.body(flow, DAY)).status_code}
        time.sleep(4)
        connection.execute("ALTER DATABASE postgres ALLOW_CONNECTIONS true")
    assert answers == {503}
    case.heal()
    case.ends(run)
    case.seen = "503 without storing anything, then as before"


@on_sqlite
@fault("F21", "metadata locked by another for 12 s amid a run")
def test_sqlite_locked(case: Case) -> None:
    worker = case.worker("read.mid:sleep=1")
    flow = case.flow()
    run = case.run(flow, DAY)
    worker.reached("read.mid")
    with (
        closing(sqlite3.connect(case.world.data / "metadata.db", isolation_level=None)) as other,
        case.world.http() as http,
    ):
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        answer = http.post(RUNS, json=case.body(flow, DAY))
        assert http.get(RUNS).status_code == 200
        time.sleep(max(0.0, began + 12 - time.monotonic()))
        other.execute("ROLLBACK")
    assert answer.status_code == 503
    assert case.world.client.runs.count(f"flowId=={flow}") == 1
    case.heal()
    case.ends(run)
    assert run.status == "success", run.reasons
    case.seen = f"503 after 10 s, reads are served, nothing stored; the run succeeds by attempt {run.attempt}"


@pytest.fixture
def full(tmp_path: Path) -> Iterator[tuple[Case, Path]]:
    """A case whose metadata lies on a small disk, and the folder of the disk."""
    from tests.faults.disks import small_disk

    with small_disk(tmp_path / "disk", "24m") as disk, _own(tmp_path, f"sqlite:///{disk / 'metadata.db'}") as case:
        yield case, disk


@pytest.fixture
def cramped(full: tuple[Case, Path]) -> Case:
    """The case alone."""
    return full[0]


@fault("F22", "metadata's disk is full")
def test_disk_full(cramped: Case, full: tuple[Case, Path]) -> None:
    case, disk = full
    flow = case.flow()
    first = case.run(flow, DAY)
    worker = case.worker()
    case.ends(first)
    worker.end()
    free = shutil.disk_usage(disk).free
    (disk / "filler").write_bytes(b"\0" * free)
    with case.world.http() as http:
        answers = [http.post(RUNS, json=case.body(flow, DAY)).status_code for _ in range(3)]
        assert http.get(RUNS).status_code == 200
    (disk / "filler").unlink()
    assert set(answers) <= {201, 503}
    assert 503 in answers
    for run in list(case.world.client.runs.list())[::-1]:
        if run.id != first.id:
            case.asked(run.id, flow, DAY)
    assert len(case.runs) == 1 + answers.count(201)
    case.heal()
    case.ends(case.run(flow, DAY))
    with closing(sqlite3.connect(disk / "metadata.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    case.world.metadata = ""
    case.seen = f"writes {answers}, reads 200; afterwards whole and as before"


@on_postgres
@fault("F31", "worker cut from its metadata server for 4 s amid a run")
def test_worker_cut_off(case: Case, world: World, postgres: str) -> None:
    with proxied(_socket(postgres)) as proxy:
        known = psycopg.conninfo.conninfo_to_dict(world.metadata.replace("+psycopg", ""))
        address = f"postgresql+psycopg://{known['user']}@127.0.0.1:{proxy.port}/{known['dbname']}"
        away = case.worker("commit.before:sleep=4", environment={"HEADGATE_METADATA_URL": address})
        run = case.run(case.flow(), DAY)
        away.reached("commit.before")
        proxy.refuse()
        case.heal()
        case.ends(run)
        assert (run.status, run.attempt) == ("success", 2)
        time.sleep(2)
        proxy.accept()
        until(
            lambda: away.events("attempt.lost") or away.events("worker.attempt_failed"), about="for the cut off worker"
        )
        case.seen = "success by attempt 2, the other commits nothing and works on once it is back"


@fault("F37", "the SQLite metadata's log is cut in half after a crash")
def test_log_cut_in_half(own: Case) -> None:
    flow = own.flow()
    run = own.run(flow, DAY)
    path = own.world.data / "metadata.db"
    with closing(sqlite3.connect(path)) as connection:  # all up to here is safe
        assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() is not None
    worker = own.worker()
    until(lambda: own.state(run) == "success")
    worker.kill()
    assert own.world.api is not None
    own.world.api.kill()
    log = path.with_name("metadata.db-wal")
    os.truncate(log, log.stat().st_size // 2)
    own.world.start_api()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    before = own.state(run)
    own.heal()
    own.ends(run)
    own.seen = f"whole; the run, {before} again, is found in the table: success without a second read"


@fault("F38", "metadata put back to a copy from before the run, the table as it is")
def test_older_copy(own: Case) -> None:
    flow, path = own.flow(), own.world.data / "metadata.db"
    first = own.run(flow, DAY)
    with closing(sqlite3.connect(path)) as old, closing(sqlite3.connect(path.with_name("copy.db"))) as copy:
        old.backup(copy)
    worker = own.worker()
    own.ends(first)
    worker.kill()
    assert own.world.api is not None
    own.world.api.kill()
    for name in ("metadata.db-wal", "metadata.db-shm"):
        path.with_name(name).unlink(missing_ok=True)
    path.with_name("copy.db").replace(path)
    own.world.start_api()
    first.ended = {}
    assert own.state(first) in ("queued", "scheduled")
    own.heal()
    own.ends(first)
    assert first.status == "success"
    own.seen = "the run, queued again, is found in the table: success, the rows once"


@fault("F39", "the key of the secrets is another one")
def test_key_lost(case: Case) -> None:
    flow, world = case.flow(), case.world
    case.ends(_first(case, flow))
    other = {"HEADGATE_SECRETS_KEY": "S2FuYXJpZW52b2dlbC1zZWNyZXRzLWtleS0wMTIzNDU="}
    world.secrets.add(other["HEADGATE_SECRETS_KEY"])
    world.start_api(environment=other)
    worker = case.worker(environment=other)
    with world.http() as http:
        assert http.get(f"/data/foundation/flowservice/flows/{flow}").status_code == 200
        answer = http.post(RUNS, json=case.body(flow, (0, 60)))
    assert answer.status_code == 201, answer.text
    run = case.asked(answer.json()["id"], flow, (0, 60))
    case.ends(run)
    assert run.status == "failed"
    assert "credentials" in run.reasons
    worker.kill()
    world.start_api()
    case.heal()
    again = case.run(flow, (0, 60))
    case.ends(again)
    assert again.status == "success"
    case.seen = f"flows are served; the run failed: {run.reasons[:90]}; with the key again: success"


def _first(case: Case, flow: str) -> Any:
    worker = case.worker()
    run = case.run(flow, DAY)
    case.ends(run)
    worker.end()
    return run
