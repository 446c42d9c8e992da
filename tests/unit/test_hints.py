"""What is said to who has mistyped something."""

import sqlite3
from pathlib import Path

import pytest

from headgate.cli import commands
from headgate.cli.addresses import source_of
from headgate.cli.connections import create_source
from headgate.cli.progress import following
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
