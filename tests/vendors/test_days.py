"""Reports by day, whose windows need not begin at a midnight, nor be of UTC's days."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from headgate.config import Settings
from headgate.model.scope import Tenancy
from headgate.model.windows import DeltaColumn, Window
from headgate.sources import Selection, open_source
from tests.sql_tables import read
from tests.vendors.fake import at, served
from tests.vendors.google_ads import DAYS, VENDORS


@pytest.mark.parametrize(
    ("zone", "first"), [(None, "2026-03-02"), ("Asia/Tokyo", "2026-03-02"), ("America/Los_Angeles", "2026-03-01")]
)
def test_windows_that_touch_take_every_day_once(tmp_path: Path, zone: str | None, first: str) -> None:
    """Every seven hours from half past six on: a day belongs to the window of its midnight, which is the zone's."""
    vendor, start, step = VENDORS[1], at("2026-03-01T06:30:00"), timedelta(hours=7)
    with served([vendor]) as fakes:
        [fake] = fakes.values()
        params = {**vendor.auth, "serviceUrl": fake.address}
        source = open_source(vendor.catalogue.id, params, Settings(data=tmp_path), Tenancy("ORG", shared=False))
        found: list[Any] = []
        for place in range(18):
            ends = [int((start + step * number).timestamp() * 1000) for number in (place, place + 1)]
            rows = read(source, Selection(vendor.params), Window(*ends), DeltaColumn("date", None, zone))
            found += [row[5] for row in rows]
    assert sorted(found) == [id_ for id_, day in DAYS.items() if day >= first]
    assert len(fake.asked) <= 6 * 2 + 6  # a window without a midnight asks nothing
