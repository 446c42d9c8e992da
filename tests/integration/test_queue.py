"""The queue and the store under many at once, on either database."""

import multiprocessing
import os
import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from headgate.config import Settings
from headgate.errors import HeadgateError, OutcomeUnknown, Unavailable, VersionConflict
from headgate.model.orgs import Client, Org
from headgate.model.query import Query
from headgate.model.resources import Kind, new_etag, now_ms
from headgate.model.runs import Run, RunState
from headgate.model.scope import Scope
from headgate.store import InUse, NameTaken, open_store, tables
from headgate.store.queue import _turn_of
from headgate.store.rows import row_of
from tests.deployment import TOMORROW, Deployment

SPAN = ("2024-01-01T00:00:00", "2024-01-02T00:00:00")


@pytest.fixture
def deployment(tmp_path: Path, own_metadata: str) -> Iterator[Deployment]:
    made = Deployment(tmp_path, metadata_url=own_metadata)
    yield made
    made.close()


def _flow(deployment: Deployment) -> str:
    return deployment.flow("any", {}, {})


def _together(*acts: Callable[[], Any]) -> list[Any]:
    """What each act gives, or the error it raises, all begun at the same time."""
    barrier = threading.Barrier(len(acts))

    def one(act: Callable[[], Any]) -> Any:
        barrier.wait()
        try:
            return act()
        except Exception as error:  # noqa: BLE001 - it is what the test looks at
            return error

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(one, acts))


# -- claims ----------------------------------------------------------------------------------------


def _work(settings: Settings, folder: str, seed: int, total: int) -> list[str]:
    """Claim and end runs until `total` have ended; the ids of those that were ours.

    A file stands for each flow that is under way: it cannot be made while another worker's is there.
    """
    chosen = random.Random(seed)
    store = open_store(settings)
    done: list[str] = []
    name = f"worker-{seed}"
    end = time.monotonic() + 60
    try:
        while len(list(Path(folder).glob("*.done"))) < total:
            assert time.monotonic() < end, "the queue stands still"
            claim = store.queue.claim(name, lease=30)
            if claim is None:
                time.sleep(0.005)
                continue
            under_way = Path(folder) / f"{claim.run.flow_id}.under-way"
            os.close(os.open(under_way, os.O_CREAT | os.O_EXCL))
            time.sleep(chosen.random() * 0.004)
            assert store.queue.heartbeat(claim.run, lease=30) is False
            under_way.unlink()
            if chosen.random() < 0.2:
                store.queue.hand_back(claim.run)
                continue
            os.close(os.open(Path(folder) / f"{claim.run.id}.done", os.O_CREAT | os.O_EXCL))
            store.queue.finish(claim.run, RunState.SUCCESS, metrics={}, activities=[])
            done.append(claim.run.id)
    finally:
        store.close()
    return done


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_no_run_is_claimed_twice_and_no_two_of_a_flow(deployment: Deployment, tmp_path: Path, kind: str) -> None:
    flows = [_flow(deployment) for _ in range(4)]
    chosen = random.Random(5)
    runs = {
        # Some become due only while later runs of their flow are under way.
        deployment.enqueue(flow, *SPAN, start_ms=now_ms() + chosen.choice([0, 0, 300, 600, 1500])).id
        for _ in range(10)
        for flow in flows
    }
    settings, folder = deployment.settings, str(tmp_path / "marks")
    Path(folder).mkdir()
    arguments = [(settings, folder, seed, len(runs)) for seed in range(5 if kind == "threads" else 3)]
    if kind == "threads":
        with ThreadPoolExecutor(len(arguments)) as pool:
            done = [id_ for ids in pool.map(_work, *zip(*arguments, strict=True)) for id_ in ids]
    else:
        with multiprocessing.get_context("spawn").Pool(len(arguments)) as processes:
            done = [id_ for ids in processes.starmap(_work, arguments) for id_ in ids]
    assert sorted(done) == sorted(runs)
    assert all(deployment.scoped.run(id_).state is RunState.SUCCESS for id_ in runs)


