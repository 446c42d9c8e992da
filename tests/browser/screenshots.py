"""`make screenshots`: the main pages, some of them dark too, of a service that has been at work for a day."""

import shutil
import sqlite3
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from playwright.sync_api import FloatRect, Page, sync_playwright

from headgate.service.working import working
from tests.browser.seeded import ran, seed
from tests.integration.face import Face
from tests.integration.visitor import Visitor, visiting

FOLDER = Path(__file__).parents[2] / "docs" / "screenshots"
WIDTH, HEIGHT = 1200, 750
LARGEST = 150_000  # bytes
_HOURS = 40
PAGES = {
    "overview": "/",
    "sources": "/sources",
    "sources-apis": "/sources?category=crm",
    "new-connection": "/sources/mailchimp",
    "connections": "/connections",
    "wizard": "/wizard",
    "flows": "/flows",
    "flow": "/flows > main a:text-is('Orders, daily')",
    "runs": "/runs",
    "run": "/runs?state=success > main a[href^='/runs/']:not([href*='new'])",
    "run-dialog": "/flows > main a:text-is('Orders, daily') > a[href^='/runs/new']",
    "datasets": "/datasets",
    "dataset": "/datasets > main a:text-is('Orders of the shop')",
    "workers": "/workers",
    "people": "/people",
    "audit": "/audit",
}
"""Where each is: an address, then the links to follow from there."""

DARK = ("overview", "run-dialog", "run")


def main() -> None:
    """Take them all."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        raise SystemExit("There is no Chromium here; apt-get install chromium.")
    FOLDER.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="headgate-shots-") as folder,
        visiting(Path(folder)) as visitor,
        sync_playwright() as playwright,
        ExitStack() as stack,
    ):
        seed(visitor.face)
        a_day(visitor.face)
        stack.enter_context(working(visitor.face.settings))
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for theme in ("light", "dark"):
            context = browser.new_context(
                base_url=visitor.base,
                viewport={"width": WIDTH, "height": HEIGHT},
                color_scheme="dark" if theme == "dark" else "light",
                reduced_motion="reduce",
            )
            cookies = visitor.http.cookies.items()
            context.add_cookies([{"name": name, "value": value, "url": visitor.base} for name, value in cookies])
            page = context.new_page()
            for name in PAGES if theme == "light" else DARK:
                if there(page, visitor, PAGES[name]):
                    take(page, FOLDER / f"{name}-{theme}.png")
            context.close()
        browser.close()


def there(page: Page, visitor: Visitor, way: str) -> bool:
    """Go to a page by its way; whether there is one."""
    path, *links = way.split(" > ")
    if visitor.get(path).status_code >= 400:
        return False
    page.goto(path)
    for link in links:
        found = page.locator(link).first
        if found.count() == 0:
            return False
        page.goto(str(found.get_attribute("href")))
    return True


def take(page: Page, path: Path) -> None:
    """Take one; of a page that is full of text only as much from the top as makes a small file."""
    page.wait_for_load_state()
    page.wait_for_timeout(700)  # what a page asks for once it is there
    size, height = LARGEST + 1, HEIGHT
    while size > LARGEST:
        clip: FloatRect = {"x": 0, "y": 0, "width": WIDTH, "height": height}
        size = len(page.screenshot(path=path, animations="disabled", clip=clip))
        height = int(height * 0.95)
    print(f"{path.relative_to(FOLDER.parents[1])}  {size:,} bytes")


def a_day(face: Face) -> None:
    """Let the flows have run through the last day, most of them well."""
    flows = [flow["id"] for flow in face.get("/flows").json()["items"] if flow["name"] != "Orders, each night"]
    begin = 1_717_200_000
    _order(face.folder / "shop.db", begin)
    for hour in range(_HOURS):
        start = begin + hour * 3600
        window = {"windowStartTime": str(start), "windowEndTime": str(start + 3600)}
        face.run(flows[-1] if hour % 17 else flows[0], **window)
    ran(face)
    _spread(face.settings.data / "metadata.db")


def _order(path: Path, begin: int) -> None:
    """Some hundred orders in each hour from `begin` on, and in some hours that no run has brought yet."""
    moments = (
        datetime.fromtimestamp(begin + hour * 3600 + second * 7, UTC).strftime("%Y-%m-%d %H:%M:%S")
        for hour in range(_HOURS + 5)
        for second in range(180 + hour * 97 % 320)
    )
    rows = [(1000 + number, moment, moment[:10], number % 9000 / 100) for number, moment in enumerate(moments)]
    with sqlite3.connect(path) as database:
        database.executemany("INSERT INTO orders (id, updated_at, created, total) VALUES (?, ?, ?, ?)", rows)
    database.close()


def _spread(path: Path) -> None:
    """Move the runs apart in time, as if they had been made one by one."""
    now = int(time.time() * 1000)
    with sqlite3.connect(path) as database:
        runs = database.execute("SELECT seq FROM runs ORDER BY seq").fetchall()
        for index, (seq,) in enumerate(runs):
            back = int((1 - (index + 1) / len(runs)) ** 1.3 * 23.2 * 3_600_000)
            database.execute(
                "UPDATE runs SET created_at = created_at - :back, started_at = started_at - :back, "
                "completed_at = completed_at - :back, updated_at = updated_at - :back WHERE seq = :seq",
                {"back": min(back, now), "seq": seq},
            )
    database.close()


if __name__ == "__main__":
    main()
