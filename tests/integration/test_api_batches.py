"""Batches, the files they brought and what the tables hold: read back through the service after real runs."""

import io
import json
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import httpx
import pyarrow.parquet as pq
import pytest

from headgate.engine import Worker
from headgate.model.lake import RUN_ID
from headgate.model.plain import plain
from headgate.targets import Lake, Retention
from headgate.targets.landed import snapshot_of
from tests.deployment import multiset
from tests.integration.face import CATALOG, FILES, NOBODY, WINDOW, Face, Json, refused, second_org
from tests.integration.lake_story import EVERYTHING, Story, ended, tell, working
from tests.integration.test_api_datasets import catalog_error

EXPORT = "/data/foundation/export"
METRICS = "/data/infrastructure/observability/insights/metrics"


@pytest.fixture(scope="module")
def worker(face: Face) -> Iterator[Worker]:
    with working(face) as worker:
        yield worker


@pytest.fixture(scope="module")
def story(face: Face, worker: Worker) -> Story:
    return tell(face, worker)


def batch(face: Face, id_: str) -> Json:
    item: Json = face.get(f"{CATALOG}/batches/{id_}").json()[id_]
    return item


def files(face: Face, id_: str) -> list[Json]:
    data: list[Json] = face.get(f"{EXPORT}/batches/{id_}/files").json()["data"]
    return data


# -- batches -----------------------------------------------------------------------------------------


def test_batch_of_a_run_that_succeeded(face: Face, story: Story) -> None:
    item = batch(face, story.brought)
    [run] = face.get(f"/runs/{story.brought}").json()["items"]
    assert item["id"] == story.brought
    assert item["status"] == "success"
    assert item["relatedObjects"] == [{"type": "dataSet", "id": story.dataset}]
    assert item["tags"]["flowId"] == [story.flow]
    assert item["tags"]["flowRunId"] == [story.brought]
    assert (item["recordCount"], item["failedRecordCount"]) == (50, 0)
    assert item["metrics"]["inputRecordCount"] == item["metrics"]["outputRecordCount"] == 50
    assert item["size"] == run["metrics"]["sizeSummary"]["outputBytes"] > 0
    assert item["created"] <= item["started"] <= item["completed"] <= item["updated"]
    assert (item["imsOrg"], item["sandboxId"]) == (face.credentials.org_id, run["sandboxId"])
    assert "errors" not in item
    promotion = run["activities"][-1]
    assert promotion["targetInfo"][0]["reference"] == {"type": "Batch", "ids": [story.brought]}
    assert promotion["statusSummary"]["extensions"]["batchId"] == story.brought


def test_batch_of_a_run_that_failed_says_why(face: Face, story: Story) -> None:
    item = batch(face, story.failed)
    assert item["status"] == "failed"
    assert [set(error) >= {"code", "description"} for error in item["errors"]] == [True]
    assert "bad.json" in item["errors"][0]["description"]
    assert item["relatedObjects"][0]["type"] == "dataSet"
    assert item["sandboxId"]
    assert item["recordCount"] == 0


def test_statuses(face: Face, story: Story) -> None:
    assert batch(face, story.cancelled)["status"] == "aborted"
    assert batch(face, story.waiting)["status"] == "queued"
    dataset = face.get(f"{CATALOG}/dataSets/{story.dataset}").json()[story.dataset]
    assert (dataset["lastBatchId"], dataset["lastBatchStatus"]) == (story.waiting, "queued")
    assert dataset["lastSuccessfulBatch"] == story.brought


