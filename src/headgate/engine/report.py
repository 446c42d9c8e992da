"""What a run reports: the `metrics` and the two activities of the wire's run object.

`copyActivity` is the way from the source to staged files, `promotionActivity` from there into the table.
Times are milliseconds since the epoch, sizes bytes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from headgate.errors import RECORD_ERROR, REJECTED, HeadgateError
from headgate.model.addresses import EXPORT, ROW_ERRORS, SAMPLE
from headgate.model.resources import now_ms
from headgate.model.run_log import LogLine
from headgate.model.runs import Json, Run, RunState
from headgate.model.splits import StagedSplit
from headgate.rejects import Rejects
from headgate.sources import Reading

__all__ = ["Report"]

_SAMPLED = 10
_SHOWN = 200  # splits whose times stay with the run


@dataclass(slots=True)
class Report:
    """The figures of one attempt, filled in as it goes on.

    `input_bytes` are those of the files read; for tables, which have no size of their own on the way, those of the
    staged column data before compression. `staged_bytes` are those of finished splits, `written_bytes` of all so far.
    `rows` are those read, `kept_rows` of them by an earlier attempt, of which `landed_rows` are in the table;
    `replaced_rows` went from there, `updated_rows` of them because a row with their key came. With `diagnostics`, some
    of the `rejects`, which were read too and left out, are shown. `staged` are the first of its splits.
    """

    run: Run
    diagnostics: bool = False
    started: int = field(default_factory=now_ms)
    reading: int | None = None
    copied: int | None = None
    promoting: int | None = None
    finished: int | None = None
    splits: int = 0
    splits_done: int = 0
    estimated_rows: int | None = None
    rows: int = 0
    input_bytes: int = 0
    staged_bytes: int = 0
    staged_files: int = 0
    written_bytes: int = 0
    input_files: int | None = None
    late_files: int = 0
    kept_rows: int = 0
    landed_rows: int = 0
    replaced_rows: int = 0
    updated_rows: int = 0
    rejects: Rejects = field(default_factory=Rejects)
    staged: list[StagedSplit] = field(default_factory=list)
    schema_changes: tuple[Json, ...] = ()
    notes: tuple[str, ...] = ()
    snapshot_id: str | None = None

    def planned(self, reading: Reading, *, files: bool) -> None:
        """Take up what a reading says of itself; `files` when it is files that are read."""
        self.reading = now_ms()
        self.splits = len(reading.splits)
        self.estimated_rows = reading.estimated_rows
        self.notes = reading.notes
        if files:
            self.input_files = sum(len(split.files) for split in reading.splits)

    @property
    def plan_in_words(self) -> str:
        """What is about to be read."""
        splits = f"{self.splits:,} {'split' if self.splits == 1 else 'splits'}"
        files = f" of {self.input_files:,} files" if self.input_files is not None else ""
        rows = f", about {self.estimated_rows:,} records" if self.estimated_rows is not None else ""
        return f"Planned: {splits}{files}{rows}."

    def last_line(self, state: RunState, error: HeadgateError | None) -> LogLine:
        """How the run ended, for its log."""
        if error is not None:
            return LogLine.now(f"Failed with {error.code}: {error.detail}", "error")
        if state is RunState.CANCELLED:
            return LogLine.now("Cancelled; nothing was changed in the table.", "warning")
        where = f" in snapshot {self.snapshot_id}" if self.snapshot_id else "; there was nothing to commit"
        rejected = f" {self.rejects.count:,} were rejected." if self.rejects.count else ""
        return LogLine.now(f"Done: {self.landed_rows:,} records landed{where}.{rejected}")

    def replanned(self, splits: Sequence[StagedSplit]) -> None:
        """Take up that an earlier attempt's reading, of these splits, takes the place of the planned one."""
        self.splits = len(splits)
        if self.input_files is not None:
            self.input_files = sum(split.input_files for split in splits)

    def count(self, split: StagedSplit, rejects: Rejects | None = None, *, kept: bool = False) -> None:
        """Take up a split that is staged, and what it left out; `kept` when an earlier attempt has read it."""
        self.kept_rows += split.rows if kept else 0
        self.rows += split.rows
        self.staged_bytes += split.size
        self.staged_files += len(split.files)
        self.input_bytes += split.uncompressed if self.input_files is None else split.input_bytes
        self.splits_done += 1
        if len(self.staged) < _SHOWN:
            self.staged.append(split)
        if rejects is not None:
            self.rejects.merge(rejects)

    def progress(self) -> Json:
        """`metrics` of a run that is under way."""
        metrics = self._metrics(RunState.IN_PROGRESS)
        metrics["progress"] = {
            "splitsTotal": self.splits,
            "splitsDone": self.splits_done,
            "recordCount": self.rows,
            "stagedBytes": self.written_bytes,
            **({"estimatedRecordCount": self.estimated_rows} if self.estimated_rows is not None else {}),
            **self._pace(),
        }
        return metrics

    def _pace(self) -> Json:
        """How fast the source is read: records of splits that are done, bytes of those under way too."""
        if self.reading is None:
            return {}
        seconds = max(1, (self.copied or now_ms()) - self.reading) / 1000
        return {
            "recordsPerSecond": round((self.rows - self.kept_rows) / seconds),
            "bytesPerSecond": round(self.written_bytes / seconds),
        }

    def metrics(self, state: RunState, error: HeadgateError | None = None) -> Json:
        """`metrics` of a run that has ended in `state`."""
        self.finished = self.finished or now_ms()
        metrics = self._metrics(state)
        if error is not None:
            metrics["statusSummary"]["errors"] = [_error(error)]
        elif self.rejects.count and state is RunState.SUCCESS:
            metrics["statusSummary"]["errors"] = [self._left_out()]
        return metrics

    def activities(self, state: RunState, error: HeadgateError | None = None) -> list[Json]:
        """The activities that have begun."""
        activities = [self._copy(state if self.copied is None else RunState.SUCCESS, error)]
        if self.promoting is not None:
            activities.append(self._promotion(state, error))
        return activities

    def _metrics(self, state: RunState) -> Json:
        refs = {"activityRefs": ["promotionActivity" if self.promoting else "copyActivity"]}
        return {
            "durationSummary": _duration(self.started, self.finished),
            "sizeSummary": {"inputBytes": self.input_bytes, "outputBytes": self._landed(self.staged_bytes)},
            "recordSummary": {
                "inputRecordCount": self._read,
                **self._changed,
                "outputRecordCount": self.landed_rows,
                "skippedRecordCount": self._skipped(state),
                "failedRecordCount": self.rejects.count,
                "sourceSummaries": [
                    {"id": self._source_id, "inputRecordCount": self._read},
                ],
                "targetSummaries": [
                    {"id": self._target_id, "outputRecordCount": self.landed_rows},
                ],
                **refs,
            },
            "fileSummary": {
                "inputFileCount": self._input_files,
                "outputFileCount": self._landed(self.staged_files),
                **self._late,
                **refs,
            },
            "statusSummary": {"status": state.value, **refs},
            **({"schemaChanges": [*self.schema_changes]} if self.schema_changes else {}),
        }

    def _passed_over(self) -> Iterator[str]:
        """What a source gave that nobody asked for, in sentences."""
        if outside := self.rejects.outside:
            yield f"{outside:,} records came that lie outside of the window, and were passed over."
        if repeated := self.rejects.repeated:
            yield f"{repeated:,} records came a second time, and were passed over."

    def _copy(self, state: RunState, error: HeadgateError | None) -> Json:
        extensions: Json = {"type": "one-time", "attempt": self.run.attempt}
        if notes := [*self.notes, *self._passed_over()]:
            extensions["notes"] = notes
        extensions |= self._diagnostics(error if state is not RunState.SUCCESS else None)
        if self.splits > 1:
            extensions |= {"splitsTotal": self.splits, "splits": [split.wire for split in self.staged]}
        return {
            "id": "copyActivity",
            "name": "Copy from the source to staged files",
            "updatedAtUTC": self.copied or self.finished,
            "durationSummary": {
                **_duration(self.started, self.copied or self.finished),
                "extensions": {
                    "windowStart": self.run.window.start_ms,
                    "windowEnd": self.run.window.end_ms,
                },
            },
            "sizeSummary": {"inputBytes": self.input_bytes, "outputBytes": self.staged_bytes},
            "recordSummary": {
                "inputRecordCount": self._read,
                "outputRecordCount": self.rows,
                "failedRecordCount": self.rejects.count,
            },
            "fileSummary": {
                "inputFileCount": self._input_files,
                "outputFileCount": self.staged_files,
                **self._late,
            },
            "statusSummary": {"status": state.value, "extensions": extensions},
            "sourceInfo": [
                {
                    "id": self._source_id,
                    "type": "SourceConnection",
                    "reference": {"type": "JobId", "ids": [f"{self.run.id}-{self.run.attempt}"]},
                }
            ],
        }

    def _promotion(self, state: RunState, error: HeadgateError | None) -> Json:
        extensions: Json = {"batchId": self.run.id}
        if self.snapshot_id:
            extensions["snapshotId"] = self.snapshot_id
        if self.schema_changes:
            extensions["schemaChanges"] = [*self.schema_changes]
        extensions |= self._diagnostics(error)
        return {
            "id": "promotionActivity",
            "name": "Commit of the staged files to the table",
            "updatedAtUTC": self.finished,
            "durationSummary": _duration(self.promoting, self.finished),
            "sizeSummary": {"inputBytes": self.staged_bytes, "outputBytes": self._landed(self.staged_bytes)},
            "recordSummary": {
                "inputRecordCount": self._read,
                **self._changed,
                "outputRecordCount": self.landed_rows,
                "failedRecordCount": self.rejects.count,
            },
            "fileSummary": {
                "inputFileCount": self.staged_files,
                "outputFileCount": self._landed(self.staged_files),
                **self._manifest(),
            },
            "statusSummary": {"status": state.value, "extensions": extensions},
            "targetInfo": [
                {
                    "id": self._target_id,
                    "type": "TargetConnection",
                    "reference": {"type": "Batch", "ids": [self.run.id]},
                }
            ],
        }

    def _manifest(self) -> Json:
        """Where the files that were read are listed, when it was files that were read."""
        if self.input_files is None or not self.snapshot_id:
            return {}
        return {"extensions": {"manifest": {"fileInfo": f"{self._meta}?path=input_files"}}}

    def _diagnostics(self, error: HeadgateError | None) -> Json:
        """What went wrong, and where the records are shown that it is about."""
        errors = [_error(error)] if error is not None else []
        manifest, sample = {}, f"{self._meta}?path={SAMPLE}"
        if error is not None and error.code == RECORD_ERROR:
            manifest["sampleErrors"] = sample
        found: Json = {}
        if self.rejects.count:
            errors += [
                {"code": code, "message": message, "recordCount": count}
                for code, (count, message) in self.rejects.reasons.items()
            ]
            manifest["failedRecords"] = f"{self._meta}?path={ROW_ERRORS}"
            if self.diagnostics:
                manifest["sampleErrors"] = sample
                found["sampleErrors"] = [reject.error for reject in self.rejects.kept[:_SAMPLED]]
        return {
            **({"errors": errors} if errors else {}),
            **({"manifest": manifest} if manifest else {}),
            **found,
        }

    def _left_out(self) -> Json:
        count = self.rejects.count
        return {
            "code": REJECTED,
            "message": f"{count} of {self._read} records were rejected, {self.landed_rows} were ingested. "
            f"What they were and why is at {self._meta}?path={ROW_ERRORS}.",
            "recordCount": count,
        }

    @property
    def _read(self) -> int:
        return self.rows + self.rejects.count

    def _skipped(self, state: RunState) -> int:
        """Rows whose place another row of the run took, or all of a run that failed for its bad records."""
        if state is RunState.FAILED and self.rejects.count:
            return self.rows
        return self._landed(self.rows - self.landed_rows)

    @property
    def _changed(self) -> Json:
        """What became of the table's rows: a row that takes the place of another one is updated, not created."""
        return {
            "createdRecordCount": self.landed_rows - self.updated_rows,
            "updatedRecordCount": self.updated_rows,
            "deletedRecordCount": self.replaced_rows - self.updated_rows,
        }

    @property
    def _late(self) -> Json:
        """The files that were not there yet when a run read their own time."""
        return {"lateFileCount": self.late_files} if self.late_files else {}

    @property
    def _meta(self) -> str:
        return f"{EXPORT}/batches/{self.run.id}/meta"

    @property
    def _source_id(self) -> str:
        return str(self.run.frozen["source"]["sourceConnectionId"])

    @property
    def _target_id(self) -> str:
        return str(self.run.frozen["target"]["targetConnectionId"])

    @property
    def _input_files(self) -> int:
        return self.staged_files if self.input_files is None else self.input_files

    def _landed(self, figure: int) -> int:
        return figure if self.snapshot_id else 0


def _duration(started: int | None, completed: int | None) -> Json:
    return {
        **({"startedAtUTC": started} if started is not None else {}),
        **({"completedAtUTC": completed} if completed is not None else {}),
    }


def _error(error: HeadgateError) -> Json:
    return {"code": error.code, "message": error.detail}
