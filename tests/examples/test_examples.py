"""The examples against a real service.

The notebook's cells are run as they are. Airflow, Dagster and Prefect are not installed for the tests: a stand-in calls
the example's functions as the orchestrator would, and what they do with Headgate is real. `make examples` runs them
all by the real ones.
"""

import asyncio
import importlib.util
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import headgate
from tests.integration.face import Face, serving
from tests.integration.lake_story import working

EXAMPLES = Path(__file__).parents[2] / "examples"
DAY = datetime(2024, 3, 5, tzinfo=UTC)
ROWS = 2  # of the shop's orders on that day


@pytest.fixture(scope="module")
def face(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Face]:
    """A service with a worker and the flow `orders`, which the environment names."""
    with serving(tmp_path_factory.mktemp("service"), poll=0.05) as face, working(face):
        with headgate.Client.of(face.credentials.wire(str(face.http.base_url))) as client:
            shop = client.connections.create_for("sqlite", {"path": str(face.folder / "shop.db")}, name="shop")
            client.flows.create_for(shop, name="orders", table="orders", dataset="orders")
        yield face


@pytest.fixture(autouse=True)
def _named(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    known = face.credentials
    monkeypatch.setenv("HEADGATE_URL", str(face.http.base_url))
    monkeypatch.setenv("HEADGATE_ORG", known.org_id)
    monkeypatch.setenv("HEADGATE_CLIENT_ID", known.client_id)
    monkeypatch.setenv("HEADGATE_CLIENT_SECRET", known.client_secret)
    monkeypatch.setenv("SHOP", str(face.folder / "shop.db"))


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Imports an example, with stand-ins for the modules it needs."""

    def imported(name: str, **stands: dict[str, Any]) -> Any:
        for path, members in stands.items():
            module = ModuleType(path.replace("__", "."))
            module.__dict__.update(members)
            monkeypatch.setitem(sys.modules, module.__name__, module)
        spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        found = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(found)
        return found

    return imported


def as_it_is(function: Any = None, **_options: Any) -> Any:
    """A decorator that changes nothing, with or without options."""
    return function if callable(function) else as_it_is


@dataclass
class Given:
    """What an orchestrator's object was made with."""

    metadata: Any = None
    options: Any = None


def test_the_notebook_runs_from_its_first_cell_to_its_last(capsys: pytest.CaptureFixture[str]) -> None:
    notebook = json.loads((EXAMPLES / "notebook.ipynb").read_text())
    names: dict[str, Any] = {}
    values = []
    for cell in notebook["cells"]:
        assert cell.get("outputs", []) == []  # it is kept without what it once showed
        if cell["cell_type"] == "code":
            *lines, last = "".join(cell["source"]).splitlines()
            try:
                shown = compile(last, "cell", "eval")
            except SyntaxError:  # no expression: nothing is shown
                lines, shown = [*lines, last], compile("None", "cell", "eval")
            exec("\n".join(lines), names)  # noqa: S102 - the notebook is ours
            values.append(eval(shown, names))  # noqa: S307
    names["client"].close()
    tables, seen, rows, landed = (value for value in values if value is not None)
    assert (tables, [row["id"] for row in seen], rows) == (["orders"], [0, 1, 2], 50)
    assert {"id", "updated_at"} <= set(landed[0])
    assert "Done: 50 records landed" in capsys.readouterr().out


def test_airflow_takes_the_interval_of_its_run(example: Callable[..., Any]) -> None:
    context = {
        "data_interval_start": DAY,
        "data_interval_end": DAY + timedelta(days=1),
        "run_id": "scheduled",
        "ti": SimpleNamespace(try_number=1),
    }
    module = example(
        "airflow_dag",
        airflow={},
        airflow__sdk={"dag": as_it_is, "task": as_it_is, "get_current_context": lambda: context},
        airflow__timetables={},
        airflow__timetables__interval={"CronDataIntervalTimetable": lambda *given, **options: Given(given, options)},
    )  # which calls the DAG as it is read
    assert module.ingest("orders") == ROWS
    with headgate.Client.from_environment() as client:
        assert len(list(client.runs.list(flow="orders"))) == 1  # the same try found its run again


def test_dagster_takes_the_day_of_the_partition(example: Callable[..., Any]) -> None:
    module = example(
        "dagster_assets",
        dagster={
            "asset": as_it_is,
            "AssetExecutionContext": SimpleNamespace,
            "DailyPartitionsDefinition": lambda start_date: Given(start_date),
            "Definitions": lambda assets: Given(assets),
            "MaterializeResult": Given,
            "RetryPolicy": lambda **options: Given(options),
        },
    )
    logged: list[str] = []
    context = SimpleNamespace(
        partition_time_window=SimpleNamespace(start=DAY, end=DAY + timedelta(days=1)),
        run_id="materialize",
        retry_number=0,
        log=SimpleNamespace(info=logged.append),
    )
    assert module.orders(context).metadata["dagster/row_count"] == ROWS
    assert logged[-1].startswith(f"Done: {ROWS} records landed")


def test_prefect_takes_days_side_by_side(example: Callable[..., Any], capsys: pytest.CaptureFixture[str]) -> None:
    module = example("prefect_flow", prefect={"flow": as_it_is, "task": as_it_is})
    assert asyncio.run(module.orders(DAY, 3)) == 3 * ROWS
    assert "07 March: success, 2 rows" in capsys.readouterr().out
