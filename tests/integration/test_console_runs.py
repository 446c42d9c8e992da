"""The console's pages of flows and runs, as a browser without scripts sees them."""

import json
import os
import re
from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest

from headgate.model.orgs import Grant
from headgate.model.permissions import Permission
from headgate.model.run_log import LogLine
from headgate.model.runs import RunState
from headgate.service.working import working
from tests.integration.face import FILES, LOCAL_FILES, NOBODY, Face
from tests.integration.sse import lines_of
from tests.integration.visitor import Visitor, visiting

DELTA = {"name": "updated_at"}


@pytest.fixture(scope="module")
def visitor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visitor]:
    with visiting(tmp_path_factory.mktemp("console")) as visitor:
        yield visitor


@pytest.fixture(scope="module")
def face(visitor: Visitor) -> Face:
    return visitor.face


@pytest.fixture(scope="module")
def orders(face: Face) -> str:
    """A flow that has run: in March 2024 twice, once well and once badly."""
    flow = face.flow(name="Orders <daily>")
    good = face.run(flow, deltaColumn=DELTA).json()["id"]
    end(face, good, RunState.SUCCESS, metrics={"recordSummary": {"outputRecordCount": 22}})
    bad = face.run(flow, windowStartTime="1710201600", windowEndTime="1710288000").json()["id"]
    problem = {"code": "CONNECTOR-3001-500", "message": "The table is <gone>."}
    end(face, bad, RunState.FAILED, metrics={"statusSummary": {"errors": [problem]}})
    return flow


def end(face: Face, run_id: str, state: RunState, **report: Any) -> None:
    while claim := face.store.queue.claim("worker", lease=60):
        face.store.queue.finish(claim.run, state, **{"metrics": {}, "activities": [], **report})
        if claim.run.id == run_id:
            return
    raise AssertionError(run_id)


