"""Listings: filters, pages, order, counts and continuation tokens, of every collection."""

import re
from typing import Any

import httpx
import pytest

from tests.integration.face import BASE, SQLITE, TABLES, WINDOW, Face, Json, refused, second_org

COLLECTIONS = ("connections", "sourceConnections", "targetConnections", "flows", "runs")


@pytest.fixture(scope="module")
def made(face: Face) -> dict[str, list[str]]:
    """Seven of each resource, oldest first; there are no others."""
    connections = [face.connection(f"connection {number}") for number in range(7)]
    sources = [face.source(id_) for id_ in connections]
    targets = [face.target() for _ in range(7)]
    flows = [
        face.flow(name=f"flow {number}", sourceConnectionIds=[sources[number]], targetConnectionIds=[targets[0]])
        for number in range(7)
    ]
    runs = [face.run(flows[0], deltaColumn={"name": "updated_at"}).json()["id"]]
    runs += [face.run(flows[0]).json()["id"] for _ in range(6)]
    return dict(zip(COLLECTIONS, (connections, sources, targets, flows, runs), strict=True))


def ids(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()["items"]]


def token_of(answer: httpx.Response, name: str) -> str:
    """The token in the link to the next page, which is exactly of the documented form."""
    found = re.fullmatch(rf"/{name}\?continuationToken=([A-Za-z0-9_-]+)", answer.json()["_links"]["next"]["href"])
    assert found
    return found[1]


@pytest.mark.parametrize("name", COLLECTIONS)
def test_pages_follow_one_another(face: Face, made: dict[str, list[str]], name: str) -> None:
    newest_first = made[name][::-1]
    everything = face.get(f"/{name}")
    assert ids(everything) == newest_first
    assert everything.json()["_links"] == {}
    first = face.get(f"/{name}", limit=3)
    second = face.http.get(BASE + first.json()["_links"]["next"]["href"], headers=face.headers)
    third = face.get(f"/{name}", continuationToken=token_of(second, name))
    assert [ids(page) for page in (first, second, third)] == [
        newest_first[:3],
        newest_first[3:6],
        newest_first[6:],
    ]
    assert third.json()["_links"] == {}
    assert "_links" in third.json()
    assert face.get(f"/{name}", limit=7).json()["_links"] == {}


@pytest.mark.parametrize("name", COLLECTIONS)
def test_order(face: Face, made: dict[str, list[str]], name: str) -> None:
    for order in ("createdAt", "+createdAt", " createdAt"):
        first = face.get(f"/{name}", orderby=order, limit=4)
        assert ids(first) == made[name][:4]
        token = token_of(first, name)
        assert ids(face.get(f"/{name}", continuationToken=token)) == made[name][4:]
        assert ids(face.get(f"/{name}", orderby="createdAt", continuationToken=token)) == made[name][4:]
        refused(face.get(f"/{name}", orderby="-createdAt", continuationToken=token), 400, "FLOW-1452-400")
    assert ids(face.get(f"/{name}", orderby="-createdAt")) == made[name][::-1]


@pytest.mark.parametrize("name", COLLECTIONS)
def test_count(face: Face, made: dict[str, list[str]], name: str) -> None:
    assert face.get(f"/{name}", count="true").json() == {"count": 7}
    assert face.get(f"/{name}", count="True", limit=2).json() == {"count": 7}
    assert face.get(f"/{name}", count="true", property=f"id=={made[name][0]}").json() == {"count": 1}
    assert len(ids(face.get(f"/{name}", count="False", limit=2))) == 2
    refused(face.get(f"/{name}", count="maybe"), 400, "FLOW-1452-400")


