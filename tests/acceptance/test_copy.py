"""`headgate copy`, from sources of several kinds, without a server."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner

from headgate.cli.commands import cli
from headgate.cli.in_process import in_process
from headgate.cli.written import KINDS
from headgate.client import NotFound
from headgate.model.addresses import FLOW_SERVICE
from headgate.service.local import settings_for
from tests.acceptance.conftest import embedded
from tests.acceptance.processes import Deployment
from tests.emulators import s3_bucket
from tests.mariadb import SECRET, Mariadb


class Copying:
    def __init__(self, folder: Path) -> None:
        self.data = str(folder / "lake")

    def __call__(self, *arguments: str, code: int = 0, typed: str | None = None, stderr: bool = False) -> str:
        done = CliRunner().invoke(cli, [*arguments, "--data", self.data], input=typed)
        assert done.exit_code == code, (done.output, done.exception)
        return done.stderr if code or stderr else done.stdout

    def left(self) -> list[str]:
        """The names of all that was made and is still there."""
        with in_process(settings_for(Path(self.data))) as client:
            return [item["name"] for kind in KINDS.values() for item in kind.all(client)]

    def query(self, sql: str) -> Any:
        return json.loads(self("query", sql, "-o", "json"))


@pytest.fixture
def headgate(tmp_path: Path) -> Copying:
    return Copying(tmp_path)


def test_a_table_is_copied_once_and_again(headgate: Copying, tmp_path: Path) -> None:
    shop = tmp_path / "shop.db"
    with sqlite3.connect(shop) as database:
        database.execute("CREATE TABLE orders (id INTEGER, updated_at TIMESTAMP)")
        database.executemany(
            "INSERT INTO orders VALUES (?, ?)", [(n, f"2024-03-{n:02} 12:00:00") for n in range(1, 11)]
        )
    source, window = f"sqlite:///{shop}", ("--from", "2024-03-01", "--to", "2024-03-06")
    assert "It could be updated_at" in headgate("copy", source, "orders", *window, code=2)
    first = headgate("copy", source, "orders", "--delta-column", "updated_at", *window)
    assert "rows      5\n" in first
    assert "[2024-03-01T00:00:00Z, 2024-03-06T00:00:00Z)" in first
    with sqlite3.connect(shop) as database:
        database.execute("DELETE FROM orders WHERE id = 1")
    database.close()
    again = json.loads(headgate("copy", source, "orders", *window, "-o", "json"))  # the column is known by now
    assert headgate.query("SELECT count(*) AS n FROM orders") == [{"n": 4}]
    headgate("copy", source, "orders", "--from", "2024-03-06", "--to", "2024-04-01", "--quiet")
    assert headgate.query("SELECT count(*) AS n FROM orders") == [{"n": 9}]
    assert again["flowId"] in first


def test_a_copy_looks_at_its_run_since_its_service_gives_answers_whole(tmp_path: Path) -> None:
    with in_process(settings_for(tmp_path / "lake")) as client, pytest.raises(NotFound, match="no streams"):
        client.read(f"{FLOW_SERVICE}/runs/any/events", headers={"Accept": "text/event-stream"})


def test_a_copy_that_cannot_begin_leaves_nothing_behind(headgate: Copying, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "shop.db") as database:
        database.execute("CREATE TABLE orders (id INTEGER, updated_at TIMESTAMP)")
    database.close()
    source = f"sqlite:///{tmp_path}/shop.db"
    assert "no table or view 'ordres'" in headgate("copy", source, "ordres", "--delta-column", "updated_at", code=2)
    window = ("--from", "2024-03-02", "--to", "2024-03-01")
    refused = headgate("copy", source, "orders", "--delta-column", "updated_at", *window, code=2)
    assert refused == "headgate: --to 2024-03-01T00:00:00Z is before --from 2024-03-02T00:00:00Z.\n"
    assert headgate.left() == []
    (tmp_path / "exports").mkdir()
    nothing = headgate("copy", str(tmp_path / "exports"), "*.csv", "--into", "days", stderr=True)
    assert "Warning: The path '*.csv' selects no file, whenever it was modified." in nothing


def test_a_copy_that_fails_on_its_way_tells_what_it_keeps(headgate: Copying, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "shop.db") as database:
        database.execute("CREATE TABLE orders (total NUMERIC(5,2), updated_at TIMESTAMP)")
        database.execute("INSERT INTO orders VALUES ('lots', '2024-03-01 12:00:00')")
    command = ("copy", f"sqlite:///{tmp_path}/shop.db", "orders", "--delta-column", "updated_at", "--into", "sold")
    told = headgate(*command, code=1)
    assert "'lots', which is not of its declared type" in told
    kept = headgate.left()
    assert len(kept) == 5
    assert all(f"{name!r}" in told for name in kept)
    with sqlite3.connect(tmp_path / "shop.db") as database:
        database.execute("UPDATE orders SET total = 1")
    database.close()
    headgate(*command)
    assert headgate.left() == kept
    assert headgate.query("SELECT count(*) AS n FROM sold") == [{"n": 1}]


def test_files_are_copied(headgate: Copying, tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    folder.mkdir()
    for day in (1, 2):
        (folder / f"{day}.csv").write_text(f"id,day\n{day},2024-03-0{day}\n")
    assert "by --into" in headgate("copy", str(folder), "*.csv", code=2)
    headgate("copy", str(folder), "*.csv", "--into", "days")
    headgate("copy", str(folder / "1.csv"), "--into", "one day")
    assert headgate.query("SELECT count(*) AS two, (SELECT count(*) FROM one_day) AS one FROM days") == [
        {"two": 2, "one": 1}
    ]


def test_passwords_are_named_or_typed_but_never_arguments(
    headgate: Copying, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("CREATE TABLE events AS SELECT 1 AS id, timestamp '2024-03-01' AS at")
        [user] = connection.execute("SELECT current_user").fetchone() or ()
    host = psycopg.conninfo.conninfo_to_dict(database)["host"]
    name = psycopg.conninfo.conninfo_to_dict(database)["dbname"]
    source = f"postgresql://{user}@/{name}?host={host}"
    monkeypatch.delenv("PGPASSWORD", raising=False)
    command = ("copy", source, "public.events", "--delta-column", "at")
    headgate(*command)
    headgate(*command, "--password-stdin", typed="not asked for here\n")
    monkeypatch.setenv("PGPASSWORD", "nor here")
    headgate(*command)
    assert headgate.query("SELECT count(*) AS n FROM events") == [{"n": 1}]
    assert "env:NAME" in headgate(*command, "--password", "hunter2", code=2)
    refused = headgate("copy", "postgresql://me:hunter2@db/shop", "orders", code=2)
    assert "holds a password" in refused
    assert "hunter2" not in refused
    assert "cannot be copied from" in headgate("copy", "gopher://x/y", "orders", code=2)


def test_objects_are_copied_by_the_keys_of_the_environment(
    headgate: Copying, s3_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "AWS_ACCESS_KEY_ID" in headgate("copy", "s3://copied/in", "*.csv", code=2)
    for name, value in (("ACCESS_KEY_ID", "test"), ("SECRET_ACCESS_KEY", "test"), ("ENDPOINT_URL", s3_address)):
        monkeypatch.setenv(f"AWS_{name}", value)
    s3_bucket(s3_address, "copied").put("in/a.csv", b"id,x\n1,2\n")
    headgate("copy", "s3://copied/in", "*.csv", "--into", "things")
    assert headgate.query("SELECT id, x FROM things") == [{"id": 1, "x": 2}]


def test_a_typed_password_is_sealed(headgate: Copying, mariadb: Mariadb) -> None:
    mariadb.ask("CREATE TABLE test.copied AS SELECT 1 AS id, timestamp '2024-03-01 00:00:00' AS at")
    source = f"mariadb://reader@127.0.0.1:{mariadb.port}/test"
    assert "needs a password" in headgate("copy", source, "copied", code=2)
    for _ in range(2):
        headgate("copy", source, "copied", "--delta-column", "at", "--password-stdin", typed=f"{SECRET}\n")
    assert headgate.query("SELECT count(*) AS n FROM copied") == [{"n": 1}]
    assert not [
        path for path in Path(headgate.data).rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()
    ]


@embedded
def test_the_demo_has_a_flow_to_run(headgate: Copying, tmp_path: Path) -> None:
    deployment = Deployment(tmp_path)
    headgate.data = str(deployment.data)
    with deployment.process("up", "--demo", "--port", "0") as process:
        assert process.stdout is not None
        told = [process.stdout.readline() for _ in range(4)]
        assert f"is printed by: headgate console --data {deployment.data}\n" in told[0]
        assert "headgate runs start 'demo orders'" in told[2]
        run = json.loads(
            headgate(
                "runs",
                "start",
                "demo orders",
                "--from",
                "-7d",
                "--delta-column",
                "updated_at",
                "--wait",
                "-q",
                "-o",
                "json",
            )
        )
    assert 160 <= run["metrics"]["recordSummary"]["outputRecordCount"] <= 168
    assert headgate.query("SELECT count(DISTINCT customer) AS n FROM demo_orders") == [{"n": 37}]
