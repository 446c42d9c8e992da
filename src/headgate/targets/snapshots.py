"""A table's next snapshot: written out beside the table, and swapped in by one change of the catalog.

A commit costs what it reads and writes of the table's metadata, so both are kept small while it is at it: manifests
are merged by their size, as a log-structured tree merges, and snapshots that need not be kept leave the metadata in the
same swap that brings a new one. Their files stay until `upkeep` takes them.
"""

import uuid
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyiceberg.avro.codecs import AvroCompressionCodec
from pyiceberg.manifest import (
    DataFile,
    ManifestContent,
    ManifestEntry,
    ManifestEntryStatus,
    ManifestFile,
    write_manifest,
    write_manifest_list,
)
from pyiceberg.table import TableProperties, Transaction
from pyiceberg.table.refs import MAIN_BRANCH
from pyiceberg.table.snapshots import (
    Operation,
    Snapshot,
    SnapshotSummaryCollector,
    Summary,
    update_snapshot_summaries,
)
from pyiceberg.table.update import (
    AddSnapshotUpdate,
    AssertCurrentSchemaId,
    AssertRefSnapshotId,
    AssertTableUUID,
    RemoveSnapshotsUpdate,
    SetPropertiesUpdate,
    SetSnapshotRefUpdate,
    TableRequirement,
    TableUpdate,
)

from headgate.targets.manifests import entries_of
from headgate.targets.retention import Retention

if TYPE_CHECKING:
    from pyiceberg.table import Table
    from pyiceberg.table.metadata import TableMetadata

__all__ = ["PROPERTIES", "Change", "NextSnapshot", "next_snapshot"]

# What a table's properties say so that its metadata stays small, whichever engine commits.
PROPERTIES = {
    TableProperties.METADATA_DELETE_AFTER_COMMIT_ENABLED: "true",
    TableProperties.METADATA_PREVIOUS_VERSIONS_MAX: "50",
}
_COMPRESSION: AvroCompressionCodec = "deflate"
_FAN = 8  # manifests of one size that become one of the next
_MOST_ENTRIES = 5000  # of a manifest: a commit that merges must not take long


@dataclass(frozen=True, slots=True)
class NextSnapshot:
    """A snapshot that is written but not yet part of the table.

    `updates` and `requirements` are what the catalog is asked for; `files` were written for it. `expired` are the
    snapshots that go with it.
    """

    snapshot: Snapshot
    expired: tuple[int, ...]
    updates: tuple[TableUpdate, ...]
    requirements: tuple[TableRequirement, ...]
    files: tuple[str, ...]

    @property
    def id(self) -> int:
        """The snapshot's id."""
        return self.snapshot.snapshot_id

    def discard(self, table: "Table") -> None:
        """Delete its files. Only for one that surely did not become part of the table."""
        for path in self.files:
            table.io.delete(path)


class Change(Transaction):
    """Changes to a table that are made as one. As PyIceberg's, which copies the whole metadata at every look."""

    def __init__(self, table: "Table") -> None:
        super().__init__(table)
        self.table = table

    @property
    def table_metadata(self) -> "TableMetadata":
        """The metadata as it will be."""
        return super().table_metadata if self._updates else self.table.metadata

    @property
    def updates(self) -> tuple[TableUpdate, ...]:
        """What the catalog is to do."""
        return self._updates

    @property
    def requirements(self) -> tuple[TableRequirement, ...]:
        """What must still be so when it does it."""
        return self._requirements


def next_snapshot(
    change: Change,
    *,
    added: Sequence[DataFile] = (),
    removed: Iterable[DataFile] = (),
    properties: dict[str, str],
    retention: Retention | None,
) -> NextSnapshot:
    """Write the snapshot that follows the table's present one, with `properties` in its summary.

    It comes with what `change` holds already.
    """
    return _Writer(change).write(added, tuple(removed), properties, retention)


