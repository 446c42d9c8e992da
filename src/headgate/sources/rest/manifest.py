"""What a vendor's API is like, as data: a manifest, read from YAML and checked as a whole before it is used."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from headgate.model.lake import Column
from headgate.sources.rest.paths import Path
from headgate.sources.rest.templates import Filling, Template, mentions

__all__ = [
    "Auth",
    "BadManifest",
    "Errors",
    "Format",
    "Job",
    "Limits",
    "Manifest",
    "Paging",
    "Parameter",
    "Read",
    "Request",
    "Stream",
    "WindowFilter",
]


class BadManifest(ValueError):
    """A manifest cannot be used; the text says where, and why."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent. Every text in it is a template; `query`, `headers` and `form` are by name, `body` is JSON."""

    method: str
    path: Template
    query: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None
    form: Mapping[str, Any] | None = None
    answers: frozenset[int] = frozenset()

    @property
    def needs_window(self) -> bool:
        """Whether it cannot be sent without a window."""
        parts = [self.path, self.query, self.headers, self.body, self.form]
        return any(mentions(parts, name) for name in ("window.start", "window.end"))


@dataclass(frozen=True, slots=True)
class Auth:
    """How requests are authenticated: the `kind`, and what the manifest says of it, texts as templates."""

    kind: str
    about: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may be asked: requests a second (None for any number), and what is asked again."""

    per_second: float | None = None
    parallel: int = 1
    attempts: int = 6
    retry: frozenset[int] = frozenset({429, 500, 502, 503, 504})
    retry_after: str = "Retry-After"
    too_many: tuple[Path, str] | None = None
    """What stands where in an error that means that a window holds more than the vendor gives."""


@dataclass(frozen=True, slots=True)
class Errors:
    """Where an answer with the status 200 tells of an error, and which codes are asked again or renew a token."""

    code: Path
    again: frozenset[str] = frozenset()
    renew: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Format:
    """What an answer's body is: json, ndjson or csv."""

    kind: str = "json"
    delimiter: str = ","
    encoding: str = "utf-8-sig"
    skip: int = 0
    null: str = ""


@dataclass(frozen=True, slots=True)
class Paging:
    """How the next page is asked for: the `kind`, and what the manifest says of it."""

    kind: str
    about: Mapping[str, Any]
    goes_on: bool = False


@dataclass(frozen=True, slots=True)
class WindowFilter:
    """How the vendor is asked for a window of one column: what is merged into the request, and how exact that is."""

    column: str
    query: Mapping[str, Any]
    body: Mapping[str, Any]
    form: Mapping[str, Any]
    text: Template | None
    grain: str
    sides: str
    longest: timedelta | None
    timezone: Template | None
    ordered: bool = False


@dataclass(frozen=True, slots=True)
class Read:
    """How a column's values are found in a record: where, and what they mean."""

    path: Path
    how: str = "iso"
    zone: str | None = None
    zone_of: Template | None = None
    """Where the connection or the source connection says the zone."""

    def filled(self, filling: Filling) -> "Read":
        """The same for one connection."""
        if self.zone_of is None:
            return self
        found = self.zone_of.filled(filling)
        return Read(self.path, self.how, found if isinstance(found, str) else None)


@dataclass(frozen=True, slots=True)
class Parameter:
    """What a source connection may say besides the stream."""

    required: bool = False
    default: str | None = None
    alias: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Poll:
    """How a job is asked whether it is done; times in seconds."""

    request: Request
    state: Path
    done: tuple[Any, ...]
    failed: tuple[Any, ...]
    every: float
    at_most: float


@dataclass(frozen=True, slots=True)
class Job:
    """A report that is asked for, waited for and fetched; its id is `{job.id}`.

    Of a stream that can also be asked for at once, the job is chosen by what `when` becomes.
    """

    create: Request
    id: Path | None
    start: Request | None
    poll: Poll
    download: Request | None
    address: Path | None
    format: Format
    paging: Paging
    when: Template | None = None


@dataclass(frozen=True, slots=True)
class Stream:
    """What can be read: the request or the job, where its records stand, and the columns they have."""

    name: str
    title: str
    request: Request | None
    job: Job | None
    records: Path
    format: Format
    paging: Paging
    windows: tuple[WindowFilter, ...]
    since: date | timedelta | None
    """Where a read without a window begins: on a day, or so long before now."""

    slice: timedelta | None
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    reads: Mapping[str, Read]
    parameters: Mapping[str, Parameter]
    error: Path | None

    def window(self, column: str | None) -> WindowFilter | None:
        """How the vendor is asked for a window of `column`; None when it cannot be."""
        return next((window for window in self.windows if window.column == column), None)


@dataclass(frozen=True, slots=True)
class Manifest:
    """A source: where its API is, how it lets one in, and what can be read there. `auth` is by the name of the
    connection spec's way to authenticate, under "" where all are alike; `spec` is an own manifest's catalogue entry."""

    name: str
    spec: Mapping[str, Any] | None
    verified: str
    bases: Sequence[Template]
    auth: Mapping[str, Auth]
    headers: Mapping[str, Any]
    check: Request | None
    limits: Limits
    errors: Errors | None
    streams: Mapping[str, Stream]
    discover: str | None
    inline: str | None
    parameters: Mapping[str, Parameter]
    """What may be said of a stream that is discovered."""

    names: frozenset[str]
    """The parameters of a connection that templates may name."""