def test_runs_of_a_flow_are_claimed_in_the_order_they_were_made(deployment: Deployment) -> None:
    flow = _flow(deployment)
    made = [deployment.enqueue(flow, *SPAN).id for _ in range(12)]
    begun: list[str] = []

    def work(number: int) -> None:
        while len(begun) < len(made):
            claim = deployment.store.queue.claim(f"worker-{number}", lease=30)
            if claim is not None:
                begun.append(claim.run.id)
                deployment.store.queue.finish(claim.run, RunState.SUCCESS, metrics={}, activities=[])

    assert _together(*(partial(work, number) for number in range(4))) == [None] * 4
    assert begun == made


def test_a_dead_workers_run_is_taken_over_by_one_and_before_others_of_its_flow(deployment: Deployment) -> None:
    flow = _flow(deployment)
    waiting = deployment.enqueue(flow, *SPAN, start_ms=TOMORROW)
    dead = deployment.enqueue(flow, *SPAN)
    claim = deployment.store.queue.claim("dead", lease=0.2)
    assert claim is not None
    assert claim.run.id == dead.id
    deployment.bring_forward(waiting)
    time.sleep(0.3)  # the lease has ended
    claims = _together(*(partial(deployment.store.queue.claim, f"worker-{n}", lease=30) for n in range(6)))
    taken = [claim for claim in claims if claim is not None]
    assert [(claim.run.id, claim.run.attempt) for claim in taken] == [(dead.id, 2)]
    deployment.store.queue.finish(taken[0].run, RunState.SUCCESS, metrics={}, activities=[])
    following = deployment.store.queue.claim("test", lease=5)
    assert following is not None
    assert following.run.id == waiting.id


@pytest.mark.parametrize("own_metadata", ["postgresql"], indirect=True)  # SQLite lets nobody else write meanwhile
def test_two_runs_of_a_flow_that_are_taken_at_the_same_time_do_not_both_begin(deployment: Deployment) -> None:
    flow = _flow(deployment)
    earlier = deployment.enqueue(flow, *SPAN, start_ms=TOMORROW)
    later = deployment.enqueue(flow, *SPAN)
    queue = deployment.store.queue
    with ThreadPoolExecutor(1) as pool:
        with deployment.store._transactions.write() as connection:
            first = queue._claim(connection, "first", 30)
            assert first is not None
            assert first.run.id == later.id
            deployment.bring_forward(earlier)
            second = pool.submit(queue.claim, "second", lease=30)  # it does not see yet that the flow is taken
            time.sleep(0.3)
        assert second.result() is None
    queue.finish(first.run, RunState.SUCCESS, metrics={}, activities=[])
    following = queue.claim("second", lease=30)
    assert following is not None
    assert following.run.id == earlier.id


def test_a_cancel_is_heard_whatever_the_worker_does_meanwhile(deployment: Deployment) -> None:
    for _ in range(10):
        run = deployment.enqueue(_flow(deployment), *SPAN)

        def work(run: Run = run) -> None:
            for _ in range(4):
                claim = deployment.store.queue.claim("test", lease=30)
                if claim is None:
                    return
                assert claim.run.id == run.id
                deployment.store.queue.hand_back(claim.run)

        errors = _together(work, partial(deployment.scoped.cancel_run, run.id))
        assert not [error for error in errors if isinstance(error, Exception)]
        now = deployment.scoped.run(run.id)
        assert now.cancel_requested
        if now.state is RunState.QUEUED:  # cancelled while it was under way: whoever takes it next ends it
            claim = deployment.store.queue.claim("test", lease=30)
            assert claim is not None
            assert deployment.store.queue.heartbeat(claim.run, lease=30)
            deployment.store.queue.finish(claim.run, RunState.CANCELLED, metrics={}, activities=[])


# -- organisations ---------------------------------------------------------------------------------


