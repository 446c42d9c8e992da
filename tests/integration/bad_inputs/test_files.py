"""The rows of the table that are files or deployments of their own. A run that fails leaves no row, and says why."""

import threading
from pathlib import Path

import pytest

from headgate.sources.files import packing
from tests.integration.bad_inputs.cases import Deployment, Files, ended, held
from tests.integration.bad_inputs.table import TABLE
from tests.integration.face import FILES, LOCAL_FILES, Face

EVER = {"windowStartTime": 0, "windowEndTime": 4_000_000_000}


@pytest.fixture(scope="module")
def metadata() -> str:
    """The embedded default alone: where metadata lie makes no difference to a file."""
    return ""


@pytest.mark.parametrize("case", [case for case in TABLE if isinstance(case, Files)], ids=str)
def test_files(working: Face, case: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "_MOST_BYTES", 1 << 20)
    folder = working.folder / f"{case.row}-{abs(hash(case.what))}"
    folder.mkdir()
    if callable(case.files):
        case.files(folder)
    else:
        for name, content in case.files.items():
            (folder / name).write_bytes(content)
    source = {
        "name": case.what,
        "connectionSpec": {"id": LOCAL_FILES},
        "data": {"format": case.format, **case.data},
        "params": {"path": str(folder), "type": "folder"},
    }
    made = working.made("/sourceConnections", source)
    flow = working.flow(flowSpec={"id": FILES}, sourceConnectionIds=[made])
    answer = working.post("/runs", {"flowId": flow, "params": EVER})
    assert answer.status_code == 201, answer.text
    run = ended(working, answer.json()["id"])
    status, _, wanted = case.expect.partition(" ")
    told = run["metrics"]["statusSummary"]
    assert told["status"] == status, told
    if status == "success":
        assert run["metrics"]["recordSummary"]["outputRecordCount"] == int(wanted)
    else:
        [error] = told["errors"]
        assert wanted in ("*", error["code"]), error
        assert "Traceback" not in error["message"]
        assert run["metrics"]["recordSummary"].get("outputRecordCount", 0) == 0
    assert threading.active_count() < 200


@pytest.mark.parametrize("case", [case for case in TABLE if isinstance(case, Deployment)], ids=str)
def test_deployment(tmp_path: Path, case: Deployment) -> None:
    for answer, expect in zip(case.play(tmp_path), case.expect.split(", "), strict=True):
        held(answer, expect)
