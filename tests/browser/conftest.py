"""A browser, a service with something in it, and pages that fail a test for whatever goes wrong in them."""

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.seeded import seed
from tests.browser.sight import Sight
from tests.emulators import absent
from tests.integration.visitor import Visitor, visiting


@pytest.fixture(scope="package")  # while it is open, nothing else in this process may run a loop of asyncio
def browser() -> Iterator[Browser]:
    """Chromium of the system, without a window."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        absent("There is no Chromium here; apt-get install chromium.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@pytest.fixture(scope="package")
def visitor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visitor]:
    """A service in which flows have run, well and badly, and the local user signed in to it. Tests only add to it."""
    with visiting(tmp_path_factory.mktemp("seeded")) as visitor:
        seed(visitor.face)
        yield visitor


@pytest.fixture
def sight(browser: Browser, visitor: Visitor) -> Iterator[Sight]:
    """A page of the local user's. What goes wrong in it fails the test, unless the test `expects()` it."""
    with Sight.of(browser, visitor) as sight:
        yield sight
