"""Batches of a driver's own making, in the size that those who wait for them can hold."""

from collections.abc import Callable, Iterable, Iterator

import pyarrow as pa

from headgate.sources.sql.driver import BATCH_BYTES

__all__ = ["asked_for", "sliced"]

_FIRST, _MOST = 500, 20_000  # rows that are asked for at a time


def asked_for(fetch: Callable[[int], pa.RecordBatch | pa.Table]) -> Iterator[pa.RecordBatch]:
    """The batches of what `fetch(n)` gives, the next at most n rows; none at the end."""
    wanted = _FIRST
    while (found := fetch(wanted)).num_rows:
        yield from found.to_batches() if isinstance(found, pa.Table) else (found,)
        wanted = max(1, min(_MOST, 2 * wanted, found.num_rows * BATCH_BYTES // max(1, found.nbytes)))


def sliced(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same rows in pieces of about BATCH_BYTES, where the server says how large its own are."""
    for batch in batches:
        rows = max(1, batch.num_rows * BATCH_BYTES // max(1, batch.nbytes))
        for at in range(0, batch.num_rows, rows):
            yield batch.slice(at, rows)
