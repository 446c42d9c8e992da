"""What a table holds now, as the file says that describes its present state. PyIceberg is not needed for that."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from headgate.errors import TargetUnavailable
from headgate.model.table_metadata import Described, document_of
from headgate.targets.catalog import local_path
from headgate.targets.lake import Lake

__all__ = ["TableState", "TableStates", "state_at"]

_REMEMBERED = 1000  # states of tables
_T = TypeVar("_T")
_TRIES = 3  # a description may be gone that was the present one a moment ago


@dataclass(frozen=True, slots=True)
class TableState:
    """Where a table is, and what it holds in its present snapshot. `size` is in bytes."""

    location: Path
    metadata_file: Path
    snapshot_id: int | None
    rows: int
    size: int
    files: int


class TableStates:
    """What the tables of a lake hold, remembered for as long as they do not change."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._look = lru_cache(maxsize=_REMEMBERED)(state_at)

    def of(self, identifier: tuple[str, ...]) -> TableState | None:
        """What the table of this name holds now; None when there is none. Raises TargetUnavailable."""
        return self._read(identifier, self._look)

    def described(self, identifier: tuple[str, ...]) -> Described | None:
        """The columns and snapshots of the table of this name; None when there is none. Raises TargetUnavailable."""
        return self._read(identifier, lambda path: Described.of(document_of(path.read_bytes())))

    def _read(self, identifier: tuple[str, ...], read: Callable[[Path], _T]) -> _T | None:
        name = ".".join(identifier)
        for _ in range(_TRIES):
            version = self._lake.version(identifier)
            try:
                return read(local_path(version)) if version is not None else None
            except FileNotFoundError:
                continue
            except OSError as error:
                raise TargetUnavailable(f"The state of the table {name} cannot be read: {error}") from error
        raise TargetUnavailable(f"The file that describes the table {name} is missing.")


def state_at(metadata_file: Path) -> TableState:
    """What the table holds in the state that a metadata file describes. Raises OSError."""
    metadata = document_of(metadata_file.read_bytes())
    present = metadata.get("current-snapshot-id")
    snapshot = next((one for one in metadata.get("snapshots", ()) if one["snapshot-id"] == present), None)
    summary = (snapshot or {}).get("summary", {})
    return TableState(
        location=local_path(metadata["location"]),
        metadata_file=metadata_file,
        snapshot_id=present if snapshot is not None else None,
        rows=int(summary.get("total-records", 0)),
        size=int(summary.get("total-files-size", 0)),
        files=int(summary.get("total-data-files", 0)),
    )
