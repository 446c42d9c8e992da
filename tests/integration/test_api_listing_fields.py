"""What listings can be filtered and ordered by, field by field, and the searches."""

import re
import time
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import pytest
import sqlalchemy as sa

from headgate.model.resources import Kind
from headgate.model.scope import Scope
from headgate.store import tables
from tests.integration.face import DATALAKE, FILES, POSTGRESQL, SQLITE, TABLES, Face, Json, refused
from tests.integration.test_api_listing import ids, token_of

SEGMENT = "segment:9d1c"


@dataclass(frozen=True)
class World:
    """Two flows of one sandbox: `tables` with two runs, the newer one begun; and `files` without a run."""

    tables: str
    files: str
    sources: tuple[str, str]
    target: str
    connections: tuple[str, str]
    runs: tuple[str, str]


@pytest.fixture(scope="module")
def world(face: Face) -> World:
    connections = face.connection("one"), face.connection("two")
    sources = face.source(connections[0]), face.file_source()
    target = face.target()
    table_flow = face.flow(name="b tables", sourceConnectionIds=[sources[0]], targetConnectionIds=[target])
    file_flow = face.flow(
        name="a files", flowSpec={"id": FILES}, sourceConnectionIds=[sources[1]], targetConnectionIds=[target]
    )
    runs = [face.run(table_flow, deltaColumn={"name": "updated_at"}).json()["id"]]
    runs.append(face.run(table_flow).json()["id"])
    _change(face, Kind.FLOW, table_flow, transformations=[_mapping("m1", 3), _mapping("m2", "4")], labels=["x", "y"])
    _change(face, Kind.SOURCE_CONNECTION, sources[0], params={"tableName": "orders", "columns": [{"name": "total"}]})
    _change(face, Kind.CONNECTION, connections[1], attributes={"shared": True, "rank": 7, "note": "true"})
    _begin(face, runs[1])
    return World(table_flow, file_flow, sources, target, connections, (runs[0], runs[1]))


def _mapping(id_: str, version: int | str) -> Json:
    return {"name": "Mapping", "params": {"mappingId": id_, "mappingVersion": version}}


def _scope(face: Face) -> Scope:
    scope = face.store.tenants.scope(face.credentials.org_id, face.credentials.sandbox)
    assert scope is not None
    return scope


def _change(face: Face, kind: Kind, id_: str, **members: Any) -> None:
    """Give a stored resource members that no request can give it."""
    store = face.store.scoped(_scope(face))
    resource = store.get(kind, id_)
    store.update(resource.evolve(body={**resource.body, **members}), etag=None)


def _begin(face: Face, run_id: str) -> None:
    metrics = {
        "durationSummary": {"startedAtUTC": 1710230001000, "completedAtUTC": 1710230009000},
        "recordSummary": {
            "outputRecordCount": 7,
            "targetSummaries": [{"id": "t", "entitySummaries": [{"id": SEGMENT}]}],
        },
    }
    engine = sa.create_engine(face.metadata)
    with engine.begin() as connection:
        connection.execute(
            sa.update(tables.runs)
            .where(tables.runs.c.id == run_id)
            .values(
                state="failed",
                metrics=metrics,
                activities=[{"id": "copyActivity", "statusSummary": {"status": "failed"}}],
                started_at=1710230001000,
                completed_at=1710230009000,
                parent_id="5a0f4c1e-0005-4000-8000-000000000005",
                extra={"providerRefId": "p-1"},
            )
        )
    engine.dispose()


