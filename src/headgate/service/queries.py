"""The SQL box: a caller's query over the datasets of their sandbox, answered by a process of its own.

The process is started for one query and ends with it: what it takes of memory is given back, what it breaks is its own,
and whoever asks too much of it loses it and nothing else. This one never loads DuckDB.
"""

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from headgate.config import Settings
from headgate.dataplane import quote
from headgate.errors import BadParameter, ParameterMissing, TargetUnavailable, TooManyRequests
from headgate.model.query import whole_number
from headgate.model.runs import Json
from headgate.model.scope import Caller
from headgate.querying import QueryRefused, View, answered
from headgate.service.bodies import shown, text
from headgate.service.datasets import dataset_of
from headgate.service.paging import Parameters, known_parameters
from headgate.service.query import views_of
from headgate.store import Store
from headgate.targets import Lake

__all__ = ["Queries", "QueryTooLong", "watched"]

_ROWS, _PREVIEW_ROWS = 1000, 100
_MOST_OF_ONE = 4  # queries of one principal that run or wait
_SIZE = 8 * 1024 * 1024  # bytes of an answer's rows
_SECONDS = 30
_LONGEST = 100_000  # characters of a statement
_PATIENCE = 10.0  # seconds that a query waits for a place
_LOOK = 0.1  # seconds between two looks whether the caller is still there
_TRIES = 3  # a file that described a table may be gone when it is read
_KEPT = ("PATH", "PYTHONPATH", "LANG", "LC_ALL", "TZDIR")  # of the environment, which holds secrets
_PLAIN = {"OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}


class QueryTooLong(QueryRefused):
    """The query took longer than the 30 seconds that it has. Ask for less, for instance for a shorter window."""


class Queries:
    """Answers queries, a few at a time."""

    def __init__(self, settings: Settings, store: Store, lake: Lake) -> None:
        self._store, self._lake = store, lake
        self._places = _Places(settings.queries)

    def ask(self, caller: Caller, body: Mapping[str, Any], gone: threading.Event | None = None) -> Json:
        """What `body["sql"]`, one statement that reads, says of the datasets of the caller's sandbox.

        `{"columns":[{"name","type"}],"rows":[[…]],"truncated","milliseconds"}`: at most 1,000 rows, within 30 seconds.
        It is broken off when `gone` is set. Raises QueryRefused, BadParameter, TooManyRequests, Unavailable.
        """
        statement = _statement(body)
        self._store.scoped(caller).record_query(statement)
        for _ in range(_TRIES):
            views = views_of(self._store, self._lake, caller.scope)
            answer = self._asked(caller, views, statement, _ROWS, gone)
            if answer is not None:
                return answer
        raise TargetUnavailable("The tables kept changing while the query began.")

    def preview(
        self, caller: Caller, dataset_id: str, parameters: Parameters, gone: threading.Event | None = None
    ) -> Json:
        """The first rows of a dataset, in the form of `ask()`; `limit` of them, 100 unless it says otherwise.

        It is broken off when `gone` is set. Raises DatasetNotFound, InvalidRequest, TooManyRequests, Unavailable.
        """
        _, single = known_parameters(parameters, ("limit",))
        rows = whole_number("limit", single.get("limit", str(_PREVIEW_ROWS)), 1, _ROWS)
        dataset = dataset_of(self._store.catalog(caller), dataset_id)
        identifier = tuple(dataset.frozen["table"])
        for _ in range(_TRIES):
            metadata = self._lake.metadata_file(identifier)
            if metadata is None:  # no run has filled it
                return {"columns": [], "rows": [], "truncated": False, "milliseconds": 0}
            view = View(identifier[-1], metadata)
            answer = self._asked(caller, [view], f"SELECT * FROM {quote(view.name)}", rows, gone)
            if answer is not None:
                return answer
        raise TargetUnavailable("The table kept changing while it was read.")

    def _asked(
        self, caller: Caller, views: Sequence[View], statement: str, rows: int, gone: threading.Event | None
    ) -> Json | None:
        """The answer; None when a table has changed meanwhile so that its state is no longer there."""
        asked = {
            "views": [[view.name, None if view.metadata is None else str(view.metadata)] for view in views],
            "sql": statement,
            "rows": rows,
            "size": _SIZE,
            "seconds": _SECONDS,
        }
        with self._places.one(caller.scope.org_id, caller.principal.user_id):
            answer = _told(json.dumps(asked).encode(), gone or threading.Event())
        if answer.get("changed"):
            return None
        if "refused" in answer:
            raise QueryRefused(str(answer["refused"]))
        return answer


@asynccontextmanager
async def watched(left: Callable[[], Awaitable[bool]]) -> AsyncIterator[threading.Event]:
    """What is set once `left()` says that the caller has gone, while the context is open."""
    gone = threading.Event()

    async def watch() -> None:
        while not await left():
            await asyncio.sleep(_LOOK)
        gone.set()

    watching = asyncio.create_task(watch())
    try:
        yield gone
    finally:
        watching.cancel()


def _statement(body: Mapping[str, Any]) -> str:
    for name in body:
        if name != "sql":
            raise BadParameter(f"The member {shown(name)} is not known here. Send sql alone.", parameter=name[:40])
    statement = text(body, "sql")
    if statement is None or not statement.strip():
        raise ParameterMissing("sql is missing or empty.", parameter="sql")
    if len(statement) > _LONGEST:
        raise BadParameter(f"sql has {len(statement)} characters; {_LONGEST} are allowed.", parameter="sql")
    if "\0" in statement or any("\ud800" <= sign <= "\udfff" for sign in statement):
        raise BadParameter("sql holds a character that no text has.", parameter="sql")
    return statement


def _told(asked: bytes, gone: threading.Event) -> Json:
    """What a process of its own answers. Raises QueryRefused."""
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", answered.__module__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**environment, **_PLAIN},
    )
    end, rest = time.monotonic() + _SECONDS, asked or None
    with process:
        try:
            while True:
                try:
                    told, _ = process.communicate(rest, timeout=_LOOK)
                    break
                except subprocess.TimeoutExpired:
                    rest = None  # the first call sees to the whole of it
                    if time.monotonic() > end:
                        raise QueryTooLong from None
                    if gone.is_set():
                        raise QueryRefused("Whoever asked has gone; the query was broken off.") from None
        finally:
            process.kill()
    if process.returncode != 0:
        raise QueryRefused("The query ended its engine; it took more memory than the 1 GiB that it has, or more time.")
    answer: Json = json.loads(told)
    return answer


