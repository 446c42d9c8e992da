"""Taps of Singer and connectors of Airbyte, by a script that does what a test tells it, good or bad."""

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import suppress
from dataclasses import fields
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import psutil
import pytest

from headgate import dataplane
from headgate.config import Settings
from headgate.errors import (
    BadParameter,
    HeadgateError,
    SourceAccessDenied,
    SourceError,
    SourceObjectMissing,
    SourceUnreachable,
    UnholdableValue,
)
from headgate.model.runs import RunState
from headgate.model.scope import Tenancy
from headgate.model.windows import DeltaColumn
from headgate.sources import child, open_source, sweep_copies
from headgate.sources.child import process, reader
from tests.connectors.programs import SPECS, left, opened, registered
from tests.deployment import Deployment
from tests.integration.face import serving
from tests.sql_tables import WHOLE, read, read_rejecting, selection, window

SECRET = "t0p-s3cret of the connector"
NOTHING: dict[str, list[Any]] = {"processes": [], "folders": []}
SPAN = window("2024-01-01T10:00:00", "2024-01-01T12:00:00")
FIRST = datetime(2024, 1, 1, 10, tzinfo=UTC)
EVENTS = selection("events")
BOTH = pytest.mark.parametrize("protocol", ["singer", "airbyte"])
RECORDS: list[dict[str, Any]] = [
    {"id": 1, "at": "2024-01-01T09:59:59.999999Z"},
    {"id": 2, "at": "2024-01-01T10:00:00Z", "price": 0.1, "tags": ["a"], "who": {"name": "é", "more": 1}, "any": [1.5]},
    {"id": 3, "at": "2024-01-01T13:59:59.999999+02:00", "price": 12345678901234567.89, "any": "text"},
    {"id": 4, "at": "2024-01-01T12:00:00Z"},
]
BAD: list[dict[str, Any]] = [
    {"id": 5, "at": "yesterday"},
    {"id": 6},
    {"id": "seven", "at": "2024-01-01T10:00:00Z"},
    {"id": 8, "at": "2024-01-01T10:00:00Z", "price": 0.001},
    {"id": 9, "at": "2024-01-01T10:00:00Z", "who": {"age": 1.5}},
]


@pytest.fixture(autouse=True)
def _nothing_is_left(tmp_path: Path) -> Any:
    yield
    assert left(tmp_path) == NOTHING


# -- what is read -------------------------------------------------------------------------------------------


@BOTH
def test_a_window_is_read_in_the_types_of_the_catalogue(tmp_path: Path, protocol: str) -> None:
    source = opened(tmp_path, {"records": RECORDS, "password": SECRET}, protocol)
    source.check()
    names = ["events", "other"] if protocol == "singer" else ["events", "n.other"]
    assert [entry.path for entry in source.explore(None)] == names
    assert {column.name: str(column.type) for column in source.describe(EVENTS).columns} == {
        "id": "long",
        "at": "timestamptz",
        "price": "decimal(38,2)",
        "tags": "list<string>",
        "who": "struct<name: string, age: long>",
        "any": "string",
    }
    who = {"name": "é", "age": None}
    last = datetime(2024, 1, 1, 11, 59, 59, 999999, UTC)
    assert read(source, EVENTS, SPAN) == [
        (2, FIRST, Decimal("0.10"), ["a"], who, "[1.5]"),
        # The double that Python writes has another last digit than the decimal that was meant.
        (3, last, Decimal("12345678901234568.00"), None, None, "text"),
    ]
    assert len(read(source, EVENTS, delta=None)) == 4
    assert read(source, selection("events", columns=[{"name": "at"}, {"name": "id"}]), SPAN)[0] == (FIRST, 2)
    with pytest.raises(SourceObjectMissing, match="nothing"):
        source.describe(selection("nothing"))


@BOTH
def test_a_record_that_does_not_fit_is_a_bad_record(tmp_path: Path, protocol: str) -> None:
    source = opened(tmp_path, {"records": [*RECORDS, *BAD]}, protocol)
    rows, rejects = read_rejecting(source, EVENTS, tmp_path, SPAN)
    assert [row[0] for row in rows] == [2, 3]
    assert rejects.count == len(BAD)
    assert {reject.column for reject in rejects.kept} == {"at", "id", "price", "who"}
    with pytest.raises(UnholdableValue, match="yesterday"):
        read(source, EVENTS, SPAN)


