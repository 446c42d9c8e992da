"""How rows become the files of a table: parted as the table is partitioned, in order, and of about one size."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import duckdb
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table.sorting import NullOrder, SortDirection, SortField, SortOrder
from pyiceberg.transforms import DayTransform, IdentityTransform, MonthTransform
from pyiceberg.types import DateType, NestedField, TimestampType, TimestamptzType

from headgate.dataplane import literal, quote
from headgate.errors import SchemaMismatch, TargetError
from headgate.targets.schema import copy_options

if TYPE_CHECKING:
    from pyiceberg.table import Table

__all__ = ["AS_IT_COMES", "Cut", "Layout", "Partition", "declare_order", "order_id", "partition_of"]

Partition = Literal["day", "month"]

_TRANSFORMS: dict[Partition, DayTransform[int] | MonthTransform[int]] = {
    "day": DayTransform(),
    "month": MonthTransform(),
}
_TIMES = (DateType, TimestampType, TimestamptzType)
_FIRST_PARTITION_FIELD = 1000
_MEGABYTE = 1_000_000
_TOO_LARGE = 1.5  # times the size asked for, from which a partition's file is cut


@dataclass(frozen=True, slots=True)
class Layout:
    """What a target connection asks of a table's files.

    They are parted by the `partition` of the values in the column `delta`, hold their rows in the order of the columns
    `sort`, and are of about `megabytes`. Rows of a partition are in the order of `delta` unless others are named.
    """

    partition: Partition | None = None
    delta: str = ""
    sort: tuple[str, ...] = ()
    megabytes: int | None = None

    @property
    def ordered_by(self) -> tuple[str, ...]:
        """The columns that order the rows of a file."""
        return self.sort or ((self.delta,) if self.partition is not None else ())

    def spec(self, schema: Schema) -> PartitionSpec:
        """How a new table of `schema` is partitioned. Raises SchemaMismatch."""
        if self.partition is None:
            return PartitionSpec()
        field = _field(schema, self.delta, "partitionBy")
        if not isinstance(field.field_type, _TIMES):
            raise SchemaMismatch(
                f"params.partitionBy of the target connection is {self.partition!r}, but the delta column "
                f"{self.delta!r} is of the type {field.field_type}, not a date or a timestamp. Choose another delta "
                "column, or make a target connection without partitionBy.",
                column=self.delta,
            )
        name = f"{self.delta}_{self.partition}"
        taken = {each.name for each in schema.fields}
        while name in taken:
            name = f"_{name}"
        transform = _TRANSFORMS[self.partition]
        return PartitionSpec(PartitionField(field.field_id, _FIRST_PARTITION_FIELD, transform, name))

    def order(self, schema: Schema) -> SortOrder:
        """The order of rows in the files of a table of `schema`. Raises SchemaMismatch."""
        fields = [_field(schema, name, "sortBy") for name in self.ordered_by]
        for field in fields:
            if not field.field_type.is_primitive:
                raise SchemaMismatch(
                    f"params.sortBy of the target connection names {field.name!r}, which is of the type "
                    f"{field.field_type} and has no order. Name other columns in a new target connection.",
                    column=field.name,
                )
        return SortOrder(
            *(
                SortField(field.field_id, IdentityTransform(), SortDirection.ASC, NullOrder.NULLS_FIRST)
                for field in fields
            )
        )


AS_IT_COMES = Layout()


def order_id(table: "Table", order: SortOrder) -> int | None:
    """The table's number for an order; None for no order, and for one that it does not name."""
    known = (id_ for id_, each in table.sort_orders().items() if each.fields == order.fields)
    return next(known, None) if order.fields else None


def declare_order(table: "Table", order: SortOrder) -> None:
    """Have the table name an order, by a change of its own."""
    schema = table.schema()
    with table.update_sort_order() as update:
        for field in order.fields:
            update.asc(schema.find_column_name(field.source_id) or "", field.transform, field.null_order)


def partition_of(spec: PartitionSpec, schema: Schema) -> tuple[Partition, str] | None:
    """The transform and the column that a table is partitioned by; None when it is not.

    Raises TargetError when it is in a way that Headgate never makes.
    """
    if spec.is_unpartitioned():
        return None
    if len(spec.fields) == 1:
        [field] = spec.fields
        for partition, transform in _TRANSFORMS.items():
            if field.transform == transform:
                return partition, schema.find_column_name(field.source_id) or ""
    fields = ", ".join(f"{field.transform}({schema.find_column_name(field.source_id)})" for field in spec.fields)
    raise TargetError(
        f"The table is partitioned by {fields}, for which Headgate cannot write files. Have the engine that made it so "
        "take that back, or use a new dataset."
    )


