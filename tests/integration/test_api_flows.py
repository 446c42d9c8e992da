"""Flows: what they are made of, what is refused, and what they show."""

import hashlib
import threading
from typing import Any

import httpx
import pytest

from tests.integration.face import (
    BASE,
    CATALOG,
    DATALAKE,
    FILES,
    NOBODY,
    SQLITE,
    TABLES,
    Face,
    Json,
    refused,
)

COPY = {"name": "Copy", "params": {"deltaColumn": {"name": "updated_at"}}}
DAILY = {"startTime": 1612310466, "frequency": "day", "interval": 1}


def test_flow_as_it_comes_back(face: Face) -> None:
    connection = face.connection()
    source, target = face.source(connection), face.target()
    schedule = {"startTime": "1612310466", "frequency": "once", "timeUnit": "day"}
    body = face.flow_body(
        sourceConnectionIds=[source],
        targetConnectionIds=[target],
        description="on demand",
        scheduleParams=schedule,
        options={"errorDiagnosticsEnabled": True, "partialIngestionPercent": 5},
        labels=["core/C1"],
        createdBy="somebody",
        etag="mine",
        inheritedAttributes={},
    )
    answer = face.post("/flows", body)
    assert answer.status_code == 201
    made = answer.json()
    assert set(made) == {"id", "etag"}
    assert answer.headers["location"] == f"{BASE}/flows/{made['id']}"
    found = face.get(f"/flows/{made['id']}")
    assert found.headers["etag"] == made["etag"]
    assert found.json()["_links"] == {}
    [item] = found.json()["items"]
    created = item["createdAt"]
    spec = {"id": SQLITE, "version": "1.0"}
    assert item == {
        "id": made["id"],
        "createdAt": created,
        "updatedAt": created,
        "createdBy": "local@headgate",
        "updatedBy": "local@headgate",
        "createdClient": face.credentials.client_id,
        "updatedClient": face.credentials.client_id,
        "sandboxId": item["sandboxId"],
        "sandboxName": "prod",
        "imsOrgId": face.credentials.org_id,
        "name": "orders on demand",
        "description": "on demand",
        "flowSpec": {"id": TABLES, "version": "1.0"},
        "state": "enabled",
        "version": made["etag"],
        "etag": made["etag"],
        "sourceConnectionIds": [source],
        "targetConnectionIds": [target],
        "inheritedAttributes": {
            "properties": {"isSourceFlow": True, "isDestinationFlow": False},
            "sourceConnections": [
                {"id": source, "connectionSpec": spec, "baseConnection": {"id": connection, "connectionSpec": spec}}
            ],
            "targetConnections": [{"id": target, "connectionSpec": {"id": DATALAKE, "version": "1.0"}}],
        },
        "scheduleParams": schedule,
        "transformations": [],
        "options": {"errorDiagnosticsEnabled": True, "partialIngestionPercent": 5},
        "labels": ["core/C1"],
        "runs": f"/runs?property=flowId=={made['id']}",
        "lastOperation": {
            "started": created,
            "updated": created,
            "percentCompleted": 100.0,
            "status": {"value": "completed", "errors": []},
            "ops": [],
            "operation": "create",
        },
    }


def test_flow_on_files(face: Face) -> None:
    [item] = face.get(f"/flows/{face.file_flow()}").json()["items"]
    assert "baseConnection" not in item["inheritedAttributes"]["sourceConnections"][0]


def test_run_carries_a_copy_of_its_source_and_target(face: Face) -> None:
    connection, dataset = face.connection(), face.dataset("Kept")
    source, target = face.source(connection), face.target(dataset, writeMode="append")
    flow = face.flow(sourceConnectionIds=[source], targetConnectionIds=[target])
    run = face.run(flow, deltaColumn={"name": "updated_at"}).json()["id"]
    scope = face.store.tenants.scope(face.credentials.org_id, "prod")
    assert scope is not None
    digest = hashlib.sha256(face.credentials.org_id.encode()).hexdigest()
    organisation = f"{face.credentials.org_id.removesuffix('@AdobeOrg').lower()}_{digest[:8]}"
    assert face.store.scoped(scope).run(run).frozen == {
        "kind": "table",
        "source": {
            "sourceConnectionId": source,
            "connectionId": connection,
            "specId": SQLITE,
            "params": {"tableName": "orders"},
            "data": {"format": "tabular"},
        },
        "target": {
            "targetConnectionId": target,
            "specId": DATALAKE,
            "dataSetId": dataset,
            "table": [organisation, "prod", "kept"],
            "writeMode": "append",
        },
        "options": {},
    }


