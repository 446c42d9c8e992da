"""Flows with `partialIngestionPercent`: bad records are left out, counted and told; too many of them fail the run."""

import gzip
import io
import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headgate.engine.tolerance import Tolerance
from headgate.errors import RunCancelled, SourceError, TooManyRejects
from headgate.model.runs import Json, Run, RunState
from headgate.model.windows import Window
from headgate.sources import Selection, connection_specs
from headgate.targets import first_rows, reject_files
from tests.deployment import POSTGRESQL, Deployment, at
from tests.local_files import local_files

SQLITE = next(spec.id for spec in connection_specs() if spec.name == "sqlite")
LOCAL_FILES = next(spec.id for spec in connection_specs() if spec.name == "local-files")
DAY = ("2024-01-01", "2024-01-02")


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    made = Deployment(tmp_path)
    yield made
    made.close()


def ran(deployment: Deployment, flow: str, percent: float | None, *, diagnostics: bool = False) -> Run:
    options: Json = {"errorDiagnosticsEnabled": diagnostics}
    if percent is not None:
        options["partialIngestionPercent"] = percent
    deployment.freeze(flow, options=options)
    return deployment.run(flow, *DAY, "at")


def rejected(deployment: Deployment, run: Run) -> list[Json]:
    """The published records, in the order of their first column."""
    table = deployment.lake.find(("org", "prod", "target"))
    assert table is not None
    lines = [line for file in reject_files.published(table, run.id) for line in file.read_text("utf-8").splitlines()]
    return sorted(map(json.loads, lines), key=lambda record: str(next(iter(record.values()))))


def records(run: Run) -> tuple[int, int, int]:
    """What came in, went out and was left out."""
    summary = run.metrics["recordSummary"]
    return summary["inputRecordCount"], summary["outputRecordCount"], summary["failedRecordCount"]


POSTGRES = {
    "numeric(10,2)": ("1.50", "NaN", "NaN"),
    "date": ("2024-02-29", "infinity", "infinity"),
    "timestamp": ("2024-02-29 01:02:03", "0044-03-15 00:00:00 BC", "0044-03-15 (BC) 00:00:00"),
    "timestamptz": ("2024-02-29 01:02:03+00", "-infinity", "-infinity"),
    "time": ("23:59:59", "24:00:00", "24:00:00"),
    "int[]": ("{1,2}", "{{1,2},{3,4}}", [[1, 2], [3, 4]]),
    "date[]": ("{2024-01-01}", "{infinity}", ["infinity"]),
}


def test_values_of_postgres(deployment: Deployment, database: str) -> None:
    """A row of good values, and for each column one whose only bad value is there."""
    names = [f"v{at}" for at in range(len(POSTGRES))]
    with psycopg.connect(database, autocommit=True) as server:
        columns = ", ".join(f"{name} {type_}" for name, type_ in zip(names, POSTGRES, strict=True))
        server.execute(f"CREATE TABLE odd (id int, at timestamp, {columns}, secret text)")
        good = [value for value, _, _ in POSTGRES.values()]
        for number in range(len(POSTGRES) + 1):
            row = [bad if number == at + 1 else good[at] for at, (_, bad, _) in enumerate(POSTGRES.values())]
            texts = ", ".join(f"'{value}'" for value in row)
            server.execute(f"INSERT INTO odd VALUES ({number}, '2024-01-01', {texts}, 'hidden')")
    selected = [{"name": name} for name in ("id", "at", *names)]
    params = {"tableName": "odd", "columns": selected}
    flow = deployment.flow(POSTGRESQL, {"connectionString": database}, params)
    strict = ran(deployment, flow, None)
    assert (strict.state, records(strict)) == (RunState.FAILED, (0, 0, 0))
    run = ran(deployment, flow, 90)
    assert (run.state, records(run)) == (RunState.SUCCESS, (8, 1, 7))
    assert [row[0] for row in deployment.rows()] == [0]
    for number, (record, (_, _, shown)) in enumerate(zip(rejected(deployment, run), POSTGRES.values(), strict=True), 1):
        name = f"v{number - 1}"
        assert (record["id"], record[name], record["at"][:10]) == (number, shown, "2024-01-01")
        assert {*record} == {"id", "at", *names, "_errors", "_filename"}
        [error] = record["_errors"]
        assert (error["code"], error["column"]) == ("CONNECTOR-2001-400", name)
        assert error["message"].startswith(f'The column "{name}" holds ')
        assert record["_filename"] == "conversion_errors_0.json"


