"""Writers that wait for their turn share a transaction: each as if it had one for itself, on either database."""

import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from headgate.errors import NotFound, OutcomeUnknown, Unavailable, VersionConflict
from headgate.model.resources import Kind, new_etag, now_ms
from headgate.model.runs import Run
from headgate.store import engines, tables
from headgate.store.transactions import Transactions
from tests.deployment import Deployment

SPAN = ("2024-01-01T00:00:00", "2024-01-02T00:00:00")
Act = Callable[[], Any]


@pytest.fixture
def deployment(tmp_path: Path, own_metadata: str) -> Iterator[Deployment]:
    made = Deployment(tmp_path, metadata_url=own_metadata)
    yield made
    made.close()


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Deployment]:
    made = Deployment(tmp_path)
    yield made
    made.close()


def _transactions(deployment: Deployment) -> Transactions:
    return deployment.store._transactions


def _until(met: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not met():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.001)


def _begun(act: Act) -> Future[Any]:
    """What the act gives, or raises, in a thread that holds nobody up when it never ends."""
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(act())
        except BaseException as error:  # noqa: BLE001 - it is what the test looks at
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def _are_waiting(transactions: Transactions, number: int) -> bool:
    return len(transactions._waiting) == number


@contextmanager
def _waiting(deployment: Deployment, acts: list[Act]) -> Iterator[list[Future[Any]]]:
    """Threads that are in these acts, in this order: while the context is open, on SQLite, none has its turn yet."""
    transactions = _transactions(deployment)
    if deployment.store._engine.dialect.name != "sqlite":
        yield [_begun(act) for act in acts]
        return
    with transactions._turn():
        futures = []
        for number, act in enumerate(acts, 1):
            futures.append(_begun(act))
            _until(partial(_are_waiting, transactions, number))
        yield futures
    wait(futures, timeout=20)


def _outcomes(deployment: Deployment, *acts: Act) -> list[Any]:
    """What each act gives, or the error it raises; on SQLite all of them share one transaction."""
    with _waiting(deployment, list(acts)) as futures:
        pass
    return [future.exception(20) or future.result() for future in futures]


def _adding(deployment: Deployment, flow: str) -> partial[Run]:
    known = deployment.scoped.get(Kind.FLOW, flow)
    return partial(deployment.scoped.add_run, deployment.made(flow, *SPAN), flow_etag=known.etag)


def _stored(deployment: Deployment) -> list[str]:
    with deployment.store._engine.connect() as connection:
        return list(connection.execute(sa.select(tables.runs.c.id).order_by(tables.runs.c.seq)).scalars())


def _audited(deployment: Deployment) -> list[str]:
    chosen = sa.select(tables.audit.c.resource_id).where(tables.audit.c.kind == "runs").order_by(tables.audit.c.seq)
    with deployment.store._engine.connect() as connection:
        return list(connection.execute(chosen).scalars())


def _commits(deployment: Deployment) -> list[None]:
    """Grows with every commit."""
    seen: list[None] = []
    sa.event.listen(deployment.store._engine, "commit", lambda _connection: seen.append(None))
    return seen


def test_they_share_one_commit_in_the_order_they_came(embedded: Deployment) -> None:
    flow = embedded.flow("any", {}, {})
    acts = [_adding(embedded, flow) for _ in range(8)]
    commits = _commits(embedded)
    made = [run.id for run in _outcomes(embedded, *acts)]
    assert len(commits) == 1
    assert _stored(embedded) == _audited(embedded) == made


