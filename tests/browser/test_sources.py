"""The catalogue of sources, connections, what they reach, and the way from a source to rows."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.sight import Sight
from tests.integration.face import POSTGRESQL
from tests.integration.visitor import Visitor


@pytest.mark.parametrize("path", ["/sources", f"/sources/{POSTGRESQL}?auth=Basic+Authentication"])
def test_a_page_is_well_in_every_look(sight: Sight, path: str) -> None:
    sight.judge(path)


def test_the_catalogue_is_searched_as_one_types(sight: Sight) -> None:
    page = sight.open("/sources")
    page.keyboard.press("/")
    page.keyboard.type("sqlite")
    expect(page.get_by_role("heading", level=2)).to_have_text(["SQLite"])
    expect(page).to_have_url(re.compile("q=sqlite"))


def test_pages_of_a_connection_are_well_in_every_look(sight: Sight, visitor: Visitor) -> None:
    [shop] = visitor.face.get("/connections", property="name==Shop database").json()["items"]
    address = f"/connections/{shop['id']}"
    for path in ("/connections", address, f"{address}/credentials", f"{address}/explore?object=orders"):
        sight.judge(path)


def test_a_connection_is_explored_by_keyboard(sight: Sight, visitor: Visitor) -> None:
    [shop] = visitor.face.get("/connections", property="name==Shop database").json()["items"]
    page = sight.open(f"/connections/{shop['id']}/explore")
    sight.by_keyboard(page.get_by_role("link", name="orders")).press("Enter")
    preview = page.get_by_role("region", name="Preview")
    expect(preview.get_by_text("Could be a run's delta column: updated_at")).to_be_visible()
    expect(preview.get_by_role("row")).to_have_count(51)
    expect(page).to_have_url(re.compile("object=orders"))
    expect(page.get_by_role("link", name="orders")).to_have_attribute("aria-current", "true")