def test_a_declared_decimal_keeps_the_digits_of_what_it_refuses(deployment: Deployment, database: str) -> None:
    with psycopg.connect(database, autocommit=True) as server:
        server.execute("CREATE TABLE odd (at timestamp, v numeric, w numeric(4,2))")
        server.execute("INSERT INTO odd VALUES ('2024-01-01', 1.25, 1), ('2024-01-01', 1.23456789012345678901, 2.50)")
    columns = [{"name": "at"}, {"name": "v", "type": "decimal(10,2)"}, {"name": "w"}]
    flow = deployment.flow(POSTGRESQL, {"connectionString": database}, {"tableName": "odd", "columns": columns})
    run = ran(deployment, flow, 50)
    assert records(run) == (2, 1, 1)
    table = deployment.lake.find(("org", "prod", "target"))
    assert table is not None
    [file] = reject_files.published(table, run.id)
    assert '"v":1.23456789012345678901,"w":2.50' in file.read_text()


@pytest.fixture
def sqlite_flow(deployment: Deployment, tmp_path: Path) -> Callable[[str, list[Any]], str]:
    """Makes a flow from a table `(id INTEGER, at TIMESTAMP, <column>)` with the given values."""

    def make(column: str, values: list[Any]) -> str:
        with sqlite3.connect(tmp_path / "odd.sqlite") as connection:
            connection.execute("DROP TABLE IF EXISTS odd")
            connection.execute(f"CREATE TABLE odd (id INTEGER, at TIMESTAMP, v {column})")
            connection.executemany("INSERT INTO odd VALUES (?, '2024-01-01 00:00:00', ?)", list(enumerate(values)))
        connection.close()
        return deployment.flow(SQLITE, {"path": str(tmp_path / "odd.sqlite")}, {"tableName": "odd"})

    return make


SQLITE_VALUES: dict[str, tuple[Any, Any, str]] = {
    "INTEGER": (5, "five", "five"),
    "TEXT": ("x", b"x", "x"),
    "BOOLEAN": (1, 2, "2"),
    "DATE": ("2024-02-29", "0000-00-00", "0000-00-00"),
    "TIMESTAMP": ("2024-02-29 01:02:03", "2023-02-29 01:02:03", "2023-02-29 01:02:03"),
    "DECIMAL(4,2)": (1.5, 123.5, "123.5"),
    "DECIMAL": (1.5, 2**53 + 1, "9007199254740993"),
    "TIME": ("10:00", "25:00", "25:00"),
}


def test_values_of_sqlite(deployment: Deployment, tmp_path: Path) -> None:
    """A row of good values, and for each column one whose only bad value is there."""
    with sqlite3.connect(tmp_path / "odd.sqlite") as connection:
        columns = ", ".join(f"v{at} {type_}" for at, type_ in enumerate(SQLITE_VALUES))
        connection.execute(f"CREATE TABLE odd (id INTEGER, at TIMESTAMP, {columns})")
        for number in range(len(SQLITE_VALUES) + 1):
            row = [bad if number == at + 1 else good for at, (good, bad, _) in enumerate(SQLITE_VALUES.values())]
            marks = ", ".join("?" for _ in row)
            connection.execute(f"INSERT INTO odd VALUES (?, '2024-01-01 00:00:00', {marks})", [number, *row])
    connection.close()
    flow = deployment.flow(SQLITE, {"path": str(tmp_path / "odd.sqlite")}, {"tableName": "odd"})
    assert ran(deployment, flow, None).state is RunState.FAILED
    run = ran(deployment, flow, 90)
    assert (run.state, records(run)) == (RunState.SUCCESS, (9, 1, 8))
    assert [row[0] for row in deployment.rows()] == [0]
    for number, (record, (_, _, shown)) in enumerate(
        zip(rejected(deployment, run), SQLITE_VALUES.values(), strict=True), 1
    ):
        name = f"v{number - 1}"
        assert (record["id"], record[name], record["_errors"][0]["column"]) == (str(number), shown, name)


