"""A real tap of the package index, and the real runtime of Airbyte's low-code connectors, at a server of the tests."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from headgate.config import Settings
from headgate.errors import SourceAccessDenied
from headgate.model.runs import RunState
from headgate.model.scope import Tenancy
from headgate.sources import Source, open_source
from tests.connectors.programs import SPECS, installed, left
from tests.deployment import Deployment
from tests.sql_tables import selection

TOKEN = "t0ken-of-the-connector"
MINUTE = timedelta(minutes=1)
START = datetime(2024, 1, 1, tzinfo=UTC)
RECORDS = [
    {"id": at, "at": f"{START + at * MINUTE:%Y-%m-%dT%H:%M:%SZ}", "who": {"name": f"n{at}"}} for at in range(1440)
]
MANIFEST = Path(__file__).parents[1] / "connectors" / "manifest.yaml"


def test_a_real_tap_lands_the_window_once(tmp_path: Path) -> None:
    entry: dict[str, Any] = {
        "protocol": "singer",
        "command": [installed("singer", "tap-jsonl")],
        "parameters": ["stream_name"],
    }
    entry["config"] = {"path": str(tmp_path / "*.jsonl")}
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(record) + "\n" for record in RECORDS))
    settings = _registered(tmp_path, entry)
    auth = {"connector": "real", "config": {"stream_name": "minutes"}}
    source = _opened(tmp_path, "singer", auth)
    source.check()
    assert [entry.path for entry in source.explore(None)] == ["minutes"]
    types = {column.name: str(column.type) for column in source.describe(selection("minutes")).columns}
    assert {name: types[name] for name in ("id", "at", "who")} == {"id": "long", "at": "timestamptz", "who": "string"}
    deployment = Deployment(tmp_path, **settings)
    try:
        columns = [{"name": name} for name in ("id", "at")]
        flow = deployment.flow(SPECS["singer"], auth, {"tableName": "minutes", "columns": columns})
        for _ in range(2):
            run = deployment.run(flow, "2024-01-01T10:00", "2024-01-01T12:00", "at")
            assert run.state is RunState.SUCCESS, run.metrics
        assert sorted(row[0] for row in deployment.rows()) == list(range(600, 720))
    finally:
        deployment.close()
    assert left(tmp_path) == {"processes": [], "folders": []}


def test_a_real_connector_lands_the_window_and_begins_at_it(tmp_path: Path) -> None:
    with _api() as (url, asked):
        entry = {
            "protocol": "airbyte",
            "command": [installed("airbyte", "source-declarative-manifest")],
            "arguments": ["--manifest-path", str(MANIFEST)],
            "config": {"url": url},
            "parameters": ["token", "start_date"],
        }
        settings = _registered(tmp_path, entry)
        config = {"token": TOKEN, "start_date": "2020-01-01T00:00:00Z"}
        wrong = _opened(tmp_path, "airbyte", {"connector": "real", "config": {**config, "token": "wrong-t0ken"}})
        with pytest.raises(SourceAccessDenied, match="401") as failure:
            wrong.check()
        assert "wrong-t0ken" not in failure.value.detail
        deployment = Deployment(tmp_path, **settings)
        try:
            auth = {"connector": "real", "config": config}
            flow = deployment.flow(SPECS["airbyte"], auth, {"tableName": "events"})
            asked.clear()
            run = deployment.run(flow, "2024-01-01T20:00", "2024-01-01T22:00", "at")
            assert run.state is RunState.SUCCESS, run.metrics
            rows = sorted(deployment.rows())
        finally:
            deployment.close()
        assert rows == [(at, START + at * MINUTE, {"name": f"n{at}"}) for at in range(1200, 1320)]
        assert [query["since"] for query in asked] == [["2024-01-01T19:59:59Z"]] * len(asked)
        assert [query["page"] for query in asked] == [["1"], ["2"], ["3"]]
    assert left(tmp_path) == {"processes": [], "folders": []}


def _registered(folder: Path, entry: dict[str, Any]) -> dict[str, Any]:
    """The settings with which a program is registered as `real`."""
    (folder / "connectors.yaml").write_text(json.dumps({"real": entry}))
    (folder / "connectors.yaml").chmod(0o644)
    return {"connectors": folder / "connectors.yaml"}


def _opened(folder: Path, protocol: str, auth: dict[str, Any]) -> Source:
    settings = Settings(data=folder / "data", connectors=folder / "connectors.yaml")
    return open_source(SPECS[protocol], auth, settings, Tenancy("ORG", shared=False))


@contextmanager
def _api() -> Iterator[tuple[str, list[dict[str, list[str]]]]]:
    """The address of an API with pages of events, and what it was asked."""
    asked: list[dict[str, list[str]]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            query = parse_qs(urlsplit(self.path).query)
            asked.append(query)
            found = [record for record in RECORDS if str(record["at"]) >= query["since"][0]]
            size, page = int(query["limit"][0]), int(query["page"][0])
            body = {"data": found[size * (page - 1) : size * page]}
            status = 200 if self.headers["Authorization"] == f"Bearer {TOKEN}" else 401
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body if status == 200 else {"error": "no"}).encode())

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
