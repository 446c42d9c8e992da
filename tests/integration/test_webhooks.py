"""Webhooks: registered by challenge, told how runs began and ended, signed, tried again, and nobody else's."""

import functools
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from headgate.config import AllowedHost
from headgate.engine import Announcer
from headgate.model.runs import RunState
from headgate.store.deliveries import _claim
from tests.acceptance.processes import until
from tests.integration.face import Face, Json, refused
from tests.receiving import Receiver, receiving, verified

QUICK = {"poll": 0.02, "webhook_pause": 0.02, "webhook_timeout": 2.0}
ALL = ["start", "success", "failure", "no_data"]
LANDED: Json = {"recordSummary": {"outputRecordCount": 3}, "durationSummary": {"startedAtUTC": 1_700_000_000_000}}
MASK = "xxxx"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture(autouse=True)
def _nothing_left(face: Face) -> Iterator[None]:
    yield
    for webhook in face.get("/webhooks").json()["items"]:
        face.delete(f"/webhooks/{webhook['id']}")


@contextmanager
def announcing(face: Face, **settings: Any) -> Iterator[None]:
    announcer = Announcer(face.store, face.settings.model_copy(update={**QUICK, **settings}))
    announcer.start()
    try:
        yield
    finally:
        announcer.stop()


def registered(face: Face, receiver: Receiver, *events: str, path: str = "/hook") -> Json:
    types = [f"sources_flow_run_{event}" for event in events or ALL]
    answer = face.post("/webhooks", {"name": "mine", "url": receiver.address + path, "eventTypes": types})
    assert answer.status_code == 201, answer.text
    made: Json = answer.json()
    return made


@functools.cache
def flow(face: Face) -> str:
    return face.flow(targetConnectionIds=[face.target(face.dataset("webhooks"))])


def ended(face: Face, state: RunState = RunState.SUCCESS, metrics: Json = LANDED) -> str:
    """The id of a run that has ended so."""
    id_: str = face.run(flow(face), deltaColumn={"name": "updated_at"}).json()["id"]
    while (claim := face.store.queue.claim("test", lease=60)) is not None:
        face.store.queue.finish(claim.run, state, metrics=metrics, activities=[])
        if claim.run.id == id_:
            return id_
    raise AssertionError(id_)


def deliveries(face: Face, webhook: Json, **query: str) -> list[Json]:
    found: list[Json] = face.get(f"/webhooks/{webhook['id']}/deliveries", **query).json()["items"]
    return found


def states(face: Face, webhook: Json) -> set[str]:
    return {delivery["state"] for delivery in deliveries(face, webhook)}


def codes(receiver: Receiver) -> list[str]:
    return [
        event["event"]["header"]["_adobeio"]["eventCode"].removeprefix("sources_flow_run_") for event in receiver.events
    ]


# -- registering -----------------------------------------------------------------------------------


@pytest.mark.parametrize("challenged", ["text", "json"])
def test_a_receiver_that_repeats_the_challenge_is_registered(face: Face, receiver: Receiver, challenged: str) -> None:
    receiver.challenged = challenged
    answer = face.post("/webhooks", {"name": "mine", "url": f"{receiver.address}/hook?key=1"})
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert receiver.asked[0].startswith("/hook?key=1&challenge=")
    assert made["secret"].startswith("whsec_")
    shown = face.get(answer.headers["location"])
    [webhook] = shown.json()["items"]
    assert shown.headers["etag"] == answer.headers["etag"] == webhook["etag"] == made["etag"]
    assert (webhook["secret"], webhook["url"]) == (MASK, f"{receiver.address}/hook?key=1")
    assert webhook["eventTypes"] == ["sources_flow_run_success", "sources_flow_run_failure"]
    assert made["secret"] not in face.get("/webhooks").text
    assert face.get("/webhooks", property="name==mine", count="true").json() == {"count": 1}


def test_a_receiver_that_does_not_is_refused(face: Face, receiver: Receiver) -> None:
    receiver.challenged = "else"
    body = {"name": "mine", "url": receiver.address}
    assert "does not repeat" in refused(face.post("/webhooks", body), 400, "FLOW-EXT-WEBHOOK-400")
    with socket.create_server(("127.0.0.1", 0)) as free:
        body["url"] = f"http://127.0.0.1:{free.getsockname()[1]}/"
    assert "Connection refused" in refused(face.post("/webhooks", body), 400, "FLOW-EXT-WEBHOOK-400")
    assert face.get("/webhooks").json()["items"] == []


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"url": ""}, "CONNECTOR-1304-400"),
        ({"eventTypes": ["everything"]}, "CONNECTOR-1312-400"),
        ({"secret": "whsec_c2hvcnQ="}, "CONNECTOR-1312-400"),
        ({"secret": MASK}, "CONNECTOR-1312-400"),
        ({"url": "ftp://127.0.0.1/"}, "FLOW-EXT-HOST-400"),
        ({"url": "http://169.254.169.254/latest"}, "FLOW-EXT-HOST-400"),
    ],
    ids=str,
)
def test_what_no_webhook_can_be_made_of(face: Face, receiver: Receiver, body: Json, code: str) -> None:
    answer = face.post("/webhooks", {"name": "mine", "url": receiver.address, **body})
    refused(answer, 400, code)
    assert receiver.asked == []


