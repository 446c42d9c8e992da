"""Datasets of the Catalog."""

import json
import re

import httpx
import pytest

from headgate.service.datasets import _slug
from tests.integration.face import CATALOG, Face, Json, second_org

DATASETS = f"{CATALOG}/dataSets"


def catalog_error(answer: httpx.Response, status: int, title: str) -> None:
    """See that `answer` is an error in the Catalog's shape."""
    body = answer.json()
    assert (answer.status_code, body["status"], body["title"]) == (status, status, title), body
    assert body["type"] == "http://ns.adobe.com/adobecloud/problem/catalogservice"
    assert body["detail"]


def test_dataset_as_it_comes_back(face: Face) -> None:
    schema = {"id": "https://ns.example/acme/schemas/9f", "contentType": "application/vnd.adobe.xed+json;version=1"}
    body = {"name": "Web Orders", "schemaRef": schema, "tags": {"unifiedProfile": ["enabled:true"]}, "imsOrg": "x"}
    answer = face.post(f"{DATASETS}?requestDataSource=False", body)
    assert answer.status_code == 201
    [link] = answer.json()
    assert re.fullmatch(r"@/dataSets/[0-9a-f]{24}", link)
    id_ = link.removeprefix("@/dataSets/")
    assert answer.headers["location"] == f"{DATASETS}/{id_}"
    item = face.get(f"{DATASETS}/{id_}").json()[id_]
    assert item == {
        "name": "Web Orders",
        "schemaRef": schema,
        "version": "1.0.0",
        "imsOrg": face.credentials.org_id,
        "sandboxId": item["sandboxId"],
        "created": item["created"],
        "updated": item["created"],
        "createdUser": "local@headgate",
        "updatedUser": "local@headgate",
        "createdClient": face.credentials.client_id,
        "updatedClient": face.credentials.client_id,
        "fileDescription": {"persisted": True, "containerFormat": "parquet", "format": "parquet"},
        "tags": {
            "unifiedProfile": ["enabled:true"],
            "adobe/pqs/table": ["web_orders"],
            "adobe/siphon/table/format": ["iceberg"],
        },
        "classification": {"dataBehavior": "record", "managedBy": "CUSTOMER"},
        "files": f"@/dataSetFiles?dataSetId={id_}",
        "state": "ENABLED",
        "viewId": id_,
        "statsCache": {},
        "dule": {},
    }


def test_same_name_gets_another_table(face: Face) -> None:
    first, second = face.dataset("Twice"), face.dataset("Twice")
    found = face.get(DATASETS, name="Twice").json()
    assert set(found) == {first, second}
    assert found[first]["tags"]["adobe/pqs/table"] == ["twice"]
    assert found[second]["tags"]["adobe/pqs/table"] == ["twice_2"]
    other = face.of("dev")
    id_ = other.dataset("Twice")
    assert other.get(DATASETS).json()[id_]["tags"]["adobe/pqs/table"] == ["twice"]


def test_listing(face: Face) -> None:
    dev = face.of("dev")
    before = list(dev.get(DATASETS, limit=100).json())
    made = [dev.dataset(f"listed {number}") for number in range(25)]
    everything = made[::-1] + before
    assert list(dev.get(DATASETS).json()) == everything[:20]
    assert list(dev.get(DATASETS, limit=3, start=2).json()) == everything[2:5]
    assert list(dev.get(DATASETS, limit=100, start=20).json()) == everything[20:]
    assert next(iter(dev.get(DATASETS, limit=100, orderBy="asc:created").json())) == everything[-1]
    assert list(dev.get(DATASETS, name="listed 3,listed 4").json()) == [made[4], made[3]]
    assert made[3] not in dev.get(DATASETS, limit=100, name="!listed 3,listed 4").json()
    assert list(dev.get(DATASETS, property="name==listed 7").json()) == [made[7]]
    assert dev.get(DATASETS, name="listed 5", properties="name").json() == {made[5]: {"name": "listed 5"}}
    assert dev.get(DATASETS, name="listed 5", properties="nothing").json() == {made[5]: {}}
    assert set(dev.get(f"{DATASETS}/{made[5]}", properties="name,tags").json()[made[5]]) == {"name", "tags"}
    assert dev.get(DATASETS, start=1000).json() == {}


@pytest.mark.parametrize(
    "query",
    [
        {"limit": 0},
        {"limit": 101},
        {"limit": "x"},
        {"start": -1},
        {"orderBy": "down:name"},
        {"orderBy": "asc:tags"},
        {"owner": "me"},
        {"created": "yesterday"},
        {"createdAfter": "x"},
        {"name": ""},
        {"name": "a*b*c*d*e"},
        {"name": ",".join(["x"] * 101)},
        {"property": "owner"},
        {"property": "name~("},
        {"property": "name~(a+)+b"},
        {"property": "name~.*.*.*"},
        {"property": "name~a?a?a?b"},
        {"property": "name~[z-a]"},
        {"property": "created~1"},
        {"property": "created>1,2"},
        {"property": "created>x"},
        {"property": "tags==x"},
        {"property": "?"},
        {"tags": "x"},
        {"tags": 'a"b:c'},
    ],
    ids=str,
)
def test_listing_is_refused(face: Face, query: Json) -> None:
    catalog_error(face.get(DATASETS, **query), 400, "Invalid request")


