"""The unmodified client `aepp` from the package index, from nothing to rows read back."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import aepp
import pytest
from aepp import accesscontrol, catalog, dataaccess, dataprep, flowservice, observability, sandboxes
from aepp import schema as registry

from headgate.client import Client
from tests.acceptance.processes import Deployment
from tests.aepp_settings import own_settings

pytestmark = pytest.mark.filterwarnings("ignore")  # the client's own, about its libraries

Json = dict[str, Any]
SQLITE = {"id": "6f2d5c0e-7c1b-4d0a-9a53-0b7e4f1c2a11", "version": "1.0"}
TABLES = "14518937-270c-4525-bdec-c2ba7cce3860"
MARCH = {"windowStartTime": "1709251200", "windowEndTime": "1711929600"}


@dataclass
class Walk:
    """What the walk has made on its way."""

    flows: flowservice.FlowService
    address: str
    tenant: str
    schema: Json
    dataset: str
    connection: str
    source: str
    target: str
    mapping: str
    flow: str
    run: str


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def deployment(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Deployment]:
    """A running service with its worker, on each kind of metadata database."""
    folder = tmp_path_factory.mktemp("aepp")
    with sqlite3.connect(folder / "shop.db") as database:
        database.execute("CREATE TABLE orders (id INTEGER, updated_at TIMESTAMP, total DECIMAL(10,2), note TEXT)")
        database.executemany(
            "INSERT INTO orders VALUES (?, ?, ?, ?)",
            [(n, f"2024-{3 + n // 60:02}-{n % 28 + 1:02} 12:00:00", n + 0.25, f"note {n}") for n in range(100)],
        )
    database.close()
    found = Deployment(folder)
    if request.param == "postgresql":
        from tests.conftest import empty_database

        with empty_database(request.getfixturevalue("postgres")) as address:
            found.environment["HEADGATE_METADATA_URL"] = address.replace("postgresql://", "postgresql+psycopg://", 1)
            with found.service():
                yield found
    else:
        with found.service():
            yield found


@pytest.fixture(scope="module")
def walk(deployment: Deployment) -> Iterator[Walk]:
    """The recipe for the client, step by step: schema, dataset, connections, mapping set, flow, run."""
    with own_settings():
        yield _walk(deployment)


def _walk(deployment: Deployment) -> Walk:
    known = deployment.credentials()
    aepp.configure(
        org_id=known["orgId"],
        client_id=known["clientId"],
        secret=known["clientSecret"],
        scopes="any",
        sandbox=known["sandbox"],
    )
    aepp.config.endpoints["global"] = known["baseUrl"]
    aepp.config.config_object["oauthTokenEndpointV2"] = f"{known['baseUrl']}/ims/token/v3"

    schemas = registry.Schema()
    tenant = schemas.getTenantId()
    schema = _schema(schemas, tenant)
    dataset = catalog.Catalog().createDataSet(name="Orders", schemaId=schema["$id"])[0].removeprefix("@/dataSets/")

    flows = flowservice.FlowService()
    auth = {"specName": "Database File", "params": {"path": str(deployment.data.parent / "shop.db")}}
    connection = flows.createConnection(name="shop", connectionSpec=SQLITE, auth=auth)["id"]
    assert flows.connectionTest(connection) == {"result": True}
    source = flows.createSourceConnection(
        {
            "name": "orders",
            "baseConnectionId": connection,
            "connectionSpec": SQLITE,
            "data": {"format": "tabular"},
            "params": {"tableName": "orders"},
        }
    )["id"]
    target = flows.createTargetConnectionDataLake(
        name="to lake", datasetId=dataset, schemaId=schema["$id"], format="parquet_xdm"
    )["id"]
    mapping = dataprep.DataPrep().createMappingSet(
        schemaId=schema["$id"],
        mappingList=[
            {"sourceType": "ATTRIBUTE", "source": name, "destination": f"_{tenant}.{name}"}
            for name in ("id", "updated_at", "total", "note")
        ]
        + [{"sourceType": "STATIC", "source": "shop", "destination": f"_{tenant}.origin"}],
        validate=True,
    )["id"]
    spec = flows.getFlowSpecIdFromNames("CRMToAEP", "sqlite", "datalake")
    assert spec == TABLES
    flow = flows.createFlow(
        spec,
        obj={
            "name": "orders on demand",
            "flowSpec": {"id": spec, "version": "1.0"},
            "sourceConnectionIds": [source],
            "targetConnectionIds": [target],
            "transformations": [{"name": "Mapping", "params": {"mappingId": mapping, "mappingVersion": 0}}],
            "scheduleParams": {"startTime": "1612310466", "frequency": "once"},
        },
    )["id"]
    run = flows.createRun(flow, params={**MARCH, "deltaColumn": {"name": "updated_at"}})
    assert run["items"] == [{"id": run["id"], "etag": run["etag"]}]
    _end(deployment, run["id"])
    return Walk(flows, known["baseUrl"], tenant, schema, dataset, connection, source, target, mapping, flow, run["id"])


def test_the_rows_are_read_back_into_a_frame(walk: Walk) -> None:
    [run] = walk.flows.getRun(walk.run)
    assert run["metrics"]["statusSummary"]["status"] == "success"
    promotion = next(activity for activity in run["activities"] if activity["id"] == "promotionActivity")
    [batch_id] = promotion["targetInfo"][0]["reference"]["ids"]
    batch = catalog.Catalog().getBatch(batch_id)[batch_id]
    assert batch["status"] == "success"
    assert batch["relatedObjects"][0] == {"type": "dataSet", "id": walk.dataset}

    access = dataaccess.DataAccess()
    numbers: list[int] = []
    for file in access.getBatchFiles(batch_id):
        for part in access.getFiles(file["dataSetFileId"])["data"]:
            content = access.getFiles(file["dataSetFileId"], path=part["name"])
            frame = access.transformDataToDataFrame(content)
            rows = [row[f"_{walk.tenant}"] for row in frame.to_dict("records")]
            assert {row["origin"] for row in rows} == {"shop"}
            numbers += [int(row["id"]) for row in rows]
    assert sorted(numbers) == list(range(60))
    assert batch["recordCount"] == 60
    preview = access.getPreview(walk.dataset)
    assert len(preview["data"] if isinstance(preview, dict) else preview) == 60


def test_connections_and_specs(walk: Walk) -> None:
    flows = walk.flows
    assert walk.connection in [item["id"] for item in flows.getConnections(limit=1)]
    assert flows.getConnections(limit=20, count=True) == {"count": 1} or flows.getConnections(n_results=5)
    found = flows.getConnection(walk.connection)
    assert found["auth"]["specName"] == "Database File"
    assert flows.getResource(f"{flows.endpoint}/connections/{walk.connection}")["items"] == [found]
    patched = flows.patchConnection(
        walk.connection, [{"op": "add", "path": "/description", "value": "the shop's database"}]
    )
    assert patched["description"] == "the shop's database"
    assert patched["etag"] != found["etag"]
    specs = flows.getConnectionSpecs()
    assert flows.getConnectionSpecIdFromName("datalake") == "c604ff05-7f1a-43c0-8e18-33bf874cb11c"
    assert len(flows.getConnectionSpecsMap()) == len({spec["name"] for spec in specs})
    assert flows.getConnectionSpec(SQLITE["id"])["name"] == "sqlite"
    spare = flows.createConnection(data={"name": "spare", "connectionSpec": SQLITE, "auth": found["auth"]})
    assert flows.deleteConnection(spare["id"]) == 204
    assert flows.getConnection(spare["id"]) == {}
    for made in (
        flows.createBaseConnectionS3Target("out", "key", "secret"),
        flows.createBaseConnectionBlobTarget("out", "AccountName=a;AccountKey=b"),
        flows.createBaseConnectionDLZTarget("zone"),
    ):
        assert "id" in made or made["report"], made


def test_source_and_target_connections(walk: Walk) -> None:
    flows = walk.flows
    assert [item["id"] for item in flows.getSourceConnections()] == [walk.source]
    assert [item["id"] for item in flows.getTargetConnections()] == [walk.target]
    source, target = flows.getSourceConnection(walk.source), flows.getTargetConnection(walk.target)
    assert source["params"]["tableName"] == "orders"
    assert target["params"]["dataSetId"] == walk.dataset
    renamed = [{"op": "Replace", "path": "/name", "value": "renamed"}]
    assert flows.updateSourceConnection(walk.source, source["etag"], renamed)["id"] == walk.source
    assert flows.updateTargetConnection(walk.target, target["etag"], renamed)["id"] == walk.target
    assert flows.updateTargetConnection(walk.target, target["etag"], renamed)["status"] == 412
    spare = flows.createTargetConnection(
        name="spare", connectionSpecId="c604ff05-7f1a-43c0-8e18-33bf874cb11c", datasetId=walk.dataset
    )
    assert flows.deleteTargetConnection(spare["id"]) == 204
    copied = {key: source[key] for key in ("name", "connectionSpec", "baseConnectionId", "data", "params")}
    assert flows.deleteSourceConnection(flows.createSourceConnection(copied)["id"]) == 204
    assert flows.deleteSourceConnection(walk.source)["report"]["id"] == walk.source


def test_flows_and_runs(walk: Walk, deployment: Deployment) -> None:
    flows = walk.flows
    for listed in (
        flows.getFlows(),
        flows.getFlows(onlySources=True),
        flows.getFlows(prop=f"id=={walk.flow}"),
        flows.getFlows(limit=1, n_results="inf"),
        flows.getFlows(filterMappingSetIds=[walk.mapping]),
        flows.getFlows(filterSourceIds=[walk.source], filterTargetIds=[walk.target]),
    ):
        assert [item["id"] for item in listed] == [walk.flow]
    assert flows.getFlows(onlyDestinations=True) == []
    assert flows.getUPSFlows() == flows.getUISFlows() == []
    flow = flows.getFlow(walk.flow)
    assert flow["transformations"][0] == {"name": "Copy", "params": {"deltaColumn": {"name": "updated_at"}}}
    changed = flows.updateFlow(walk.flow, flow["etag"], [{"op": "Add", "path": "/description", "value": "by hand"}])
    assert changed["description"] == "by hand"
    assert flows.postFlowAction(walk.flow, "disable")["id"] == walk.flow
    assert flows.createRun(walk.flow, params=MARCH)["type"].endswith("FLOW-1444-400")
    assert flows.postFlowAction(walk.flow, "enable")["id"] == walk.flow
    assert {"CRMToAEP", "CloudStorageToAEP"} <= {spec["name"] for spec in flows.getFlowSpecs()}
    assert [spec["id"] for spec in flows.getFlowSpecs("name==CRMToAEP")] == [TABLES]
    assert flows.getFlowSpec(TABLES)["name"] == "CRMToAEP"

    again = flows.createRun(walk.flow, params=MARCH)
    _end(deployment, again["id"])
    since = flows.createRun(walk.flow)  # this client sends no params then
    assert _end(deployment, since["id"])["params"]["windowStartTime"] == 1711929600
    ids = [again["id"], walk.run]
    assert [run["id"] for run in flows.getRuns(prop=[f"flowId=={walk.flow}"])] == [since["id"], *ids]
    assert [run["id"] for run in flows.getRuns(limit=1, prop=[f"flowId=={walk.flow}", "state==success"])][1:] == ids
    started = f"metrics.durationSummary.startedAtUTC>{1000}"
    assert len(flows.getRuns(prop=[f"flowId=={walk.flow}", started])) == 3


def test_a_scheduled_flow_by_the_clients_own_parameters(walk: Walk) -> None:
    flows = walk.flows
    made = flows.createFlow(
        "9753525b-82c7-4dce-8a9b-5ccfce2b9876",
        name="files",
        source_connection_id=flows.createSourceConnection(
            {
                "name": "files",
                "connectionSpec": {"id": "c3a1b7e4-5d92-4f86-8e0b-2a6d91f47c52", "version": "1.0"},
                "data": {"format": "delimited"},
                "params": {"path": "*.csv"},
            }
        )["id"],
        target_connection_id=walk.target,
        schedule_frequency="hour",
        schedule_interval=1,
        schedule_start_time="4000000000",
    )
    assert flows.getFlow(made["id"])["scheduleParams"]["interval"] == "1"
    assert flows.deleteFlow(made["id"]) == 204
    assert flows.getFlow(made["id"]) == {}


def test_what_is_listed_and_does_not_run_is_made_and_told(walk: Walk) -> None:
    flows = walk.flows
    stream = flows.createConnectionStreaming(name="events", sourceId="shop", paramName="events")["id"]
    for made in (
        flows.createConnectionToUPS(name="profiles"),
        flows.createSourceConnectionStreaming(connectionId=stream, name="events"),
        flows.createSourceConnectionDataLandingZone(name="zone", path="/drop/orders.csv"),
        flows.createSourceConnectionDataLake(name="lake", format="parquet", dataset_ids=[walk.dataset]),
        flows.createTargetConnectionDataLandingZone(name="zone", format="json", path="/out"),
        flows.createTargetConnectionDatasetToDataLandingZone(
            name="zone", baseConnectionId=walk.connection, path="/out"
        ),
    ):
        assert set(made) == {"id", "etag"}, made
    assert flows.getExportableDatasets("10440537-2a7b-4583-ac39-ed38d4b848e8") == flows.getExportableDatasetsDLZ() == []
    refused = flows.createFlowStreaming(
        name="events", source_connection_id=stream, target_connection_id=walk.target, datasetId=walk.dataset
    )
    assert refused["flow"]["type"].endswith("CONNECTOR-1385-400")
    assert (
        flows.getUPSFlow(datasetId=walk.dataset) == flows.getUISFlow(datasetId=walk.dataset) == {"error": "not found"}
    )


def test_the_landing_zone(walk: Walk) -> None:
    flows = walk.flows
    name = flows.getLandingZoneContainerName()
    assert flows.getLandingZoneContainer()["containerName"] == flows.getLandingZoneStorageName() == name
    assert flows.getLandingZoneContainerTTL() == flows.getLandingZoneStorageTTL() == 0
    assert flows.getLandingZoneStorageAccountName() == flows.getLandingZoneNamespace()
    assert flows.getLandingZoneSASToken() == ""
    assert flows.exploreLandingZone() == []
    folder = Path(unquote(flows.getLandingZoneSASUri().removeprefix("file://")))
    (folder / "orders.csv").write_text("id,note\n1,dropped\n")
    assert [entry["name"] for entry in flows.exploreLandingZone()] == ["orders.csv"]
    assert flows.getLandingZoneContent(file="orders.csv")["data"] == [{"id": 1, "note": "dropped"}]


def test_the_flow_manager(walk: Walk) -> None:
    found = flowservice.FlowManager(walk.flow)
    assert found.flowType == "source"
    assert found.flowSpec["name"] == "CRMToAEP"
    assert found.connectionInfo["name"] == "sqlite"
    assert found.flowTargetConnection["params"]["datasetName"] == "Orders"
    assert found.flowTargetConnection["data"]["schema"]["name"] == walk.schema["title"]
    assert found.flowMapping["createdDateTS"] > 0
    assert [run["id"] for run in found.getRuns(prop=[f"id=={walk.run}"])] == [walk.run]
    found.updateFlow([{"op": "replace", "path": "/name", "value": "by its manager"}])
    assert walk.flows.getFlow(walk.flow)["name"] == "by its manager"


def test_the_neighbours(walk: Walk) -> None:
    boxes = sandboxes.Sandboxes()
    assert {box["name"] for box in boxes.getSandboxes()} == {"prod", "dev"}
    assert boxes.getSandbox("prod")["isDefault"] is True
    assert {kind["id"] for kind in boxes.getSandboxTypes()} == {"production", "development"}
    assert boxes.createSandbox("fresh", "Fresh", "development")["name"] == "fresh"
    assert boxes.getSandboxId("fresh")
    assert boxes.deleteSandbox("fresh") == 202

    found = catalog.Catalog()
    assert found.getDataSets()[walk.dataset]["schemaRef"]["id"] == walk.schema["$id"]
    assert len(found.getBatches(dataSet=walk.dataset)) >= 1
    assert list(found.getFailedBatchesDF().columns) is not None

    access = accesscontrol.AccessControl()
    assert "manage-sources" in access.getPermissions()["permissions"]
    today = datetime.now(UTC)
    report = observability.Observability().createMetricsReport(
        {
            "start": (today - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "end": (today + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "granularity": "DAY",
            "metrics": [
                {
                    "name": "timeseries.ingestion.dataset.recordsuccess.count",
                    "filters": [{"name": "dataSetId", "value": walk.dataset, "groupBy": True}],
                    "aggregator": "sum",
                }
            ],
        }
    )
    assert "metricResponses" in report, report
    [points] = [metric["datapoints"] for metric in report["metricResponses"]]
    assert sum(value for point in points for value in point["dps"].values()) >= 60


def _schema(schemas: registry.Schema, tenant: str) -> Json:
    """A schema of the tenant's own fields."""
    fields = {"id": "integer", "updated_at": "string", "total": "number", "note": "string", "origin": "string"}
    properties: Json = {name: {"type": kind, "title": name} for name, kind in fields.items()}
    properties["updated_at"]["format"] = "date-time"
    group = schemas.createFieldGroup(
        {
            "title": "Orders",
            "type": "object",
            "meta:intendedToExtend": ["https://ns.adobe.com/xdm/context/profile"],
            "definitions": {
                "customFields": {"properties": {f"_{tenant}": {"type": "object", "properties": properties}}}
            },
            "allOf": [{"$ref": "#/definitions/customFields"}],
        }
    )
    made: Json = schemas.createProfileSchema(name="Orders", fieldGroupIds=[group["$id"]])
    return made


def _end(deployment: Deployment, run_id: str) -> Json:
    with Client.of(deployment.credentials()) as client:
        return dict(client.runs.get(run_id).wait(timeout=60).data)
