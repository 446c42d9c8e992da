"""The catalogue of sources, connections, what they reach, and the way from a source to rows."""

import re
from typing import Literal

import pytest
from playwright.sync_api import Browser, Route, expect

from headgate.service.working import working
from tests.browser.sight import Sight
from tests.integration.face import POSTGRESQL
from tests.integration.visitor import Visitor


@pytest.mark.parametrize(
    "path", ["/sources", f"/sources/{POSTGRESQL}?auth=Basic+Authentication", "/sources/generic-rest"]
)
def test_a_page_is_well_in_every_look(sight: Sight, path: str) -> None:
    sight.judge(path)


def test_the_catalogue_is_searched_as_one_types(sight: Sight) -> None:
    page = sight.open("/sources")
    page.keyboard.press("/")
    page.keyboard.type("sqlite")
    expect(page.get_by_role("heading", level=2)).to_have_text(["SQLite"])
    expect(page).to_have_url(re.compile("q=sqlite"))


def test_what_was_typed_last_is_what_is_found(sight: Sight) -> None:
    page = sight.open("/sources")
    held: list[Route] = []
    page.route(re.compile("q=sq$"), lambda route: held.append(route))
    page.clock.install()
    search = page.get_by_role("searchbox", name="Search")
    with page.expect_request(re.compile("q=sq$")):  # its answer is slow
        search.press_sequentially("sq")
        page.clock.run_for(400)
    for more in ("l", "ite"):
        search.press_sequentially(more)
        page.clock.run_for(400)
    for each in held:
        each.continue_()
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


def test_from_nothing_to_rows_by_keyboard_alone(sight: Sight, visitor: Visitor) -> None:
    def press(role: Literal["link", "button", "radio"], name: str, key: str = "Enter") -> None:
        sight.by_keyboard(page.get_by_role(role, name=name, exact=True)).press(key)

    def write(label: str, text: str) -> None:
        sight.by_keyboard(page.get_by_role("textbox", name=re.compile(rf"^{label}( optional)?$")))
        page.keyboard.press("Control+A")
        page.keyboard.type(text)

    def at(step: str) -> None:
        expect(page.locator("[aria-current=step]")).to_have_text(step)
        sight.judge()

    page = sight.open("/sources")
    page.keyboard.press("/")
    page.keyboard.type("sqlite")
    expect(page.get_by_role("heading", level=2)).to_have_text(["SQLite"])
    press("button", "New connection to SQLite")
    write("Name", "By keyboard")
    write("Path", str(visitor.face.folder / "nothing.db"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("The test did not pass.")
    write("Path", str(visitor.face.folder / "shop.db"))
    page.keyboard.press("Enter")
    expect(page.get_by_text("By keyboard is connected.")).to_be_visible()
    press("button", "Add data")
    press("link", "orders")
    expect(page.get_by_role("region", name="Preview").get_by_role("row")).to_have_count(51)
    at("2 Data")
    press("button", "Next: dataset")
    at("3 Dataset")
    write("Name of the flow", "Orders by keyboard")
    write("Name of the new dataset", "By keyboard")
    press("button", "Next: columns")
    at("4 Columns")
    press("button", "Next: when")
    at("5 When")
    sight.by_keyboard(page.get_by_label("Delta column"))
    page.keyboard.type("updated")
    press("button", "Next: review")
    at("6 Review")
    press("button", "Make the flow and start a run")
    expect(page.get_by_role("heading", level=1)).to_have_text("New run")
    sight.by_keyboard(page.get_by_label("From, included"))
    page.keyboard.type("03012024")
    page.keyboard.press("Tab")
    page.keyboard.type("120000AM")
    press("button", "Start the run")
    with working(visitor.face.settings):
        expect(page.locator("#live .state").first).to_have_text("succeeded")
    expect(page.locator("#lines li").last).to_contain_text("Done: 50 records landed")


def test_the_wizard_works_without_scripts(browser: Browser, visitor: Visitor) -> None:
    [shop] = visitor.face.get("/connections", property="name==Shop database").json()["items"]
    with Sight.of(browser, visitor, javascript=False) as sight:
        page = sight.open(f"/wizard?step=connection&connection={shop['id']}")
        page.get_by_role("button", name="Next: data").click()
        page.get_by_role("link", name="orders").click()
        page.get_by_role("button", name="Next: dataset").click()
        expect(page.get_by_role("group", name="Primary key")).to_be_hidden()
        page.get_by_role("radio", name="Update by key").check()
        page.get_by_role("button", name="Next: columns").click()
        expect(page.get_by_text("Choose the columns that tell rows apart.")).to_be_visible()
        page.get_by_role("group", name="Primary key").get_by_role("checkbox", name="id", exact=True).check()
        page.get_by_role("button", name="Next: columns").click()
        page.get_by_label("Name of total in the dataset").fill("price")
        page.get_by_role("button", name="Preview").click()
        expect(page.get_by_role("columnheader", name="price")).to_be_visible()


def test_another_way_to_authenticate_keeps_what_was_typed(sight: Sight) -> None:
    page = sight.open(f"/sources/{POSTGRESQL}")
    page.get_by_label("Name", exact=True).fill("Half typed")
    way = page.get_by_role("radio", name="Basic Authentication")
    sight.by_keyboard(page.get_by_role("radio", checked=True)).press("ArrowLeft")
    expect(way).to_be_checked()
    expect(way).to_be_focused()
    expect(page.get_by_label("Name", exact=True)).to_have_value("Half typed")
    expect(page.get_by_label("Server", exact=True)).to_be_visible()
