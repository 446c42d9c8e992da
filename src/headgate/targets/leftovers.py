"""Files below a table's folder that no snapshot lists: left by expired snapshots, and by work that was broken off.

They are deleted after a time of grace, because a reader may be in the middle of a query, or a writer about to commit.
"""

import re
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from headgate.targets.catalog import local_path
from headgate.targets.lake import Lake

if TYPE_CHECKING:
    from pyiceberg.table import Table

    from headgate.targets.iceberg import LakeTable

__all__ = ["Leftovers"]

_FOREIGN_SECONDS = 3 * 86_400  # data files that another engine may be writing for a commit to come
_RUN = re.compile(r"(?:reverted-)?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")
_METADATA = (".avro", ".metadata.json")


class Leftovers:
    """What is left over of one table, and since when each file has been known to be.

    A file goes once it has been that for `grace` seconds. Of a table that has all its snapshots since then, it is
    enough that the file is as old: no reader of the present state can have begun before. `unfinished` returns those
    of the run ids it is given whose runs have not ended; their staged files stay.
    """

    def __init__(
        self,
        lake: Lake,
        identifier: tuple[str, ...],
        unfinished: Callable[[Collection[str]], Collection[str]],
        grace: float,
    ) -> None:
        self._lake = lake
        self._identifier = identifier
        self._unfinished = unfinished
        self._grace = grace
        self._since: dict[Path, float] = {}

    def sweep(self) -> int:
        """Delete what has been left over for long enough; how many files that were. Raises TargetUnavailable."""
        table = self._lake.find(self._identifier)
        if table is None:  # dropped, with all its files
            self._since = {}
            return 0
        present = time.time()
        found = list(self._unlisted(table))
        reaches_back = _unbroken_since(table.iceberg) <= present - self._grace
        self._since = {path: self._since.get(path, present) for path, _ in found}
        gone = 0
        for path, foreign in found:
            grace = _FOREIGN_SECONDS if foreign else self._grace
            since = self._since[path] if foreign or not reaches_back else min(self._since[path], _written(path))
            if present - since >= grace:
                path.unlink(missing_ok=True)
                del self._since[path]
                gone += 1
                _drop_empty(path.parent)
        return gone

    @property
    def waiting(self) -> bool:
        """Whether files are there whose time has not come."""
        return bool(self._since)

    def _unlisted(self, table: "LakeTable") -> Iterator[tuple[Path, bool]]:
        """The files that no snapshot lists, each with whether it is data that another engine wrote.

        The order matters: what is committed while we look is in the snapshots, which are read last.
        """
        data, metadata = table.location / "data", table.location / "metadata"
        files = [path for path in data.glob("**/*") if path.is_file()]
        descriptions = [path for path in metadata.iterdir() if path.name.endswith(_METADATA)]
        runs = {path: _run_of(path.relative_to(data)) for path in files}
        unfinished = self._unfinished({run for run in runs.values() if run is not None})
        present = self._lake.find(self._identifier)
        if present is None:
            return
        listed = set(map(local_path, _listed(present.iceberg)))
        yield from ((path, False) for path in descriptions if path not in listed)
        for path, run in runs.items():
            if run not in unfinished and path not in listed:
                yield path, run is None


def _listed(table: "Table") -> Iterator[str]:
    """The addresses of all files that belong to one of the table's snapshots, or tell of them."""
    metadata = table.metadata
    yield table.metadata_location
    yield from (entry.metadata_file for entry in metadata.metadata_log)
    yield from (each.statistics_path for each in (*metadata.statistics, *metadata.partition_statistics))
    seen: set[str] = set()
    for snapshot in metadata.snapshots:
        yield snapshot.manifest_list
        for manifest in snapshot.manifests(table.io):
            if manifest.manifest_path not in seen:
                seen.add(manifest.manifest_path)
                yield manifest.manifest_path
                for entry in manifest.fetch_manifest_entry(table.io):
                    yield entry.data_file.file_path


def _unbroken_since(table: "Table") -> float:
    """Since when the table has lost no snapshot, in seconds.

    Older ones may be there still, with gaps between them: those that a tag names, or whose runs have not ended.
    """
    known = {snapshot.snapshot_id: snapshot for snapshot in table.snapshots()}
    snapshot, since = table.current_snapshot(), 0.0
    while snapshot is not None:
        since = snapshot.timestamp_ms / 1000
        snapshot = known.get(snapshot.parent_snapshot_id) if snapshot.parent_snapshot_id is not None else None
    return since


def _run_of(path: Path) -> str | None:
    """The run that wrote a data file, by the folder it lies in; None when another engine did."""
    found = _RUN.fullmatch(path.parts[0])
    return found[1] if found is not None and len(path.parts) > 1 else None


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # another worker was first
        return time.time()


def _drop_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:  # it holds other files, or another worker was first
        return
