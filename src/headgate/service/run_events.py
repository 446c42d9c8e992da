"""What happens to a run, told as it happens to those who watch it.

All that is watched in this process is looked up together, once a tick: so it does not matter in which process a worker
executes a run, nor how many watch it. Nothing here holds a thread but for the time of a look.
"""

import asyncio
import re
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass

from headgate.config import Settings
from headgate.errors import BadParameter, TooManyRequests, Unavailable
from headgate.model import wire
from headgate.model.run_log import LogLine
from headgate.model.runs import Json, Run
from headgate.model.scope import Caller
from headgate.service.bodies import check_id, shown
from headgate.store import News, Seen, Store

__all__ = ["Event", "RunEvents", "Watch"]

_TICK = 0.5  # seconds between two looks at what is watched
_QUIET = 15.0  # seconds without an event after which a watcher is told that there is none
_AGAIN = 15.0  # seconds between two looks whether who watches still may
_LONGEST = 600.0  # seconds, after which who watches must show again that it may
_ID = re.compile(r"(?P<line>-1|[0-9]{1,18})[.](?P<etag>[0-9a-f-]{1,60})(?P<done>[.]done)?")


@dataclass(frozen=True, slots=True)
class Event:
    """`name` is `run`, `progress`, `log` or `done`. `id` is where to go on after it; `data` the event's own shape."""

    id: str
    name: str
    data: Json


class Watch:
    """One run as one caller watches it."""

    def __init__(self, owner: "RunEvents", key: str, run: Run, seen: Seen, *, told_end: bool) -> None:
        self.run_id = run.id
        self.told_end = told_end
        """Whether the caller had been told of the run's end before: then nothing follows."""
        self.key = key
        self._ended = run if run.state.final and seen.etag == run.etag else None
        self._owner = owner
        self._seen = seen
        self._state: str | None = None
        self._run: Run | None = None
        self._lines: list[LogLine] = []
        self._closed = False
        self.news = asyncio.Event()

    @property
    def seen(self) -> Seen:
        """What has been taken up, told or not."""
        return self._seen

    def take(self, news: News) -> None:
        """Take up what is new, as far as this watch does not have it; the last of several records counts."""
        for line in news.lines:
            if line.number > self._seen.line:
                self._lines.append(line)
                self._seen = Seen(self._seen.etag, self._seen.state, line.number)
        if news.run is not None and (news.run.etag, news.run.state) != (self._seen.etag, self._seen.state):
            self._run = news.run
            self._seen = Seen(news.run.etag, news.run.state, self._seen.line)
        if self._run is not None or self._lines:
            self.news.set()

    async def events(self, still_may: Callable[[], bool]) -> AsyncIterator[Event | None]:
        """What happens, until the run has ended; None when nothing has for a while.

        Ends earlier when the service stops or after some minutes: who wants to go on begins again where it was. Ends
        too, within half a minute, once `still_may()`, which may block, says that the caller may not watch any more.
        """
        if self._ended is not None:
            if not self.told_end:
                yield self._done(self._ended)
            return
        begun = looked = time.monotonic()
        self._owner.follow(self)
        while not self._closed and (left := begun + _LONGEST - time.monotonic()) > 0:
            if time.monotonic() - looked >= _AGAIN:
                if not await asyncio.to_thread(still_may):
                    return
                looked = time.monotonic()
            try:
                await asyncio.wait_for(self.news.wait(), min(_QUIET, left))
            except TimeoutError:
                yield None
                continue
            for event in self._told():
                yield event
                if event.name == "done":
                    return

    def close(self) -> None:
        """End the events, and give the caller's place to another."""
        self._closed = True
        self.news.set()
        self._owner.leave(self)

    def _told(self) -> list[Event]:
        run, lines = self._run, self._lines
        self._run, self._lines = None, []
        self.news.clear()
        etag, events = self._seen.etag.strip('"'), []
        for line in lines:  # their ids say that the run as it is now is still to come
            events.append(Event(f"{line.number}.{etag if run is None else '0'}", "log", line.wire))
        if run is not None:
            state, shape = run.state.value, wire.run(run)
            if state == self._state:
                parts = ("id", "updatedAt", "etag", "metrics", "activities")
                shape = {"state": state, "attempt": run.attempt, **{name: shape[name] for name in parts}}
            events.append(Event(f"{self._seen.line}.{etag}", "run" if state != self._state else "progress", shape))
            self._state = state
            if run.state.final:
                events.append(self._done(run))
        return events

    def _done(self, run: Run) -> Event:
        etag = run.etag.strip('"')
        return Event(f"{self._seen.line}.{etag}.done", "done", {"id": run.id, "state": run.state.value})


