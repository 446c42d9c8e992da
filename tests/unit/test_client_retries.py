"""What both clients do when the service does not answer, or not as they hoped; faults are made by the transport."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import httpx
import pytest

import headgate
from headgate.client.times import in_milliseconds
from headgate.errors import BadTime
from tests.both_clients import client_of

CREDENTIALS = {"baseUrl": "http://headgate.test", "accessToken": "t", "apiKey": "k", "orgId": "o", "sandbox": "prod"}
RUN = {"id": "r", "flowId": "f", "params": {}, "metrics": {"statusSummary": {"status": "scheduled"}}}
COUNT = {"count": 7}

Answers = list[httpx.Response | httpx.TransportError]


class Line:
    """A service that answers one thing after the other, and how long the client paused between them."""

    def __init__(self, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.kind, self.answers, self.sent, self.pauses = kind, Answers(), list[httpx.Request](), list[float]()
        monkeypatch.setattr(time, "sleep", self.pauses.append)
        monkeypatch.setattr(asyncio, "sleep", self._paused)

    async def _paused(self, seconds: float) -> None:
        self.pauses.append(seconds)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, httpx.TransportError):
            raise answer
        return answer

    def does(self, what: Callable[[Any], Any], *answers: httpx.Response | httpx.TransportError) -> Any:
        """What `what` gives while the service answers so."""
        self.answers, self.sent, self.pauses = [*answers], [], self.pauses
        self.pauses.clear()
        with client_of(self.kind, CREDENTIALS, transport=httpx.MockTransport(self._answer)) as client:
            return what(client)


@pytest.fixture(params=["sync", "async"])
def line(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Line:
    return Line(request.param, monkeypatch)


def busy(status: int = 503, **headers: str) -> httpx.Response:
    return httpx.Response(status, json={"errorMessage": "Not now."}, headers=headers)


def counted(client: Any) -> Any:
    return client.flows.count()


def started(client: Any) -> Any:
    return client.runs.start({"id": "f"}, window=(0, 1), idempotency_key="mine").id


def created(client: Any) -> Any:
    return client.connections.create({})


def test_what_may_be_asked_again_is(line: Line) -> None:
    lost = httpx.ConnectError("refused")
    assert line.does(counted, lost, busy(502), busy(504), httpx.Response(200, json=COUNT)) == 7
    assert [0.1 <= line.pauses[0] <= 0.2, 0.2 <= line.pauses[1] <= 0.4, 0.4 <= line.pauses[2] <= 0.8] == [True] * 3
    with pytest.raises(headgate.Unavailable, match=r"headgate\.test/ does not answer"):
        line.does(counted, *[lost] * 4)
    with pytest.raises(headgate.Unavailable, match=r"Not now\."):
        line.does(counted, *[busy()] * 4)
    assert len(line.sent) == 4


def test_the_service_says_how_long_to_wait(line: Line) -> None:
    assert line.does(counted, busy(429, **{"Retry-After": "7"}), httpx.Response(200, json=COUNT)) == 7
    assert line.pauses == [7]
    with pytest.raises(headgate.Unavailable) as longer:
        line.does(counted, busy(429, **{"Retry-After": "61"}))
    assert (longer.value.status, longer.value.retry_after, line.pauses) == (429, 61, [])


def test_a_run_with_a_key_is_asked_for_again_with_that_key(line: Line) -> None:
    slow = httpx.ReadTimeout("slow")
    assert line.does(started, slow, busy(), httpx.Response(201, json=RUN)) == "r"
    assert {request.headers["Idempotency-Key"] for request in line.sent} == {"mine"}
    assert len({request.content for request in line.sent}) == 1
    keys = []
    for _ in range(2):
        line.does(lambda client: client.runs.start({"id": "f"}), httpx.Response(201, json=RUN))
        keys.append(line.sent[0].headers["Idempotency-Key"])
    assert keys[0] != keys[1]


@pytest.mark.parametrize(
    "change",
    [
        created,
        lambda client: client.flows.delete("f"),
        lambda client: client.flows.update("f", {}, etag="1"),
        lambda client: client.flows.disable("f"),
        lambda client: client.datasets.create("d"),
    ],
)
def test_other_changes_are_never_sent_twice(line: Line, change: Callable[[Any], Any]) -> None:
    for fault in (busy(), busy(429), httpx.ConnectError("refused")):
        with pytest.raises(headgate.Unavailable):
            line.does(change, fault)
    assert line.pauses == []


def test_a_slow_answer_is_not_asked_for_again(line: Line) -> None:
    with pytest.raises(headgate.Unavailable, match=r"did not answer in time \(ReadTimeout\)"):
        line.does(counted, httpx.ReadTimeout("slow"))
    with pytest.raises(headgate.Unavailable, match="does not answer"):
        line.does(counted, httpx.UnsupportedProtocol("ftp"))


@pytest.mark.parametrize(
    ("status", "kind"),
    {
        302: headgate.RequestFailed,
        400: headgate.Invalid,
        401: headgate.NotAllowed,
        403: headgate.NotAllowed,
        404: headgate.NotFound,
        409: headgate.Conflict,
        412: headgate.Conflict,
        413: headgate.Invalid,
        422: headgate.Invalid,
        500: headgate.RequestFailed,
    }.items(),
)
def test_a_refusal_is_an_exception_of_its_kind(line: Line, status: int, kind: type[Exception]) -> None:
    answer = httpx.Response(status, text="<p>Nginx</p>", headers={"x-request-id": "7"})
    with pytest.raises(headgate.RequestFailed) as refused:
        line.does(counted, answer)
    assert type(refused.value) is kind
    assert (refused.value.status, refused.value.code, refused.value.request_id) == (status, "", "7")
    assert refused.value.detail == "<p>Nginx</p>"


def test_what_is_no_headgate_is_told_so(line: Line) -> None:
    for text in ("<p>Hello</p>", "\ufeff"):
        with pytest.raises(headgate.RequestFailed, match="Is it the address of a Headgate service"):
            line.does(counted, httpx.Response(200, text=text))


class Cut(httpx.SyncByteStream, httpx.AsyncByteStream):
    """An answer's body that breaks off."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __iter__(self) -> Iterator[bytes]:
        yield self.text.encode()
        raise httpx.ReadError("reset")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self.text.encode()
        raise httpx.ReadError("reset")


