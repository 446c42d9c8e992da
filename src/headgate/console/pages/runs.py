"""Runs: the list of them, and one as it goes on."""

import json
import time
from collections.abc import AsyncIterator

from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from headgate.console.moments import written
from headgate.console.page import Pages, Visit
from headgate.console.pages.flows import flow_names, timed
from headgate.console.rejected import lines_of, rejected_of
from headgate.console.timeline import run_bars
from headgate.errors import BadTime, HeadgateError, IllegalTransition, NotFound
from headgate.model.addresses import FLOW_SERVICE
from headgate.model.permissions import Permission
from headgate.model.runs import Json, RunState
from headgate.model.windows import parse_instant
from headgate.service.run_events import Watch

__all__ = ["pages"]

pages = Pages()
_STATES = [
    (state.value, {"inProgress": "running", "success": "succeeded"}.get(state, state.value)) for state in RunState
]


@pages.get("/runs", needs=Permission.VIEW_SOURCES)
def runs(visit: Visit) -> Response:
    """The runs, newest first, or those that are asked for."""
    wrong, filters = "", [f"{member}=={visit.asked(name)}" for name, member in _FILTERS.items() if visit.asked(name)]
    try:
        filters += timed(visit, "createdAt")
    except BadTime as error:
        wrong = error.detail
    asked = [*(("property", each) for each in filters), *visit.listing("continuationToken"), ("limit", "50")]
    found = visit.service.runs.listing(visit.caller, asked)
    return visit.page(
        "runs/list.html", part="results", found=found, states=_STATES, flows=flow_names(visit), wrong=wrong
    )


@pages.post("/runs/cancel", needs=Permission.RUN_ON_DEMAND)
def cancel(visit: Visit) -> Response:
    """Cancel the runs that are ticked."""
    return _act_on_all(visit, "cancel", "cancelled, or asked to stop")


@pages.post("/runs/re-trigger", needs=Permission.RUN_ON_DEMAND)
def retrigger(visit: Visit) -> Response:
    """Make a new run of the window of each that is ticked."""
    return _act_on_all(visit, "re-trigger", "made anew")


@pages.get("/runs/{id}", needs=Permission.VIEW_SOURCES)
def run(visit: Visit) -> Response:
    """A run: how it goes on or ended, and how it is made again."""
    id_ = visit.of("id")
    item = visit.service.runs.get(visit.caller, id_)
    details = visit.service.runs.details(visit.caller, id_)
    try:
        flow = visit.service.flows.get(visit.caller, item["flowId"])
    except NotFound:
        flow = None
    log = details["log"]
    after = f"{log[-1]['id']}.{item['etag'].strip(chr(34))}"
    return visit.page(
        "runs/run.html",
        **_live(item, details),
        flow=flow,
        after=after,
        rejected=rejected_of(visit, item),
        commands=_commands(visit, item, details),
    )


@pages.get("/runs/{id}/rejected", needs=Permission.VIEW_DATASETS)
def rejected(visit: Visit) -> Response:
    """The records that a run left out, as a file of a line of JSON each."""
    id_ = visit.of("id")
    named = {"content-disposition": f'attachment; filename="rejected-{id_[:8]}.jsonl"'}
    return StreamingResponse(lines_of(visit, id_), media_type="application/x-ndjson", headers=named)


@pages.post("/runs/{id}/cancel", needs=Permission.RUN_ON_DEMAND)
def cancel_one(visit: Visit) -> Response:
    """Cancel a run."""
    page = f"/runs/{visit.of('id')}"
    try:
        visit.service.runs.act(visit.caller, visit.of("id"), [("op", "cancel")])
    except IllegalTransition:  # it went on while the browser asked whether it shall be cancelled
        return visit.go(page, said="The run had ended before it could be cancelled.", tone="bad")
    return visit.go(page, said="The run is cancelled, or stops as soon as its worker sees it.")


@pages.post("/runs/{id}/re-trigger", needs=Permission.RUN_ON_DEMAND)
def retrigger_one(visit: Visit) -> Response:
    """Make a new run of the same window."""
    made = visit.service.runs.act(visit.caller, visit.of("id"), [("op", "re-trigger")])
    return visit.go(f"/runs/{made['id']}", said="This is a new run of the same window.")


@pages.get("/runs/{id}/stream", needs=Permission.VIEW_SOURCES)
async def stream(visit: Visit) -> Response:
    """What happens to a run: events `live` and `log` bring parts of its page, `done` ends them."""
    after = visit.request.headers.get("last-event-id") or visit.asked("after") or None
    watch = await visit.in_thread(visit.service.run_events.watch, visit.caller, visit.of("id"), after=after)
    if watch.told_end:
        watch.close()
        return Response(status_code=204)
    return _Stream(visit, watch)


_FILTERS = {"state": "state", "flow": "flowId", "by": "createdBy"}


