"""What taps of Singer and connectors of Airbyte have in common: streams and records that a registered program tells."""

import json
import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

from headgate.errors import SourceError, SourceObjectMissing, SourceUnreachable
from headgate.model.lake import Column, LakeType
from headgate.model.windows import Window
from headgate.sources.batches import StreamReader
from headgate.sources.child.process import Job, Program
from headgate.sources.child.registration import Connector
from headgate.sources.child.zones import zoned
from headgate.sources.context import Telling

__all__ = ["ProgramReader", "Read", "Stream", "before"]

_FRESH = 60.0  # seconds for which a program is not asked again which streams it has
_FEW, _MANY, _BYTES, _SOON = 200, 10_000, 4 << 20, 0.25  # records, records, bytes and seconds that make a batch
_LONGEST_CATALOG = 64 << 20
_PATIENCE = 30.0  # seconds for a connection to be tested, and for a place to be free
_AT_ONCE = 32  # programs of one process
_DAY = len("2024-01-01")
_DIGITS = 100  # of a number that is written out


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream as its program tells it: `definition` in its own words, `cursors` the columns it can begin at."""

    name: str
    columns: tuple[Column, ...]
    cursors: tuple[str, ...]
    definition: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Read:
    """A read of one stream.

    `take` gives the record of a message, None for one that has none, and raises SourceError for one that ends the read;
    `whole` raises it when all messages together are not the whole stream.
    """

    job: Job
    take: Callable[[Any], Mapping[str, Any] | None]
    whole: Callable[[Program], None]


class _Exact(float):
    """A number that knows how it was written."""

    __slots__ = ("_text",)
    _text: str

    def __new__(cls, text: str) -> "_Exact":
        made = super().__new__(cls, text)
        made._text = text
        return made

    def __str__(self) -> str:
        if "e" not in self._text.lower():
            return self._text
        number = Decimal(self._text)
        return format(number, "f") if abs(number.adjusted()) < _DIGITS else self._text


class _Discovered:
    """The streams of programs that were asked lately; whoever asks at the same time waits for one answer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asking: dict[str, threading.Lock] = {}
        self._known: dict[str, tuple[float, Mapping[str, Stream]]] = {}

    def streams(self, key: str, discover: Callable[[], Mapping[str, Stream]]) -> Mapping[str, Stream]:
        with self._lock:
            self._forget()
            asking = self._asking.setdefault(key, threading.Lock())
        with asking:
            if (known := self._known.get(key)) is not None and time.monotonic() - known[0] < _FRESH:
                return known[1]
            found = discover()
            self._known[key] = time.monotonic(), found
        return found

    def _forget(self) -> None:
        now = time.monotonic()
        self._known = {key: kept for key, kept in self._known.items() if now - kept[0] < _FRESH}
        self._asking = {key: lock for key, lock in self._asking.items() if key in self._known or lock.locked()}


_discovered = _Discovered()


_places = threading.BoundedSemaphore(_AT_ONCE)


@contextmanager
def _place(title: str) -> Iterator[None]:
    """One of the places for programs of this process, which whoever explores could else fill."""
    if not _places.acquire(timeout=_PATIENCE):
        raise SourceUnreachable(f"{title} was not started: {_AT_ONCE} programs run here already.")
    try:
        yield
    finally:
        _places.release()


