"""Watching runs: what is told, from where on, to whom, and at what cost."""

import itertools
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import pytest

from headgate.errors import Unavailable
from headgate.model.run_log import LogLine
from headgate.model.runs import RunState
from headgate.service import run_events
from headgate.store import News, Seen
from tests.integration.face import BASE, NOBODY, Face, refused, second_org
from tests.integration.sse import Told, told
from tests.integration.test_api_runs import DELTA, finish
from tests.integration.test_roles import may, person


@contextmanager
def watching(face: Face, run_id: str, **headers: str) -> Iterator[httpx.Response]:
    with face.http.stream("GET", f"{BASE}/runs/{run_id}/events", headers={**face.headers, **headers}) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield answer


def everything(face: Face, run_id: str, **headers: str) -> list[Told]:
    with watching(face, run_id, **headers) as answer:
        return list(told(answer))


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_events, "_TICK", 0.05)


@pytest.fixture
def run(face: Face) -> str:
    return str(face.run(face.flow(), deltaColumn=DELTA).json()["id"])


def test_a_run_is_told_as_it_happens(face: Face, run: str) -> None:
    with watching(face, run) as answer:
        events = told(answer)
        made, first = next(events), next(events)
        assert (made.name, made.data["level"], made.data["id"]) == ("log", "info", 0)
        assert "local@headgate" in made.data["text"]
        assert "[2024-03-01T00:00:00Z, 2024-03-12T00:00:00Z)" in made.data["text"]
        assert (first.name, first.data) == ("run", face.get(f"/runs/{run}").json()["items"][0])
        claim = face.store.queue.claim("worker-1", lease=60)
        assert claim is not None
        begun, under_way = next(events), next(events)
        assert begun.data["text"] == "Attempt 1 begins on worker-1."
        assert (under_way.name, under_way.data["metrics"]["statusSummary"]["status"]) == ("run", "inProgress")
        metrics = {"progress": {"recordCount": 7}}
        face.store.queue.heartbeat(claim.run, lease=60, metrics=metrics, lines=[LogLine.now("Seven so far.")])
        line, progress = next(events), next(events)
        assert line.data["text"] == "Seven so far."
        assert (progress.name, progress.data["state"]) == ("progress", "inProgress")
        assert progress.data["metrics"]["progress"] == {"recordCount": 7}
        assert "frozen" not in progress.data
        face.store.queue.finish(
            claim.run, RunState.SUCCESS, metrics={}, activities=[], lines=[LogLine.now("Done: 7 records landed.")]
        )
        rest = list(events)
    assert [event.name for event in rest] == ["log", "run", "done"]
    assert rest[-1].data == {"id": run, "state": "success"}
    numbers = [int(event.id.split(".")[0]) for event in [made, first, begun, under_way, line, progress, *rest]]
    assert numbers == sorted(numbers)


def test_whoever_comes_back_gets_the_rest_once(face: Face, run: str) -> None:
    finish(face, run)
    events = everything(face, run)
    assert [event.name for event in events] == ["log", "log", "run", "done"]
    for at, event in enumerate(events[:-1]):
        assert everything(face, run, **{"Last-Event-ID": event.id}) == events[at + 1 :], event
    over = face.send("GET", f"/runs/{run}/events", last_event_id=events[-1].id)
    assert (over.status_code, over.content) == (204, b"")
    assert face.get(f"/runs/{run}/events", after=events[-1].id).status_code == 204


def test_what_happened_meanwhile_is_told_to_whoever_comes_back(face: Face, run: str) -> None:
    with watching(face, run) as answer:
        made, first = itertools.islice(told(answer), 2)
    finish(face, run)
    rest = everything(face, run, **{"Last-Event-ID": first.id})
    assert [event.name for event in rest] == ["log", "run", "done"]
    assert rest[0].data["id"] > made.data["id"]


def test_ids_that_are_none_are_refused(face: Face, run: str) -> None:
    sentence = refused(face.send("GET", f"/runs/{run}/events", last_event_id="yesterday"), 400, "CONNECTOR-1312-400")
    assert "yesterday" in sentence


def test_only_runs_of_the_own_sandbox_can_be_watched(face: Face, run: str) -> None:
    refused(second_org(face).get(f"/runs/{run}/events"), 404, "FLOW-1439-404")
    refused(face.get(f"/runs/{NOBODY}/events"), 404, "FLOW-1439-404")


def test_one_principal_watches_so_many_at_a_time(face: Face, run: str) -> None:
    with ExitStack() as open_:
        streams = [told(open_.enter_context(watching(face, run))) for _ in range(face.settings.event_streams)]
        assert all(next(stream).name == "log" for stream in streams)
        answer = face.get(f"/runs/{run}/events")
        assert answer.headers["retry-after"] == "5"
        assert "20 runs are watched" in refused(answer, 429, "FLOW-EXT-LIMIT-429")
    finish(face, run)
    assert everything(face, run)[-1].name == "done"  # their places are free again


def test_all_that_is_watched_is_looked_up_at_once(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    flow = face.flow()
    runs = [str(face.run(flow, deltaColumn=DELTA).json()["id"]) for _ in range(4)]
    looks: list[set[str]] = []
    news = face.store.run_feed.news

    def counted(seen: Mapping[str, Seen]) -> dict[str, News]:
        looks.append(set(seen))
        if len(looks) == 3:
            raise Unavailable
        return news(seen)

    monkeypatch.setattr(face.store.run_feed, "news", counted)
    with ExitStack() as open_:
        streams: list[Any] = [told(open_.enter_context(watching(face, run))) for run in runs for _ in range(2)]
        for stream in streams:
            next(stream), next(stream)
        finish(face, runs[-1])  # while the store once does not answer
        for stream in streams:
            names = [event.name for event in stream]
            assert (names.count("log"), names[-2:]) == (1, ["run", "done"])  # and perhaps states in between
    # All eight were told of their run's end by looks at all four runs, which are not eight times as many.
    assert set(runs) in looks
    assert not any(len(look) == 1 for look in looks[3:-3])


def test_whoever_may_not_any_more_is_told_no_more(face: Face, run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_events, "_AGAIN", 0.05)
    monkeypatch.setattr(run_events, "_QUIET", 0.05)
    grant = may(face, "viewer")
    with watching(person(face), run) as answer:
        events = told(answer)
        assert [next(events).name, next(events).name] == ["log", "run"]
        face.store.tenants.revoke(face.credentials.org_id, grant)
        assert list(events) == []  # and no `done`: the run waits still
    refused(person(face).get(f"/runs/{run}/events"), 403, "FLOW-2121-403")