REFUSED: dict[str, tuple[Json, str]] = {
    "unknown parameter": ({"sort": "name"}, "FLOW-1451-400"),
    "page": ({"page": "2"}, "FLOW-1451-400"),
    "limit 0": ({"limit": "0"}, "CONNECTOR-1394-400"),
    "limit -1": ({"limit": "-1"}, "CONNECTOR-1394-400"),
    "limit x": ({"limit": "x"}, "FLOW-1452-400"),
    "limit 1e9": ({"limit": "1e9"}, "FLOW-1452-400"),
    "order by nothing known": ({"orderby": "nope"}, "FLOW-1433-400"),
    "order by SQL": ({"orderby": "createdAt; DROP TABLE runs"}, "FLOW-1433-400"),
    "order by another prefix": ({"orderby": "*id"}, "FLOW-1432-400"),
    "order by two prefixes": ({"orderby": "--createdAt"}, "FLOW-1432-400"),
    "order by a prefix alone": ({"orderby": "-"}, "FLOW-1433-400"),
    "pattern": ({"property": "id~x"}, "FLOW-1440-400"),
    "unknown operator": ({"property": "id!>5"}, "FLOW-1450-400"),
    "no operator": ({"property": "a b"}, "FLOW-1450-400"),
    "order operator on text": ({"property": "id>5"}, "FLOW-1448-400"),
    "unknown field": ({"property": "nope==1"}, "FLOW-1449-400"),
    "empty value": ({"property": "createdAt=="}, "FLOW-1453-400"),
    "no path": ({"property": "==5"}, "FLOW-1450-400"),
    "operator of two": ({"property": "createdAt=>5"}, "FLOW-1450-400"),
    "not equal as in SQL": ({"property": "createdAt<>5"}, "FLOW-1450-400"),
    "SQL for a path": ({"property": "id' OR '1'='1"}, "FLOW-1450-400"),
    "pattern beside equal": ({"property": "id=~x"}, "FLOW-1440-400"),
    "array that is none": ({"property": "id[]==x"}, "FLOW-1449-400"),
    "below a text": ({"property": "id.x==x"}, "FLOW-1449-400"),
    "empty among values": ({"property": "id==a,,b"}, "FLOW-1453-400"),
    "quotes around nothing": ({"property": 'id==""'}, "FLOW-1453-400"),
    "list for a number": ({"property": "createdAt==[1]"}, "FLOW-1452-400"),
    "truth for a number": ({"property": "createdAt==true"}, "FLOW-1452-400"),
    "too many filters": ({"property": ["id!=x"] * 51}, "FLOW-1452-400"),
    "too many values": ({"property": "id==" + "x," * 1000 + "x"}, "FLOW-1452-400"),
    "order by an open field": ({"orderby": "params"}, "FLOW-1433-400"),
    "several values in order": ({"property": "createdAt>=1,2"}, "FLOW-1443-400"),
    "word for a number": ({"property": "createdAt>yesterday"}, "FLOW-1452-400"),
}


@pytest.mark.parametrize("name", COLLECTIONS)
@pytest.mark.parametrize(("query", "code"), REFUSED.values(), ids=REFUSED.keys())
def test_listing_is_refused(face: Face, name: str, query: Json, code: str) -> None:
    refused(face.get(f"/{name}", **query), 400, code)


def test_limit_is_capped_and_odd_parameters_pass(face: Face, made: dict[str, list[str]]) -> None:
    assert len(ids(face.get("/runs", limit=1_000_000_000))) == 7
    assert len(ids(face.get("/runs", **{"if-match": "x"}))) == 7
    assert len(ids(face.get("/runs", continuationToken=""))) == 7