def test_the_digits_of_a_decimal_are_those_that_were_written(tmp_path: Path) -> None:
    schema = {
        "properties": {
            "at": {"type": "string", "format": "date-time"},
            "d": {"type": "number", "multipleOf": 1e-12},
            "whole": {"type": "integer", "maximum": 2**64},
        }
    }
    line = '{"at": "2024-01-01T10:00:00Z", "d": 1234567890.123456789012, "whole": 18446744073709551615}'
    small = '{"at": "2024-01-01T10:00:00Z", "d": 1E-12}'
    code = f"""
        import json, sys
        if "--discover" in sys.argv:
            print(json.dumps({{"streams": [{{"tap_stream_id": "events", "schema": {schema!r}}}]}}))
        else:
            print('{{"type": "SCHEMA", "stream": "events"}}')
            print('{{"type": "RECORD", "stream": "events", "record": {line}}}')
            print('{{"type": "RECORD", "stream": "events", "record": {small}}}', end="")
    """
    tap = tmp_path / "tap.py"
    tap.write_text(textwrap.dedent(code))
    source = opened(tmp_path, command=[sys.executable, str(tap)])
    assert [row[1:] for row in read(source, EVENTS, SPAN)] == [
        (Decimal("1234567890.123456789012"), Decimal(2**64 - 1)),
        (Decimal("0.000000000001"), None),
    ]


def test_times_without_a_zone_are_in_the_one_that_is_registered(tmp_path: Path) -> None:
    inner = {"type": "object", "properties": {"t": {"type": "string", "format": "date-time"}}}
    at = {"type": "string", "format": "date-time"}
    schema = {"properties": {"at": at, "who": inner, "many": {"type": "array", "items": inner}, "id": {}}}
    bare = "2024-01-01T12:00:00.5"
    records = [
        {"at": bare, "who": {"t": bare}, "many": [{"t": bare}, {}, None], "id": bare},
        {"at": "2024-01-01T11:00:00Z", "who": None, "many": "none", "id": 1},
    ]
    config = {"records": records, "schema": schema}
    half = datetime(2024, 1, 1, 10, 0, 0, 500000, UTC)
    columns = [{"name": name} for name in ("at", "who", "many", "id")]
    source = opened(tmp_path, config, "airbyte", timezone="+02:00")
    rows, rejects = read_rejecting(source, selection("events", columns=columns), tmp_path, SPAN)
    assert rows == [(half, {"t": half}, [{"t": half}, {"t": None}, None], bare)]
    assert [reject.column for reject in rejects.kept] == ["many"]
    config["records"] = records[:1]
    assert (
        len(read(opened(tmp_path, config, timezone="UTC"), EVENTS, window("2024-01-01T12:00", "2024-01-01T13:00"))) == 1
    )
    with pytest.raises(UnholdableValue, match="not a timestamptz"):
        read(opened(tmp_path, config), EVENTS, SPAN)


@pytest.mark.parametrize(
    ("given", "delta", "cursors", "told"),
    [
        ({"start_date": "2020-01-01T00:00:00Z"}, "at", ["at"], {"start_date": "2024-01-01T09:59:59Z"}),
        ({"start_date": "2020-01-01"}, "at", ["at"], {"start_date": "2023-12-31"}),
        # By another column than the tap's own it would leave out what is in the window.
        ({"start_date": "2020-01-01"}, "at", ["other"], {"start_date": "2020-01-01"}),
        ({"start_date": "2020-01-01"}, None, ["at"], {"start_date": "2020-01-01"}),
        ({}, "at", ["at"], {}),
        ({"until": "2020-01-01"}, "at", ["at"], {"until": "2024-01-02"}),
    ],
)
def test_a_tap_begins_at_the_window_where_it_can(
    tmp_path: Path, given: dict[str, str], delta: str | None, cursors: list[str], told: dict[str, str]
) -> None:
    config = {"act": "tell", "cursors": cursors, **given}
    (row,) = read(opened(tmp_path, config, end="until"), EVENTS, SPAN, delta)
    about = json.loads(row[-1])
    assert about["config"] == {**config, **told}
    events, other = about["--catalog"]["streams"]
    chosen = {tuple(each["breadcrumb"]): each["metadata"] for each in events["metadata"]}
    assert all(chosen[path]["selected"] for path in ((), ("properties", "id"), ("properties", "any")))
    assert not chosen["properties", "hidden"]["selected"]
    assert chosen[()].get("replication-key") == (delta if cursors == ["at"] else None)
    assert not any(each["metadata"]["selected"] for each in other["metadata"])
    assert (events["schema"]["selected"], other["schema"]["selected"]) == (True, False)


