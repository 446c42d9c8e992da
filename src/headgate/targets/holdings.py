"""Which files a lake consists of: the states of its tables that a catalog names, and all that those states list."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from headgate.errors import TargetUnavailable
from headgate.targets.catalog import NAME, local_path

__all__ = ["files_of", "tables_in"]


def tables_in(catalog: Path) -> dict[tuple[str, ...], Path]:
    """The file that describes the present state of each table that the catalog in this file knows.

    Raises TargetUnavailable.
    """
    try:
        with closing(sqlite3.connect(catalog)) as connection:
            rows = connection.execute(
                "SELECT table_namespace, table_name, metadata_location FROM iceberg_tables WHERE catalog_name = ?",
                (NAME,),
            ).fetchall()
    except sqlite3.Error as error:
        raise TargetUnavailable(f"The lake's catalog {catalog} cannot be read: {error}") from error
    return {(*namespace.split("."), name): local_path(location) for namespace, name, location in rows if location}


def files_of(metadata_file: Path) -> Iterator[Path]:
    """The file itself, and every file that the table's snapshots list in the state that it describes.

    Raises FileNotFoundError when one that tells of others is gone.
    """
    from pyiceberg.table import StaticTable  # here, since most who load this module do not need it

    table = StaticTable.from_metadata(str(metadata_file))
    metadata = table.metadata
    yield metadata_file
    for each in (*metadata.statistics, *metadata.partition_statistics):
        yield local_path(each.statistics_path)
    seen: set[str] = set()
    for snapshot in metadata.snapshots:
        yield local_path(snapshot.manifest_list)
        for manifest in snapshot.manifests(table.io):
            if manifest.manifest_path in seen:
                continue
            seen.add(manifest.manifest_path)
            yield local_path(manifest.manifest_path)
            for entry in manifest.fetch_manifest_entry(table.io):
                yield local_path(entry.data_file.file_path)
