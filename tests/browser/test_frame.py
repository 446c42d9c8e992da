"""The frame of every page: signing in, the menu, places, looks, and the way around by keyboard."""

import pytest
from playwright.sync_api import Browser, expect

from headgate.model.orgs import Client, Org
from tests.browser.sight import Sight
from tests.integration.visitor import Visitor, code_of


@pytest.mark.parametrize("path", ["/", "/sign-in"])
def test_a_page_is_well_in_every_look(sight: Sight, path: str) -> None:
    sight.judge(path)


def test_an_error_page_is_well_in_every_look(sight: Sight) -> None:
    sight.expects("404")
    sight.page.goto("/nothing")
    expect(sight.page.get_by_role("heading", level=1)).to_have_text("Resource not found")
    sight.judge()


def test_signing_in_and_out(browser: Browser, visitor: Visitor) -> None:
    with Sight.of(browser, visitor.other()) as sight:
        page = sight.open("/")
        expect(page).to_have_url(f"{visitor.base}/sign-in")
        sight.expects("400")
        page.get_by_label("Sign-in code").fill("hgc_wrong")
        page.get_by_role("button", name="Sign in", exact=True).click()
        expect(page.get_by_role("alert")).to_contain_text("invalid_grant")
        page.get_by_label("Sign-in code").fill(code_of(visitor.face))
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
        page.get_by_role("button", name="Account of local@headgate").click()
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_text("You are signed out.")).to_be_visible()
        page.goto("/")
        expect(page).to_have_url(f"{visitor.base}/sign-in")


def test_the_place_and_the_look_are_changed_in_the_bar(browser: Browser, visitor: Visitor) -> None:
    with Sight.of(browser, visitor.other().sign_in()) as sight:
        page = sight.open("/")
        page.get_by_role("button", name="Place:").click()
        page.get_by_role("button", name="Development").click()
        expect(page.get_by_role("button", name="sandbox dev")).to_be_visible()
        page.get_by_role("button", name="Account of").click()
        page.get_by_role("button", name="Dark").click()
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        page.get_by_role("button", name="Account of").click()
        page.get_by_role("button", name="System").click()
        expect(page.locator("html")).not_to_have_attribute("data-theme", "dark")


def test_the_menu_opens_on_a_narrow_screen_and_by_keyboard(sight: Sight) -> None:
    page = sight.page
    page.set_viewport_size({"width": 390, "height": 800})
    sight.open("/")
    pages = page.get_by_role("navigation", name="Pages")
    expect(pages).to_be_hidden()
    sight.by_keyboard(page.get_by_role("button", name="Menu")).press("Enter")
    expect(pages.get_by_role("link", name="Overview")).to_be_visible()
    sight.judge(widths=(390,))
    page.set_viewport_size({"width": 390, "height": 800})
    page.keyboard.press("Escape")
    expect(pages).to_be_hidden()


def test_the_content_is_one_key_away(sight: Sight) -> None:
    page = sight.open("/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#content")).to_be_focused()


def test_times_stand_in_utc_and_in_the_reader_s_zone(sight: Sight) -> None:
    times = sight.open("/").locator("main time")
    expect(times.first).to_contain_text("UTC")
    expect(times.first).to_contain_text("local")


def test_pages_work_without_scripts(browser: Browser, visitor: Visitor) -> None:
    with Sight.of(browser, visitor, javascript=False) as sight:
        expect(sight.open("/").get_by_role("heading", level=1)).to_have_text("Overview")


def test_the_overview_refreshes_itself_until_it_is_paused(sight: Sight, visitor: Visitor) -> None:
    page = sight.page
    page.clock.install()
    sight.open("/")
    flow = visitor.face.get("/flows").json()["items"][-1]["id"]
    links = page.get_by_role("region", name="Last runs").get_by_role("link")
    before = links.first.get_attribute("href")
    visitor.face.run(flow, windowStartTime="1730000000", windowEndTime="1730000100")
    page.clock.run_for(11_000)
    expect(links.first).not_to_have_attribute("href", before or "")
    pause = page.get_by_role("button", name="Pause updates")
    pause.click()
    after = links.first.get_attribute("href")
    visitor.face.run(flow, windowStartTime="1730000200", windowEndTime="1730000300")
    page.clock.run_for(25_000)
    expect(links.first).to_have_attribute("href", after or "")
    page.get_by_role("button", name="Go on").click()
    page.clock.run_for(11_000)
    expect(links.first).not_to_have_attribute("href", after or "")


def test_people_of_another_organisation_meet_no_name_of_this_one_on_any_page(
    browser: Browser, visitor: Visitor
) -> None:
    org_id = "D" * 24 + "@AdobeOrg"
    tenants = visitor.face.store.tenants
    tenants.ensure_org(Org(org_id, "Rivals"), Client("hg_rival", org_id, "rival"), "-", admins=["rival@example.com"])
    with Sight.of(browser, visitor.other().sign_in("rival@example.com", "hg_rival")) as sight:
        page = sight.open("/")
        links = page.get_by_role("navigation", name="Pages").get_by_role("link").all()
        paths = [str(link.get_attribute("href")) for link in links]
        assert "/" in paths
        for path in paths:
            sight.open(path)
            expect(page.get_by_role("heading", level=1)).to_be_visible()
            text = page.content()
            assert "Rivals" in text
            for theirs in ("Orders, daily", "Returned goods", "Shop database", "Local organisation"):
                assert theirs not in text, f"{path} tells of {theirs}"