class RunEvents:
    """The runs that are watched in this process, by whom."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._most = settings.event_streams
        self._lock = threading.Lock()
        self._watched: dict[str, int] = {}  # by caller
        self._watches: set[Watch] = set()
        self._looking: asyncio.Task[None] | None = None
        self._joined = asyncio.Event()
        self._stopped = False

    def watch(self, caller: Caller, id_: str, *, after: str | None = None) -> Watch:
        """Begin to watch a run, where an earlier watch was left `after` the event with that id; close it in the end.

        Raises NotFound, BadParameter, TooManyRequests.
        """
        run = self._store.scoped(caller).run(check_id(id_, "runs"))
        seen, done = _place(after, run)
        key = f"{caller.scope.org_id} {caller.principal.user_id}"
        with self._lock:
            if self._watched.get(key, 0) >= self._most:
                raise TooManyRequests(f"{self._most} runs are watched by this principal; close one of them.", after=5)
            self._watched[key] = self._watched.get(key, 0) + 1
        return Watch(self, key, run, seen, told_end=done)

    def follow(self, watch: Watch) -> None:
        """Have a watch be told what is new; called in the event loop."""
        if self._stopped:
            watch.close()
            return
        self._watches.add(watch)
        self._joined.set()
        if self._looking is None or self._looking.done():
            self._looking = asyncio.get_running_loop().create_task(self._look())

    def leave(self, watch: Watch) -> None:
        """Forget a watch."""
        self._watches.discard(watch)
        with self._lock:
            left = self._watched.pop(watch.key, 0) - 1
            if left > 0:
                self._watched[watch.key] = left

    def stop(self) -> None:
        """End all that is watched, since the service stops; called in the event loop."""
        self._stopped = True
        for watch in [*self._watches]:
            watch.close()

    async def _look(self) -> None:
        while self._watches:
            self._joined.clear()
            watches = [*self._watches]
            seen: dict[str, Seen] = {}
            for watch in watches:
                seen[watch.run_id] = _least(seen.get(watch.run_id), watch.seen)
            try:
                news = await asyncio.to_thread(self._store.run_feed.news, seen)
            except Unavailable:  # it is logged where it arises; those who watch see no news meanwhile
                news = {}
            for watch in watches:
                if watch.run_id in news:
                    watch.take(news[watch.run_id])
            with suppress(TimeoutError):  # who comes need not wait for the next look
                await asyncio.wait_for(self._joined.wait(), _TICK)


def _place(after: str | None, run: Run) -> tuple[Seen, bool]:
    """What was seen of a run up to an event, and whether that was the last. Raises BadParameter."""
    if after is None:
        return Seen(), False
    found = _ID.fullmatch(after)
    if found is None:
        raise BadParameter(f"{shown(after)} is no id of an event; send the last one's, or none.", parameter="after")
    same = found["etag"] == run.etag.strip('"')
    if not same:
        return Seen(line=int(found["line"])), False
    return Seen(run.etag, run.state, int(found["line"])), bool(found["done"])


def _least(one: Seen | None, other: Seen) -> Seen:
    """What is seen of a run by both."""
    if one is None:
        return other
    same = (one.etag, one.state) == (other.etag, other.state)
    return Seen(one.etag if same else "", one.state if same else "", min(one.line, other.line))
