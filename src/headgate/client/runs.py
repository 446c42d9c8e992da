"""Runs: started, waited for, cancelled and repeated."""

import json
import math
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple, cast

import httpx

from headgate.client import shapes
from headgate.client.asking import D, Group, answered, call, given, pages
from headgate.client.errors import NotFound, RunFailed, Unavailable, WaitTimedOut
from headgate.client.groups import Flows
from headgate.client.shapes import Id, Moment, Window
from headgate.client.steps import Line, Page, Pause, Steps, Stream
from headgate.client.times import in_milliseconds, on_the_wire
from headgate.model.addresses import FLOW_SERVICE

__all__ = ["Run", "RunEvent", "Runs"]

_FINAL = frozenset({"success", "failed", "cancelled", "partialSuccess"})
_FIRST, _LONGEST = 0.05, 1.0  # seconds between two looks at a run that is waited for
_BEAT = 20.0  # seconds within which a stream of events says something, if only that there is nothing
_AWAY = 60.0  # seconds for which a service that does not answer is waited for


class RunEvent(NamedTuple):
    """What happened to a run: `data` is the run, what changed of it, a line of its log, or how it ended."""

    id: str
    """Where to go on after it."""
    name: Literal["run", "progress", "log", "done"]
    data: dict[str, Any]


@dataclass
class _Watch:
    """Up to which event a run is watched, on which stream, and how often that broke off since."""

    last: str | None = None
    stream: Stream | None = None
    broken: int = 0


class _OfRuns(Group[D]):
    _path = f"{FLOW_SERVICE}/runs"

    def _read(self, id: Id) -> Steps[shapes.RunObject]:
        return (yield from self._ask("GET", self._one(id)))["items"][0]

    def _act(self, id: Id, op: str) -> Steps[shapes.RunObject]:
        return (yield from self._ask("POST", self._one(id, "/action"), params={"op": op}))