def runs_of(face: Face, flow: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = face.get(f"/flows/{flow}/runs").json()["items"]
    return found


def test_flows_are_listed_and_filtered(visitor: Visitor, orders: str) -> None:
    other = visitor.face.flow(name="Returns")
    listed = visitor.page("/flows")
    assert "Orders &lt;daily&gt;" in listed
    assert f'href="/flows/{orders}"' in listed
    for query, there in (("name=Returns", other), ("name=turn", other), ("state=enabled&by=local%40headgate", orders)):
        assert f'href="/flows/{there}"' in visitor.page(f"/flows?{query}")
    assert f'href="/flows/{orders}"' not in visitor.page("/flows?name=Returns")
    for query in ("name=nothing", "state=disabled", "until=2020-01-01", "by=nobody"):
        assert "No flow fits" in visitor.page(f"/flows?{query}")
    connection = visitor.face.get("/flows/" + other).json()["items"][0]["inheritedAttributes"]["sourceConnections"][0]
    found = visitor.page(f"/flows?connection={connection['baseConnection']['id']}")
    assert (f'href="/flows/{other}"' in found, f'href="/flows/{orders}"' in found) == (True, False)
    assert f'href="/flows/{other}"' not in visitor.page("/flows?last=failed")
    part = visitor.get("/flows?name=Returns", hx_request="true").text
    assert "<html" not in part
    assert f'href="/flows/{other}"' in part


def test_a_flow_shows_its_ends_its_windows_and_its_runs(visitor: Visitor, orders: str) -> None:
    page = visitor.page(f"/flows/{orders}?from=2024-03-01T00:00&to=2024-03-20T00:00")
    for text in ("Orders &lt;daily&gt;", "replaceWindow", "on demand", "Copy (delta column updated_at)"):
        assert text in page
    states = re.findall(r'<td[^>]*><span class="state \w+">.*?</svg>(\w+)</span>', page)
    assert states[:3] == ["missing", "failed", "ingested"]
    assert f"/runs/new?flow={orders}&amp;from=2024-03-13T00%3A00&amp;to=2024-03-20T00%3A00" in page
    assert "There is no time" not in page
    wrong = visitor.page(f"/flows/{orders}?from=yesterday")
    assert "&#39;yesterday&#39; is no time" in wrong


def test_a_flow_that_runs_by_itself_is_not_run_by_hand(visitor: Visitor, face: Face) -> None:
    copy = {"name": "Copy", "params": {"deltaColumn": DELTA}}
    daily = {"startTime": 4_000_000_000, "frequency": "day", "interval": 1}
    flow = face.flow(name="Nightly", scheduleParams=daily, transformations=[copy])
    page = visitor.page(f"/flows/{flow}")
    assert "every 1 day, from" in page
    assert "/runs/new?flow=" not in page
    told = visitor.page(f"/runs/new/estimate?flow={flow}&from=2024-03-05T00:00&to=2024-03-09T00:00")
    assert "make a flow with the frequency <code>once</code>" in told
    dialog = visitor.page(f"/runs/new?flow={flow}")
    assert "It runs by its schedule" in dialog
    assert "Start the run" not in dialog


def test_a_schedule_is_changed_on_the_flow_s_page(visitor: Visitor, face: Face) -> None:
    copy = {"name": "Copy", "params": {"deltaColumn": DELTA}}
    daily = {"startTime": 4_000_000_000, "frequency": "day", "interval": 1, "backfill": True}
    flow = face.flow(name="Changing", scheduleParams=daily, transformations=[copy])
    assert "First run (UTC)" in visitor.page(f"/flows/{flow}")
    form = {"frequency": "minute", "interval": "20", "start": "2096-10-02T08:00"}
    for wrong, field in (
        ({"interval": "5"}, "interval"),
        ({"frequency": "year"}, "frequency"),
        ({"start": "x"}, "start"),
    ):
        answer = visitor.post(f"/flows/{flow}/schedule", form | wrong)
        assert answer.status_code == 400
        assert f'id="f-{field}-error"' in answer.text
    assert visitor.post(f"/flows/{flow}/schedule", form).status_code == 303
    held = face.get(f"/flows/{flow}").json()["items"][0]["scheduleParams"]
    assert held == {"frequency": "minute", "interval": 20, "startTime": 4_000_003_200}
    begun = {**daily, "startTime": 1_700_000_000}
    passed = face.flow(name="Begun", scheduleParams=begun, transformations=[copy])
    assert "which has passed and stays" in visitor.page(f"/flows/{passed}")
    weekly = {"frequency": "week", "interval": "2", "fixed": "true"}
    assert visitor.post(f"/flows/{passed}/schedule", {**weekly, "etag": '"other"'}).status_code == 412
    assert visitor.post(f"/flows/{passed}/schedule", weekly).status_code == 303
    assert face.get(f"/flows/{passed}").json()["items"][0]["scheduleParams"] == {
        **begun,
        "frequency": "week",
        "interval": 2,
    }
    by_hand = face.flow(name="By hand")
    refused = visitor.post(f"/flows/{by_hand}/schedule", {"frequency": "day", "interval": "1"})
    assert refused.status_code == 400
    assert "delta column" in refused.text


def test_a_flow_is_disabled_enabled_and_deleted(visitor: Visitor, face: Face) -> None:
    flow = face.flow(name="Short-lived")
    for op, state in (("disable", "disabled"), ("enable", "enabled")):
        visitor.page(f"/flows/{flow}")
        assert visitor.post(f"/flows/{flow}/{op}").headers["location"] == f"/flows/{flow}"
        assert face.get(f"/flows/{flow}").json()["items"][0]["state"] == state
    visitor.page(f"/flows/{flow}")
    assert visitor.post(f"/flows/{flow}/delete").headers["location"] == "/flows"
    assert visitor.get(f"/flows/{flow}").status_code == 404


def test_the_dialog_has_a_window_from_the_start_and_says_what_it_would_do(visitor: Visitor, orders: str) -> None:
    page = visitor.page(f"/runs/new?flow={orders}")
    for preset in ("Last hour", "Yesterday", "Last 7 days", "Since the last success", "Missing windows"):
        assert preset in page
    values = re.findall(r'type="datetime-local" value="([^"]+)"', page)
    assert values[0] == "2024-03-12T00:00"  # where the last successful run ended
    assert len(values) == 2
    told = visitor.page(f"/runs/new/estimate?flow={orders}&from=2024-03-05T00:00&to=2024-03-09T00:00")
    words = " ".join(unescape(re.sub(r"<[^>]+>", " ", told)).split())
    assert "8 rows counted" in words
    assert "Rows whose updated_at is 2024-03-05T00:00:00Z or later, and before 2024-03-09T00:00:00Z." in words
    assert "goes from 2024-03-01 12:00:00 to 2024-03-28 12:00:00" in words
    [all_] = re.findall(r'href="(/runs/new[^"]+)">Take everything the source has', told)
    assert unescape(all_) == f"/runs/new?flow={orders}&from=2024-03-01T12%3A00&to=2024-03-28T12%3A00%3A01"
    assert "1 earlier run brought 22 records" in words
    assert "8 rows" not in visitor.page(f"/runs/new?flow={orders}&from=2024-03-05T00:00&to=2024-03-09T00:00")
    plain = visitor.page(f"/runs/new?flow={orders}&from=2024-03-05T00:00&to=2024-03-09T00:00&estimate=1")
    assert "<strong>8</strong>" in plain


def test_a_first_run_chooses_its_delta_column_among_those_that_can_be_it(visitor: Visitor, face: Face) -> None:
    flow = face.flow(name="Fresh")
    told = visitor.page(f"/runs/new/estimate?flow={flow}&from=2024-03-05T00:00&to=2024-03-09T00:00")
    options = re.findall(r'<option value="([^"]*)"( selected)?>', told)
    assert options == [("updated_at", " selected"), ("created", "")]
    visitor.page(f"/runs/new?flow={flow}")
    form = {"flow": flow, "from": "2024-03-05T00:00", "to": "2024-03-09T00:00", "delta": "created"}
    sent = visitor.post("/runs/new", form)
    run = sent.headers["location"].removeprefix("/runs/")
    params = face.get(f"/runs/{run}").json()["items"][0]["params"]
    assert params == {"windowStartTime": 1709596800, "windowEndTime": 1709942400, "deltaColumn": {"name": "created"}}


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"from": ""}, "from", "There is no time"),
        ({"to": "soon"}, "to", "&#39;soon&#39; is no time"),
        ({"to": "2024-03-01T00:00"}, "to", "2024-03-01T00:00 UTC, before it begins at 2024-03-05T00:00 UTC"),
        ({"delta": "payload"}, "delta", "deltaColumn"),
    ],
)
def test_what_is_wrong_stands_beside_its_field(
    visitor: Visitor, face: Face, change: dict[str, str], field: str, words: str
) -> None:
    flow = face.flow(name="Wrong")
    visitor.page(f"/runs/new?flow={flow}")
    form = {"flow": flow, "from": "2024-03-05T00:00", "to": "2024-03-09T00:00", "delta": "updated_at", **change}
    answer = visitor.post("/runs/new", form)
    assert answer.status_code == 400
    assert words in answer.text or field == "delta"
    if field in ("from", "to"):
        assert f'id="f-{field}-error"' in answer.text
        assert 'aria-invalid="true"' in answer.text
    else:
        assert 'role="alert"' in answer.text
    assert 'value="2024-03-0' in answer.text  # what was right need not be written again
    assert runs_of(face, flow) == []