class ProgramReader(StreamReader):
    """Reads the streams of one registered program, with one connection's configuration.

    The streams are asked for once, and stay the same for as long as this lives, which is one run.
    """

    gives_mappings: ClassVar[bool] = True

    def __init__(self, connector: Connector, config: Mapping[str, Any], scratch: Path, telling: Telling) -> None:
        self.title = connector.title
        self._connector, self._config, self._scratch = connector, config, scratch
        self._telling = telling
        self._secrets = tuple(_spellings(config))
        self._running: set[Program] = set()
        self._lock = threading.Lock()
        self._streams: Mapping[str, Stream] | None = None

    # -- what a protocol says ---------------------------------------------------------------------------------

    @abstractmethod
    def discover(self, seconds: float) -> Mapping[str, Stream]:
        """The streams that the program tells within so long, by their names. Raises SourceError."""

    @abstractmethod
    def reading(self, stream: Stream, window: Window | None, delta: str | None, columns: Sequence[str]) -> "Read":
        """How a stream is read: with a window, from its start where the program can begin there."""

    @abstractmethod
    def parsed(self, line: bytes, decode: Callable[[str], Any], program: Program) -> Any:
        """The message in a line; None for a line that has none. Raises SourceError for one that is wrong."""

    # -- what a source is asked -------------------------------------------------------------------------------

    @property
    def secrets(self) -> Sequence[str]:
        """Every text of the configuration: only its program knows which of them are secret."""
        return self._secrets

    def streams(self) -> Sequence[str]:
        """The names of the streams, as discovery told them within the last minute."""
        return tuple(self._known())

    def columns(self, stream: str) -> Sequence[Column]:
        """The columns of a stream, by the schema that discovery told."""
        return self._stream(stream).columns

    def read(
        self,
        stream: str,
        split: str,  # noqa: ARG002 - there is one
        window: Window | None,
        delta: str | None,
        columns: Sequence[str],
    ) -> Iterator[Sequence[Mapping[str, Any]]]:
        """The records that the program writes, until it has ended with 0."""
        asked = self._stream(stream)
        reading = self.reading(asked, window, delta, columns)
        decode = json.JSONDecoder(parse_float=_Exact if _exact(asked.columns, columns) else None).decode
        offset = self._connector.timezone
        made = zoned(asked.columns, "Z" if offset == "UTC" else offset) if offset is not None else None
        with self._program(reading.job) as program:
            records: list[Mapping[str, Any]] = []
            size, most, since = 0, _FEW, time.monotonic()
            for lines in program.lines():
                for line in lines:
                    message = self.parsed(line, decode, program)
                    if message is not None and (record := reading.take(message)) is not None:
                        records.append(record if made is None else made(record))
                        size += len(line)
                        if len(records) >= most or size >= _BYTES:
                            yield records
                            records, size, most, since = [], 0, _MANY, time.monotonic()
                if records and not lines and time.monotonic() - since > _SOON:
                    yield records
                    records, size, since = [], 0, time.monotonic()
            reading.whole(program)
            if records:
                yield records

    def notes(self, stream: str, window: Window | None, delta: str | None) -> Sequence[str]:
        """That all of the stream is read for the window, where it is."""
        if window is None or delta in self._stream(stream).cursors:
            return ()
        return (
            f"{self.title} was asked for all of {stream!r}, of which what lies in the window was kept: it cannot begin "
            f"at a value of {delta!r}.",
        )

    def stop(self) -> None:
        """End every program that runs for this."""
        with self._lock:
            running = tuple(self._running)
        for program in running:
            program.stop()

    # -- for the protocols ------------------------------------------------------------------------------------

    def config_text(self, window: Window | None = None) -> str:
        """The configuration as JSON, with the window in it where the program has a place for that."""
        config = dict(self._config)
        if window is not None:
            for name, at in ((self._connector.start, before), (self._connector.end, after)):
                if name is not None and name in config:
                    day = isinstance(config[name], str) and len(config[name]) == _DAY
                    config[name] = at(window, day=day)
        return json.dumps(config)

    def written(self, job: Job, take: Callable[[bytes, Program], Any]) -> tuple[list[Any], Program]:
        """What `take` makes of each line that the program writes, but None; and the program, which has ended well."""
        found: list[Any] = []
        size = 0
        with self._program(job) as program:
            for lines in program.lines():
                found += [made for line in lines if (made := take(line, program)) is not None]
                size += sum(map(len, lines))
                if size > _LONGEST_CATALOG:
                    raise SourceError(f"{self.title} told more than {_LONGEST_CATALOG >> 20} MiB of its streams.")
        return found, program

    @property
    def brief(self) -> float:
        """Seconds that a test of a connection may take."""
        return min(_PATIENCE, self._connector.discovery)

    @contextmanager
    def _program(self, job: Job) -> Iterator[Program]:
        with _place(self.title), Program(self._connector, job, self._scratch, self._secrets, self._telling) as program:
            with self._lock:
                self._running.add(program)
            try:
                yield program
            finally:
                with self._lock:
                    self._running.discard(program)

    def _known(self) -> Mapping[str, Stream]:
        if self._streams is None:
            about = json.dumps([repr(self._connector), self._config], sort_keys=True)
            key = sha256(about.encode()).hexdigest()
            self._streams = _discovered.streams(key, lambda: self.discover(self._connector.discovery))
        return self._streams

    def _stream(self, name: str) -> Stream:
        found = self._known().get(name)
        if found is None:
            raise SourceObjectMissing(f"{self.title} has no stream {name[:100]!r}.")
        return found


def before(window: Window, *, day: bool) -> str:
    """A time, or a day, before the window: some programs take only what is later than what they are told."""
    begin = datetime.fromtimestamp(window.start_ms // 1000, UTC)
    return _written(begin - timedelta(days=1) if day else begin - timedelta(seconds=1), day=day)


def after(window: Window, *, day: bool) -> str:
    """A time, or a day, behind the window."""
    end = datetime.fromtimestamp(window.end_ms // 1000, UTC)
    return _written(end + timedelta(days=1) if day else end + timedelta(seconds=1), day=day)


def _written(at: datetime, *, day: bool) -> str:
    return at.strftime("%Y-%m-%d") if day else at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _exact(columns: Sequence[Column], chosen: Sequence[str]) -> bool:
    """Whether a column that is read holds decimals, which a double would change."""
    return any(_has_decimal(column.type) for column in columns if column.name in chosen)


def _has_decimal(type_: LakeType) -> bool:
    inner = [type_.element] if type_.element is not None else [each for _, each in type_.fields]
    return type_.kind == "decimal" or any(map(_has_decimal, inner))


def _spellings(config: Any) -> list[str]:
    """Every text of a configuration, and how it may be spelled in a message; the longest first."""
    found: set[str] = set()
    for text in _leaves(config):
        found |= {text, json.dumps(text)[1:-1], repr(text)[1:-1], quote(text, safe="")}
        found |= {line.strip() for line in text.splitlines() if len(line.strip()) > 7}  # its lines come one by one
    return sorted((text for text in found if len(text) > 2), key=lambda text: (-len(text), text))


def _leaves(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case Mapping():
            for each in value.values():
                yield from _leaves(each)
        case list():
            for each in value:
                yield from _leaves(each)
        case bool() | None:
            return
        case int() | float() if len(str(value)) > 5:  # short numbers are no secrets, and stand everywhere
            yield str(value)
