"""Reads the streams of one connection to a vendor's API."""

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pyarrow as pa
import pyarrow.compute as pc

from headgate.errors import BadParameter, ParameterMissing, SourceError, SourceObjectMissing
from headgate.model.lake import Column
from headgate.model.windows import Window
from headgate.outbound import Outbound
from headgate.sources.batches import REFUSED, StreamReader
from headgate.sources.rest.ahead import ahead
from headgate.sources.rest.asking import Asking, TooMany
from headgate.sources.rest.auth import authenticator
from headgate.sources.rest.budget import budget_of
from headgate.sources.rest.hooks import discovery
from headgate.sources.rest.inline import check_of, columns_found, inline_about, inline_name, inline_stream
from headgate.sources.rest.loading import stream_of
from headgate.sources.rest.manifest import Auth, Manifest, Stream, WindowFilter
from headgate.sources.rest.once import Once
from headgate.sources.rest.pages import Pages
from headgate.sources.rest.slices import slices
from headgate.sources.rest.templates import Filling, Span
from headgate.sources.rest.values import batch_of

__all__ = ["RestReader"]


class RestReader(StreamReader):
    """A stream is called by its name or, with parameters, `name?parameter=value`."""

    refuses = True

    def __init__(
        self,
        title: str,
        manifest: Manifest,
        auth: Auth,
        values: Mapping[str, Any],
        outbound: Outbound,
        secrets: Sequence[str],
    ) -> None:
        self.title = title
        self._manifest, self._values, self._outbound = manifest, values, outbound
        self._secrets = secrets
        self._auth = authenticator(auth, values)
        named = json.dumps([manifest.name, dict(values)], sort_keys=True, default=str)
        self._budget = budget_of(hashlib.sha256(named.encode()).hexdigest(), manifest.limits.per_second)
        self._open: set[Asking] = set()
        self._passed_over: dict[tuple[str, str], tuple[int, int]] = {}  # of the last read of each split
        self._found: dict[str, Stream] = {}
        self._looked: dict[str, Any] = {}
        self._lock = threading.Lock()

    @property
    def secrets(self) -> Sequence[str]:
        return (*self._secrets, *self._auth.secrets)

    def check(self) -> None:
        with self._asking() as asking:
            if self._manifest.inline is not None:
                asking.answer(check_of(self._manifest.inline, asking))
                return
            if self._manifest.check is not None:
                asking.answer(asking.made(self._manifest.check, Filling(self._values)))
                return
        first = next(iter(self.streams()))
        next(self.read(first, "all", None, None, [column.name for column in self.columns(first)]), None)

    def streams(self) -> Sequence[str]:
        if self._manifest.inline is not None:
            return ()
        if self._manifest.discover is None:
            return tuple(self._manifest.streams)
        with self._asking() as asking:
            found = discovery(self._manifest.discover).streams(asking)
        return tuple(dict.fromkeys([*self._manifest.streams, *found]))

    def named(self, params: Mapping[str, Any]) -> str:
        if self._manifest.inline is not None:
            return inline_name(self._manifest.inline, params)
        name = params.get("tableName") or params.get("resourcePath") or next(iter(self._manifest.streams), None)
        if not isinstance(name, str) or not name:
            raise ParameterMissing("params.tableName, or params.resourcePath, is missing. Exploring gives the names.")
        plain, _, query = name.partition("?")
        stream = self._manifest.streams.get(plain)
        given = dict(parse_qsl(query))
        for key, about in (self._manifest if stream is None else stream).parameters.items():
            found = next((params[word] for word in (key, *about.alias) if params.get(word) not in (None, "")), None)
            if found is not None:
                given[key] = str(found)
        return f"{plain}?{urlencode(given)}" if given else plain

    def knows(self, stream: str) -> bool:
        if self._manifest.inline is not None:
            return True
        try:
            self._stream(stream)
        except SourceObjectMissing:
            return False
        return True

    def columns(self, stream: str) -> Sequence[Column]:
        return self._stream(stream)[0].columns

    def default_delta(self, stream: str) -> str | None:
        """The column that windows are of where nobody says another."""
        windows = self._stream(stream)[0].windows
        return windows[0].column if windows else None

    def splits(self, stream: str, window: Window | None, delta: str | None, parallel: int) -> Sequence[str]:
        about, values = self._stream(stream)
        looked = json.dumps(self._looked[stream]) if stream in self._looked else ""
        filter_, whole = _asked(about, window, delta)
        if filter_ is None or whole is None:
            return (f"all{looked}",)
        together = min(parallel, self._manifest.limits.parallel) if whole is window else 1
        parts = slices(whole, filter_, about.slice, together, self._zone(filter_, values))
        named = [f"{part.start_ms}-{part.end_ms}{looked}" for part in parts]
        return named if whole is window else named[::-1]  # who only looks at some records sees the newest

    def read(
        self, stream: str, split: str, window: Window | None, delta: str | None, columns: Sequence[str]
    ) -> Iterator[pa.RecordBatch]:
        split, brace, looked = split.partition("{")
        if brace:  # the columns that were found when the read was planned
            self._looked[stream] = json.loads(brace + looked)
        about, values = self._stream(stream)
        filter_, whole = _asked(about, window, delta)
        sliced = filter_.column if filter_ is not None else None
        wanted = [column for column in about.columns if column.name in columns or column.name == sliced]
        wanted.sort(key=lambda column: column.name != delta)  # its reasons count before all others'
        key = [about.reads[name].path for name in about.key]
        reads = {name: read.filled(Filling(values)) for name, read in about.reads.items()}
        todo = [Window(*map(int, split.split("-"))) if split != "all" else whole]
        outside = repeated = 0
        while todo:
            part, begun = todo.pop(0), False
            once = Once(key)  # of each part: what one was given and left out, as it is another's, comes in that one
            try:
                for records in self._records(about, filter_, [column.name for column in wanted], values, part):
                    begun, batch = True, batch_of(once.of(records), wanted, reads, REFUSED)
                    if window is not None and delta is not None:
                        outside += _outside(batch.column(delta), window)
                    yield batch if part is None or sliced is None or part == window else _within(batch, sliced, part)
            except TooMany:
                if begun or part is None or filter_ is None:
                    raise
                halves = slices(part, filter_, timedelta(), 2, self._zone(filter_, values))
                if len(halves) < 2:
                    raise
                todo[:0] = halves
            repeated += once.repeated
        self._passed_over[stream, split] = outside, repeated

    def passed_over(self, stream: str, split: str) -> tuple[int, int]:
        return self._passed_over.get((stream, split), (0, 0))

    def notes(self, stream: str, window: Window | None, delta: str | None) -> Sequence[str]:
        about, _ = self._stream(stream)
        named = f"{about.name} of {self.title}"
        filter_, whole = _asked(about, window, delta)
        if filter_ is not None and whole is not window:
            since = f"{datetime.fromtimestamp(whole.start_ms / 1000, UTC):%Y-%m-%d}" if whole is not None else ""
            return (f"{named} cannot be read whole: what is read begins at {since}, by {filter_.column}.",)
        if window is not None and filter_ is None and not (about.request is not None and about.request.needs_window):
            known = ", ".join(one.column for one in about.windows) or "nothing"
            return (f"{named} cannot be asked for a window of {delta}: all of it is read. It can filter by: {known}.",)
        return ()

    def _records(
        self,
        about: Stream,
        filter_: WindowFilter | None,
        columns: Sequence[str],
        values: Mapping[str, Any],
        part: Window | None,
    ) -> Iterator[list[Any]]:
        """The records of one part of a window, a page made while the one before it is used."""
        span = None
        if part is not None:
            grain = filter_.grain if filter_ is not None else "ms"
            span = Span.around(part.start_ms, part.end_ms, grain, self._zone(filter_, values))
        with self._asking() as asking:
            yield from ahead(Pages(asking, about, filter_, columns).read(values, span), asking.stop)

    def stop(self) -> None:
        for asking in tuple(self._open):
            asking.stop()

    def _asking(self) -> "_Session":
        made = Asking(self.title, self._manifest, self._values, self._outbound, self._auth, self._budget)
        return _Session(made, self._open)

    def _stream(self, name: str) -> tuple[Stream, Mapping[str, Any]]:
        """A stream, and the values that its templates are filled with. Raises BadParameter, ParameterMissing."""
        if self._manifest.inline is not None:
            return self._described(self._manifest.inline, name), self._values
        plain, _, query = name.partition("?")
        about = self._manifest.streams.get(plain) or self._discovered(plain)
        given = dict(parse_qsl(query, keep_blank_values=True))
        if strangers := sorted(given.keys() - about.parameters.keys()):
            known = ", ".join(about.parameters) or "none"
            raise BadParameter(f"{plain} has no parameter {strangers[0]!r}; it has: {known}.", parameter=strangers[0])
        for key, parameter in about.parameters.items():
            if key not in given and parameter.default is not None:
                given[key] = parameter.default
            if key not in given and parameter.required:
                said = f"params.{key} is missing; the stream {plain} needs it, there or as {plain}?{key}=…."
                raise ParameterMissing(said)
        return about, {**self._values, **given}

    def _described(self, kind: str, name: str) -> Stream:
        """The stream that a source connection describes, its columns found in its first records where it says none."""
        about = inline_about(kind, name)
        if not about.get("columns"):
            if name not in self._looked:
                first = inline_stream(kind, name, {**about, "columns": {"_": "string"}, "windows": {}, "key": []})
                with self._asking() as asking:
                    records = next(Pages(asking, first, None, []).read(self._values, None), [])
                self._looked[name] = columns_found(records)
            about = {**about, "columns": self._looked[name]}
        return inline_stream(kind, name, about)

    def _discovered(self, name: str) -> Stream:
        """A stream that the vendor's own metadata describes. Raises SourceObjectMissing."""
        if self._manifest.discover is None:
            raise SourceObjectMissing(f"{self.title} has no stream {name[:100]!r}.")
        with self._lock:
            if (found := self._found.get(name)) is None:
                with self._asking() as asking:
                    about = discovery(self._manifest.discover).about(asking, name)
                try:
                    found = self._found[name] = stream_of(name, about, self._manifest.names)
                except ValueError as error:
                    raise SourceError(
                        f"{self.title} describes {name[:100]!r} as what cannot be read: {error}."
                    ) from None
            return found

    def _zone(self, filter_: WindowFilter | None, values: Mapping[str, Any]) -> str | None:
        if filter_ is None or filter_.timezone is None:
            return None
        found = filter_.timezone.filled(Filling(values))
        return found if isinstance(found, str) and found else None


