"""What is said to who has mistyped something."""

import sqlite3
from pathlib import Path

import pytest

from headgate.cli import commands
from headgate.cli.addresses import source_of
from headgate.cli.progress import following
from headgate.errors import InvalidRequest
from headgate.querying import QueryRefused, View, answered


def test_a_command_that_is_nearly_one(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        commands.main(["flow", "list"])
    assert ended.value.code == 2
    assert "There is no command 'flow'. Did you mean flows?" in capsys.readouterr().err


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