@dataclass(frozen=True, slots=True)
class Cut:
    """Writes the files of a table of `schema`, partitioned by `spec`."""

    schema: Schema
    spec: PartitionSpec
    layout: Layout

    def write(
        self, connection: duckdb.DuckDBPyConnection, query: str, names: tuple[str, ...], path: Path
    ) -> tuple[Path, ...]:
        """Write the rows of `query`, which has the columns `names`, to `path` or to files named after it.

        Which files that were; there may be none.
        """
        partition = partition_of(self.spec, self.schema)
        if partition is not None and partition[1] in names:
            return tuple(self._parted(connection, query, names, path, _value(*partition, self.schema)))
        ordered = self._ordered(query, names)
        if self.layout.megabytes is None:
            connection.execute(f"COPY ({ordered}) TO {literal(str(path))} {copy_options(self.schema, names)}")
            return (path,)
        return tuple(self._sized(connection, ordered, names, path))

    def _parted(
        self, connection: duckdb.DuckDBPyConnection, query: str, names: tuple[str, ...], path: Path, value: str
    ) -> Iterator[Path]:
        """A file for each partition, cut where it is too large.

        The rows are sorted: DuckDB keeps the rows of all partitions in memory that it has seen any of.
        """
        mark = quote("_headgate_partition")
        ordered = self._ordered(f"SELECT *, {value} AS {mark} FROM ({query})", names, first=mark)
        options = copy_options(self.schema, names, f"PARTITION_BY ({mark})")
        for whole in _folder_written(connection, ordered, path, options):
            if self.layout.megabytes is None or whole.stat().st_size <= self.layout.megabytes * _MEGABYTE * _TOO_LARGE:
                yield whole
                continue
            rows = self._ordered(f"FROM read_parquet({literal(str(whole))})", names)
            yield from self._sized(connection, rows, names, whole)
            whole.unlink()

    def _sized(
        self, connection: duckdb.DuckDBPyConnection, query: str, names: tuple[str, ...], path: Path
    ) -> Iterator[Path]:
        size = (self.layout.megabytes or 0) * _MEGABYTE
        options = copy_options(self.schema, names, f"FILE_SIZE_BYTES {size}")
        return _folder_written(connection, query, path, options)

    def _ordered(self, query: str, names: Sequence[str], first: str | None = None) -> str:
        order = [quote(name) for name in self.layout.ordered_by if name in names]
        if first is not None and self.layout.ordered_by[:1] != (self.layout.delta,):
            order.insert(0, first)
        keys = ", ".join(f"{column} NULLS FIRST" for column in order)
        return f"SELECT * FROM ({query}) ORDER BY {keys}" if order else query


def _folder_written(connection: duckdb.DuckDBPyConnection, query: str, path: Path, options: str) -> Iterator[Path]:
    """Have DuckDB write files into a folder, and move them beside it: their names must say nothing of partitions."""
    folder = path.with_suffix("")
    shutil.rmtree(folder, ignore_errors=True)  # of an earlier try
    connection.execute(f"COPY ({query}) TO {literal(str(folder))} {options}")
    for number, file in enumerate(sorted(folder.glob("**/*.parquet"))):
        yield file.rename(path.with_name(f"{path.stem}-{number}.parquet"))
    shutil.rmtree(folder)


def _field(schema: Schema, name: str, parameter: str) -> NestedField:
    found = next((field for field in schema.fields if field.name == name), None)
    if found is None:
        raise SchemaMismatch(
            f"params.{parameter} of the target connection needs the column {name!r}, which does not land. Name others "
            f"in a new target connection, of: {', '.join(field.name for field in schema.fields)}.",
            column=name,
        )
    return found


def _value(partition: Partition, column: str, schema: Schema) -> str:
    """What DuckDB parts rows by: the first day of the partition, in UTC."""
    name = quote(column)
    plain = name if isinstance(schema.find_type(column), DateType) else f"make_timestamp(epoch_us({name}))"
    return f"CAST(date_trunc('{partition}', {plain}) AS DATE)"