GRAMMAR = [  # the query, and which of the datasets made below it finds
    ({"name": "Grammar *"}, "abcd"),
    ({"name": "*ar b*"}, "b"),
    ({"name": "Grammar a,Grammar c"}, "ac"),
    ({"name": "!Grammar a,Grammar c", "property": "name~^Grammar"}, "bd"),
    ({"name": "Grammar **"}, "d"),
    ({"name": "GRAMMAR A"}, ""),
    ({"property": "name~^Grammar [ab]$"}, "ab"),
    ({"property": "name~mar \\*"}, "d"),
    ({"property": ["name~Grammar", "name!=Grammar a"]}, "bcd"),
    ({"property": ["name~Grammar", "description"]}, "ab"),
    ({"property": ["name~Grammar", "!description"]}, "cd"),
    ({"property": ["name~Grammar", "description!=first"]}, "bcd"),
    ({"property": ["name~Grammar", "schemaRef"]}, "b"),
    ({"property": ["name~Grammar", "schemaRef.id==urn:x"]}, "b"),
    ({"property": ["name~Grammar", "state==enabled"]}, "abcd"),
    ({"property": ["name~Grammar", "created>0", "updated<1"]}, ""),
    ({"property": "name~Grammar", "createdAfter": "0", "createdBefore": "9999999999999"}, "abcd"),
    ({"property": "name~Grammar", "createdBefore": "1"}, ""),
    ({"tags": "team:red"}, "a"),
    ({"tags": "team:red,size:*"}, "a"),
    ({"tags": "team:r*"}, "ab"),
    ({"tags": "team:re*,size:s*"}, "a"),
    ({"tags": "team:*"}, "abc"),
    ({"tags": "team:RED"}, ""),
    ({"tags": "team.lead:x"}, "c"),
    ({"property": "name~Grammar", "orderBy": "asc:name"}, "dabc"),
    ({"property": "name~Grammar", "orderBy": "desc:description,asc:created", "limit": "3"}, "bac"),
]


@pytest.fixture(scope="module")
def dictionary(face: Face) -> dict[str, str]:
    """Four datasets, their letters by id."""
    bodies = {
        "a": {"name": "Grammar a", "description": "first", "tags": {"team": ["red", "blue"], "size": ["s"]}},
        "b": {"name": "Grammar b", "description": "second", "schemaRef": {"id": "urn:x"}, "tags": {"team": ["rose"]}},
        "c": {"name": "Grammar c", "tags": {"team": ["green"], "team.lead": ["x"]}},
        "d": {"name": "Grammar *"},
    }
    return {face.post(DATASETS, body).json()[0][11:]: letter for letter, body in bodies.items()}


@pytest.mark.parametrize(("query", "found"), GRAMMAR, ids=str)
def test_grammar(face: Face, dictionary: dict[str, str], query: Json, found: str) -> None:
    answer = face.get(DATASETS, **query)
    assert answer.status_code == 200, answer.text
    letters = "".join(dictionary[id_] for id_ in answer.json())
    assert (letters if "orderBy" in query else letters[::-1]) == found


TTL = {"extensions": {"adobe_lakeHouse": {"rowExpiration": {"ttlValue": "P3M"}}}}


def test_changes(face: Face) -> None:
    id_ = face.dataset("Changing")
    at = f"{DATASETS}/{id_}"

    def now() -> Json:
        item: Json = face.get(at).json()[id_]
        return item

    def changed(method: str, body: object, path: str = at, media_type: str = "application/json") -> None:
        answer = face.send(method, path, json.dumps(body).encode(), Content_Type=media_type)
        assert (answer.status_code, answer.json()) == (200, [f"@/dataSets/{id_}"]), answer.text

    changed("PATCH", {"name": "Renamed", "description": "what it holds", "tags": {"team": ["red"]}})
    assert (now()["name"], now()["description"], now()["version"]) == ("Renamed", "what it holds", "1.0.1")
    assert now()["tags"]["adobe/pqs/table"] == ["changing"]  # the table keeps its name
    assert face.get(DATASETS, name="Changing").json() == {}
    changed("PATCH", [{"op": "add", "path": "/tags/unifiedProfile", "value": ["enabled:true"]}])  # not said by the type
    patch = [{"op": "replace", "path": "/tags/unifiedIdentity", "value": ["enabled:true"]}]
    changed("PATCH", patch, media_type="application/json-patch+json")  # of a tag that is not there yet
    assert now()["tags"].keys() >= {"team", "unifiedProfile", "unifiedIdentity"}
    changed("PATCH", {"description": None, "tags": {"team": None}})
    assert "description" not in now()
    assert "team" not in now()["tags"]
    changed("PATCH", TTL, f"{CATALOG}/v2/dataSets/{id_}")
    assert now()["extensions"] == TTL["extensions"]
    changed("PUT", {**now(), "name": "Whole", "imsOrg": "other", "version": "7.0.0", "tags": {}})
    assert now() == {**now(), "name": "Whole", "imsOrg": face.credentials.org_id, "version": "1.0.6"}
    assert now()["extensions"] == TTL["extensions"]
    assert set(now()["tags"]) == {"adobe/pqs/table", "adobe/siphon/table/format"}
    assert now()["updated"] >= now()["created"]


