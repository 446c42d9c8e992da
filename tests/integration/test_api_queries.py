"""The SQL box and what is told of tables: what is answered, and all that a query cannot reach."""

import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest

from headgate import querying
from headgate.engine import Worker
from headgate.errors import InvalidRequest, TooManyRequests
from headgate.model.permissions import EVERYTHING
from headgate.model.scope import Caller, Principal
from headgate.querying import QueryRefused, View, answered, engine
from headgate.service import queries as box
from headgate.service.queries import Queries, QueryTooLong
from headgate.store import AuditFilter
from headgate.targets import Lake
from tests.integration.face import Face, refused, second_org, serving
from tests.integration.test_roles import may, person

SQL = "/headgate/queries"
DELTA = {"name": "updated_at"}


def fill(face: Face, *, dataset: str) -> tuple[str, str]:
    """The ids of a run and of the dataset that it fills with 50 rows once a worker is there."""
    id_ = face.dataset(dataset)
    flow = face.flow(name=dataset, targetConnectionIds=[face.target(id_)])
    answer = face.run(flow, windowStartTime="1709251200", windowEndTime="1711929600", deltaColumn=DELTA)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"]), id_


@pytest.fixture(scope="module")
def face(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Face]:
    """A service with three tables: one of its first sandbox, one of another, one of another organisation."""
    folder = tmp_path_factory.mktemp("asked")
    with serving(folder) as face:
        other = second_org(face)
        runs = [(face, fill(face, dataset="Orders")[0]), (face.of("dev"), fill(face.of("dev"), dataset="Hidden")[0])]
        runs.append((other, fill(other, dataset="Elsewhere")[0]))
        face.dataset("Never filled")
        lake = Lake(face.settings.warehouse)
        worker = Worker(face.store, lake, face.settings)
        worker.start()
        try:
            for who, run in runs:
                until = time.monotonic() + 60
                while not who.scoped().run(run).state.final and time.monotonic() < until:
                    time.sleep(0.02)
                assert who.scoped().run(run).state.value == "success"
        finally:
            worker.stop()
            lake.close()
        yield face


def ask(face: Face, sql: str) -> dict[str, Any]:
    answer = face.post(SQL, {"sql": sql})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("SELECT repeat('x', 9000000)", "first row alone"),
        ("SELECT error(repeat('x', 9000000))", "xxx"),
    ],
)
def test_no_answer_is_larger_than_the_service_can_hold(face: Face, sql: str, reason: str) -> None:
    """Neither one huge value nor the text of an error goes through the service."""
    answer = face.post(SQL, {"sql": sql})
    assert (answer.status_code, len(answer.content) < 20_000, reason in answer.text) == (400, True, True)
    rows = face.post(SQL, {"sql": "SELECT repeat('x', 3000000) FROM range(9)"})
    assert (rows.status_code, len(rows.json()["rows"]), rows.json()["truncated"]) == (200, 2, True)


def test_a_query_is_answered(face: Face) -> None:
    found = ask(face, 'SELECT count(*) AS n, max(id) AS "last one", sum(id) FROM orders -- all of them')
    assert found["columns"] == [
        {"name": "n", "type": "BIGINT"},
        {"name": "last one", "type": "BIGINT"},
        {"name": "sum(id)", "type": "HUGEINT"},
    ]
    assert found["rows"] == [[50, 49, "1225"]]
    assert found["truncated"] is False
    assert found["milliseconds"] >= 0


def test_tables_can_be_looked_at(face: Face) -> None:
    def rows(sql: str) -> list[list[Any]]:
        found: list[list[Any]] = answered([view_of(face), View("never_filled", None)], sql, rows=9, size=9999)["rows"]
        return found

    assert [row[0] for row in ask(face, "SHOW TABLES")["rows"]] == ["never_filled", "orders"]
    assert ["orders"] in rows("SELECT table_name FROM information_schema.tables")
    assert rows("DESCRIBE orders")[0][:2] == ["id", "BIGINT"]
    assert rows("SUMMARIZE SELECT id FROM Orders")[0][2:4] == ["0", "49"]
    assert rows("SELECT * FROM never_filled") == []
    assert rows("EXPLAIN SELECT 1")
    assert rows("EXPLAIN (FORMAT JSON) SELECT 1")
    assert rows("WITH a AS (FROM orders LIMIT 2) SELECT count(*) FROM a, range(3)") == [[6]]
    assert ask(face.of("dev"), "SELECT count(*) FROM hidden")["rows"] == [[50]]


