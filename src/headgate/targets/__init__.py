"""What can be written: Iceberg tables.

What needs PyIceberg and Arrow is loaded when it is first named: a service that only accepts runs has no use for it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from headgate.targets import reject_files
from headgate.targets.lake import Lake
from headgate.targets.loading import load_iceberg
from headgate.targets.retention import Retention
from headgate.targets.states import TableState, TableStates

if TYPE_CHECKING:
    from headgate.targets.iceberg import LakeTable, Replacement, Staged, Upsert
    from headgate.targets.landed import (
        END_PROPERTY,
        FILES_PROPERTY,
        FLOW_PROPERTY,
        REJECTED_PROPERTY,
        START_PROPERTY,
        Landed,
    )
    from headgate.targets.layout import Layout
    from headgate.targets.leftovers import Leftovers
    from headgate.targets.reading import BroughtFile, brought_files, first_rows, source_files

__all__ = [
    "END_PROPERTY",
    "FILES_PROPERTY",
    "FLOW_PROPERTY",
    "REJECTED_PROPERTY",
    "START_PROPERTY",
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
]

_LATER = {
    "iceberg": ("LakeTable", "Replacement", "Staged", "Upsert"),
    "landed": ("END_PROPERTY", "FILES_PROPERTY", "FLOW_PROPERTY", "REJECTED_PROPERTY", "START_PROPERTY", "Landed"),
    "layout": ("Layout",),
    "leftovers": ("Leftovers",),
    "reading": ("BroughtFile", "brought_files", "first_rows", "source_files"),
}


def __getattr__(name: str) -> Any:
    for module, names in _LATER.items():
        if name in names:
            load_iceberg()
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