def test_text_that_is_not_utf8_is_left_out(deployment: Deployment, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "odd.sqlite") as connection:
        connection.execute("CREATE TABLE odd (id INTEGER, at TIMESTAMP, v TEXT)")
        connection.execute("INSERT INTO odd VALUES (0, '2024-01-01', CAST(x'ff' AS TEXT)), (1, '2024-01-01', 'x')")
    connection.close()
    flow = deployment.flow(SQLITE, {"path": str(tmp_path / "odd.sqlite")}, {"tableName": "odd"})
    run = ran(deployment, flow, 50)
    assert (run.state, records(run)) == (RunState.SUCCESS, (2, 1, 1))
    [record] = rejected(deployment, run)
    assert "X'FF', which is not valid UTF-8" in record["_errors"][0]["message"]
    assert (record["id"], record["v"]) == ("0", "FF")


def test_a_row_outside_the_window_is_neither_brought_nor_rejected(deployment: Deployment, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "odd.sqlite") as connection:
        connection.execute("CREATE TABLE odd (at TIMESTAMP, v INTEGER)")
        connection.execute("INSERT INTO odd VALUES ('2024-01-01T12:00:00', 1), ('2024-01-02T00:00:00', 'bad')")
    connection.close()
    flow = deployment.flow(SQLITE, {"path": str(tmp_path / "odd.sqlite")}, {"tableName": "odd"})
    assert records(ran(deployment, flow, 50)) == (1, 1, 0)


THRESHOLDS = (
    (4, 1, 25, RunState.SUCCESS),
    (4, 1, 24.9, RunState.FAILED),
    (4, 0, 0.001, RunState.SUCCESS),
    (2, 2, 100, RunState.SUCCESS),
    (2, 2, 99, RunState.FAILED),
)


def test_the_threshold(deployment: Deployment, sqlite_flow: Callable[[str, list[Any]], str]) -> None:
    for count, bad, percent, state in THRESHOLDS:
        run = ran(deployment, sqlite_flow("INTEGER", ["bad"] * bad + [7] * (count - bad)), percent)
        landed = count - bad if state is RunState.SUCCESS else 0
        assert (run.state, records(run)) == (state, (count, landed, bad))
        assert run.metrics["recordSummary"]["skippedRecordCount"] == count - bad - landed
        assert len(rejected(deployment, run)) == bad
        errors = run.metrics["statusSummary"].get("errors", [])
        if state is RunState.FAILED:
            assert run.snapshot_id is None
            assert f"{bad} of {count} records were rejected" in errors[0]["message"]
            assert errors[0]["code"] == "CONNECTOR-2001-500"
        elif bad:
            assert [(error["code"], error["recordCount"]) for error in errors] == [("INGEST-1212-400", bad)]
        else:
            assert errors == []


def test_rejected_records_that_cannot_be_written_fail_the_run_by_name(
    deployment: Deployment, sqlite_flow: Callable[[str, list[Any]], str]
) -> None:
    ran(deployment, sqlite_flow("INTEGER", [1]), 50)
    table = deployment.lake.find(("org", "prod", "target"))
    assert table is not None
    (table.location / "rejects").write_text("no folder")
    run = ran(deployment, sqlite_flow("INTEGER", [1, "bad"]), 50)
    assert run.state is RunState.FAILED
    [error] = run.metrics["statusSummary"]["errors"]
    assert "The rejected records of the table org.prod.target cannot be written" in error["message"]


def test_a_share_just_above_the_threshold_does_not_read_as_allowed() -> None:
    with pytest.raises(TooManyRejects, match=r"which is a little more than 50 %; .* allows 50 %"):
        Tolerance(50, diagnostics=False).judge(3001, 2999)
    with pytest.raises(TooManyRejects, match=r"which is 10\.9 %; .* allows 5 %"):
        Tolerance(5, diagnostics=False).judge(11, 90)


def test_diagnostics_show_some_errors_in_the_activities(
    deployment: Deployment, sqlite_flow: Callable[[str, list[Any]], str]
) -> None:
    flow = sqlite_flow("INTEGER", [*(f"bad {number}" for number in range(12)), 1])
    quiet, loud = ran(deployment, flow, 99), ran(deployment, flow, 99, diagnostics=True)
    for run, shown in ((quiet, False), (loud, True)):
        for activity in run.activities:
            told = activity["statusSummary"]["extensions"]
            [error] = told["errors"]
            assert (error["code"], error["recordCount"]) == ("CONNECTOR-2001-400", 12)
            at = f"/data/foundation/export/batches/{run.id}/meta?path="
            sample = {"sampleErrors": f"{at}row_errors_sample.json"} if shown else {}
            assert told["manifest"] == {"failedRecords": f"{at}row_errors", **sample}
            assert [error["column"] for error in told.get("sampleErrors", [])] == ["v"] * (10 if shown else 0)


