"""What /openapi.json says of the API is held against the API itself, by schemathesis over a socket.

Requests that fit the description, that break it, and chains of them: none may be answered 5xx, and every answer must
be one that is described.
"""

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import httpx

from headgate.client import Client
from tests.acceptance.processes import Deployment, flow

SECONDS = 180  # that it may take on a machine with other things to do
NOT_HELD = (
    "missing_required_header",  # a missing token is 403 in this contract
    "positive_data_acceptance",  # a body that fits the description may still name what does not exist
    "negative_data_rejection",  # the contract demands leniency: unknown members, numbers as text
    "unsupported_method",  # as HEAD, which no answer describes
)


def test_the_api_is_what_it_is_said_to_be(tmp_path: Path) -> None:
    deployment = Deployment(tmp_path)
    with deployment.service():
        known = deployment.credentials()
        headers = {
            "Authorization": f"Bearer {known['accessToken']}",
            "x-api-key": known["apiKey"],
            "x-gw-ims-org-id": known["orgId"],
            "x-sandbox-name": known["sandbox"],
        }
        ids = _known_ids(deployment, tmp_path)
        done = subprocess.run(
            [
                *(
                    sys.executable,
                    "-m",
                    "schemathesis.cli",
                    "--config-file",
                    Path(__file__).with_name("schemathesis.toml"),
                ),
                *("run", f"{known['baseUrl']}/openapi.json"),
                *(f"--header={name}: {value}" for name, value in headers.items()),
                # Every operation has all cases of its coverage, then some that are made up; no clock cuts them off.
                *("--mode=all", "--continue-on-failure", "--max-examples=2", "--seed=1"),
                f"--exclude-checks={','.join(NOT_HELD)}",
            ],
            cwd=tmp_path,
            env=os.environ
            | {"SCHEMATHESIS_HOOKS": str(Path(__file__).with_name("known_ids.py")), "KNOWN_IDS": json.dumps(ids)},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-20_000:]
        assert httpx.get(f"{known['baseUrl']}/health/ready").status_code == 200


def _known_ids(deployment: Deployment, folder: Path) -> dict[str, str]:
    """One of each thing, by the collections and members that name it."""
    with sqlite3.connect(folder / "shop.db") as database:
        database.execute("CREATE TABLE orders (id INTEGER, updated_at TIMESTAMP)")
        database.execute("INSERT INTO orders VALUES (1, '2024-03-01 12:00:00')")
    database.close()
    with Client.of(deployment.credentials()) as client:
        dataset = client.datasets.create("orders")
        made = flow(client, "sqlite", {"path": str(folder / "shop.db")}, params={"tableName": "orders"})
        found = client.flows.get(made)
        run = client.runs.start(made, window=("2024-01-01", "2025-01-01"), delta_column="updated_at").id
        client.runs.get(run).wait(timeout=60)
        [source] = found["inheritedAttributes"]["sourceConnections"]
        target = found["targetConnectionIds"][0]
        spec = source["connectionSpec"]["id"]
        connection, flow_spec = source["baseConnection"]["id"], found["flowSpec"]["id"]
        spec, file = source["connectionSpec"]["id"], f"{run}-0"
        return {
            name: id_
            for names, id_ in (
                ("connections baseConnectionId", connection),
                ("sourceConnections sourceConnectionIds", source["id"]),
                ("targetConnections targetConnectionIds", target),
                ("flows flowId", made),
                ("flowSpecs flowSpec.id", flow_spec),
                ("connectionSpecs connectionSpec.id", spec),
                ("runs batches", run),
                ("files", file),
                ("dataSets datasets dataSetId", dataset),
                ("tableName", "orders"),
            )
            for name in names.split()
        }
