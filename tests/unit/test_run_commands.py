"""What `headgate runs` prints of a run."""

import pytest

from headgate.cli.runs import _landed_of_read
from headgate.model.runs import Json


@pytest.mark.parametrize(
    ("records", "printed"),
    [
        ({}, "0"),
        ({"inputRecordCount": 1200, "outputRecordCount": 1200}, "1,200"),
        ({"inputRecordCount": 101, "outputRecordCount": 98, "failedRecordCount": 3}, "98 of 101 read"),
        ({"inputRecordCount": 101, "outputRecordCount": 0, "failedRecordCount": 11}, "0 of 101 read"),
    ],
)
def test_rows_are_those_that_landed(records: Json, printed: str) -> None:
    assert _landed_of_read(records) == printed
