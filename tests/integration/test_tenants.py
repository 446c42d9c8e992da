"""Two organisations side by side: nothing of one is to be seen, changed or even told from nothing by the other.

Every route that /openapi.json describes is tried with every id of the other organisation. What it answers must be
what it answers for an id that nobody has, to the letter but for the id itself.
"""

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.integration.face import Face, Json, second_org

CANARY = "canary-of-the-second-organisation"
BODIES: dict[str, Any] = {"patch": [{"op": "replace", "path": "/name", "value": "theirs"}], "put": {}, "post": {}}


@dataclass
class Tenants:
    """The first organisation's client, and what the second has."""

    face: Face
    other: Face
    ids: list[str]


@pytest.fixture(scope="module")
def tenants(face: Face) -> Tenants:
    other = second_org(face)
    return Tenants(face, other, _everything(other))


def test_no_route_tells_a_foreign_id_from_a_missing_one(tenants: Tenants) -> None:
    face = tenants.face
    tried = 0
    for method, path, _ in _operations(face):
        if "{" not in path:
            continue
        for id_ in tenants.ids:
            missing = _like(id_)
            theirs, nobodys = (_ask(face, method, re.sub(r"\{[^}]+\}", one, path)) for one in (id_, missing))
            assert theirs.status_code == nobodys.status_code, (method, path, id_, theirs.text)
            assert not theirs.is_success or method == "options", (method, path, id_, theirs.text)
            assert _plain(theirs, id_) == _plain(nobodys, missing), (method, path, id_)
            tried += 1
    assert tried > 50


def test_no_listing_shows_what_another_organisation_has(tenants: Tenants) -> None:
    listed = 0
    for method, path, _ in _operations(tenants.face):
        if method != "get" or "{" in path:
            continue
        answer = _ask(tenants.face, method, path)
        for id_ in (*tenants.ids, CANARY, tenants.other.credentials.org_id):
            assert id_ not in answer.text, (path, id_)
        listed += 1
    assert listed > 8


def test_nothing_of_the_second_organisation_was_changed(tenants: Tenants) -> None:
    """Runs last: after all that was tried, everything is there as it was."""
    for path in ("connections", "sourceConnections", "targetConnections", "flows"):
        [item] = tenants.other.get(f"/{path}").json()["items"]
        assert item["name"] == CANARY
        assert item["updatedAt"] == item["createdAt"] or path == "flows"
    [run] = tenants.other.get("/runs").json()["items"]
    assert run["metrics"]["statusSummary"]["status"] == "scheduled"


def _everything(other: Face) -> list[str]:
    """Ids of one of each that an organisation can have."""
    auth = {"specName": "Database File", "params": {"path": str(other.folder / "shop.db")}}
    sqlite = {"connectionSpec": {"id": "6f2d5c0e-7c1b-4d0a-9a53-0b7e4f1c2a11"}}
    connection = other.made("/connections", {"name": CANARY, **sqlite, "auth": auth})
    source = other.made(
        "/sourceConnections",
        {"name": CANARY, **sqlite, "baseConnectionId": connection, "params": {"tableName": "orders"}},
    )
    dataset = other.dataset(CANARY)
    lake = {"connectionSpec": {"id": "c604ff05-7f1a-43c0-8e18-33bf874cb11c"}}
    target = other.made("/targetConnections", {"name": CANARY, **lake, "params": {"dataSetId": dataset}})
    flow = other.flow(name=CANARY, sourceConnectionIds=[source], targetConnectionIds=[target])
    run = other.run(flow, deltaColumn={"name": "updated_at"}).json()["id"]
    return [connection, source, target, dataset, flow, run]


def _operations(face: Face) -> Iterator[tuple[str, str, Json]]:
    document = face.http.get("/openapi.json").json()
    for path, methods in document["paths"].items():
        for method, about in methods.items():
            yield method, path, about


def _ask(face: Face, method: str, path: str) -> httpx.Response:
    headers = {**face.headers, "if-match": "*"}
    return face.http.request(method.upper(), path, headers=headers, json=BODIES.get(method))


def _like(id_: str) -> str:
    """An id of the same form that nobody has."""
    return str(uuid.uuid4()) if "-" in id_ else (uuid.uuid4().hex * 2)[: len(id_)]


def _plain(answer: httpx.Response, id_: str) -> str:
    text = answer.text.replace(id_, "ID").replace(id_[:40], "ID")
    return re.sub(r'"request-id":"[^"]*"', "", text)
