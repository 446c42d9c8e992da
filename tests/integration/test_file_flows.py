"""File flows through the engine: windows by last-modified time, repeated and changed."""

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from headgate.model.lake import SOURCE_FILE, SOURCE_MODIFIED
from headgate.model.runs import RunState
from headgate.sources import connection_specs
from tests.deployment import Deployment, at, multiset

LOCAL_FILES = next(spec.id for spec in connection_specs() if spec.name == "local-files")


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    made = Deployment(tmp_path)
    yield made
    made.close()


def _write(path: Path, text: str, modified: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    moment = at(modified) * 1_000_000
    os.utime(path, ns=(moment, moment))


def _flow(deployment: Deployment, folder: Path, format_: str = "delimited", mode: str = "replaceWindow") -> str:
    return deployment.flow(
        LOCAL_FILES, {"folder": str(folder)}, {"path": "in"}, data={"format": format_}, kind="file", mode=mode
    )


def test_each_file_lands_with_the_window_its_time_lies_in(deployment: Deployment, tmp_path: Path) -> None:
    for day in (1, 2, 3):
        _write(tmp_path / "in" / f"{day}.csv", f"n,s\n{day},a\n{day},\n", f"2024-01-0{day}")
    flow = _flow(deployment, tmp_path)
    run = deployment.run(flow, "2024-01-01", "2024-01-03")
    assert run.state is RunState.SUCCESS, run.metrics
    assert multiset(deployment.rows()) == multiset([(1, "a"), (1, None), (2, "a"), (2, None)])
    assert run.metrics["fileSummary"]["inputFileCount"] == 2
    sizes = [(tmp_path / "in" / f"{day}.csv").stat().st_size for day in (1, 2)]
    assert run.metrics["sizeSummary"]["inputBytes"] == sum(sizes)

    deployment.run(flow, "2024-01-02", "2024-01-04")
    assert multiset(deployment.rows()) == multiset([(d, s) for d in (1, 2, 3) for s in ("a", None)])
    provenance = deployment.arrow().select([SOURCE_FILE, SOURCE_MODIFIED]).to_pylist()
    assert {(row[SOURCE_FILE], row[SOURCE_MODIFIED]) for row in provenance} == {
        (str(tmp_path / "in" / f"{day}.csv"), datetime(2024, 1, day, tzinfo=UTC)) for day in (1, 2, 3)
    }


def test_append_takes_the_files_again(deployment: Deployment, tmp_path: Path) -> None:
    _write(tmp_path / "in" / "a.csv", "n\n1\n", "2024-01-01")
    flow = _flow(deployment, tmp_path, mode="append")
    for _ in range(2):
        deployment.run(flow, "2024-01-01", "2024-01-02")
    assert deployment.rows() == [(1,), (1,)]


def test_a_window_without_files_is_a_success_without_rows(deployment: Deployment, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    run = deployment.run(_flow(deployment, tmp_path), "2024-01-01", "2024-01-02")
    assert run.state is RunState.SUCCESS, run.metrics
    assert run.metrics["recordSummary"]["outputRecordCount"] == 0


@pytest.mark.parametrize("format_", ["delimited", "json"])
def test_later_windows_keep_the_types_of_the_first(deployment: Deployment, tmp_path: Path, format_: str) -> None:
    def write(name: str, modified: str, rows: list[dict[str, object]]) -> None:
        if format_ == "json":
            text = "".join(json.dumps(row) + "\n" for row in rows)
        else:
            text = "x,s\n" + "".join(f"{row['x']},{'' if row['s'] is None else row['s']}\n" for row in rows)
        _write(tmp_path / "in" / name, text, modified)

    write("1", "2024-01-01", [{"x": 1.5, "s": "a"}])
    write("2", "2024-01-02", [{"x": 2, "s": "7"}])
    write("3", "2024-01-03", [{"x": 3, "s": None}])
    flow = _flow(deployment, tmp_path, format_)
    for day in (1, 2, 3):
        run = deployment.run(flow, f"2024-01-0{day}", f"2024-01-0{day + 1}")
        assert run.state is RunState.SUCCESS, run.metrics
    assert multiset(deployment.rows()) == multiset([(1.5, "a"), (2.0, "7"), (3.0, None)])


def test_a_value_that_the_table_cannot_hold_fails_the_run_by_name(deployment: Deployment, tmp_path: Path) -> None:
    _write(tmp_path / "in" / "1.csv", "x\n1\n", "2024-01-01")
    _write(tmp_path / "in" / "2.csv", "x\n5\nmany\n", "2024-01-02")
    flow = _flow(deployment, tmp_path)
    deployment.run(flow, "2024-01-01", "2024-01-02")
    run = deployment.run(flow, "2024-01-02", "2024-01-03")
    (error,) = run.metrics["statusSummary"]["errors"]
    assert run.state is RunState.FAILED
    assert error["code"] == "CONNECTOR-2001-400"
    for part in ("2.csv", "'x'", "many"):
        assert part in error["message"]
    assert deployment.rows() == [(1,)]


def test_a_new_column_of_a_file_is_added(deployment: Deployment, tmp_path: Path) -> None:
    _write(tmp_path / "in" / "1.csv", "x\n1\n", "2024-01-01")
    _write(tmp_path / "in" / "2.csv", "x,fresh\n2,3\n", "2024-01-02")
    flow = _flow(deployment, tmp_path)
    deployment.run(flow, "2024-01-01", "2024-01-02")
    run = deployment.run(flow, "2024-01-02", "2024-01-03")
    assert run.metrics["schemaChanges"] == [{"column": "fresh", "change": "added", "type": "long"}]
    assert multiset(deployment.rows()) == multiset([(1, None), (2, 3)])


def test_nested_records_land_as_structs_and_lists(deployment: Deployment, tmp_path: Path) -> None:
    rows = [{"id": n, "o": {"a": n, "B c": {"d": [f"x{n}", None]}}, "l": [{"k": n}]} for n in range(3)]
    _write(tmp_path / "in" / "a.json", "".join(json.dumps(row) + "\n" for row in rows), "2024-01-01")
    flow = _flow(deployment, tmp_path, "json")
    for _ in range(2):
        run = deployment.run(flow, "2024-01-01", "2024-01-02")
        assert run.state is RunState.SUCCESS, run.metrics
    assert multiset(deployment.rows()) == multiset(tuple(row.values()) for row in rows)


@pytest.mark.parametrize(
    "path",
    ["data/keys/local.json", "data/keys", "data/service.json", "data/warehouse", "data/metadata.db", "headgate.toml"],
)
def test_the_services_own_files_are_never_read(
    deployment: Deployment, tmp_path: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where headgate.toml is looked for
    private = tmp_path / path
    private.parent.mkdir(exist_ok=True)
    if private.suffix in (".json", ".toml"):
        private.write_text('{"secret": "canary"}')
    flow = deployment.flow(LOCAL_FILES, {"folder": str(tmp_path)}, {"path": path}, data={"format": "json"}, kind="file")
    run = deployment.run(flow, "2024-01-01", "2030-01-01")
    (error,) = run.metrics["statusSummary"]["errors"]
    assert error["code"] == "CONNECTOR-1002-403"
    assert "belongs to the service itself" in error["message"]


def test_a_search_through_the_data_folder_passes_the_services_own_files_by(
    deployment: Deployment, tmp_path: Path
) -> None:
    _write(tmp_path / "data" / "mine.json", '{"n": 1}\n', "2024-01-01")
    _write(tmp_path / "data" / "keys" / "secret.json", '{"n": 2}\n', "2024-01-01")
    params = {"path": "data", "recursive": True}
    flow = deployment.flow(LOCAL_FILES, {"folder": str(tmp_path)}, params, data={"format": "json"}, kind="file")
    run = deployment.run(flow, "2024-01-01", "2024-01-02")
    assert run.state is RunState.SUCCESS, run.metrics
    assert deployment.rows() == [(1,)]


def test_a_record_with_too_many_fields_is_the_files_fault(deployment: Deployment, tmp_path: Path) -> None:
    _write(tmp_path / "in" / "a.csv", "x;y\n1;2\n3;4,5\n", "2024-01-01")
    run = deployment.run(_flow(deployment, tmp_path), "2024-01-01", "2024-01-02")
    (error,) = run.metrics["statusSummary"]["errors"]
    assert error["code"] == "CONNECTOR-2001-400"
    for part in ("a.csv", "line 3", "columnDelimiter"):
        assert part in error["message"]


@pytest.mark.parametrize("left", [True, False])
def test_a_window_whose_files_are_gone_loses_its_rows_whatever_else_is_there(
    deployment: Deployment, tmp_path: Path, left: bool
) -> None:
    _write(tmp_path / "in" / "1.csv", "x\n1\n", "2024-01-01")
    _write(tmp_path / "in" / "2.csv", "x\n2\n", "2024-01-02")
    flow = _flow(deployment, tmp_path)
    deployment.run(flow, "2024-01-01", "2024-01-02")
    deployment.run(flow, "2024-01-02", "2024-01-03")
    (tmp_path / "in" / "1.csv").unlink()
    if not left:
        (tmp_path / "in" / "2.csv").unlink()
    run = deployment.run(flow, "2024-01-01", "2024-01-02")
    assert run.state is RunState.SUCCESS, run.metrics
    assert deployment.rows() == [(2,)]
    assert run.metrics["recordSummary"]["deletedRecordCount"] == 1
