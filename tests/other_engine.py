"""What other engines do to a table of the lake: compacting it, in a process of its own, and deleting rows by files."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from unittest.mock import patch

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat, ManifestContent, ManifestWriter, ManifestWriterV2
from pyiceberg.typedef import Record

from headgate.targets import LakeTable

_COMPACTING = """
import sys
from pyiceberg.catalog.sql import SqlCatalog
catalog = SqlCatalog("lake", uri=f"sqlite:///{sys.argv[1]}/catalog.db", warehouse=f"file://{sys.argv[1]}")
for name in sys.argv[2:]:
    table = catalog.load_table(tuple(name.split(".")))
    table.overwrite(table.scan().to_arrow())
"""


def compact(warehouse: Path, *names: str) -> None:
    """Rewrite each of the tables into one file, as PyIceberg writes it, in another process."""
    subprocess.run([sys.executable, "-c", _COMPACTING, str(warehouse), *names], check=True, timeout=120)


def delete_positions(table: LakeTable, data_file: Path, positions: Sequence[int]) -> None:
    """Delete rows of a data file by a file that lists their positions."""
    columns = [pa.array([f"file://{data_file}"] * len(positions)), pa.array(positions, pa.int64())]
    fields = [("file_path", pa.string(), 2147483546), ("pos", pa.int64(), 2147483545)]
    _delete(table, DataFileContent.POSITION_DELETES, columns, fields, None)


def delete_values(table: LakeTable, column: str, values: Sequence[int]) -> None:
    """Delete rows by a file that lists the values of one long column which they must equal."""
    field = table.schema.find_field(column).field_id
    _delete(
        table, DataFileContent.EQUALITY_DELETES, [pa.array(values, pa.int64())], [(column, pa.int64(), field)], [field]
    )


def _delete(
    table: LakeTable,
    content: DataFileContent,
    columns: list[pa.Array],
    fields: list[tuple[str, pa.DataType, int]],
    equality_ids: list[int] | None,
) -> None:
    path = table.location / "data" / f"deletes-{len(table.iceberg.snapshots())}.parquet"
    schema = pa.schema(pa.field(name, type_, metadata={"PARQUET:field_id": str(id_)}) for name, type_, id_ in fields)
    pq.write_table(pa.Table.from_arrays(columns, schema=schema), path)
    file = DataFile.from_args(
        content=content,
        file_path=f"file://{path}",
        file_format=FileFormat.PARQUET,
        partition=Record(),
        record_count=len(columns[0]),
        file_size_in_bytes=path.stat().st_size,
        equality_ids=equality_ids,
        spec_id=0,
    )
    meta = ManifestWriter._meta.fget  # type: ignore[attr-defined]
    transaction = table.iceberg.transaction()
    with (
        patch.object(ManifestWriterV2, "content", lambda _writer: ManifestContent.DELETES),
        patch.object(ManifestWriterV2, "_meta", property(lambda writer: {**meta(writer), "content": "deletes"})),
        transaction.update_snapshot().fast_append() as update,
    ):
        update.append_data_file(file)
    transaction.commit_transaction()
