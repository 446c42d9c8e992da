"""The splits of a run read into staged files, some at a time, and how far that has come."""

import shutil
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import zip_longest
from pathlib import Path

import duckdb

from headgate import dataplane, faults
from headgate.config import Settings
from headgate.dataplane import literal, quote
from headgate.engine.landing import Landing, refusal
from headgate.engine.lease import Lease
from headgate.engine.report import Report
from headgate.engine.reuse import Earlier, Kept, digest_of_reading, digest_of_split
from headgate.errors import HeadgateError, MappingFailed, SourceError, TargetError, UnholdableValue, UnsupportedType
from headgate.mapping import rejection
from headgate.model.lake import FLOW_ID, RUN_ID, Column
from headgate.model.resources import now_ms
from headgate.model.runs import Json, Run
from headgate.model.splits import StagedFile, StagedSplit
from headgate.rejects import Rejects, listening
from headgate.sources import Reading, Source, Split
from headgate.store import Queue
from headgate.targets import LakeTable, Staged, reject_files
from headgate.telemetry import emit

__all__ = ["Splits"]

_TRIES = 4  # at one split, as long as what fails it may pass
_LOOK = 0.2  # seconds between two looks at whether the work has to stop
_PATIENCE = 1.0  # seconds that splits which are told to stop have for it
_PAUSE = 0.5  # seconds before the second try; each later pause is twice as long


@dataclass(frozen=True, slots=True)
class _Copied:
    """What one split came to; no file when it has no rows."""

    split_id: str
    files: tuple[Staged, ...]
    rejects: Rejects
    path: Path
    started: int