def test_of_many_rejected_records_a_thousand_are_kept_and_all_counted(
    deployment: Deployment, sqlite_flow: Callable[[str, list[Any]], str]
) -> None:
    flow = sqlite_flow("INTEGER", ["x" * 10_000] * 2500 + [1])
    run = ran(deployment, flow, 100)
    assert records(run) == (2501, 1, 2500)
    kept = rejected(deployment, run)
    assert len(kept) == 1000
    assert {len(record["_corrupt_record"]) for record in kept} == {4000}


# -- files -------------------------------------------------------------------------------------------


@pytest.fixture
def files(deployment: Deployment, tmp_path: Path) -> Callable[..., Run]:
    """Runs a flow over files, given by name and content, that puts up with half of the records being bad."""

    def run(contents: dict[str, bytes], format_: str, percent: float | None = 50, **data: str) -> Run:
        folder = tmp_path / "files"
        folder.mkdir(exist_ok=True)
        for name, content in contents.items():
            (folder / name).write_bytes(content)
        params = {"path": str(folder), "columns": [{"name": "n", "type": "int"}]}
        flow = deployment.flow(LOCAL_FILES, {}, params, data={"format": format_, **data}, kind="file")
        deployment.freeze(flow, options={} if percent is None else {"partialIngestionPercent": percent})
        return deployment.run(flow, "2000-01-01", "2100-01-01")

    return run


def told(deployment: Deployment, run: Run) -> list[tuple[str | None, int | None, str | None, str]]:
    """Of every rejected record: the file's name, the line, the column, and what stood there."""
    return sorted(
        (
            Path(error["file"]).name,
            error.get("line", 0),
            error.get("column", ""),
            record.get("_corrupt_record") or record[error["column"]],
        )
        for record in rejected(deployment, run)
        for error in record["_errors"]
    )


TEXT = (
    b'id,n,text\n1,1,a\n2,x,b\n3,3\n4,4,"two\nlines"\n5,99999999999,"q""q"\n6,6,c,d\n'
    b'7,7,"un"closed\n8,8,\xff\n\n9,"9,z\n10,10,y\n'
)


def test_delimited_text(deployment: Deployment, files: Callable[..., Run]) -> None:
    content = {"a.csv": TEXT, "b.csv": b"id,n,text\n11,11,fine\n"}
    strict = files(content, "delimited", None)
    assert (strict.state, records(strict)[1:]) == (RunState.FAILED, (0, 0))
    run = files(content, "delimited", 70)
    assert (run.state, records(run)) == (RunState.SUCCESS, (11, 4, 7))
    assert sorted(row[:3] for row in deployment.rows()) == [
        (1, 1, "a"),
        (4, 4, "two\nlines"),
        (10, 10, "y"),
        (11, 11, "fine"),
    ]
    assert told(deployment, run) == [
        ("a.csv", 3, "n", "x"),
        ("a.csv", 4, "", "3,3"),
        ("a.csv", 7, "n", "99999999999"),
        ("a.csv", 8, "", "6,6,c,d"),
        ("a.csv", 9, "", '7,7,"un"closed'),
        ("a.csv", 10, "", "8,8,\ufffd"),
        ("a.csv", 12, "", '9,"9,z'),
    ]
    table = deployment.arrow()
    assert {Path(str(name)).name for name in table["_headgate_source_file"].to_pylist()} == {"a.csv", "b.csv"}


def test_delimited_text_in_another_dialect(deployment: Deployment, files: Callable[..., Run]) -> None:
    content = "id|n\n1|é\n2|2\n3\n".encode("latin-1")
    run = files({"a.csv.gz": gzip.compress(content)}, "delimited", 70, columnDelimiter="|", encoding="latin-1")
    assert records(run) == (3, 1, 2)
    assert told(deployment, run) == [("a.csv.gz", 2, "n", "é"), ("a.csv.gz", 4, "", "3")]


def test_no_record_is_lost_between_bad_ones_of_a_large_file(deployment: Deployment, files: Callable[..., Run]) -> None:
    """DuckDB's own way to skip bad lines loses what follows one that lies on a border of eight megabytes."""
    pad = "x" * 400
    lines = (f"{number},{number},{pad}\n" if number % 2 else f"{number},{number}\n" for number in range(50_000))
    run = files({"a.csv": ("id,n,text\n" + "".join(lines)).encode()}, "delimited", 50)
    assert records(run) == (50_000, 25_000, 25_000)
    assert sorted(deployment.arrow()["id"].to_pylist()) == [*range(1, 50_000, 2)]


