"""Holding the metadata against the lake, after one of the two was restored from another moment than the other.

What each of them says of runs is compared by the runs' ids, which the lake's snapshots and rows carry. Corrections make
the metadata say what the lake holds: a run whose rows are there ends by them, one that is not known is taken up, one
whose rows are gone counts as reverted. After that a window that is read again is neither doubled nor lost.
"""

import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from headgate.config import Settings
from headgate.errors import HeadgateError
from headgate.model.runs import Json, Run, RunState
from headgate.model.windows import Window
from headgate.service.local import must_exist, settings_for
from headgate.store import Claim, Reconciling, Store, Target, open_store
from headgate.targets import Lake

if TYPE_CHECKING:
    from headgate.targets import LakeTable

__all__ = ["Difference", "Kind", "Reconciliation", "reconciling"]


_LOOK_SECONDS = 0.1


class Kind(StrEnum):
    """What the metadata and the lake say differently."""

    LANDED = "landed"
    """A run that has not ended in the metadata, though the lake holds its rows."""
    UNKNOWN = "unknown"
    """A run of a flow that is known, of which the lake alone knows."""
    FOREIGN = "foreign"
    """As UNKNOWN, but the metadata knows no such flow either."""
    MISSING = "missing"
    """A run that is a success in the metadata, and has brought rows that the lake never had or lost."""
    LOOSE = "loose"
    """A table that is no dataset's."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One of them; `correction` says what is done about it, and is empty where nothing can be."""

    kind: Kind
    table: tuple[str, ...]
    run_id: str
    flow_id: str
    found: str
    correction: str
    target: Target | None = None
    run: Run | None = None
    window: Window | None = None
    at: int = 0

    @property
    def wire(self) -> Json:
        """`{"kind","table","run","flow","found","correction"}`."""
        return {
            "kind": self.kind.value,
            "table": ".".join(self.table),
            "run": self.run_id,
            "flow": self.flow_id,
            "found": self.found,
            "correction": self.correction,
        }


@contextmanager
def reconciling(data: Path | None) -> Iterator["Reconciliation"]:
    """The reconciliation of a deployment's metadata with its lake. Raises NoDeployment, BadSetting, Unavailable."""
    settings = settings_for(data)
    must_exist(settings)
    store, lake = open_store(settings), Lake(settings.warehouse)
    try:
        yield Reconciliation(settings, store, lake)
    finally:
        lake.close()
        store.close()