def told(id_: str, name: str, data: object) -> str:
    return f"id: {id_}\nevent: {name}\ndata: {json.dumps(data)}\n\n"


def as_it_is(state: str) -> dict[str, Any]:
    return {**RUN, "metrics": {"statusSummary": {"status": state}}}


def read(state: str) -> httpx.Response:
    return httpx.Response(200, json={"items": [as_it_is(state)]})


def waited(client: Any) -> list[str]:
    states: list[str] = []
    client.runs.get("r").wait(on_progress=lambda run: states.append(run.state))
    return states


def test_a_wait_follows_events_and_outlives_a_restart_of_the_service(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    queued, going, done = (as_it_is(state) for state in ("queued", "inProgress", "success"))
    stream = httpx.Response(200, text=": nothing new\n\n" + told("1", "run", queued) + told("2", "run", going))
    away = [httpx.ConnectError("refused")] * 4  # its GET and three more
    last = httpx.Response(200, stream=Cut(told("3", "run", done)))
    again = [read("inProgress"), busy(), read("inProgress"), last]
    assert line.does(waited, read("scheduled"), read("scheduled"), stream, *away, *again) == [
        "scheduled",
        "queued",
        "inProgress",
        "success",
    ]
    asked = [request for request in line.sent if request.url.path.endswith("/events")]
    assert [request.headers.get("Last-Event-ID") for request in asked] == [None, "2", "2"]
    broken = [httpx.Response(200, stream=Cut("")) for _ in range(5)]
    held_back: Answers = [read("queued")]
    for stream in broken:
        held_back += [read("inProgress"), stream]
    assert line.does(waited, *held_back, read("success")) == ["inProgress", "success"]
    monkeypatch.setattr("headgate.client.runs._AWAY", -1)
    with pytest.raises(headgate.Unavailable, match="refused"):
        line.does(waited, read("queued"), read("queued"), httpx.Response(200, text=""), *away)


def test_what_a_progress_callback_raises_ends_the_wait(line: Line) -> None:
    def stopped(_run: object) -> None:
        raise headgate.Unavailable("The caller's own.")

    with pytest.raises(headgate.Unavailable, match="own"):
        line.does(lambda client: client.runs.get("r").wait(on_progress=stopped), read("queued"), read("queued"))


def test_a_wait_looks_where_there_are_no_events(line: Line) -> None:
    for status in (404, 429):
        answers = [read("queued"), read("queued"), busy(status), read("queued"), read("inProgress"), read("success")]
        assert line.does(waited, *answers) == ["queued", "inProgress", "success"]
        assert sum(request.url.path.endswith("/events") for request in line.sent) == 1
        assert max(line.pauses) <= 1
    with pytest.raises(headgate.NotFound):
        line.does(waited, read("queued"), busy(404))
    with pytest.raises(headgate.Invalid):
        line.does(waited, read("queued"), read("queued"), busy(400))


def test_a_run_is_cancelled_by_one_request(line: Line) -> None:
    def cancelled(client: Any) -> Any:
        return client.runs.cancel("r").state, client.runs.retrigger({"id": "r"}).id

    run = as_it_is("cancelled")
    new = httpx.Response(200, json={**RUN, "id": "s"})
    assert line.does(cancelled, httpx.Response(200, json=run), new) == ("cancelled", "s")
    assert [request.url.params["op"] for request in line.sent] == ["cancel", "re-trigger"]


def test_events_are_taken_up_where_they_broke_off(line: Line) -> None:
    def watched(client: Any) -> Any:
        run = client.runs.get("r")
        return [(event.id, event.data) for event in run.events()], run.state

    run = httpx.Response(200, json={"items": [RUN]})
    going = {name: RUN.get(name) for name in ("updatedAt", "etag", "activities")}
    progress = {**going, "metrics": {"statusSummary": {"status": "inProgress"}}}
    first = httpx.Response(
        200, stream=Cut("retry: 1000\n\n: nothing new\n\n" + told("1", "run", RUN) + "id: 2\nevent: l")
    )
    ended = httpx.Response(200, text=told("2", "progress", progress) + ": the service stops\n\n")
    events, state = line.does(watched, run, first, busy(), ended, httpx.Response(200, text=told("3", "done", {})))
    assert events == [("1", RUN), ("2", progress), ("3", {})]
    assert state == "inProgress"
    assert [request.headers.get("Last-Event-ID") for request in line.sent[1:]] == [None, "1", "1", "2"]
    assert line.does(watched, run, httpx.Response(204))[0] == []
    with pytest.raises(headgate.Unavailable, match="keep breaking off"):
        line.does(watched, run, *[httpx.Response(200, stream=Cut("")) for _ in range(4)])
    with pytest.raises(headgate.Unavailable, match=r"Not now\."):
        line.does(watched, run, *[busy(429) for _ in range(4)])


NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
SECOND = datetime(2024, 3, 1, tzinfo=UTC)


class Alien(datetime):
    """A datetime with an arithmetic of its own, as pendulum's and Airflow's have."""

    def __sub__(self, other: object) -> Any:
        raise AssertionError(other)


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (Alien(2024, 3, 1, tzinfo=UTC), SECOND),
        (SECOND, SECOND),
        (datetime(2024, 3, 1), SECOND),
        (datetime(2024, 3, 1, 2, tzinfo=timezone(timedelta(hours=2))), SECOND),
        (date(2024, 3, 1), SECOND),
        ("2024-03-01", SECOND),
        ("2024-03-01T02:00+02:00", SECOND),
        (1_709_251_200, SECOND),
        (1_709_251_200_000, SECOND),
        ("1709251200", SECOND),
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        (-86_400, datetime(1969, 12, 31, tzinfo=UTC)),
        ("now", NOW),
        ("-90m", NOW - timedelta(minutes=90)),
        ("yesterday", datetime(2026, 2, 28, tzinfo=UTC)),
        ("tomorrow", datetime(2026, 3, 2, tzinfo=UTC)),
    ],
)
def test_a_moment_is_written_in_many_ways(moment: headgate.client.Moment, expected: datetime) -> None:
    assert in_milliseconds(moment, now=NOW) == int(expected.timestamp() * 1000)


def test_times_are_sent_in_seconds_where_they_can_be(line: Line) -> None:
    def asked(*window: headgate.client.Moment) -> Any:
        line.does(
            lambda client: client.runs.start({"id": "f"}, window=window, delta_column="at"),
            httpx.Response(201, json=RUN),
        )
        return httpx.Response(200, content=line.sent[0].content).json()["params"]

    half = datetime(2024, 3, 1, 0, 0, 0, 500_000)
    assert asked(0, half) == {
        "windowStartTime": 0,
        "windowEndTime": 1_709_251_200_500,
        "deltaColumn": {"name": "at"},
    }
    with pytest.raises(BadTime, match="whole second"):
        asked(half.replace(year=1970), half)
