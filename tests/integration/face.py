"""A service on a real socket, and a client of it, for tests of the API."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa
import uvicorn
from starlette.types import ASGIApp

from headgate.api import create_app
from headgate.api.beside import Beside
from headgate.api.listening import listening
from headgate.auth import Credentials, Tokens, local_credentials
from headgate.config import Settings
from headgate.console import create_console
from headgate.model.orgs import Client, Org
from headgate.model.scope import Principal
from headgate.service.service import Service
from headgate.store import ScopedStore, Store, open_store

BASE = "/data/foundation/flowservice"
CATALOG = "/data/foundation/catalog"
TABLES = "14518937-270c-4525-bdec-c2ba7cce3860"
FILES = "9753525b-82c7-4dce-8a9b-5ccfce2b9876"
POSTGRESQL = "74a1c565-4e59-48d7-9d67-7c03b8a13137"
SQLITE = "6f2d5c0e-7c1b-4d0a-9a53-0b7e4f1c2a11"
LOCAL_FILES = "c3a1b7e4-5d92-4f86-8e0b-2a6d91f47c52"
DATALAKE = "c604ff05-7f1a-43c0-8e18-33bf874cb11c"
NOBODY = "00000000-0000-4000-8000-000000000000"
WINDOW = {"windowStartTime": "1709251200", "windowEndTime": "1710201600"}

Json = dict[str, Any]


class Face:
    """One organisation's client. Paths below the flow service's base are relative to it."""

    def __init__(self, http: httpx.Client, credentials: Credentials, settings: Settings, store: Store) -> None:
        self.http, self.credentials, self.settings, self.store = http, credentials, settings, store
        self.folder, self.metadata = settings.data.parent, settings.metadata
        self.headers = {
            "Authorization": f"Bearer {credentials.access_token}",
            "x-api-key": credentials.api_key,
            "x-gw-ims-org-id": credentials.org_id,
            "x-sandbox-name": credentials.sandbox,
        }

    def of(self, sandbox: str) -> "Face":
        """The same client in another sandbox."""
        return Face(self.http, replace(self.credentials, sandbox=sandbox), self.settings, self.store)

    def get(self, path: str, /, **parameters: Any) -> httpx.Response:
        return self.http.get(_absolute(path), params=parameters or None, headers=self.headers)

    def post(self, path: str, body: object, **headers: str) -> httpx.Response:
        return self.http.post(_absolute(path), json=body, headers={**self.headers, **headers})

    def send(self, method: str, path: str, content: bytes | None = None, **headers: str) -> httpx.Response:
        """The answer to a request whose body and headers are given as they are."""
        sent = {**self.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return self.http.request(method, _absolute(path), content=content, headers=sent)

    def patch(self, path: str, operations: object, etag: str | None) -> httpx.Response:
        """The answer to a PATCH under the version `etag`; without If-Match when that is None."""
        headers = {**self.headers, "If-Match": etag} if etag is not None else self.headers
        return self.http.patch(_absolute(path), json=operations, headers=headers)

    def delete(self, path: str) -> httpx.Response:
        return self.http.delete(_absolute(path), headers=self.headers)

    def made(self, path: str, body: Json) -> str:
        """The id of what a POST makes."""
        answer = self.post(path, body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    # -- the chain from a connection to a flow -----------------------------------------------------

    def connection(self, name: str = "shop") -> str:
        auth = {"specName": "Database File", "params": {"path": str(self.folder / "shop.db")}}
        return self.made("/connections", {"name": name, "connectionSpec": {"id": SQLITE}, "auth": auth})

    def dataset(self, name: str = "Orders") -> str:
        answer = self.post(f"{CATALOG}/dataSets", {"name": name})
        assert answer.status_code == 201, answer.text
        return str(answer.json()[0]).removeprefix("@/dataSets/")

    def source(self, connection_id: str, table: str = "orders") -> str:
        body = {"name": table, "connectionSpec": {"id": SQLITE}, "baseConnectionId": connection_id}
        return self.made("/sourceConnections", {**body, "params": {"tableName": table}})

    def file_source(self, path: str = "*.csv") -> str:
        body = {"name": "files", "connectionSpec": {"id": LOCAL_FILES}, "data": {"format": "delimited"}}
        return self.made("/sourceConnections", {**body, "params": {"path": path}})

    def target(self, dataset_id: str | None = None, **params: Any) -> str:
        params = {"dataSetId": dataset_id or self.dataset(), **params}
        return self.made("/targetConnections", {"connectionSpec": {"id": DATALAKE}, "params": params})

    def flow_body(self, **changes: Any) -> Json:
        """A body that makes a flow; `changes` replace members, and None leaves one out."""
        body = {
            "name": "orders on demand",
            "flowSpec": {"id": TABLES, "version": "1.0"},
            "scheduleParams": {"startTime": "1612310466", "frequency": "once"},
            **changes,
        }
        if "sourceConnectionIds" not in changes:
            body["sourceConnectionIds"] = [self.source(self.connection())]
        if "targetConnectionIds" not in changes:
            body["targetConnectionIds"] = [self.target()]
        return {name: value for name, value in body.items() if value is not None}

    def flow(self, **changes: Any) -> str:
        return self.made("/flows", self.flow_body(**changes))

    def file_flow(self) -> str:
        return self.flow(flowSpec={"id": FILES}, sourceConnectionIds=[self.file_source()])

    def run(self, flow_id: str, **params: Any) -> httpx.Response:
        """The answer to a run over WINDOW, with `params` beside or in place of its own."""
        return self.post("/runs", {"flowId": flow_id, "params": {**WINDOW, **params}})

    def scoped(self) -> ScopedStore:
        """What the service has stored in this client's sandbox."""
        scope = self.store.tenants.scope(self.credentials.org_id, self.credentials.sandbox)
        assert scope is not None
        return self.store.scoped(scope)

    def set_state(self, flow_id: str, state: str) -> None:
        """Put a stored flow into a state that no request reaches yet."""
        engine = sa.create_engine(self.metadata)
        with engine.begin() as database:
            database.execute(
                sa.text("UPDATE resources SET state = :state WHERE id = :id"), {"state": state, "id": flow_id}
            )
        engine.dispose()