FOUND: list[tuple[Json, list[str]]] = [  # the query, and the names of the batches it finds, newest first
    ({}, ["waiting", "cancelled", "failed", "brought"]),
    ({"limit": "2", "start": "1"}, ["cancelled", "failed"]),
    ({"orderBy": "asc:created"}, ["brought", "failed", "cancelled", "waiting"]),
    ({"orderBy": "desc:recordCount,asc:created", "limit": "1"}, ["brought"]),
    ({"status": "failed"}, ["failed"]),
    ({"status": "success"}, ["brought"]),
    ({"status": "!success,failed"}, ["waiting", "cancelled"]),
    ({"status": "aborted,queued"}, ["waiting", "cancelled"]),
    ({"status": "loading"}, []),
    ({"status": "!processing"}, ["waiting", "cancelled", "failed", "brought"]),
    ({"status": "stalled"}, []),
    ({"property": "status==failed"}, ["failed"]),
    ({"property": "status~^fail"}, ["failed"]),
    ({"property": "errors"}, ["failed"]),
    ({"property": "!completed"}, ["waiting", "cancelled"]),
    ({"property": "recordCount>=50"}, ["brought"]),
    ({"property": "size>0"}, ["brought"]),
    ({"recordCount": "50"}, ["brought"]),
    ({"createdAfter": "1"}, ["waiting", "cancelled", "failed", "brought"]),
    ({"createdBefore": "1"}, []),
    ({"startAfter": "1"}, ["failed", "brought"]),
    ({"endAfter": "1", "endBefore": "9999999999999"}, ["failed", "brought"]),
    ({"tags": "flowRunId:*"}, ["waiting", "cancelled", "failed", "brought"]),
    ({"tags": "acp_successor:x"}, []),
    ({"createdUser": "local@headgate"}, ["waiting", "cancelled", "failed", "brought"]),
    ({"createdUser": "somebody"}, []),
]


@pytest.mark.parametrize(("query", "found"), FOUND, ids=str)
def test_listing(face: Face, story: Story, query: Json, found: list[str]) -> None:
    answer = face.get(f"{CATALOG}/batches", dataSet=story.dataset, **query)
    assert answer.status_code == 200, answer.text
    assert list(answer.json()) == [getattr(story, name) for name in found]


def test_listing_by_ids_and_tags(face: Face, story: Story) -> None:
    def found(path: str = "batches", **query: Any) -> list[str]:
        return list(face.get(f"{CATALOG}/{path}", **query).json())

    assert found(batch=story.failed) == [story.failed]
    assert found(tags=f"flowId:{story.flow}") == [story.waiting, story.cancelled, story.brought]
    assert found(tags=f"flowRunId:{story.brought[:8]}*,flowId:{story.flow}") == [story.brought]
    assert found(dataSet="0" * 24) == []
    assert found("lastBatches", dataSetId=story.dataset, limit=1) == [story.waiting]
    assert found("lastBatches", dataSetId=story.dataset, lastBatchStatus="success") == [story.brought]
    answer = face.get(f"{CATALOG}/batches", batch=story.failed, properties="status,nothing")
    assert answer.json() == {story.failed: {"status": "failed"}}


@pytest.mark.parametrize(
    "query", [{"status": "odd"}, {"limit": "0"}, {"orderBy": "asc:tags"}, {"created": "x"}, {"nope": "1"}], ids=str
)
def test_listing_is_refused(face: Face, query: Json) -> None:
    catalog_error(face.get(f"{CATALOG}/batches", **query), 400, "Invalid request")


# -- files -------------------------------------------------------------------------------------------


def test_bytes_of_a_batch(face: Face, story: Story) -> None:
    [entry] = files(face, story.brought)
    assert entry["dataSetFileId"] == f"{story.brought}-1"
    assert (entry["records"], entry["isValid"]) == ("50", True)
    assert entry["created"].isdigit()
    [part] = face.get(f"{EXPORT}/files/{entry['dataSetFileId']}").json()["data"]
    assert part["length"] == entry["size"]
    at = part["_links"]["self"]["href"]
    whole = face.send("GET", at)
    assert (whole.status_code, whole.headers["content-type"]) == (200, "application/octet-stream")
    assert len(whole.content) == int(part["length"])
    assert whole.headers["accept-ranges"] == "bytes"
    [path] = face.settings.warehouse.rglob(part["name"])
    assert whole.content == path.read_bytes()
    rows = pq.read_table(io.BytesIO(whole.content))
    assert rows.num_rows == 50
    assert rows[RUN_ID].unique().to_pylist() == [story.brought]
    with sqlite3.connect(face.folder / "shop.db") as shop:
        assert sorted(rows["id"].to_pylist()) == [id_ for (id_,) in shop.execute("SELECT id FROM orders ORDER BY id")]
    shop.close()


