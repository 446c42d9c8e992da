"""Runs: started, waited for, cancelled and repeated."""

import json
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple, cast

import httpx

from headgate.client.asking import D, Group, answered, call, pages
from headgate.client.errors import RunFailed, Unavailable, WaitTimedOut
from headgate.client.groups import Flows
from headgate.client.shapes import (
    Id,
    Metrics,
    Moment,
    RunDetails,
    RunEstimate,
    RunObject,
    RunProblem,
    RunState,
    Window,
)
from headgate.client.steps import Line, Page, Pause, Steps, Stream
from headgate.client.times import in_milliseconds, on_the_wire
from headgate.model.addresses import FLOW_SERVICE

__all__ = ["Run", "RunEvent", "Runs"]

_FINAL = frozenset({"success", "failed", "cancelled", "partialSuccess"})
_FIRST, _LONGEST = 0.05, 1.0  # seconds between two looks at a run that is waited for


class RunEvent(NamedTuple):
    """What happened to a run: `data` is the run, what changed of it, a line of its log, or how it ended."""

    id: str
    """Where to go on after it."""
    name: Literal["run", "progress", "log", "done"]
    data: dict[str, Any]


class _OfRuns(Group[D]):
    _path = f"{FLOW_SERVICE}/runs"

    def _read(self, id: Id) -> Steps[RunObject]:
        return (yield from self._ask("GET", self._one(id)))["items"][0]


class Run(_OfRuns[D]):
    """A run, as it was last read: `data` is the whole run object. Its methods read it anew, and give it."""

    def __init__(self, driver: D, data: RunObject) -> None:
        super().__init__(driver)
        self.data = data

    def __repr__(self) -> str:
        return f"<Run {self.id} {self.state}>"

    @property
    def id(self) -> str:
        """Its id."""
        return self.data["id"]

    @property
    def flow_id(self) -> str:
        """The id of its flow."""
        return self.data["flowId"]

    @property
    def state(self) -> RunState:
        """`scheduled`, `queued`, `inProgress`, `success`, `failed` or `cancelled`."""
        return self.metrics["statusSummary"]["status"]

    @property
    def ended(self) -> bool:
        """Whether its state is final."""
        return self.state in _FINAL

    @property
    def metrics(self) -> Metrics:
        """What it did so far."""
        return self.data["metrics"]

    @property
    def rows(self) -> int:
        """How many records landed; while it goes on, how many were read."""
        records = self.metrics.get("recordSummary", {})
        return records.get("outputRecordCount", records.get("inputRecordCount", 0))

    @property
    def errors(self) -> Sequence[RunProblem]:
        """Why it failed, or what it left out."""
        return self.metrics["statusSummary"].get("errors", [])

    @property
    def window(self) -> tuple[datetime, datetime] | None:
        """`[start, end)` in UTC; None of a run that has none."""
        params = self.data["params"]
        if "windowStartTime" not in params:
            return None
        start, end = (in_milliseconds(int(params[name])) for name in ("windowStartTime", "windowEndTime"))
        return datetime.fromtimestamp(start / 1000, UTC), datetime.fromtimestamp(end / 1000, UTC)

    @call
    def refresh(self) -> "Steps[Run[D]]":
        """Read it anew."""
        self.data = yield from self._read(self.id)
        return self

    @call
    def wait(
        self, *, timeout: float | None = None, on_progress: "Callable[[Run[D]], object] | None" = None
    ) -> "Steps[Run[D]]":
        """Wait until it has ended, at most `timeout` seconds; `on_progress` is called with it at each look.

        Raises RunFailed, WaitTimedOut.
        """
        end = None if timeout is None else time.monotonic() + timeout
        pause = _FIRST
        while True:
            self.data = yield from self._read(self.id)
            if on_progress is not None:
                on_progress(self)
            if self.ended:
                break
            if timeout is not None and end is not None and time.monotonic() + pause > end:
                raise WaitTimedOut(self.data, timeout)
            yield Pause(pause)
            pause = min(pause * 1.5, _LONGEST)
        if self.state in ("failed", "cancelled"):
            raise RunFailed(self.data)
        return self

    @call
    def cancel(self) -> "Steps[Run[D]]":
        """Have it cancelled: none of its rows will be in the table. It ends as soon as its worker sees that."""
        self.data = yield from self._act("cancel")
        return self

    @call
    def retrigger(self) -> "Steps[Run[D]]":
        """A new run of the same window, of a run that failed or brought nothing."""
        return Run(self._driver, (yield from self._act("re-trigger")))

    @pages
    def events(self, *, after: str | None = None) -> Steps[Page[RunEvent]]:
        """What happens to it, as it happens, until it has ended; `data` is kept up with that.

        A stream that breaks off is taken up again where it was. `after` is the id of the last event seen earlier.
        Raises Unavailable, also when one principal watches too many runs.
        """
        return (yield from self._next_event(after, None))

    @call
    def details(self) -> Steps[RunDetails]:
        """What is known of it besides: attempts, splits, snapshot and log."""
        return (yield from self._ask("GET", self._one(self.id, "/details")))

    def _next_event(self, last: str | None, stream: Stream | None) -> Steps[Page[RunEvent]]:
        broken = 0
        while True:
            if stream is None:
                headers = {"Accept": "text/event-stream", **({} if last is None else {"Last-Event-ID": last})}
                request = self._driver.http.build_request("GET", self._one(self.id, "/events"), headers=headers)
                stream = cast(Stream, (yield from answered(self._driver, request, stream=True)))
                if stream.response.status_code == httpx.codes.NO_CONTENT:  # it had ended, and that was seen
                    return Page([], None, stream)
            try:
                event = yield from _event(stream)
            except httpx.TransportError as error:
                broken += 1
                if broken > self._driver.retries:
                    raise Unavailable(f"The events of the run {self.id} keep breaking off ({error}).") from error
                event = None
            if event is not None:
                self._keep_up(event)
                return Page([event], None if event.name == "done" else self._next_event(event.id, stream), stream)
            stream = None
            yield Pause(_LONGEST)

    def _keep_up(self, event: RunEvent) -> None:
        if event.name == "run":
            self.data = cast(RunObject, event.data)
        elif event.name == "progress":
            changed = {name: event.data[name] for name in ("updatedAt", "etag", "metrics", "activities")}
            self.data = cast(RunObject, {**self.data, **changed})

    def _act(self, op: str) -> Steps[RunObject]:
        return (yield from self._ask("POST", self._one(self.id, "/action"), params={"op": op}))