REFUSED: dict[str, tuple[Json, int, str]] = {
    "no name": ({"name": None}, 400, "CONNECTOR-1304-400"),
    "state given": ({"state": "enabled"}, 400, "FLOW-1410-400"),
    "no flow spec": ({"flowSpec": None}, 400, "CONNECTOR-1304-400"),
    "unknown flow spec": ({"flowSpec": {"id": NOBODY}}, 400, "FLOW-1413-400"),
    "no source": ({"sourceConnectionIds": None}, 400, "CONNECTOR-1320-400"),
    "empty list of sources": ({"sourceConnectionIds": []}, 400, "CONNECTOR-1320-400"),
    "source is null": ({"sourceConnectionIds": [None]}, 400, "CONNECTOR-1320-400"),
    "source is a number": ({"sourceConnectionIds": [7]}, 400, "CONNECTOR-1320-400"),
    "two sources": ({"sourceConnectionIds": [NOBODY, NOBODY]}, 400, "CONNECTOR-1321-400"),
    "sources is a text": ({"sourceConnectionIds": NOBODY}, 400, "CONNECTOR-1321-400"),
    "unknown source": ({"sourceConnectionIds": [NOBODY]}, 404, "FLOW-1439-404"),
    "source without form": ({"sourceConnectionIds": ["x"]}, 404, "FLOW-1439-404"),
    "no target": ({"targetConnectionIds": None}, 400, "CONNECTOR-1320-400"),
    "two targets": ({"targetConnectionIds": [NOBODY, NOBODY]}, 400, "CONNECTOR-1321-400"),
    "unknown target": ({"targetConnectionIds": [NOBODY]}, 404, "FLOW-1439-404"),
    "no schedule": ({"scheduleParams": None}, 400, "CONNECTOR-1317-400"),
    "empty schedule": ({"scheduleParams": {}}, 400, "CONNECTOR-1317-400"),
    "schedule is a text": ({"scheduleParams": "once"}, 400, "CONNECTOR-1312-400"),
    "no frequency": ({"scheduleParams": {"startTime": 1}}, 400, "CONNECTOR-1397-400"),
    "the shape of one client": (
        {"scheduleParams": {"timeUnit": "day", "interval": 0, "startTime": 1}},
        400,
        "CONNECTOR-1397-400",
    ),
    "unknown frequency": ({"scheduleParams": {"startTime": 1, "frequency": "year"}}, 400, "CONNECTOR-1397-400"),
    "frequency is a list": ({"scheduleParams": {"startTime": 1, "frequency": []}}, 400, "CONNECTOR-1397-400"),
    "no start": ({"scheduleParams": {"frequency": "once"}}, 400, "CONNECTOR-1304-400"),
    "start is a word": ({"scheduleParams": {"startTime": "now", "frequency": "once"}}, 400, "CONNECTOR-1340-400"),
    "once with interval": (
        {"scheduleParams": {"startTime": 1, "frequency": "once", "interval": "1"}},
        400,
        "CONNECTOR-1361-400",
    ),
    "once with backfill": (
        {"scheduleParams": {"startTime": 1, "frequency": "once", "backfill": "false"}},
        400,
        "CONNECTOR-1364-400",
    ),
    "day without interval": ({"scheduleParams": {"startTime": 1, "frequency": "day"}}, 400, "CONNECTOR-1362-400"),
    "interval 0": ({"scheduleParams": {**DAILY, "interval": 0}}, 400, "CONNECTOR-1363-400"),
    "interval -1": ({"scheduleParams": {**DAILY, "interval": -1}}, 400, "CONNECTOR-1363-400"),
    "interval is a word": ({"scheduleParams": {**DAILY, "interval": "abc"}}, 400, "CONNECTOR-1363-400"),
    "interval is true": ({"scheduleParams": {**DAILY, "interval": True}}, 400, "CONNECTOR-1363-400"),
    "14 minutes": (
        {"scheduleParams": {"startTime": 1, "frequency": "minute", "interval": "14"}},
        400,
        "CONNECTOR-1363-400",
    ),
    "backfill is a word": ({"scheduleParams": {**DAILY, "backfill": "yes"}}, 400, "CONNECTOR-1312-400"),
    "once with a delta column": ({"transformations": [COPY]}, 400, "CONNECTOR-1369-400"),
    "once with a delta column in small letters": (
        {"transformations": [{**COPY, "name": "copy"}]},
        400,
        "CONNECTOR-1369-400",
    ),
    "scheduled without a delta column": ({"scheduleParams": DAILY}, 400, "CONNECTOR-1367-400"),
    "scheduled with a nameless delta column": (
        {"scheduleParams": DAILY, "transformations": [{"name": "Copy", "params": {"deltaColumn": {}}}]},
        400,
        "CONNECTOR-1304-400",
    ),
    "two copies": ({"scheduleParams": DAILY, "transformations": [COPY, COPY]}, 400, "CONNECTOR-1312-400"),
    "unknown transformation": ({"transformations": [{"name": "Shuffle"}]}, 400, "CONNECTOR-1312-400"),
    "nameless transformation": ({"transformations": [{}]}, 400, "CONNECTOR-1304-400"),
    "transformations is an object": ({"transformations": COPY}, 400, "CONNECTOR-1392-400"),
    "params of a transformation is a list": (
        {"transformations": [{"name": "Copy", "params": [1]}]},
        400,
        "CONNECTOR-1312-400",
    ),
    "unknown mapping": (
        {"transformations": [{"name": "Mapping", "params": {"mappingId": "6f1e", "mappingVersion": 0}}]},
        400,
        "FLOW-1419-400",
    ),
    "labels is a text": ({"labels": "core/C1"}, 400, "CONNECTOR-1312-400"),
    "labels are numbers": ({"labels": [1]}, 400, "CONNECTOR-1312-400"),
    "policy is a list": ({"policy": []}, 400, "CONNECTOR-1312-400"),
    "empty policy": ({"policy": {}}, 400, "FLOW-1431-400"),
    "policy without references": ({"policy": {"enforcementRefs": []}}, 400, "FLOW-1431-400"),
    "policy with an empty reference": ({"policy": {"enforcementRefs": [""]}}, 400, "FLOW-1431-400"),
    "percentage of 0": ({"options": {"partialIngestionPercent": 0}}, 400, "CONNECTOR-1312-400"),
    "percentage of 101": ({"options": {"partialIngestionPercent": 101}}, 400, "CONNECTOR-1312-400"),
    "diagnostics is a text": ({"options": {"errorDiagnosticsEnabled": "yes"}}, 400, "CONNECTOR-1312-400"),
    "table source in a flow on files": ({"flowSpec": {"id": FILES}}, 400, "CONNECTOR-1305-400"),
}