def test_ranges(face: Face, story: Story) -> None:
    [entry] = files(face, story.brought)
    [part] = face.get(f"{EXPORT}/files/{entry['dataSetFileId']}").json()["data"]
    at, size = part["_links"]["self"]["href"], int(part["length"])
    whole = face.send("GET", at).content
    assert (whole[:4], whole[-4:]) == (b"PAR1", b"PAR1")
    for header, expected in (
        ("bytes=0-3", whole[:4]),
        ("bytes=-4", whole[-4:]),
        (f"bytes=10-{size + 500}", whole[10:]),
        ("bytes=100-", whole[100:]),
    ):
        answer = face.send("GET", at, Range=header)
        assert (answer.status_code, answer.content) == (206, expected)
        first = size - len(expected) if header == "bytes=-4" else int(header[6:].split("-")[0])
        assert answer.headers["content-range"] == f"bytes {first}-{first + len(expected) - 1}/{size}"
    pieces = [face.send("GET", at, Range=f"bytes={n}-{n + 999}").content for n in range(0, size, 1000)]
    assert b"".join(pieces) == whole
    for header in (f"bytes={size}-", f"bytes={size + 5}-{size + 9}", "bytes=-0"):
        answer = face.send("GET", at, Range=header)
        assert (answer.status_code, answer.headers["content-range"]) == (416, f"bytes */{size}")
        assert answer.json()["detail"]
    for header in ("bytes=0-1,5-6", "lines=1-2", "bytes=-", "bytes=5-2", "bytes=x-y", "nonsense"):
        answer = face.send("GET", at, Range=header)
        assert (answer.status_code, answer.content) == (200, whole), header
    head = face.send("HEAD", at)
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(size))
    assert face.send("HEAD", f"{EXPORT}/files/{story.brought}-9?path=x").status_code == 404


@pytest.mark.parametrize(
    "file_id", [f"{NOBODY}-1", "nonsense", "../../etc/passwd", f"{NOBODY}-0", "%00", f"{NOBODY}-1-1"]
)
def test_unknown_files(face: Face, story: Story, file_id: str) -> None:
    assert face.get(f"{EXPORT}/files/{file_id}").status_code == 404
    assert face.get(f"{EXPORT}/files/{file_id}", path="x.parquet").status_code == 404


def test_a_path_is_a_name_in_the_manifest_and_nothing_else(face: Face, story: Story) -> None:
    [entry] = files(face, story.brought)
    [part] = face.get(f"{EXPORT}/files/{entry['dataSetFileId']}").json()["data"]
    for path in ("", "x", "../" + part["name"], f"./{part['name']}", "/etc/passwd", part["name"] + "\0", "%2e%2e/x"):
        answer = face.get(f"{EXPORT}/files/{entry['dataSetFileId']}", path=path)
        assert answer.status_code == 404, path
        assert answer.json()["title"] == "NotFoundError"


def test_replaced_files_are_gone_and_say_so(face: Face, worker: Worker) -> None:
    flow = face.flow(targetConnectionIds=[face.target(face.dataset("Replaced"))])
    first = ended(face, worker, face.run(flow, **EVERYTHING, deltaColumn={"name": "updated_at"}))
    [entry] = files(face, first)
    [part] = face.get(f"{EXPORT}/files/{entry['dataSetFileId']}").json()["data"]
    second = ended(face, worker, face.run(flow, **EVERYTHING))
    assert [entry["isValid"] for entry in files(face, first)] == [False]
    assert [entry["isValid"] for entry in files(face, second)] == [True]
    answer = face.send("GET", part["_links"]["self"]["href"])
    assert answer.status_code == 404
    assert "replaced" in answer.json()["detail"]


def test_batches_without_files(face: Face, story: Story) -> None:
    for id_ in (story.failed, story.cancelled, story.waiting):
        assert files(face, id_) == []
    answer = face.get(f"{EXPORT}/batches/{story.brought}/files", start=1, limit=5).json()
    assert answer == {"data": [], "_page": {"limit": 5, "count": 0}}
    assert face.get(f"{EXPORT}/batches/{story.brought}/files", limit=0).status_code == 400