BOTH, NONE = ("files", "tables"), ()
FLOW_FILTERS: list[tuple[str, tuple[str, ...]]] = [
    ("id=={tables}", ("tables",)),
    ("name==b tables", ("tables",)),
    ('name=="b tables","a files"', BOTH),
    ("state==ENABLED", BOTH),
    (f"flowSpec.id=={TABLES}", ("tables",)),
    ("flowSpec.version==1.0", BOTH),
    ("sourceConnectionIds[]=={source}", ("tables",)),
    ("sourceConnectionIds[]!={source}", ("files",)),
    ("targetConnectionIds[]=={target}", BOTH),
    ("transformations[].params.mappingId==m2", ("tables",)),
    ("transformations[].params.mappingId==m3", NONE),
    ("transformations[].params.mappingVersion==3", ("tables",)),
    ("transformations[].params.mappingVersion==4", ("tables",)),
    ("transformations[].params.mappingVersion>3", ("tables",)),
    ("transformations[].params.mappingVersion>4", NONE),
    ("transformations[].name==Copy", NONE),
    ("labels[]==y", ("tables",)),
    ("scheduleParams.frequency==Once", BOTH),
    ("scheduleParams.startTime==1612310466", BOTH),
    ("scheduleParams.startTime>=1612310466", BOTH),
    ("scheduleParams.startTime>1612310466", NONE),
    ("inheritedAttributes.properties.isSourceFlow==true", BOTH),
    ("inheritedAttributes.properties.isSourceFlow==True", BOTH),
    ("inheritedAttributes.properties.isSourceFlow!=true", NONE),
    ("inheritedAttributes.properties.isDestinationFlow==True", NONE),
    ("inheritedAttributes.properties.isDestinationFlow==False", BOTH),
    (f"inheritedAttributes.targetConnections[].connectionSpec.id=={DATALAKE}", BOTH),
    ("inheritedAttributes.targetConnections[].id=={target}", BOTH),
    (f"inheritedAttributes.sourceConnections[].connectionSpec.id=={SQLITE}", ("tables",)),
    ("inheritedAttributes.sourceConnections[].id=={source}", ("tables",)),
    ("inheritedAttributes.sourceConnections[].baseConnection.id=={connection}", ("tables",)),
    (f"inheritedAttributes.sourceConnections[].baseConnection.connectionSpec.id=={POSTGRESQL}", NONE),
    ("lastRunDetails.startedAtUTC>1710230000000", ("tables",)),
    ("lastRunDetails.startedAtUTC>1710230001000", NONE),
    ("lastRunDetails.completedAtUTC<=1710230009000", ("tables",)),
    ("lastRunDetails.state==Failed", ("tables",)),
    ("lastRunDetails.state!=Failed", ("files",)),
    ("lastRunDetails.id=={run}", ("tables",)),
]


def _filled(world: World, text: str) -> str:
    return text.format(
        tables=world.tables,
        source=world.sources[0],
        target=world.target,
        connection=world.connections[0],
        run=world.runs[1],
    )


@pytest.mark.parametrize(("text", "found"), FLOW_FILTERS, ids=[text for text, _ in FLOW_FILTERS])
def test_flows_are_filtered_by(face: Face, world: World, text: str, found: tuple[str, ...]) -> None:
    assert ids(face.get("/flows", property=_filled(world, text))) == [getattr(world, name) for name in found]


OTHER_FILTERS: list[tuple[str, str, tuple[int, ...]]] = [
    ("connections", "attributes.shared==True", (1,)),
    ("connections", "attributes.shared==false", ()),
    ("connections", "attributes.rank==7", (1,)),
    ("connections", "attributes.rank=7.0", (1,)),
    ("connections", "attributes.rank>=8", ()),
    ("connections", "attributes.note==true", (1,)),
    ("connections", "attributes.note!=x", (1, 0)),
    ("connections", "auth.params.path==xxxx", ()),
    ("sourceConnections", "params.tableName==orders", (0,)),
    ("sourceConnections", "params.columns[].name==total", (0,)),
    ("sourceConnections", "params.columns[].name==other", ()),
    ("sourceConnections", "params.path==*.csv", (1,)),
    ("sourceConnections", "baseConnectionId=={connection}", (0,)),
    ("sourceConnections", "inheritedAttributes.baseConnection.id=={connection}", (0,)),
    ("sourceConnections", "data.format==delimited", (1,)),
    ("targetConnections", "params.writeMode==replaceWindow", (0,)),
    ("runs", "state==Failed", (1,)),
    ("runs", "state==scheduled,failed", (1, 0)),
    ("runs", "metrics.statusSummary.status==FAILED", (1,)),
    ("runs", "metrics.statusSummary.status!=FAILED", (0,)),
    ("runs", "metrics.durationSummary.startedAtUTC>1710230000999", (1,)),
    ("runs", "metrics.durationSummary.completedAtUTC==1710230009000", (1,)),
    ("runs", f"metrics.recordSummary.targetSummaries[].entitySummaries[].id=={SEGMENT}", (1,)),
    ("runs", "metrics.recordSummary.outputRecordCount>5", (1,)),
    ("runs", "activities[].statusSummary.status==failed", (1,)),
    ("runs", "activities[].id==copyActivity,promotionActivity", (1,)),
    ("runs", "params.deltaColumn.name==updated_at", (0,)),
    ("runs", "params.windowEndTime>1710201599", (1, 0)),
    ("runs", "parentFlowRunId==5a0f4c1e-0005-4000-8000-000000000005", (1,)),
    ("runs", "providerRefId==p-1", (1,)),
    ("runs", "flowSpec.id==x", ()),
]


