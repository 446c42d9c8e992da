"""What the console reads as a time."""

import pytest

from headgate.console.moments import read_instant


@pytest.mark.parametrize(
    ("value", "about", "milliseconds"),
    [
        ("2024-03-01 12:00:00", (), 1_709_294_400_000),
        ("2024-03-01T12:00:00+01:00", (), 1_709_290_800_000),
        ("2024-03-01 12:00:00", ("", "Europe/Berlin"), 1_709_290_800_000),
        ("2024-03-01", (), 1_709_251_200_000),
        (1_709_294_400, ("epoch_s",), 1_709_294_400_000),
        (1_709_294_400_000_000, ("epoch_us",), 1_709_294_400_000),
    ],
)
def test_values_of_delta_columns_are_times(value: object, about: tuple[str, ...], milliseconds: int) -> None:
    assert read_instant(value, *about) == milliseconds


@pytest.mark.parametrize(("value", "form"), [("01/03/2024", ""), ("x", "dd/MM/yyyy"), (7, ""), (None, ""), (True, "")])
def test_values_that_say_no_time_by_themselves_are_none(value: object, form: str) -> None:
    with pytest.raises(ValueError, match=r"time|isoformat"):
        read_instant(value, form)