def test_errors_of_a_batch(face: Face, story: Story) -> None:
    meta = f"{EXPORT}/batches/{story.failed}/meta"
    assert [entry["name"] for entry in face.get(meta).json()["data"]] == [
        "row_errors",
        "input_files",
        "row_errors_sample.json",
    ]
    [entry] = face.get(meta, path="row_errors").json()["data"]
    lines = face.get(meta, path=entry["name"])
    assert len(lines.content) == int(entry["length"])
    [record] = [json.loads(line) for line in lines.text.splitlines()]
    assert "bad.json" in record["_errors"][0]["message"]
    [run] = face.get(f"/runs/{story.failed}").json()["items"]
    sample = run["activities"][-1]["statusSummary"]["extensions"]["manifest"]["sampleErrors"]
    assert face.send("GET", sample).text == lines.text
    assert face.get(meta, path="input_files").json()["data"] == []
    assert face.get(meta, path="row_errors/other.json").status_code == 404
    of_good = f"{EXPORT}/batches/{story.brought}/meta"
    assert [entry["name"] for entry in face.get(of_good).json()["data"]] == ["row_errors", "input_files"]
    assert face.get(of_good, path="row_errors").json()["data"] == []
    assert face.get(f"{EXPORT}/batches/{story.failed}/failed").json()["data"] == []
    assert face.get(f"{EXPORT}/batches/{story.failed}/failed", path="x").status_code == 404


def test_input_files_of_a_batch(face: Face, worker: Worker) -> None:
    for name in ("in-1.csv", "in-2.csv"):
        (face.folder / name).write_text("id,note\n1,a\n2,b\n")
    source = [face.file_source("in-*.csv")]
    target = [face.target(face.dataset("From files"))]
    flow = face.flow(flowSpec={"id": FILES}, sourceConnectionIds=source, targetConnectionIds=target)
    run = ended(face, worker, face.run(flow, **EVERYTHING))
    [item] = face.get(f"/runs/{run}").json()["items"]
    address = item["activities"][-1]["fileSummary"]["extensions"]["manifest"]["fileInfo"]
    assert address == f"{EXPORT}/batches/{run}/meta?path=input_files"
    [entry] = face.send("GET", address).json()["data"]
    lines = face.send("GET", entry["_links"]["self"]["href"])
    assert len(lines.content) == int(entry["length"])
    paths = [json.loads(line)["path"] for line in lines.text.splitlines()]
    assert paths == [str(face.folder / name) for name in ("in-1.csv", "in-2.csv")]


# -- datasets ----------------------------------------------------------------------------------------


def test_preview_is_what_duckdb_reads(face: Face, story: Story) -> None:
    data = face.get(f"{EXPORT}/datasets/{story.dataset}/preview").json()["data"]
    lake = face.get(f"{CATALOG}/dataSets/{story.dataset}").json()[story.dataset]["extensions"]["lake"]
    with duckdb.connect() as connection:
        found = connection.execute("SELECT * FROM read_parquet($1)", [f"{lake['location']}/data/**/*.parquet"])
        expected = [plain(row) for row in found.to_arrow_table().to_pylist()]
    assert len(data) == 50
    assert multiset(tuple(row.items()) for row in data) == multiset(tuple(row.items()) for row in expected)
    assert face.get(f"{EXPORT}/datasets/{face.dataset('Empty')}/preview").json() == {"data": []}


def test_what_a_dataset_says_of_its_table(face: Face, story: Story) -> None:
    at = f"{CATALOG}/dataSets/{story.dataset}"
    item = face.get(at).json()[story.dataset]
    [run] = face.get(f"/runs/{story.brought}").json()["items"]
    house, lake = item["extensions"]["adobe_lakeHouse"], item["extensions"]["lake"]
    assert house["metrics"] == {"rowCount": 50, "storageSize": run["metrics"]["sizeSummary"]["outputBytes"]}
    assert house["tableHealthMetrics"] == {"noOfFilesTotal": 1}
    assert lake["format"] == "iceberg"
    assert lake["snapshotId"] == run["activities"][-1]["statusSummary"]["extensions"]["snapshotId"]
    assert "observableSchema" not in item
    observed = face.get(at, properties="observableSchema").json()[story.dataset]["observableSchema"]["properties"]
    assert observed["id"] == {"title": "id", "type": "integer", "meta:xdmType": "long"}
    assert observed["updated_at"]["format"] == "date-time"
    listed = face.get(f"{CATALOG}/dataSets", property=f"id=={story.dataset}").json()
    assert listed[story.dataset]["extensions"] == item["extensions"]


def test_a_deleted_dataset_leaves_nothing_to_the_next_of_its_name(face: Face, worker: Worker) -> None:
    first = face.dataset("Passing")
    flow = face.flow(targetConnectionIds=[face.target(first)])
    run = ended(face, worker, face.run(flow, **EVERYTHING, deltaColumn={"name": "updated_at"}))
    lake = face.get(f"{CATALOG}/dataSets/{first}").json()[first]["extensions"]["lake"]
    assert face.delete(f"/flows/{flow}").status_code == 204
    assert face.delete(f"{CATALOG}/dataSets/{first}").status_code == 200
    with duckdb.connect() as connection, pytest.raises(duckdb.IOException):
        connection.execute("SELECT * FROM read_parquet($1)", [f"{lake['location']}/data/**/*.parquet"])
    second = face.dataset("Passing")
    assert face.get(f"{EXPORT}/datasets/{second}/preview").json() == {"data": []}
    assert files(face, run) == []


