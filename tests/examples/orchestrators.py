"""The examples by real orchestrators, each in an environment of its own that is thrown away.

    make examples         (python -m tests.examples.orchestrators [airflow dagster notebook prefect])

Installs each from the package index, which takes some minutes; so the ordinary tests do not.
"""

import json
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

import headgate
from tests.acceptance.processes import Deployment
from tests.integration.face import _make_shop

ROOT = Path(__file__).parents[2]
LONGEST = 300  # seconds, of an installation and of a run
DAY = "datetime(2024, 3, 5, tzinfo=UTC)"

# What to install, and what prints ROWS and their number when it has run the example.
AIRFLOW = f"""
import subprocess, sys
from datetime import UTC, datetime, timedelta
for command in (["db", "migrate"], ["dags", "reserialize"]):
    subprocess.run([f"{{sys.prefix}}/bin/airflow", *command], check=True, stdout=subprocess.DEVNULL)
from airflow_dag import orders_by_day
run = orders_by_day.test(run_after={DAY} + timedelta(days=1), logical_date={DAY})
[task] = run.get_task_instances()
print("ROWS", task.xcom_pull(task_ids="ingest"))
"""
DAGSTER = """
import dagster
from dagster_assets import orders
done = dagster.materialize([orders], partition_key="2024-03-05")
print("ROWS", done.asset_materializations_for_node("orders")[0].metadata["dagster/row_count"].value)
"""
PREFECT = f"""
import asyncio
from datetime import UTC, datetime
from prefect_flow import orders
print("ROWS", asyncio.run(orders({DAY}, 1)))
"""
NOTEBOOK = f"""
import nbformat
from nbclient import NotebookClient
notebook = nbformat.read("{ROOT / "examples/notebook.ipynb"}", 4)
nbformat.validate(notebook)
NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
[rows] = [out["data"]["text/plain"] for out in notebook.cells[-2]["outputs"]]
print("ROWS", rows)
"""
ALL = {
    "airflow": (["apache-airflow"], AIRFLOW, 2),
    "dagster": (["dagster", "httpx"], DAGSTER, 2),
    "notebook": (["nbclient", "nbformat", "ipykernel", "httpx"], NOTEBOOK, 50),
    "prefect": (["prefect"], PREFECT, 2),
}


def main(*names: str) -> int:
    """Run the examples of these names, or all; how many did not do what they should."""
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="headgate-examples-") as text:
        folder = Path(text)
        _make_shop(folder / "shop.db")
        deployment = Deployment(folder)
        with deployment.service():
            known = deployment.credentials()
            with headgate.Client.of(known) as client:
                shop = client.connections.create_for("sqlite", {"path": str(folder / "shop.db")}, name="shop")
                client.flows.create_for(shop, name="orders", table="orders", dataset="orders")
            for name in names or ALL:
                packages, code, rows = ALL[name]
                told = _run(folder / name, packages, code, known)
                right = f"ROWS {rows}" in told.splitlines()
                wrong += not right
                print(f"{name}: {'ran' if right else 'DID NOT RUN'}", "" if right else told[-3000:], flush=True)
    return wrong


def _run(folder: Path, packages: list[str], code: str, known: dict[str, str]) -> str:
    """What an example says, run in a new environment with these packages; or why it could not be."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    named = {"URL": "baseUrl", "ORG": "orgId", "CLIENT_ID": "clientId", "CLIENT_SECRET": "clientSecret"}
    environment = {
        **os.environ,
        **{f"HEADGATE_{name}": known[member] for name, member in named.items()},
        "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT / "examples"))),
        "SHOP": str(folder.parent / "shop.db"),
        "AIRFLOW_HOME": str(folder / "home"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "examples"),
        "PREFECT_HOME": str(folder / "home"),
    }
    try:
        for command in (["-m", "pip", "install", "--quiet", *packages], ["-c", code]):
            done = subprocess.run(
                [python, *command], env=environment, capture_output=True, text=True, timeout=LONGEST, check=False
            )
            if done.returncode:
                return done.stdout + done.stderr
    except subprocess.TimeoutExpired as error:
        return json.dumps(str(error))
    return done.stdout


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
