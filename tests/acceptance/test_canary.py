"""A secret goes into every place it can go, and is then looked for in everything the service leaves behind."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import psycopg
import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from headgate.cli.commands import cli as headgate
from tests.integration.face import BASE, DATALAKE, LOCAL_FILES, POSTGRESQL, TABLES
from tests.receiving import receiving

S3 = "ecadc60c-7455-4d87-84dc-2a0e293d997b"
CANARY = "Kanarienvogel-7f3a"  # in every secret, each with an end of its own
KEY = "S2FuYXJpZW52b2dlbC1zZWNyZXRzLWtleS0wMTIzNDU="  # of 32 bytes
SIGNING = "whsec_S2FuYXJpZW52b2dlbC13ZWJob29rLWFuZC1zZWNyZXQ="
SECRETS = (CANARY, KEY, KEY.rstrip("="), SIGNING.removeprefix("whsec_"))
Json = dict[str, Any]


class Service:
    """A serving process with its worker, and everything that it has answered and written."""

    def __init__(self, folder: Path, database: str) -> None:
        self.folder, self.database = folder, database
        self.seen: list[str] = []
        self.http = httpx.Client(timeout=30)
        self.environment = os.environ | {
            "HEADGATE_DATA": str(folder / "data"),
            "HEADGATE_FILE_ROOTS": str(folder / "files"),
            "HEADGATE_SECRET_FILES": str(folder / "secrets"),
            "HEADGATE_SECRET_PG": f"{CANARY}-variable",
            "HEADGATE_SECRETS_KEY_COMMAND": f"sh {folder / 'key.sh'}",
            "HEADGATE_POLL": "0.1",
            "HEADGATE_MAX_ATTEMPTS": "1",
        }

    @contextmanager
    def running(self) -> Iterator[int]:
        """The process's id, once it answers; all it prints is kept in a file."""
        with (self.folder / "output").open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "headgate.cli", "serve", "--port", "0"],
                env=self.environment,
                stdout=output,
                stderr=output,
            )
        try:
            until = time.monotonic() + 60
            while not (self.folder / "data" / "service.json").exists():
                assert process.poll() is None
                assert time.monotonic() < until
                time.sleep(0.05)
            self.credentials = json.loads(self.cli("credentials", "--json"))
            self.headers = {
                "Authorization": f"Bearer {self.credentials['accessToken']}",
                "x-api-key": self.credentials["apiKey"],
                "x-gw-ims-org-id": self.credentials["orgId"],
                "x-sandbox-name": self.credentials["sandbox"],
                "Content-Type": "application/json",
            }
            yield process.pid
        finally:
            self.http.close()
            process.terminate()
            process.wait(30)

    def cli(self, *arguments: str) -> str:
        done = CliRunner().invoke(headgate, arguments, env=self.environment)
        self.seen += [done.stdout, done.stderr]
        return done.stdout

    def send(self, method: str, path: str, body: object = None, **headers: str) -> httpx.Response:
        """The answer, which is kept; `body` is sent as it is when it is bytes."""
        content = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        url = self.credentials["baseUrl"] + (path if path.startswith("/data/") else BASE + path)
        answer = self.http.request(method, url, content=content, headers={**self.headers, **headers})
        self.seen += [answer.text, str(answer.headers.multi_items())]
        return answer

    def made(self, path: str, body: Json) -> str:
        answer = self.send("POST", path, body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def flow(self, connection: str, table: str) -> str:
        source = {"name": table, "connectionSpec": {"id": POSTGRESQL}, "baseConnectionId": connection}
        source_id = self.made("/sourceConnections", {**source, "params": {"tableName": table}})
        name = f"d{time.monotonic_ns()}"
        dataset = self.send("POST", "/data/foundation/catalog/dataSets", {"name": name}).json()[0][len("@/dataSets/") :]
        target = {"connectionSpec": {"id": DATALAKE}, "params": {"dataSetId": dataset}}
        body = {"name": "f", "flowSpec": {"id": TABLES}, "sourceConnectionIds": [source_id]}
        body["targetConnectionIds"] = [self.made("/targetConnections", target)]
        return self.made("/flows", {**body, "scheduleParams": {"startTime": "1612310466", "frequency": "once"}})

    def run(self, flow: str) -> str | None:
        """How a run over everything ends; None when it is not even stored."""
        params = {"windowStartTime": 1, "windowEndTime": 2_000_000_000, "deltaColumn": {"name": "at"}}
        answer = self.send("POST", "/runs", {"flowId": flow, "params": params})
        if answer.status_code != 201:
            return None
        until = time.monotonic() + 60
        while time.monotonic() < until:
            [item] = self.send("GET", f"/runs/{answer.json()['id']}").json()["items"]
            if (status := item["metrics"]["statusSummary"]["status"]) in ("success", "failed"):
                return str(status)
            time.sleep(0.1)
        raise TimeoutError


@pytest.fixture
def service(tmp_path: Path, database: str, own_metadata: str) -> Service:
    for name in ("files", "secrets"):
        (tmp_path / name).mkdir()
    (tmp_path / "secrets" / "dsn").write_text(dsn(database, "file"))
    # The key's command leaves behind what it was given.
    (tmp_path / "key.sh").write_text(f"env > {tmp_path}/child-environment\necho {KEY}\n")
    with psycopg.connect(database) as server:
        server.execute("CREATE TABLE t (id int, at timestamp); INSERT INTO t VALUES (1, '2024-03-01 12:00')")
    found = Service(tmp_path, database)
    found.environment["HEADGATE_METADATA_URL"] = own_metadata
    return found


def dsn(database: str, end: str) -> str:
    """A connection string of the database with a password, which the server does not ask for."""
    parts = urlsplit(database)
    folder = parse_qs(parts.query)["host"][0]
    return f"postgresql://postgres:{CANARY}-{end}@{parts.path}?host={quote(folder, safe='')}"


def connection(params: object, auth: str = "Basic Authentication", spec: str = POSTGRESQL, **more: Any) -> Json:
    return {"name": "c", "connectionSpec": {"id": spec}, "auth": {"specName": auth, "params": params}, **more}


BASIC: Json = {"server": "127.0.0.1", "port": "1", "database": "d", "username": "u"}
STRING = "Connection String Based Authentication"


def refused_everywhere(service: Service) -> None:
    """Bodies that hold a secret and cannot be taken."""
    bodies: list[object] = [
        connection({**BASIC, "password": {"x": f"{CANARY}-object"}}),
        connection({**BASIC, "password": [f"{CANARY}-list"]}),
        connection({**BASIC, "server": "169.254.169.254", "password": f"{CANARY}-host"}),
        connection({**BASIC, "port": "x", "password": f"{CANARY}-port"}),
        connection({**BASIC, "password": f"{CANARY}\x7f-control", "database": "a\x01"}),
        connection({**BASIC, "password": f"{CANARY}-extra", "options": f"-c {CANARY}"}),
        connection({**BASIC, "password": "env:NO_SUCH_VARIABLE"}),
        connection(f"{CANARY}-text"),
        connection([f"{CANARY}-array"]),
        {**connection({}), "auth": f"{CANARY}-auth"},
        connection({**BASIC, "password": f"{CANARY}-name"}, auth="No Such Authentication"),
        connection({"password": f"{CANARY}-spec"}, spec="00000000-0000-4000-8000-000000000000"),
        *(
            connection({"connectionString": text}, STRING)
            for text in (
                f"Server=db;Database=a;UID=b;Password={{{CANARY}-brace",
                f"host=db dbname=a user=b password='{CANARY}-quote",
                f"postgresql://u:{CANARY}-uri@db:99999999/x",
                f"Server=db;Database=a;UID=b;Password={CANARY}-options;Options=-c x=1",
                f"{CANARY}-nothing",
                f"UID=b;Password={CANARY}-missing",
            )
        ),
        f'{{"name": "c", "auth": {{"password": "{CANARY}-json" "x"}}}}'.encode(),
        f'{{"password": "{CANARY}-once", "password": "{CANARY}-twice"}}'.encode(),
        f'{{"password": "{CANARY}-nul\\u0000"}}'.encode(),
        f'"{CANARY}-scalar"'.encode(),
    ]
    for body in bodies:
        answer = service.send("POST", "/connections", body)
        assert answer.status_code == 400, (body, answer.text)


def test_no_secret_is_left_anywhere(service: Service) -> None:
    with service.running() as pid:
        refused_everywhere(service)
        ids = [
            service.made("/connections", connection({**BASIC, "password": f"{CANARY}-basic"})),
            service.made("/connections", connection({"connectionString": dsn(service.database, "string")}, STRING)),
            service.made("/connections", connection({**BASIC, "password": "env:HEADGATE_SECRET_PG"})),
            service.made("/connections", connection({"connectionString": "file:dsn"}, STRING)),
            service.made("/connections?mode=draft", connection({"password": f"{CANARY}-draft"})),
            service.made(
                "/connections",
                connection({"s3AccessKey": f"{CANARY}-s3", "s3SecretKey": f"{CANARY}-s4"}, "Access Key", S3),
            ),
            service.made("/connections", {"name": f"f{time.monotonic_ns()}", "connectionSpec": {"id": LOCAL_FILES}}),
        ]
        for id_, body in zip(ids, (BASIC, {}, BASIC, {}), strict=False):
            for change in (
                [{"op": "add", "path": "/auth/params/password", "value": f"{CANARY}-patched"}],
                [{"op": "replace", "path": "/auth/params", "value": {**body, "password": f"{CANARY}-params"}}],
                [{"op": "replace", "path": "/auth/params/none", "value": f"{CANARY}-nowhere"}],
                [{"op": "test", "path": "/auth/params/password", "value": f"{CANARY}-tested"}],
                [{"op": "replace", "path": "/auth", "value": f"{CANARY}-member"}],
            ):
                service.send("PATCH", f"/connections/{id_}", change, **{"If-Match": "*"})
            service.send("PATCH", f"/connections/{id_}", f'[{{"value": "{CANARY}'.encode(), **{"If-Match": "*"})
        with receiving() as receiver:
            webhook = service.made("/webhooks", {"name": "w", "url": receiver.address, "secret": SIGNING})
        for secret in (SIGNING, f"{SIGNING}-more", [SIGNING]):
            told = [{"op": "replace", "path": "/secret", "value": secret}]
            service.send("PATCH", f"/webhooks/{webhook}", told, **{"If-Match": "*"})
        for id_ in ids:
            for path in ("", "/test", "/explore?objectType=root", "/explore?objectType=table&object=t"):
                service.send("GET", f"/connections/{id_}{path}")
        service.send("GET", "/connections?limit=100")
        service.send("POST", "/connections/search", {"property": ["name==c"]})
        assert service.run(service.flow(ids[0], "t")) is None  # nothing listens at port 1
        works = service.flow(ids[3], "t")
        assert service.run(works) == "success"
        with psycopg.connect(service.database) as server:
            server.execute("DROP TABLE t")
        assert service.run(works) == "failed"
        (service.folder / "secrets" / "dsn").write_text(dsn(service.database, "moved").replace("?host=", "?host=%2Fno"))
        assert service.run(works) == "failed"
        (service.folder / "secrets" / "dsn").write_text(f"{CANARY}-broken")
        assert service.run(works) == "failed"
        service.send("GET", f"/webhooks/{webhook}")
        service.send("GET", f"/webhooks/{webhook}/deliveries")
        service.send("DELETE", f"/connections/{ids[4]}")
        service.cli("secrets", "status")
        service.cli("secrets", "rotate")
        service.cli("audit", "--limit", "0", "--output", "json")
        service.seen.append(Path(f"/proc/{pid}/cmdline").read_text())
        leaves(service)
    leaves(service)  # and once more when it has ended


def leaves(service: Service) -> None:
    """See that no secret is in anything that was answered, printed, stored or handed to a child."""
    found: dict[str, bytes] = {"answers": "\n".join(service.seen).encode()}
    found["output"] = (service.folder / "output").read_bytes()
    found["environment of the child"] = (service.folder / "child-environment").read_bytes()
    for variable in ("HEADGATE_SECRET_PG", "HEADGATE_SECRETS_KEY_COMMAND"):  # the operator's, who gave them
        value = service.environment[variable].encode()
        found["environment of the child"] = found["environment of the child"].replace(value, b"")
    found |= {str(path): path.read_bytes() for path in (service.folder / "data").rglob("*") if path.is_file()}
    if url := service.environment["HEADGATE_METADATA_URL"]:
        found["metadata"] = rows(url)
    else:
        assert any(path.endswith("metadata.db") for path in found)
    assert len(found["answers"]) > 10_000
    assert b"run.failed" in found["output"]
    for secret in SECRETS:
        for where, content in found.items():
            at = content.find(secret.encode())
            assert at < 0, (where, content[max(0, at - 200) : at + 100])


def rows(url: str) -> bytes:
    """Every row of every table, as text."""
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        names = sa.inspect(connection).get_table_names()
        found = [
            [bytes(value) if isinstance(value, memoryview) else value for value in row]
            for name in names
            for row in connection.execute(sa.text(f'SELECT * FROM "{name}"'))
        ]
    engine.dispose()
    assert len(found) > 10
    return repr(found).encode()