def test_a_reverted_batch_is_inactive_and_its_rows_are_gone(face: Face, worker: Worker) -> None:
    dataset = face.dataset("Reverted")
    flow = face.flow(targetConnectionIds=[face.target(dataset)])
    run = ended(face, worker, face.run(flow, **EVERYTHING, deltaColumn={"name": "updated_at"}))
    at = f"/data/foundation/import/batches/{run}"
    for _ in range(2):
        answer = face.http.post(at, params={"action": "REVERT"}, headers=face.headers)
        assert (answer.status_code, answer.json()[run]["status"]) == (200, "inactive"), answer.text
        assert face.get(f"{EXPORT}/datasets/{dataset}/preview").json() == {"data": []}
    assert [entry["isValid"] for entry in files(face, run)] == [False]
    assert list(face.get(f"{CATALOG}/batches", dataSet=dataset, status="inactive").json()) == [run]
    assert face.get(f"{CATALOG}/batches", dataSet=dataset, status="success").json() == {}
    item = face.get(f"{CATALOG}/dataSets/{dataset}").json()[dataset]
    assert item["lastBatchStatus"] == "inactive"
    assert "lastSuccessfulBatch" not in item
    assert item["extensions"]["adobe_lakeHouse"]["metrics"]["rowCount"] == 0
    [shown] = face.get(f"/runs/{run}").json()["items"]
    summary = shown["metrics"]["statusSummary"]
    assert (summary["status"], summary["extensions"]["batchStatus"]) == ("success", "inactive")
    again = ended(face, worker, face.post("/runs", {"flowId": flow}))  # since the last rows that are there: all
    assert batch(face, again)["recordCount"] == 50
    answer = face.post(f"/runs/{run}/action?op=re-trigger", None)
    assert answer.status_code == 200, answer.text
    assert batch(face, answer.json()["id"])["status"] in ("queued", "loading", "processing", "success")
    assert batch(face, run)["status"] == "inactive"


def test_files_of_an_expired_snapshot_are_listed_while_the_table_has_them_all(face: Face, worker: Worker) -> None:
    dataset = face.dataset("Expired")
    flow = face.flow(targetConnectionIds=[face.target(dataset)])
    lake = Lake(face.settings.warehouse, Retention(1, 86_400.0, face.store.queue.unfinished))
    run = ended(face, worker, face.run(flow, **EVERYTHING, deltaColumn={"name": "updated_at"}))
    [listed] = files(face, run)
    table = lake.find(tuple(face.scoped().run(run).frozen["target"]["table"]))
    assert table is not None
    for _ in range(2):  # empty commits: with the second, what was present before the first expires
        table.overtake(NOBODY, confirm=lambda: None)
    assert snapshot_of(table._refresh(), run) is None

    assert files(face, run) == [listed]
    assert listed["isValid"] is True
    [part] = face.get(f"{EXPORT}/files/{listed['dataSetFileId']}").json()["data"]
    assert face.get(f"{EXPORT}/files/{listed['dataSetFileId']}", path=part["name"]).status_code == 200

    table.revert(run)
    assert files(face, run) == []
    assert face.get(f"{EXPORT}/files/{listed['dataSetFileId']}").status_code == 404
    lake.close()


def test_what_cannot_be_reverted(face: Face, story: Story) -> None:
    def act(id_: str, action: str = "REVERT") -> httpx.Response:
        at = f"/data/foundation/import/batches/{id_}"
        return face.http.post(at, params={"action": action}, headers=face.headers)

    for id_ in (story.failed, story.cancelled, story.waiting):
        refused(act(id_), 400, "FLOW-1422-400")
    for action in ("", "ABORT", "COMPLETE"):
        refused(act(story.brought, action), 400, "CONNECTOR-1401-400")
    refused(act(NOBODY), 404, "FLOW-1439-404")
    other = second_org(face)
    at = f"/data/foundation/import/batches/{story.brought}"
    assert face.http.post(at, params={"action": "REVERT"}, headers=other.headers).status_code == 404
    assert batch(face, story.brought)["status"] == "success"