class Splits:
    """Stages the splits of one attempt's reading, and fills in its report as they get done.

    `rejected` are the data files, there or not, whose splits left records out, which lie staged beside them. `fence` is
    the one of the reading that they are of, where an earlier attempt's is taken over as a whole.
    """

    def __init__(self, run: Run, lease: Lease, report: Report, queue: Queue, settings: Settings) -> None:
        self.rejected: list[Path] = []
        self.fence = run.fence
        self._run = run
        self._lease = lease
        self._report = report
        self._queue = queue
        self._settings = settings
        self._staging: Path | None = None

    def read(self, source: Source, reading: Reading, landing: Landing, table: LakeTable) -> list[Staged]:
        """Read all splits, some at a time, but those that an earlier attempt has staged and that are still exact.

        The first failure breaks the others off. Raises SourceError, TargetError, MappingFailed, and what stops the
        lease.
        """
        self._staging = table.staging(self._run.id)
        staged = self._queue.staged(self._run) if self._run.fence > 1 else []
        earlier, digest = Earlier(staged, table, self._run.id), digest_of_reading(reading, landing, table)
        if (whole := earlier.reading(digest)) is not None:
            self._report.replanned([kept.split for kept in whole])
            self.fence = whole[0].split.fence
            return self._take_over(whole)
        missing: dict[str, Split] = {}
        kept: list[Kept] = []
        for split in reading.splits:
            if (found := earlier.split(digest_of_split(split, digest))) is None:
                missing[split.id] = split
            else:
                kept.append(self._ours(found, len(reading.splits)))
        files = self._take_over(kept)
        with closing(self._copied(source, reading, landing, table, missing.values())) as all_copied:
            for copied in all_copied:
                about = self._about(missing[copied.split_id], copied, reading, digest)
                self._report.count(about, copied.rejects)
                if len(reading.splits) > 1:
                    self._lease.tell(f"Split {about.split_id} is staged: {about.rows:,} records, {about.size:,} bytes.")
                if copied.rejects.count:  # what they are is no part of what is recorded, so that they are read again
                    self.rejected.append(copied.path)
                else:
                    self._lease.note(about)
                files += copied.files
        return files

    def progress(self) -> Json:
        """`metrics` for now, with what is written of the splits that are not done yet."""
        if self._staging is not None and self._staging.exists():
            files = (file for top in self._staging.glob(f"{self._run.fence}-*") for file in (top, *top.rglob("*")))
            self._report.written_bytes = sum(_size(file) for file in files)
        return self._report.progress()

    def _take_over(self, kept: Sequence[Kept]) -> list[Staged]:
        """The files of splits that are staged already."""
        for each in kept:
            self._report.count(each.split, kept=True)
        if kept:
            rows = sum(each.split.rows for each in kept)
            self._lease.tell(f"{len(kept)} splits of an earlier attempt are still exact: {rows:,} records are kept.")
            emit("splits.reused", run=self._run.id, splits=len(kept), rows=rows)
        return [file for each in kept for file in each.files]

    def _ours(self, kept: Kept, total: int) -> Kept:
        """The same split as part of this attempt's reading, so that a later one finds all of it under one fence."""
        split = replace(kept.split, fence=self._run.fence, attempt=self._run.attempt, total=total)
        self._lease.note(split)
        return replace(kept, split=split)

    def _about(self, split: Split, copied: _Copied, reading: Reading, digest: str) -> StagedSplit:
        folder, files = copied.path.parent, copied.files
        return StagedSplit(
            split_id=split.id,
            fence=self._run.fence,
            attempt=self._run.attempt,
            total=len(reading.splits),
            reading=digest,
            digest=digest_of_split(split, digest),
            files=tuple(StagedFile(str(file.path.relative_to(folder)), file.rows, file.size) for file in files),
            uncompressed=sum(file.uncompressed for file in files),
            input_files=len(split.files),
            input_bytes=sum(file.size for file in split.files),
            started_at=copied.started,
            staged_at=now_ms(),
        )

    def _copied(
        self, source: Source, reading: Reading, landing: Landing, table: LakeTable, splits: Iterable[Split]
    ) -> Generator[_Copied, None, None]:
        """Copy the splits, some at a time, each as it gets done."""
        pool = ThreadPoolExecutor(self._settings.parallel_splits, f"split-{self._run.id[:8]}")
        pending = {pool.submit(self._copy, source, reading, landing, table, split) for split in splits}
        try:
            with self._lease.breaking(_Asking(partial(source.interrupt, reading), self._run.id)):
                while pending:
                    done, pending = wait(pending, timeout=_LOOK, return_when=FIRST_COMPLETED)
                    for each in done:
                        yield each.result()
                    if self._lease.overdue(_PATIENCE):
                        self._lease.check()
        except BaseException as error:
            if isinstance(error, HeadgateError):
                self._lease.stop(error)
            raise
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            while running := [each for each in pending if not each.done()]:
                if self._lease.overdue(_PATIENCE):  # they wait for a system that is silent, and can land nothing
                    emit("splits.given_up", level="warning", run=self._run.id, splits=len(running))
                    threading.Thread(target=self._outlast, args=(running,), name="given-up", daemon=True).start()
                    break
                wait(running, timeout=_LOOK)

    def _outlast(self, running: Sequence[Future[_Copied]]) -> None:
        """Go on breaking off what did not end in time, until it does: it may have been between two statements."""
        while wait(running, timeout=_PATIENCE).not_done:
            self._lease.break_off()

    def _copy(self, source: Source, reading: Reading, landing: Landing, table: LakeTable, split: Split) -> _Copied:
        """Copy one split, and again with a pause between, as long as what fails it may pass in the same reading."""
        for tried in range(_TRIES):
            self._lease.check()
            try:
                return self._try(source, reading, landing, table, split)
            except SourceError as error:
                self._lease.check()  # a broken-off read fails in any way; the reason for it counts
                if not error.passing or tried == _TRIES - 1:
                    raise
                pause = _PAUSE * 2**tried
                words = f"Split {split.id} is tried again in {pause:g} s: {error.detail}"
                self._lease.tell(words, "warning")
                emit(
                    "split.retried", level="warning", run=self._run.id, split=split.id, reason=error.detail, pause=pause
                )
                self._lease.pause(pause)
        raise AssertionError  # the last try returns or raises

    def _try(self, source: Source, reading: Reading, landing: Landing, table: LakeTable, split: Split) -> _Copied:
        """Copy one split to its Parquet file, or to several named after it; to none when it has no rows."""
        started = now_ms()
        path = table.staging(self._run.id) / f"{self._run.fence}-{split.id}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(path.with_suffix(""), ignore_errors=True)  # of a try that failed
        names = (*(column.name for column in landing.columns), FLOW_ID, RUN_ID)
        try:
            with self._engine(reading, split, path.with_suffix(".spill")) as connection:
                source.prepare(connection, reading, split)
                with self._lease.breaking(connection.interrupt), _hearing(connection, reading, path) as rejects:
                    _check_types(connection, split.relation, reading.columns)
                    if landing.rules is not None:
                        _check_types(connection, f"SELECT {landing.sql} FROM ({split.relation})", landing.columns)
                    faults.point("read.mid")
                    chosen = table.fitted(landing.columns)
                    query = (
                        f"SELECT {chosen}, {_constant(self._run.flow_id)} AS {quote(FLOW_ID)}, "
                        f"{_constant(self._run.id)} AS {quote(RUN_ID)} FROM ({landing.rows(split.relation)})"
                    )
                    staged = table.write(connection, query, names, path)
                    faults.point("stage.mid")
            source.account(split, rejects)
            source.verify(split)
        except (duckdb.Error, OSError) as error:
            if str(path.with_suffix("")) in str(error):
                raise TargetError(f"A data file of the table {table.name} cannot be written: {error}") from error
            if reason := refusal(str(error)):
                raise UnholdableValue(reason) from error
            if reason := rejection(str(error)):
                raise MappingFailed(reason) from error
            raise source.translate(error) from error
        if rejects.count:
            reject_files.stage(table, path, rejects)
        return _Copied(split.id, staged, rejects, path, started)

    def _engine(self, reading: Reading, split: Split, spill: Path) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """What a split is read with. Files that are fewer than the splits that may be read at once get more threads."""
        memory = self._settings.duckdb_memory
        if reading.rejecting:  # DuckDB 1.5.5 loses what is logged when an engine's logging is turned on a second time
            return dataplane.opened(memory=memory, spill=spill)
        threads = self._settings.parallel_splits // len(reading.splits) if split.files else 1
        return dataplane.lent(threads=max(1, threads), memory=memory, spill=spill)