class Run(_OfRuns[D]):
    """A run, as it was last read: `data` is the whole run object. Its methods read it anew, and give it."""

    def __init__(self, driver: D, data: shapes.RunObject) -> None:
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
    def state(self) -> shapes.RunState:
        """`scheduled`, `queued`, `inProgress`, `success`, `failed` or `cancelled`."""
        return self.metrics["statusSummary"]["status"]

    @property
    def ended(self) -> bool:
        """Whether its state is final."""
        return self.state in _FINAL

    @property
    def metrics(self) -> shapes.Metrics:
        """What it did so far."""
        return self.data["metrics"]

    @property
    def rows(self) -> int:
        """How many records landed; while it goes on, how many were read."""
        records = self.metrics.get("recordSummary", {})
        return records.get("outputRecordCount", records.get("inputRecordCount", 0))

    @property
    def errors(self) -> Sequence[shapes.RunProblem]:
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
        """Wait until it has ended, at most `timeout` seconds; `on_progress` is called with it first and at each change.

        Its events are followed, and taken up again where they broke off. Where there are none to be had, and within the
        last seconds of the timeout, it is looked at instead, at most once a second. A service that is away, as when it
        is started anew, is waited for a minute. Raises RunFailed, WaitTimedOut, Unavailable.
        """
        end = math.inf if timeout is None else time.monotonic() + timeout
        watch, pause, told = _Watch(), _FIRST, None
        followed, reached = True, time.monotonic()
        while True:
            try:
                if watch.stream is not None:
                    yield from self._hear(watch)
                if watch.stream is None:  # not yet, or it broke off, perhaps because it is held back on the way
                    self.data = yield from self._read(self.id)
            except Unavailable:
                if time.monotonic() > min(end, reached + _AWAY):
                    raise
                yield Pause(_LONGEST)
                continue
            reached = time.monotonic()
            if on_progress is not None and self.data != told:
                told = self.data
                on_progress(self)
            if self.ended:
                break
            left = end - time.monotonic()
            if timeout is not None and left < pause:
                raise WaitTimedOut(self.data, timeout)
            if not followed or left < _BEAT:
                watch.stream = None
                yield Pause(pause)
                pause = min(pause * 1.5, _LONGEST)
            elif watch.stream is None:
                followed = yield from self._follow(watch)
        if self.state in ("failed", "cancelled"):
            raise RunFailed(self.data)
        return self

    @call
    def cancel(self) -> "Steps[Run[D]]":
        """Have it cancelled: none of its rows will be in the table. It ends as soon as its worker sees that."""
        self.data = yield from self._act(self.id, "cancel")
        return self

    @call
    def retrigger(self) -> "Steps[Run[D]]":
        """A new run of the same window, of a run that failed or brought nothing."""
        return Run(self._driver, (yield from self._act(self.id, "re-trigger")))

    @pages
    def events(self, *, after: str | None = None) -> Steps[Page[RunEvent]]:
        """What happens to it, as it happens, until it has ended; `data` is kept up with that.

        A stream that breaks off is taken up again where it was. `after` is the id of the last event seen earlier.
        Raises Unavailable, also when one principal watches too many runs.
        """
        return (yield from self._next_event(_Watch(after)))

    @call
    def details(self) -> Steps[shapes.RunDetails]:
        """What is known of it besides: attempts, splits, snapshot and log."""
        return (yield from self._ask("GET", self._one(self.id, "/details")))

    def _next_event(self, watch: _Watch) -> Steps[Page[RunEvent]]:
        while True:
            if watch.stream is None:
                watch.stream = yield from self._opened(watch)
                if watch.stream.response.status_code == httpx.codes.NO_CONTENT:  # it had ended, and that was seen
                    return Page([])
            event = yield from self._hear(watch)
            if event is not None:
                return Page([event], None if event.name == "done" else self._next_event(watch))

    def _follow(self, watch: _Watch) -> Steps[bool]:
        """Open the stream of its events if it can; False when the service has none, or no more for this principal."""
        try:
            watch.stream = yield from self._opened(watch, tries=0)
        except (NotFound, Unavailable) as error:
            if error.status in (404, 429):
                return False
            yield Pause(_LONGEST)
        return True

    def _opened(self, watch: _Watch, *, tries: int | None = None) -> Steps[Stream]:
        headers = {"Accept": "text/event-stream", **given(**{"Last-Event-ID": watch.last})}
        http = self._driver.http
        limits = httpx.Timeout(**{**http.timeout.as_dict(), "read": _BEAT})
        request = http.build_request("GET", self._one(self.id, "/events"), headers=headers, timeout=limits)
        return (yield from answered(self._driver, request, stream=True, tries=tries))

    def _hear(self, watch: _Watch) -> Steps[RunEvent | None]:
        """The next event; None where there was none for a while, or the stream has ended. Raises Unavailable."""
        fields: dict[str, list[str]] = {}
        while True:
            try:
                line = yield Line(cast(Stream, watch.stream))
            except httpx.TransportError as error:
                line, watch.broken = None, watch.broken + 1
                if watch.broken > self._driver.retries:
                    watch.stream = None
                    raise Unavailable(f"The events of the run {self.id} keep breaking off ({error}).") from error
            if line is None:
                watch.stream = None
                yield Pause(_LONGEST)
                return None
            name, _, value = line.partition(":")
            if name:
                fields.setdefault(name, []).append(value.removeprefix(" "))
            elif line:  # a comment: there is nothing new
                return None
            elif "data" in fields:
                kind = cast(Any, fields["event"][-1])
                event = RunEvent(fields["id"][-1], kind, json.loads("\n".join(fields["data"])))
                watch.last, watch.broken = event.id, 0
                self._keep_up(event)
                return event

    def _keep_up(self, event: RunEvent) -> None:
        if event.name == "run":
            self.data = cast(shapes.RunObject, event.data)
        elif event.name == "progress":
            changed = {name: event.data[name] for name in ("updatedAt", "etag", "metrics", "activities")}
            self.data = cast(shapes.RunObject, {**self.data, **changed})


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
        body = yield from self._asked(flow, window, delta_column, start_time)
        headers = {"Idempotency-Key": idempotency_key or uuid.uuid4().hex}
        return Run(self._driver, (yield from self._ask("POST", self._path, body=body, headers=headers)))

    @call
    def estimate(
        self, flow: Id, *, window: Window | None = None, delta_column: str | None = None
    ) -> Steps[shapes.RunEstimate]:
        """What a run would do: its window, rows or files, what was brought of it before. Nothing is stored."""
        body = yield from self._asked(flow, window, delta_column, None)
        return (yield from self._ask("POST", f"{self._path}:estimate", body=body))

    @call
    def get(self, id: Id) -> Steps[Run[D]]:
        """The run with this id. Raises NotFound."""
        return Run(self._driver, (yield from self._read(id)))

    @call
    def cancel(self, id: Id) -> Steps[Run[D]]:
        """Have the run with this id cancelled, by one request: none of its rows will be in the table."""
        return Run(self._driver, (yield from self._act(id, "cancel")))

    @call
    def retrigger(self, id: Id) -> Steps[Run[D]]:
        """A new run of the same window as the one with this id, which failed or brought nothing."""
        return Run(self._driver, (yield from self._act(id, "re-trigger")))

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

    def _asked(
        self, flow: Id, window: Window | None, delta_column: str | None, start_time: Moment | None
    ) -> Steps[dict[str, Any]]:
        """The body that asks for a run. Raises NotFound, BadTime."""
        times = {}
        if window is not None:
            times = {"windowStartTime": window[0], "windowEndTime": window[1]}
        if start_time is not None:
            times["startTime"] = start_time
        now = datetime.now(UTC)
        params: dict[str, Any] = {name: on_the_wire(moment, now=now) for name, moment in times.items()}
        if delta_column is not None:
            params["deltaColumn"] = {"name": delta_column}
        asked: dict[str, Any] = {"flowId": (yield from self._flow_id(flow))}
        return {**asked, "params": params} if params else asked  # without, the service goes on from the last success
