"""What a person has before them: a page of the browser, and a record of all that goes wrong in it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Request

from tests.integration.visitor import Visitor

__all__ = ["Sight"]

_THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
_AXE = (Path(__file__).parent / "axe-core-4.14.1" / "axe.min.js").read_text()
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
_JUDGE = """async (rules) => {
  const found = await axe.run(document, {runOnly: rules});
  const said = (node) => `${node.html.slice(0, 300)} ${node.failureSummary}`;
  return found.violations.map(v => `${v.id}: ${v.help}: ${v.nodes.slice(0, 3).map(said).join(" | ")}`);
}"""
_SIDEWAYS = """() => {
  const boxes = [document.documentElement, ...document.querySelectorAll(".scrolls:has(> .stacks)")];
  const narrow = document.documentElement.clientWidth < 500;
  const wide = boxes.filter((box, at) => (narrow || at === 0) && box.scrollWidth > box.clientWidth);
  return wide.map(box => `${box.tagName} ${box.ariaLabel ?? ""}: ${box.scrollWidth} of ${box.clientWidth} pixels`);
}"""


class Sight:
    """A page that is open. In `wrong` are errors of scripts, broken rules of the policy, and calls of other hosts."""

    def __init__(self, page: Page, base: str) -> None:
        self.page, self.base = page, base
        self.wrong: list[str] = []
        self._expected: list[str] = []
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.wrong.append(f"script: {error}"))
        page.on("request", self._asked)

    @classmethod
    @contextmanager
    def of(cls, browser: Browser, visitor: Visitor, *, javascript: bool = True) -> Iterator["Sight"]:
        """A page with the cookies of `visitor`; what went wrong in it fails the test in the end."""
        context = browser.new_context(
            base_url=visitor.base,
            viewport={"width": 1280, "height": 800},
            timezone_id="Europe/Berlin",
            java_script_enabled=javascript,
            reduced_motion="reduce",
        )
        context.set_default_timeout(10_000)
        cookies = visitor.http.cookies.items()
        context.add_cookies([{"name": name, "value": value, "url": visitor.base} for name, value in cookies])
        try:
            sight = cls(context.new_page(), visitor.base)
            yield sight
            assert sight.wrong == []
        finally:
            context.close()

    def open(self, path: str) -> Page:
        """Go to a page, which must be there."""
        answer = self.page.goto(path)
        assert answer is not None
        assert answer.status < 400, f"{path} answers {answer.status}"
        return self.page

    def expects(self, pattern: str) -> None:
        """Let pass messages of the browser's console that match, such as of an answer 422 that a form shows."""
        self._expected.append(pattern)

    def judge(self, path: str = "", *, widths: tuple[int, ...] = (1280, 390)) -> None:
        """See that the page is well in light and dark, wide and narrow: accessible, nothing wrong, not too wide.

        On narrow screens lists that turn their rows to cards do not scroll sideways either.
        `path` is gone to first; without one the page is judged as it is.
        """
        if path:
            self.open(path)
        self.page.evaluate(_AXE)
        for theme, width in product(_THEMES, widths):
            self.page.emulate_media(color_scheme=theme)
            self.page.set_viewport_size({"width": width, "height": 800})
            where = f"{self.page.url} in {theme}, {width} pixels wide"
            found = "\n".join(self.page.evaluate(_JUDGE, _RULES))
            assert not found, f"{where}:\n{found}"
            assert self.page.evaluate(_SIDEWAYS) == [], f"{where} scrolls sideways"
        self.page.set_viewport_size({"width": 1280, "height": 800})
        assert self.wrong == []

    def by_keyboard(self, goal: Locator, *, most: int = 60) -> Locator:
        """Press Tab until `goal` has the focus, as who uses no mouse does."""
        for _ in range(most):
            self.page.keyboard.press("Tab")
            if goal.evaluate("one => one === document.activeElement"):
                return goal
        raise AssertionError(f"{goal} is not reached by {most} times Tab.")

    def _said(self, message: ConsoleMessage) -> None:
        text = f"{message.type}: {message.text} {message.location.get('url', '')}"
        if message.type in ("error", "warning") and not any(re.search(one, text) for one in self._expected):
            self.wrong.append(text)

    def _asked(self, request: Request) -> None:
        parts: Any = urlsplit(request.url)
        if parts.scheme not in ("data", "blob") and f"{parts.scheme}://{parts.netloc}" != self.base:
            self.wrong.append(f"asked another host: {request.url}")
