"""The catalogue of sources, connections, what they reach, and the way from a source to rows."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.sight import Sight
from tests.integration.face import POSTGRESQL


@pytest.mark.parametrize("path", ["/sources", f"/sources/{POSTGRESQL}?auth=Basic+Authentication"])
def test_a_page_is_well_in_every_look(sight: Sight, path: str) -> None:
    sight.judge(path)


def test_the_catalogue_is_searched_as_one_types(sight: Sight) -> None:
    page = sight.open("/sources")
    page.keyboard.press("/")
    page.keyboard.type("sqlite")
    expect(page.get_by_role("heading", level=2)).to_have_text(["SQLite"])
    expect(page).to_have_url(re.compile("q=sqlite"))
