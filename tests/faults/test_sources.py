"""Sources that restart, stall, change and grow while they are read."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import conninfo

from tests.conftest import empty_database
from tests.emulators import answer, small_s3
from tests.emulators import fault as error
from tests.faults.case import Case, Started
from tests.faults.matrix import fault
from tests.faults.proxy import Proxy, proxied
from tests.faults.sources import Files, Objects, PostgresTable, SqliteTable, minute
from tests.faults.world import World, until

DAY = (0, 240)


def _socket(address: str) -> str:
    """The path of a PostgreSQL server's Unix socket."""
    known = conninfo.conninfo_to_dict(address)
    return f"{known['host']}/.s.PGSQL.{known.get('port', 5432)}"


@pytest.fixture
def proxy(server: Any) -> Iterator[Proxy]:
    """The way to a PostgreSQL server of this test alone."""
    with proxied(_socket(server.get_uri())) as proxy:
        yield proxy


@pytest.fixture
def far(world: World, server: Any, proxy: Proxy) -> Iterator[Case]:
    """A case whose source is that server, behind the proxy. Its table is made by `_table()`."""
    case = Case(world, None)  # type: ignore[arg-type]
    try:
        yield case
    finally:
        case.close()


def _table(case: Case, server: Any, proxy: Proxy, **options: Any) -> PostgresTable:
    table = PostgresTable(server.get_uri(), 300, **options)
    table.address = conninfo.make_conninfo(table.address, host="127.0.0.1", port=proxy.port)
    case.source = table
    return table


@fault("F14", "source server restarted amid a copy")
def test_source_restarted(far: Case, server: Any, proxy: Proxy) -> None:
    _table(far, server, proxy, slow=0.01)
    far.worker()
    run = far.run(far.flow(), DAY)
    until(lambda: far.state(run) == "inProgress")
    time.sleep(1)
    os.kill(server.get_pid(), signal.SIGQUIT)  # an immediate shutdown
    far.other_run()
    until(lambda: server.get_pid() is None or not Path(f"/proc/{server.get_pid()}").exists())
    server.ensure_postgres_running()
    far.ends(run)
    assert run.status == "success", run.reasons
    far.seen = f"success by attempt {run.attempt}"


@fault("F15", "source connection cut amid the rows")
def test_source_cut(far: Case, server: Any, proxy: Proxy) -> None:
    _table(far, server, proxy, payload=4000)
    flow = far.flow()
    proxy.cut_after = proxy.answered + 300_000
    far.worker()
    run = far.run(flow, DAY)
    until(lambda: proxy.answered > (proxy.cut_after or 0))
    proxy.cut_after = None
    far.ends(run)
    assert run.status == "success", run.reasons
    assert run.attempt > 1
    far.seen = f"success by attempt {run.attempt}, no partial rows"


@fault("F15", "source refuses connections, then takes them")
def test_source_refuses(far: Case, server: Any, proxy: Proxy) -> None:
    _table(far, server, proxy)
    run = far.run(far.flow(), DAY)
    proxy.refuse()
    worker = far.worker()
    until(lambda: worker.events("attempt.retried"))
    proxy.accept()
    far.ends(run)
    assert run.status == "success", run.reasons
    far.seen = f"success by attempt {run.attempt}"


@fault("F15", "source stalls with its connections open; the run is cancelled")
def test_source_stalls(far: Case, server: Any, proxy: Proxy) -> None:
    _table(far, server, proxy, payload=4000)
    flow = far.flow()
    worker = far.worker("read.mid:sleep=0.5")
    run = far.run(flow, DAY)
    worker.reached("read.mid")
    proxy.stall()
    time.sleep(3)
    far.world.client.runs.get(run.id).cancel()
    began = time.monotonic()
    assert far.settled(run, 20), "it waits for the source"
    far.seen = f"cancelled {time.monotonic() - began:.1f} s after it was asked for"
    proxy.flow()
    far.ends(run)
    assert run.status == "cancelled"


@fault("F16", "rows inserted, updated and deleted amid a run")
def test_rows_change(case: Case, world: World, postgres: str) -> None:
    with empty_database(postgres) as address:
        case.source = source = PostgresTable(address, 300)
        worker = case.worker("read.mid:sleep=1.5")
        run = case.run(case.flow(), DAY)
        worker.reached("read.mid")
        with source.connect() as connection:
            connection.execute("DELETE FROM events WHERE id % 2 = 0")
            connection.execute("UPDATE events SET amount = 0")
            connection.execute(
                "INSERT INTO events SELECT 1000 + n, %s, 1, 'new' FROM generate_series(1, 50) n", [minute(5)]
            )
        case.ends(run)
        assert run.status == "success", run.reasons
        case.seen = "the rows as they were when the run was planned"


