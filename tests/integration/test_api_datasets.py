"""Datasets of the Catalog."""

import re

import httpx
import pytest

from headgate.service.datasets import _slug
from tests.integration.face import CATALOG, Face, Json

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
    [{"limit": 0}, {"limit": 101}, {"limit": "x"}, {"start": -1}, {"orderBy": "desc:name"}, {"owner": "me"}],
    ids=str,
)
def test_listing_is_refused(face: Face, query: Json) -> None:
    catalog_error(face.get(DATASETS, **query), 400, "Invalid request")


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