def test_the_same_form_sent_twice_makes_one_run(visitor: Visitor, face: Face, orders: str) -> None:
    page = visitor.page(f"/runs/new?flow={orders}&preset=yesterday")
    key = re.search(r'name="key" value="([^"]+)"', page)
    assert key is not None
    form = {"flow": orders, "from": "2024-03-05T00:00", "to": "2024-03-06T00:00", "key": key[1]}
    first, again = (visitor.post("/runs/new", form).headers["location"] for _ in range(2))
    assert first == again
    face.post(f"{first}/action?op=cancel", None)


def test_runs_are_listed_and_filtered(visitor: Visitor, face: Face, orders: str) -> None:
    bad, good = runs_of(face, orders)[-2:]
    good, bad = sorted((good["id"], bad["id"]), key=lambda id_: id_ != runs_of(face, orders)[-1]["id"])
    everything = visitor.page("/runs")
    assert good[:8] in everything
    assert bad[:8] in everything
    for query, there, gone in ((f"flow={orders}&state=failed", bad, good), ("state=success", good, bad)):
        page = visitor.page(f"/runs?{query}")
        assert there[:8] in page
        assert gone[:8] not in page
    for query in ("by=nobody", "until=2020-01-01", f"flow={NOBODY}"):
        assert "No run fits" in visitor.page(f"/runs?{query}")
    assert "is no time" in visitor.page("/runs?since=soon")