@fault("F16", "rows of several splits change between them")
def test_rows_change_between_splits(case: Case, world: World, postgres: str) -> None:
    with empty_database(postgres) as address:
        case.source = source = PostgresTable(address, 300, payload=0)
        with source.connect() as connection:  # from 64 MiB on a table is read by ranges of pages
            connection.execute("ALTER TABLE events ADD COLUMN filler text DEFAULT NULL")
            connection.execute(
                "INSERT INTO events SELECT n, timestamp '2030-01-01', 0, '', repeat(md5(n::text), 60) "
                "FROM generate_series(1, 40000) n"
            )
            connection.execute("ALTER TABLE events ALTER COLUMN filler SET STORAGE PLAIN")
            connection.execute("ANALYZE events")
        source.rows = [(at, (*row, None)) for at, row in source.rows]
        worker = case.worker("read.mid:sleep=1.5@2")
        run = case.run(case.flow(), DAY)
        time.sleep(1.5)
        with source.connect() as connection:
            connection.execute("DELETE FROM events WHERE id % 2 = 0 AND at < '2030-01-01'")
        case.ends(run)
        assert run.status == "success", run.reasons
        case.seen = f"the rows of one snapshot ({len(worker.events('fault'))} fault between splits)"


@fault("F17", "the source's column {column} is {change} between plan and read")
@pytest.mark.parametrize("change", ["dropped", "renamed"])
@pytest.mark.parametrize("column", ["amount", "name"])
def test_column_goes(case: Case, change: str, column: str) -> None:
    source = case.source
    worker = case.worker("read.mid:sleep=1.5@1,0")
    run = case.run(case.flow(), DAY)
    worker.reached("read.mid")
    statement = f"ALTER TABLE events {'DROP' if change == 'dropped' else 'RENAME'} COLUMN {column}"
    statement += "" if change == "dropped" else " TO other"
    if isinstance(source, SqliteTable):
        connection = source.connect()
        connection.execute(statement)
        connection.close()
    else:
        assert isinstance(source, PostgresTable)
        with source.connect() as server:
            server.execute(statement)
    case.ends(run)
    if run.status == "success":
        case.seen = "the change waits until the run has read: success with the rows as they were"
    else:
        assert column in run.reasons
        case.seen = f"failed: {run.reasons[:110]}"


@fault("F18", "a slow source; the run is cancelled")
def test_slow_source(case: Case, world: World, postgres: str) -> None:
    with empty_database(postgres) as address:
        case.source = source = PostgresTable(address, 300, slow=0.05)
        case.worker()
        run = case.run(case.flow(), DAY)
        until(lambda: case.state(run) == "inProgress")
        time.sleep(1)
        began = time.monotonic()
        world.client.runs.get(run.id).cancel()
        case.ends(run)
        took = time.monotonic() - began
        assert run.status == "cancelled"
        with psycopg.connect(address) as connection:
            busy = (
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' "
                "AND query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()"
            )
            until(lambda: connection.execute(busy).fetchone() == (0,), 5)
        assert source.rows
        case.seen = f"cancelled {took:.1f} s after it was asked for, the server's query too"


def _pass(request: BaseHTTPRequestHandler) -> bool:
    return False


def _slow_down(request: BaseHTTPRequestHandler) -> bool:
    return answer(request, 503, error("SlowDown", "Please reduce your request rate."))


def _denied(request: BaseHTTPRequestHandler) -> bool:
    return answer(request, 403, error("AccessDenied", "Access Denied"))


def _stalled(request: BaseHTTPRequestHandler) -> bool:
    time.sleep(4)
    return False


def _cut(request: BaseHTTPRequestHandler) -> bool:
    """More is promised than comes, where it is an object that is asked for."""
    if "list-type" in request.path:
        return False
    request.close_connection = True
    request.send_response(200)
    for name, text in (("Content-Length", "100000"), ("ETag", '"e"'), ("Last-Modified", formatdate(usegmt=True))):
        request.send_header(name, text)
    request.end_headers()
    request.wfile.write(b"id,name\n1,")
    return True


@pytest.fixture
def bucket(world: World) -> Iterator[Case]:
    """A case whose source are 20 objects of a small S3."""
    with small_s3() as store:
        world.secrets.add("canary-secret")
        case = Case(world, Objects(store, 20))
        try:
            yield case
        finally:
            case.close()


