"""What is said to who has mistyped something."""

import sqlite3
from pathlib import Path

import pytest

from headgate.cli import commands
from headgate.cli.addresses import source_of
from headgate.cli.connections import create_source
from headgate.cli.progress import Pace, following, long_words
from headgate.cli.runs import start
from headgate.cli.wording import did_you_mean, in_words
from headgate.errors import InvalidRequest
from headgate.querying import QueryRefused, View, answered


def test_a_command_that_is_nearly_one(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        commands.main(["flow", "list"])
    assert ended.value.code == 2
    assert "There is no command 'flow'. Did you mean flows?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "params.windowEndTime 1767225600 is before params.windowStartTime '1769904000000'.",
            "--to 2026-01-01T00:00:00Z is before --from 2026-02-01T00:00:00Z.",
        ),
        ("The first run must name it in `params.deltaColumn.name`.", "The first run must name it by --delta-column."),
        ("Leave deltaColumn out, or deltaColumns in.", "Leave --delta-column out, or deltaColumns in."),
        ("my.params.deltaColumn and scheduleParams.frequency stay.", None),
    ],
)
def test_members_are_told_as_the_options_that_fill_them(said: str, told: str | None) -> None:
    with start.make_context("start", ["orders", "--from", "2026-02-01"]) as context:
        assert in_words(said, context) == (told or said)


def test_members_of_an_object_are_told_with_its_option() -> None:
    with create_source.make_context("create", []) as context:
        told = in_words("auth.params.server is missing, and params.tableName 'x' too.", context)
    assert told == "--param server is missing, and --table 'x' too."


def test_a_name_that_is_nearly_one() -> None:
    assert did_you_mean("ORDRES", ["Orders", "weather", "orders"]) == "Did you mean Orders or orders?"
    assert did_you_mean("x", ["Orders"]) == ""


def test_a_database_that_is_named_as_a_file(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "shop.db") as shop:
        shop.execute("CREATE TABLE orders (id INTEGER)")
    with pytest.raises(InvalidRequest) as refused:
        source_of(str(tmp_path / "shop.db"), None)
    assert (
        refused.value.detail == f"shop.db is a database. Write sqlite:///{tmp_path}/shop.db, and behind it the table."
    )


@pytest.mark.parametrize(
    ("names", "hint"),
    [
        (["orders", "weather"], "Did you mean orders?"),
        (["weather", "flights"], "There are flights, weather."),
        ([], "It has none."),
    ],
)
def test_a_table_that_is_not_there(names: list[str], hint: str) -> None:
    with pytest.raises(QueryRefused) as refused:
        answered([View(name, None) for name in names], "FROM ordres", rows=1, size=1000)
    assert refused.value.detail == f"The lake has no table 'ordres'. {hint}"


def test_who_breaks_off_watching(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt), following("log", quiet=False):
        raise KeyboardInterrupt
    assert "The run goes on" in capsys.readouterr().err


def test_how_long_a_run_will_take_is_told_by_its_rows_or_its_splits() -> None:
    by_rows = {"rows": 300, "rowsExpected": 1000, "rowsPerSecond": 10, "bytes": 2_000_000, "bytesPerSecond": 500_000}
    going = {**by_rows, "splitsDone": 1, "splitsTotal": 4, "ended": False}
    part, words = Pace().at(going, 0.0)
    assert (part, words) == (
        0.3,
        "300 rows of about 1,000 · 2.0 MB · 10 rows/s · 0.5 MB/s · 1/4 splits · about 1 min 10 s left",
    )
    unknown = {**going, "rowsExpected": None, "rowsPerSecond": 0, "bytesPerSecond": 0}
    pace = Pace()
    assert pace.at(unknown, 0.0) == (0.25, "300 rows · 2.0 MB · 1/4 splits")
    assert pace.at({**unknown, "splitsDone": 2}, 90.0) == (0.5, "300 rows · 2.0 MB · 2/4 splits · about 3 min 0 s left")
    assert pace.at({**unknown, "ended": True}, 99.0)[0] == 1.0
    assert Pace().at({**going, "rows": 2000}, 0.0)[0] == 0.99
    assert [long_words(seconds) for seconds in (5, 700, 7300)] == ["5 s", "11 min", "2 h 1 min"]
