"""Iceberg tables: staging files invisibly, and one atomic commit per run.

A run's files are written under `<table>/data/<run id>/` and mean nothing until a snapshot lists them. The
commit loop is our own (PyIceberg's can land a raced run twice): refresh, look for the run id in the
snapshots, add the files, and on a conflict again. A commit whose outcome is unknown is looked up, never
repeated blindly.
"""

import random
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.io.pyarrow import (
    compute_statistics_plan,
    data_file_statistics_from_parquet_metadata,
    parquet_path_to_id_mapping,
)
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.table.metadata import TableMetadataV1

from headgate import faults
from headgate.dataplane import Breaking, unbroken
from headgate.errors import CommitConflict, SchemaMismatch, TargetError
from headgate.model.lake import RUN_ID, Column
from headgate.targets.catalog import answering, await_unlocked, file_uri, local_path, metadata_location
from headgate.targets.keys import Keys, Upsert, keys_of
from headgate.targets.landed import (
    FILES_PROPERTY,
    REJECTED_PROPERTY,
    REVERTED_PROPERTY,
    Brought,
    Landed,
    brought_of,
    landed_of,
    properties_of,
    snapshot_of,
)
from headgate.targets.layout import AS_IT_COMES, Cut, Layout, Partition, declare_order, order_id, partition_of
from headgate.targets.removal import Replacement, brought_by
from headgate.targets.retention import Retention
from headgate.targets.rewriting import Rewrite, Rewriting, live_rows, singled
from headgate.targets.schema import SchemaChange, copy_options, evolve, field_ids, fitted, lake_type, wire
from headgate.targets.snapshots import Change, next_snapshot

if TYPE_CHECKING:
    from pyiceberg.schema import Schema
    from pyiceberg.table import FileScanTask, Table
    from pyiceberg.table.metadata import TableMetadata

__all__ = ["LakeTable", "Replacement", "Staged", "Upsert"]

_TRIES = 20
_LONGEST_PAUSE = 2.0  # seconds


@dataclass(frozen=True, slots=True)
class Staged:
    """A data file that is written but not yet part of the table. Sizes are bytes."""

    path: Path
    rows: int
    size: int
    uncompressed: int
    file: DataFile


@dataclass(frozen=True, slots=True)
class _Bringing:
    """The files of a run, those of them or made of them that land, and what knows the rows whose place they take."""

    read: tuple[Staged, ...]
    landing: tuple[Staged, ...]
    replacing: Replacement | Keys | None


