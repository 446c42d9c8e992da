"""`headgate runs` and `headgate backfill`, beside a service and, where runs are to end, a worker."""

import json
from collections.abc import Iterator

import pyarrow.parquet as pq
import pytest

from headgate.service.working import working
from headgate.telemetry import hushed
from tests.integration.commanding import Commands
from tests.integration.face import Face, serving

MARCH = ("--from", "2024-03-01", "--to", "2024-03-05")


@pytest.fixture(scope="module")
def face(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Face]:
    with serving(tmp_path_factory.mktemp("runs"), poll=0.05) as face:
        yield face


@pytest.fixture(scope="module")
def headgate(face: Face) -> Commands:
    return Commands(face)


def test_a_run_is_told_of_before_while_and_after(face: Face, headgate: Commands) -> None:
    flow = face.flow(name="told of")
    told = headgate("runs", "start", "told of", *MARCH, "--delta-column", "updated_at", "--dry-run")
    assert "rows      8 (counted)" in told
    assert headgate.json("runs", "estimate", "told of", *MARCH)["deltaColumn"]["name"] == "updated_at"
    assert headgate.json("runs", "list", "--flow", "told of") == []
    with hushed(), working(face.settings):
        run = headgate("runs", "start", "told of", *MARCH, "--delta-column", "updated_at", "--wait", "-o", "id").strip()
    assert [span["state"] for span in headgate.json("flows", "windows", "told of", *MARCH)["items"]] == ["ingested"]
    [file] = headgate("batches", "download", run, "--into", str(face.folder / "brought")).splitlines()
    assert pq.read_table(file).num_rows == 8
    assert "there already" in headgate("batches", "download", run, "--into", str(face.folder / "brought"), code=2)
    assert headgate("batches", "errors", run) == ""
    again = headgate("runs", "start", flow, *MARCH, "--key", "k", "-o", "id").strip()
    lines = headgate("runs", "logs", run).splitlines()
    assert "for the window [2024-03-01T00:00:00" in lines[0]
    assert headgate("runs", "logs", run, "--follow").splitlines() == lines
    events = [json.loads(line) for line in headgate("runs", "events", run).splitlines()]
    assert {event["event"] for event in events} >= {"run", "log", "done"}
    assert events[-1]["data"] == {"id": run, "state": "success"}
    assert headgate.json("runs", "show", run, "--details")["details"]["attempts"]
    headgate("runs", "cancel", again)
    assert again in headgate("runs", "list", "--state", "cancelled", "--since", "-1h", "-o", "id")
    assert headgate("runs", "list", "--since", "tomorrow", "-o", "id") == ""
    assert "headgate: " in headgate("runs", "retry", again, code=2)  # only what failed is repeated
    since = headgate("runs", "start", flow, "-o", "id").strip()
    assert headgate.json("runs", "show", since)["params"]["windowStartTime"] == 1709596800  # where the success ended
    [dataset] = headgate.json("datasets", "list")
    assert "updated_at" in headgate("datasets", "schema", dataset["id"])
    assert run in headgate("datasets", "snapshots", dataset["id"])
    assert len(headgate.json("datasets", "preview", dataset["id"], "--limit", "3")) == 3


def test_a_run_that_finds_nothing_says_why_that_may_be(face: Face, headgate: Commands) -> None:
    face.flow(name="empty")
    ahead = headgate.whole(
        "runs", "start", "empty", "--from", "2100-01-01", "--to", "2100-01-02", "--delta-column", "id"
    )
    assert "Note: the window lies in the future, from 2100-01-01T00:00:00Z on" in ahead.stderr
    with hushed(), working(face.settings):
        command = ("runs", "start", "empty", "--from", "2020-01-01", "--to", "2020-01-02", "--wait")
        assert "Note: nothing was found in [2020-01-01" in headgate.whole(*command).stderr
        assert "nothing was found" not in headgate.whole(*command, "--quiet").stderr


def test_what_is_refused_is_told_in_the_words_that_were_typed(face: Face, headgate: Commands) -> None:
    face.flow(name="ordered")
    reversed_ = headgate("runs", "start", "ordered", "--from", "2026-02-01", "--to", "2026-01-01", code=2)
    assert reversed_ == "headgate: --to 2026-01-01T00:00:00Z is before --from 2026-02-01T00:00:00Z.\n"
    assert "by --delta-column." in headgate("runs", "start", "ordered", *MARCH, code=2)
    assert "There is no flow 'orderd' in this sandbox. Did you mean ordered?" in headgate(
        "runs", "start", "orderd", *MARCH, code=3
    )
    assert "`headgate datasets list` shows" in headgate("datasets", "show", "zzz", code=3)


def test_the_same_request_under_one_key_is_one_run(face: Face, headgate: Commands) -> None:
    command = ["runs", "start", face.flow(name="keyed"), *MARCH, "--delta-column", "updated_at", "--key", "once"]
    command += ["-o", "id"]
    assert headgate(*command) == headgate(*command)


def test_progress_is_lines_of_json_for_programs(face: Face, headgate: Commands) -> None:
    run = face.run(face.flow(name="watched"), deltaColumn={"name": "updated_at"}).json()["id"]
    done = headgate.whole("runs", "wait", run, "--timeout", "0.2", "--progress", "json")
    assert done.exit_code == 124
    first = json.loads(done.stderr.splitlines()[0])
    assert (first["run"], first["rows"], first["ended"]) == (run, 0, False)


def test_a_backfill_is_one_run_for_each_slice(face: Face, headgate: Commands) -> None:
    flow = face.flow(name="back")
    command = ("backfill", "back", *MARCH)
    assert len(headgate.json(*command, "--dry-run")) == 4
    assert "--yes" in headgate(*command, code=2)
    assert headgate.json("runs", "list", "--flow", flow) == []
    first = ("backfill", "back", "--from", "2024-03-02", "--to", "2024-03-03", "--delta-column", "updated_at")
    with hushed(), working(face.settings):
        headgate(*first, "--yes", "--wait")
        runs = headgate.json(*command, "--missing", "--yes", "--wait")
    assert [int(run["params"]["windowStartTime"]) for run in runs] == [1709251200, 1709424000, 1709510400]
    assert {run["metrics"]["recordSummary"]["outputRecordCount"] for run in runs} == {2}
    assert headgate("backfill", "back", *MARCH, "--every", "12h", "--missing", "--yes") == ""  # all is there
    states = [each["states"] for each in headgate.json("backfill", "back", *MARCH, "--every", "2d", "--dry-run")]
    assert states == [["ingested"], ["ingested"]]
    ahead = headgate.whole("backfill", "back", "--from", "2100-01-01", "--to", "2100-01-03", "--dry-run")
    assert "Note: 2 of 2 windows reach into the future, from 2100-01-01T00:00:00Z on" in ahead.stderr
    assert "is no length of time" in headgate(*command, "--every", "monthly", code=2)
    assert "is not after" in headgate("backfill", "back", "--from", "today", "--to", "yesterday", code=2)
