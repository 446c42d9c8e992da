"""Processes that commit to the same tables at the same time: each run lands once, whoever dies."""

import json
import os
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.lake_tables import Ingest, held, manifests, summaries

ROOT = Path(__file__).parents[2]
Runs = list[tuple[str, str]]


@pytest.mark.parametrize("tables", [("one",), ("one", "two", "three")], ids=["one table", "three tables"])
def test_every_run_lands_once(tmp_path: Path, tables: tuple[str, ...]) -> None:
    first, second, third = ([_run(tables, number) for number in range(8)] for _ in range(3))
    processes = [_committer(tmp_path, runs) for runs in (first, second, third, third)]  # a zombie and its successor
    landed = _answers(processes)

    snapshots: dict[str, set[int]] = {}
    for run_id, snapshot_id in landed:
        snapshots.setdefault(run_id, set()).add(snapshot_id)
    assert len(snapshots) == 24
    assert all(len(found) == 1 for found in snapshots.values())  # both of the last two name the same
    for name in tables:
        expected = [run_id for at, run_id in (*first, *second, *third) if at == name]
        _holds_once(tmp_path, name, expected)


def test_every_window_is_replaced_once(tmp_path: Path) -> None:
    runs = [[_run(("one",), 0) for _ in range(8)] for _ in range(3)]
    flows = [str(uuid.uuid4()) for _ in runs]
    _answers([_committer(tmp_path, each, flow, replacing=True) for each, flow in zip(runs, flows, strict=True)])
    ingest = Ingest(tmp_path / "warehouse", ("org", "prod", "one"))
    rows = held(ingest.table)
    ingest.close()
    # A run's second row is replaced by the next one's first, but for the last.
    assert sorted(name for _, name in rows) == sorted(
        [run_id for each in runs for _, run_id in each] + [each[-1][1] for each in runs]
    )


@pytest.mark.parametrize("point", ["commit.before", "commit.after_catalog"])
def test_who_dies_is_succeeded(tmp_path: Path, point: str) -> None:
    first, second = ([_run(("one",), 0) for _ in range(6)] for _ in range(2))
    dying = _committer(tmp_path, first, faults=f"{point}:kill@3")
    _answers([dying, _committer(tmp_path, second)], dying=(dying,))
    _answers([_committer(tmp_path, first)])
    _holds_once(tmp_path, "one", [run_id for _, run_id in (*first, *second)])


# -- processes -------------------------------------------------------------------------------------


def _run(tables: Sequence[str], number: int) -> tuple[str, str]:
    return tables[number % len(tables)], str(uuid.uuid4())


def _committer(
    folder: Path, runs: Runs, flow: str = "flow", *, replacing: bool = False, faults: str = ""
) -> "subprocess.Popen[str]":
    asked = {"warehouse": str(folder / "warehouse"), "flow": flow, "replacing": replacing, "runs": runs}
    return subprocess.Popen(
        [sys.executable, "-m", "tests.committer", json.dumps(asked)],
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}",
            "HEADGATE_FAULTS": faults,
            "HEADGATE_FAULTS_MEANT": "yes",
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _answers(
    processes: "Sequence[subprocess.Popen[str]]", dying: "Sequence[subprocess.Popen[str]]" = ()
) -> list[tuple[str, int]]:
    """What the processes answer, all begun at the same time and ended."""
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    try:
        outputs = [process.communicate(timeout=120) for process in processes]
    finally:
        for process in processes:
            process.kill()
    answers: list[Any] = []
    for process, (out, problem) in zip(processes, outputs, strict=True):
        assert (process.returncode == 0) is (process not in dying), problem
        answers += [json.loads(line) for line in out.splitlines() if line.startswith("[")]
    return answers


def _holds_once(folder: Path, name: str, runs: Sequence[str]) -> None:
    """That the table has the two rows of each run once, a snapshot of each, and no file besides."""
    ingest = Ingest(folder / "warehouse", ("org", "prod", name))
    table = ingest.table
    ingest.close()
    assert Counter(run_id for _, run_id in held(table)) == Counter(runs) + Counter(runs)
    brought = Counter(summary["headgate.run-id"] for summary in summaries(table))
    assert max(brought.values()) == 1
    assert set(brought) <= set(runs)
    io = table.iceberg.io
    listed = {entry.data_file.file_path for each in manifests(table) for entry in each.fetch_manifest_entry(io)}
    assert {f"file://{path}" for path in (table.location / "data").glob("**/*.parquet")} == listed