@contextmanager
def serving(folder: Path, metadata: str = "", *, port: int = 0, console: bool = False, **more: Any) -> Iterator[Face]:
    """A service on a free port of the loopback interface, without a worker; metadata in `folder` or at an address.

    With `console` it answers beside the API.
    """
    _make_shop(folder / "shop.db")
    settings = Settings(data=folder / "data", file_roots=(folder,), metadata_url=metadata, **more)
    store = open_store(settings)
    credentials = local_credentials(settings, store)
    service = Service(settings, store, wake=lambda: None)
    app: ASGIApp = create_app(service)
    if console:
        app = Beside(app, partial(create_console, service))
    server = uvicorn.Server(listening(app, port=port, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as http:
            yield Face(http, credentials, settings, store)
    finally:
        server.should_exit = True
        thread.join()
        service.close()
        store.close()


def second_org(face: Face) -> Face:
    """The client of another organisation of the same deployment."""
    org_id, client_id = "B" * 24 + "@AdobeOrg", "hg_second"
    face.store.tenants.ensure_org(
        Org(org_id, "Second"), Client(client_id, org_id, "second"), "-", admins=["second@headgate"]
    )
    keys = face.folder / "data" / "keys"
    token = Tokens(keys).issue(Principal("second@headgate", client_id, "user", frozenset({org_id})), 600)
    other = Credentials(org_id, "prod", client_id, client_id, "-", token)
    return Face(face.http, other, face.settings, face.store)


def refused(answer: httpx.Response, status: int, code: str) -> str:
    """See that `answer` is an error in the flow service's envelope; its sentence."""
    body = answer.json()
    assert (answer.status_code, body["type"]) == (status, f"https://ns.adobe.com/aep/errors/{code}"), body
    assert body["status"] == status
    assert body["title"]
    assert status != 400 or (body["title"] == "Bad Request") is code.startswith("CONNECTOR-"), body["title"]
    assert body["errorMessage"] == body["errorDetails"] == body["report"]["detailed-message"]
    assert body["report"]["request-id"] == answer.headers["x-request-id"]
    assert "Traceback" not in answer.text
    return str(body["errorMessage"])


def _make_shop(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute(
            "CREATE TABLE orders (id INTEGER, updated_at TIMESTAMP, created DATE, payload BLOB, total REAL)"
        )
        rows = [(number, f"2024-03-{number % 28 + 1:02} 12:00:00", "2024-03-01") for number in range(50)]
        database.executemany("INSERT INTO orders (id, updated_at, created) VALUES (?, ?, ?)", rows)
    database.close()


def _absolute(path: str) -> str:
    return path if path.startswith(("/data/", "/health", "/headgate")) else BASE + path
