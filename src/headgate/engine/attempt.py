"""One try at a run: plan, read the splits into staged files, commit once, report."""

from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any

import duckdb

from headgate import dataplane
from headgate.config import Settings
from headgate.dataplane import literal, quote
from headgate.engine.landing import Landing
from headgate.engine.lease import HandedBack, Lease
from headgate.engine.report import Report
from headgate.errors import (
    AttemptLost,
    HeadgateError,
    MappingFailed,
    RunCancelled,
    RunError,
    TargetError,
    TooManyAttempts,
    UnsupportedType,
)
from headgate.mapping import rejection
from headgate.model.lake import FLOW_ID, RUN_ID, Column, LakeType
from headgate.model.resources import WriteMode, now_ms
from headgate.model.runs import Json, RunState
from headgate.sources import Reading, Selection, Source, Split, open_source
from headgate.store import Claim, Store
from headgate.targets import Lake, LakeTable, Landed, Replacement, Staged
from headgate.telemetry import emit

__all__ = ["Attempt"]

_STRING = LakeType("string")


class Attempt:
    """Executes a claimed run to its end. `lease.stop()` breaks it off."""

    def __init__(self, claim: Claim, store: Store, lake: Lake, settings: Settings) -> None:
        self.run = claim.run
        self._store = store
        self._lake = lake
        self._settings = settings
        self._report = Report(claim.run)
        self._staging: Path | None = None
        self.lease = Lease(store.queue, claim.run, settings.lease, self._progress)

    def execute(self) -> None:
        """Run the attempt and store how it ended. Raises nothing that concerns this run alone."""
        try:
            with self.lease:
                try:
                    self._refuse_poison()
                    self._ingest()
                except HeadgateError:
                    self.lease.check()  # a broken-off read fails in any way; the reason for it counts
                    raise
                except Exception as error:
                    self.lease.check()
                    raise _unexpected(error) from error
                self._finish(RunState.SUCCESS)
        except AttemptLost as lost:
            emit("attempt.lost", level="warning", run=self.run.id, attempt=self.run.attempt, reason=lost.detail)
        except HandedBack:
            self._sweep()
            self._store.queue.hand_back(self.run)
            emit("attempt.handed_back", run=self.run.id, attempt=self.run.attempt)
        except RunCancelled:
            self._end(RunState.CANCELLED)
        except HeadgateError as error:
            if error.retryable and self.run.attempt < self._settings.max_attempts:
                self._sweep()
                pause = 2.0 ** (self.run.attempt - 1)
                self._store.queue.retry(self.run, pause=pause)
                emit("attempt.retried", run=self.run.id, code=error.code, reason=error.detail, pause=pause)
            else:
                self._end(RunState.FAILED, error)

    # -- the path of a run -----------------------------------------------------------------------

    def _ingest(self) -> None:
        run, frozen = self.run, self.run.frozen
        identifier = tuple(frozen["target"]["table"])
        if self.run.fence > 1 and self._landed_before(identifier):
            return
        source = self._open_source(frozen["source"])
        table = self._lake.find(identifier)
        landing = Landing.of(frozen)
        held = landing.held(table.columns if table is not None else ())
        selection = Selection(frozen["source"]["params"], frozen["source"]["data"], held)
        plan = source.plan(selection, run.window, run.delta_column, parallel=self._settings.parallel_splits)
        with plan as reading:
            self._report.splits = len(reading.splits)
            self._report.estimated_rows = reading.estimated_rows
            if frozen["kind"] == "file":
                self._report.input_files = sum(len(split.files) for split in reading.splits)
            landing = landing.onto(reading)
            table = self._table(identifier, landing)
            staged = self._read(source, reading, landing, table) if table is not None else []
        self._report.copied = now_ms()
        if table is not None:
            self._commit(table, staged, reading, landing)

    def _refuse_poison(self) -> None:
        if self.run.attempt > self._settings.max_attempts:
            raise TooManyAttempts(
                f"The worker died in each of {self._settings.max_attempts} attempts at this run. "
                "Look for its last lines in the log, then try a smaller window."
            )

    def _open_source(self, frozen: dict[str, Any]) -> Source:
        scoped = self._store.scoped(self.run.scope)
        secret = scoped.secret(frozen["connectionId"]) if frozen["connectionId"] else {}
        tenancy = self._store.tenants.tenancy(self.run.scope.org_id)
        return open_source(frozen["specId"], secret, self._settings, tenancy)

    def _table(self, identifier: tuple[str, ...], landing: Landing) -> LakeTable | None:
        """The target table; None when there is neither one yet nor a column to make it from."""
        if not landing.columns:
            return self._lake.find(identifier)
        return self._lake.table(identifier, (*landing.columns, Column(FLOW_ID, _STRING), Column(RUN_ID, _STRING)))

    def _read(self, source: Source, reading: Reading, landing: Landing, table: LakeTable) -> list[Staged]:
        """Read all splits, some at a time. The first failure breaks the others off."""
        self._staging = table.staging(self.run.id)
        staged: list[Staged] = []
        with (
            self.lease.breaking(partial(source.interrupt, reading)),
            ThreadPoolExecutor(self._settings.parallel_splits, f"split-{self.run.id[:8]}") as pool,
        ):
            pending: list[Future[Staged | None]] = [
                pool.submit(self._read_split, source, reading, landing, split, table) for split in reading.splits
            ]
            try:
                for done in as_completed(pending):
                    if (file := done.result()) is not None:
                        staged.append(file)
                        self._count(file)
                    self._report.splits_done += 1
            except BaseException as error:
                for split in pending:
                    split.cancel()
                if isinstance(error, HeadgateError):
                    self.lease.stop(error)
                raise
        if self._report.input_files is not None:
            self._report.input_bytes = sum(file.size for split in reading.splits for file in split.files)
        return staged

    def _read_split(
        self, source: Source, reading: Reading, landing: Landing, split: Split, table: LakeTable
    ) -> Staged | None:
        """Copy one split to its Parquet file. None when it has no rows."""
        self.lease.check()
        path = table.staging(self.run.id) / f"{self.run.attempt}-{split.id}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        names = (*(column.name for column in landing.columns), FLOW_ID, RUN_ID)
        try:
            with dataplane.opened(memory=self._settings.duckdb_memory) as connection:
                source.prepare(connection, reading)
                with self.lease.breaking(connection.interrupt):
                    _check_types(connection, split.relation, reading.columns)
                    if landing.rules is not None:
                        _check_types(connection, f"SELECT {landing.sql} FROM ({split.relation})", landing.columns)
                    connection.execute(
                        f"COPY (SELECT {landing.sql}, {literal(self.run.flow_id)} AS {quote(FLOW_ID)}, "
                        f"{literal(self.run.id)} AS {quote(RUN_ID)} FROM ({split.relation})) "
                        f"TO {literal(str(path))} {table.copy_options(names)}"
                    )
            source.verify(split)
        except (duckdb.Error, OSError) as error:
            if str(path) in str(error):
                raise TargetError(f"A data file of the table {table.name} cannot be written: {error}") from error
            if reason := rejection(str(error)):
                raise MappingFailed(reason) from error
            raise source.translate(error) from error
        staged = table.stage(path)
        if staged.rows == 0:
            path.unlink()
            return None
        return staged

    def _commit(self, table: LakeTable, staged: list[Staged], reading: Reading, landing: Landing) -> None:
        run = self.run
        self._report.promoting = now_ms()
        replacement = None
        if run.frozen["target"]["writeMode"] == WriteMode.REPLACE_WINDOW:
            replacement = Replacement(run.flow_id, landing.delta, reading.bounds)
        landed = table.commit(
            run.id,
            staged,
            replacement,
            summary={
                "headgate.flow-id": run.flow_id,
                "headgate.window-start": str(run.window.start_ms),
                "headgate.window-end": str(run.window.end_ms),
            },
            prefix=f"{run.attempt}-",
            confirm=self.lease.confirm,
        )
        self._take_over(landed)

    def _landed_before(self, identifier: tuple[str, ...]) -> bool:
        """Whether an attempt whose worker died had committed; then its figures are taken from the table."""
        table = self._lake.find(identifier)
        landed = table.landed(self.run.id) if table is not None else None
        if landed is None:
            return False
        self._report.copied = self._report.promoting = now_ms()
        self._report.input_bytes = landed.uncompressed
        self._take_over(landed)
        return True

    def _take_over(self, landed: Landed) -> None:
        """Report what the table says has landed, which may be the work of an earlier attempt."""
        report = self._report
        report.rows, report.staged_bytes, report.staged_files = landed.rows, landed.size, landed.files
        report.replaced_rows, report.snapshot_id = landed.replaced_rows, str(landed.snapshot_id)

    # -- how it ends -----------------------------------------------------------------------------

    def _give_up(self) -> bool:
        """Make sure that no attempt at this run lands any more; False when one has."""
        table = self._lake.find(tuple(self.run.frozen["target"]["table"]))
        if table is None:
            return True
        if self.run.fence == 1:  # no earlier attempt can be under way
            landed = table.landed(self.run.id)
        else:
            landed = table.overtake(self.run.id, confirm=self._still_ours)
        if landed is not None:
            self._report.promoting = self._report.promoting or now_ms()
            self._take_over(landed)
        return landed is None

    def _still_ours(self) -> None:
        self._store.queue.heartbeat(self.run, lease=self._settings.lease)

    def _finish(self, state: RunState, error: HeadgateError | None = None) -> None:
        self._store.queue.finish(
            self.run,
            state,
            metrics=self._report.metrics(state, error),
            activities=self._report.activities(state, error),
            snapshot_id=self._report.snapshot_id,
        )
        self._sweep(whole=True)
        emit(
            f"run.{state}",
            level="warning" if error else "info",
            run=self.run.id,
            flow=self.run.flow_id,
            attempt=self.run.attempt,
            rows=self._report.rows,
            **({"code": error.code, "reason": error.detail} if error else {}),
        )

    def _end(self, state: RunState, error: HeadgateError | None = None) -> None:
        """End without rows, unless an attempt had landed them before it could be stopped."""
        try:
            if self._give_up():
                self._finish(state, error)
            else:
                self._finish(RunState.SUCCESS)
        except AttemptLost as lost:
            emit("attempt.lost", level="warning", run=self.run.id, attempt=self.run.attempt, reason=lost.detail)

    def _sweep(self, *, whole: bool = False) -> None:
        """Take staged files of this attempt, or of the whole run once it has ended, away that no snapshot lists.

        What cannot be done now must not keep the run from its end.
        """
        try:
            table = self._lake.find(tuple(self.run.frozen["target"]["table"]))
            if table is not None:
                table.sweep(self.run.id, attempt=None if whole else self.run.attempt)
        except Exception as error:  # noqa: BLE001 - a leftover file is no reason to lose the run's end
            emit("attempt.not_swept", level="warning", run=self.run.id, reason=str(error))

    def _progress(self) -> Json:
        """`metrics` for now, with what is written of the splits that are not done yet."""
        if self._staging is not None and self._staging.exists():
            files = self._staging.glob(f"{self.run.attempt}-*")
            self._report.written_bytes = sum(_size(file) for file in files)
        return self._report.progress()

    def _count(self, file: Staged) -> None:
        report = self._report
        report.rows += file.rows
        report.staged_bytes += file.size
        report.staged_files += 1
        if report.input_files is None:
            report.input_bytes += file.uncompressed


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
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


def _unexpected(error: Exception) -> RunError:
    emit("attempt.unexpected", level="error", exc_info=error)
    return RunError(f"Something went wrong inside Headgate ({type(error).__name__}); the log has the details.")