class _Places:
    """How many queries run at a time; one organisation leaves a place to the others where there are several.

    Whoever waits holds a thread of the service, so one principal has few queries that run or wait.
    """

    def __init__(self, most: int) -> None:
        self._most, self._most_of_one = most, max(1, most - 1)
        self._taken: Counter[str] = Counter()
        self._asked: Counter[tuple[str, str]] = Counter()
        self._freed = threading.Condition()

    @contextmanager
    def one(self, org_id: str, user_id: str) -> Iterator[None]:
        """A place, once one is free. Raises TooManyRequests after a while, or at once for who has asked too much."""
        who = org_id, user_id
        with self._freed:
            if self._asked[who] >= _MOST_OF_ONE:
                raise TooManyRequests(f"{_MOST_OF_ONE} queries of this principal run or wait.", after=_SECONDS / 2)
            self._asked[who] += 1
        try:
            with self._freed:
                if not self._freed.wait_for(lambda: self._free(org_id), _PATIENCE):
                    raise TooManyRequests("As many queries as may run at a time are running.", after=_SECONDS / 2)
                self._taken[org_id] += 1
            try:
                yield
            finally:
                with self._freed:
                    self._taken[org_id] -= 1
                    self._freed.notify_all()
        finally:
            with self._freed:
                self._asked[who] -= 1
                if not self._asked[who]:
                    del self._asked[who]

    def _free(self, org_id: str) -> bool:
        return self._taken.total() < self._most and self._taken[org_id] < self._most_of_one