def test_filters(face: Face, made: dict[str, list[str]]) -> None:
    connections, flows, runs = made["connections"], made["flows"], made["runs"]
    item = face.get(f"/flows/{flows[2]}").json()["items"][0]
    cases: list[tuple[str, list[str] | str, list[str]]] = [
        ("flows", f"id=={flows[1]}", [flows[1]]),
        ("flows", f"id={flows[1]}", [flows[1]]),
        ("flows", f"id=={flows[1]},{flows[3]}", [flows[3], flows[1]]),
        ("flows", 'name=="flow 4"', [flows[4]]),
        ("flows", ["name==flow 4,flow 5", "name==flow 5"], [flows[5]]),
        ("flows", "name!=flow 4", [*flows[:4], *flows[5:]][::-1]),
        ("flows", "name==' or 1=1;--", []),
        ("flows", "state==ENABLED", flows[::-1]),
        ("flows", f"flowSpec.id=={TABLES}", flows[::-1]),
        ("flows", "scheduleParams.frequency==once", flows[::-1]),
        ("flows", "description==none", []),
        ("flows", "description!=none", flows[::-1]),
        ("flows", f"createdAt<{item['createdAt']}", flows[:2][::-1]),
        ("flows", f"createdAt>={item['createdAt']}", flows[2:][::-1]),
        ("connections", f"connectionSpec.id=={SQLITE}", connections[::-1]),
        ("connections", "auth.specName==Database File", connections[::-1]),
        ("sourceConnections", f"baseConnectionId=={connections[5]}", [made["sourceConnections"][5]]),
        ("sourceConnections", "params.tableName==orders", made["sourceConnections"][::-1]),
        ("sourceConnections", "data.format==delimited", []),
        ("runs", f"flowId=={flows[0]}", runs[::-1]),
        ("runs", f"flowId=={flows[1]}", []),
        ("runs", "state==Scheduled", runs[::-1]),
        ("runs", "metrics.statusSummary.status==scheduled", runs[::-1]),
        ("runs", "metrics.statusSummary.status==failed", []),
        ("runs", "metrics.durationSummary.startedAtUTC>5", []),
    ]
    for name, property_, expected in cases:
        assert ids(face.get(f"/{name}", property=property_)) == expected, property_


def test_times_filter_in_the_database_too(face: Face, made: dict[str, list[str]]) -> None:
    claim = face.store.queue.claim("test", lease=60)
    assert claim is not None
    face.store.queue.heartbeat(claim.run, lease=60, metrics={"durationSummary": {"startedAtUTC": 1710230001000}})
    for condition, found in (
        (">1710230000999", True),
        (">=1710230001000", True),
        (">1710230001000", False),
        ("<9", False),
    ):
        answer = face.get("/runs", property=f"metrics.durationSummary.startedAtUTC{condition}")
        assert ids(answer) == ([claim.run.id] if found else [])


def test_projection(face: Face, made: dict[str, list[str]]) -> None:
    first = face.get("/flows", property="name,state", limit=2)
    assert [set(item) for item in first.json()["items"]] == [{"id", "name", "state"}] * 2
    second = face.get("/flows", continuationToken=token_of(first, "flows"))
    assert [set(item) for item in second.json()["items"]] == [{"id", "name", "state"}] * 2


def test_token_carries_the_whole_query(face: Face, made: dict[str, list[str]]) -> None:
    flows = made["flows"]
    query: Json = {"property": "name==flow 1,flow 3,flow 5", "limit": 1}
    first = face.get("/flows", **query)
    assert ids(first) == [flows[5]]
    token = token_of(first, "flows")
    assert ids(face.get("/flows", continuationToken=token)) == [flows[3]]
    assert ids(face.get("/flows", continuationToken=token, **query)) == [flows[3]]
    assert ids(face.get("/flows", continuationToken=token, limit=5)) == [flows[3], flows[1]]
    answer = face.get("/flows", continuationToken=token, property="state==enabled")
    refused(answer, 400, "FLOW-1452-400")


def test_foreign_and_forged_tokens(face: Face, made: dict[str, list[str]]) -> None:
    token = token_of(face.get("/flows", limit=2), "flows")
    middle = len(token) // 2
    other = "A" if token[middle] != "A" else "B"
    forged = [
        "garbage",
        "A" * 2000,
        "a",
        token[:-1],
        token + "AAAA",
        token[:middle] + other + token[middle + 1 :],
        token + "=",
        token.replace(token[5], "%"),
        "é" + token,
    ]
    for text in forged:
        refused(face.get("/flows", continuationToken=text), 400, "FLOW-1452-400")
    refused(face.get("/connections", continuationToken=token), 400, "FLOW-1452-400")
    refused(face.of("dev").get("/flows", continuationToken=token), 400, "FLOW-1452-400")
    refused(second_org(face).get("/flows", continuationToken=token), 400, "FLOW-1452-400")
    assert ids(face.get("/flows", continuationToken=token)) == made["flows"][3:5][::-1]