class _Stream(StreamingResponse):
    """The events of a watch as parts of the page; the watch is closed when they end or the browser is gone."""

    def __init__(self, visit: Visit, watch: Watch) -> None:
        self._watch = watch
        super().__init__(_parts(visit, watch), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._watch.close()


async def _parts(visit: Visit, watch: Watch) -> AsyncIterator[str]:
    yield "retry: 1000\n\n"
    async for event in watch.events(visit.still_may):
        if event is None:
            yield ": nothing new\n\n"
        elif event.name == "log":
            yield _event(event.id, "log", visit.rendering.render(visit.request, "runs/line.html", {"line": event.data}))
        elif event.name == "done":
            yield _event(event.id, "done", event.data["state"])
        else:
            html = await visit.in_thread(_rendered, visit)
            yield _event(event.id, "live", html)


def _rendered(visit: Visit) -> str:
    """The part of the page that changes, as the run is now."""
    item = visit.service.runs.get(visit.caller, visit.of("id"))
    context = {**_live(item, visit.service.runs.details(visit.caller, visit.of("id"))), "visit": visit}
    return visit.rendering.render(visit.request, "runs/live.html", context)


def _event(id_: str, name: str, text: str) -> str:
    return f"id: {id_}\nevent: {name}\n" + "".join(f"data: {line}\n" for line in text.splitlines()) + "\n"


def _live(item: Json, details: Json) -> Json:
    """What the part of the page is made of that changes while the run goes on."""
    present = time.time_ns() // 1_000_000
    state = item["metrics"]["statusSummary"]["status"]
    return {
        "run": item,
        "details": details,
        "state": state,
        "ended": RunState(state).final,
        "bars": run_bars(item, details["splits"], present),
        "points": json.dumps(_points(item, details["splits"], present)),
    }


def _points(item: Json, splits: list[Json], present: int) -> list[list[float]]:
    """Records and bytes over time, `[seconds, records, bytes]`, as far as the run tells them."""
    metrics = item["metrics"]
    duration, progress = metrics.get("durationSummary", {}), metrics.get("progress")
    if (begun := duration.get("startedAtUTC")) is None:
        return []
    points, records, size = [[begun / 1000, 0.0, 0.0]], 0.0, 0.0
    for split in sorted(splits, key=lambda split: split["completedAtUTC"]):
        records, size = records + split["recordCount"], size + split["outputBytes"]
        points.append([split["completedAtUTC"] / 1000, records, size])
    if progress is not None:
        points.append([present / 1000, progress["recordCount"], progress["stagedBytes"]])
    elif (copy := next((each for each in item["activities"] if each["id"] == "copyActivity"), None)) is not None:
        at = copy["durationSummary"].get("completedAtUTC") or present
        points.append([at / 1000, copy["recordSummary"]["outputRecordCount"], copy["sizeSummary"]["outputBytes"]])
    return points


def _act_on_all(visit: Visit, op: str, done: str) -> Response:
    ids = list(dict.fromkeys(value for name, value in visit.fields if name == "run"))
    refused, acted = [], 0
    for id_ in ids:
        try:
            visit.service.runs.act(visit.caller, id_, [("op", op)])
            acted += 1
        except HeadgateError as error:
            refused.append(f"{id_[:8]}: {error.detail}")
    back = visit.form.get("back", "/runs")
    where = back if back.startswith("/runs") and back.isprintable() else "/runs"
    if not ids:
        return visit.go(where, said="No run is ticked.", tone="bad")
    said = f"{acted} of {len(ids)} {'run is' if len(ids) == 1 else 'runs are'} {done}. " + " ".join(refused[:5])
    return visit.go(where, said=said.strip(), tone="bad" if refused else "good")


def _commands(visit: Visit, item: Json, details: Json) -> Json:
    """How the same run is made elsewhere; the token is the reader's to fill in."""
    session, body = visit.session, {"flowId": item["flowId"], "params": item["params"]}
    base = visit.service.identity.public_url or str(visit.request.base_url).rstrip("/")
    start, end = (
        written(parse_instant(details["window"][name], name)) for name in ("windowStartTime", "windowEndTime")
    )
    delta = details.get("deltaColumn", {}).get("name")
    headers = {
        "Authorization": "Bearer $TOKEN",
        "x-api-key": "$API_KEY",
        "x-gw-ims-org-id": session.org_id,
        "x-sandbox-name": session.sandbox,
        "Content-Type": "application/json",
    }
    lines = [f"curl -X POST {base}{FLOW_SERVICE}/runs", *(f'-H "{name}: {value}"' for name, value in headers.items())]
    text = json.dumps(body).replace("'", "'\\''")
    column = [f"--delta-column {json.dumps(delta)}"] if delta else []
    ends = [f"--from {start}Z", f"--to {end}Z"]
    named = f", delta_column={delta!r}" if delta else ""
    return {
        "curl": " \\\n  ".join([*lines, f"-d '{text}'"]),
        "CLI": " ".join(["headgate runs start", item["flowId"], *ends, *column, "--wait"]),
        "Python": "import os\n\nfrom headgate import Client\n\n"
        f'options = {{"token": os.environ["TOKEN"], "api_key": os.environ["API_KEY"]}}\n'
        f'with Client("{base}", org="{session.org_id}", sandbox="{session.sandbox}", **options) as client:\n'
        f'    run = client.runs.start("{item["flowId"]}", window=("{start}Z", "{end}Z"){named}).wait()\n',
    }