def test_a_flow_that_is_disabled_is_not_run_by_hand(visitor: Visitor, face: Face) -> None:
    off = face.flow(name="Off")
    visitor.page("/flows")
    visitor.post(f"/flows/{off}/disable")
    assert "It is disabled, so it takes no runs." in visitor.page(f"/runs/new?flow={off}")
    sent = visitor.post("/runs/new", {"flow": off, "from": "2024-03-05T00:00", "to": "2024-03-09T00:00"})
    assert sent.status_code == 400
    assert "It is disabled" in sent.text


def test_ticked_runs_are_cancelled_and_made_again_at_once(visitor: Visitor, face: Face) -> None:
    flow = face.flow(name="Many")
    ids = [face.run(flow, deltaColumn=DELTA, startTime=4_000_000_000).json()["id"] for _ in range(2)]
    visitor.page("/runs")
    answer = visitor.post("/runs/cancel", {"run": ids, "back": f"/runs?flow={flow}"})
    assert answer.headers["location"] == f"/runs?flow={flow}"
    assert "2 of 2 runs are cancelled" in visitor.page(answer.headers["location"])
    assert {run["metrics"]["statusSummary"]["status"] for run in runs_of(face, flow)} == {"cancelled"}
    failed = face.run(flow).json()["id"]
    end(face, failed, RunState.FAILED)
    visitor.post("/runs/re-trigger", {"run": [failed, ids[0]], "back": "//evil.example"})
    said = visitor.page("/runs")
    assert "1 of 2 runs are made anew" in said
    assert "The run is cancelled; it is re-triggered when" in said
    assert runs_of(face, flow)[0]["parentFlowRunId"] == failed
    assert "No run is ticked." in visitor.page(visitor.post("/runs/cancel").headers["location"])


def test_a_run_shows_how_it_went_and_how_to_make_it_again_without_the_token(
    visitor: Visitor, face: Face, orders: str
) -> None:
    bad = next(run for run in runs_of(face, orders) if run["metrics"]["statusSummary"]["status"] == "failed")
    page = visitor.page(f"/runs/{bad['id']}")
    assert "The table is &lt;gone&gt;. (CONNECTOR-3001-500)" in page
    assert "Attempt 1 begins on worker." in page
    commands = unescape(" ".join(re.findall(r"<pre[^>]*><code>(.*?)</code>", page, re.DOTALL)))
    assert "Authorization: Bearer $TOKEN" in commands
    assert f"headgate runs start {orders} --from 2024-03-12T00:00Z --to 2024-03-13T00:00Z" in commands
    assert 'window=("2024-03-12T00:00Z", "2024-03-13T00:00Z"), delta_column=\'updated_at\'' in commands
    assert face.credentials.access_token not in page
    assert face.credentials.client_secret not in page
    again = visitor.post(f"/runs/{bad['id']}/re-trigger")
    assert again.status_code == 303
    made = again.headers["location"]
    assert "This is a new run of the same window." in visitor.page(made)
    assert visitor.post(f"{made}/cancel").headers["location"] == made
    assert face.get(made).json()["items"][0]["metrics"]["statusSummary"]["status"] == "cancelled"
    assert visitor.post(f"/runs/{bad['id']}/cancel").headers["location"] == f"/runs/{bad['id']}"
    assert "had ended before it could be cancelled" in visitor.page(f"/runs/{bad['id']}")
    assert visitor.get(f"/runs/{NOBODY}").status_code == 404


