"""Data files read row by row and written again without some of their rows."""

import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg import types as iceberg

from headgate import dataplane
from headgate.dataplane import Breaking, literal, quote
from headgate.errors import TargetError
from headgate.targets.keys import Keys
from headgate.targets.manifests import planned_files
from headgate.targets.removal import Removal
from headgate.targets.schema import copy_options, lake_type

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile
    from pyiceberg.schema import Schema
    from pyiceberg.table import FileScanTask

    from headgate.targets.iceberg import LakeTable, Staged

__all__ = ["Rewrite", "Rewriting", "live_rows", "singled"]

_DATA_FILE = "_headgate_data_file"  # a column of its own: a table may have a `filename`


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A data file to take away, how many of its rows go, and the file that keeps the others.

    `name` is what the file in its present state is known by.
    """

    name: str
    original: "DataFile"
    removed: int
    kept: "Staged | None"


class Rewriting:
    """Writes files of a table again for one commit. A file that stays the same from one try to the next is kept.

    They go into `folder`, under names that begin with `prefix`. `breaking` is given what breaks the work off.
    """

    def __init__(self, table: "LakeTable", folder: Path, prefix: str, breaking: Breaking) -> None:
        self._table = table
        self._folder = folder
        self._prefix = prefix
        self._breaking = breaking
        self._known: dict[str, Rewrite] = {}

    def without(self, removal: Removal) -> tuple[Rewrite, ...]:
        """The table's files that hold rows of `removal`, each with the file that keeps its other rows.

        Raises TargetError.
        """
        return tuple(rewrite for rewrite in self._looked_at(removal) if rewrite.removed)

    def _looked_at(self, removal: Removal) -> Iterator[Rewrite]:
        for task in self._planned(removal):
            deletes = sorted(delete.file_path for delete in task.delete_files)
            name = "\n".join((str(self._table.schema.schema_id), task.file.file_path, *deletes))
            if name not in self._known:
                self._known[name] = self._rewritten(task, name, removal)
            yield self._known[name]

    def _planned(self, removal: Removal) -> "Iterable[FileScanTask]":
        """The files that may hold rows of `removal`, with those that delete rows of them."""
        try:
            return tuple(planned_files(self._table.iceberg, removal.expression))
        except ValueError as error:
            if "equality deletes" not in str(error):
                raise
            raise TargetError(
                f"Another engine deleted rows of the table {self._table.name} by their values (equality deletes), "
                "which cannot be read here. Have that engine rewrite the table's data files, then send the run again."
            ) from error

    def _rewritten(self, task: "FileScanTask", name: str, removal: Removal) -> Rewrite:
        if removal.takes_none(task.file):
            return Rewrite(name, task.file, 0, None)
        if not task.delete_files and removal.takes_all(task.file):
            return Rewrite(name, task.file, task.file.record_count, None)
        schema = self._table.schema
        columns = tuple(field.name for field in schema.fields)
        path = self._folder / f"{self._prefix}kept-{len(self._known)}-{secrets.token_hex(4)}.parquet"
        with removal.opened() as connection, self._breaking(connection.interrupt):
            rows = self._table.rows_of(connection, task)
            removed = removal.count(connection, name, rows, task.file)
            if removed in (0, task.file.record_count):
                return Rewrite(name, task.file, removed, None)
            path.parent.mkdir(parents=True, exist_ok=True)
            connection.execute(
                f"COPY (SELECT {', '.join(map(quote, columns))} FROM {removal.kept(name, rows)}) "
                f"TO {literal(str(path))} {copy_options(schema, columns)}"
            )
        kept = self._table.take_up(path, schema, like=task.file)
        return Rewrite(name, task.file, removed, kept if kept.rows else None)


def singled(table: "LakeTable", keys: Keys, staged: tuple["Staged", ...], prefix: str) -> tuple["Staged", ...]:
    """The staged rows of a run with one row of each key: those that others of the run replace are left out."""
    if not keys.repeated:
        return staged
    names = tuple(column.name for column in table.brought)

    def written(query: str) -> tuple["Staged", ...]:
        path = staged[0].path.with_name(f"{prefix}single-{secrets.token_hex(4)}.parquet")
        return table.write(keys.connection, query, names, path)

    single: list[Staged] = []
    for file in staged:
        rows = f"read_parquet({literal(str(file.path))})"
        again = keys.repeats(rows)
        single += written(f"SELECT {', '.join(map(quote, names))} FROM {keys.single(rows)}") if again else (file,)
    return (*single, *written(keys.last(names)))


def live_rows(
    connection: duckdb.DuckDBPyConnection, task: "FileScanTask", schema: "Schema", metadata_file: Path
) -> str:
    """A FROM clause for the rows of one data file that are still there, with the columns of `schema`."""
    path = task.file.file_path.removeprefix("file://")
    if not task.delete_files and _readable_by_id(pq.read_schema(path), schema):
        columns = ", ".join(
            f"{field.field_id}: {{name: {literal(field.name)}, "
            f"type: {literal(lake_type(field.field_type).sql)}, default_value: NULL}}"
            for field in schema.fields
        )
        return f"read_parquet({literal(path)}, schema=MAP {{{columns}}})"
    # What other engines bring, deletes, names for files without ids, renamed members: DuckDB's Iceberg extension knows
    # all of it, but opens every file.
    for extension in ("avro", "iceberg"):
        dataplane.load(connection, extension)
    scan = f"iceberg_scan({literal(str(metadata_file))}, filename = {literal(_DATA_FILE)})"
    return f"(SELECT * EXCLUDE ({_DATA_FILE}) FROM {scan} WHERE {_DATA_FILE} = {literal(task.file.file_path)})"


def _readable_by_id(file: pa.Schema, schema: "Schema") -> bool:
    """Whether DuckDB finds the columns of `schema` in a file by their ids; members of structs it finds by name."""
    if not all(b"PARQUET:field_id" in (field.metadata or {}) for field in file):
        return False
    members = dict(_members(field.field_type for field in schema.fields))
    return all(members.get(id_) == name for id_, name in _members_in_file(field.type for field in file))


def _members(types: Iterable[iceberg.IcebergType]) -> Iterator[tuple[int, str]]:
    """The ids and names of the members of structs, at any depth."""
    for type_ in types:
        if isinstance(type_, iceberg.ListType):
            yield from _members((type_.element_type,))
        elif isinstance(type_, iceberg.StructType):
            yield from ((field.field_id, field.name) for field in type_.fields)
            yield from _members(field.field_type for field in type_.fields)


def _members_in_file(types: Iterable[pa.DataType]) -> Iterator[tuple[int, str]]:
    for type_ in types:
        if pa.types.is_list(type_) or pa.types.is_large_list(type_):
            yield from _members_in_file((type_.value_type,))
        elif pa.types.is_struct(type_):
            fields = [type_.field(number) for number in range(type_.num_fields)]
            yield from ((_id(field.metadata), field.name) for field in fields)
            yield from _members_in_file(field.type for field in fields)


def _id(metadata: Mapping[bytes, bytes] | None) -> int:
    return int((metadata or {}).get(b"PARQUET:field_id", b"-1"))
