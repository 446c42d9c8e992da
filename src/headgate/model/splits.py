"""Splits that an attempt has staged: what a later attempt needs to take them over."""

from dataclasses import dataclass
from typing import Any

__all__ = ["StagedFile", "StagedSplit"]


@dataclass(frozen=True, slots=True)
class StagedFile:
    """A data file of a split: its address in the folder of the run's data files, its rows, and its bytes."""

    name: str
    rows: int
    size: int


@dataclass(frozen=True, kw_only=True, slots=True)
class StagedSplit:
    """One split of a run, read into `files` by the attempt that held the run under `fence`.

    `total` is how many splits that attempt's reading had, and `reading` a digest of what the reading yields: its
    columns, its window and what is made of them. `digest` stands for the split's rows themselves: what is read, and
    the state of the source that it is read in; None where the source cannot tell one state from another. Sizes are
    bytes, times milliseconds since the epoch; `input_files` and `input_bytes` are those of the files that were read, if
    any.
    """

    split_id: str
    fence: int
    attempt: int
    total: int
    reading: str
    digest: str | None
    files: tuple[StagedFile, ...]
    uncompressed: int
    input_files: int
    input_bytes: int
    started_at: int
    staged_at: int

    @property
    def rows(self) -> int:
        """How many rows were staged."""
        return sum(file.rows for file in self.files)

    @property
    def size(self) -> int:
        """The bytes of its data files."""
        return sum(file.size for file in self.files)

    @property
    def wire(self) -> dict[str, Any]:
        """As the API shows it."""
        return {
            "id": self.split_id,
            "attempt": self.attempt,
            "startedAtUTC": self.started_at,
            "completedAtUTC": self.staged_at,
            "recordCount": self.rows,
            "outputBytes": self.size,
        }