def test_a_page_is_brought_up_to_date_by_events(visitor: Visitor, face: Face) -> None:
    run = face.run(face.flow(name="Live"), deltaColumn=DELTA).json()["id"]
    page = visitor.page(f"/runs/{run}")
    after = re.search(r'data-after="([^"]+)"', page)
    assert after is not None
    with visitor.http.stream("GET", f"/runs/{run}/stream?after={after[1]}") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = lines_of(answer)
        while (claim := face.store.queue.claim("worker-7", lease=60)) and claim.run.id != run:
            face.store.queue.finish(claim.run, RunState.FAILED, metrics={}, activities=[])
        assert claim is not None
        told: dict[str, str] = {}
        while "log" not in told or 'class="state inProgress"' not in told.get("live", ""):
            event = next(events)
            told[event.name] = event.data
        assert "Attempt 1 begins on worker-7." in told["log"]
        face.store.queue.finish(
            claim.run, RunState.SUCCESS, metrics={}, activities=[], lines=[LogLine.now("Done <well>.")]
        )
        line, live, done = events
    assert "Done &lt;well&gt;." in line.data
    assert 'class="state success"' in live.data
    assert (done.name, done.data) == ("done", "success")
    assert visitor.get(f"/runs/{run}/stream", last_event_id=done.id).status_code == 204
    rest = visitor.http.get(f"/runs/{run}/stream", headers={"Last-Event-ID": line.id})
    assert [event.name for event in lines_of(rest)] == ["live", "done"]


def test_a_run_of_a_real_worker_shows_its_splits_and_what_it_left_out(visitor: Visitor, face: Face) -> None:
    for name, rows in (("one", "1,2024-03-01\n2,2024-03-02\n"), ("two", "3,2024-03-03\n4,<soon>\n")):
        (face.folder / f"{name}.csv").write_text(f"id,day\n{rows}")
        os.utime(face.folder / f"{name}.csv", (1709300000, 1709300000))
    body = {"name": "days", "connectionSpec": {"id": LOCAL_FILES}, "data": {"format": "delimited"}}
    columns = [{"name": "id", "type": "long"}, {"name": "day", "type": "date"}]
    source = face.made("/sourceConnections", {**body, "params": {"path": "*.csv", "columns": columns}})
    flow = face.flow(
        name="Days",
        flowSpec={"id": FILES},
        sourceConnectionIds=[source],
        targetConnectionIds=[face.target(face.dataset("Days"))],
        options={"partialIngestionPercent": 50, "errorDiagnosticsEnabled": True},
    )
    run = face.run(flow).json()["id"]
    with working(face.settings), visitor.http.stream("GET", f"/runs/{run}/stream") as answer:
        assert [*lines_of(answer)][-1].data == "success"
    details = face.get(f"/runs/{run}/details").json()
    assert sum(split["recordCount"] for split in details["splits"]) == 3
    assert len(details["splits"]) == 2
    page = visitor.page(f"/runs/{run}")
    assert page.count('<g class="split">') == 2
    assert "<mark>&lt;soon&gt;</mark>" in page
    assert "1 were rejected." in page
    assert "1 rejected</small>" in visitor.page("/runs")
    lost = visitor.get(f"/runs/{run}/rejected")
    assert lost.headers["content-disposition"] == f'attachment; filename="rejected-{run[:8]}.jsonl"'
    assert [json.loads(line)["day"] for line in lost.text.splitlines()] == ["<soon>"]
    organisation = face.credentials.org_id
    face.store.tenants.add_role(organisation, "without-data", frozenset({Permission.VIEW_SOURCES}))
    face.store.tenants.grant(organisation, Grant("blind@headgate", "user", "without-data", None))
    blind = visitor.other().sign_in("blind@headgate")
    assert "&lt;soon&gt;" not in blind.page(f"/runs/{run}")
    assert blind.get(f"/runs/{run}/rejected").status_code == 403


def test_who_may_only_look_is_offered_nothing_to_do(visitor: Visitor, face: Face, orders: str) -> None:
    face.store.tenants.grant(face.credentials.org_id, Grant("looker@headgate", "user", "viewer", None))
    looker = visitor.other().sign_in("looker@headgate")
    run = runs_of(face, orders)[0]["id"]
    for path in ("/flows", f"/flows/{orders}", "/runs", f"/runs/{run}"):
        page = looker.page(path)
        for word in ("Disable", "Re-trigger", "Cancel ticked", "/runs/new", "Delete"):
            assert word not in page, (path, word)
    assert looker.get(f"/runs/new?flow={orders}").status_code == 403
    assert looker.post(f"/flows/{orders}/disable").status_code == 403