@pytest.fixture
def others(deployment: Deployment) -> list[Scope]:
    """The scopes of three organisations."""
    scopes = []
    for name in ("ORG", "SECOND", "THIRD"):
        deployment.store.tenants.ensure_org(Org(name, name), Client(f"client-{name}", name, "test"), "-")
        scope = deployment.store.tenants.scope(name, None)
        assert scope is not None
        scopes.append(scope)
    return scopes


def _queue_up(deployment: Deployment, scope: Scope, runs: int) -> None:
    """Runs of as many flows of an organisation that wait for a worker, stored as they are."""
    run = _run(deployment, _flow(deployment))
    waiting = [
        row_of(run.evolve(id=str(uuid.uuid4()), flow_id=str(uuid.uuid4()), state=RunState.QUEUED))
        | {"org_id": scope.org_id, "sandbox_id": scope.sandbox_id}
        for _ in range(runs)
    ]
    with deployment.store._engine.begin() as connection:
        connection.execute(sa.insert(tables.runs), waiting)


def test_organisations_take_turns_however_many_runs_one_has_waiting(
    deployment: Deployment, others: list[Scope]
) -> None:
    for scope, runs in zip(others, (200, 4, 1), strict=True):
        _queue_up(deployment, scope, runs)
    claims = [deployment.store.queue.claim("test", lease=60) for _ in range(9)]
    taken = [claim.run.scope.org_id for claim in claims if claim is not None]
    assert taken == ["ORG", "SECOND", "THIRD", "ORG", "SECOND", "ORG", "SECOND", "ORG", "SECOND"]
    ended = next(claim.run for claim in claims if claim is not None and claim.run.scope.org_id == "SECOND")
    deployment.store.queue.finish(ended, RunState.SUCCESS, metrics={}, activities=[])
    _queue_up(deployment, others[1], 1)
    following = deployment.store.queue.claim("test", lease=60)
    assert following is not None
    assert following.run.scope.org_id == "SECOND"


def test_an_organisation_has_no_more_runs_under_way_than_it_may(deployment: Deployment, others: list[Scope]) -> None:
    for scope, runs in zip(others, (20, 20, 1), strict=True):
        _queue_up(deployment, scope, runs)
    claims = _together(*(partial(deployment.store.queue.claim, f"worker-{n}", lease=60, most=2) for n in range(12)))
    assert not [claim for claim in claims if isinstance(claim, Exception)]
    claims += [deployment.store.queue.claim("test", lease=60, most=2) for _ in range(2)]  # for those who came together
    taken = Counter(claim.run.scope.org_id for claim in claims if claim is not None)
    assert taken == {"ORG": 2, "SECOND": 2, "THIRD": 1}


@pytest.mark.parametrize("own_metadata", ["postgresql"], indirect=True)  # SQLite has one who claims at a time
def test_who_waits_for_one_organisations_turn_holds_no_others(deployment: Deployment, others: list[Scope]) -> None:
    blocked, free = others[0], others[1]
    flow = _flow(deployment)
    deployment.enqueue(flow, *SPAN)
    under_way = deployment.store.queue.claim("test", lease=60)
    assert under_way is not None
    assert under_way.run.scope.org_id == blocked.org_id
    deployment.enqueue(flow, *SPAN)  # its flow has one under way, so that nothing of the organisation may begin
    _queue_up(deployment, free, 1)
    second = deployment.store.queue.claim("test", lease=60)
    assert second is not None
    assert second.run.scope.org_id == free.org_id
    _queue_up(deployment, free, 2)

    with ThreadPoolExecutor(1) as pool, deployment.store._engine.connect() as other:
        other.execute(_turn_of(free.org_id))
        claiming = pool.submit(deployment.store.queue.claim, "worker", lease=60, most=3)
        try:
            _await_a_waiter(deployment)
            other.execute(_turn_of(blocked.org_id).with_for_update(key_share=True, nowait=True))
        finally:
            other.rollback()
        claim = claiming.result(timeout=20)
    assert claim is not None
    assert claim.run.scope.org_id == free.org_id


