"""The service dies over a POST, or gets the same one many times: one run, and its rows once."""

import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.faults.case import RUNS, Case
from tests.faults.matrix import fault
from tests.faults.world import until

DAY = (0, 240)


@fault("F1", "service killed before a run is stored")
def test_killed_before_the_insert(case: Case) -> None:
    made, stored = _posted_into(case, "api.before_insert:kill")
    assert stored == 1
    case.ends(made)
    case.seen = "the connection ends, nothing is stored; sent again: one run, success"


@fault("F2", "service killed at {point}, the run stored, the answer not sent")
@pytest.mark.parametrize("point", ["api.after_insert", pytest.param("api.before_reply", marks=pytest.mark.quick)])
def test_killed_before_the_reply(case: Case, point: str) -> None:
    made, stored = _posted_into(case, f"{point}:kill")
    assert stored == 1
    case.ends(made)
    case.seen = "the connection ends; sent again with its Idempotency-Key: the run that was stored, success"


@fault("F2", "as before, sent again without an Idempotency-Key")
def test_killed_before_the_reply_without_a_key(case: Case) -> None:
    made, stored = _posted_into(case, "api.before_reply:kill", key="")
    assert stored == 2  # nothing tells the two apart from two that were meant
    case.ends(made)
    case.seen = "two runs, the rows once: the second replaces those of the first"


def _posted_into(case: Case, faults: str, key: str = "the-key") -> tuple[Any, int]:
    """Post a run into a service that dies over it, and again into the next: the run, and how many there are."""
    flow, world = case.flow(), case.world
    headers = {"Idempotency-Key": f"{key}-{case.name}"} if key else {}
    api = world.start_api(faults)
    with world.http() as http:
        with pytest.raises(httpx.TransportError):
            http.post(RUNS, json=case.body(flow, DAY), headers=headers)
        assert api.died() == -signal.SIGKILL
        world.start_api()
        answer = http.post(RUNS, json=case.body(flow, DAY), headers=headers)
        assert answer.status_code == 201, answer.text
    case.heal()
    stored = [run.id for run in world.client.runs.list(f"flowId=={flow}")]
    assert answer.json()["id"] in stored
    for id_ in reversed(stored):
        case.asked(id_, flow, DAY)
    return next(run for run in case.runs if run.id == answer.json()["id"]), len(stored)


@pytest.mark.quick
@fault("F3", "the same POST 100 times at once, with one Idempotency-Key")
def test_hundred_at_once_with_a_key(case: Case) -> None:
    flow = case.flow()
    answers = _at_once(case, flow, 100, {"Idempotency-Key": case.name})
    assert {answer.status_code for answer in answers} == {201}
    [id_] = {answer.json()["id"] for answer in answers}
    case.heal()
    case.ends(case.asked(id_, flow, DAY))
    case.seen = "100 times 201 with one id"


@fault("F3", "the same POST 40 times at once, without a key")
def test_many_at_once_without_a_key(case: Case) -> None:
    flow = case.flow()
    answers = _at_once(case, flow, 40, {})
    assert {answer.status_code for answer in answers} == {201}
    case.heal()
    case.worker()
    for id_ in [run.id for run in case.world.client.runs.list(f"flowId=={flow}")][::-1]:
        case.ends(case.asked(id_, flow, DAY), 60)
    case.seen = f"{len(case.runs)} runs one after another, the rows once"


def _at_once(case: Case, flow: str, count: int, headers: dict[str, str]) -> list[httpx.Response]:
    barrier, body = threading.Barrier(20), case.body(flow, DAY)

    def post(_number: int) -> list[httpx.Response]:
        with case.world.http() as http:
            barrier.wait(30)
            return [http.post(RUNS, json=body, headers=headers) for _ in range(count // 20)]

    with ThreadPoolExecutor(20) as pool:
        return [answer for answers in pool.map(post, range(20)) for answer in answers]


@fault("F13", "service told to end amid a POST")
def test_service_ends_amid_a_post(case: Case) -> None:
    flow, world = case.flow(), case.world
    api = world.start_api("api.before_reply:sleep=1.5")
    with ThreadPoolExecutor(1) as pool, world.http() as http:
        answer = pool.submit(http.post, RUNS, json=case.body(flow, DAY))
        api.reached("api.before_reply")
        api.signal(signal.SIGTERM)
        assert answer.result(30).status_code == 201
        assert api.died() in (0, -signal.SIGTERM)
    world.start_api()
    case.heal()
    until(lambda: world.client.runs.get(answer.result().json()["id"]).data)
    case.ends(case.asked(answer.result().json()["id"], flow, DAY))
    case.seen = "the answer is sent, then it ends"