class Reconciliation:
    """Finds what differs, and corrects it; a worker may run meanwhile, but should not.

    One that executes a run which has landed before it began would read it again.
    """

    def __init__(self, settings: Settings, store: Store, lake: Lake) -> None:
        self._settings = settings
        self._store = store
        self._lake = lake
        self._runs: Reconciling = store.reconciling
        self._wait_until = 0.0  # how long leases of others are waited for, by the monotonic clock
        self._worker = f"reconcile-{secrets.token_hex(4)}"

    def differences(self) -> list[Difference]:
        """All of them, nothing changed. Raises TargetUnavailable, Unavailable."""
        targets = self._runs.targets()
        found = [difference for target in targets for difference in self._of(target)]
        held = {target.table for target in targets}
        loose = (name for name in self._lake.names() if name not in held)
        said = "The table is no dataset's; nothing reads or writes it here."
        return [*found, *(Difference(Kind.LOOSE, name, "", "", said, "") for name in loose)]

    def correct(self, differences: Sequence[Difference], *, take_out: bool = False) -> list[Difference]:
        """Do what `differences()` said, and give those that remain. A run that a worker holds is left to it.

        With `take_out` the rows of runs of flows that are not known are deleted. Raises CommitConflict, TargetError,
        TargetUnavailable, Unavailable.
        """
        self._wait_until = time.monotonic() + self._settings.lease
        return [each for each in differences if not self._correct(each, take_out=take_out)]

    # -- what differs ----------------------------------------------------------------------------

    def _of(self, target: Target) -> Iterator[Difference]:
        unfinished, said = self._runs.unfinished(target), self._runs.landed
        table = self._lake.find(target.table)
        if table is None:
            for run in said(target):
                yield self._missing(target, run, "there is no such table")
            return
        for run in unfinished:
            if table.landed(run.id) is not None:
                found = f"It is {run.state.value} in the metadata, and its rows are in the lake."
                yield Difference(
                    Kind.LANDED, target.table, run.id, run.flow_id, found, "it ends by what the lake says", target, run
                )
        yield from self._only_in_the_lake(target, table)
        updated = table.iceberg.metadata.last_updated_ms if table.shortened else 0
        for run in said(target, updated):
            present = {str(snapshot.snapshot_id) for snapshot in table.iceberg.snapshots()}
            if run.snapshot_id not in present and table.landed(run.id) is None:
                yield self._missing(target, run, f"the table has no snapshot {run.snapshot_id}, nor rows of it")

    def _missing(self, target: Target, run: Run, why: str) -> Difference:
        rows = run.metrics.get("recordSummary", {}).get("outputRecordCount", 0)
        found = f"It has brought {rows} rows by the metadata, but {why}."
        do = f"it counts as reverted, and may be repeated: headgate runs retry {run.id}"
        return Difference(Kind.MISSING, target.table, run.id, run.flow_id, found, do, target, run)

    def _only_in_the_lake(self, target: Target, table: "LakeTable") -> Iterator[Difference]:
        brought = table.brought_by_runs()
        known = self._runs.known([each.run_id for each in brought])
        for each in brought:
            if each.run_id in known:
                continue
            window = Window(each.start_ms, each.end_ms)
            if self._runs.flow(target, each.flow_id) is None:
                kind, who = Kind.FOREIGN, "neither it nor its flow"
                do = ""
            else:
                kind, who, do = Kind.UNKNOWN, "it not", "it is taken up as a run of its flow that has landed"
            found = f"The lake has its rows, over {window}; the metadata knows {who}."
            yield Difference(
                kind, target.table, each.run_id, each.flow_id, found, do, target, window=window, at=each.at_ms
            )

    # -- corrections -----------------------------------------------------------------------------

    def _correct(self, difference: Difference, *, take_out: bool) -> bool:
        """Whether it is no difference any more."""
        target, run = difference.target, difference.run
        match difference.kind:
            case Kind.LANDED if run is not None:
                return self._end(run)
            case Kind.UNKNOWN if target is not None and difference.window is not None:
                flow = self._runs.flow(target, difference.flow_id)
                if flow is None:
                    return False
                self._runs.adopt(flow, difference.run_id, difference.window, difference.at)
                return self._end(self._store.scoped(target.scope).run(difference.run_id), files_known=False)
            case Kind.FOREIGN if take_out:
                table = self._lake.find(difference.table)
                if table is not None:
                    table.revert(difference.run_id)
                return True
            case Kind.MISSING if target is not None and run is not None:
                self._store.catalog(target.scope).mark_reverted(run.id)
                return True
        return False

    def _end(self, run: Run, *, files_known: bool = True) -> bool:
        """Have a run end by what the lake holds of it, as the successor of a worker that died would; whether it did."""
        from headgate.engine.attempt import Attempt  # here, since it loads all that runs take

        files_known = files_known and self._runs.noted(run)
        claim = self._claimed(run)
        if claim is None:
            return self._success(run)
        try:
            Attempt(claim, self._store, self._lake, self._settings).execute()
        except HeadgateError:  # its lease ends, and a worker does the same
            return False
        if not files_known:
            self._runs.forget_reading(run)
        return self._success(run)

    def _claimed(self, run: Run) -> Claim | None:
        """The run as ours, once the lease is over that somebody had on it; None when it has ended, or is renewed."""
        while (claim := self._runs.take(run, self._worker, lease=self._settings.lease)) is None:
            if self._store.scoped(run.scope).run(run.id).state.final or time.monotonic() > self._wait_until:
                break
            time.sleep(_LOOK_SECONDS)
        return claim

    def _success(self, run: Run) -> bool:
        return self._store.scoped(run.scope).run(run.id).state is RunState.SUCCESS
