"""The unmodified client `aepp` reads the Catalog, the files of batches and the metrics report."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from aepp import catalog, dataaccess, observability

from tests.integration.face import Face, Json
from tests.integration.lake_story import Story, tell, working

pytestmark = pytest.mark.filterwarnings("ignore")  # the client's own, about its libraries
SCHEMA = "https://ns.example/acme/schemas/9f"


@pytest.fixture(scope="module")
def story(face: Face) -> Iterator[Story]:
    with working(face) as worker:
        yield tell(face, worker)


@pytest.fixture(scope="module")
def at(face: Face) -> Json:
    """What a client object of aepp is made with: a token it need not fetch."""
    known = face.credentials
    return {
        "config": {
            "org_id": known.org_id,
            "client_id": known.client_id,
            "secret": "-",
            "scopes": "any",
            "token": known.access_token,
            "date_limit": 10**12,
            "connectionType": "oauthV2",
            "sandbox": known.sandbox,
            "environment": "prod",
            "retry": 0,
        },
        "header": {"Accept": "application/json", "Content-Type": "application/json", **face.headers},
    }


def of(client: Any, face: Face, at: Json) -> Any:
    """An object of a class of aepp that speaks to the service."""
    made = client(config=dict(at["config"]), header=dict(at["header"]))
    made.endpoint = f"{face.http.base_url}".rstrip("/") + made.endpoint
    return made


def test_datasets(face: Face, at: Json, story: Story) -> None:
    client = of(catalog.Catalog, face, at)
    [made] = client.createDataSet(name="By aepp", schemaId=SCHEMA, profileEnabled=True)
    id_ = made.removeprefix("@/dataSets/")
    [bare] = client.createDataSet(data={"name": "By aepp, bare"})
    everything = client.getDataSets()
    assert {id_, bare.removeprefix("@/dataSets/"), story.dataset} <= set(everything)
    assert client.data.ids["By aepp"] == id_
    assert client.data.table_names["By aepp"] == ["by_aepp"]
    infos = client.data.infos.set_index("id")
    assert infos.loc[story.dataset, "datalake_rows"] == 50
    assert infos.loc[id_, "schemaId"] == SCHEMA
    assert [item["id"] for item in client.getDataSets(output="list", name="By aepp")] == [id_]
    assert list(client.getDataSets(output="df", property="name~^By aepp$").index) == [id_]

    assert client.patchDataset(id_, {"description": "patched"}) == [made]
    client.enableDatasetUpsert(id_)
    client.enableDatasetIdentity(id_)
    client.disableDatasetValidationContext(id_)
    assert client.setDatasetTTL(id_, "P3M") == [made]
    item = client.getDataSet(id_)[id_]
    assert item["description"] == "patched"
    assert item["tags"]["unifiedProfile"] == ["enabled:true", "isUpsert:true"]
    assert item["tags"]["acp_validationContext"] == ["disabled"]
    assert item["extensions"]["adobe_lakeHouse"]["rowExpiration"] == {"ttlValue": "P3M"}
    client.disableDatasetProfile(id_)
    client.disableDatasetIdentity(id_)
    assert client.putDataset(id_, {**item, "name": "By aepp, whole"}) == [made]
    assert client.getDataSet(id_)[id_]["name"] == "By aepp, whole"

    observed = client.getDataSetObservableSchema(story.dataset, appendDatasetInfo=True)
    frame = catalog.ObservableSchemaManager(observed).to_dataframe()
    assert {"id", "updated_at", "total"} <= set(frame["path"])

    assert client.deleteDataSet(id_) == 200
    assert client.getDataSet(id_)["status"] == 404
    assert client.deleteDataSet(story.dataset)["status"] == 400


def test_batches(face: Face, at: Json, story: Story) -> None:
    client = of(catalog.Catalog, face, at)
    four = {story.waiting, story.cancelled, story.failed, story.brought}
    assert set(client.getBatches(dataSet=story.dataset)) == four
    assert set(client.getBatches(limit=3, n_results=10, dataSet=story.dataset)) == four
    frame = client.getBatches(output="dataframe", status="success", dataSet=story.dataset)
    assert list(frame.index) == [story.brought]
    assert client.getBatch(story.brought)[story.brought]["recordCount"] == 50
    assert client.findActiveBatch(story.brought) == story.brought
    assert list(client.getLastBatches(story.dataset, limit=1)) == [story.waiting]
    failed = client.getFailedBatchesDF(dataSet=story.dataset)
    assert list(failed.index) == [story.failed]
    assert failed.loc[story.failed, "dataSetId"] == story.dataset
    assert "bad.json" in failed.loc[story.failed, "errorMessage"][0]
    assert client.getMapperErrors(dataSet=story.dataset).empty


def test_files(face: Face, at: Json, story: Story, tmp_path: Path) -> None:
    client = of(dataaccess.DataAccess, face, at)
    frames = []
    for file in client.getBatchFiles(story.brought):
        for part in client.getFiles(file["dataSetFileId"])["data"]:
            content = client.getFiles(file["dataSetFileId"], path=part["name"])
            assert len(content.getvalue()) == int(part["length"])
            assert client.getHeadFile(file["dataSetFileId"], part["name"]) == {}  # what it gives for a 200
            frames.append(client.transformDataToDataFrame(content))
    assert sorted(pd.concat(frames)["id"]) == list(range(50))
    assert sorted(row["id"] for row in client.getPreview(story.dataset)) == list(range(50))
    names = [entry["name"] for entry in client.getBatchMeta(story.failed, path="row_errors")["data"]]
    record = client.getBatchMeta(story.failed, path=names[0])
    assert "bad.json" in record["_errors"][0]["message"]
    assert client.getBatchFailed(story.failed) == []
    assert client.getBatchFiles(story.failed) == []


def test_metrics(face: Face, at: Json, story: Story) -> None:
    client = of(observability.Observability, face, at)
    asked = {**client.POST_METRICS, "start": "2026-01-01T00:00:00.000Z", "end": "2040-01-01T00:00:00.000Z"}
    asked["metrics"][0]["filters"][0]["value"] = story.dataset
    records, size = client.createMetricsReport(asked)["metricResponses"]
    [point] = records["datapoints"]
    assert point["groupBy"] == {"dataSetId": story.dataset}
    assert list(point["dps"].values()) == [50]
    assert size["datapoints"] == [{"groupBy": {}, "dps": {}}]
