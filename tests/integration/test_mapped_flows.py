"""Flows with a mapping set through the engine: what lands, in which types, and repeated windows."""

import json
import os
import sqlite3
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest

from headgate.model.lake import PROVENANCE, SOURCE_FILE
from headgate.model.runs import Json, Run, RunState
from headgate.sources import connection_specs
from tests.deployment import POSTGRESQL, Deployment, at, multiset

SQLITE, LOCAL_FILES = (
    next(spec.id for spec in connection_specs() if spec.name == name) for name in ("sqlite", "local-files")
)
UTC = ZoneInfo("UTC")
DAYS = ("2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04")
Rows = list[tuple[int, datetime, Decimal, str]]


def _rows() -> Rows:
    start = datetime(2024, 1, 1)
    return [(n, start + timedelta(hours=n), Decimal(n).scaleb(-2), f"name {n}") for n in range(72)]


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    made = Deployment(tmp_path)
    yield made
    made.close()


@pytest.fixture(params=["postgresql", "sqlite"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """A table `events` of `_rows()`: the connection spec and the parameters that reach it."""
    if request.param == "sqlite":
        path = tmp_path / "events.sqlite"
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE events (id INTEGER, at TIMESTAMP, amount DECIMAL(10,2), name TEXT)")
            rows = [(id_, moment.isoformat(" "), float(amount), name) for id_, moment, amount, name in _rows()]
            connection.executemany("INSERT INTO events VALUES (?, ?, ?, ?)", rows)
        connection.close()
        yield SQLITE, {"path": str(path)}
        return
    address = request.getfixturevalue("database")
    with psycopg.connect(address, autocommit=True) as server:
        server.execute("CREATE TABLE events (id bigint, at timestamp, amount numeric(10,2), name text)")
        with server.cursor() as cursor:
            cursor.executemany("INSERT INTO events VALUES (%s, %s, %s, %s)", _rows())
    yield POSTGRESQL, {"connectionString": address}


def _mapping(destinations: dict[str, str], schema: Json | None = None) -> Json:
    """A frozen mapping set of ATTRIBUTE mappings, by source; `schema` is the output schema."""
    mappings = [{"sourceType": "ATTRIBUTE", "source": s, "destination": d} for s, d in destinations.items()]
    return {"mappings": mappings, "schema": schema}


def _object(**types: str | Json) -> Json:
    properties = {name: {"meta:xdmType": type_} if isinstance(type_, str) else type_ for name, type_ in types.items()}
    return {"type": "object", "properties": properties}


ACME = _object(_acme=_object(id="string", at="date-time", amount="number", name="string"))
INTO_ACME = {"id": "_acme.id", "at": "_acme.at", "amount": "_acme.amount"}


def _acme(rows: Rows) -> list[tuple[Any, ...]]:
    return [({"id": str(n), "at": t.replace(tzinfo=UTC), "amount": amount},) for n, t, amount, _ in rows]


def _between(start: str, end: str) -> Rows:
    return [row for row in _rows() if datetime.fromisoformat(start) <= row[1] < datetime.fromisoformat(end)]


def _run(deployment: Deployment, flow: str, start: str, end: str) -> Run:
    run = deployment.run(flow, start, end, "at")
    assert run.state is RunState.SUCCESS, run.metrics
    return run


def _error(run: Run) -> tuple[str, str]:
    assert run.state is RunState.FAILED
    (error,) = run.metrics["statusSummary"]["errors"]
    return error["code"], error["message"]


def test_mapped_rows_land_nested_in_the_types_of_the_schema(
    deployment: Deployment, source: tuple[str, dict[str, str]]
) -> None:
    flow = deployment.flow(*source, {"tableName": "events"}, mapping=_mapping(INTO_ACME, ACME))
    run = _run(deployment, flow, *DAYS[:2])
    assert multiset(deployment.rows()) == multiset(_acme(_between(*DAYS[:2])))
    assert run.metrics["recordSummary"]["outputRecordCount"] == 24
    names = set(deployment.arrow().column_names)
    assert (
        names
        == {"_acme", "_headgate_flow_id", "_headgate_run_id", "_headgate_delta_timestamp"}
        <= {
            "_acme",
            *PROVENANCE,
        }
    )


@pytest.mark.parametrize("renamed", ["at", "_acme.at", "moment", None], ids=str)
def test_repeated_windows_are_replaced_whatever_becomes_of_the_delta_column(
    deployment: Deployment, source: tuple[str, dict[str, str]], renamed: str | None
) -> None:
    destinations = {"id": "id", **({"at": renamed} if renamed else {})}
    flow = deployment.flow(*source, {"tableName": "events"}, mapping=_mapping(destinations))
    windows = [
        (DAYS[0], DAYS[2]),
        (DAYS[1], DAYS[3]),
        (DAYS[0], DAYS[2]),
        ("2024-01-01T12:00:00", "2024-01-01T13:00:00"),
    ]
    for window in windows:
        _run(deployment, flow, *window)
    ids = sorted(row["id"] for row in deployment.arrow().to_pylist())
    assert ids == [row[0] for row in _rows()]


def test_append_keeps_no_delta_values(deployment: Deployment, source: tuple[str, dict[str, str]]) -> None:
    flow = deployment.flow(*source, {"tableName": "events"}, mapping=_mapping({"id": "n"}), mode="append")
    for _ in range(2):
        _run(deployment, flow, *DAYS[:2])
    assert sorted(deployment.rows()) == sorted([(n,) for n in range(24)] * 2)
    assert not [name for name in deployment.arrow().column_names if name.startswith("_headgate_delta")]


def test_a_mapping_that_comes_and_goes_leaves_each_row_once(
    deployment: Deployment, source: tuple[str, dict[str, str]]
) -> None:
    """Rows of a window are replaced although they were brought before the flow had its mapping, and after."""
    flow = deployment.flow(*source, {"tableName": "events"})
    _run(deployment, flow, DAYS[0], DAYS[2])
    same = {name: name for name in ("id", "at", "amount", "name")}
    for mapping in (_mapping(same), None, _mapping(same), None):
        deployment.freeze(flow, mapping=mapping)
        _run(deployment, flow, DAYS[1], DAYS[2])
        assert multiset(deployment.rows()) == multiset(_between(DAYS[0], DAYS[2]))
    deployment.freeze(flow, mapping=_mapping({"id": "id", "name": "name"}))
    _run(deployment, flow, DAYS[1], DAYS[2])
    expected = [row if row[0] < 24 else (row[0], None, None, row[3]) for row in _between(DAYS[0], DAYS[2])]
    assert multiset(deployment.rows()) == multiset(expected)


def test_mapped_and_plain_flows_share_a_table_each_replacing_its_own(
    deployment: Deployment, source: tuple[str, dict[str, str]]
) -> None:
    plain = deployment.flow(*source, {"tableName": "events"})
    swapped = deployment.flow(
        *source, {"tableName": "events"}, mapping=_mapping({"id": "id", "at": "at", "amount": "amount", "name": "name"})
    )
    for flow in (plain, swapped, plain, swapped):
        _run(deployment, flow, *DAYS[:2])
    assert multiset(deployment.rows()) == multiset(_between(*DAYS[:2]) * 2)


def test_a_value_that_does_not_fit_fails_the_run_and_lands_nothing(
    deployment: Deployment, source: tuple[str, dict[str, str]]
) -> None:
    schema = _object(_acme=_object(name="long"))
    flow = deployment.flow(*source, {"tableName": "events"}, mapping=_mapping({"name": "_acme.name"}, schema))
    code, message = _error(deployment.run(flow, *DAYS[:2], "at"))
    assert code == "DPMAPPER-3700-400"
    for part in ("destination path _acme.name. ", "'name ", "LONG", "sourceField: name destinationField: _acme.name"):
        assert part in message
    assert deployment.rows() == []
    assert deployment.files() == set()


def test_a_column_that_the_source_lacks_fails_the_run_by_name(
    deployment: Deployment, source: tuple[str, dict[str, str]]
) -> None:
    flow = deployment.flow(*source, {"tableName": "events"}, mapping=_mapping({"gone": "x"}))
    code, message = _error(deployment.run(flow, *DAYS[:2], "at"))
    assert code == "DPMAPPER-3700-400"
    assert "the source has no 'gone'; there it has: 'id', 'at', 'amount', 'name'" in message


def test_destinations_that_the_table_lacks_are_added(
    deployment: Deployment, source: tuple[str, dict[str, str]]
) -> None:
    first = deployment.flow(*source, {"tableName": "events"}, mapping=_mapping({"id": "x"}))
    _run(deployment, first, *DAYS[:2])
    second = deployment.flow(*source, {"tableName": "events"}, mapping=_mapping({"id": "y"}))
    run = deployment.run(second, *DAYS[:2], "at")
    assert {(each["column"], each["change"]) for each in run.metrics["schemaChanges"]} == {
        ("x", "absent"),
        ("y", "added"),
    }
    ids = [n for n, *_ in _rows()[:24]]
    assert multiset(deployment.rows()) == multiset([*((n, None) for n in ids), *((None, n) for n in ids)])


def _write(path: Path, text: str, modified: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    moment = at(modified) * 1_000_000
    os.utime(path, ns=(moment, moment))


def _files(deployment: Deployment, folder: Path, format_: str, mapping: Json) -> str:
    data = {"format": format_}
    return deployment.flow(
        LOCAL_FILES, {"folder": str(folder)}, {"path": "in"}, data=data, kind="file", mapping=mapping
    )


def test_text_keeps_its_digits_where_the_schema_declares_text_or_a_decimal(
    deployment: Deployment, tmp_path: Path
) -> None:
    _write(tmp_path / "in" / "1.csv", "code,price,at\n1.50,2.50,01/02/2024\n2.00,3,2024-01-03\n", DAYS[0])
    _write(tmp_path / "in" / "2.csv", "code,price,at\nx7,12345678901234567.89,2024-01-04 10:00\n", DAYS[1])
    schema = _object(
        code="string", price={"type": "number", "meta:sourceType": "decimal(38,2)"}, at={"meta:xdmType": "date-time"}
    )
    flow = _files(deployment, tmp_path, "delimited", _mapping({name: name for name in ("code", "price", "at")}, schema))
    for start, end in (DAYS[:2], DAYS[1:3], DAYS[:2]):
        _run(deployment, flow, start, end)
    assert multiset(deployment.rows()) == multiset(
        [
            ("1.50", Decimal("2.50"), datetime(2024, 1, 2, tzinfo=UTC)),
            ("2.00", Decimal("3.00"), datetime(2024, 1, 3, tzinfo=UTC)),
            ("x7", Decimal("12345678901234567.89"), datetime(2024, 1, 4, 10, tzinfo=UTC)),
        ]
    )
    assert {Path(name).name for name in deployment.arrow()[SOURCE_FILE].to_pylist()} == {"1.csv", "2.csv"}


def test_lists_of_records_are_mapped_element_by_element(deployment: Deployment, tmp_path: Path) -> None:
    orders = [
        {"id": 1, "lines": [{"sku": "a", "n": 1, "x": 0}, {"sku": "b", "n": 2, "x": 0}], "who": {"a": 1, "b": 2}},
        {"id": 2, "lines": [], "who": None},
    ]
    _write(tmp_path / "in" / "a.json", "".join(json.dumps(order) + "\n" for order in orders), DAYS[0])
    mapping = _mapping({"id": "id", "lines[*].sku": "items[*].sku", "lines[*].n": "items[*].q.n", "who": "who"})
    flow = _files(deployment, tmp_path, "json", mapping)
    for _ in range(2):
        _run(deployment, flow, *DAYS[:2])
    assert multiset(deployment.rows()) == multiset(
        [
            (1, [{"sku": "a", "q": {"n": 1}}, {"sku": "b", "q": {"n": 2}}], {"a": 1, "b": 2}),
            (2, [], None),
        ]
    )


def test_a_window_without_files_needs_no_columns(deployment: Deployment, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    run = deployment.run(_files(deployment, tmp_path, "delimited", _mapping({"a": "b"})), *DAYS[:2])
    assert run.state is RunState.SUCCESS, run.metrics


def test_columns_that_change_names_take_their_own_values(
    deployment: Deployment, source: tuple[str, dict[str, str]]
) -> None:
    swapped = {"id": "amount", "amount": "id", "name": "at", "at": "name"}
    flow = deployment.flow(*source, {"tableName": "events"}, mapping=_mapping(swapped))
    for _ in range(2):
        _run(deployment, flow, *DAYS[:2])
    rows = [{name: row[name] for name in swapped.values()} for row in deployment.arrow().to_pylist()]
    expected = [{"amount": n, "id": amount, "at": name, "name": at} for n, at, amount, name in _between(*DAYS[:2])]
    assert multiset(tuple(row.values()) for row in rows) == multiset(tuple(row.values()) for row in expected)


@pytest.mark.parametrize("name", ["a b", 'a"b', "a'b", "naïve 🙂", "SELECT", "a/b", "{}", "x" * 200])
def test_destinations_may_have_any_name(deployment: Deployment, tmp_path: Path, name: str) -> None:
    _write(tmp_path / "in" / "a.csv", "n\n1\n", DAYS[0])
    flow = _files(deployment, tmp_path, "delimited", _mapping({"n": f"{name}.{name}"}))
    for _ in range(2):
        _run(deployment, flow, *DAYS[:2])
    assert deployment.arrow()[name].to_pylist() == [{name: 1}]
