"""Workers that die, sleep and come back at every point of a run."""

import signal
import time

import pytest

from tests.faults.case import Case, each
from tests.faults.matrix import fault
from tests.faults.sources import Files
from tests.faults.world import LEASE, until

DAY = (0, 240)  # minutes; the source has 300


@fault("F4", "worker killed after its claim")
def test_killed_after_the_claim(case: Case) -> None:
    _killed_at(case, "claim.after")


@fault("F5", "worker killed at {point}")
@pytest.mark.parametrize("point", ["plan.after", "stage.mid"])
def test_killed_while_reading(case: Case, point: str) -> None:
    _killed_at(case, point)


@fault("F5", "worker killed at {point}, time {nth} of 4")
@pytest.mark.parametrize("point", ["read.mid", "stage.mid"])
@pytest.mark.parametrize("nth", [1, 2, 4])
def test_killed_between_splits(case: Case, point: str, nth: int) -> None:
    folder = case.world.folder / f"{case.name}-files"
    folder.mkdir()
    case.source = Files(folder, 40)
    _killed_at(case, point, nth, splits=4, window=(0, 40))


@fault("F6", "worker killed at {point}")
@pytest.mark.parametrize(
    "point", ["stage.after", "staged.recorded", pytest.param("commit.before", marks=pytest.mark.quick)]
)
def test_killed_before_the_commit(case: Case, point: str) -> None:
    _killed_at(case, point)


@fault("F7", "worker killed after the catalog's commit, at {point}")
@pytest.mark.parametrize(
    "point",
    [pytest.param("commit.after_catalog", marks=pytest.mark.quick), "finish.before", "commit.after_record"],
)
def test_killed_after_the_commit(case: Case, point: str) -> None:
    _killed_at(case, point)