def test_another_address_is_challenged_and_a_mask_keeps_the_secret(face: Face, receiver: Receiver) -> None:
    made = registered(face, receiver)
    path = f"/webhooks/{made['id']}"

    def patch(**members: object) -> Any:
        return face.patch(
            path, [{"op": "replace", "path": f"/{name}", "value": value} for name, value in members.items()], "*"
        )

    assert patch(name="ours", secret=MASK).status_code == 200
    assert len(receiver.asked) == 1
    assert patch(url=f"{receiver.address}/other").json()["url"].endswith("/other")
    assert len(receiver.asked) == 2
    receiver.challenged = "else"
    refused(patch(url=f"{receiver.address}/third"), 400, "FLOW-EXT-WEBHOOK-400")
    with announcing(face):
        ended(face)
        receiver.wait(2)
    assert all(verified(made["secret"], *post) for post in receiver.posts)


def test_a_sandbox_has_so_many_webhooks_at_most(face: Face, receiver: Receiver) -> None:
    for number in range(20):
        registered(face, receiver, path=f"/{number}")
    answer = face.post("/webhooks", {"name": "one more", "url": receiver.address})
    assert "20 webhooks" in refused(answer, 400, "FLOW-EXT-WEBHOOK-400")


# -- being told ------------------------------------------------------------------------------------


def test_the_end_of_a_run_is_told_whole_and_signed(face: Face, receiver: Receiver) -> None:
    made = registered(face, receiver, "success")
    with announcing(face):
        run_id = ended(face)
        receiver.wait(1)
        until(lambda: states(face, made) == {"delivered"})
    [(headers, body)] = receiver.posts
    assert verified(made["secret"], headers, body)
    assert not verified(made["secret"], headers, body + b" ")
    assert headers["content-type"] == "application/json"
    [told] = receiver.events
    assert told["event_id"] == headers["webhook-id"]
    [run] = face.get(f"/runs/{run_id}").json()["items"]
    event = told["event"]
    assert {name: event[name] for name in run} == run
    assert (event["slaCreatedAt"], event["processStartTime"]) == (run["createdAt"], 1_700_000_000_000)
    assert event["transformedTime"] == run["updatedAt"]
    assert event["header"]["_adobeio"] == {
        "imsOrgId": face.credentials.org_id,
        "providerMetadata": "aep_observability_catalog_events",
        "eventCode": "sources_flow_run_success",
    }
    [delivery] = deliveries(face, made)
    assert (delivery["eventId"], delivery["runId"]) == (told["event_id"], run_id)
    assert (delivery["tries"], delivery["status"]) == (1, 204)


@pytest.mark.parametrize(
    ("state", "metrics", "told"),
    [
        (RunState.SUCCESS, LANDED, ["start", "success"]),
        (RunState.SUCCESS, {}, ["no_data", "start", "success"]),
        (RunState.FAILED, {}, ["failure", "start"]),
        (RunState.CANCELLED, {}, ["start"]),
    ],
)
def test_what_is_told_of_each_end(
    face: Face, receiver: Receiver, state: RunState, metrics: Json, told: list[str]
) -> None:
    registered(face, receiver)
    failures = registered(face, receiver, "failure", path="/failures")
    other = face.of("dev")
    elsewhere = registered(other, receiver, path="/dev")
    with announcing(face):
        ended(face, state, metrics)
        receiver.wait(len(told) + (state is RunState.FAILED))
    assert sorted(set(codes(receiver))) == told
    assert len(receiver.posts) == len(told) + (state is RunState.FAILED)
    assert len({event["event_id"] for event in receiver.events}) == len(told)
    assert len(deliveries(face, failures)) == (state is RunState.FAILED)
    assert deliveries(other, elsewhere) == []
    other.delete(f"/webhooks/{elsewhere['id']}")


def test_a_failed_try_is_repeated_as_the_same_event(face: Face, receiver: Receiver) -> None:
    made = registered(face, receiver, "success")
    receiver.answers = [500, None, 302]
    with capture_logs() as logs, announcing(face):
        ended(face)
        receiver.wait(4)
        until(lambda: states(face, made) == {"delivered"})
    assert len({body for _, body in receiver.posts}) == 1
    assert len({headers["webhook-id"] for headers, _ in receiver.posts}) == 1
    assert len(receiver.asked) == 1  # the redirect was not followed
    [delivery] = deliveries(face, made)
    assert delivery["tries"] == 4
    told = [(log["event"], log["tries"], log["event_id"]) for log in logs if log.get("webhook") == made["id"]]
    tries = [("webhook.failed", 1), ("webhook.failed", 2), ("webhook.failed", 3), ("webhook.delivered", 4)]
    assert told == [(*each, delivery["eventId"]) for each in tries]
    assert not [log for log in logs if log["event"] == "webhook.not_recorded"]


