"""The contract between the engine and every source."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from headgate.dataplane import Breaking, unbroken
from headgate.errors import HeadgateError
from headgate.model.lake import Column, LakeType
from headgate.model.windows import Bounds, DeltaColumn, Window
from headgate.rejects import Rejects

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

__all__ = [
    "LONGEST_SHOWN",
    "Entry",
    "FileRef",
    "Intake",
    "Preview",
    "Reading",
    "Relation",
    "Selection",
    "Source",
    "Split",
    "Survey",
]


LONGEST_SHOWN = 10_000
"""A preview shows at most so many characters of a text; a source need not fetch more than one of those that follow."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What a source connection selects: its `params` and the `data` member that describes the format.

    `held` are the types that the target table already gives columns of these names. A source that finds types
    in its data takes these where the data allows, so that windows with other values keep the same columns.
    With `rejecting`, a record that the lake cannot hold is left out and told of, see `headgate.rejects`; else it
    fails the read. `intake` decides which files are read; without it, the time they were last modified does.
    """

    params: Mapping[str, Any]
    data: Mapping[str, Any] = field(default_factory=dict)
    held: Mapping[str, LakeType] = field(default_factory=dict)
    rejecting: bool = False
    intake: "Intake | None" = None


@dataclass(frozen=True, slots=True)
class Relation:
    """What a selection looks like: its columns, in order, with the lake type each takes.

    `delta` is the column that windows are of where nobody says another; None where somebody has to.
    """

    columns: tuple[Column, ...]
    delta: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that can be selected, or looked into. `path` is what a selection, or the next look, calls it by.

    `readable` says whether this connection may read it, `described` whether it has columns to show.
    """

    type: Literal["table", "folder", "file"]
    name: str
    path: str
    readable: bool = True
    described: bool = True


@dataclass(frozen=True, slots=True)
class Preview:
    """The columns of a selection and its first rows, as JSON values in the order of the columns.

    Values are the source's own, those included that the lake would refuse. `unsupported` are the columns that the
    lake cannot hold, by name, with the reason; they are not among the others.
    """

    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]
    unsupported: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FileRef:
    """A file pinned into a plan: its address, size in bytes and last-modified time in microseconds.

    `version` is what its store tells its contents apart by, an etag or an id of a version; None where it has neither.
    Of a copy that is read in a file's place, `original` is the address of that file, or of the member of an archive
    (`archive.zip!/inner/name.csv`), and `size` its own. `taken_us` is the time as of which a flow takes the file, where
    that is not when it was last modified.
    """

    path: str
    size: int
    modified_us: int
    original: str | None = None
    version: str | None = None
    taken_us: int | None = None

    @property
    def as_of_us(self) -> int:
        """The time that decides which window the file belongs to."""
        return self.modified_us if self.taken_us is None else self.taken_us

    @property
    def state(self) -> tuple[int, int, str | None]:
        """What differs when its content does, as far as the store can tell."""
        return self.size, self.modified_us, self.version


class Intake(Protocol):
    """Knows which files a flow has taken, and when; a file source asks it which it is to take now."""

    def taken(self, files: Sequence[FileRef], window: Window) -> Sequence[FileRef]:
        """Those of some of the files that are there which are to be read for `window`, with the time they count at.

        It is asked of all of them, some thousand at a time.
        """