def test_none_is_answered_before_the_flush(embedded: Deployment) -> None:
    seen: list[Any] = []

    def committing(connection: sa.Connection) -> None:
        time.sleep(0.3)  # whoever would be answered by now is
        modes = (connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous"))
        seen.append((sum(future.done() for future in futures), *modes))

    flow = embedded.flow("any", {}, {})
    with _waiting(embedded, [_adding(embedded, flow) for _ in range(4)]) as futures:
        sa.event.listen(embedded.store._engine, "commit", committing)
    assert seen == [(0, "wal", 2)]  # 2: FULL, so that the commit flushes
    assert {future.result(20).id for future in futures} == set(_stored(embedded))


def test_what_one_raises_undoes_its_own_part_alone(deployment: Deployment) -> None:
    flow = deployment.flow("any", {}, {})
    known = deployment.scoped.get(Kind.FLOW, flow)
    twice = deployment.made(flow, *SPAN)
    deployment.scoped.add_run(twice, flow_etag=known.etag)
    good = [_adding(deployment, flow) for _ in range(3)]

    def fail_late(connection: sa.Connection) -> None:
        deployment.scoped.enqueue(connection, deployment.made(flow, *SPAN))
        raise ZeroDivisionError

    results = _outcomes(
        deployment,
        good[0],
        partial(deployment.scoped.add_run, deployment.made(flow, *SPAN), flow_etag="another"),
        partial(deployment.scoped.add_run, twice, flow_etag=known.etag),
        good[1],
        partial(_transactions(deployment).together, fail_late),
        partial(deployment.scoped.add_run, deployment.made(flow, *SPAN).evolve(flow_id="gone"), flow_etag=known.etag),
        good[2],
    )
    made = [result.id for result in results if isinstance(result, Run)]
    kinds = [type(result) for result in results if not isinstance(result, Run)]
    assert kinds == [VersionConflict, sa.exc.IntegrityError, ZeroDivisionError, NotFound]
    assert len(made) == 3
    assert set(_stored(deployment)) == {twice.id, *made}
    assert sorted(_audited(deployment)) == sorted([twice.id, *made])


def test_of_two_first_runs_one_sets_the_delta_column(deployment: Deployment) -> None:
    flow = deployment.scoped.get(Kind.FLOW, deployment.flow("any", {}, {}))
    changed = flow.evolve(etag=new_etag(now_ms()))
    results = _outcomes(
        deployment,
        *(
            partial(deployment.scoped.add_run, deployment.made(flow.id, *SPAN), flow=changed, flow_etag=flow.etag)
            for _ in range(3)
        ),
    )
    assert sum(isinstance(result, Run) for result in results) == 1
    assert sum(isinstance(result, VersionConflict) for result in results) == 2
    assert deployment.scoped.get(Kind.FLOW, flow.id).etag == changed.etag


def test_equal_keys_make_one_run(deployment: Deployment) -> None:
    flow = deployment.flow("any", {}, {})
    results = _outcomes(deployment, *(partial(_adding(deployment, flow), key=("key", "0" * 64)) for _ in range(4)))
    assert {run.id for run in results} == set(_stored(deployment))
    assert len(_stored(deployment)) == 1


def test_one_alone_is_undone_too(deployment: Deployment) -> None:
    flow = deployment.flow("any", {}, {})

    def fail_late(connection: sa.Connection) -> None:
        deployment.scoped.enqueue(connection, deployment.made(flow, *SPAN))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        _transactions(deployment).together(fail_late)
    assert _stored(deployment) == []
    assert _adding(deployment, flow)().id in _stored(deployment)


def test_a_transaction_that_the_database_ended_stores_nothing_for_anybody(embedded: Deployment) -> None:
    flow = embedded.flow("any", {}, {})

    def lose(connection: sa.Connection) -> None:  # as SQLite does when the disk is full
        connection.exec_driver_sql("ROLLBACK")
        raise sa.exc.OperationalError("INSERT", None, sqlite3.OperationalError("database or disk is full"))

    acts = [_adding(embedded, flow) for _ in range(3)]
    results = _outcomes(embedded, acts[0], partial(_transactions(embedded).together, lose), *acts[1:])
    assert [type(result) for result in results] == [Unavailable] * 4
    assert _stored(embedded) == []
    assert _adding(embedded, flow)().id in _stored(embedded)


def test_all_who_wait_are_refused_when_the_database_is_locked(
    embedded: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "_BUSY_MS", 200)
    flow = embedded.flow("any", {}, {})
    acts = [_adding(embedded, flow) for _ in range(3)]
    other = sqlite3.connect(embedded.settings.data / "metadata.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    results = _outcomes(embedded, *acts)
    other.execute("ROLLBACK")
    other.close()
    assert [type(result) for result in results] == [Unavailable] * 3
    assert _stored(embedded) == []
    assert len({run.id for run in _outcomes(embedded, *acts)}) == 3


@pytest.mark.parametrize("first", [True, False], ids=["who is to lead", "who follows"])
def test_who_is_interrupted_leaves_the_others_be(embedded: Deployment, first: bool) -> None:
    flow, transactions = embedded.flow("any", {}, {}), _transactions(embedded)
    mine, others = _adding(embedded, flow), [_adding(embedded, flow) for _ in range(2)]
    futures: list[Future[Any]] = []

    def interrupt() -> None:
        # The main thread is in `mine` now, or will be; what others do comes before it or after it.
        if first:
            _until(partial(_are_waiting, transactions, 1))
            futures.extend(_begun(act) for act in others)
        _until(partial(_are_waiting, transactions, 3))
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    with transactions._turn():
        if not first:
            futures.extend(_begun(act) for act in others)
            _until(partial(_are_waiting, transactions, 2))
        interrupting = _begun(interrupt)
        with pytest.raises(KeyboardInterrupt):
            mine()
        interrupting.result(20)
    made = {future.result(20).id for future in futures}
    assert set(_stored(embedded)) == made
    assert mine().id in _stored(embedded)


def test_who_is_interrupted_while_writing_leaves_the_others_to_look(embedded: Deployment) -> None:
    flow, transactions = embedded.flow("any", {}, {}), _transactions(embedded)

    def interrupted(_connection: sa.Connection) -> None:
        raise KeyboardInterrupt

    def plainly(connection: sa.Connection) -> None:
        embedded.scoped.enqueue(connection, embedded.made(flow, *SPAN))

    results = _outcomes(embedded, *(partial(transactions.together, work) for work in (plainly, interrupted, plainly)))
    # The first leads, and so it is this one whose thread the signal ends.
    assert [type(result) for result in results] == [KeyboardInterrupt, OutcomeUnknown, OutcomeUnknown]
    assert _stored(embedded) == []
    assert _adding(embedded, flow)().id in _stored(embedded)


def test_many_threads_write_without_end(embedded: Deployment) -> None:
    """No leader is lost, whoever comes when: each of many gets its own answer."""
    flow = embedded.flow("any", {}, {})
    known = embedded.scoped.get(Kind.FLOW, flow)

    def add(numbers: range) -> dict[int, Any]:
        results: dict[int, Any] = {}
        for number in numbers:
            etag = known.etag if number % 5 else "another"
            try:
                results[number] = embedded.scoped.add_run(embedded.made(flow, *SPAN), flow_etag=etag).id
            except VersionConflict as error:
                results[number] = error
        return results

    results: dict[int, Any] = {}
    for future in [_begun(partial(add, range(first, 300, 12))) for first in range(12)]:
        results |= future.result(60)
    made = {result for number, result in results.items() if number % 5}
    assert set(_stored(embedded)) == made
    assert len(made) == 240
    assert all(isinstance(result, VersionConflict) for number, result in results.items() if number % 5 == 0)
