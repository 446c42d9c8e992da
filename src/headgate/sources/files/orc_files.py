"""ORC, as Parquet, some rows at a time."""

from collections.abc import Iterator

import pyarrow as pa

from headgate.errors import UnreadableRecord, UnsupportedType
from headgate.sources.files.rewriting import as_parquet

__all__ = ["MAGIC", "decoded"]

MAGIC = b"ORC"
_ROWS = 50_000


def decoded(path: str, name: str, *, most: int | None = None) -> Iterator[bytes]:
    """The ORC file at `path` as Parquet; no more than its first `most` records or so, if that is given.

    `name` is what errors call it. Raises UnreadableRecord, UnsupportedType, OSError.
    """
    from pyarrow import orc  # both imports take 40 MB of memory: only for such files

    try:
        schema = orc.ORCFile(path).schema
    except (pa.ArrowException, OSError) as error:
        raise _told(error, name) from None
    for field in schema:
        if pa.types.is_union(field.type):
            raise UnsupportedType(
                f"{name} has the column {field.name!r}, a union, which the lake cannot hold.", path=name
            )
    return as_parquet(_batches(path, name, most), schema)


def _batches(path: str, name: str, most: int | None) -> Iterator[pa.RecordBatch]:
    from pyarrow import dataset, fs

    seen = 0
    try:
        fragment = dataset.OrcFileFormat().make_fragment(path, fs.LocalFileSystem())
        for batch in fragment.to_batches(batch_size=_ROWS, batch_readahead=1, use_threads=False):
            yield batch
            seen += batch.num_rows
            if most is not None and seen >= most:
                return
    except (pa.ArrowException, OSError) as error:
        raise _told(error, name) from None


def _told(error: Exception, name: str) -> Exception:
    """The error of our tree for what pyarrow says; what the system says stays as it is."""
    if isinstance(error, OSError) and error.errno is not None:
        return error
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return UnreadableRecord(f"{name} is not a readable ORC file: {reason[:300]}", path=name)
