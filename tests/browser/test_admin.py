"""Datasets with their box for SQL, workers, people and the audit log, as a person sees and uses them."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.sight import Sight
from tests.integration.face import CATALOG
from tests.integration.visitor import Visitor


def orders(visitor: Visitor) -> str:
    found = visitor.face.get(f"{CATALOG}/dataSets", name="Orders of the shop").json()
    return f"/datasets/{next(iter(found))}"


@pytest.mark.parametrize("path", ["/datasets", "/workers", "/people", "/audit"])
def test_a_page_is_well_in_every_look(sight: Sight, path: str) -> None:
    sight.judge(path)


def test_a_dataset_is_looked_at_and_asked_by_keyboard(sight: Sight, visitor: Visitor) -> None:
    at = orders(visitor)
    sight.judge(f"{at}?show=snapshots")
    page = sight.open(at)
    sight.by_keyboard(page.get_by_role("link", name="SQL", exact=True)).press("Enter")
    box = page.get_by_label("One statement that reads")
    box.fill('SELECT count(*) AS "how many" FROM orders_of_the_shop')
    box.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("columnheader", name="how many")).to_be_visible()
    sight.judge()
    sight.expects("400")
    box.fill("COPY orders_of_the_shop TO '/tmp/x'")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_role("alert")).to_contain_text("statement can be run at a time")
    expect(box).to_have_value("COPY orders_of_the_shop TO '/tmp/x'")


def test_a_client_is_made_and_removed(sight: Sight) -> None:
    page = sight.open("/people")
    page.get_by_text("New client", exact=True).click()
    page.get_by_label("Name", exact=True).first.fill("From the browser")
    page.get_by_role("button", name="Make the client").click()
    expect(page.get_by_role("status").filter(has_text="Its secret is shown only now.")).to_be_visible()
    sight.judge()
    row = page.get_by_role("row", name="From the browser")
    row.get_by_role("button", name="Remove").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("its tokens are refused at once")
    dialog.get_by_role("button", name="Remove the client").click()
    expect(page.get_by_text("The client is removed.")).to_be_visible()
    expect(row).to_have_count(0)


def test_the_audit_log_is_filtered_as_one_types(sight: Sight, visitor: Visitor) -> None:
    made = visitor.face.get("/headgate/audit", action="create", resource="flows").json()["items"]
    page = sight.open("/audit")
    page.get_by_label("Action").select_option("create")
    page.get_by_label("What").fill("flows")
    page.keyboard.press("Enter")
    rows = page.locator("#results tbody tr")
    expect(rows).to_have_count(len(made))
    expect(page).to_have_url(re.compile("action=create.*resource=flows"))
    page.get_by_label("Who").fill("nobody of this name")
    expect(page.get_by_text("No entry matches")).to_be_visible()
