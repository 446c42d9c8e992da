"""Worlds to make faults in, and the table of what was seen."""

from collections.abc import Generator, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.conftest import empty_database, on_postgresql
from tests.faults.case import Case
from tests.faults.matrix import INVARIANTS, TABLE, Row
from tests.faults.sources import PostgresTable, Source, SqliteTable
from tests.faults.world import World


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A deployment that many faults share, its metadata on SQLite, then on PostgreSQL."""
    folder = tmp_path_factory.mktemp("world")
    sockets = str(psycopg.conninfo.conninfo_to_dict(request.getfixturevalue("postgres"))["host"])
    if request.param == "sqlite":
        yield from _opened(World(folder, "", sockets=sockets))
        return
    with empty_database(request.getfixturevalue("postgres"), request.getfixturevalue("migrated")) as address:
        yield from _opened(World(folder, on_postgresql(address), sockets=sockets))


def _opened(world: World) -> Iterator[World]:
    try:
        yield world
    finally:
        world.close()


@pytest.fixture
def source(world: World, request: pytest.FixtureRequest, tmp_path: Path) -> Source:
    """A table of 300 rows, one a minute, in a database like the metadata's."""
    if not world.metadata:
        folder = world.folder / tmp_path.name
        folder.mkdir()
        return SqliteTable(folder, 300)
    return PostgresTable(request.getfixturevalue("database"), 300)


@pytest.fixture
def case(world: World, source: Source) -> Iterator[Case]:
    """A fault to be made with a table of its own."""
    case = Case(world, source)
    try:
        yield case
    finally:
        case.close()


@pytest.hookimpl(hookwrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, Any, None]:
    """After every fault, see that all invariants hold, and write down what was seen."""
    outcome = yield
    mark = pyfuncitem.get_closest_marker("fault")
    case = next((found for found in pyfuncitem.funcargs.values() if isinstance(found, Case)), None)
    if mark is None or case is None:
        return
    number, about = mark.args
    parameters = getattr(pyfuncitem, "callspec", None)
    about = about.format(**(parameters.params if parameters else {}))
    row = Row(number, about, "PostgreSQL" if case.world.metadata else "SQLite", case.seen, "-")
    if outcome.excinfo is None:
        row.invariants = _checked(case, outcome)
        row.seen = case.seen
    elif outcome.excinfo[0] is pytest.skip.Exception:
        row.seen = f"not tried: {outcome.excinfo[1]}"
    else:
        row.seen = f"FAILED: {str(outcome.excinfo[1])[:200]}"
    pyfuncitem.user_properties.append(("fault", asdict(row)))


def _checked(case: Case, outcome: Any) -> str:
    """What the table says of the invariants; the test fails when one does not hold."""
    try:
        broken = case.check()
    except Exception as error:  # noqa: BLE001 - reported as the test's own failure
        outcome.force_exception(error)
        return f"FAILED: {str(error)[:300]}"
    if broken:
        outcome.force_exception(AssertionError("\n".join([*broken, case.logs()])))
        return "FAILED: " + "; ".join(broken)
    return _held(case)


def _held(case: Case) -> str:
    if not case.without:
        return "all hold"
    held = ", ".join(name for name in INVARIANTS if name not in case.without)
    return f"{held} hold; " + "; ".join(f"{name} not asked: {why}" for name, why in case.without.items())


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Take up the row of a test, whichever process ran it."""
    if report.when == "call":
        found: list[Any] = [row for name, row in report.user_properties if name == "fault"]
        TABLE.rows += [Row(**row) for row in found]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table."""
    if TABLE.rows:
        terminalreporter.section("faults")
        terminalreporter.write_line(TABLE.text())
        TABLE.write()
