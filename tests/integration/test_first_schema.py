"""Metadata as the first service wrote it is upgraded with runs in every state: today's worker ends each once."""

import json
import secrets
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from headgate.config import Settings
from headgate.errors import HeadgateError
from headgate.model.resources import now_ms
from headgate.model.runs import Json, RunState
from headgate.sources import connection_specs
from headgate.store import open_store, upgrade
from tests.conftest import on_postgresql
from tests.deployment import Deployment, at
from tests.integration.test_migrations import upgrade as bring

SQLITE = next(spec.id for spec in connection_specs() if spec.name == "sqlite")
CONNECTION, FLOW, OTHER = "c" * 36, "f" * 36, "0" * 36
_AUDIT = {"created_by": "me", "updated_by": "me", "created_client": "hg", "updated_client": "hg", "etag": '"1"'}


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """A data folder as the first service left it when it was killed."""
    on_server = request.param == "postgresql"
    address = on_postgresql(request.getfixturevalue("database")) if on_server else ""
    (tmp_path / "data").mkdir()
    settings = Settings(data=tmp_path / "data", metadata_url=address, file_roots=(tmp_path,))
    engine = sa.create_engine(settings.metadata)
    bring(engine, "0001")
    with engine.begin() as old:
        _written(old, settings, tmp_path / "source.db")
    engine.dispose()
    return settings


@pytest.fixture(autouse=True)
def source(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "source.db") as source:
        source.execute("CREATE TABLE events (at TIMESTAMP)")
        source.executemany("INSERT INTO events VALUES (?)", [(f"2024-01-0{day} 10:00:00",) for day in range(1, 6)])
    source.close()


def _written(old: sa.Connection, settings: Settings, source: Path) -> None:
    present = now_ms() - 60_000
    tables = sa.MetaData()
    tables.reflect(old)

    def add(table: str, **row: object) -> None:
        old.execute(sa.insert(tables.tables[table]).values(row))

    add("orgs", id="ORG", name="Test", created_at=present)
    add(
        "sandboxes",
        id="s-1",
        org_id="ORG",
        name="prod",
        title="Production",
        type="production",
        is_default=True,
        created_at=present,
    )
    scope = {"org_id": "ORG", "sandbox_id": "s-1"}
    made = {"created_at": present, "updated_at": present, "state": "enabled", **_AUDIT}
    add("resources", id=CONNECTION, kind="connections", **scope, name="events", body={}, frozen={}, **made)
    key, nonce = settings.keys / "secrets.key", secrets.token_bytes(12)
    settings.keys.mkdir(mode=0o700)
    key.write_bytes(secrets.token_bytes(32))
    place = "\x1f".join((*scope.values(), CONNECTION)).encode()
    sealed = nonce + AESGCM(key.read_bytes()).encrypt(nonce, json.dumps({"path": str(source)}).encode(), place)
    add("secrets", connection_id=CONNECTION, **scope, sealed=sealed)
    for flow, table in ((FLOW, "target"), (OTHER, "other")):
        frozen = _frozen(table)
        add("resources", id=flow, kind="flows", **scope, name=table, body={"flowSpec": {}}, frozen=frozen, **made)
    runs: list[tuple[str, int, str, dict[str, object]]] = [
        (FLOW, 1, "inProgress", {"attempt": 1, "fence": 1, "worker": "worker-1", "lease_until": present}),
        (FLOW, 2, "queued", {}),
        (FLOW, 3, "scheduled", {}),
        (OTHER, 4, "scheduled", {"cancel_requested": True}),
        (OTHER, 5, "success", {"attempt": 1, "fence": 1, "snapshot_id": "1"}),
    ]
    for flow, day, state, more in runs:
        row: dict[str, object] = {"attempt": 0, "fence": 0, "cancel_requested": False, **more}
        add(
            "runs",
            id=f"{day}" * 36,
            **scope,
            sandbox_name="prod",
            flow_id=flow,
            flow_spec={},
            params={},
            window_start=at(f"2024-01-0{day}"),
            window_end=at(f"2024-01-0{day + 1}"),
            start_at=present,
            delta_column={"name": "at", "date_format": None, "timezone": None},
            frozen=_frozen("target" if flow == FLOW else "other"),
            metrics={"statusSummary": {"status": state}},
            activities=[],
            **{**made, "state": state},
            **row,
        )


def _frozen(table: str) -> Json:
    return {
        "kind": "table",
        "source": {
            "sourceConnectionId": "a" * 36,
            "connectionId": CONNECTION,
            "specId": SQLITE,
            "params": {"tableName": "events"},
            "data": {"format": "tabular"},
        },
        "target": {
            "targetConnectionId": "b" * 36,
            "specId": "lake",
            "dataSetId": "d" * 24,
            "table": ["org", "prod", table],
            "writeMode": "append",
        },
        "options": {},
    }


@pytest.fixture
def deployment(settings: Settings, tmp_path: Path) -> Iterator[Deployment]:
    """The folder, upgraded by four who start at the same time."""
    failed: list[HeadgateError] = []

    def start() -> None:
        try:
            upgrade(settings)
            open_store(settings).close()
        except HeadgateError as error:
            failed.append(error)

    starting = [threading.Thread(target=start) for _ in range(4)]
    for each in starting:
        each.start()
    for each in starting:
        each.join()
    assert failed == []
    deployment = Deployment(tmp_path, metadata_url=settings.metadata_url)
    yield deployment
    deployment.close()


def test_runs_of_the_first_schema_end_once_each(deployment: Deployment) -> None:
    while deployment.store.queue.waits():
        deployment.attempt().execute()
        with deployment.store._engine.begin() as connection:
            connection.execute(sa.text("UPDATE runs SET untidy = :no"), {"no": False})
    runs = [deployment.scoped.run(f"{day}" * 36) for day in range(1, 6)]
    done, gone = RunState.SUCCESS, RunState.CANCELLED
    assert [run.state for run in runs] == [done, done, done, gone, done]
    assert [run.attempt for run in runs[:3]] == [2, 1, 1]
    assert runs[0].past_attempts[0]["worker"] == "worker-1"
    assert deployment.snapshots() == [run.id for run in runs[:3]]
    assert len(deployment.rows()) == 3
    assert runs[4].snapshot_id == "1"
