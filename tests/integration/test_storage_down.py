"""The metadata database does not answer: 503 with a request id, nothing stored, and service as before afterwards."""

import sqlite3
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from headgate.store import engines
from tests.conftest import on_postgresql
from tests.integration.face import refused, serving
from tests.integration.visitor import Visitor


def unavailable(answer: httpx.Response) -> None:
    says = refused(answer, 503, "FLOW-1103-503")
    assert says == "The metadata database does not answer; nothing was stored. Try again in a moment."
    assert answer.headers["retry-after"] == "1"
    assert len(answer.headers["x-request-id"]) == 32


def pages_say_so(visitor: Visitor) -> None:
    """The console has a page for it, whole or in part, that tells nothing of what lies behind."""
    for headers in ({}, {"hx_request": "true"}):
        answer = visitor.get("/flows", **headers)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert answer.headers["content-type"].startswith("text/html")
        assert ("<h1>" in answer.text) == (not headers)
        assert "socket" not in answer.text
    page = visitor.get("/flows").text
    assert "The metadata database does not answer" in page
    assert "Try again in 1 s." in page
    assert visitor.post("/flows/none/disable").status_code == 503
    assert visitor.get("/sign-in").status_code == 200
    assert visitor.http.post("/sign-in", data={"code": "hgc_x"}, headers={"origin": visitor.base}).status_code == 503


def test_sqlite_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "_BUSY_MS", 200)
    with serving(tmp_path) as face:
        flow, before = face.flow(), len(face.get("/runs").json()["items"])
        with sqlite3.connect(face.settings.data / "metadata.db", isolation_level=None) as other, capture_logs() as logs:
            other.execute("BEGIN IMMEDIATE")
            unavailable(face.run(flow, deltaColumn={"name": "updated_at"}))
            unavailable(face.delete(f"/flows/{flow}"))
            assert face.get(f"/flows/{flow}").status_code == 200  # who only reads is served
            other.execute("ROLLBACK")
        other.close()
        assert "database is locked" in str([log for log in logs if log["event"] == "store.unavailable"])
        assert len(face.get("/runs").json()["items"]) == before
        assert face.run(flow, deltaColumn={"name": "updated_at"}).status_code == 201


def test_postgresql_stopped_and_started_again(tmp_path: Path, server: Any) -> None:
    with serving(tmp_path, on_postgresql(server.get_uri()), console=True) as face:
        flow = face.flow()
        visitor = Visitor(face).sign_in()
        assert "<h1>Flows</h1>" in visitor.page("/flows")
        assert face.run(flow, deltaColumn={"name": "updated_at"}).status_code == 201
        server.stop()
        for answer in (
            face.get("/flows"),
            face.run(flow),
            face.delete(f"/flows/{flow}"),
            face.http.get("/health/ready"),
        ):
            unavailable(answer)
            assert "socket" not in answer.text
        assert face.http.get("/health/live").status_code == 200
        pages_say_so(visitor)
        server.ensure_postgres_running()
        assert face.get("/flows").status_code == 200
        assert len(face.get("/runs").json()["items"]) == 1
        assert face.run(flow).status_code == 201
        assert "<h1>Flows</h1>" in visitor.page("/flows")  # nobody was signed out
        visitor.close()