def test_looking_for_bad_lines_can_be_broken_off(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id\n" + "1\n" * 1000 + "1,2\n")
    files = local_files(tmp_path)
    at_once = []

    @contextmanager
    def breaking(break_off: Callable[[], None]) -> Iterator[None]:
        at_once.append(break_off)
        if len(at_once) == 2:  # DuckDB's look, which the search for the lines follows
            at_once[0]()
        yield

    selection = Selection({"path": "a.csv"}, {"format": "delimited"}, rejecting=True)
    plan = files.plan(selection, Window(0, at("2100-01-01")), None, parallel=1, breaking=breaking)
    with pytest.raises(SourceError, match="broken off"), plan:
        pass
    assert len(at_once) == 2


def test_lines_of_json(deployment: Deployment, files: Callable[..., Run]) -> None:
    content = (
        b'{"id": 1, "n": "1"}\n{"id": 2, "n": "x"}\n{"id": \n[1]\n\n{"id": 5, "n": 5}\n"\xff"\n'
        b'{"id": NaN}\n{"id": 8, "n": null}'
    )
    run = files({"a.json": content}, "json", 70)
    assert (run.state, records(run)) == (RunState.SUCCESS, (8, 3, 5))
    landed = deployment.arrow()
    assert dict(zip(landed["id"].to_pylist(), landed["n"].to_pylist(), strict=True)) == {1: 1, 5: 5, 8: None}
    assert told(deployment, run) == [
        ("a.json", 2, "n", "x"),
        ("a.json", 3, "", '{"id": '),
        ("a.json", 4, "", "[1]"),
        ("a.json", 7, "", '"\ufffd"'),
        ("a.json", 8, "", '{"id": NaN}'),
    ]


def test_a_type_that_the_table_has_makes_a_record_bad(deployment: Deployment, files: Callable[..., Run]) -> None:
    """Types of columns that nobody declares are found in the data, unless the table has them already."""
    for format_, good, odd in (
        ("delimited", b"id,n\n1,1\n", b"id,n\n2,2\nthree,3\n"),
        ("json", b'{"id": 1, "n": 1}', b'{"id": 2, "n": 2}\n{"id": "three", "n": 3}'),
    ):
        assert records(files({"a": good}, format_)) == (1, 1, 0)
        run = files({"a": odd}, format_)
        assert (run.state, records(run)) == (RunState.SUCCESS, (2, 1, 1))
        [record] = rejected(deployment, run)
        assert (record["id"], record["_errors"][0]["column"]) == ("three", "id")


TEXTS: dict[str, tuple[bytes, str, tuple[int, int, int] | str]] = {
    "empty": (b"", "delimited", (0, 0, 0)),
    "a header only": (b"id,n\n", "delimited", (0, 0, 0)),
    "a byte order mark": (b"\xef\xbb\xbfid,n\n1,1\n2\n", "delimited", (2, 1, 1)),
    "lines that end with CR": (b"id,n\r1,1\r2\r3,3\r", "delimited", (3, 2, 1)),
    "lines that end with CR LF": (b"id,n\r\n1,1\r\n2\r\n", "delimited", (2, 1, 1)),
    "no end of the last line": (b"id,n\n1,1\n2,2,2", "delimited", (2, 1, 1)),
    "a field of three megabytes": (b"id,n\n" + b"x" * 3_000_000 + b",1\n2,2\n", "delimited", (2, 1, 1)),
    "a quote that is open to the end": (b'id,n\n"1,1\n2,2\n3,3\n', "delimited", (3, 2, 1)),
    "a quote inside": (b'id,n\n1"a,1\n2\n', "delimited", (2, 1, 1)),
    "NUL": (b"id,n\n\0,1\n2\n", "delimited", (2, 1, 1)),
    "latin-1 for utf-8": (b"id,n\n\xe9,1\nb,2\n", "delimited", (2, 1, 1)),
    "UTF-16": ("id,n\n1,1\n".encode("utf-16"), "delimited", "/files/a: Line 1"),
    "a bad header": (b"id,n\xff\n1,1\n", "delimited", "/files/a, line 1"),
    "columns of one name": (b"id,id\n1,1\n2\n", "delimited", "/files/a has the columns"),
    "JSON, cut off": (b'{"n": 1}\n{"n": 2', "json", (2, 1, 1)),
    "JSON, a scalar": (b'{"n": 1}\n7\n', "json", (2, 1, 1)),
    "JSON, too deep": (b'{"n": 1}\n{"n": ' + b"[" * 20_000 + b"]" * 20_000 + b"}\n", "json", "nested too deeply"),
    "JSON, a line of 20 MB": (b'{"n": 1}\n{"n": "' + b"x" * 20_000_000 + b'"}\n', "json", (2, 1, 1)),
    "JSON, only a scalar": (b"7", "json", "begins with"),
}


def test_odd_texts(deployment: Deployment, files: Callable[..., Run]) -> None:
    found: dict[str, tuple[int, int, int] | str] = {}
    for name, (content, format_, expected) in TEXTS.items():
        run = files({"a": content}, format_, 60)
        found[name] = records(run)
        if isinstance(expected, str):
            message = run.metrics["statusSummary"]["errors"][0]["message"]
            assert run.state is RunState.FAILED
            found[name] = expected if expected in message else message
    assert found == {name: expected for name, (_, _, expected) in TEXTS.items()}


def test_times_of_parquet_that_the_lake_would_cut(deployment: Deployment, files: Callable[..., Run]) -> None:
    instants = [1_000, 1_001, None, 2_000]
    table = pa.table(
        {
            "n": pa.array([1, 2, 3, 4], pa.int32()),
            "t": pa.array(instants, pa.timestamp("ns", "UTC")),
            "u": pa.array([0, 0, 0, 1], pa.time64("ns")),
        }
    )
    content = io.BytesIO()
    pq.write_table(table, content)
    assert files({"a.parquet": content.getvalue()}, "parquet", None).state is RunState.FAILED
    run = files({"a.parquet": content.getvalue()}, "parquet")
    assert (run.state, records(run)) == (RunState.SUCCESS, (4, 2, 2))
    assert deployment.arrow()["n"].to_pylist() == [1, 3]
    bad = {record["n"]: record["_errors"][0] for record in rejected(deployment, run)}
    assert {number: error["column"] for number, error in bad.items()} == {2: "t", 4: "u"}
    assert "holds a time of 1001 nanoseconds" in bad[2]["message"]


def test_a_damaged_file_fails_the_run(deployment: Deployment, files: Callable[..., Run]) -> None:
    for format_, content in (
        ("parquet", b"PAR1 no more"),
        ("delimited", b"\x1f\x8b\x08\x00"),
        ("json", b'[{"id": 1}, {"id":'),
    ):
        run = files({"a.gz" if format_ == "delimited" else "a": content}, format_, 100)
        assert (run.state, records(run)) == (RunState.FAILED, (0, 0, 0))
        (deployment.settings.data.parent / "files" / "a").unlink(missing_ok=True)
        (deployment.settings.data.parent / "files" / "a.gz").unlink(missing_ok=True)


# -- mapping sets ------------------------------------------------------------------------------------


def _field(type_: str, **more: Any) -> Json:
    return {"meta:xdmType": type_, **more}


def test_records_that_a_mapping_cannot_take(deployment: Deployment, tmp_path: Path) -> None:
    """Values in objects and lists too, enumerations, and fields that the schema requires."""
    (tmp_path / "in").mkdir()
    good = {"id": "1", "kind": "a", "items": [{"n": "1"}, {"n": None}], "who": {"name": "x", "age": "7"}}
    lines = [
        good,
        {**good, "id": "two"},
        {**good, "kind": "z"},
        {**good, "items": [{"n": "1"}, {"n": "?"}]},
        {**good, "who": {"name": None, "age": "7"}},
        {**good, "who": {"name": "x", "age": "old"}},
        {**good, "items": None, "who": None},
        {**good, "id": None},
    ]
    (tmp_path / "in" / "a.json").write_text("".join(json.dumps(line) + "\n" for line in lines))
    person = {"type": "object", "required": ["name"], "properties": {"name": _field("string"), "age": _field("int")}}
    item = {"type": "object", "properties": {"n": _field("int")}}
    schema = {
        "type": "object",
        "required": ["id"],
        "properties": {
            "id": _field("int"),
            "kind": _field("string", enum=["a", "b"]),
            "items": {"type": "array", "items": item},
            "who": person,
        },
    }
    mappings = [
        {"sourceType": "ATTRIBUTE", "source": name, "destination": name} for name in ("id", "kind", "items", "who")
    ]
    flow = deployment.flow(
        LOCAL_FILES,
        {},
        {"path": str(tmp_path / "in")},
        data={"format": "json"},
        kind="file",
        mapping={"mappings": mappings, "schema": schema},
    )
    window = ("2000-01-01", "2100-01-01")
    assert deployment.run(flow, *window).state is RunState.FAILED
    deployment.freeze(flow, options={"partialIngestionPercent": 80})
    run = deployment.run(flow, *window)
    assert (run.state, records(run)) == (RunState.SUCCESS, (8, 2, 6))
    table = deployment.lake.find(("org", "prod", "target"))
    assert table is not None
    landed = [{name: row[name] for name in good} for row in first_rows(table, 10)]
    whole = {"id": 1, "kind": "a", "items": [{"n": 1}, {"n": None}], "who": {"name": "x", "age": 7}}
    assert sorted(landed, key=str) == sorted([whole, {**whole, "items": None, "who": None}], key=str)
    bad = [(error["column"], record) for record in rejected(deployment, run) for error in record["_errors"]]
    assert sorted(column for column, _ in bad) == ["id", "id", "items", "kind", "who", "who.name"]
    for column, record in bad:
        [error] = record["_errors"]
        assert error["code"] == "DPMAPPER-3700-400"
        assert f"destination path {column}. " in error["message"]
        assert Path(error["file"]).name == "a.json"
        assert lines[error["line"] - 1] == {name: record[name] for name in good}


def test_records_of_text_that_a_mapping_cannot_take_come_with_their_lines(
    deployment: Deployment, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_text("n,kind\n1,a\n2,z\nthree\n4,b\n")
    schema = {"type": "object", "properties": {"n": _field("int"), "kind": _field("string", enum=["a", "b"])}}
    mappings = [{"sourceType": "ATTRIBUTE", "source": name, "destination": name} for name in ("n", "kind")]
    flow = deployment.flow(
        LOCAL_FILES,
        {},
        {"path": str(tmp_path / "in")},
        data={"format": "delimited"},
        kind="file",
        mapping={"mappings": mappings, "schema": schema},
    )
    deployment.freeze(flow, options={"partialIngestionPercent": 50})
    run = deployment.run(flow, "2000-01-01", "2100-01-01")
    assert records(run) == (4, 2, 2)
    assert told(deployment, run) == [("a.csv", 3, "kind", "z"), ("a.csv", 4, "", "three")]


# -- how it ends -------------------------------------------------------------------------------------


def test_a_successor_reports_what_a_worker_rejected_that_died_after_its_commit(
    deployment: Deployment, sqlite_flow: Callable[[str, list[Any]], str]
) -> None:
    flow = sqlite_flow("INTEGER", ["bad", 1, 2])
    deployment.freeze(flow, options={"partialIngestionPercent": 50})
    run = deployment.enqueue(flow, *DAY, "at")
    dead = deployment.attempt(lease=0.5)
    with dead.lease:
        dead._ingest()
    time.sleep(0.6)
    deployment.attempt().execute()
    finished = deployment.scoped.run(run.id)
    assert (finished.state, records(finished)) == (RunState.SUCCESS, (3, 2, 1))
    assert finished.metrics["statusSummary"]["errors"][0]["code"] == "INGEST-1212-400"
    assert [record["v"] for record in rejected(deployment, finished)] == ["bad"]


def test_a_cancelled_run_leaves_no_rejected_records(
    deployment: Deployment, sqlite_flow: Callable[[str, list[Any]], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = sqlite_flow("INTEGER", ["bad", 1])

    def cancelled(tolerance: Tolerance, rejected: int, good: int) -> None:
        table = deployment.lake.find(("org", "prod", "target"))
        assert table is not None
        assert [*(table.location / "rejects").glob("*/*/*.json")]
        raise RunCancelled

    monkeypatch.setattr(Tolerance, "judge", cancelled)
    run = ran(deployment, flow, 50)
    assert run.state is RunState.CANCELLED
    assert rejected(deployment, run) == []
    table = deployment.lake.find(("org", "prod", "target"))
    assert table is not None
    assert [*(table.location / "rejects").iterdir()] == [*(table.location / "data").iterdir()] == []
