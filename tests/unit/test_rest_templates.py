"""What a manifest's templates and pages become in requests."""

from datetime import UTC, datetime, timedelta
from zoneinfo import available_timezones

import pyarrow as pa
import pytest

from headgate.errors import BadParameter
from headgate.model.lake import Column, LakeType
from headgate.model.windows import Window
from headgate.sources.rest import zones
from headgate.sources.rest.manifest import Read, WindowFilter
from headgate.sources.rest.paths import Path
from headgate.sources.rest.slices import slices
from headgate.sources.rest.templates import Filling, Template
from headgate.sources.rest.values import batch_of


@pytest.mark.parametrize(
    ("given", "host"),
    [
        ("acme.example.com", "acme.example.com"),
        ("https://acme.example.com/", "acme.example.com"),
        ("https://acme.example.com/api/v2?x=1", "acme.example.com"),
        ("localhost:8080/below", "localhost:8080"),
    ],
)
def test_a_host_is_taken_of_an_address_or_of_itself(given: str, host: str) -> None:
    template = Template.of("https://{endpoint|host}/api", ["endpoint"])
    assert template.filled(Filling({"endpoint": given})) == f"https://{host}/api"


@pytest.mark.parametrize(
    ("text", "given", "found"),
    [
        ("{value|digits}", "act_123-456", "123456"),
        ("{value|zone}", "Pacific Standard Time", "America/Los_Angeles"),
        ("{value|zone}", "Europe/Paris", "Europe/Paris"),
    ],
)
def test_what_people_write_is_what_the_vendor_takes(text: str, given: str, found: str) -> None:
    assert Template.of(text, ["value"]).filled(Filling({"value": given})) == found


def test_every_zone_of_windows_is_one_of_the_database() -> None:
    assert {zones.zone_named(f"{name} Standard Time") for name in zones._WINDOWS} <= available_timezones()


def test_a_zone_that_is_none_is_told() -> None:
    with pytest.raises(BadParameter, match="'Mars Standard Time' is no time zone"):
        Template.of("{value|zone}", ["value"]).filled(Filling({"value": "Mars Standard Time"}))


def test_an_epoch_that_is_counted_by_the_clocks_of_a_zone() -> None:
    # Noon as the clocks of New York show it in winter and in summer, and half past one in the hour that comes twice.
    shown = [
        datetime(2026, 1, 1, 12, tzinfo=UTC),
        datetime(2026, 7, 1, 12, tzinfo=UTC),
        datetime(2026, 11, 1, 1, 30, tzinfo=UTC),
    ]
    column = Column("at", LakeType("timestamptz"), "timestamptz")
    for values in ([int(time.timestamp()) for time in shown], [str(int(time.timestamp())) for time in shown]):
        reads = {"at": Read(Path.plain("at"), "epoch_s", "America/New_York")}
        batch = batch_of([{"at": value} for value in values], [column], reads, "refused")
        assert batch.column("at").cast(pa.timestamp("s", "UTC")).to_pylist() == [
            datetime(2026, 1, 1, 17, tzinfo=UTC),
            datetime(2026, 7, 1, 16, tzinfo=UTC),
            datetime(2026, 11, 1, 5, 30, tzinfo=UTC),
        ]


@pytest.mark.parametrize(
    ("hours", "longest", "parts"), [(37, None, [37]), (48, 2, [36, 12]), (72, 3, [60, 12]), (24, 31, [24])]
)
def test_a_window_is_cut_only_where_it_must_be(hours: int, longest: int | None, parts: list[int]) -> None:
    """From noon on: two days from noon to noon touch three, which are more than two that the vendor takes."""
    start = datetime(2026, 3, 1, 12, tzinfo=UTC)
    ends = [int((start + timedelta(hours=after)).timestamp() * 1000) for after in (0, hours)]
    about = WindowFilter("day", {}, {}, {}, None, "day", "both", timedelta(days=longest) if longest else None, None)
    found = slices(Window(*ends), about, None, 4, None)
    assert [(part.end_ms - part.start_ms) / 3_600_000 for part in found] == parts