class _Session:
    """An open session with the API, which `stop()` knows of."""

    def __init__(self, asking: Asking, among: set[Asking]) -> None:
        self._asking, self._among = asking, among

    def __enter__(self) -> Asking:
        self._among.add(self._asking)
        return self._asking

    def __exit__(self, *_: object) -> None:
        self._among.discard(self._asking)
        self._asking.close()


def _asked(about: Stream, window: Window | None, delta: str | None) -> tuple[WindowFilter | None, Window | None]:
    """How the vendor is asked, and for what: not at all for a window that it cannot filter by.

    Of what must be told one, that is all since the day that the manifest says.
    """
    if (filter_ := about.window(delta)) is not None and window is not None:
        return filter_, window
    if about.since is None or not about.windows:
        return None, None if about.windows else window
    return about.windows[0], _since(about.since)


def _since(since: date | timedelta) -> Window:
    """From then until now."""
    now = datetime.now(UTC)
    start = now - since if isinstance(since, timedelta) else datetime.combine(since, datetime.min.time(), UTC)
    return Window(int(start.timestamp() * 1000), int(now.timestamp() * 1000))


def _within(batch: pa.RecordBatch, column: str, part: Window) -> pa.RecordBatch:
    """The records of a split: those whose value lies in it, and those that have none."""
    return batch.filter(pc.fill_null(_lies(batch.column(column), part), True))


def _outside(values: pa.Array, window: Window) -> int:
    """How many of the values lie outside of a window; none where they are no times."""
    if not (pa.types.is_timestamp(values.type) or pa.types.is_date(values.type)):
        return 0
    inside: int = pc.sum(_lies(values, window)).as_py() or 0
    among: int = len(values) - values.null_count
    return among - inside


def _lies(values: pa.Array, part: Window) -> pa.Array:
    zoned = pa.timestamp("us", "UTC")
    start, end = (pa.scalar(datetime.fromtimestamp(at / 1000, UTC), zoned) for at in (part.start_ms, part.end_ms))
    times = values if values.type == zoned else values.cast(pa.timestamp("us")).cast(zoned)
    return pc.and_(pc.greater_equal(times, start), pc.less(times, end))