# -- insights ----------------------------------------------------------------------------------------


def series(face: Face, name: str, dataset: str, **more: Any) -> Json:
    body = {
        "start": "2020-01-01T00:00:00.000Z",
        "end": "2030-01-01T00:00:00.000Z",
        "granularity": "day",
        "metrics": [
            {
                "name": f"timeseries.ingestion.dataset.{name}",
                "filters": [{"name": "dataSetId", "value": dataset, "groupBy": True}],
                "aggregator": "sum",
                "downsample": "sum",
            }
        ],
        **more,
    }
    answer = face.post(METRICS, body)
    assert answer.status_code == 200, answer.text
    [response] = answer.json()["metricResponses"]
    assert response["metric"] == body["metrics"][0]["name"]
    return dict(response)


def test_insights(face: Face, story: Story) -> None:
    size = batch(face, story.brought)["size"]
    for name, expected in (
        ("recordsuccess.count", 50),
        ("batchsuccess.count", 1),
        ("batchfailed.count", 1),
        ("size", size),
        ("dailysize", size),
        ("new.count", 1),
    ):
        for granularity, days in (("DAY", 3000), ("HOUR", 2)):
            start, end = (str(datetime.now(UTC) + timedelta(days=each)) for each in (-days, days))
            response = series(face, name, story.dataset, granularity=granularity, start=start, end=end)
            [point] = response["datapoints"]
            assert point["groupBy"] == {"dataSetId": story.dataset}
            [(moment, value)] = point["dps"].items()
            assert (value, response["granularity"]) == (expected, granularity), name
            assert moment.endswith("T00:00:00Z" if granularity == "DAY" else ":00:00Z")
    assert series(face, "size", "0" * 24)["datapoints"] == []
    assert series(face, "size", f"{story.dataset}|{'0' * 24}")["datapoints"][0]["dps"]
    body = {"start": "2020-01-01", "end": "2021-01-01", "metrics": [{"name": "timeseries.ingestion.dataset.new.count"}]}
    [response] = face.post(METRICS, body).json()["metricResponses"]
    assert response["datapoints"] == [{"groupBy": {}, "dps": {}}]


@pytest.mark.parametrize(
    "changes",
    [
        {"start": None},
        {"start": "soon"},
        {"end": "2000-01-01T00:00:00Z"},
        {"granularity": "MINUTE"},
        {"granularity": "HOUR"},  # too many of them
        {"metrics": []},
        {"metrics": ["x"]},
        {"metrics": [{"name": "timeseries.profiles.count"}]},
        {"metrics": [{"name": "timeseries.ingestion.dataset.size", "aggregator": "median"}]},
        {"metrics": [{"name": "timeseries.ingestion.dataset.size", "filters": [{"name": "x", "value": "y"}]}]},
        {"metrics": [{"name": "timeseries.ingestion.dataset.size", "filters": "x"}]},
    ],
    ids=str,
)
def test_insights_are_refused(face: Face, changes: Json) -> None:
    body = {
        "start": "2020-01-01T00:00:00Z",
        "end": "2030-01-01T00:00:00Z",
        "metrics": [{"name": "timeseries.ingestion.dataset.size"}],
    }
    answer = face.post(METRICS, {**body, **changes})
    refused(answer, 400, answer.json()["type"].removeprefix("https://ns.adobe.com/aep/errors/"))


# -- tenancy -----------------------------------------------------------------------------------------


