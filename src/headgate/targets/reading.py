"""Reading a table back: the data files that a run brought, and its first rows."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
from pyiceberg.manifest import ManifestContent, ManifestEntryStatus

from headgate import dataplane
from headgate.dataplane import quote
from headgate.model.lake import RUN_ID, SOURCE_FILE
from headgate.targets.catalog import local_path
from headgate.targets.iceberg import LakeTable
from headgate.targets.landed import snapshot_of

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile, ManifestFile
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot

__all__ = ["BroughtFile", "brought_files", "first_rows", "source_files"]


@dataclass(frozen=True, slots=True)
class BroughtFile:
    """A data file that a run brought. `live` says whether the table still lists it. `size` is in bytes."""

    path: Path
    rows: int
    size: int
    live: bool


def brought_files(table: LakeTable, run_id: str) -> tuple[BroughtFile, ...]:
    """The data files that hold a run's rows, as its snapshot's manifests list them, by name.

    Files in which the same snapshot kept rows of earlier runs are not among them. Once the run's snapshot has
    expired, they are those that are still part of the table.
    """
    iceberg = table.iceberg
    own = snapshot_of(iceberg, run_id)
    snapshot = own or (iceberg.current_snapshot() if table.shortened else None)
    if snapshot is None:
        return ()
    field_id = table.schema.find_field(RUN_ID).field_id
    mark = run_id.encode()
    brought: dict[str, tuple[DataFile, str]] = {}
    for manifest in _manifests(iceberg, snapshot):
        if own is not None and manifest.added_snapshot_id != own.snapshot_id:
            continue
        for entry in manifest.fetch_manifest_entry(iceberg.io):
            file = entry.data_file
            bounds = (file.lower_bounds or {}).get(field_id), (file.upper_bounds or {}).get(field_id)
            if bounds == (mark, mark) and (own is None or entry.status is ManifestEntryStatus.ADDED):
                brought[file.file_path] = file, manifest.manifest_path
    live = _live(iceberg, snapshot, brought)
    return tuple(
        BroughtFile(local_path(path), file.record_count, file.file_size_in_bytes, path in live)
        for path, (file, _) in sorted(brought.items())
    )


def first_rows(table: LakeTable, limit: int) -> list[dict[str, Any]]:
    """At most `limit` rows with all columns, read from no more data files than that needs."""
    rows: list[dict[str, Any]] = []
    with dataplane.opened() as connection:
        for task in table.iceberg.scan(limit=limit).plan_files():
            query = f"SELECT * FROM {table.rows_of(connection, task)} LIMIT {limit - len(rows)}"
            rows += connection.execute(query).to_arrow_table().to_pylist()
            if len(rows) >= limit:
                break
    return rows


def source_files(table: LakeTable, run_id: str) -> list[str]:
    """The source's files that the rows of a run come from, as its data files that are still there name them."""
    paths = (file.path for file in brought_files(table, run_id) if file.path.is_file())
    named = [str(path) for path in paths if SOURCE_FILE in pq.read_schema(path).names]
    if not named:
        return []
    query = f"SELECT DISTINCT {quote(SOURCE_FILE)} FROM read_parquet($1) ORDER BY 1"
    with dataplane.opened() as connection:
        return [path for (path,) in connection.execute(query, [named]).fetchall()]


def _manifests(iceberg: "Table", snapshot: "Snapshot") -> "Iterator[ManifestFile]":
    return (each for each in snapshot.manifests(iceberg.io) if each.content is ManifestContent.DATA)


def _live(iceberg: "Table", snapshot: "Snapshot", brought: "dict[str, tuple[DataFile, str]]") -> set[str]:
    """Those of the files that the present snapshot still lists."""
    current = iceberg.current_snapshot()
    if current is None:
        return set()
    if current.snapshot_id == snapshot.snapshot_id:
        return set(brought)
    manifests = {manifest.manifest_path: manifest for manifest in _manifests(iceberg, current)}
    live = {path for path, (_, manifest_path) in brought.items() if manifest_path in manifests}
    known = {manifest_path for _, manifest_path in brought.values()}
    for manifest in reversed(manifests.values()):
        if len(live) == len(brought):
            break
        if manifest.manifest_path not in known:
            entries = manifest.fetch_manifest_entry(iceberg.io)
            live |= {entry.data_file.file_path for entry in entries} & brought.keys()
    return live
