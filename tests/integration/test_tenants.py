"""Two organisations, or sandboxes, side by side: nothing of one is seen, changed or told from nothing by the other.

Every route that /openapi.json describes is tried with every id of the other one, and every member of a body that names
something with it. What is answered must be what is answered for an id that nobody has, to the letter but for the id.
"""

import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from headgate.model.resources import Kind, Resource, new_etag, now_ms
from headgate.model.webhooks import EventCode
from tests.integration.face import DATALAKE, SQLITE, TABLES, WINDOW, Face, Json, second_org

CANARY = "canary-of-the-second-organisation"
REGISTRY, CONVERSION = "/data/foundation/schemaregistry", "/data/foundation/conversion"
BODIES: dict[str, Any] = {"patch": [{"op": "replace", "path": "/name", "value": "theirs"}], "put": {}, "post": {}}
ACTIONS = ("op=enable", "op=disable", "op=publish", "op=cancel", "op=re-trigger")
PARTS = {"{container}": "tenant", "{collection}": "fieldgroups"}


@dataclass
class Tenants:
    """The first one's client, and what the second has: another organisation, or another sandbox of the first."""

    face: Face
    other: Face
    ids: dict[str, str]

    @property
    def canaries(self) -> tuple[str, ...]:
        """What of the second one no listing of the first may show."""
        names = {face.credentials.org_id for face in (self.face, self.other)}
        return (*self.ids.values(), CANARY, *(names - {self.face.credentials.org_id}))


@pytest.fixture(scope="module", params=["organisation", "sandbox"])
def tenants(face: Face, request: pytest.FixtureRequest) -> Tenants:
    if request.param == "sandbox":
        other = face.of("dev")
        return Tenants(face, other, _everything(other))
    other = second_org(face)
    return Tenants(face, other, _everything(other) | _specs(other))


def test_no_route_tells_a_foreign_id_from_a_missing_one(tenants: Tenants) -> None:
    face = tenants.face
    tried = 0
    for method, path, _ in _operations(face):
        if not _names(path):
            continue
        for id_ in tenants.ids.values():
            missing = _like(id_)
            theirs, nobodys = (_ask(face, method, _filled(path, one)) for one in (id_, missing))
            assert theirs.status_code == nobodys.status_code, (method, path, id_, theirs.text)
            assert not theirs.is_success or method == "options", (method, path, id_, theirs.text)
            assert _plain(theirs, id_) == _plain(nobodys, missing), (method, path, id_)
            tried += 1
    assert tried > 50


@pytest.mark.parametrize("op", ACTIONS)
@pytest.mark.parametrize("path", ["connections", "sourceConnections", "targetConnections", "flows", "runs"])
def test_no_action_tells_a_foreign_id_from_a_missing_one(tenants: Tenants, path: str, op: str) -> None:
    id_ = tenants.ids[path]
    missing = _like(id_)
    theirs, nobodys = (tenants.face.send("POST", f"/{path}/{one}/action?{op}") for one in (id_, missing))
    assert theirs.status_code == nobodys.status_code in (400, 404)
    assert _plain(theirs, id_) == _plain(nobodys, missing)


NAMED: dict[str, tuple[str, str, Json]] = {
    "connection of a source": (
        "connections",
        "/sourceConnections",
        {"name": "s", "connectionSpec": {"id": SQLITE}, "baseConnectionId": "ID", "params": {"tableName": "orders"}},
    ),
    "dataset of a target": (
        "dataSets",
        "/targetConnections",
        {"connectionSpec": {"id": DATALAKE}, "params": {"dataSetId": "ID"}},
    ),
    "source of a flow": ("sourceConnections", "/flows", {"sourceConnectionIds": ["ID"]}),
    "target of a flow": ("targetConnections", "/flows", {"targetConnectionIds": ["ID"]}),
    "mapping set of a flow": (
        "mappingSets",
        "/flows",
        {"transformations": [{"name": "Mapping", "params": {"mappingId": "ID", "mappingVersion": 0}}]},
    ),
    "flow of a run": ("flows", "/runs", {"flowId": "ID", "params": {**WINDOW, "deltaColumn": {"name": "updated_at"}}}),
    "source of a schema": ("sourceConnections", f"{REGISTRY}/tenant/schemas?fromSource=ID", {}),
    "group of a schema": (
        "fieldgroups",
        f"{REGISTRY}/tenant/schemas",
        {
            "title": "t",
            "type": "object",
            "allOf": [{"$ref": "https://ns.adobe.com/xdm/context/profile"}, {"$ref": "ID"}],
        },
    ),
}


