"""Names that try to be something else stay text on every page that shows them."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from html.parser import HTMLParser
from urllib.parse import quote

import pytest

from headgate.model.runs import RunState
from tests.browser.seeded import ran
from tests.integration.face import WINDOW, Face
from tests.integration.visitor import Visitor, visiting

PARTS = ("<img src=x onerror=alert(1)>", '"><script>alert(2)</script>', "</title>", "{{7*7}}")
MARKUP = "".join(PARTS)
LINK = "javascript:alert(1)"
DELTA = {"name": "updated_at"}


class Page(HTMLParser):
    """The elements of a page, and what a reader sees of it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text, self.wrong = "", list[str]()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in ("img", "script") and not (given.get("src") or "").startswith("/static/"):
            self.wrong.append(f"<{tag}>")
        for name, value in attrs:
            address = name in ("href", "src", "action", "formaction") or name in ("hx-get", "hx-post", "hx-push-url")
            if name.startswith("on") or (address and (value or "").strip().lower().startswith("javascript:")):
                self.wrong.append(f"{name}={value}")
            self.text += f" {value} "

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def visitor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visitor]:
    with visiting(tmp_path_factory.mktemp("names")) as visitor:
        yield visitor


def hostile(face: Face, name: str) -> dict[str, str]:
    """The addresses of what is called `name`: a connection, a dataset, a flow with a run, a column and a value."""
    with closing(sqlite3.connect(face.folder / "shop.db")) as database:
        quoted = '"' + name.replace('"', '""') + '"'
        database.execute(f"CREATE TABLE {quoted} (id INTEGER, updated_at TIMESTAMP, {quoted} TEXT)")
        database.execute(f"INSERT INTO {quoted} VALUES (1, '2024-03-05 00:00:00', ?)", [name])
        database.commit()
    connection = face.connection(name)
    filled = face.dataset(name)
    flow = face.flow(
        name=name,
        description=name,
        sourceConnectionIds=[face.source(connection, name)],
        targetConnectionIds=[face.target(filled)],
    )
    run = face.run(flow, deltaColumn=DELTA).json()["id"]
    ran(face)
    failed = face.run(flow, windowStartTime=WINDOW["windowEndTime"], windowEndTime="1711929600").json()["id"]
    while claim := face.store.queue.claim("worker", lease=60):
        error = [{"code": "FLOW-1400-500", "message": name}]
        face.store.queue.finish(claim.run, RunState.FAILED, metrics={"errors": error}, activities=[])
    return {"connection": connection, "dataset": filled, "flow": flow, "run": run, "failed": failed}


@pytest.mark.parametrize("name", [MARKUP, LINK])
def test_names_stay_text_on_every_page(visitor: Visitor, name: str) -> None:
    ids = hostile(visitor.face, name)
    assert visitor.face.get(f"/runs/{ids['run']}").json()["items"][0]["metrics"]["statusSummary"]["status"] == "success"
    connection, dataset = f"/connections/{ids['connection']}", f"/datasets/{ids['dataset']}"
    shown = [
        "/", "/connections", connection, f"{connection}/explore", f"{connection}/explore?object={quote(name, safe='')}",
        "/flows", f"/flows/{ids['flow']}", f"/runs/new?flow={ids['flow']}", "/runs", f"/runs/{ids['failed']}",
        "/datasets", dataset, f"{dataset}?show=preview",
    ]  # fmt: skip
    besides = [f"/runs/{ids['run']}", f"{dataset}?show=snapshots", f"{dataset}?show=sql", "/audit", "/workers"]
    besides += [f"{connection}/credentials", f"/wizard?connection={ids['connection']}", f"/datasets?name={quote(name)}"]
    besides += [f"/flows?name={quote(name)}", f"/sources?q={quote(name)}", f"/sign-in?next={quote(name)}"]
    for address in [*shown, *besides]:
        html = visitor.get(address).text
        page = Page(html)
        assert not page.wrong, (address, page.wrong)
        assert not any(part in html for part in PARTS[:2]), address
        assert address in besides or name in page.text, address