class _Writer:
    """Writes one snapshot's manifests and their list."""

    def __init__(self, change: Change) -> None:
        self._change = change
        self._table = change.table
        self._metadata = change.table_metadata
        self._parent = self._metadata.current_snapshot()
        self._id = self._metadata.new_snapshot_id()
        self._mark = uuid.uuid4()
        self._files: list[str] = []

    def write(
        self,
        added: Sequence[DataFile],
        removed: Sequence[DataFile],
        properties: dict[str, str],
        retention: Retention | None,
    ) -> NextSnapshot:
        metadata = self._metadata
        manifests = [*self._brought(added), *self._merged(list(self._kept(removed)))]
        path = self._path(f"snap-{self._id}-0-{self._mark}.avro")
        sequence_number = metadata.next_sequence_number()
        parent_id = self._parent.snapshot_id if self._parent is not None else None
        with write_manifest_list(
            format_version=metadata.format_version,
            output_file=self._table.io.new_output(path),
            snapshot_id=self._id,
            parent_snapshot_id=parent_id,
            sequence_number=sequence_number,
            avro_compression=_COMPRESSION,
        ) as writer:
            writer.add_manifests(manifests)
        snapshot = Snapshot.model_validate(
            {
                "snapshot-id": self._id,
                "parent-snapshot-id": parent_id,
                "manifest-list": path,
                "sequence-number": sequence_number,
                "summary": self._summary(added, removed, properties),
                "schema-id": metadata.current_schema_id,
            }
        )
        updates: list[TableUpdate] = [
            *self._change.updates,
            AddSnapshotUpdate(snapshot=snapshot),
            SetSnapshotRefUpdate.model_validate({"ref-name": MAIN_BRANCH, "type": "branch", "snapshot-id": self._id}),
        ]
        expired = retention.expired(metadata) if retention is not None else []
        if expired:
            updates.append(RemoveSnapshotsUpdate.model_validate({"snapshot-ids": expired}))
        if lacking := {key: value for key, value in PROPERTIES.items() if key not in metadata.properties}:
            updates.append(SetPropertiesUpdate(updates=lacking))
        requirements = (
            *self._change.requirements,
            AssertRefSnapshotId.model_validate({"ref": MAIN_BRANCH, "snapshot-id": parent_id}),
            AssertTableUUID(uuid=metadata.table_uuid),
            # Without this, files would land short of a column that another engine takes away at this moment.
            AssertCurrentSchemaId.model_validate({"current-schema-id": self._table.metadata.current_schema_id}),
        )
        return NextSnapshot(snapshot, tuple(expired), tuple(updates), requirements, tuple(self._files))

    def _brought(self, added: Sequence[DataFile]) -> Iterator[ManifestFile]:
        """A manifest of the files that are added, for each way of partitioning they have."""
        for spec_id in dict.fromkeys(file.spec_id for file in added):
            entries = (_entry(file, self._id) for file in added if file.spec_id == spec_id)
            yield self._manifest(spec_id, entries)

    def _kept(self, removed: Sequence[DataFile]) -> Iterator[ManifestFile]:
        """The manifests of the present snapshot that still list a file, without those that are removed."""
        gone = {file.file_path for file in removed}
        for manifest in self._parent.manifests(self._table.io) if self._parent is not None else ():
            if not (manifest.has_added_files() or manifest.has_existing_files()):
                continue  # it lists only what an earlier snapshot removed
            if not gone or manifest.content is not ManifestContent.DATA:
                yield manifest
                continue
            entries = entries_of(manifest, self._table.io)
            here = {entry.data_file.file_path for entry in entries} & gone
            gone -= here
            yield self._manifest(manifest.partition_spec_id, self._without(entries, here)) if here else manifest
        if gone:
            raise ValueError(f"The table's snapshot does not list {sorted(gone)[0]}.")

    def _without(self, entries: Iterable[ManifestEntry], removed: Collection[str]) -> Iterator[ManifestEntry]:
        for entry in entries:
            if entry.data_file.file_path in removed:
                yield _entry_again(entry, ManifestEntryStatus.DELETED, self._id)
            else:
                yield _entry_again(entry, ManifestEntryStatus.EXISTING, entry.snapshot_id)

    def _merged(self, manifests: list[ManifestFile]) -> list[ManifestFile]:
        """The same files in fewer manifests, when there are enough of one size: the smallest such size at a time.

        Each entry is thus rewritten once per size, and a table of n files has about 7 log8(n) manifests.
        """
        sizes: dict[tuple[int, int], list[ManifestFile]] = {}
        for manifest in manifests:
            if manifest.content is ManifestContent.DATA and not _new(manifest):
                size = (_count(manifest).bit_length() - 1) // 3
                sizes.setdefault((size, manifest.partition_spec_id), []).append(manifest)
        for (_, spec_id), alike in sorted(sizes.items(), key=lambda item: item[0]):
            if len(alike) >= _FAN and sum(map(_count, alike)) <= _MOST_ENTRIES:
                entries = (
                    _entry_again(entry, ManifestEntryStatus.EXISTING, entry.snapshot_id)
                    for manifest in alike
                    for entry in entries_of(manifest, self._table.io)
                )
                one = self._manifest(spec_id, entries)
                paths = {manifest.manifest_path for manifest in alike}
                return [one, *(manifest for manifest in manifests if manifest.manifest_path not in paths)]
        return manifests

    def _manifest(self, spec_id: int, entries: Iterable[ManifestEntry]) -> ManifestFile:
        with write_manifest(
            format_version=self._metadata.format_version,
            spec=self._metadata.specs()[spec_id],
            schema=self._metadata.schema(),
            output_file=self._table.io.new_output(self._path(f"{self._mark}-m{len(self._files)}.avro")),
            snapshot_id=self._id,
            avro_compression=_COMPRESSION,
        ) as writer:
            for entry in entries:
                writer.add_entry(entry)
        return writer.to_manifest_file()

    def _path(self, name: str) -> str:
        path = self._table.location_provider().new_metadata_location(name)
        self._files.append(path)
        return path

    def _summary(self, added: Sequence[DataFile], removed: Sequence[DataFile], properties: dict[str, str]) -> Summary:
        metadata = self._metadata
        collected = SnapshotSummaryCollector()
        specs, schema = metadata.specs(), metadata.schema()
        for file in added:
            collected.add_file(file, schema, specs[file.spec_id])
        for file in removed:
            collected.remove_file(file, schema, specs[file.spec_id])
        operation = Operation.OVERWRITE if removed else Operation.APPEND
        before = self._parent.summary if self._parent is not None else None
        return update_snapshot_summaries(
            Summary(operation=operation, **collected.build(), **properties),
            before.additional_properties if before is not None else None,
        )


def _new(manifest: ManifestFile) -> bool:
    """Whether it was written for this snapshot; it has no sequence number yet."""
    return manifest.sequence_number < 0


def _count(manifest: ManifestFile) -> int:
    return (manifest.added_files_count or 0) + (manifest.existing_files_count or 0)


def _entry(file: DataFile, snapshot_id: int) -> ManifestEntry:
    return ManifestEntry.from_args(
        status=ManifestEntryStatus.ADDED,
        snapshot_id=snapshot_id,
        sequence_number=None,
        file_sequence_number=None,
        data_file=file,
    )


def _entry_again(entry: ManifestEntry, status: ManifestEntryStatus, snapshot_id: int | None) -> ManifestEntry:
    return ManifestEntry.from_args(
        status=status,
        snapshot_id=snapshot_id,
        sequence_number=entry.sequence_number,
        file_sequence_number=entry.file_sequence_number,
        data_file=entry.data_file,
    )