def test_a_registration_says_where_a_tap_begins_whose_catalogue_does_not(tmp_path: Path) -> None:
    config = {"act": "tell", "cursors": [], "from": "2020-01-01T00:00:00Z"}
    (row,) = read(opened(tmp_path, config, start="from", cursors=["at"]), EVENTS, SPAN)
    assert json.loads(row[-1])["config"]["from"] == "2024-01-01T09:59:59Z"


def test_a_connector_begins_at_the_window_where_it_can(tmp_path: Path) -> None:
    source = opened(tmp_path, {"act": "tell"}, "airbyte")
    about = json.loads(read(source, EVENTS, SPAN)[0][-1])
    (stream,) = about["--catalog"]["streams"]
    assert (stream["sync_mode"], stream["cursor_field"]) == ("incremental", ["at"])
    assert about["--state"] == [
        {
            "type": "STREAM",
            "stream": {"stream_descriptor": {"name": "events"}, "stream_state": {"at": "2024-01-01T09:59:59Z"}},
        }
    ]
    whole = json.loads(read(source, EVENTS, delta=None)[0][-1])
    assert whole["--catalog"]["streams"][0]["sync_mode"] == "full_refresh"
    assert "--state" not in whole


# -- what a program gets ------------------------------------------------------------------------------------


@BOTH
def test_a_program_gets_its_configuration_and_nothing_of_the_service(
    tmp_path: Path, protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADGATE_SECRETS_KEY", "of-the-service")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy")
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    config = {"act": "tell", "password": SECRET}
    source = opened(tmp_path, config, protocol, environment=["HTTPS_PROXY", "ABSENT"], arguments=["--in={folder}"])
    about = json.loads(read(source, EVENTS, SPAN)[0][-1])
    assert set(about["environment"]) - {"LC_CTYPE"} == {"PATH", "LANG", "TZ", "HOME", "TMPDIR", "HTTPS_PROXY"}
    home = Path(about["environment"]["HOME"])
    assert home.parent == tmp_path / "data" / "scratch"
    assert not home.exists()
    assert about["folder"].endswith("700")
    assert {mode[-3:] for mode in about["files"].values()} == {"600"}
    assert "config.json" in about["files"]
    assert SECRET not in json.dumps(about["arguments"])
    assert about["arguments"][-1] == f"--in={home}"


def test_what_an_operator_has_registered_is_what_is_run(tmp_path: Path) -> None:
    source = opened(tmp_path, {"password": SECRET}, config={"act": "tell"}, parameters=["password"])
    assert json.loads(read(source, EVENTS, SPAN)[0][-1])["config"] == {"act": "tell", "password": SECRET}
    assert read(opened(tmp_path, '{"act": "tell"}'), EVENTS, SPAN)  # as what a reference leads to
    for given, more, words in (
        ({"act": "crash"}, {"config": {"act": "tell"}}, "config.act is set by the operator"),
        ({"act": "tell"}, {"parameters": ["password"]}, "which may: password"),
        ({"act": "tell"}, {"shared": True}, "which may: none"),
        ({}, {"organisations": ["another"]}, "'made' is not registered here for singer"),
        ("{", {}, "no JSON"),
        ("[1]", {}, "must be an object"),
    ):
        with pytest.raises(BadParameter, match=words):
            opened(tmp_path, given, **more)
    assert opened(tmp_path, {"act": "tell"}, shared=True, parameters=["act"], organisations=["org"]) is not None
    settings = Settings(data=tmp_path, connectors=tmp_path / "connectors.yaml")
    with pytest.raises(BadParameter, match="'made' is not registered here for airbyte"):
        open_source(SPECS["airbyte"], {"connector": "made"}, settings, Tenancy("org", shared=False))