@pytest.mark.parametrize(("name", "text", "found"), OTHER_FILTERS, ids=[f"{n} {t}" for n, t, _ in OTHER_FILTERS])
def test_others_are_filtered_by(face: Face, world: World, name: str, text: str, found: tuple[int, ...]) -> None:
    all_of = {
        "connections": world.connections,
        "sourceConnections": world.sources,
        "targetConnections": (world.target,),
        "runs": world.runs,
    }[name]
    assert ids(face.get(f"/{name}", property=_filled(world, text))) == [all_of[number] for number in found]


def test_audit_fields_filter_every_collection(face: Face, world: World) -> None:
    item = face.get(f"/runs/{world.runs[0]}").json()["items"][0]
    for name in ("connections", "sourceConnections", "targetConnections", "flows", "runs"):
        whole = ids(face.get(f"/{name}"))
        for field in ("createdBy", "updatedBy", "createdClient", "updatedClient", "sandboxId", "imsOrgId"):
            assert ids(face.get(f"/{name}", property=f"{field}=={item[field]}")) == whole
            assert ids(face.get(f"/{name}", property=f"{field}!={item[field]}")) == []


def test_percent_signs_and_quotes(face: Face, world: World) -> None:
    name = 'a,"b" 100%25 =+&~é'
    id_ = face.connection(name)
    try:
        assert ids(face.get("/connections", property=f'name=="{name}"')) == [id_]
        query = "property=name%3D%3D%22a%2C%22b%22%20100%2525%20%3D%2B%26~%C3%A9%22"
        assert ids(face.send("GET", f"/connections?{query}")) == [id_]
        assert ids(face.post("/connections/search", {"queryString": query})) == [id_]
    finally:
        face.delete(f"/connections/{id_}")


ORDERED = {
    "flows": ["name", "id", "updatedAt", "flowSpec.id", "description", "lastRunDetails.startedAtUTC", "state"],
    "connections": ["name", "createdBy", "connectionSpec.id", "auth.specName"],
    "sourceConnections": ["params.tableName", "params.path", "baseConnectionId"],
    "targetConnections": ["params.dataSetId"],
    "runs": [
        "flowId",
        "state",
        "metrics.durationSummary.startedAtUTC",
        "metrics.recordSummary.outputRecordCount",
        "parentFlowRunId",
    ],
}


@pytest.mark.parametrize(("name", "path"), [(name, path) for name, paths in ORDERED.items() for path in paths])
def test_order_by(face: Face, world: World, name: str, path: str) -> None:
    """Ascending, descending and page by page; what has no value is last either way."""
    up = face.get(f"/{name}", orderby=path).json()["items"]
    values = [_value(item, path) for item in up]
    assert values == sorted(values, key=lambda value: (value is None, value or 0))
    filled = [item["id"] for item, value in zip(up, values, strict=True) if value is not None]
    empty = [item["id"] for item, value in zip(up, values, strict=True) if value is None]
    assert ids(face.get(f"/{name}", orderby=f"-{path}")) == [*filled[::-1], *empty[::-1]]
    paged: list[str] = []
    answer = face.get(f"/{name}", orderby=f"+{path}", limit=1)
    while True:
        paged += ids(answer)
        if not answer.json()["_links"]:
            break
        answer = face.get(f"/{name}", continuationToken=token_of(answer, name))
    assert paged == [item["id"] for item in up]