def test_an_answer_has_an_end(face: Face) -> None:
    found = ask(face, "SELECT range FROM range(1001)")
    assert (len(found["rows"]), found["truncated"]) == (1000, True)
    found = ask(face, "SELECT repeat('x', 20000) FROM range(1000)")
    assert found["truncated"] is True
    assert 400 < len(found["rows"]) < 500
    found = ask(face, "SELECT range FROM range(1000000000000)")  # read no further than needed
    assert found["truncated"] is True


def folder_of(face: Face, table: str) -> Path:
    """The folder of a table, whosever it is."""
    return next(path.parent for path in face.settings.warehouse.glob(f"**/{table}/metadata"))


def view_of(face: Face) -> View:
    """The table of the first sandbox."""
    files = sorted((folder_of(face, "orders") / "metadata").glob("*.metadata.json"))
    return View("orders", files[-1])


def hostile(face: Face) -> list[str]:
    """Queries of which none may be answered."""
    own, foreign, hidden = (folder_of(face, name) for name in ("orders", "elsewhere", "hidden"))
    data = next(foreign.glob("**/*.parquet"))
    mine = next(own.glob("**/*.parquet"))
    paths = [
        "/etc/passwd",
        "/etc/*",
        "/proc/self/environ",
        "file:///etc/passwd",
        "http://127.0.0.1:9/x",
        "s3://bucket/key",
        str(data),
        str(next(hidden.glob("**/*.parquet"))),
        f"{own}/{'../' * 20}{str(data)[1:]}",
        str(face.settings.warehouse / "catalog.db"),
        str(face.settings.data / "metadata.db"),
        str(face.settings.keys / "secrets.key"),
        str(mine),
    ]
    readers = ("read_csv", "read_text", "read_blob", "read_parquet", "read_json", "glob", "sniff_csv", "parquet_schema")
    others = ("iceberg_scan", "iceberg_snapshots", "read_duckdb", "system.main.READ_TEXT")
    return [
        *(f"SELECT * FROM {reader}('{path}')" for reader in readers[:4] for path in paths),
        *(f"SELECT * FROM {reader}('{mine}'), orders" for reader in (*readers, *others)),
        *(f"SELECT * FROM '{path}'" for path in paths[:-1]),
        f"SELECT (SELECT max(content) FROM read_text('{mine}')) FROM orders",
        "SUMMARIZE FROM glob('*')",
        "EXPLAIN ANALYZE SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM query('SELECT 1')",
        "SELECT * FROM query_table('orders')",
        "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))",
        "SELECT * FROM enable_logging('QueryLog', storage = 'file')",
        f"SELECT * FROM enable_profiling(save_location = '{mine}')",
        "SELECT * FROM force_checkpoint()",
        "FROM duckdb_secrets()",
        "FROM duckdb_settings()",
        "FROM duckdb_views()",
        "SELECT getenv('HEADGATE_SECRETS_KEY')",
        "SELECT * FROM hidden",
        "SELECT * FROM elsewhere",
        "SELECT * FROM dev.hidden",
        "ATTACH '/tmp/x.db'",
        "ATTACH ':memory:' AS more",
        f"COPY orders TO '{own}/data/more.parquet'",
        f"COPY (SELECT 1) TO '{own}/data/more.parquet'",
        f"EXPLAIN ANALYZE COPY (SELECT 1) TO '{own}/data/more.parquet'",
        f"EXPLAIN COPY orders TO '{own}/data/more.parquet'",
        "EXPORT DATABASE '/tmp/x'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET memory_limit = '100GB'",
        "SET enable_external_access = true",
        "RESET enable_external_access",
        "SET lock_configuration = false",
        "PRAGMA database_list",
        "PRAGMA enable_external_access",
        "CALL pragma_version()",
        "CREATE TABLE t (i INTEGER)",
        "CREATE SECRET (TYPE s3, KEY_ID 'a')",
        "DROP VIEW orders",
        "INSERT INTO orders VALUES (1)",
        "DELETE FROM orders",
        "CHECKPOINT",
        "VACUUM",
        "USE memory",
        "BEGIN",
        "PREPARE p AS SELECT 1",
        "SELECT 1; SELECT 2",
        "SELECT 1; COPY (SELECT 1) TO '/tmp/x'",
        "/* a */ EXPLAIN ANALYZE COPY (SELECT 1) TO '/tmp/x'",
        "EXPLAIN EXPLAIN ANALYZE COPY (SELECT 1) TO '/tmp/x'",
        "SELECT",
        "",
        "-- nothing",
        "nonsense",
    ]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_nothing_else_can_be_read_and_nothing_written(face: Face) -> None:
    """Asked of one engine as the service makes them, the check before it included."""
    views = [view_of(face), View("never_filled", None)]
    before = contents(face.settings.warehouse)
    with engine(views, "FROM orders, never_filled", locked=True) as connection:
        wrongs = [sql for sql in hostile(face) if answers(connection, sql)]
        assert answers(connection, "FROM orders")
    assert wrongs == []
    assert contents(face.settings.warehouse) == before
    for sql in ("SELECT * FROM read_csv('/etc/passwd')", "SELECT * FROM '/etc/passwd'"):
        with pytest.raises(QueryRefused):
            answered(views, sql, rows=1, size=1000)


