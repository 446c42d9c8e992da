"""The table of bad inputs is whole."""

from tests.integration.bad_inputs.table import TABLE


def test_every_row_is_a_case_in_its_place() -> None:
    rows = [case.row for case in TABLE]
    assert rows == sorted(rows)
    assert sorted(set(rows)) == list(range(1, 81))


def test_every_case_has_its_name_and_its_answer() -> None:
    names = [str(case) for case in TABLE]
    assert sorted(set(names)) == sorted(names)
    assert all(case.expect for case in TABLE)
