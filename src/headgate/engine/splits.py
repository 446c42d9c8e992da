"""The splits of a run read into staged files, some at a time, and how far that has come."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
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
from headgate.errors import HeadgateError, MappingFailed, TargetError, UnholdableValue, UnsupportedType
from headgate.mapping import rejection
from headgate.model.lake import FLOW_ID, RUN_ID, Column
from headgate.model.runs import Json, Run
from headgate.rejects import Rejects, listening
from headgate.sources import Reading, Source, Split
from headgate.targets import LakeTable, Staged, reject_files

__all__ = ["Splits"]


class Splits:
    """Stages the splits of one attempt's reading, and fills in its report as they get done.

    `rejected` are the data files, there or not, whose splits left records out, which lie staged beside them.
    """

    def __init__(self, run: Run, lease: Lease, report: Report, settings: Settings) -> None:
        self.rejected: list[Path] = []
        self._run = run
        self._lease = lease
        self._report = report
        self._settings = settings
        self._staging: Path | None = None

    def read(self, source: Source, reading: Reading, landing: Landing, table: LakeTable) -> list[Staged]:
        """Read all splits, some at a time. The first failure breaks the others off.

        Raises SourceError, TargetError, MappingFailed, and what stops the lease.
        """
        self._staging = table.staging(self._run.id)
        staged: list[Staged] = []
        with (
            self._lease.breaking(partial(source.interrupt, reading)),
            ThreadPoolExecutor(self._settings.parallel_splits, f"split-{self._run.id[:8]}") as pool,
        ):
            pending: dict[Future[tuple[tuple[Staged, ...], Rejects]], Path] = {
                pool.submit(self._read_split, source, reading, landing, split, table, path): path
                for split in reading.splits
                for path in [self._staging / f"{self._run.attempt}-{split.id}.parquet"]
            }
            try:
                for done in as_completed(pending):
                    files, rejects = done.result()
                    staged += files
                    for file in files:
                        self._report.count(file)
                    if rejects.count:
                        self.rejected.append(pending[done])
                        self._report.rejects.merge(rejects)
                    self._report.splits_done += 1
            except BaseException as error:
                for split in pending:
                    split.cancel()
                if isinstance(error, HeadgateError):
                    self._lease.stop(error)
                raise
        if self._report.input_files is not None:
            self._report.input_bytes = sum(file.size for split in reading.splits for file in split.files)
        return staged

    def progress(self) -> Json:
        """`metrics` for now, with what is written of the splits that are not done yet."""
        if self._staging is not None and self._staging.exists():
            files = (file for top in self._staging.glob(f"{self._run.attempt}-*") for file in (top, *top.rglob("*")))
            self._report.written_bytes = sum(_size(file) for file in files)
        return self._report.progress()

    def _read_split(
        self, source: Source, reading: Reading, landing: Landing, split: Split, table: LakeTable, path: Path
    ) -> tuple[tuple[Staged, ...], Rejects]:
        """Copy one split to its Parquet file at `path`, or to several named after it; to none when it has no rows."""
        self._lease.check()
        path.parent.mkdir(parents=True, exist_ok=True)
        names = (*(column.name for column in landing.columns), FLOW_ID, RUN_ID)
        try:
            # DuckDB 1.5.5 loses what is logged when an engine's logging is turned on a second time.
            engine = dataplane.opened if reading.rejecting else dataplane.lent
            with engine(memory=self._settings.duckdb_memory, spill=path.with_suffix(".spill")) as connection:
                source.prepare(connection, reading)
                with self._lease.breaking(connection.interrupt), _hearing(connection, reading, path) as rejects:
                    _check_types(connection, split.relation, reading.columns)
                    if landing.rules is not None:
                        _check_types(connection, f"SELECT {landing.sql} FROM ({split.relation})", landing.columns)
                    faults.point("read.mid")
                    chosen = table.fitted(landing.columns)
                    query = (
                        f"SELECT {chosen}, {literal(self._run.flow_id)} AS {quote(FLOW_ID)}, "
                        f"{literal(self._run.id)} AS {quote(RUN_ID)} FROM ({landing.rows(split.relation)})"
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
            reject_files.stage(path, rejects)
        return staged, rejects


@contextmanager
def _hearing(connection: duckdb.DuckDBPyConnection, reading: Reading, path: Path) -> Iterator[Rejects]:
    """What the query leaves out; nothing when it fails instead."""
    if not reading.rejecting:
        yield Rejects()
        return
    with listening(connection, path.with_suffix(".told.csv")) as rejects:
        yield rejects


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
