"""Sources that other distributions bring: real ones, installed on the path, by the example of the documents."""

# ruff: noqa: ARG002 - the signatures are a reader's

import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headgate import dataplane
from headgate.config import Settings
from headgate.errors import (
    BadParameter,
    FilterNotOffered,
    ParameterMissing,
    SourceAccessDenied,
    SourceError,
    SourceNotOnDemand,
    SourceObjectMissing,
    SourceUnreachable,
    UnholdableValue,
    UnsupportedType,
)
from headgate.model.lake import Column, LakeType
from headgate.model.scope import Tenancy
from headgate.model.windows import DeltaColumn, Window
from headgate.sources import connection_specs, flow_specs, open_source
from headgate.sources.batches import BatchSource, StreamReader
from headgate.sources.specs import plugged
from tests.deployment import Deployment
from tests.sql_tables import WHOLE, read, read_rejecting, selection, window

ROOT = Path(__file__).parents[2]
STATION = "0b7c2f6e-58a1-4f0e-9d9b-6a1f6f3a7c11"
SECRET = "t0ken-of-the-station"

Install = Callable[[str, str, Mapping[str, str]], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Puts a distribution with one module on the path, as an installer would."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))

    def put(module: str, code: str, entry_points: Mapping[str, str]) -> None:
        (site / f"{module}.py").write_text(code)
        about = site / f"{module}-1.0.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        lines = [f"{name} = {value}" for name, value in entry_points.items()]
        (about / "entry_points.txt").write_text("\n".join(["[headgate.sources]", *lines, ""]))
        _forget()

    yield put
    monkeypatch.undo()
    _forget()


def _forget() -> None:
    for known in (plugged, connection_specs, flow_specs):
        known.cache_clear()


def _example() -> str:
    found = re.search(r"```python\n(.*?)```", (ROOT / "docs/how-to/plugins.md").read_text(), re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture
def station(install: Install) -> None:
    install("weather_source", _example(), {"weather": "weather_source:PLUGIN"})


def test_the_example_of_the_documents_lands_a_window_once(station: None, tmp_path: Path) -> None:
    (spec,) = [spec for spec in connection_specs() if spec.id == STATION]
    assert (spec.runnable, spec.verified, spec.public_id) == (True, "interface", False)
    assert spec.secrets == {"token"}
    assert STATION in next(flow for flow in flow_specs() if flow.kind == "table").source_connection_spec_ids
    deployment = Deployment(tmp_path)
    try:
        flow = deployment.flow(STATION, {"station": "north", "token": SECRET}, {"tableName": "measurements"})
        for _ in range(2):
            deployment.run(flow, "2024-01-01T10:00", "2024-01-01T12:00", "at")
        rows = deployment.rows()
        assert len(rows) == 120
        assert {row[1:] for row in rows} == {("north", Decimal("1.0")), ("north", Decimal("1.1"))}
    finally:
        deployment.close()


def test_the_example_is_explored_and_refuses_what_it_must(station: None, tmp_path: Path) -> None:
    source = _opened(tmp_path, token=SECRET)
    assert [entry.path for entry in source.explore(None)] == ["measurements"]
    assert source.preview(selection("measurements"), 2).rows[1] == ("2024-01-01T00:01:00+00:00", "north", "0.0")
    with pytest.raises(SourceAccessDenied, match="not known"):
        _opened(tmp_path, token="wrong").check()
    with pytest.raises(SourceObjectMissing, match="nothing"):
        source.describe(selection("nothing"))
    with pytest.raises(FilterNotOffered):
        source.validate(selection("measurements", filters={}))
    with pytest.raises(ParameterMissing):
        source.validate(selection(""))
    with pytest.raises(BadParameter):
        source.describe(selection("measurements", columns=[{"name": "celsius", "type": "decimal(10,2)"}]))


def _opened(folder: Path, token: str) -> Any:
    auth = {"station": "north", "token": token}
    return open_source(STATION, auth, Settings(data=folder), Tenancy("ORG", shared=False))


BROKEN: dict[str, tuple[str, str]] = {
    "it raises": ("raise RuntimeError('out of order')", "RuntimeError: out of order"),
    "it is not there": ("", "AttributeError"),
    "no plug-in": ("PLUGIN = 1", "names a int"),
    "no title": (f"{_example()}\ndel SPEC['title']", "spec.title is missing"),
    "a kind of its own": (f"{_example()}\nSPEC['kind'] = 'rest'", "spec.kind"),
    "no id": (f"{_example()}\nSPEC['id'] = 'x'", "UUID"),
    "another's id": (f"{_example()}\nSPEC['id'] = '74a1c565-4e59-48d7-9d67-7c03b8a13137'", "another connection spec"),
    "another's name": (f"{_example()}\nSPEC['name'] = 'sqlite'", "another connection spec"),
    "no list": (f"{_example()}\nSPEC['auth'] = [{{'name': 'x'}}]", "spec.auth.type"),
}


@pytest.mark.parametrize(("code", "reason"), BROKEN.values(), ids=BROKEN.keys())
def test_a_plug_in_that_is_broken_says_so_and_breaks_no_other(
    install: Install, tmp_path: Path, capsys: pytest.CaptureFixture[str], code: str, reason: str
) -> None:
    install("broken_source", code, {"broken": "broken_source:PLUGIN"})
    other = _example().replace(STATION, "0b7c2f6e-58a1-4f0e-9d9b-6a1f6f3a7c12")
    install("other_source", other.replace("weather-station", "other-station"), {"other": "other_source:PLUGIN"})
    names = {spec.name for spec in connection_specs()}
    assert {"other-station", "postgresql", "sqlite"} <= names
    (sentence,) = plugged().broken
    assert "broken_source:PLUGIN" in sentence
    assert reason in sentence
    with pytest.raises(SourceNotOnDemand, match="broken_source"):
        open_source("nowhere", {}, Settings(data=tmp_path), Tenancy("ORG", shared=False))
    _unload("broken_source", "other_source")


def _unload(*names: str) -> None:
    for name in names:
        sys.modules.pop(name, None)


# -- the reader's side --------------------------------------------------------------------------------------


class _Batches(StreamReader):
    """Gives what it is told to, whatever the window."""

    title = "Batches"

    def __init__(self, columns: Sequence[Column], given: Sequence[Any], parts: Sequence[str] = ("all",)) -> None:
        self._columns, self._given, self._parts = columns, given, parts
        self.asked: list[tuple[Any, ...]] = []
        self.stopped = threading.Event()

    def streams(self) -> Sequence[str]:
        return ("t",)

    def columns(self, stream: str) -> Sequence[Column]:
        return self._columns

    def splits(self, stream: str, window: Window | None, delta: str | None, parallel: int) -> Sequence[str]:
        return self._parts

    def read(
        self, stream: str, split: str, window: Window | None, delta: str | None, columns: Sequence[str]
    ) -> Iterator[Any]:
        self.asked.append((stream, split, window, delta, tuple(columns)))
        for part in self._given:
            if isinstance(part, Exception):
                raise part
            yield part
            if self.stopped.is_set():
                return

    def stop(self) -> None:
        self.stopped.set()

    @property
    def secrets(self) -> Sequence[str]:
        return (SECRET,)


class _Mappings(_Batches):
    gives_mappings = True


AT = Column("at", LakeType("timestamp"))
TIMES = [datetime(2024, 1, 1, 9, 59, 59, 999999), datetime(2024, 1, 1, 10), datetime(2024, 1, 1, 11, 59, 59, 999999)]
SPAN = window("2024-01-01T10:00:00", "2024-01-01T12:00:00")


def test_batches_are_held_to_the_window_their_types_and_the_chosen_columns() -> None:
    rows = [*TIMES, datetime(2024, 1, 1, 12)]
    batch = pa.record_batch({"extra": [1] * 4, "v": pa.array([1, 2, 3, 4], pa.int16()), "at": pa.array(rows)})
    reader = _Batches([AT, Column("v", LakeType("long"))], [batch], ("one", "two"))
    source = BatchSource(reader)
    assert sorted(read(source, None, SPAN)) == [(TIMES[1], 2)] * 2 + [(TIMES[2], 3)] * 2
    assert reader.asked == [("t", part, SPAN, "at", ("at", "v")) for part in ("one", "two")]
    assert read(source, selection(columns=[{"name": "v"}]), delta=None)[:2] == [(1,), (2,)]
    assert reader.asked[-1] == ("t", "two", None, None, ("v",))
    assert read(source, None, Window(5000, 5000)) == []
    nanoseconds = pa.record_batch({"at": pa.array([1], pa.timestamp("ns")), "v": [1]})
    with pytest.raises(UnholdableValue, match='"at"'):
        read(BatchSource(_Batches([AT, Column("v", LakeType("long"))], [nanoseconds])))


def test_a_record_without_a_delta_value_is_a_bad_record(tmp_path: Path) -> None:
    source = BatchSource(_Batches([AT], [pa.record_batch({"at": pa.array([TIMES[1], None])})]))
    with pytest.raises(UnholdableValue, match='"at" holds no value'):
        read(source, None, SPAN)
    rows, rejects = read_rejecting(source, selection(), tmp_path)
    assert (rows, rejects.count, rejects.kept[0].column) == ([(TIMES[1],)], 1, "at")


def test_a_mapping_whose_value_is_none_of_its_column_is_a_bad_record(tmp_path: Path) -> None:
    columns = [
        AT,
        Column("n", LakeType("long")),
        Column("d", LakeType("decimal", 5, 2)),
        Column("b", LakeType("boolean")),
        Column("x", LakeType("double")),
        Column("s", LakeType("string")),
        Column("day", LakeType("date")),
    ]
    good = [
        {"at": TIMES[1], "n": 1, "d": Decimal("1.5"), "b": True, "x": 0.1, "s": {"a": [1]}, "day": "2024-01-31"},
        {"at": "2024-01-01T10:30:00.5", "n": "7", "d": "999.99", "b": "false", "x": "1e3", "s": "é", "more": 1},
    ]
    bad = [
        {"at": "yesterday"},
        {"at": None},
        {},
        {"at": TIMES[1], "n": "1.5"},
        {"at": TIMES[1], "n": 2**63},
        {"at": TIMES[1], "d": "1.005"},
        {"at": TIMES[1], "b": "perhaps"},
        {"at": TIMES[1], "day": "2024-02-30"},
    ]
    source = BatchSource(_Mappings(columns, [good[:1], [*good[1:], *bad]]))
    rows, rejects = read_rejecting(source, selection(), tmp_path, SPAN)
    first = (TIMES[1], 1, Decimal("1.50"), True, 0.1, '{"a": [1]}', datetime(2024, 1, 31).date())
    second = (datetime(2024, 1, 1, 10, 30, 0, 500000), 7, Decimal("999.99"), False, 1000.0, "é", None)
    assert sorted(rows, key=repr) == sorted([first, second], key=repr)
    assert rejects.count == len(bad)
    assert {reject.column for reject in rejects.kept} == {"at", "n", "d", "b", "day"}
    with pytest.raises(UnholdableValue, match="yesterday"):
        read(source, None, SPAN)


@pytest.mark.parametrize(
    ("reader", "kind", "says"),
    [
        (_Batches([AT], [RuntimeError(f"no luck with {SECRET}")]), SourceError, "RuntimeError: no luck"),
        (_Batches([AT], [ConnectionResetError("gone")]), SourceUnreachable, "gone"),
        (_Batches([AT], [SourceAccessDenied(f"not with {SECRET}")]), SourceAccessDenied, "not with"),
        (_Batches([AT], [[{"at": 1}]]), SourceError, "where record batches"),
        (_Mappings([AT], [pa.record_batch({"at": TIMES})]), SourceError, "where mappings"),
        (_Batches([AT], [pa.record_batch({"other": [1]})]), SourceError, "no column 'at'"),
        (_Batches([AT], [], ("a", "a")), SourceError, "two splits"),
        (_Mappings([AT, Column("u", LakeType("uuid"))], []), UnsupportedType, "'u'"),
        (_Batches([Column("at", LakeType("long"))], []), SourceError, "epoch_s"),
    ],
)
def test_what_goes_wrong_in_a_reader_is_told_without_its_secrets(
    reader: _Batches, kind: type[SourceError], says: str
) -> None:
    with pytest.raises(SourceError, match=says) as failure:
        read(BatchSource(reader))
    assert type(failure.value) is kind
    assert SECRET not in failure.value.detail


def test_integers_and_text_order_by_time_when_their_form_is_said() -> None:
    epochs = pa.record_batch({"at": [1704103199, 1704103200, 1704110399, 1704110400]})
    source = BatchSource(_Batches([Column("at", LakeType("long"))], [epochs]))
    assert len(read(source, None, SPAN, DeltaColumn("at", "epoch_s"))) == 2
    texts = pa.record_batch({"at": ["2024-01-01 09:59:59", "2024-01-01 10:00:00", "2024-01-01 12:00:00"]})
    assert len(read(BatchSource(_Batches([Column("at", LakeType("string"))], [texts])), None, SPAN)) == 1


def test_a_reader_that_waits_is_stopped() -> None:
    class Waiting(_Batches):
        def read(self, *asked: Any) -> Iterator[Any]:
            yield pa.record_batch({"at": TIMES})
            released.wait(60)

    released = threading.Event()  # which is not what stop() does: some cannot be stopped
    source = BatchSource(Waiting([AT], []))
    with source.plan(selection(), WHOLE, DeltaColumn("at"), parallel=1) as reading, dataplane.opened() as connection:
        source.prepare(connection, reading, reading.splits[0])
        errors: list[Exception] = []

        def scan() -> None:
            try:
                connection.execute(f'SELECT count("at") FROM ({reading.splits[0].relation})').fetchall()
            except duckdb.Error as error:
                errors.append(error)

        thread = threading.Thread(target=scan, daemon=True)
        thread.start()
        while not source._arrivals._open.get(reading.token or ""):
            time.sleep(0.01)
        source.interrupt(reading)
        thread.join(10)
        assert not thread.is_alive()
        assert isinstance(source.translate(errors[0]), SourceUnreachable)  # and not as if that were all
    released.set()


def test_readers_that_wait_keep_nobody_else_waiting(tmp_path: Path) -> None:
    """More of them than PyArrow has threads for what it reads: other streams and files are read all the same."""

    class Waiting(_Batches):
        def read(self, *asked: Any) -> Iterator[Any]:
            waiting.release()
            self.stopped.wait(60)
            yield pa.record_batch({"at": TIMES})

    def scan(connection: duckdb.DuckDBPyConnection, relation: str) -> None:
        connection.execute(f'SELECT count("at") FROM ({relation})').fetchall()

    waiting, several = threading.Semaphore(0), 12
    reader = Waiting([AT], [], [str(at) for at in range(several)])
    source, file = BatchSource(reader), tmp_path / "some.parquet"
    pq.write_table(pa.table({"a": [1]}), file)
    with source.plan(selection(), WHOLE, DeltaColumn("at"), parallel=several) as reading, ExitStack() as opened:
        threads = []
        for split in reading.splits:
            connection = opened.enter_context(dataplane.opened())
            source.prepare(connection, reading, split)
            threads.append(threading.Thread(target=scan, args=(connection, split.relation), daemon=True))
            threads[-1].start()
        assert all(waiting.acquire(timeout=30) for _ in threads)
        beside = threading.Thread(target=pq.read_table, args=(file,), daemon=True)
        beside.start()
        beside.join(30)
        assert not beside.is_alive()
        reader.stopped.set()
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive()


def test_nested_values_come_as_batches() -> None:
    type_ = LakeType("list", element=LakeType("struct", fields=(("a", LakeType("int")),)))
    given = pa.record_batch({"at": pa.array([TIMES[1]]), "v": pa.array([[{"a": 1}]])})
    assert read(BatchSource(_Batches([AT, Column("v", type_)], [given])))[0][1] == [{"a": 1}]


NOTHING: dict[str, Any] = dict.fromkeys(("n", "d", "at", "tags"))
EXACT = Decimal("0.1234567890123456789")
INNER = LakeType(
    "struct",
    fields=(
        ("n", LakeType("long")),
        ("d", LakeType("decimal", 38, 19)),
        ("at", LakeType("timestamptz")),
        ("tags", LakeType("list", element=LakeType("string"))),
    ),
)


def test_nested_values_come_as_mappings_changed_in_nothing(tmp_path: Path) -> None:
    columns = [AT, Column("v", INNER), Column("many", LakeType("list", element=INNER))]
    good: list[dict[str, Any]] = [
        {
            "v": {
                "n": 7,
                "d": Decimal("0.1234567890123456789"),
                "at": "2024-01-01T12:00:00.5+02:00",
                "tags": ["é", None],
            }
        },
        {"v": {"tags": [{"deep": 1}], "more": 1}, "many": [{"n": "1"}, None]},
        {"v": None, "many": []},
    ]
    bad: list[dict[str, Any]] = [
        {"v": {"n": 1.5}},
        {"v": {"n": 2**63}},
        {"v": {"n": True}},
        {"v": {"d": Decimal("1E19")}},
        {"v": {"d": "0.12345678901234567891"}},
        {"v": {"at": "2024-02-30T00:00:00Z"}},
        {"v": {"tags": "one"}},
        {"v": []},
        {"many": {}},
        {"many": [{"n": "x"}]},
    ]
    records = [dict(record, at=TIMES[1]) for record in (*good, *bad)]
    source = BatchSource(_Mappings(columns, [records]))
    rows, rejects = read_rejecting(source, selection(), tmp_path, SPAN)
    expected: list[Any] = [
        (
            {"n": 7, "d": EXACT, "at": datetime(2024, 1, 1, 10, 0, 0, 500000, UTC), "tags": ["é", None]},
            None,
        ),
        ({**NOTHING, "tags": ['{"deep": 1}']}, [{**NOTHING, "n": 1}, None]),
        (None, []),
    ]
    assert [row[1:] for row in rows] == expected
    assert rejects.count == len(bad)
    assert {reject.column for reject in rejects.kept} == {"v", "many"}
    with pytest.raises(UnholdableValue, match=r"1\.5"):
        read(source, None, SPAN)
    shown = source.preview(selection(), 4).rows
    assert (shown[0][1]["n"], shown[3][1]) == (7, ' {"n": 1.5}')
