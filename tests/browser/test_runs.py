"""Flows and runs before a real browser: started by keys alone, followed as they go on, stopped many at once."""

import re

import pytest
from playwright.sync_api import Locator, expect

from headgate.model.run_log import LogLine
from headgate.model.runs import Run, RunState
from headgate.service import run_events
from headgate.service.working import working
from tests.browser.sight import Sight
from tests.integration.face import Face
from tests.integration.visitor import Visitor


@pytest.fixture
def face(visitor: Visitor) -> Face:
    return visitor.face


def new_flow(face: Face, name: str) -> str:
    return face.flow(name=name, targetConnectionIds=[face.target(face.dataset(f"Table of {name}"))])


def claimed(face: Face, run_id: str) -> Run:
    """The run in the hands of a worker that is this test; those that wait before it are ended."""
    while claim := face.store.queue.claim("worker-of-tests", lease=60):
        if claim.run.id == run_id:
            return claim.run
        face.store.queue.finish(claim.run, RunState.CANCELLED, metrics={}, activities=[])
    raise AssertionError(run_id)


def log(sight: Sight) -> Locator:
    return sight.page.locator("#lines li")


@pytest.mark.parametrize("path", ["/flows", "/runs"])
def test_a_list_is_well_in_every_look(sight: Sight, path: str) -> None:
    sight.judge(path)


def test_a_flow_its_dialog_and_its_runs_are_well_in_every_look(sight: Sight, face: Face) -> None:
    runs = face.get("/runs").json()["items"]
    flow = next(item["id"] for item in face.get("/flows").json()["items"] if item["name"] == "Orders, daily")
    states = {run["metrics"]["statusSummary"]["status"]: run["id"] for run in runs}
    sight.open(f"/flows/{flow}").get_by_text("Change the schedule").click()
    sight.judge()
    sight.open(f"/runs/new?flow={flow}&from=2024-03-05T00:00&to=2024-03-09T00:00")
    expect(sight.page.locator("#estimate")).to_contain_text("8 rows counted")
    expect(sight.page.locator("#from-local")).to_have_text("Mar 5, 2024, 1:00 AM in Europe/Berlin")
    sight.judge()
    for state in ("success", "failed"):
        sight.judge(f"/runs/{states[state]}")


def test_a_run_is_started_by_keys_alone_and_seen_to_end(sight: Sight, face: Face) -> None:
    new_flow(face, "Keyboard")
    page = sight.open("/flows")
    sight.by_keyboard(page.get_by_role("link", name="Run Keyboard")).press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("New run")
    start = page.get_by_label("From, included")
    sight.by_keyboard(start)
    page.keyboard.type("03012024")
    page.keyboard.press("Tab")
    page.keyboard.type("120000AM")
    expect(start).to_have_value(re.compile("2024-03-01T00:00"))
    expect(page.get_by_label("Delta column")).to_have_value("updated_at")
    expect(page.locator("#estimate")).to_contain_text("50 rows counted")
    sight.by_keyboard(page.get_by_role("button", name="Start the run")).press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Run ")
    page.evaluate("document.body.dataset.same = 'yes'")
    with working(face.settings):
        expect(page.locator("#live .state").first).to_have_text("succeeded")
    expect(page.locator("#told")).to_have_text("The run has ended: success.")
    expect(log(sight).last).to_contain_text("Done: 50 records landed in snapshot")
    expect(page.get_by_role("button", name="Re-trigger")).to_be_visible()
    expect(page.get_by_role("button", name="Pause")).to_have_count(0)
    expect(page.locator("body")).to_have_attribute("data-same", "yes")  # it was never loaded again
    sight.judge()


def test_a_stream_that_is_cut_goes_on_without_a_line_twice(
    sight: Sight, face: Face, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_events, "_LONGEST", 0.7)  # seconds after which the service ends a stream
    asked: list[str] = []
    sight.page.on("request", lambda request: asked.append(request.url) if "/stream" in request.url else None)
    run_id = face.run(new_flow(face, "Cut"), deltaColumn={"name": "updated_at"}).json()["id"]
    sight.open(f"/runs/{run_id}")
    run, lines = claimed(face, run_id), []
    for number in range(2):
        lines.append(f"Line {number}.")
        progress = {"progress": {"recordCount": number, "stagedBytes": 10 * number}}
        face.store.queue.heartbeat(run, lease=60, metrics=progress, lines=[LogLine.now(lines[-1])])
        expect(log(sight).last).to_contain_text(lines[-1])
        while len(asked) < number + 2:  # until it has come back that often
            sight.page.wait_for_event("request", lambda request: "/stream" in request.url)
    face.store.queue.finish(run, RunState.SUCCESS, metrics={}, activities=[], lines=[LogLine.now("The end.")])
    expect(sight.page.locator("#told")).to_have_text("The run has ended: success.")
    texts = log(sight).locator("span:last-child").all_text_contents()
    assert texts[1:] == ["Attempt 1 begins on worker-of-tests.", *lines, "The end."]


def test_the_page_stands_still_while_it_is_paused(sight: Sight, face: Face) -> None:
    run_id = face.run(new_flow(face, "Paused"), deltaColumn={"name": "updated_at"}).json()["id"]
    page = sight.open(f"/runs/{run_id}")
    run = claimed(face, run_id)
    expect(log(sight)).to_have_count(2)
    pause = page.locator("#pause")
    sight.by_keyboard(pause).press("Enter")
    expect(pause).to_have_attribute("aria-pressed", "true")
    face.store.queue.finish(run, RunState.FAILED, metrics={}, activities=[], lines=[LogLine.now("Gone.", "error")])
    expect(pause).to_have_text("Go on (1 new)")
    expect(log(sight)).to_have_count(2)
    expect(page.locator("#live .state").first).to_have_text("running")
    pause.press("Enter")
    expect(log(sight).last).to_contain_text("Gone.")
    expect(page.locator("#live .state").first).to_have_text("failed")


def test_many_runs_are_cancelled_at_once(sight: Sight, face: Face) -> None:
    flow = new_flow(face, "Many")
    for _ in range(3):
        face.run(flow, deltaColumn={"name": "updated_at"}, startTime=4_000_000_000)
    page = sight.open("/runs")
    page.get_by_label("Flow").select_option("Many")
    expect(page.locator("#results tbody tr")).to_have_count(3)
    expect(page).to_have_url(re.compile(f"flow={flow}"))
    page.get_by_role("button", name="Tick all").click()
    page.get_by_role("button", name="Cancel ticked").click()
    expect(page.get_by_text("3 of 3 runs are cancelled")).to_be_visible()
    expect(page).to_have_url(re.compile(f"flow={flow}"))  # the same runs are looked at
    expect(page.locator("#results .state.cancelled")).to_have_count(3)