def _acted(case: Case, acts: Sequence[Callable[[BaseHTTPRequestHandler], bool]]) -> Started:
    """A run during which the store does these to its requests, one after another."""
    source = case.source
    assert isinstance(source, Objects)
    flow = case.flow()
    source.store.acts[:] = acts
    case.worker()
    return case.run(flow, (source.at, source.at + 1))


@fault("F25", "an object store {what}")
@pytest.mark.parametrize(
    ("what", "acts"),
    [
        ("answers every third request with 503 SlowDown", [_pass, _pass, _slow_down] * 60),
        ("stalls for four seconds", [_pass, _stalled, _stalled]),
        ("cuts bodies short", [_pass, _cut, _pass, _cut, _pass, _pass, _cut]),
    ],
)
def test_object_store_falters(bucket: Case, what: str, acts: list[Callable[[BaseHTTPRequestHandler], bool]]) -> None:
    run = _acted(bucket, acts)
    bucket.other_run()
    bucket.ends(run)
    assert run.status == "success", run.reasons
    bucket.seen = f"success by attempt {run.attempt}"


@fault("F25", "an object store refuses access amid a run")
def test_object_store_refuses(bucket: Case) -> None:
    run = _acted(bucket, [_pass] * 8 + [_denied] * 400)
    bucket.ends(run)
    assert run.status == "failed"
    assert run.attempt == 1
    assert "CONNECTOR-1002-403" in run.reasons
    bucket.seen = f"failed at once: {run.reasons[:100]}"


@fault("F25", "an object store is silent; the run is cancelled")
def test_object_store_silent(bucket: Case) -> None:
    run = _acted(bucket, [_pass, *[_stalled] * 40])
    until(lambda: bucket.state(run) == "inProgress")
    time.sleep(1)
    bucket.world.client.runs.get(run.id).cancel()
    began = time.monotonic()
    assert bucket.settled(run, 20), "it waits for the store"
    assert run.status == "cancelled"
    bucket.seen = f"cancelled {time.monotonic() - began:.1f} s after it was asked for"


@fault("F26", "listed objects are {change} before they are fetched")
@pytest.mark.parametrize("change", ["overwritten", "deleted"])
def test_objects_change(bucket: Case, change: str) -> None:
    source = bucket.source
    assert isinstance(source, Objects)

    def changed(request: BaseHTTPRequestHandler) -> bool:
        for number in range(20):
            if change == "overwritten":
                source.put(number, [(number * 1000 + line, f"other {line}") for line in range(70)])
            else:
                source.store.objects.pop(f"events/in/{number:04}.csv", None)
        if change == "deleted":
            source.rows = []
            source.put(1, [(1007, "left")])
        return False

    run = _acted(bucket, [_pass, changed])
    bucket.ends(run)
    assert run.status == "success", run.reasons
    run.rows = [row for _, row in source.rows]
    bucket.seen = f"attempt {run.attempt} reads the objects as they are then"


@pytest.fixture
def files(world: World, tmp_path: Path) -> Iterator[Case]:
    """A case whose source is a folder of 20 files."""
    folder = world.folder / tmp_path.name
    folder.mkdir(exist_ok=True)
    case = Case(world, Files(folder, 20))
    try:
        yield case
    finally:
        case.close()


@fault("F26", "a listed file is {change} before it is read (local files)")
@pytest.mark.parametrize("change", ["overwritten", "deleted"])
def test_file_changes(files: Case, change: str) -> None:
    source = files.source
    assert isinstance(source, Files)
    worker = files.worker("read.mid:sleep=2")
    run = files.run(files.flow(), (0, 20))
    worker.reached("read.mid")
    if change == "overwritten":
        for number in range(20):
            source.put(number, [(7, f"other {number}")] * 30)
    else:
        for number in range(20):
            source.drop(number)
            if number == 0:
                source.put(0, [(1, "left")])
    files.ends(run)
    assert run.status == "success", run.reasons
    run.rows = [row for _, row in source.rows]
    assert run.attempt == 2
    files.seen = "attempt 1 is given up, attempt 2 reads the files as they are then"


@fault("F27", "a file grows while it is read")
def test_file_grows(files: Case) -> None:
    source = files.source
    assert isinstance(source, Files)
    worker = files.worker("read.mid:sleep=1")
    run = files.run(files.flow(), (0, 20))
    worker.reached("read.mid")
    rows = [(line, f"grown {line}") for line in range(40)]

    def grow() -> None:
        for length in range(1, 41):
            source.put(3, rows[:length])
            time.sleep(0.03)

    growing = threading.Thread(target=grow)
    growing.start()
    files.ends(run)
    growing.join()
    run.rows = [row for _, row in source.rows]
    assert run.status == "success", run.reasons
    files.seen = f"success by attempt {run.attempt}, with the file as it was in the end"