def test_what_comes_between_pages_is_not_listed_twice(face: Face, made: dict[str, list[str]]) -> None:
    dev = face.of("dev")
    old = [dev.connection() for _ in range(4)]
    first = dev.get("/connections", limit=2)
    dev.connection()
    assert dev.delete(f"/connections/{old[1]}").status_code == 204
    rest = dev.get("/connections", continuationToken=token_of(first, "connections"))
    assert ids(first) + ids(rest) == [old[3], old[2], old[0]]


def test_runs_of_a_flow(face: Face, made: dict[str, list[str]]) -> None:
    path = f"/flows/{made['flows'][0]}/runs"
    first = face.get(path, limit=5)
    assert ids(first) == made["runs"][::-1][:5]
    token = token_of(first, "runs")
    assert ids(face.get("/runs", continuationToken=token)) == made["runs"][:2][::-1]
    assert ids(face.get(path, continuationToken=token)) == made["runs"][:2][::-1]
    assert ids(face.get(f"/flows/{made['flows'][1]}/runs")) == []
    refused(face.get(f"/flows/{made['flows'][1]}/runs", continuationToken=token), 400, "FLOW-1452-400")


@pytest.mark.parametrize("name", ["postgresql", "sqlite", "local-files", "datalake", "google-big-query"])
def test_connection_spec_by_name(face: Face, name: str) -> None:
    for text in (f"name=={name}", f'name=="{name}"', f"name={name}"):
        answer = face.get("/connectionSpecs", property=text)
        [spec] = answer.json()["items"]
        assert spec["name"] == name
        assert answer.json()["_links"] == {}
    one = face.get(f"/connectionSpecs/{spec['id']}").json()
    assert one["items"] == [spec]
    assert one["name"] == name


def test_specs_are_filtered_and_never_paged(face: Face) -> None:
    def names(**query: Any) -> set[str]:
        return {item["name"] for item in face.get("/connectionSpecs", **query).json()["items"]}

    everything = names()
    runnable = names(property="attributes.status==runnable")
    assert {"postgresql", "sqlite", "local-files", "datalake"} <= runnable < everything
    assert names(property="attributes.status!=runnable") == everything - runnable
    targets = names(property="attributes.isSource==False")
    assert "datalake" in targets
    assert targets.isdisjoint(names(property="attributes.isSource==True"))
    databases = names(property=["attributes.category==database", "attributes.status==runnable"])
    assert {"postgresql", "sqlite"} <= databases < runnable
    assert databases.isdisjoint({"local-files", "datalake", "apache-cassandra"})
    assert names(property="name==nothing") == set()
    projected = face.get("/connectionSpecs", property="name").json()["items"]
    assert set(projected[0]) == {"id", "name"}
    refused(face.get("/connectionSpecs", limit=3), 400, "FLOW-1451-400")
    refused(face.get("/connectionSpecs", property="nope==1"), 400, "FLOW-1423-400")


def test_flow_spec_by_name(face: Face) -> None:
    [spec] = face.get("/flowSpecs", property='name=="CRMToAEP"').json()["items"]
    assert spec["id"] == TABLES
    assert SQLITE in spec["sourceConnectionSpecIds"]
    assert face.get(f"/flowSpecs/{TABLES}").json()["items"] == [spec]
    answer = face.http.get(f"{BASE}/flowSpecs?property=name==%22CloudStorageToAEP%22", headers=face.headers)
    assert len(answer.json()["items"]) == 1


def test_runs_are_listed_newest_first_while_they_are_made(face: Face, made: dict[str, list[str]]) -> None:
    flow = made["flows"][6]
    body = {"flowId": flow, "params": {**WINDOW, "deltaColumn": {"name": "updated_at"}}}
    runs = [face.post("/runs", body).json()["id"] for _ in range(3)]
    assert ids(face.get("/runs", property=f"flowId=={flow}")) == runs[::-1]