def answers(connection: duckdb.DuckDBPyConnection, sql: str) -> bool:
    try:
        querying._see_harmless(querying._parsed(connection, sql))
        connection.execute(sql).fetchmany(10)
    except (QueryRefused, duckdb.Error):
        return False
    return True


def test_the_engine_itself_reads_and_writes_no_other_file(face: Face) -> None:
    """Were a function overlooked: the configuration alone keeps every one that takes a path from files of others."""
    foreign = next(folder_of(face, "elsewhere").glob("**/*.parquet"))
    around = f"{folder_of(face, 'orders')}/{'../' * 20}{str(foreign)[1:]}"
    with engine([view_of(face)], "FROM orders", locked=True) as connection:

        def said(name: str, path: str) -> str:
            try:
                return str(connection.execute(f"SELECT * FROM {name}('{path}')").fetchmany(10)).replace(path, "PATH")
            except duckdb.Error:
                return "refused"

        functions = connection.execute(
            "SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type = 'table'"
        ).fetchall()
        assert len(functions) > 60
        told = {name: {said(name, path) for path in ("/etc/passwd", str(foreign), around)} for (name,) in functions}
        assert {name: words for name, words in told.items() if "root:" in str(words) or len(words) > 1} == {}
        for sql in ("SET threads = 1", f"COPY (SELECT 1) TO '{foreign}'", "ATTACH '/tmp/x.db'", "INSTALL httpfs"):
            with pytest.raises(duckdb.Error):
                connection.execute(sql)
    assert foreign.stat().st_size > 100


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELECT * FROM read_text('/etc/passwd')", "The function 'read_text' cannot be used here"),
        ("COPY orders TO '/tmp/x'", "One SELECT, DESCRIBE, SHOW, SUMMARIZE or EXPLAIN statement"),
        ("SELECT nothing FROM orders", 'Referenced column "nothing" not found'),
        ("SELECT count(*) FROM (SELECT DISTINCT range, repeat('x', 1000) FROM range(100000000))", "takes more memory"),
        ("SELECT 'infinity'::DATE AS never", "A value of the column 'never' cannot be shown"),
    ],
)
def test_a_refusal_says_why(face: Face, sql: str, words: str) -> None:
    sentence = refused(face.post(SQL, {"sql": sql}), 400, "FLOW-1100-400")
    assert re.search(words, sentence), sentence


@pytest.mark.parametrize("body", [{}, {"sql": 1}, {"sql": " "}, {"sql": "SELECT 1", "rows": 5}, {"sql": "x" * 100_001}])
def test_what_is_no_query(face: Face, body: dict[str, Any]) -> None:
    assert face.post(SQL, body).status_code == 400


