"""The audit log: one entry with every change, none without, never a secret; and `headgate audit`."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from headgate.auth import Tokens
from headgate.cli.audit import audit
from headgate.config import Settings
from headgate.engine import Worker
from headgate.model.orgs import Client, Grant
from headgate.model.scope import Principal
from headgate.store import tables
from headgate.store.audit import AuditFilter
from headgate.targets import Lake
from tests.integration.face import BASE, CATALOG, DATALAKE, POSTGRESQL, SQLITE, Face, serving
from tests.receiving import receiving

SECRET = "h0pe-and-glory"
SANDBOXES = "/data/foundation/sandbox-management/sandboxes"
MAPPING_SETS = "/data/foundation/conversion/mappingSets"
REGISTRY = "/data/foundation/schemaregistry"
PROFILE = "https://ns.adobe.com/xdm/context/profile"
TTL = {"extensions": {"adobe_lakeHouse": {"rowExpiration": {"ttlValue": "P3M"}}}}
DELTA = {"name": "updated_at"}
RENAMED = [{"op": "replace", "path": "/name", "value": "renamed"}]


def entries(face: Face, **equal: str) -> list[dict[str, Any]]:
    engine = sa.create_engine(face.metadata)
    with engine.connect() as connection:
        rows = [dict(row) for row in connection.execute(sa.select(tables.audit).filter_by(**equal)).mappings()]
    engine.dispose()
    return rows


def provider(face: Face) -> Face:
    """A client of the same organisation that calls by a service token."""
    org_id, tenants = face.credentials.org_id, face.store.tenants
    if tenants.client("hg_audited") is None:
        tenants.add_client(Client("hg_audited", org_id, "provider"), "0" * 64)
        tenants.grant(org_id, Grant("hg_audited", "service", "admin", None))
    principal = Principal("hg_audited", "hg_audited", "service", frozenset({org_id}))
    token = Tokens(face.settings.keys).issue(principal, 600)
    return Face(
        face.http, replace(face.credentials, api_key="hg_audited", access_token=token), face.settings, face.store
    )


def secret_connection(face: Face) -> httpx.Response:
    params = {"server": "localhost", "database": "d", "username": "u", "password": SECRET}
    auth = {"specName": "Basic Authentication", "params": params}
    return face.post("/connections", {"name": "pg", "connectionSpec": {"id": POSTGRESQL}, "auth": auth})


def draft(face: Face, kind: str, body: dict[str, Any]) -> str:
    answer = face.post(f"/{kind}?mode=draft", body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def publish(face: Face, kind: str, body: dict[str, Any]) -> httpx.Response:
    return face.send("POST", f"/{kind}/{draft(face, kind, body)}/action?op=publish", None)


def connection_body(face: Face) -> dict[str, Any]:
    auth = {"specName": "Database File", "params": {"path": str(face.folder / "shop.db")}}
    return {"name": "a", "connectionSpec": {"id": SQLITE}, "auth": auth}


def source_body(face: Face) -> dict[str, Any]:
    body = {"name": "o", "connectionSpec": {"id": SQLITE}, "baseConnectionId": face.connection()}
    return {**body, "params": {"tableName": "orders"}}


def target_body(face: Face) -> dict[str, Any]:
    return {"name": "t", "connectionSpec": {"id": DATALAKE}, "params": {"dataSetId": dataset(face)}}


def dataset(face: Face) -> str:
    return face.dataset(f"d{time.monotonic_ns()}")


def flow_body(face: Face) -> dict[str, Any]:
    return face.flow_body(targetConnectionIds=[face.target(dataset(face))])


def flow(face: Face) -> str:
    return face.made("/flows", flow_body(face))


def run(face: Face) -> str:
    return str(face.run(flow(face), deltaColumn=DELTA).json()["id"])


def put_run(face: Face) -> httpx.Response:
    id_ = run(face)
    etag = face.get(f"/runs/{id_}").headers["etag"]
    body = json.dumps({"providerRefId": "job-7"}).encode()
    return provider(face).send("PUT", f"/runs/{id_}", body, If_Match=etag, Content_Type="application/json")


def in_catalog(face: Face, method: str, body: dict[str, Any] | None, version: str = "") -> httpx.Response:
    path = f"{CATALOG}{version}/dataSets/{dataset(face)}"
    content = None if body is None else json.dumps(body).encode()
    return face.send(method, path, content, Content_Type="application/json")


def in_registry(face: Face, method: str, body: object = None) -> httpx.Response:
    """The answer to a call on a schema of the registry; with POST, to its making."""
    made = {"title": f"s{time.monotonic_ns()}", "type": "object", "allOf": [{"$ref": PROFILE}]}
    answer = face.post(f"{REGISTRY}/tenant/schemas", made)
    if method == "POST":
        return answer
    path = f"{REGISTRY}/tenant/schemas/{answer.json()['meta:altId']}"
    content = json.dumps(body or made).encode() if method != "DELETE" else None
    return face.send(method, path, content, Content_Type="application/json")


def of_specs(face: Face, collection: str, *, again: bool = False) -> httpx.Response:
    answer = face.post(f"/{collection}", {"name": f"s{time.monotonic_ns()}", "providerId": "acme"})
    if not again:
        return answer
    path = f"{BASE}/{collection}/{answer.json()['id']}"
    return face.http.put(path, json={"name": "renamed", "providerId": "acme"}, headers=face.headers)


def of_sandboxes(face: Face, method: str, body: dict[str, str] | None = None) -> httpx.Response:
    name = f"s-{time.monotonic_ns()}"
    made = face.post(SANDBOXES, {"name": name, "title": "Trial", "type": "development"})
    if method == "POST":
        return made
    return face.http.request(method, f"{SANDBOXES}/{name}", json=body, headers=face.headers)


def of_mapping_sets(face: Face, method: str, *, mapping: bool = False) -> httpx.Response:
    """The answer to a call on a new mapping set, or on a mapping of one; with POST, to its making."""
    first = {"sourceType": "ATTRIBUTE", "source": "id", "destination": "id"}
    second = {"sourceType": "ATTRIBUTE", "source": "total", "destination": "total"}
    made = face.post(MAPPING_SETS, {"mappings": [first, second]})
    if method == "POST" and not mapping:
        return made
    path = f"{MAPPING_SETS}/{made.json()['id']}"
    content: object = {"mappings": [first]}
    if mapping:
        known = face.get(path).json()["mappings"][0]["id"]
        path = f"{path}/mappings" + (f"/{known}" if method != "POST" else "")
        content = {**first, "destination": "other"}
    return face.http.request(method, path, json=content if method != "DELETE" else None, headers=face.headers)


def of_webhooks(face: Face, method: str) -> httpx.Response:
    """The answer to a call on a new webhook; with POST, to its making."""
    with receiving() as receiver:
        made = face.post("/webhooks", {"name": "w", "url": receiver.address})
    path = f"/webhooks/{made.json()['id']}"
    if method == "POST":
        return made
    return face.patch(path, RENAMED, "*") if method == "PATCH" else face.delete(path)


# What every route that changes something is called like, and which entry that call must leave.
MUTATIONS: dict[str, tuple[str, str, Callable[[Face], httpx.Response]]] = {
    "POST /connections": ("create", "connections", secret_connection),
    "PATCH /connections/{id}": (
        "update",
        "connections",
        lambda face: face.patch(f"/connections/{secret_connection(face).json()['id']}", RENAMED, "*"),
    ),
    "DELETE /connections/{id}": (
        "delete",
        "connections",
        lambda face: face.delete(f"/connections/{secret_connection(face).json()['id']}"),
    ),
    "POST /connections/{id}/action": (
        "update",
        "connections",
        lambda face: publish(face, "connections", connection_body(face)),
    ),
    "POST /sourceConnections": (
        "create",
        "sourceConnections",
        lambda face: face.post("/sourceConnections", source_body(face)),
    ),
    "PATCH /sourceConnections/{id}": (
        "update",
        "sourceConnections",
        lambda face: face.patch(f"/sourceConnections/{face.source(face.connection())}", RENAMED, "*"),
    ),
    "DELETE /sourceConnections/{id}": (
        "delete",
        "sourceConnections",
        lambda face: face.delete(f"/sourceConnections/{face.source(face.connection())}"),
    ),
    "POST /sourceConnections/{id}/action": (
        "update",
        "sourceConnections",
        lambda face: publish(face, "sourceConnections", source_body(face)),
    ),
    "POST /targetConnections": (
        "create",
        "targetConnections",
        lambda face: face.post("/targetConnections", target_body(face)),
    ),
    "PATCH /targetConnections/{id}": (
        "update",
        "targetConnections",
        lambda face: face.patch(
            f"/targetConnections/{face.made('/targetConnections', target_body(face))}", RENAMED, "*"
        ),
    ),
    "DELETE /targetConnections/{id}": (
        "delete",
        "targetConnections",
        lambda face: face.delete(f"/targetConnections/{face.target(dataset(face))}"),
    ),
    "POST /targetConnections/{id}/action": (
        "update",
        "targetConnections",
        lambda face: publish(face, "targetConnections", target_body(face)),
    ),
    "POST /flows": ("create", "flows", lambda face: face.post("/flows", flow_body(face))),
    "PATCH /flows/{id}": ("update", "flows", lambda face: face.patch(f"/flows/{flow(face)}", RENAMED, "*")),
    "DELETE /flows/{id}": ("delete", "flows", lambda face: face.delete(f"/flows/{flow(face)}")),
    "POST /flows/{id}/action": (
        "update",
        "flows",
        lambda face: face.send("POST", f"/flows/{flow(face)}/action?op=disable", None),
    ),
    "POST /runs": ("create", "runs", lambda face: face.run(flow(face), deltaColumn=DELTA)),
    "PUT /runs/{id}": ("update", "runs", put_run),
    "POST /runs/{id}/action": (
        "cancel",
        "runs",
        lambda face: face.send("POST", f"/runs/{run(face)}/action?op=cancel", None),
    ),
    "POST /data/foundation/catalog/dataSets": (
        "create",
        "dataSets",
        lambda face: face.post("/data/foundation/catalog/dataSets", {"name": f"d{time.monotonic_ns()}"}),
    ),
    f"PATCH {CATALOG}/dataSets/{{id}}": (
        "update",
        "dataSets",
        lambda face: in_catalog(face, "PATCH", {"description": "changed"}),
    ),
    f"PUT {CATALOG}/dataSets/{{id}}": (
        "update",
        "dataSets",
        lambda face: in_catalog(face, "PUT", {"name": f"d{time.monotonic_ns()}"}),
    ),
    f"PATCH {CATALOG}/v2/dataSets/{{id}}": ("update", "dataSets", lambda face: in_catalog(face, "PATCH", TTL, "/v2")),
    f"DELETE {CATALOG}/dataSets/{{id}}": ("delete", "dataSets", lambda face: in_catalog(face, "DELETE", None)),
    f"POST {REGISTRY}/{{container}}/{{collection}}": ("create", "schemas", lambda face: in_registry(face, "POST")),
    f"PUT {REGISTRY}/{{container}}/{{collection}}/{{id}}": (
        "update",
        "schemas",
        lambda face: in_registry(face, "PUT"),
    ),
    f"PATCH {REGISTRY}/{{container}}/{{collection}}/{{id}}": (
        "update",
        "schemas",
        lambda face: in_registry(face, "PATCH", [{"op": "replace", "path": "/title", "value": "changed"}]),
    ),
    f"DELETE {REGISTRY}/{{container}}/{{collection}}/{{id}}": (
        "delete",
        "schemas",
        lambda face: in_registry(face, "DELETE"),
    ),
    "POST /connectionSpecs": ("create", "connectionSpecs", lambda face: of_specs(face, "connectionSpecs")),
    "PUT /connectionSpecs/{id}": (
        "update",
        "connectionSpecs",
        lambda face: of_specs(face, "connectionSpecs", again=True),
    ),
    "POST /flowSpecs": ("create", "flowSpecs", lambda face: of_specs(face, "flowSpecs")),
    "PUT /flowSpecs/{id}": ("update", "flowSpecs", lambda face: of_specs(face, "flowSpecs", again=True)),
    "POST /webhooks": ("create", "webhooks", lambda face: of_webhooks(face, "POST")),
    "PATCH /webhooks/{id}": ("update", "webhooks", lambda face: of_webhooks(face, "PATCH")),
    "DELETE /webhooks/{id}": ("delete", "webhooks", lambda face: of_webhooks(face, "DELETE")),
    f"POST {SANDBOXES}": ("create", "sandboxes", lambda face: of_sandboxes(face, "POST")),
    f"PATCH {SANDBOXES}/{{name}}": ("update", "sandboxes", lambda face: of_sandboxes(face, "PATCH", {"title": "T"})),
    f"PUT {SANDBOXES}/{{name}}": ("reset", "sandboxes", lambda face: of_sandboxes(face, "PUT", {"action": "reset"})),
    f"DELETE {SANDBOXES}/{{name}}": ("delete", "sandboxes", lambda face: of_sandboxes(face, "DELETE")),
    f"POST {MAPPING_SETS}": ("create", "mappingSets", lambda face: of_mapping_sets(face, "POST")),
    f"PUT {MAPPING_SETS}/{{id}}": ("update", "mappingSets", lambda face: of_mapping_sets(face, "PUT")),
    f"DELETE {MAPPING_SETS}/{{id}}": ("delete", "mappingSets", lambda face: of_mapping_sets(face, "DELETE")),
    f"POST {MAPPING_SETS}/{{id}}/mappings": (
        "update",
        "mappingSets",
        lambda face: of_mapping_sets(face, "POST", mapping=True),
    ),
    f"PUT {MAPPING_SETS}/{{id}}/mappings/{{mapping_id}}": (
        "update",
        "mappingSets",
        lambda face: of_mapping_sets(face, "PUT", mapping=True),
    ),
    f"DELETE {MAPPING_SETS}/{{id}}/mappings/{{mapping_id}}": (
        "update",
        "mappingSets",
        lambda face: of_mapping_sets(face, "DELETE", mapping=True),
    ),
}
# Those that need a run that has ended have a test of their own.
OF_RUNS = {"POST /data/foundation/import/batches/{id}"}
# Those of clients and roles are tried in test_api_people.py, the one that asks in test_api_queries.py.
OF_OTHERS = {
    "POST /headgate/queries",
    "POST /headgate/clients",
    "DELETE /headgate/clients/{id}",
    "POST /headgate/clients/{id}/rotate",
    "POST /headgate/clients/{id}/code",
    "POST /headgate/roles",
    "DELETE /headgate/roles/{id}",
    "POST /headgate/grants",
    "DELETE /headgate/grants/{id}",
}
# Routes that change nothing, though their method is not GET.
READS = (
    "/search",
    "/validate",
    "/preview",
    "/runs:estimate",
    "/acl/effective-policies",
    "/insights/metrics",
    "/ims/token/v1",
    "/ims/token/v2",
    "/ims/token/v3",
)


def test_every_route_that_changes_something_is_tried_below(face: Face) -> None:
    """A new route belongs into MUTATIONS, with the entry that it leaves, or into READS."""
    known = OF_RUNS | OF_OTHERS | set(MUTATIONS)
    for path, operations in face.http.get("/openapi.json").json()["paths"].items():
        for method in operations:
            if method != "get" and not path.endswith(READS):
                assert f"{method.upper()} {path.removeprefix(BASE)}" in known


@pytest.mark.parametrize("route", MUTATIONS)
def test_a_change_leaves_one_entry(face: Face, route: str) -> None:
    action, kind, change = MUTATIONS[route]
    answer = change(face)
    assert answer.is_success, answer.text
    entry, *more = entries(face, request_id=answer.headers["x-request-id"])
    # A reset is begun and finished, each in a transaction of its own.
    assert [other["action"] for other in more] == (["emptied"] if action == "reset" else [])
    assert (entry["action"], entry["kind"]) == (action, kind)
    assert entry["resource_id"] in answer.request.url.path + answer.text
    assert entry["org_id"] == face.credentials.org_id
    assert bool(entry["sandbox_id"]) is (kind != "sandboxes")
    assert entry["client"] == answer.request.headers["x-api-key"]
    assert entry["principal"] == ("hg_audited" if route == "PUT /runs/{id}" else "local@headgate")
    assert abs(entry["at"] - time.time() * 1000) < 60_000
    before, after = entry["etag_before"], entry["etag_after"]
    assert (before is None, after is None) == (action == "create", action == "delete" and kind != "sandboxes")
    assert before != after
    if "etag" in answer.headers:
        assert answer.headers["etag"] == after
    assert SECRET not in str(entry)


def ended(face: Face, **window: str) -> str:
    """The id of a run that has succeeded."""
    id_ = str(face.run(flow(face), **window, deltaColumn=DELTA).json()["id"])
    with working(face):
        until = time.monotonic() + 60
        while face.get(f"/runs/{id_}").json()["items"][0]["metrics"]["statusSummary"]["status"] != "success":
            assert time.monotonic() < until
            time.sleep(0.05)
    return id_


def test_a_repetition_leaves_the_entry_of_the_new_run(face: Face) -> None:
    old = ended(face, windowStartTime="1", windowEndTime="1")
    answer = face.send("POST", f"/runs/{old}/action?op=re-trigger", None)
    assert answer.status_code == 200, answer.text
    [entry] = entries(face, request_id=answer.headers["x-request-id"])
    assert (entry["action"], entry["resource_id"]) == ("create", answer.json()["id"])


def test_a_reverted_batch_leaves_one_entry(face: Face) -> None:
    id_ = ended(face)
    answer = face.send("POST", f"/data/foundation/import/batches/{id_}?action=REVERT", None)
    assert answer.status_code == 200, answer.text
    [entry] = entries(face, request_id=answer.headers["x-request-id"])
    assert (entry["action"], entry["kind"], entry["resource_id"]) == ("revert", "batches", id_)
    assert entry["etag_before"] != entry["etag_after"]


@contextmanager
def working(face: Face, settings: Settings | None = None) -> Iterator[None]:
    lake = Lake(face.settings.warehouse)
    worker = Worker(face.store, lake, settings or face.settings)
    worker.start()
    try:
        yield
    finally:
        worker.stop()
        lake.close()


def test_what_is_refused_leaves_no_entry(face: Face) -> None:
    answers = [
        face.post("/connections", {}),
        face.patch(f"/connections/{face.connection()}", RENAMED, '"stale"'),
        face.delete("/flows/none"),
        face.post("/connections/search", {}),
        face.get("/flows"),
        face.http.post(f"{BASE}/connections", json={}),
    ]
    for answer in answers:
        assert entries(face, request_id=answer.headers["x-request-id"]) == []


def test_a_lacking_permission_leaves_an_entry_and_a_lacking_token_none(face: Face) -> None:
    principal = Principal("stranger", face.credentials.client_id, "user", frozenset({face.credentials.org_id}))
    token = Tokens(face.settings.keys).issue(principal, 600)
    stranger = Face(face.http, replace(face.credentials, access_token=token), face.settings, face.store)
    answer = stranger.post("/connections", {"name": SECRET})
    assert answer.status_code == 403
    [entry] = entries(face, request_id=answer.headers["x-request-id"])
    assert (entry["principal"], entry["action"], entry["kind"]) == ("stranger", "denied", "manage-sources")
    assert entry["resource_id"].endswith("/connections")
    assert SECRET not in str(entry)
    before = len(entries(face))
    assert face.http.get(f"{BASE}/connections").status_code == 403
    assert len(entries(face)) == before


# -- reading ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Face]:
    """A service with a few entries."""
    with serving(tmp_path_factory.mktemp("audited")) as face:
        connection = face.connection()
        face.patch(f"/connections/{connection}", RENAMED, "*")
        face.of("dev").connection()
        face.delete(f"/connections/{connection}")
        yield face


def shown(face: Face, *options: str) -> list[dict[str, Any]]:
    result = CliRunner().invoke(audit, ["--data", str(face.settings.data), "--output", "json", *options])
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.output.splitlines()]


def test_the_command_shows_entries_oldest_first(read: Face) -> None:
    found = [entry for entry in shown(read) if entry["kind"] == "connections"]
    assert [entry["action"] for entry in found] == ["create", "update", "create", "delete"]
    assert [entry["sandbox"] for entry in found] == ["prod", "prod", "dev", "prod"]
    assert found[0]["etagAfter"] == found[1]["etagBefore"]
    assert found[0]["etagBefore"] is None
    assert found[3]["etagAfter"] is None
    assert {entry["principal"] for entry in found} == {"local@headgate"}
    assert found[0]["at"].endswith("Z")
    assert shown(read, "--limit", "1") == shown(read)[-1:]
    assert shown(read, "--limit", "0") == shown(read)


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (["--action", "create"], 2),
        (["--action", "nothing"], 0),
        (["--principal", "local@headgate"], 4),
        (["--principal", "nobody"], 0),
        (["--org", "nobody"], 0),
        (["--since", "1h"], 4),
        (["--since", "2099-01-01"], 0),
        (["--since", "2024-01-01T00:00:00Z"], 4),
        (["--limit", "2"], 2),
        (["--limit", "0", "--action", "update"], 1),
    ],
)
def test_the_commands_filters(read: Face, options: list[str], count: int) -> None:
    assert len(shown(read, "--resource", "connections", *options)) == count


def test_a_resource_is_found_by_its_id(read: Face) -> None:
    id_ = shown(read, "--resource", "connections")[0]["resource"]
    assert [entry["action"] for entry in shown(read, "--resource", id_)] == ["create", "update", "delete"]


def test_the_command_prints_a_table_and_refuses_nonsense(read: Face, tmp_path: Path) -> None:
    result = CliRunner().invoke(audit, ["--data", str(read.settings.data)])
    assert "local@headgate" in result.output
    result = CliRunner().invoke(audit, ["--data", str(read.settings.data), "--since", "yesterday"])
    assert result.exit_code == 2
    assert "'yesterday' is no time" in result.output
    assert CliRunner().invoke(audit, ["--data", str(tmp_path / "none")]).exit_code != 0


def test_old_entries_are_forgotten_by_workers(face: Face) -> None:
    for _ in range(3):
        face.connection()
    engine = sa.create_engine(face.metadata)
    with engine.begin() as connection:
        old = sa.select(sa.func.min(tables.audit.c.seq)).scalar_subquery()
        connection.execute(sa.update(tables.audit).where(tables.audit.c.seq <= old + 1).values(at=1))
    engine.dispose()
    before = len(entries(face))
    kept = Settings(**{**face.settings.model_dump(), "audit_days": 30})
    with working(face, kept):
        until = time.monotonic() + 30
        while len(entries(face)) > before - 2 and time.monotonic() < until:
            time.sleep(0.05)
    assert [entry["at"] for entry in entries(face) if entry["at"] == 1] == []
    assert face.store.audit.newest(AuditFilter(), 1)
