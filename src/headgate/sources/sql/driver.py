"""What reads a database that DuckDB cannot scan itself: sessions that answer queries with Arrow batches."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import pyarrow as pa

from headgate.errors import HeadgateError

__all__ = ["BATCH_BYTES", "Driver", "Session"]

BATCH_BYTES = 1 << 20
"""About so large is a batch; up to sixteen wait to be written."""


class Session(Protocol):
    """An open session with a database, which only reads.

    One thread uses it at a time, but for `cancel()`, and not always the same one.
    """

    def rows(self, query: str) -> Sequence[Sequence[Any]]:
        """The whole answer to a query about the catalogue, or one that answers a few rows."""

    def batches(self, query: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """The answer in batches of about BATCH_BYTES, never all of it in memory.

        Its columns are those of `schema`, by position, in its types or in others that Arrow casts to them without
        loss; `rows.batches_of()` makes them of Python's values.
        """

    def cancel(self) -> None:
        """Have the database stop what it does for this session; from any thread, repeatedly, whatever it does."""

    def close(self) -> None:
        """End the session; again does nothing."""


class Driver(Protocol):
    """How one system is reached with one connection's parameters."""

    @property
    def secrets(self) -> Sequence[str]:
        """What must not stand in an error: passwords, in every spelling that the driver may repeat."""

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """What its library raises."""

    def connect(self) -> Session:
        """A new session, in at most ten seconds; read-only where the system has that. Raises one of `errors`."""

    def translate(self, error: Exception) -> HeadgateError:
        """The error of our tree for one of the driver; what it says may still hold secrets."""
