"""Which snapshots a table keeps."""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyiceberg.table.metadata import TableMetadata
    from pyiceberg.table.snapshots import Snapshot

__all__ = ["RUN_PROPERTY", "Retention", "run_of"]

RUN_PROPERTY = "headgate.run-id"


@dataclass(frozen=True, slots=True)
class Retention:
    """Which snapshots a table keeps: at most the `newest` ones, and none older than `seconds`.

    The present one, those that a branch or a tag names, and those of runs that `unfinished` returns of the ids it is
    given, are kept whatever their number and age: the snapshot is what a run's successor knows its landing by.
    """

    newest: int
    seconds: float
    unfinished: Callable[[Collection[str]], Collection[str]]

    def expired(self, metadata: "TableMetadata") -> list[int]:
        """The snapshots that need not be kept when another one is added now."""
        named = {ref.snapshot_id for ref in metadata.refs.values()}
        oldest_ms = (time.time() - self.seconds) * 1000
        ordered = sorted(metadata.snapshots, key=lambda snapshot: snapshot.sequence_number or 0, reverse=True)
        runs = {
            snapshot.snapshot_id: run_of(snapshot)
            for place, snapshot in enumerate(ordered, start=2)
            if (place > self.newest or snapshot.timestamp_ms < oldest_ms) and snapshot.snapshot_id not in named
        }
        unfinished = self.unfinished({run for run in runs.values() if run}) if any(runs.values()) else ()
        return [id_ for id_, run in runs.items() if run not in unfinished]


def run_of(snapshot: "Snapshot") -> str | None:
    """The run whose rows a snapshot brought."""
    return snapshot.summary.additional_properties.get(RUN_PROPERTY) if snapshot.summary is not None else None