@pytest.mark.parametrize(("kind", "path", "body"), NAMED.values(), ids=NAMED.keys())
def test_no_body_tells_a_foreign_id_from_a_missing_one(tenants: Tenants, kind: str, path: str, body: Json) -> None:
    face = tenants.face
    if path == "/flows":
        body = face.flow_body(flowSpec={"id": TABLES}, **body)
    id_ = tenants.ids[kind]
    missing = _like(id_)
    text = json.dumps(body)
    theirs, nobodys = (
        face.post(path.replace("ID", one), json.loads(text.replace('"ID"', json.dumps(one)))) for one in (id_, missing)
    )
    assert theirs.status_code == nobodys.status_code in (400, 404), theirs.text
    assert _plain(theirs, id_) == _plain(nobodys, missing)


def test_no_listing_shows_what_another_organisation_has(tenants: Tenants) -> None:
    listed = 0
    # The audit log is the organisation's, and needs a permission in all of it.
    beyond = {"/headgate/audit"} if tenants.face.credentials.org_id == tenants.other.credentials.org_id else set()
    for method, path, _ in _operations(tenants.face):
        if method != "get" or _names(path) or path in beyond:
            continue
        answer = _ask(tenants.face, method, _filled(path, ""))
        for canary in tenants.canaries:
            assert canary not in answer.text, (path, canary)
        listed += 1
    assert listed > 8


def test_nothing_of_the_second_one_was_changed(tenants: Tenants) -> None:
    """Runs last: after all that was tried, everything is there as it was."""
    for path in ("connections", "sourceConnections", "targetConnections", "flows", "webhooks"):
        [item] = tenants.other.get(f"/{path}").json()["items"]
        assert item["name"] == CANARY
        assert item["updatedAt"] == item["createdAt"] or path == "flows"
    [run] = tenants.other.get("/runs").json()["items"]
    assert run["metrics"]["statusSummary"]["status"] == "scheduled"


def _everything(other: Face) -> dict[str, str]:
    """The ids of one of each that a sandbox can have, by what it is."""
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
    fields: Json = {"customFields": {"properties": {}}}
    group = {
        "title": CANARY,
        "type": "object",
        "definitions": fields,
        "allOf": [{"$ref": "#/definitions/customFields"}],
    }
    made = other.post(f"{REGISTRY}/tenant/fieldgroups", group).json()
    mapping = {"mappings": [{"sourceType": "ATTRIBUTE", "source": CANARY, "destination": "a"}]}
    return {
        "connections": connection,
        "sourceConnections": source,
        "targetConnections": target,
        "dataSets": dataset,
        "flows": flow,
        "runs": run,
        "files": f"{run}-1",
        "fieldgroups": made["$id"],
        "alternative": made["meta:altId"],
        "mappingSets": other.post(f"{CONVERSION}/mappingSets", mapping).json()["id"],
        "webhooks": _webhook(other),
    }


def _webhook(other: Face) -> str:
    """A webhook that was registered while its host was still allowed."""
    store, present = other.scoped(), now_ms()
    body = {"name": CANARY, "url": f"https://{CANARY}.example/", "eventTypes": list(EventCode), "secret": "xxxx"}
    audit: Json = dict.fromkeys(("created_by", "updated_by", "created_client", "updated_client"), "second")
    audit |= {"created_at": present, "updated_at": present, "etag": new_etag(present)}
    id_ = str(uuid.uuid4())
    webhook = Resource(kind=Kind.WEBHOOK, id=id_, scope=store.scope, name=CANARY, state="enabled", body=body, **audit)
    store.add(webhook, secret={"secret": CANARY})
    return id_


def _specs(other: Face) -> dict[str, str]:
    """The ids of the specs that an organisation describes."""
    body = {"name": CANARY, "providerId": CANARY}
    return {name: other.made(f"/{name}", body) for name in ("connectionSpecs", "flowSpecs")}


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
    fresh = iter(uuid.uuid4().hex * 2)
    head, rest = re.fullmatch(r"(.*[/.])?(.*)", id_).groups("")  # type: ignore[union-attr]
    return head + "".join(next(fresh) if letter in "0123456789abcdef" else letter for letter in rest)


def _names(path: str) -> bool:
    """Whether the path names something, rather than a list."""
    return _filled(path, "one") != _filled(path, "another")


def _filled(path: str, id_: str) -> str:
    """The path with `id_` in place of what names something."""
    return re.sub(r"\{[^}]+\}", lambda part: PARTS.get(part[0]) or quote(id_, safe=""), path)


def _plain(answer: httpx.Response, id_: str) -> str:
    text, own = answer.text, re.split("[/.]", id_)[-1]
    for length in range(len(own), 7, -1):  # errors quote long ids in part
        text = text.replace(own[:length], "ID")
    return re.sub(r'"request-id":"[^"]*"', "", text)