def _await_a_waiter(deployment: Deployment) -> None:
    end = time.monotonic() + 5
    waiting = sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    while time.monotonic() < end:
        with deployment.store._engine.connect() as connection:
            if connection.execute(waiting).scalar_one():
                return
        time.sleep(0.02)
    raise AssertionError("Nobody waits for the organisation's turn.")


# -- changes that meet -----------------------------------------------------------------------------


def test_of_two_first_runs_with_different_delta_columns_one_wins(deployment: Deployment) -> None:
    for _ in range(8):
        flow = deployment.scoped.get(Kind.FLOW, _flow(deployment))

        def first(number: int, flow: Any = flow) -> Run:
            copy = {"name": "Copy", "params": {"deltaColumn": {"name": f"column {number}"}}}
            changed = flow.evolve(body={**flow.body, "transformations": [copy]}, etag=new_etag(now_ms()))
            run = _run(deployment, flow.id)
            return deployment.scoped.add_run(run, flow=changed, flow_etag=flow.etag)

        results = _together(*(partial(first, number) for number in range(6)))
        won = [number for number, result in enumerate(results) if isinstance(result, Run)]
        assert len(won) == 1
        assert all(isinstance(result, VersionConflict) for n, result in enumerate(results) if n not in won)
        delta = deployment.scoped.get(Kind.FLOW, flow.id).delta_column
        assert delta is not None
        assert delta.name == f"column {won[0]}"
        assert deployment.scoped.runs(Query()).items[0].id == results[won[0]].id


def test_equal_keys_make_one_run(deployment: Deployment) -> None:
    flows = [deployment.scoped.get(Kind.FLOW, _flow(deployment)) for _ in range(2)]

    def add(number: int) -> Run:
        flow = flows[number % 2]
        return deployment.scoped.add_run(_run(deployment, flow.id), flow_etag=flow.etag, key=("key", "0" * 64))

    results = _together(*(partial(add, number) for number in range(8)))
    assert len({run.id for run in results}) == 1
    assert deployment.scoped.runs(Query(count=True)).total == 1


def test_equal_dataset_names_make_one_dataset(deployment: Deployment) -> None:
    source = deployment.scoped.get(Kind.FLOW, _flow(deployment))

    def add() -> None:
        deployment.scoped.add(source.evolve(kind=Kind.DATASET, id=str(uuid.uuid4()), name="Orders", body={}))

    results = _together(*[add] * 6)
    assert results.count(None) == 1
    assert [type(result) for result in results if result is not None] == [NameTaken] * 5


def test_nothing_goes_while_something_new_comes_to_use_it(deployment: Deployment) -> None:
    for _ in range(8):
        flow = deployment.scoped.get(Kind.FLOW, _flow(deployment))
        source = flow.evolve(kind=Kind.SOURCE_CONNECTION, id=str(uuid.uuid4()), body={})
        deployment.scoped.add(source)
        user = flow.evolve(id=str(uuid.uuid4()))
        gone, used = _together(
            partial(deployment.scoped.delete, source.kind, source.id, unless_used_by=Kind.FLOW),
            partial(deployment.scoped.add, user, links=[source.id]),
        )
        assert (gone is None) != (used is None), (gone, used)
        assert isinstance(gone or used, InUse if used is None else HeadgateError)


def test_a_flow_and_its_runs_go_together(deployment: Deployment) -> None:
    """Whatever ends first, no run of a deleted flow is left to execute, and nobody waits for another for ever."""
    for _ in range(8):
        schedule = {"frequency": "hour", "interval": 1, "startTime": 0}
        id_ = deployment.flow("any", {}, {}, body={"scheduleParams": schedule, "transformations": []})
        flow = deployment.scoped.get(Kind.FLOW, id_)
        run = deployment.scoped.add_run(_run(deployment, id_, due_ms=1), flow_etag=flow.etag)
        claim = deployment.store.queue.claim("test", lease=30)
        assert claim is not None
        assert claim.run.id == run.id
        gone, ended, *_ = _together(
            partial(deployment.scoped.delete, Kind.FLOW, id_),
            partial(deployment.store.queue.finish, claim.run, RunState.SUCCESS, metrics={}, activities=[]),
            partial(deployment.scoped.add_run, _run(deployment, id_), flow_etag=flow.etag),
            partial(deployment.scoped.update, flow.evolve(state="disabled"), etag=None),
        )
        assert (gone, ended) == (None, None)
        assert deployment.store.queue.claim("test", lease=1) is None