def test_the_registrations_of_the_documents_can_be_read(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "connectors.md").read_text()
    path = tmp_path / "documents.yaml"
    found: list[child.Connector] = []
    for text in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL):
        path.write_text(text)
        path.chmod(0o644)
        found += child.registered(path).values()
    assert [(each.name, each.protocol) for each in found] == [
        ("exports", "singer"),
        ("shop", "airbyte"),
        ("exports", "singer"),
    ]
    assert all(f"`{field.name}`" in page for field in fields(found[0]) if field.name != "name")
    assert all(id_ in page for id_ in SPECS.values())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("made: {protocol: singer, command: [tap]}", "absolute path"),
        ("made: {protocol: singer}", "'command' is a required property"),
        ("made: {protocol: odbc, command: [/tap]}", "made.protocol is wrong: 'odbc'"),
        ("made: {protocol: singer, command: [/tap], comand: x}", "'comand' was unexpected"),
        ("made: {protocol: singer, command: [/tap], environment: [HEADGATE_DATA]}", "the service's own"),
        ("made: {", "neither YAML nor JSON"),
        ("[1]", "the document is wrong"),
    ],
)
def test_a_registration_that_is_wrong_says_where(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "more.yaml"
    path.write_text(text)
    path.chmod(0o644)
    settings = Settings(data=tmp_path / "data", connectors=tmp_path)
    with pytest.raises(SourceError, match=words) as failure:
        open_source(SPECS["singer"], {"connector": "made"}, settings, Tenancy("org", shared=False))
    assert str(path) in failure.value.detail
    path.chmod(0o666)
    with pytest.raises(SourceError, match="chmod o-w"):
        open_source(SPECS["singer"], {"connector": "made"}, settings, Tenancy("org", shared=False))


def test_a_connection_is_made_tested_and_explored_over_http(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    records = tmp_path / "records.json"
    records.write_text(json.dumps(RECORDS))
    with serving(tmp_path, connectors=registered(tmp_path)) as face:
        params = {"connector": "made", "config": {"records": str(records), "password": SECRET}}
        body = {"name": "tap", "connectionSpec": {"id": SPECS["singer"]}}
        id_ = face.made("/connections", {**body, "auth": {"specName": "Connector", "params": params}})
        answers = [
            face.get(f"/connections/{id_}"),
            face.get(f"/connections/{id_}/test"),
            face.get(f"/connections/{id_}/explore", objectType="root"),
            face.get(f"/connections/{id_}/explore", objectType="table", object="events", preview="true"),
        ]
        connection, tested, root, table = (answer.json() for answer in answers)
        assert connection["items"][0]["auth"]["params"] == {"connector": "made", "config": "xxxx"}
        assert tested == {"result": True}
        assert [entry["name"] for entry in root] == ["events", "other"]
        assert table["data"][1]["price"] in (0.1, "0.1", "0.10")
        bad = {"connector": "another", "config": {}}
        answers.append(face.post("/connections", {**body, "auth": {"specName": "Connector", "params": bad}}))
        assert answers[-1].status_code == 400
        assert "'another' is not registered here" in answers[-1].text
        assert all(SECRET not in answer.text for answer in answers)
    told = capfd.readouterr()
    assert SECRET not in told.out + told.err


# -- what goes wrong ----------------------------------------------------------------------------------------

Case = tuple[str, dict[str, Any], type[HeadgateError], str]
ENDS: dict[str, Case] = {
    "it crashes in the middle": ("crash", {}, SourceError, "exit code 3.*cannot go on with xxxx"),
    "it is shot": ("shot", {}, SourceUnreachable, "signal 11"),
    "a line without an end": ("endless", {}, SourceError, "a line of more than 16 MiB"),
    "a record too long": ("huge", {}, SourceError, "a line of more than 16 MiB"),
    "half a message": ("garbage", {}, SourceError, "no message of"),
    "silence": ("hang", {"silence": 0.3}, SourceUnreachable, r"nothing for 0\.3 seconds"),
    "silence of one who does not hear": ("deaf", {"silence": 0.3}, SourceUnreachable, r"nothing for 0\.3 seconds"),
    "too much memory": ("greedy", {"memory": 200_000_000}, SourceError, "MemoryError"),
    "no such program": ("give", {"command": ["/nowhere/tap"]}, SourceError, "cannot be started: No such file"),
}
OF_SINGER: dict[str, Case] = {
    "words": ("words", {}, SourceError, "no message of Singer: Some text"),
    "records in files": ("batch", {}, SourceError, "BATCH"),
    "no stream": ("no_schema", {}, SourceError, "did not take the selection"),
    "no catalogue": ("no_catalog", {}, SourceError, "no catalogue of Singer"),
}
OF_AIRBYTE: dict[str, Case] = {
    "an error": ("trace", {}, SourceError, "It failed. for xxxx"),
    "half a stream": ("partly", {}, SourceUnreachable, "only in part"),
    "no catalogue": ("no_catalog", {}, SourceError, "no catalogue of Airbyte.*what"),
}
CASES = [
    pytest.param(protocol, *case, id=f"{protocol}: {name}")
    for protocol, more in (("singer", OF_SINGER), ("airbyte", OF_AIRBYTE))
    for name, case in (ENDS | more if protocol == "singer" else more).items()
]


@pytest.mark.parametrize(("protocol", "act", "entry", "kind", "words"), CASES)
def test_whatever_goes_wrong_fails_the_read_by_name_without_a_secret(
    tmp_path: Path,
    protocol: str,
    act: str,
    entry: dict[str, Any],
    kind: type[HeadgateError],
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source = opened(tmp_path, {"act": act, "password": SECRET, "records": RECORDS}, protocol, **entry)
    with pytest.raises(kind, match=words) as failure:
        read(source, EVENTS, SPAN)
    assert type(failure.value) is kind
    told = capsys.readouterr()
    assert SECRET not in failure.value.detail + told.out + told.err
    assert left(tmp_path) == NOTHING


def test_what_a_program_says_is_read_to_the_end_and_kept_in_part(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = opened(tmp_path, {"act": "talk", "password": SECRET, "records": RECORDS}, "airbyte")
    assert len(read(source, EVENTS, SPAN)) == 2
    told = capsys.readouterr()
    assert 0 < (told.out + told.err).count("connector.said") < 1000
    assert len(told.out + told.err) < 500_000
    assert SECRET not in told.out + told.err


def test_what_a_program_says_stands_in_the_log_of_the_run(tmp_path: Path) -> None:
    config = {"act": "talk", "password": SECRET}
    deployment = Deployment(tmp_path, connectors=registered(tmp_path))
    try:
        flow = deployment.flow(SPECS["singer"], {"connector": "made", "config": config}, {"tableName": "events"})
        run = deployment.run(flow, "2024-01-01T10:00", "2024-01-01T12:00", "at")
        lines = [line.text for line in deployment.scoped.log(run.id, after=-1, most=1000)]
    finally:
        deployment.close()
    assert run.state is RunState.SUCCESS
    assert sum(line.startswith("made: ") for line in lines) == 101
    assert "made: It says more, which is left out here." in lines
    assert not any(SECRET in line for line in lines)


def test_words_of_a_connector_are_no_error(tmp_path: Path) -> None:
    assert len(read(opened(tmp_path, {"act": "words", "records": RECORDS}, "airbyte"), EVENTS, SPAN)) == 2


def test_a_test_of_a_connection_is_what_the_connector_says(tmp_path: Path) -> None:
    with pytest.raises(SourceAccessDenied, match="refuses the connection: not with") as failure:
        opened(tmp_path, {"password": "wrong", "key": SECRET}, "airbyte").check()
    assert SECRET not in failure.value.detail
    with pytest.raises(SourceUnreachable, match=r"more than 0\.2 seconds"):
        opened(tmp_path, {"slow": 5}, "singer", discovery=0.2).check()


def test_as_many_programs_run_as_there_are_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_places", threading.BoundedSemaphore(1))
    monkeypatch.setattr(reader, "_PATIENCE", 0.1)
    source = opened(tmp_path)
    with reader._place("another"), pytest.raises(SourceUnreachable, match="was not started: 32 programs run here"):
        source.describe(EVENTS)
    source.describe(EVENTS)


# -- how it ends --------------------------------------------------------------------------------------------


@BOTH
def test_a_preview_ends_a_program_that_would_go_on(tmp_path: Path, protocol: str) -> None:
    preview = opened(tmp_path, {"act": "forever"}, protocol).preview(EVENTS, 3)
    assert [row[0] for row in preview.rows] == [1, 2, 3]
    assert left(tmp_path) == NOTHING
    first = opened(tmp_path, {"act": "hang", "records": RECORDS[:2]}, protocol).preview(EVENTS, 2)
    assert len(first.rows) == 2


def test_what_a_program_leaves_behind_ends_with_it(tmp_path: Path) -> None:
    source = opened(tmp_path, {"act": "family", "then": "end"})
    assert [row[0] for row in read(source, EVENTS, SPAN)] == [1]
    assert left(tmp_path) == NOTHING


def test_a_read_that_is_stopped_ends_the_program_with_its_family(tmp_path: Path) -> None:
    source = opened(tmp_path, {"act": "family"})
    errors: list[Exception] = []
    with source.plan(EVENTS, WHOLE, DeltaColumn("at"), parallel=1) as reading, dataplane.opened() as connection:
        source.prepare(connection, reading, reading.splits[0])

        def scan() -> None:
            try:
                connection.execute(f"SELECT count(*) FROM ({reading.splits[0].relation})").fetchall()
            except duckdb.Error as error:
                errors.append(error)

        thread = threading.Thread(target=scan, daemon=True)
        thread.start()
        _until(lambda: len(_below(os.getpid())) == 4)
        source.interrupt(reading)
        thread.join(20)
        assert not thread.is_alive()
        assert isinstance(source.translate(errors[0]), SourceUnreachable)
    _until(lambda: not _below(os.getpid()))
    _until(lambda: left(tmp_path) == NOTHING)


@pytest.mark.parametrize("shot", ["service", "supervisor"])
def test_a_program_ends_when_who_looks_after_it_is_killed(tmp_path: Path, shot: str) -> None:
    code = """
        import sys
        from pathlib import Path
        from tests.connectors.programs import opened
        from tests.sql_tables import read, selection
        try:
            read(opened(Path(sys.argv[1]), {"act": "family"}), selection("events"))
        except Exception as error:
            print(error, flush=True)
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)]
    service = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    family: list[psutil.Process] = []
    try:
        _until(lambda: len(_below(service.pid)) == 4)
        family = _below(service.pid)
        supervisor, program = family[:2]
        os.kill(service.pid if shot == "service" else supervisor.pid, signal.SIGKILL)
        said = service.communicate(timeout=30)[0]
        if shot == "service":
            _until(lambda: not any(each.is_running() for each in family))
            _until(lambda: not list((tmp_path / "data" / "scratch").iterdir()))
        else:
            assert "ended by signal 9" in said
            _until(lambda: not program.is_running())  # what it has started is nobody's any more
            assert sweep_copies(Settings(data=tmp_path / "data")) == 1
    finally:
        for each in family:
            with suppress(psutil.Error):
                each.kill()
        service.kill()
        service.communicate()


def test_a_program_is_asked_once_for_its_streams(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    before = process.Program.__init__

    def counted(self: Any, connector: Any, job: Any, *more: Any) -> None:
        made.append(" ".join(job.arguments))
        before(self, connector, job, *more)

    monkeypatch.setattr(process.Program, "__init__", counted)
    config = {"records": RECORDS, "mark": str(tmp_path)}
    first = opened(tmp_path, config)
    first.explore(None)
    assert len(read(first, EVENTS, SPAN)) == 2
    opened(tmp_path, config).describe(EVENTS)  # another connection's object, with the same parameters
    assert sum("--discover" in each for each in made) == 1
    opened(tmp_path, config | {"mark": "another"}).describe(EVENTS)
    opened(tmp_path, config).check()
    assert sum("--discover" in each for each in made) == 3


def _below(pid: int) -> list[psutil.Process]:
    """A supervisor below a process, and everything below that."""
    for each in psutil.Process(pid).children():
        with suppress(psutil.Error):
            if "supervisor.py" in " ".join(each.cmdline()):
                return [each, *each.children(recursive=True)]
    return []


def _until(holds: Any) -> None:
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)
