"""What can be written: Iceberg tables."""

from headgate.targets.iceberg import Lake, LakeTable, Landed, Replacement, Staged, Upsert
from headgate.targets.leftovers import Leftovers
from headgate.targets.reading import (
    BroughtFile,
    TableState,
    TableStates,
    brought_files,
    first_rows,
    source_files,
    state_of,
)
from headgate.targets.snapshots import Retention

__all__ = [
    "BroughtFile",
    "Lake",
    "LakeTable",
    "Landed",
    "Leftovers",
    "Replacement",
    "Retention",
    "Staged",
    "TableState",
    "TableStates",
    "Upsert",
    "brought_files",
    "first_rows",
    "source_files",
    "state_of",
]