class _Asking:
    """Asks a source's system to stop, in a thread of its own: one that is silent must not hold up the heartbeat."""

    def __init__(self, ask: Callable[[], None], run_id: str) -> None:
        self._ask = ask
        self._run_id = run_id
        self._thread: threading.Thread | None = None

    def __call__(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._try, name="interrupt", daemon=True)
            self._thread.start()

    def _try(self) -> None:
        try:
            self._ask()
        except HeadgateError as error:
            emit("source.not_interrupted", level="warning", run=self._run_id, reason=error.detail)


@contextmanager
def _hearing(connection: duckdb.DuckDBPyConnection, reading: Reading, path: Path) -> Iterator[Rejects]:
    """What the query leaves out; nothing when it fails instead."""
    if not reading.rejecting:
        yield Rejects()
        return
    with listening(connection, path.with_suffix(".told.csv")) as rejects:
        yield rejects


def _constant(text: str) -> str:
    """The same text in every row; DuckDB's writer looks texts up one by one, and of an enumeration knows them all."""
    return f"CAST({literal(text)} AS ENUM ({literal(text)}))"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except FileNotFoundError:  # a split without rows takes its file away
        return 0


def _check_types(connection: duckdb.DuckDBPyConnection, relation: str, columns: tuple[Column, ...]) -> None:
    """Raise UnsupportedType when the scanner gives another type than was planned: never a silent change."""
    wanted = ", ".join(f"CAST(NULL AS {column.type.sql}) AS {quote(column.name)}" for column in columns)
    planned, given = (
        [(name, type_) for name, type_, *_ in connection.execute(f"DESCRIBE {query}").fetchall()]
        for query in (f"SELECT {wanted}", relation)
    )
    for expected, found in zip_longest(planned, given, fillvalue=("no column", "nothing")):
        if expected != found:
            raise UnsupportedType(
                f"{expected[0]!r} was planned as {expected[1]}, but the source gives {found[0]!r} as {found[1]}.",
                column=expected[0],
            )