def test_the_child_has_nothing_of_the_service(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither its environment nor its limits: what it is told is all that it knows."""
    monkeypatch.setenv("HEADGATE_SECRETS_KEY", "h0pe")
    seen: list[dict[str, Any]] = []
    popen = subprocess.Popen

    def spied(command: list[str], **about: Any) -> Any:
        seen.append({"command": command, **about})
        return popen(command, **about)

    monkeypatch.setattr(subprocess, "Popen", spied)
    ask(face, "SELECT 'h0pe'")
    assert "h0pe" not in str(seen)
    assert not any(name.startswith("HEADGATE") for name in seen[0]["env"])


def test_a_query_ends_in_time_and_with_its_caller(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    endless = {"sql": "SELECT sum(range % 7) FROM range(1000000000000)"}
    queries, caller = Queries(face.settings, face.store, Lake(face.settings.warehouse)), caller_of(face)
    gone = threading.Event()
    gone.set()
    with pytest.raises(InvalidRequest, match="gone"):
        queries.ask(caller, endless, gone)
    monkeypatch.setattr(box, "_SECONDS", 1)
    with pytest.raises(QueryTooLong):
        queries.ask(caller, endless)


def test_a_query_is_killed_when_its_caller_hangs_up(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def spied(*arguments: Any, **about: Any) -> Any:
        started.append(popen(*arguments, **about))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", spied)
    endless = {"sql": "SELECT sum(range % 7) FROM range(1000000000000)"}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{face.http.base_url}{SQL}", json=endless, headers=face.headers, timeout=0.5)
    until = time.monotonic() + 20
    while not (started and started[0].returncode is not None) and time.monotonic() < until:
        time.sleep(0.02)
    assert [process.returncode for process in started] == [-9]


def test_so_many_at_a_time(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    places = box._Places(3)
    with places.one("a", "x"), places.one("a", "x"):
        monkeypatch.setattr(box, "_PATIENCE", 0.01)
        with pytest.raises(TooManyRequests), places.one("a", "x"):
            pass
        with places.one("b", "x"), pytest.raises(TooManyRequests), places.one("c", "x"):
            pass
    with box._Places(1).one("a", "x"):
        pass


def caller_of(face: Face) -> Caller:
    return Caller(Principal("me", "c", "user", None), face.scoped().scope, EVERYTHING)


def test_a_query_is_in_the_audit_log(face: Face) -> None:
    ask(face, "SELECT\n  1 AS    audited -- " + "x" * 3000)
    [entry] = face.store.audit.newest(AuditFilter(action="query"), 1)
    assert (entry.kind, entry.resource_id[:24], entry.sandbox) == ("queries", "SELECT 1 AS audited -- x", "prod")
    assert entry.detail is not None
    assert len(entry.detail) == 2000


def test_it_needs_a_permission(face: Face) -> None:
    may(face, "viewer", "dev")
    alice = person(face)
    refused(alice.of("prod").post(SQL, {"sql": "SELECT 1"}), 403, "FLOW-2121-403")
    assert alice.of("dev").post(SQL, {"sql": "SELECT 1"}).json()["rows"] == [[1]]


# -- what is told of a table ----------------------------------------------------------------------------


def dataset_id(face: Face, name: str) -> str:
    found = face.get("/data/foundation/catalog/dataSets", property=f"name=={name}").json()
    return str(next(iter(found)))


def test_a_tables_columns_and_states(face: Face) -> None:
    id_ = dataset_id(face, "Orders")
    schema = face.get(f"/headgate/datasets/{id_}/schema").json()
    assert schema["table"] == "orders"
    assert schema["columns"][1] == {"name": "updated_at", "type": "timestamp", "required": False, "provenance": False}
    assert schema["columns"][-1]["provenance"] is True
    answer = face.get(f"/headgate/datasets/{id_}/snapshots").json()
    [state] = answer["items"]
    assert (state["addedRows"], state["totalRows"], state["current"], answer["_links"]) == (50, 50, True, {})
    assert face.get(f"/runs/{state['runId']}").status_code == 200
    assert abs(state["createdAt"] - time.time() * 1000) < 600_000


def test_a_preview_is_a_query(face: Face) -> None:
    id_ = dataset_id(face, "Orders")
    found = face.get(f"/headgate/datasets/{id_}/preview", limit=3).json()
    assert (len(found["rows"]), found["truncated"], found["columns"][0]) == (3, True, {"name": "id", "type": "BIGINT"})
    assert len(face.get(f"/headgate/datasets/{id_}/preview").json()["rows"]) == 50
    assert face.get(f"/headgate/datasets/{id_}/preview", limit=1001).status_code == 400


def test_of_a_dataset_that_no_run_has_filled(face: Face) -> None:
    at = f"/headgate/datasets/{dataset_id(face, 'Never filled')}"
    assert face.get(f"{at}/schema").json() == {"table": "never_filled", "columns": [], "partitionedBy": []}
    assert face.get(f"{at}/snapshots").json() == {"items": [], "_links": {}}
    assert face.get(f"{at}/preview").json()["rows"] == []


def test_tables_of_others_do_not_exist(face: Face) -> None:
    id_ = dataset_id(face.of("dev"), "Hidden")
    for what in ("schema", "snapshots", "preview"):
        assert face.get(f"/headgate/datasets/{id_}/{what}").status_code == 404
        assert face.of("dev").get(f"/headgate/datasets/{id_}/{what}").status_code == 200
        assert face.get(f"/headgate/datasets/none/{what}").status_code == 404


def test_the_service_loads_no_engine_for_it(face: Face) -> None:
    """In a fresh process, for this one has it."""
    script = "import sys, headgate.service.service; print('duckdb' in sys.modules, 'pyarrow' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", script], text=True).split() == ["False", "False"]


def test_who_has_asked_too_much_does_not_wait_for_a_place() -> None:
    """Whoever waits holds a thread of the service, so one principal cannot have many wait."""
    places = box._Places(100)
    with places.one("a", "x"), places.one("a", "x"), places.one("a", "x"), places.one("a", "x"):
        with pytest.raises(TooManyRequests, match="of this principal"), places.one("a", "x"):
            pass
        with places.one("a", "y"), places.one("b", "x"):
            pass
    with places.one("a", "x"):
        assert set(places._asked) == {("a", "x")}