def _value(item: Json, path: str) -> Any:
    value: Any = item
    for part in ("metrics.statusSummary.status" if path == "state" and "flowId" in item else path).split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def test_order_and_projection_go_with_the_token(face: Face, world: World) -> None:
    query: Json = {"orderby": "name", "property": ["name", "state==enabled"], "limit": 1}
    first = face.get("/flows", **query)
    assert first.json()["items"] == [{"id": world.files, "name": "a files"}]
    token = token_of(first, "flows")
    assert face.get("/flows", continuationToken=token).json()["items"] == [{"id": world.tables, "name": "b tables"}]
    for other in ({"orderby": "-name"}, {"orderby": "id"}, {"property": "name"}):
        refused(face.get("/flows", continuationToken=token, **other), 400, "FLOW-1452-400")


# -- searches --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({}, BOTH),
        ({"queryString": ""}, BOTH),
        ({"queryString": "property=name==a files"}, ("files",)),
        ({"queryString": "?property=name==a%20files&property=state==enabled"}, ("files",)),
        ({"queryString": "property=name==a+files"}, ("files",)),
        ({"queryString": "property=name==none"}, ()),
        ({"orderby": "-name"}, ("tables", "files")),
        ({"queryString": "orderby=-name", "orderby": "name", "limit": 1000, "count": False}, BOTH),
        ({"limit": 5000}, BOTH),
    ],
)
def test_search_flows(face: Face, world: World, body: Json, found: tuple[str, ...]) -> None:
    assert ids(face.post("/flows/search", body)) == [getattr(world, name) for name in found]


def test_search_pages(face: Face, world: World) -> None:
    body = {"queryString": "property=state==enabled", "limit": 1, "projectionFields": ["name"], "orderby": "name"}
    first = face.post("/flows/search", body)
    assert first.json()["items"] == [{"id": world.files, "name": "a files"}]
    href = first.json()["_links"]["next"]["href"]
    assert href.startswith("/flows/search?continuationToken=")
    for again in (body, {}):
        second = face.post(href, again)
        assert second.json()["items"] == [{"id": world.tables, "name": "b tables"}]
        assert second.json()["_links"] == {}
    refused(face.post(href, {"queryString": "property=state==draft"}), 400, "FLOW-1452-400")
    refused(face.post(href.replace("/flows/", "/connections/"), {}), 400, "FLOW-1452-400")
    assert face.post("/flows/search", {"count": True, "limit": 1}).json() == {"count": 2}


def test_search_every_collection(face: Face, world: World) -> None:
    for name, id_ in (
        ("connections", world.connections[1]),
        ("sourceConnections", world.sources[1]),
        ("targetConnections", world.target),
    ):
        assert ids(face.post(f"/{name}/search", {"queryString": f"property=id=={id_}"})) == [id_]
        refused(face.get(f"/{name}/search"), 404, "FLOW-1439-404")


SEARCHES_REFUSED: dict[str, tuple[Json, int, str]] = {
    "limit 0": ({"limit": 0}, 400, "CONNECTOR-1394-400"),
    "limit as a word": ({"limit": "x"}, 400, "FLOW-1452-400"),
    "limit as a truth": ({"limit": True}, 400, "FLOW-1452-400"),
    "count as a number": ({"count": 1}, 400, "FLOW-1452-400"),
    "query as a list": ({"queryString": ["a"]}, 400, "FLOW-1452-400"),
    "parameter in the query": ({"queryString": "name==x"}, 400, "FLOW-1451-400"),
    "member": ({"filter": "x"}, 400, "FLOW-1451-400"),
    "projection as a text": ({"projectionFields": "name"}, 400, "FLOW-1452-400"),
    "filter for a projection": ({"projectionFields": ["name==x"]}, 400, "FLOW-1452-400"),
    "order": ({"orderby": "nope"}, 400, "FLOW-1433-400"),
    "field": ({"queryString": "property=nope==1"}, 400, "FLOW-1449-400"),
    "NUL": ({"queryString": "property=name==%00"}, 400, "FLOW-1452-400"),
}


