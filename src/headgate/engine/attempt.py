"""One try at a run: plan, read the splits into staged files, commit once, report."""

from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from headgate import faults
from headgate.config import Settings
from headgate.engine.intake import Intake
from headgate.engine.landing import Landing
from headgate.engine.lease import HandedBack, Lease
from headgate.engine.report import Report
from headgate.engine.splits import Splits
from headgate.engine.tolerance import Tolerance
from headgate.errors import (
    REJECTED,
    AttemptLost,
    HeadgateError,
    RunCancelled,
    RunError,
    TooManyAttempts,
)
from headgate.model.lake import FLOW_ID, RUN_ID, Column, LakeType
from headgate.model.resources import now_ms
from headgate.model.runs import Json, RunState
from headgate.rejects import Rejects
from headgate.sources import Reading, Selection, Source, open_source
from headgate.store import Claim, Store
from headgate.targets import (
    END_PROPERTY,
    FILES_PROPERTY,
    FLOW_PROPERTY,
    REJECTED_PROPERTY,
    START_PROPERTY,
    Lake,
    LakeTable,
    Landed,
    Staged,
    reject_files,
)
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
        self._tolerance = Tolerance.of(claim.run.frozen)
        self._report = Report(claim.run, self._tolerance.diagnostics)
        self.lease = Lease(store.queue, claim.run, settings.lease, lambda: self._splits.progress())
        self._committing: LakeTable | None = None
        self._intake: Intake | None = None
        self._files_fence: int | None = None  # what the files that landed were noted under
        self._splits = Splits(claim.run, self.lease, self._report, store.queue, settings)

    def execute(self) -> None:
        """Run the attempt and store how it ended. Raises nothing that concerns this run alone."""
        try:
            try:
                self._run_to_its_end()
            except HandedBack:
                self._leave()
                self.lease.tell("The worker stops; the run waits for another, which goes on with what is staged.")
                self._store.queue.hand_back(self.run, undecided=self._undecided, lines=self.lease.untold())
                emit("attempt.handed_back", run=self.run.id, attempt=self.run.attempt)
            except RunCancelled:
                self._end(RunState.CANCELLED)
            except HeadgateError as error:
                if error.retryable and self.run.attempt < self._settings.max_attempts:
                    self._leave()
                    pause = 2.0 ** (self.run.attempt - 1)
                    told = {"code": error.code, "message": error.detail}
                    words = f"Attempt {self.run.attempt} failed, the next follows in {pause:g} s: {error.detail}"
                    self.lease.tell(words, "warning")
                    lines = self.lease.untold()
                    self._store.queue.retry(self.run, pause=pause, error=told, undecided=self._undecided, lines=lines)
                    emit("attempt.retried", run=self.run.id, code=error.code, reason=error.detail, pause=pause)
                elif isinstance(error, AttemptLost):
                    raise
                else:
                    self._end(RunState.FAILED, error)
        except AttemptLost as lost:
            emit("attempt.lost", level="warning", run=self.run.id, attempt=self.run.attempt, reason=lost.detail)
            self._sweep_own()

    def _run_to_its_end(self) -> None:
        with self.lease:
            try:
                faults.point("claim.after")
                self.lease.check()
                self._refuse_poison()
                self._ingest()
            except HeadgateError:
                self.lease.check()  # a broken-off read fails in any way; the reason for it counts
                raise
            except Exception as error:
                self.lease.check()
                raise _unexpected(error) from error
            self._finish(RunState.SUCCESS)

    # -- the path of a run -----------------------------------------------------------------------

    def _ingest(self) -> None:
        run, frozen = self.run, self.run.frozen
        identifier = tuple(frozen["target"]["table"])
        self._lake.wait(self.lease.breaking)
        table = self._lake.find(identifier)
        if table is not None and self._landed_before(table):
            return
        source = self._open_source(frozen["source"])
        landing = Landing.of(frozen)
        held = landing.held(table.columns if table is not None else ())
        rejecting = self._tolerance.percent is not None
        if frozen["kind"] == "file":
            self._intake = Intake(run, self._store.taken_files)
        selection = Selection(frozen["source"]["params"], frozen["source"]["data"], held, rejecting, self._intake)
        plan = source.plan(
            selection,
            run.window,
            run.delta_column,
            parallel=self._settings.parallel_splits,
            breaking=self.lease.breaking,
        )
        with plan as reading:
            faults.point("plan.after")
            self._report.planned(reading, files=self._intake is not None)
            self.lease.tell(self._report.plan_in_words)
            if self._intake is not None:
                self._intake.note()
            landing = landing.onto(reading)
            table = self._table(identifier, landing)
            staged = self._splits.read(source, reading, landing, table) if table is not None else []
            self._brought(self._splits.fence)
            faults.point("stage.after")
        if table is not None:
            reject_files.publish(table, run.id, run.fence, self._splits.rejected)
        self._tolerance.judge(self._report.rejects.count, self._report.rows)
        self._report.copied = now_ms()
        if table is not None:
            faults.point("staged.recorded")
            self._commit(table, staged, reading, landing)

    def _refuse_poison(self) -> None:
        if self.run.attempt <= self._settings.max_attempts:
            return
        told = " ".join(_told(past) for past in self.run.past_attempts)
        raise TooManyAttempts(
            f"None of {self._settings.max_attempts} attempts at this run came to an end. {told} "
            "Look for the last lines of these workers in the log, then try a smaller window."
        )

    def _open_source(self, frozen: dict[str, Any]) -> Source:
        scoped = self._store.scoped(self.run.scope)
        secret = scoped.secret(frozen["connectionId"]) if frozen["connectionId"] else {}
        tenancy = self._store.tenants.tenancy(self.run.scope)
        return open_source(frozen["specId"], secret, self._settings, tenancy, self.lease.tell)

    def _table(self, identifier: tuple[str, ...], landing: Landing) -> LakeTable | None:
        """The target table; None when there is neither one yet nor a column to make it from."""
        if not landing.columns:
            return self._lake.find(identifier)
        columns = (*landing.columns, Column(FLOW_ID, _STRING), Column(RUN_ID, _STRING))
        return self._lake.table(identifier, columns, landing.layout)

    def _commit(self, table: LakeTable, staged: list[Staged], reading: Reading, landing: Landing) -> None:
        run = self.run
        self._committing, self._report.promoting = table, now_ms()
        self.lease.tell(f"{self._report.rows:,} records are staged; the commit begins.")
        landed = table.commit(
            run.id,
            staged,
            landing.replacing(run, reading.bounds),
            summary={
                FLOW_PROPERTY: run.flow_id,
                START_PROPERTY: str(run.window.start_ms),
                END_PROPERTY: str(run.window.end_ms),
                REJECTED_PROPERTY: str(self._report.rejects.count),
                **({FILES_PROPERTY: str(self._files_fence)} if self._files_fence is not None else {}),
            },
            prefix=f"{run.fence}-",
            confirm=self.lease.confirm,
            breaking=self.lease.breaking,
        )
        self._take_over(landed)

    def _landed_before(self, table: LakeTable) -> bool:
        """Whether an attempt whose worker died had committed; then its figures are taken from the table.

        Where the metadata was restored from before the run, its first attempt comes after one that is not known, and
        would write over files that have landed: those lie in the run's folder.
        """
        first = self.run.fence == 1
        if first and not table.staging(self.run.id).exists():
            return False
        landed = table.landed(self.run.id)
        if landed is None:
            return False
        if first:  # which of the source's files these rows are of is not known any more
            landed = replace(landed, files_fence=None)
        self._report.copied = self._report.promoting = now_ms()
        self._report.input_bytes = landed.uncompressed
        self._take_over(landed)
        return True

    def _take_over(self, landed: Landed) -> None:
        """Report what the table says has landed, which may be the work of an earlier attempt."""
        report = self._report
        report.rows, report.landed_rows = landed.read_rows, landed.rows
        report.staged_bytes, report.staged_files = landed.size, landed.files
        report.replaced_rows, report.updated_rows = landed.replaced_rows, landed.updated_rows
        report.schema_changes, report.snapshot_id = landed.schema_changes, str(landed.snapshot_id)
        if landed.rejected_rows != report.rejects.count:
            report.rejects = Rejects({REJECTED: (landed.rejected_rows, "Records were rejected.")})
        self._brought(landed.files_fence)

    def _brought(self, fence: int | None) -> None:
        """Take up that the source's files that were noted under `fence` are those that land.

        None when the table does not say it (any more): then the last ones, as good as always.
        """
        if self.run.frozen["kind"] != "file":
            return
        files = self._store.taken_files
        self._files_fence = files.last_fence(self.run) if fence is None else fence
        if self._files_fence == self.run.fence and self._intake is not None:
            self._report.late_files = self._intake.late
        elif self._files_fence is not None:
            self._report.late_files = files.late(self.run, self._files_fence)

    # -- how it ends -----------------------------------------------------------------------------

    @property
    def _undecided(self) -> bool:
        """Whether rows of this attempt may have landed, because the catalog gave no answer to a commit."""
        return self._committing is not None and self._committing.undecided

    def _give_up(self) -> bool:
        """Make sure that no attempt at this run lands any more; False when one has."""
        if self.run.fence == 1 and not self._undecided:
            return True  # nothing was tried, or it is known to be in vain; and the catalog may be what is waited for
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
        faults.point("finish.before")
        # What has not landed of a run that has never will. Of another, files go once the store says that it ended.
        swept = self._sweep(rejects=False) if state is RunState.SUCCESS else False
        self._store.queue.finish(
            self.run,
            state,
            metrics=self._report.metrics(state, error),
            activities=self._report.activities(state, error),
            snapshot_id=self._report.snapshot_id,
            tidy=swept and not self.run.untidy,
            files_fence=self._files_fence if state is RunState.SUCCESS else None,
            lines=[*self.lease.untold(), self._report.last_line(state, error)],
        )
        faults.point("commit.after_record")
        if state is not RunState.SUCCESS:
            self._sweep(rejects=state is RunState.CANCELLED)
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
        if self._give_up():
            self._finish(state, error)
        else:
            self._finish(RunState.SUCCESS)

    def _leave(self) -> None:
        """Leave what is staged, for another attempt, and nothing else. Raises AttemptLost."""
        self.lease.flush()
        self._sweep_own()

    def _sweep_own(self) -> None:
        """Take away what this attempt has written but the store did not record, which no other will use."""
        try:
            recorded = {file.name for split in self._store.queue.staged(self.run) for file in split.files}
        except HeadgateError as error:
            emit("attempt.not_swept", level="warning", run=self.run.id, reason=error.detail)
        else:
            self._sweep(own=True, keep=recorded)

    def _sweep(self, *, own: bool = False, keep: Collection[str] = (), rejects: bool = True) -> bool:
        """Take the run's files away that no snapshot lists, but those to `keep`; only this attempt's if `own`.

        With `rejects`, what was published of the records it rejected goes too. What cannot be done now must not keep
        the run from its end; whether it was done.
        """
        try:
            table = self._lake.find(tuple(self.run.frozen["target"]["table"]))
            if table is not None:
                table.sweep(self.run.id, prefix=f"{self.run.fence}-" if own else "", keep=keep)
                if rejects:
                    reject_files.withdraw(table, self.run.id, fence=self.run.fence if own else None)
        except Exception as error:  # noqa: BLE001 - a leftover file is no reason to lose the run's end
            emit("attempt.not_swept", level="warning", run=self.run.id, reason=str(error))
            return False
        return True


def _told(past: Json) -> str:
    """What is known of an attempt that did not end the run, in a sentence."""
    if (error := past.get("error")) is not None:
        return f"Attempt {past['attempt']} failed: {error['message']}"
    progress = past["progress"]
    ended = datetime.fromtimestamp(past["leaseEndedAtUTC"] / 1000, UTC).isoformat(timespec="seconds")
    done = (
        f"{progress['splitsDone']} of {progress['splitsTotal']} splits and {progress['stagedBytes']:,} bytes staged"
        if progress.get("splitsTotal")
        else "nothing staged"
    )
    return f"Attempt {past['attempt']}: {past['worker']} was not heard of after {ended}, with {done}."


def _unexpected(error: Exception) -> RunError:
    emit("attempt.unexpected", level="error", exc_info=error)
    return RunError(f"Something went wrong inside Headgate ({type(error).__name__}); the log has the details.")