def test_nothing_of_it_shows_to_others(face: Face, story: Story) -> None:
    [entry] = files(face, story.brought)
    [part] = face.get(f"{EXPORT}/files/{entry['dataSetFileId']}").json()["data"]
    for other in (second_org(face), face.of("dev")):
        assert story.brought not in other.get(f"{CATALOG}/batches", limit=100).json()
        assert other.get(f"{CATALOG}/batches", dataSet=story.dataset).json() == {}
        assert series(other, "recordsuccess.count", story.dataset)["datapoints"] == []
        for mine, missing in (
            (f"{CATALOG}/batches/{story.brought}", f"{CATALOG}/batches/{NOBODY}"),
            (f"{EXPORT}/batches/{story.brought}/files", f"{EXPORT}/batches/{NOBODY}/files"),
            (f"{EXPORT}/batches/{story.failed}/meta", f"{EXPORT}/batches/{NOBODY}/meta"),
            (f"{EXPORT}/batches/{story.failed}/failed", f"{EXPORT}/batches/{NOBODY}/failed"),
            (f"{EXPORT}/files/{story.brought}-1", f"{EXPORT}/files/{NOBODY}-1"),
            (f"{EXPORT}/files/{story.brought}-1?path={part['name']}", f"{EXPORT}/files/{NOBODY}-1?path=x"),
            (f"{EXPORT}/datasets/{story.dataset}/preview", f"{EXPORT}/datasets/{'0' * 24}/preview"),
        ):
            answers = [other.send("GET", path) for path in (mine, missing)]
            assert [answer.status_code for answer in answers] == [404, 404], mine
            told = [answer.json()["detail"] for answer in answers]
            for id_ in (story.brought, story.failed):
                told[0] = told[0].replace(id_, NOBODY)
            assert told[0].replace(story.dataset, "0" * 24) == told[1]


def test_window_of_the_face_is_read_too(face: Face, worker: Worker, story: Story) -> None:
    flow = face.flow(targetConnectionIds=[face.target(face.dataset("Part"))])
    run = ended(face, worker, face.run(flow, **WINDOW, deltaColumn={"name": "updated_at"}))
    expected = batch(face, run)["recordCount"]
    assert 0 < expected < 50
    assert sum(int(entry["records"]) for entry in files(face, run)) == expected


# -- rejected records --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def odd(face: Face) -> str:
    """A source of four orders, one of whose numbers is a word."""
    with sqlite3.connect(face.folder / "shop.db") as database:
        database.execute("CREATE TABLE odd (id INTEGER, updated_at TIMESTAMP)")
        ids = (1, "two", 3, 4)
        database.executemany("INSERT INTO odd VALUES (?, '2024-03-01 12:00:00')", [(id_,) for id_ in ids])
    database.close()
    return face.source(face.connection("odd"), "odd")


@pytest.mark.parametrize(("percent", "status", "landed"), [(25, "success", 3), (24, "failed", 0)])
def test_rejected_records_of_a_batch(
    face: Face, worker: Worker, odd: str, percent: int, status: str, landed: int
) -> None:
    options = {"partialIngestionPercent": percent, "errorDiagnosticsEnabled": True}
    flow = face.flow(sourceConnectionIds=[odd], options=options)
    id_ = ended(face, worker, face.run(flow, **EVERYTHING, deltaColumn={"name": "updated_at"}))
    [run] = face.get(f"/runs/{id_}").json()["items"]
    assert run["metrics"]["statusSummary"]["status"] == status
    item = batch(face, id_)
    assert (item["recordCount"], item["failedRecordCount"]) == (landed, 1)
    assert (item["metrics"]["inputRecordCount"], len(item["errors"])) == (4, 1)
    meta = f"{EXPORT}/batches/{id_}/meta"
    names = [entry["name"] for entry in face.get(meta).json()["data"]]
    assert names == ["row_errors", "input_files", "row_errors_sample.json"]
    [entry] = face.get(meta, path="row_errors").json()["data"]
    assert entry["name"] == "row_errors/conversion_errors_0.json"
    lines = face.get(meta, path=entry["name"])
    assert (lines.headers["content-type"], len(lines.content)) == ("application/octet-stream", int(entry["length"]))
    record = json.loads(lines.text)
    assert (record["id"], record["_filename"]) == ("two", "conversion_errors_0.json")
    [error] = record["_errors"]
    assert (error["code"], error["column"]) == ("CONNECTOR-2001-400", "id")
    for activity in run["activities"]:
        told = activity["statusSummary"]["extensions"]
        assert told["sampleErrors"] == [error]
        assert face.send("GET", told["manifest"]["sampleErrors"]).text == lines.text
        assert face.send("GET", told["manifest"]["failedRecords"]).json()["data"] == [entry]
    failed = f"{EXPORT}/batches/{id_}/failed"
    [entry] = face.get(failed).json()["data"]
    assert face.send("GET", entry["_links"]["self"]["href"]).text == lines.text
    for path in ("conversion_errors_1.json", "../conversion_errors_0.json"):
        assert face.get(failed, path=path).status_code == 404
        assert face.get(meta, path=f"row_errors/{path}").status_code == 404
    assert second_org(face).get(failed).status_code == 404