# -- a database that goes away ---------------------------------------------------------------------


@pytest.mark.parametrize("own_metadata", ["postgresql"], indirect=True)
def test_connections_that_the_server_ended_are_replaced(deployment: Deployment) -> None:
    flow = deployment.scoped.get(Kind.FLOW, _flow(deployment))
    with psycopg.connect(_plain(deployment), autocommit=True) as server:
        server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND application_name = 'headgate'"
        )
    run = deployment.scoped.add_run(_run(deployment, flow.id), flow_etag=flow.etag)
    claim = deployment.store.queue.claim("test", lease=5)
    assert claim is not None
    assert claim.run.id == run.id


@pytest.mark.parametrize("own_metadata", ["postgresql"], indirect=True)
@pytest.mark.parametrize("stored", [True, False], ids=["stored", "not stored"])
def test_a_run_whose_commit_was_not_answered_is_looked_up(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, stored: bool
) -> None:
    flow = deployment.scoped.get(Kind.FLOW, _flow(deployment))
    run = _run(deployment, flow.id)
    real = psycopg.Connection.commit
    lost = iter([True])

    def commit(connection: psycopg.Connection[Any]) -> None:
        if next(lost, False):
            if stored:
                real(connection)
            connection.close()
            raise psycopg.OperationalError("server closed the connection unexpectedly")
        real(connection)

    monkeypatch.setattr(psycopg.Connection, "commit", commit)
    if stored:
        assert deployment.scoped.add_run(run, flow_etag=flow.etag).id == run.id
    else:
        with pytest.raises(Unavailable) as error:
            deployment.scoped.add_run(run, flow_etag=flow.etag)
        assert not isinstance(error.value, OutcomeUnknown)
    assert deployment.scoped.runs(Query(count=True)).total == int(stored)


@pytest.mark.parametrize("own_metadata", ["postgresql"], indirect=True)
def test_a_lock_that_is_not_given_back_is_not_waited_for_for_ever(deployment: Deployment) -> None:
    flow = deployment.scoped.get(Kind.FLOW, _flow(deployment))
    impatient = f"{deployment.settings.metadata}&options=-c%20lock_timeout%3D200"
    store = open_store(deployment.settings.model_copy(update={"metadata_url": impatient}))
    try:
        with psycopg.connect(_plain(deployment)) as holder:
            holder.execute("SELECT 1 FROM resources WHERE id = %s FOR UPDATE", [flow.id])
            with pytest.raises(Unavailable) as error:
                store.scoped(deployment.scope).delete(Kind.FLOW, flow.id)
            assert "lock timeout" in str(error.value.__cause__)
        store.scoped(deployment.scope).delete(Kind.FLOW, flow.id)
    finally:
        store.close()


@pytest.mark.parametrize("own_metadata", ["postgresql"], indirect=True)
def test_reading_transactions_cannot_write(deployment: Deployment) -> None:
    with pytest.raises(Unavailable) as error, deployment.store._transactions.read() as connection:
        connection.execute(sa.text("DELETE FROM runs"))
    assert "read-only" in str(error.value.__cause__)


def _plain(deployment: Deployment) -> str:
    return deployment.settings.metadata.replace("postgresql+psycopg://", "postgresql://")


def _run(deployment: Deployment, flow_id: str, **changes: Any) -> Run:
    """A run that is not stored yet."""
    return deployment.made(flow_id, *SPAN).evolve(**changes)