class Runs(_OfRuns[D]):
    """The runs of the sandbox."""

    @call
    def start(
        self,
        flow: Id,
        *,
        window: Window | None = None,
        delta_column: str | None = None,
        start_time: Moment | None = None,
        idempotency_key: str | None = None,
    ) -> Steps[Run[D]]:
        """Start a run of a flow (its name, its id or itself) over the half-open window; the run, which goes on.

        Without a window it goes on where the last successful run ended. The delta column is needed on a table flow's
        first run. `start_time` lies in the future for a run that is to begin later. A key of your own makes starting
        the same run twice, in whatever process, start it once; without one each call has its own. Raises BadTime.
        """
        body: dict[str, Any] = {"flowId": (yield from self._flow_id(flow))}
        if params := _params(window, delta_column, start_time):
            body["params"] = params
        headers = {"Idempotency-Key": idempotency_key or uuid.uuid4().hex}
        return Run(self._driver, (yield from self._ask("POST", self._path, body=body, headers=headers)))

    @call
    def estimate(
        self, flow: Id, *, window: Window | None = None, delta_column: str | None = None
    ) -> Steps[RunEstimate]:
        """What a run would do: its window, rows or files, what was brought of it before. Nothing is stored."""
        body: dict[str, Any] = {"flowId": (yield from self._flow_id(flow))}
        if params := _params(window, delta_column, None):
            body["params"] = params
        return (yield from self._ask("POST", f"{self._path}:estimate", body=body))

    @call
    def get(self, id: Id) -> Steps[Run[D]]:
        """The run with this id. Raises NotFound."""
        return Run(self._driver, (yield from self._read(id)))

    @pages
    def list(
        self, *filters: str, flow: Id | None = None, limit: int | None = None, orderby: str | None = None
    ) -> Steps[Page[Run[D]]]:
        """Those that match every filter (`state==failed`), of one flow if so asked, newest first, at most `limit`."""
        of_flow = () if flow is None else (f"flowId=={(yield from self._flow_id(flow))}",)
        params = {"property": [*filters, *of_flow], "orderby": orderby}
        return (yield from self._by_link(self._path, params, limit, lambda data: Run(self._driver, data)))

    @call
    def count(self, *filters: str) -> Steps[int]:
        """How many match every filter."""
        return (yield from self._ask("GET", self._path, params={"property": filters, "count": "true"}))["count"]

    def _flow_id(self, flow: Id) -> Steps[str]:
        if not isinstance(flow, str):
            return flow["id"]
        return (yield from Flows(self._driver)._find(flow))["id"]


def _event(stream: Stream) -> Steps[RunEvent | None]:
    """The next of a stream of server-sent events, None when it ends."""
    fields: dict[str, list[str]] = {}
    while (line := (yield Line(stream))) is not None:
        name, _, value = line.partition(":")
        if name:
            fields.setdefault(name, []).append(value.removeprefix(" "))
        elif not line and "data" in fields:
            id_, kind = fields["id"][-1], cast(Any, fields["event"][-1])
            return RunEvent(id_, kind, json.loads("\n".join(fields["data"])))
    return None


def _params(window: Window | None, delta_column: str | None, start_time: Moment | None) -> dict[str, Any]:
    """A run's `params`. Raises BadTime."""
    now = datetime.now(UTC)
    params: dict[str, Any] = {}
    if window is not None:
        start, end = (on_the_wire(moment, now=now) for moment in window)
        params = {"windowStartTime": start, "windowEndTime": end}
    if delta_column is not None:
        params["deltaColumn"] = {"name": delta_column}
    if start_time is not None:
        params["startTime"] = on_the_wire(start_time, now=now)
    return params
