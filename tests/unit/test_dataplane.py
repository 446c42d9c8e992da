"""Engines that are lent one after another."""

from pathlib import Path

import duckdb
import pytest

from headgate import dataplane

OTHERS = "SELECT database_name FROM duckdb_databases() WHERE NOT internal"


def test_an_engine_is_used_again_without_what_was_attached_or_begun() -> None:
    with dataplane.lent(memory="64MB") as first:
        first.execute('ATTACH \':memory:\' AS "a ""src"')
        first.execute("BEGIN")
        first.execute("CREATE TEMP TABLE seen AS SELECT 1")
    with dataplane.lent(memory="64MB") as second:
        assert second is first
        assert second.execute(OTHERS).fetchall() == [("memory",)]
        assert second.execute("SELECT count(*) FROM duckdb_tables()").fetchall() == [(0,)]
        second.execute("BEGIN")  # none is open


def test_an_engine_that_something_went_wrong_with_is_not_used_again() -> None:
    with pytest.raises(duckdb.BinderException), dataplane.lent(memory="64MB") as failed:
        failed.execute("SELECT nothing")
    with dataplane.lent(memory="64MB") as another:
        assert another is not failed
    with pytest.raises(duckdb.ConnectionException):
        failed.execute("SELECT 1")


def test_an_engine_that_has_tables_left_is_not_used_again() -> None:
    with dataplane.lent(memory="64MB") as first:
        first.execute("CREATE TEMP TABLE seen AS SELECT 1")
    with dataplane.lent(memory="64MB") as another:
        assert another is not first


def test_an_engine_that_spilled_takes_its_folder_away_and_is_not_used_again(tmp_path: Path) -> None:
    sorted_rows = f"COPY (FROM range(10000000) t(a) ORDER BY hash(a)) TO '{tmp_path / 'rows.parquet'}'"
    with dataplane.lent(memory="64MB", spill=tmp_path / "a.spill") as first:
        first.execute(sorted_rows)
        assert (tmp_path / "a.spill").exists()
    assert not (tmp_path / "a.spill").exists()
    with dataplane.lent(memory="64MB", spill=tmp_path / "b.spill") as another:
        assert another is not first
        assert another.execute("SELECT current_setting('temp_directory')").fetchall() == [(f"{tmp_path}/b.spill",)]


def test_engines_in_use_are_lent_to_nobody_else_and_sizes_are_kept_apart() -> None:
    with dataplane.lent(memory="64MB") as one, dataplane.lent(memory="64MB") as two:
        assert one is not two
    with dataplane.lent(memory="96MB") as other:
        assert other not in (one, two)
        assert other.execute("SELECT current_setting('memory_limit')").fetchall() == [("91.5 MiB",)]


def test_an_interrupt_after_the_last_statement_does_not_break_the_next_use() -> None:
    with dataplane.lent(memory="64MB") as first:
        first.execute("SELECT 1")
        first.interrupt()
    with dataplane.lent(memory="64MB") as second:
        assert second.execute("SELECT count(*) FROM range(1000000)").fetchall() == [(1_000_000,)]