@pytest.mark.parametrize(("body", "status", "code"), SEARCHES_REFUSED.values(), ids=SEARCHES_REFUSED.keys())
@pytest.mark.parametrize("name", ["connections", "flows", "flowSpecs"])
def test_search_is_refused(face: Face, name: str, body: Json, status: int, code: str) -> None:
    if name == "flowSpecs":
        code = code.replace("1449", "1423")  # a field of specs has a code of its own
    refused(face.post(f"/{name}/search", body), status, code)


def test_search_across_sandboxes_is_refused(face: Face, world: World) -> None:
    own = _scope(face).sandbox_id
    headers = {"x-active-sandbox-ids": own}
    assert len(ids(face.post("/flows/search", {}, **headers))) == 2
    for other in (f"{own},5a0f4c1e-0005-4000-8000-000000000005", "*", ""):
        refused(face.post("/flows/search", {}, **{"x-active-sandbox-ids": other}), 403, "FLOW-2111-403")


def test_search_specs(face: Face) -> None:
    everything = face.get("/flowSpecs").json()["items"]
    assert face.post("/flowSpecs/search", {}).json()["items"] == everything
    body = {"queryString": 'property=name=="CRMToAEP"', "projectionFields": ["name"]}
    assert face.post("/flowSpecs/search", body).json() == {"items": [{"id": TABLES, "name": "CRMToAEP"}], "_links": {}}
    by_source = {"queryString": f"property=sourceConnectionSpecIds[]=={SQLITE}"}
    assert [item["id"] for item in face.post("/flowSpecs/search", by_source).json()["items"]] == [TABLES]
    assert face.post("/flowSpecs/search", {"count": True}).json() == {"count": len(everything)}
    names = [item["name"] for item in face.post("/connectionSpecs/search", {"orderby": "-name"}).json()["items"]]
    assert names == sorted(names, reverse=True)


@pytest.mark.parametrize("more", [{}, {"orderby": "-name"}, {"groupByProperty": "providerId"}])
def test_search_of_specs_pages(face: Face, more: Json) -> None:
    everything = face.post("/connectionSpecs/search", {**more, "limit": 1000}).json()
    assert everything["_links"] == {}
    items, href = [], "/connectionSpecs/search"
    while href:
        page = face.post(href, {**more, "limit": 20}).json()
        assert len(page["items"]) <= 20
        items += page["items"]
        href = page["_links"].get("next", {}).get("href")
    assert items == everything["items"]


def test_search_of_specs_goes_on_with_its_own_token(face: Face) -> None:
    href = face.post("/connectionSpecs/search", {"limit": 1}).json()["_links"]["next"]["href"]
    assert re.fullmatch(r"/connectionSpecs/search\?continuationToken=[A-Za-z0-9_-]+", href)
    assert len(face.post(href, {}).json()["items"]) == 1
    refused(face.post(href, {"orderby": "name"}), 400, "FLOW-1452-400")
    refused(face.post(href, {"groupByProperty": "providerId"}), 400, "FLOW-1452-400")
    refused(face.post(href.replace("connectionSpecs", "flowSpecs"), {}), 400, "FLOW-1452-400")


def test_specs_are_grouped(face: Face) -> None:
    def providers(**body: Any) -> list[str]:
        return [item["providerId"] for item in face.post("/connectionSpecs/search", body).json()["items"]]

    grouped = providers(groupByProperty="providerId", limit=1000)
    assert sorted(grouped) == sorted(providers(limit=1000))
    assert len([key for key, _ in groupby(grouped)]) == len(set(grouped))
    for property_ in ("nope", "attributes", 5):
        refused(face.post("/connectionSpecs/search", {"groupByProperty": property_}), 400, "FLOW-1438-400")


def test_last_run_is_the_newest(face: Face, world: World) -> None:
    assert ids(face.get("/flows", property=f"lastRunDetails.id=={world.runs[0]}")) == []
    details = face.get(f"/flows/{world.tables}").json()["items"][0]["lastRunDetails"]
    assert details["id"] == world.runs[1]
    assert details["startedAtUTC"] < time.time() * 1000