def test_a_receiver_that_is_away_is_told_when_it_is_back(face: Face) -> None:
    with receiving() as receiver:
        made = registered(face, receiver, "success")
        port = int(receiver.address.rpartition(":")[2])
    with announcing(face):
        ended(face)
        until(lambda: any(delivery["tries"] > 0 for delivery in deliveries(face, made)))
        until(lambda: deliveries(face, made)[0].get("reason") == "Connection refused")
        assert deliveries(face, made)[0]["nextTryAt"] > 0
        with receiving(port) as receiver:
            receiver.wait(1)
            until(lambda: states(face, made) == {"delivered"})


def test_after_the_last_try_it_is_given_up(face: Face, receiver: Receiver) -> None:
    made = registered(face, receiver, "success", "start")
    receiver.answers = [503, 302] * 4
    with capture_logs() as logs, announcing(face, webhook_tries=2):
        ended(face)
        until(lambda: states(face, made) == {"givenUp"})
    assert len(receiver.posts) == 4
    assert [log["event"] for log in logs if log["log_level"] == "error"] == ["webhook.given_up"] * 2
    found = deliveries(face, made, property="state==givenUp", orderby="createdAt")
    assert [delivery["eventCode"][17:] for delivery in found] == ["start", "success"]
    assert {delivery["reason"] for delivery in found} <= {"answered 503", "redirects are not followed"}
    page = face.get(f"/webhooks/{made['id']}/deliveries", limit="1").json()
    following = face.get(page["_links"]["next"]["href"]).json()
    assert [*page["items"], *following["items"]] == found[::-1]


def test_a_receiver_that_is_slow_holds_up_nobody_else(face: Face, receiver: Receiver) -> None:
    with receiving() as slow:
        slow.seconds = 0.5
        registered(face, slow, "success")
        registered(face, receiver, "success")
        with announcing(face):
            for _ in range(6):
                ended(face)
            receiver.wait(6)
            assert len(slow.posts) < 6


def test_two_workers_send_each_event_once(face: Face, receiver: Receiver) -> None:
    made = registered(face, receiver)
    for _ in range(5):
        ended(face)
    with announcing(face), announcing(face):
        until(lambda: states(face, made) == {"delivered"})
    assert len(receiver.posts) == len({event["event_id"] for event in receiver.events}) == 10


def test_of_two_who_look_at_the_same_time_one_tells_a_webhook(face: Face, receiver: Receiver) -> None:
    registered(face, receiver)
    ended(face)  # which is two deliveries
    if face.metadata.startswith("sqlite"):  # one at a time looks, so that the other sees what the first has taken
        assert face.store.deliveries.claim(lease=60) is not None
        assert face.store.deliveries.claim(lease=60) is None
        return
    with face.store._transactions.write() as connection:
        assert _claim(connection, 60) is not None
        assert face.store.deliveries.claim(lease=60) is None
    assert face.store.deliveries.claim(lease=60) is None


def test_what_was_not_sent_goes_with_its_webhook(face: Face, receiver: Receiver) -> None:
    made = registered(face, receiver)
    ended(face)
    assert states(face, made) == {"pending"}
    assert face.delete(f"/webhooks/{made['id']}").status_code == 204
    assert face.store.deliveries.claim(lease=1) is None
    refused(face.get(f"/webhooks/{made['id']}/deliveries"), 404, "FLOW-1439-404")


def test_a_webhook_that_is_deleted_meanwhile_fails_no_run(face: Face, receiver: Receiver) -> None:
    kept, gone = registered(face, receiver), registered(face, receiver)
    run_id = face.run(flow(face), deltaColumn={"name": "updated_at"}).json()["id"]
    claim = face.store.queue.claim("test", lease=60)
    assert claim is not None
    assert claim.run.id == run_id
    engine = sa.create_engine(face.metadata)
    with ThreadPoolExecutor(1) as pool:
        with engine.begin() as connection:
            connection.execute(sa.text("DELETE FROM deliveries"))
            connection.execute(sa.text("DELETE FROM resources WHERE id = :id"), gone)
            ending = pool.submit(face.store.queue.finish, claim.run, RunState.SUCCESS, metrics=LANDED, activities=[])
            with pytest.raises(TimeoutError):
                ending.result(timeout=0.3)
        ending.result(timeout=10)
    engine.dispose()
    assert [delivery["runId"] for delivery in deliveries(face, kept)] == [run_id]


def test_the_host_is_judged_again_when_it_is_used(face: Face, receiver: Receiver) -> None:
    made = registered(face, receiver, "success")
    with announcing(face, webhook_tries=1, allowed_hosts=(AllowedHost.of("db.example.com"),)):
        ended(face)
        until(lambda: states(face, made) == {"givenUp"})
    assert "HEADGATE_ALLOWED_HOSTS" in deliveries(face, made)[0]["reason"]
    assert receiver.posts == []


def test_deliveries_that_ended_are_forgotten(face: Face, receiver: Receiver) -> None:
    made = registered(face, receiver, "success")
    ended(face)
    with announcing(face):
        until(lambda: states(face, made) == {"delivered"})
    ended(face)
    assert face.store.deliveries.forget(2**60) == 1
    assert states(face, made) == {"pending"}