@dataclass(frozen=True, slots=True)
class Split:
    """The unit of parallel reading.

    `relation` is a DuckDB SELECT that yields the split's rows with the columns of its reading, in order and
    in type; run it on a connection that `Source.prepare()` has made ready. `id` is the same for the same plan.
    A value that its column cannot hold makes the SELECT fail; `Source.translate()` says which. Of a selection that
    is `rejecting`, the record is left out, and whoever is `listening()` is told. `query` is what the system itself is
    asked, in its own words, where DuckDB does not ask it. `meaning` stands for the SELECT where its text differs from
    plan to plan and its rows do not. `state` tells the state of the
    source that it is read in from every other: with equal ones, the same SELECT yields the same rows at any time. None
    where the source cannot tell.
    """

    id: str
    relation: str
    files: tuple[FileRef, ...] = ()
    state: str | None = None
    query: str | None = None
    meaning: str | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """A planned read of one window, consistent for as long as it is open.

    `columns` are all the columns the splits yield, provenance columns of the source included.
    `window_column` and `bounds` say which rows of an earlier reading of the same window this one replaces; both are
    None when everything is read, in whose place of earlier readings it comes.
    `estimated_rows` is the source's own guess, None where it has none. `token` is what `Source.prepare()`
    needs to read in the same snapshot, for instance the name of an exported one. `rejecting` is the selection's.
    `arrives` is what the rows of a split with a `query` travel as. `notes` are sentences for whoever reads the run's
    record, on what is no error and may not be what was meant.
    """

    columns: tuple[Column, ...]
    splits: tuple[Split, ...]
    window_column: str | None
    bounds: Bounds | None
    estimated_rows: int | None = None
    token: str | None = None
    rejecting: bool = False
    arrives: "pa.Schema | None" = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Survey:
    """What a window holds, as far as a source has found out: what it cannot tell, or not yet, is None.

    `rows` are counted when `exact`, else the source's own guess. Of files, there are so many with so many `bytes`; that
    is `exact` once all were seen. `least` and `greatest` are those of the delta column in all that is selected, as JSON
    values; of files, when the oldest and the newest were last modified.
    """

    rows: int | None = None
    exact: bool = False
    files: int | None = None
    bytes: int | None = None
    least: Any = None
    greatest: Any = None


class Source(Protocol):
    """One system that can be read, reached with one connection's parameters."""

    def check(self) -> None:
        """Reach the system with the connection's credentials. Raises SourceError with the driver's reason."""

    def validate(self, selection: Selection) -> None:
        """See that the source could ever take `selection`, without reaching it.

        Raises ProviderRefusal, SourcePathForbidden.
        """

    def explore(self, path: str | None) -> tuple[Entry, ...]:
        """What is in the folder `path`; all tables, or the first folder, when it is None. Raises SourceError."""

    def preview(self, selection: Selection, rows: int) -> Preview:
        """The columns and at most `rows` rows of what is selected, in at most about ten seconds.

        Raises SourceError, ProviderRefusal.
        """

    def detect(self, path: str) -> Mapping[str, str]:
        """The `data` of a selection that describes the file `path`, found from its content.

        Raises SourceError, DetectionNotOffered, DetectionUnsupported, DetectionFailed.
        """

    def describe(self, selection: Selection) -> Relation:
        """The columns of what is selected.

        Raises SourceError: missing object, unreachable, UnsupportedType naming the column.
        """

    def delta_error(self, relation: Relation, delta: DeltaColumn) -> str | None:
        """Why `delta` cannot order the rows of `relation`; None when it can. For files: always None."""

    def survey(self, selection: Selection, window: Window, delta: DeltaColumn | None) -> Iterator[Survey]:
        """What `window` holds, told better and better, in at most about ten seconds: the last one given counts.

        Nothing is given where the source cannot tell. Raises SourceError, also after some were given.
        """

    def plan(
        self,
        selection: Selection,
        window: Window,
        delta: DeltaColumn | None,
        *,
        parallel: int,
        breaking: Breaking = unbroken,
    ) -> AbstractContextManager[Reading]:
        """Plan the read of `window` in at most about `parallel` splits that can be read at the same time.

        `breaking` is given what breaks the planning off. While the context is open, all splits read the same state of
        the source where it can give one. Raises SourceError.
        """

    def prepare(self, connection: "duckdb.DuckDBPyConnection", reading: Reading, split: Split) -> None:
        """Make a fresh DuckDB connection able to run `split` of `reading`: attach, join its snapshot.

        A source that registers the rows instead opens them when they are scanned, and not before. Raises SourceError.
        """

    def interrupt(self, reading: Reading) -> None:
        """Have the system stop what it is doing for the splits of `reading`; callable from any thread, repeatedly.

        DuckDB's own interrupt follows, but does not reach a server that is silent. Raises SourceError.
        """

    def verify(self, split: Split) -> None:
        """Raises SourceChanged when what `split` read is no longer what was planned."""

    def account(self, split: Split, rejects: Rejects) -> None:
        """Complete what was heard of the records that `split` left out.

        With those that did not come as far as SQL, and the lines they stand on. Raises SourceError.
        """

    def translate(self, error: Exception) -> HeadgateError:
        """The error of our tree that stands for `error`, raised by a driver or by DuckDB on a split."""