class LakeTable:
    """One table. `schema` is the one it had when it was looked at last.

    Files are staged for the schema that the table will have once they are committed, which `fit()` plans.
    """

    def __init__(
        self, catalog: SqlCatalog, identifier: tuple[str, ...], table: "Table", retention: Retention | None
    ) -> None:
        self._catalog = catalog
        self._database = Path(catalog.engine.url.database or "")
        self._retention = retention
        self._table = table
        self._brought: tuple[Column, ...] = ()
        self.undecided = False  # whether a commit may have landed that the catalog gave no answer to
        self.identifier = identifier
        self.schema = self._planned = table.schema()
        self._layout = AS_IT_COMES

    @property
    def name(self) -> str:
        """The table's whole name, its parts joined by dots."""
        return ".".join(self.identifier)

    @property
    def brought(self) -> tuple[Column, ...]:
        """The columns that it was last planned to hold."""
        return self._brought

    @property
    def columns(self) -> tuple[Column, ...]:
        """Its columns with their lake types."""
        return tuple(Column(field.name, lake_type(field.field_type)) for field in self.schema.fields)

    @property
    def partition(self) -> tuple[Partition, str] | None:
        """By what of which column it is partitioned; None when it is not. Raises TargetError for ways we never make."""
        return partition_of(self._table.spec(), self.schema)

    @property
    def location(self) -> Path:
        """The folder that holds it."""
        return local_path(self._table.location())

    @property
    def metadata_file(self) -> Path:
        """The metadata file that describes its present state."""
        return local_path(self._table.metadata_location)

    @property
    def iceberg(self) -> "Table":
        """PyIceberg's view of the state it was last seen in."""
        return self._table

    @property
    def snapshot_id(self) -> int | None:
        """The present snapshot; None while nothing was committed."""
        snapshot = self._table.current_snapshot()
        return snapshot.snapshot_id if snapshot else None

    @property
    def shortened(self) -> bool:
        """Whether snapshots may have gone from its history: each has a number, except in the format's version 1."""
        metadata = self._table.metadata
        return isinstance(metadata, TableMetadataV1) or len(metadata.snapshots) < metadata.last_sequence_number

    def brought_by_runs(self) -> list[Brought]:
        """The runs whose rows its snapshots brought, the oldest first; none that was reverted since."""
        return brought_of(self._table)

    # -- reading ---------------------------------------------------------------------------------

    def rows_of(self, connection: duckdb.DuckDBPyConnection, task: "FileScanTask") -> str:
        """The live rows of one data file as DuckDB sees them, with the table's present columns."""
        return live_rows(connection, task, self.schema, self.metadata_file)

    # -- staging ---------------------------------------------------------------------------------

    def staging(self, run_id: str) -> Path:
        """The folder of a run's data files."""
        return self.location / "data" / run_id

    def fit(self, columns: tuple[Column, ...], layout: Layout = AS_IT_COMES) -> None:
        """Plan for the table to hold `columns`, which their commit brings about, in files of this `layout`.

        Raises SchemaMismatch.
        """
        change = Change(self._table)
        evolve(change, self.name, columns)
        self._brought, self._planned, self._layout = columns, change.table_metadata.schema(), layout
        if layout.partition is not None and (held := self.partition) != (layout.partition, layout.delta):
            is_ = f"partitioned by the {held[0]} of {held[1]!r}" if held is not None else "not partitioned"
            raise SchemaMismatch(
                f"The table {self.name} is {is_}, the target connection asks for the {layout.partition} of "
                f"{layout.delta!r}. Make a target connection without params.partitionBy, or use a new dataset.",
                column=layout.delta,
            )
        self._declare_order()

    def fitted(self, columns: tuple[Column, ...]) -> str:
        """What DuckDB selects from rows of `columns` so that they have the planned types; no value changes."""
        return fitted(self._planned, columns)

    def copy_options(self, names: tuple[str, ...]) -> str:
        """What follows COPY … TO … so that a file with the columns `names` belongs to this table."""
        return copy_options(self._planned, names)

    def write(
        self, connection: duckdb.DuckDBPyConnection, query: str, names: tuple[str, ...], path: Path
    ) -> tuple[Staged, ...]:
        """Write the rows of `query`, which has the columns `names`, to `path` or to files named after it.

        A file without rows is not kept.
        """
        written = Cut(self._planned, self._table.spec(), self._layout).write(connection, query, names, path)
        staged = tuple(map(self.stage, written))
        for file in staged:
            if file.rows == 0:
                file.path.unlink()
        return tuple(file for file in staged if file.rows)

    def stage(self, path: Path) -> Staged:
        """Take up a Parquet file written with `copy_options()`, reading only its footer."""
        return self.take_up(path, self._planned, order_id=self._order_id)

    def take_up(
        self, path: Path, schema: "Schema", *, like: DataFile | None = None, order_id: int | None = None
    ) -> Staged:
        """As `stage()`, for a file written for another `schema` of the table, in the partition of the file `like`."""
        spec = self._table.spec()
        footer = pq.read_metadata(path)
        statistics = data_file_statistics_from_parquet_metadata(
            parquet_metadata=footer,
            stats_columns=compute_statistics_plan(schema, self._table.properties),
            parquet_column_mapping=parquet_path_to_id_mapping(schema),
        )
        size = path.stat().st_size
        file = DataFile.from_args(
            content=DataFileContent.DATA,
            file_path=file_uri(path),
            file_format=FileFormat.PARQUET,
            partition=like.partition if like is not None else statistics.partition(spec, schema),
            file_size_in_bytes=size,
            sort_order_id=order_id,
            equality_ids=None,
            key_metadata=None,
            **statistics.to_serialized_dict(),
        )
        file.spec_id = like.spec_id if like is not None else spec.spec_id
        uncompressed = sum(footer.row_group(index).total_byte_size for index in range(footer.num_row_groups))
        return Staged(path, footer.num_rows, size, uncompressed, file)

    def sweep(self, run_id: str, *, prefix: str = "", keep: Collection[str] = ()) -> None:
        """Delete what a run has staged and no snapshot lists, but the files of the names to `keep`.

        Only files whose names begin with `prefix`. Those of another attempt may only be swept once the run's rows have
        landed or never will: until then another worker could still commit them.
        """
        folder = self.staging(run_id)
        if not folder.exists():
            return
        found = [
            path
            for path in sorted(folder.rglob("*"), reverse=True)  # what is in a folder comes before it
            if (name := str(path.relative_to(folder))).startswith(prefix) and name not in keep
        ]
        landed = set(self._landed_files(run_id)) if found else set()
        for path in found:
            if path.is_dir():
                _remove_empty(path)
            elif path not in landed:
                path.unlink(missing_ok=True)
                faults.point("cleanup.mid")
        if not prefix:  # else another attempt may be about to write into it
            _remove_empty(folder)

    @property
    def _order_id(self) -> int | None:
        """The table's name for the order that files are written in; None when it has none."""
        return order_id(self._table, self._layout.order(self._planned))

    def _declare_order(self) -> None:
        """Have the table name the order that files are written in, once it has the columns. Raises CommitConflict."""
        order = self._layout.order(self._planned)
        for tried in range(_TRIES):
            columns = [self.schema.find_column_name(field.source_id) for field in order.fields]
            if not columns or None in columns or order_id(self._table, order) is not None:
                return
            try:
                with answering():
                    declare_order(self._table, order)
            except CommitFailedException:
                _pause(tried)
            self._refresh()
        raise CommitConflict(f"The table {self.name} was changed by others {_TRIES} times in a row.")

    # -- committing ------------------------------------------------------------------------------

    def landed(self, run_id: str) -> Landed | None:
        """How a run's rows landed, None when they have not.

        Where another engine took the run's snapshot away, the rows themselves say it, by their run id.
        """
        landed = landed_of(self._refresh(), run_id)
        return landed if landed is not None or not self.shortened else self._present(run_id)

    def commit(
        self,
        run_id: str,
        staged: Iterable[Staged],
        replacement: Replacement | Upsert | None,
        *,
        summary: dict[str, str],
        prefix: str,
        confirm: Callable[[], None],
        breaking: Breaking = unbroken,
    ) -> Landed:
        """Make the staged files part of the table, in place of the rows of `replacement`, as one snapshot.

        `summary` goes into the snapshot's; `prefix` begins the names of files written here. `confirm` is
        called before every try; what it raises ends the commit with nothing landed. `breaking` is given what breaks
        the work off. Raises CommitConflict when other writers stayed ahead, TargetError.
        """
        staged = tuple(staged)
        with _rewriting_files(self.name):
            if not isinstance(replacement, Upsert):
                return self._land(run_id, _Bringing(staged, staged, replacement), summary, prefix, confirm, breaking)
            if not staged:  # there is no key to replace
                return self._land(run_id, _Bringing(staged, staged, None), summary, prefix, confirm, breaking)
            with keys_of(replacement, [file.path for file in staged], self.staging(run_id), breaking) as keys:
                bringing = _Bringing(staged, singled(self, keys, staged, prefix), keys)
                return self._land(run_id, bringing, summary, prefix, confirm, breaking)

    def _land(
        self,
        run_id: str,
        bringing: "_Bringing",
        summary: dict[str, str],
        prefix: str,
        confirm: Callable[[], None],
        breaking: Breaking,
    ) -> Landed:
        rewriting = Rewriting(self, self.staging(run_id), prefix, breaking)
        for tried in range(_TRIES):
            await_unlocked(self._database, breaking)
            table = self._refresh()
            if (landed := landed_of(table, run_id)) is not None:
                return landed
            removal = bringing.replacing.removal(self.schema) if bringing.replacing is not None else None
            replaced = rewriting.without(removal) if removal is not None else ()
            await_unlocked(self._database, breaking)
            confirm()
            try:
                return self._try(table, run_id, bringing, replaced, summary)
            except CommitFailedException:
                _pause(tried)
            except Exception:
                # The reply was lost, so the outcome is unknown: only the table can say.
                if (landed := self.landed(run_id)) is not None:
                    return landed
                raise
        raise CommitConflict(f"The table {self.name} was changed by others {_TRIES} times in a row.")

    def overtake(self, run_id: str, *, confirm: Callable[[], None]) -> Landed | None:
        """Move the table on, so that a commit which an earlier attempt has under way must fail.

        For a run that is to end without rows although a worker of it was lost. How its rows landed, if they had.
        """
        for tried in range(_TRIES):
            table = self._refresh()
            if (landed := landed_of(table, run_id)) is not None:
                return landed
            confirm()
            try:
                # An empty snapshot moves the table on.
                self._swap(table, Change(table), (), (), {"headgate.given-up-run-id": run_id})
            except CommitFailedException:
                _pause(tried)
            else:
                return None
        raise CommitConflict(f"The table {self.name} was changed by others {_TRIES} times in a row.")

    def revert(self, run_id: str) -> None:
        """Take the rows of a run out of the table, in one snapshot; nothing happens when none are there.

        Raises CommitConflict when other writers stayed ahead.
        """
        folder = self.staging(f"reverted-{run_id}")  # not the run's own folder, which is swept by its own snapshot
        rewriting = Rewriting(self, folder, "", unbroken)
        for tried in range(_TRIES):
            table = self._refresh()
            gone = rewriting.without(brought_by(run_id, self.schema))
            if not gone:
                return
            try:
                self._swap(table, Change(table), (), gone, {REVERTED_PROPERTY: run_id})
            except CommitFailedException:
                _pause(tried)
            else:
                return
        raise CommitConflict(f"The table {self.name} was changed by others {_TRIES} times in a row.")

    def _try(
        self,
        table: "Table",
        run_id: str,
        bringing: "_Bringing",
        replaced: tuple[Rewrite, ...],
        summary: dict[str, str],
    ) -> Landed:
        staged = bringing.landing
        keys = bringing.replacing if isinstance(bringing.replacing, Keys) else None
        figures = {
            "read_rows": sum(file.rows for file in bringing.read),
            "rows": sum(file.rows for file in staged),
            "files": len(staged),
            "size": sum(file.size for file in staged),
            "uncompressed": sum(file.uncompressed for file in staged),
            "replaced_rows": sum(rewrite.removed for rewrite in replaced),
            "updated_rows": keys.updated(rewrite.name for rewrite in replaced) if keys else 0,
        }
        change = Change(table)
        changes = tuple(wire(self._evolve(change)))
        properties = {**properties_of(run_id, figures, changes), **summary}
        snapshot_id = self._swap(table, change, staged, replaced, properties)
        figures["rejected_rows"] = int(summary.get(REJECTED_PROPERTY, "0"))
        fence = int(summary[FILES_PROPERTY]) if FILES_PROPERTY in summary else None
        return Landed(snapshot_id, changes, **figures, files_fence=fence)

    def _evolve(self, change: Change) -> tuple[SchemaChange, ...]:
        """Have `change` give the table what the run's columns need.

        Raises CommitConflict when the staged files were written for columns that the table does not get.
        """
        changes = evolve(change, self.name, self._brought) if self._brought else ()
        names = tuple(column.name for column in self._brought)
        if field_ids(change.table_metadata.schema(), names) != field_ids(self._planned, names):
            raise CommitConflict(f"The columns of the table {self.name} were changed while the run was reading.")
        return changes

    def _swap(
        self,
        table: "Table",
        change: Change,
        staged: tuple[Staged, ...],
        replaced: tuple[Rewrite, ...],
        properties: dict[str, str],
    ) -> int:
        """Make one snapshot the table's present one, with what else `change` holds, asking the catalog once; its id.

        A conflict that is reported may have landed all the same, and then needs its files; so the table is looked at
        before they are deleted.
        """
        kept = [rewrite.kept.file for rewrite in replaced if rewrite.kept is not None]
        made = next_snapshot(
            change,
            added=[*kept, *(file.file for file in staged)],
            removed=[rewrite.original for rewrite in replaced],
            properties=properties,
            retention=self._retention,
        )
        faults.point("commit.before")
        self.undecided = True
        try:
            with answering():
                changed = self._catalog.commit_table(table, made.requirements, made.updates)
            faults.point("commit.after_catalog")
        except (CommitFailedException, ValueError) as error:
            present = {snapshot.snapshot_id for snapshot in self._refresh().snapshots()}
            if made.id not in present:
                self.undecided = False
                made.discard(table)
                if isinstance(error, ValueError) and not present.issuperset(made.expired):
                    raise CommitFailedException("Another engine has expired the same snapshots.") from error
                raise
        else:
            _delete_old_metadata(table, changed.metadata)
        self.undecided = False
        return made.id

    def _refresh(self) -> "Table":
        with answering():
            if (location := metadata_location(self._database, self.identifier)) is None:
                raise TargetError(f"The table {self.name} was dropped meanwhile. The next run makes it anew.")
            if location != self._table.metadata_location:
                known, self._table = self._table, self._catalog.load_table(self.identifier)
                if self._table.metadata.table_uuid != known.metadata.table_uuid:
                    raise TargetError(f"The table {self.name} was dropped meanwhile, and made anew. Run this again.")
        self.schema = self._table.schema()
        return self._table

    def _present(self, run_id: str) -> Landed | None:
        """The rows of a run that the table holds, as if its present snapshot had brought them."""
        if self.snapshot_id is None or RUN_ID not in self.schema.column_names:
            return None
        removal = brought_by(run_id, self.schema)
        held: list[tuple[FileScanTask, int]] = []
        with removal.opened() as connection:
            for task in self._table.scan(row_filter=removal.expression).plan_files():
                found = self.rows_of(connection, task)
                if rows := removal.count(connection, task.file.file_path, found, task.file):
                    held.append((task, rows))
        if not held:
            return None
        size = sum(task.file.file_size_in_bytes for task, _ in held)
        rows = sum(rows for _, rows in held)
        return Landed(
            self.snapshot_id, (), rows, len(held), size, size, replaced_rows=0, read_rows=rows, updated_rows=0
        )

    def _landed_files(self, run_id: str) -> Iterator[Path]:
        """The data files of a run that snapshots list, and others they list beside them."""
        table = self._refresh()
        own = snapshot_of(table, run_id)
        if own is None and not self.shortened:
            return  # it has not landed
        manifests = {
            manifest.manifest_path: manifest
            for snapshot in (table.snapshots() if own is None else (own,))
            for manifest in snapshot.manifests(table.io)
            if own is None or manifest.added_snapshot_id == own.snapshot_id
        }
        for manifest in manifests.values():
            for entry in manifest.fetch_manifest_entry(table.io):
                yield local_path(entry.data_file.file_path)


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):  # it holds files that landed
        folder.rmdir()


def _pause(tried: int) -> None:
    time.sleep(random.uniform(0, min(_LONGEST_PAUSE, 0.02 * 2**tried)))  # noqa: S311 - jitter


@contextmanager
def _rewriting_files(table: str) -> Iterator[None]:
    try:
        yield
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        raise TargetError(f"Files of the table {table} cannot be read or written: {error}") from error


def _delete_old_metadata(table: "Table", metadata: "TableMetadata") -> None:
    """Delete the descriptions of earlier states that `metadata` no longer tells of."""
    known = {entry.metadata_file for entry in metadata.metadata_log}
    for entry in table.metadata.metadata_log:
        if entry.metadata_file not in known:
            local_path(entry.metadata_file).unlink(missing_ok=True)