@pytest.mark.parametrize(
    ("method", "body"),
    [
        ("PATCH", {"name": ""}),
        ("PATCH", {"name": None}),
        ("PATCH", {"tags": {"a": "b"}}),
        ("PATCH", {"classification": {"dataBehavior": "odd"}}),
        ("PATCH", {"extensions": {"adobe_lakeHouse": {"rowExpiration": {"ttlValue": "soon"}}}}),
        ("PATCH", [{"op": "replace", "path": "/imsOrg", "value": "x"}]),
        ("PATCH", [{"op": "remove", "path": "/tags/nothing"}]),
        ("PATCH", [{"op": "move", "path": "/name", "from": "/x"}]),
        ("PATCH", [{"op": "remove", "path": "/name"}]),
        ("PATCH", []),
        ("PUT", {"description": "no name"}),
        ("PUT", {"name": "x", "unifiedTags": "y"}),
        ("PUT", {"name": "x", "enableErrorDiagnostics": "y"}),
    ],
    ids=str,
)
def test_change_is_refused_and_nothing_is_stored(face: Face, method: str, body: object) -> None:
    id_ = face.dataset("Steady")
    before = face.get(f"{DATASETS}/{id_}").json()
    answer = face.send(method, f"{DATASETS}/{id_}", json.dumps(body).encode(), Content_Type="application/json")
    assert answer.status_code == 400, answer.text
    assert answer.json()["detail"]
    assert face.get(f"{DATASETS}/{id_}").json() == before


def test_a_dataset_goes_unless_a_flow_writes_to_it(face: Face) -> None:
    id_ = face.dataset("Going")
    flow_id = face.flow(targetConnectionIds=[face.target(id_)])
    refusal = face.delete(f"{DATASETS}/{id_}")
    assert refusal.status_code == 400
    assert flow_id in refusal.json()["detail"]
    assert face.delete(f"/flows/{flow_id}").status_code == 204
    answer = face.delete(f"{DATASETS}/{id_}")
    assert (answer.status_code, answer.json()) == (200, [f"@/dataSets/{id_}"])
    catalog_error(face.get(f"{DATASETS}/{id_}"), 404, "NotFoundError")
    catalog_error(face.delete(f"{DATASETS}/{id_}"), 404, "NotFoundError")


def test_another_organisation_s_dataset_is_a_missing_one(face: Face) -> None:
    id_, other = face.dataset("Mine"), second_org(face)
    missing = "0" * 24
    for method, path, body in (
        ("GET", "dataSets/{}", None),
        ("PATCH", "dataSets/{}", {"name": "x"}),
        ("PUT", "dataSets/{}", {"name": "x"}),
        ("PATCH", "v2/dataSets/{}", TTL),
        ("DELETE", "dataSets/{}", None),
    ):
        content = json.dumps(body).encode() if body else None
        answers = [
            other.send(method, f"{CATALOG}/{path.format(each)}", content, Content_Type="application/json")
            for each in (id_, missing)
        ]
        assert [answer.status_code for answer in answers] == [404, 404]
        assert answers[0].json()["detail"].replace(id_, missing) == answers[1].json()["detail"]
    assert id_ not in other.get(DATASETS, limit=100).json()
    assert face.get(f"{DATASETS}/{id_}").json()[id_]["version"] == "1.0.0"


@pytest.mark.parametrize("id_", ["0" * 24, "nonsense", "A" * 24, "%00"])
def test_unknown_dataset(face: Face, id_: str) -> None:
    catalog_error(face.get(f"{DATASETS}/{id_}"), 404, "NotFoundError")


@pytest.mark.parametrize(
    "body", [{}, {"name": ""}, {"name": 5}, {"name": "x", "tags": {"a": "b"}}, {"name": "x", "tags": []}], ids=str
)
def test_dataset_is_refused(face: Face, body: Json) -> None:
    catalog_error(face.post(DATASETS, body), 400, "Bad Request")


def test_organisations_never_share_a_namespace_of_the_lake() -> None:
    assert _slug("AC-ME@AdobeOrg") != _slug("ac_me@AdobeOrg")
    assert _slug("A@AdobeOrg") == _slug("A@AdobeOrg")