def _killed_at(case: Case, point: str, nth: int = 1, splits: int = 1, window: tuple[int, int] = DAY) -> None:
    """A worker dies there in its second run, which replaces the rows of the first; another ends it."""
    flow = case.flow()
    worker = case.worker(f"{point}:kill@{splits + nth}")
    case.ends(case.run(flow, (window[0], window[1] // 2)))
    run = case.run(flow, window)
    assert worker.died() == -signal.SIGKILL
    worker.reached(point)
    case.other_run()
    died = time.monotonic()
    case.heal()
    case.ends(run)
    assert run.status == "success"
    case.seen = f"success by attempt {run.attempt}, {time.monotonic() - died:.1f} s after the kill"
    assert run.attempt == (1 if point == "commit.after_record" else 2)


@pytest.mark.quick
@fault("F8", "the commit's answer is lost")
def test_answer_of_the_commit_lost(case: Case) -> None:
    flow = case.flow()
    worker = case.worker("commit.after_catalog:return-lost@1,0")
    first, second = case.run(flow, DAY), case.run(flow, (120, 300))
    worker.reached("commit.after_catalog", 2)
    for run in (first, second):
        case.ends(run)
        assert (run.status, run.attempt) == ("success", 1)
    case.seen = "found in the table, success by attempt 1"


@fault("F10", "worker asleep at {point} for longer than its lease")
@pytest.mark.parametrize("point", [pytest.param("read.mid", marks=pytest.mark.quick), "commit.before"])
def test_asleep(case: Case, point: str) -> None:
    sleeper = case.worker(f"{point}:sleep=2")
    run = case.run(case.flow(), DAY)
    sleeper.reached(point)
    sleeper.freeze(case.world.locked)
    case.heal()
    case.ends(run)
    assert (run.status, run.attempt) == ("success", 2)
    sleeper.thaw()
    until(lambda: sleeper.events("attempt.lost"), about="for the sleeper to see that it is late")
    case.seen = "success by attempt 2; the sleeper stops and changes nothing"


@fault("F12", "a late worker and its successor commit together, {first} first")
@pytest.mark.parametrize("first", [pytest.param("late", marks=pytest.mark.quick), "successor"])
def test_commits_together(case: Case, first: str) -> None:
    late = case.worker("commit.before:sleep=2")
    run = case.run(case.flow(), DAY)
    late.reached("commit.before")
    late.freeze(case.world.locked)
    successor = case.worker("commit.before:sleep=0.5" if first == "late" else "commit.after_catalog:sleep=0.5")
    successor.reached("commit.before" if first == "late" else "commit.after_catalog")
    late.thaw()
    case.ends(run)
    assert (run.status, run.attempt) == ("success", 2)
    until(lambda: late.events("attempt.lost"), about="for the late worker to see that it is late")
    case.seen = "one snapshot, success by attempt 2"


@fault("F11", "all workers killed every 1.5 s, 8 times")
def test_repeated_kills(case: Case) -> None:
    flows = [case.flow() for _ in range(3)]
    slow = "read.mid:sleep=0.5@1,0"
    case.settings = {"HEADGATE_MAX_ATTEMPTS": "30"}
    for window in each(4):
        for flow in flows:
            case.run(flow, window)
    for _ in range(8):
        workers = [case.worker(slow, ready=False) for _ in range(2)]
        time.sleep(1.5)
        for worker in workers:
            worker.kill()
    case.worker()
    case.heal()
    for run in case.runs:
        case.ends(run, 60)
        assert run.status == "success", run.reasons
    case.seen = f"12 runs of 3 flows succeed by attempts {sorted(run.attempt for run in case.runs)}"


@fault("F13", "worker told to end amid a run")
def test_sigterm(case: Case) -> None:
    worker = case.worker("read.mid:sleep=30")
    run = case.run(case.flow(), DAY)
    worker.reached("read.mid")
    worker.signal(signal.SIGTERM)
    began = time.monotonic()
    case.heal()
    assert worker.died(60) == 0
    took = time.monotonic() - began
    case.ends(run)
    assert run.status == "success"
    case.seen = f"ended with 0 after {took:.1f} s, success by attempt {run.attempt}"


@fault("F13", "workers replaced one after another under load")
def test_rolling_restart(case: Case) -> None:
    flows = [case.flow() for _ in range(3)]
    old = [case.worker("read.mid:sleep=0.3@1,0") for _ in range(2)]
    for window in each(4):
        for flow in flows:
            case.run(flow, window)
    for worker in old:
        case.worker("read.mid:sleep=0.3@1,0")
        worker.signal(signal.SIGTERM)
        assert worker.died(60) == 0
    for run in case.runs:
        case.ends(run, 60)
        assert (run.status, run.attempt) == ("success", 1)
    case.seen = "12 runs succeed by attempt 1, no attempt is lost"


@fault("F32", "a run that kills every worker at {point}")
@pytest.mark.parametrize("point", ["plan.after", "commit.before"])
def test_poison(case: Case, point: str) -> None:
    flow = case.flow()
    run = case.run(flow, DAY)
    for _ in range(3):
        worker = case.worker(f"{point}:kill", ready=False)
        assert worker.died() == -signal.SIGKILL
    case.heal()
    following = case.run(flow, (0, 60))
    case.ends(run)
    case.ends(following)
    assert (run.status, following.status) == ("failed", "success")
    assert "None of 3 attempts at this run came to an end" in run.reasons
    case.seen = "failed after 3 attempts with its reason; the next run of the flow succeeds"


@fault("F12", "a late worker commits while its run is cancelled")
def test_commit_of_a_cancelled_run(case: Case) -> None:
    late = case.worker("commit.before:sleep=2")
    run = case.run(case.flow(), DAY)
    late.reached("commit.before")
    late.freeze(case.world.locked)
    case.world.client.runs.get(run.id).cancel()
    case.heal()
    case.ends(run)
    assert run.status == "cancelled"
    late.thaw()
    until(lambda: late.events("attempt.lost"), about="for the late worker to see that it is late")
    time.sleep(LEASE)
    case.seen = "cancelled, the late commit is refused"
