"""What a run's snapshot says in its summary of the rows that it brought."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headgate.model.runs import Json
from headgate.targets.retention import RUN_PROPERTY, run_of

if TYPE_CHECKING:
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot

__all__ = [
    "END_PROPERTY",
    "FILES_PROPERTY",
    "FLOW_PROPERTY",
    "REJECTED_PROPERTY",
    "REVERTED_PROPERTY",
    "START_PROPERTY",
    "Brought",
    "Landed",
    "brought_of",
    "landed_of",
    "properties_of",
    "snapshot_of",
]

REJECTED_PROPERTY = "headgate.rejected-rows"
FILES_PROPERTY = "headgate.files-fence"
REVERTED_PROPERTY = "headgate.reverted-run-id"
FLOW_PROPERTY = "headgate.flow-id"
START_PROPERTY, END_PROPERTY = "headgate.window-start", "headgate.window-end"
_CHANGES_PROPERTY = "headgate.schema-changes"
_FIGURES = {
    "rows": "headgate.rows",
    "files": "headgate.files",
    "size": "headgate.bytes",
    "uncompressed": "headgate.uncompressed-bytes",
    "replaced_rows": "headgate.replaced-rows",
    "read_rows": "headgate.read-rows",
    "updated_rows": "headgate.updated-rows",
}


@dataclass(frozen=True, slots=True)
class Landed:
    """What a run's snapshot says of the rows it brought, and of the columns. Sizes are bytes.

    `rows` of the `read_rows` landed, all unless others of the run have their keys. They took the place of
    `replaced_rows`; `updated_rows` of them have a key that the table had. `files_fence` is the fence under which the
    run noted the source's files that it brought.
    """

    snapshot_id: int
    schema_changes: tuple[Json, ...]
    rows: int
    files: int
    size: int
    uncompressed: int
    replaced_rows: int
    read_rows: int
    updated_rows: int
    rejected_rows: int = 0
    files_fence: int | None = None


@dataclass(frozen=True, slots=True)
class Brought:
    """Which run a snapshot brought the rows of, and over which window. Times are milliseconds since the epoch."""

    run_id: str
    flow_id: str
    start_ms: int
    end_ms: int
    at_ms: int


def properties_of(run_id: str, figures: Mapping[str, int], changes: Sequence[Json]) -> dict[str, str]:
    """What the summary of a run's snapshot is to say: its figures by the names of `Landed`, and what became of columns.

    The rejected rows, which the run itself counts, come beside it.
    """
    told = {RUN_PROPERTY: run_id, **{key: str(figures[name]) for name, key in _FIGURES.items()}}
    return {**told, _CHANGES_PROPERTY: json.dumps(changes)} if changes else told


def snapshot_of(table: "Table", run_id: str) -> "Snapshot | None":
    """The snapshot that brought a run's rows, None when there is none (any more)."""
    for snapshot in reversed(table.snapshots()):
        if run_of(snapshot) == run_id:
            return snapshot
    return None


def landed_of(table: "Table", run_id: str) -> Landed | None:
    """How a run's rows landed, as its snapshot says; None when there is none (any more)."""
    snapshot = snapshot_of(table, run_id)
    if snapshot is None or snapshot.summary is None:
        return None
    properties = snapshot.summary.additional_properties
    earlier = {_FIGURES["read_rows"]: properties[_FIGURES["rows"]], _FIGURES["updated_rows"]: "0"}  # did not say so
    figures = {name: int({**earlier, **properties}[key]) for name, key in _FIGURES.items()}
    figures["rejected_rows"] = int(properties.get(REJECTED_PROPERTY, "0"))
    fence = int(properties[FILES_PROPERTY]) if FILES_PROPERTY in properties else None
    changes = tuple(json.loads(properties.get(_CHANGES_PROPERTY, "[]")))
    return Landed(snapshot.snapshot_id, changes, **figures, files_fence=fence)


def brought_of(table: "Table") -> list[Brought]:
    """The runs whose rows the table's snapshots brought, the oldest first; none that was reverted since."""
    told = [(each.timestamp_ms, each.summary.additional_properties) for each in table.snapshots() if each.summary]
    reverted = {properties.get(REVERTED_PROPERTY) for _, properties in told}
    return [
        Brought(run_id, properties[FLOW_PROPERTY], int(properties[START_PROPERTY]), int(properties[END_PROPERTY]), at)
        for at, properties in sorted(told, key=lambda each: each[0])
        if (run_id := properties.get(RUN_PROPERTY)) is not None and run_id not in reverted
        if properties.keys() >= {FLOW_PROPERTY, START_PROPERTY, END_PROPERTY}
    ]
