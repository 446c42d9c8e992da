"""What can be written: Iceberg tables."""

from headgate.targets import reject_files
from headgate.targets.iceberg import LakeTable, Replacement, Staged, Upsert
from headgate.targets.lake import Lake
from headgate.targets.landed import FILES_PROPERTY, REJECTED_PROPERTY, Landed
from headgate.targets.layout import Layout
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
    "FILES_PROPERTY",
    "REJECTED_PROPERTY",
    "BroughtFile",
    "Lake",
    "LakeTable",
    "Landed",
    "Layout",
    "Leftovers",
    "Replacement",
    "Retention",
    "Staged",
    "TableState",
    "TableStates",
    "Upsert",
    "brought_files",
    "first_rows",
    "reject_files",
    "source_files",
    "state_of",
]