@pytest.mark.parametrize(("changes", "status", "code"), REFUSED.values(), ids=REFUSED.keys())
def test_flow_is_refused(face: Face, changes: Json, status: int, code: str) -> None:
    before = face.get("/flows", count="true").json()
    refused(face.post("/flows", face.flow_body(**changes)), status, code)
    assert face.get("/flows", count="true").json() == before


@pytest.mark.parametrize("interval", [15, "15"])
def test_scheduled_flow_is_kept_as_it_came(face: Face, interval: Any) -> None:
    schedule = {"startTime": "1612310466", "frequency": "minute", "interval": interval, "backfill": "true"}
    flow = face.flow(scheduleParams=schedule, transformations=[COPY])
    [item] = face.get(f"/flows/{flow}").json()["items"]
    assert item["scheduleParams"] == schedule
    assert item["transformations"] == [COPY]


def test_source_that_is_only_listed_cannot_be_run(face: Face) -> None:
    spec = next(
        spec
        for spec in face.get("/connectionSpecs").json()["items"]
        if spec["attributes"]["status"] == "listed"
        and not spec["authSpec"]
        and spec["attributes"]["category"] == "database"
    )
    body = {"name": "s", "connectionSpec": {"id": spec["id"]}, "params": {"tableName": "orders"}}
    source = face.made("/sourceConnections", body)
    refused(face.post("/flows", face.flow_body(sourceConnectionIds=[source])), 400, "CONNECTOR-1385-400")


def test_query_parameters_of_a_creation_are_refused(face: Face) -> None:
    refused(face.post("/flows?expand=true", face.flow_body()), 400, "FLOW-1451-400")
    refused(face.get(f"/flows/{face.flow()}?expand=true"), 400, "FLOW-1451-400")


def test_deleted_flow_is_gone_and_its_runs_stay(face: Face) -> None:
    flow = face.flow()
    run = face.run(flow, deltaColumn={"name": "updated_at"}).json()["id"]
    assert face.delete(f"/flows/{flow}").status_code == 204
    refused(face.get(f"/flows/{flow}"), 404, "FLOW-1439-404")
    refused(face.delete(f"/flows/{flow}"), 404, "FLOW-1439-404")
    refused(face.run(flow), 400, "FLOW-1430-400")
    [kept] = face.get(f"/runs/{run}").json()["items"]
    assert kept["metrics"]["statusSummary"]["status"] == "cancelled"
    assert [item["id"] for item in face.get("/runs", property=f"flowId=={flow}").json()["items"]] == [run]


def test_flow_and_the_deletion_of_its_source_exclude_one_another(face: Face) -> None:
    target = face.target()
    for _ in range(10):
        source = face.source(face.connection())
        body = face.flow_body(sourceConnectionIds=[source], targetConnectionIds=[target])
        answers: dict[str, httpx.Response] = {}
        threads = [
            threading.Thread(target=lambda a=answers, b=body: a.update(flow=face.post("/flows", b))),
            threading.Thread(target=lambda a=answers, s=source: a.update(gone=face.delete(f"/sourceConnections/{s}"))),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted((answers["flow"].status_code, answers["gone"].status_code)) in ([201, 400], [204, 404])


def test_dataset_names_become_table_names_that_are_unique(face: Face) -> None:
    names: list[str] = []

    def make() -> None:
        id_ = face.dataset("Größe & Menge")
        names.append(face.get(f"{CATALOG}/dataSets/{id_}").json()[id_]["tags"]["adobe/pqs/table"][0])

    threads = [threading.Thread(target=make) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(names) == ["gr_e_menge", *(f"gr_e_menge_{number}" for number in range(2, 7))]
