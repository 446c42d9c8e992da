"""Files of object stores and web servers through the API: tested, explored, previewed, and landed once."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from headgate.model.runs import RunState
from tests.deployment import Deployment, multiset
from tests.emulators import S3, Bucket, blob_container, s3_bucket, small_s3
from tests.integration.face import DATALAKE, FILES, Face, serving
from tests.integration.lake_story import ended, working

EVERYTHING = {"windowStartTime": "0", "windowEndTime": "4102444800"}


@pytest.fixture(scope="module")
def plain_face(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Face]:
    with serving(tmp_path_factory.mktemp("service")) as face:
        yield face


@pytest.fixture(params=["s3", "azure"])
def bucket(request: pytest.FixtureRequest) -> Bucket:
    name = f"b{os.urandom(6).hex()}"
    if request.param == "s3":
        return s3_bucket(request.getfixturevalue("s3_address"), name)
    return blob_container(request.getfixturevalue("azure_address"), name)


def connected(face: Face, bucket: Bucket) -> str:
    return face.made("/connections", {"name": "cloud", "connectionSpec": {"id": bucket.spec}, "auth": bucket.auth})


def test_a_bucket_is_tested_explored_previewed_and_landed(plain_face: Face, bucket: Bucket) -> None:
    face = plain_face
    bucket.put("in/1.csv", b"id,s\n1,a\n2,\n")
    bucket.put("in/2.csv", b"id,s\n3,c\n")
    bucket.put("in/deep/3.csv", b"id,s\n4,d\n")
    connection = connected(face, bucket)
    shown = face.get(f"/connections/{connection}").text
    assert "canary" not in shown
    assert "AccountKey" not in shown
    assert face.get(f"/connections/{connection}/test").json() == {"result": True}
    explore = f"/connections/{connection}/explore"
    root = {entry["name"]: entry for entry in face.get(explore, objectType="root").json()}
    assert root[bucket.name]["type"] == "folder"
    found = face.get(explore, objectType="folder", object=f"{bucket.name}/in").json()
    assert [(entry["type"], entry["name"]) for entry in found] == [
        ("file", "1.csv"),
        ("file", "2.csv"),
        ("folder", "deep"),
    ]
    file = {"objectType": "file", "object": found[0]["path"], "preview": "true"}
    shape = face.get(explore, **file, determineProperties="true").json()
    assert shape["data"] == [{"id": 1, "s": "a"}, {"id": 2, "s": None}]
    assert shape["properties"]["fileType"] == "delimited"

    body = {"name": "in", "connectionSpec": {"id": bucket.spec}, "baseConnectionId": connection}
    params = {"path": f"/{bucket.name}/in/*.csv", "recursive": True}
    source = face.made("/sourceConnections", {**body, "params": params, "data": {"format": "delimited"}})
    dataset = face.dataset("Landed")
    target = face.made("/targetConnections", {"connectionSpec": {"id": DATALAKE}, "params": {"dataSetId": dataset}})
    flow = face.flow(flowSpec={"id": FILES}, sourceConnectionIds=[source], targetConnectionIds=[target])
    with working(face) as worker:
        for rows in (4, 4):
            run = ended(face, worker, face.run(flow, **EVERYTHING))
            [item] = face.get(f"/runs/{run}").json()["items"]
            assert item["metrics"]["statusSummary"]["status"] == "success", item["metrics"]
            assert item["metrics"]["recordSummary"]["outputRecordCount"] == rows


def test_why_a_connection_does_not_work_is_said_without_its_secrets(plain_face: Face, bucket: Bucket) -> None:
    params = {
        **bucket.auth["params"],
        "container" if "connectionString" in bucket.auth["params"] else "bucketName": "not-there",
    }
    auth = {**bucket.auth, "params": params}
    connection = plain_face.made("/connections", {"name": "c", "connectionSpec": {"id": bucket.spec}, "auth": auth})
    answer = plain_face.get(f"/connections/{connection}/test").json()
    assert answer["result"] is False
    assert "no bucket or container" in answer["reason"]
    explored = plain_face.get(f"/connections/{connection}/explore", objectType="root")
    assert explored.status_code == 404 or "no bucket" in explored.text
    assert "canary" not in answer["reason"] + explored.text


def test_files_that_come_change_and_go_between_runs(tmp_path: Path, bucket: Bucket) -> None:
    deployment = Deployment(tmp_path)
    try:
        bucket.put("in/a.csv", b"n\n1\n")
        bucket.put("in/b.csv", b"n\n2\n")
        flow = deployment.flow(
            bucket.spec,
            bucket.auth["params"],
            {"path": f"{bucket.name}/in"},
            data={"format": "delimited"},
            kind="file",
        )
        run = deployment.run(flow, "2020-01-01", "2100-01-01")
        assert run.state is RunState.SUCCESS, run.metrics
        assert multiset(deployment.rows()) == multiset([(1,), (2,)])
        bucket.put("in/a.csv", b"n\n10\n")
        bucket.delete("in/b.csv")
        bucket.put("in/c.csv", b"n\n3\n")
        run = deployment.run(flow, "2020-01-01", "2100-01-01")
        assert run.state is RunState.SUCCESS, run.metrics
        assert multiset(deployment.rows()) == multiset([(10,), (3,)])
        assert run.metrics["fileSummary"]["inputFileCount"] == 2
    finally:
        deployment.close()


def test_two_thousand_small_objects_land_in_one_run(tmp_path: Path) -> None:
    deployment = Deployment(tmp_path)
    try:
        with small_s3() as small:
            small.objects = {f"data/in/{n:04}.json": b'{"n": %d}\n' % n for n in range(2000)}
            flow = deployment.flow(S3, small.params(), {"path": "data/in"}, data={"format": "json"}, kind="file")
            run = deployment.run(flow, "2023-01-01", "2024-01-01")
            assert run.state is RunState.SUCCESS, run.metrics
            assert run.metrics["fileSummary"]["inputFileCount"] == 2000
            assert sorted(deployment.rows()) == [(n,) for n in range(2000)]
    finally:
        deployment.close()
