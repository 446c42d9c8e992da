"""Splits that an attempt has staged: what a later attempt needs to take them over."""

from dataclasses import dataclass

__all__ = ["StagedSplit"]


@dataclass(frozen=True, kw_only=True, slots=True)
class StagedSplit:
    """One split of a run, read into a data file by the attempt that held the run under `fence`.

    `total` is how many splits that attempt's reading had, and `reading` a digest of what the reading yields: its
    columns, its window and what is made of them. `digest` stands for the split's rows themselves: what is read, and
    the state of the source that it is read in; None where the source cannot tell one state from another.
    `file` is the name of the data file in the run's folder, None where the split has no rows. Sizes are bytes, times
    milliseconds since the epoch; `input_files` and `input_bytes` are those of the files that were read, if any.
    """

    split_id: str
    fence: int
    attempt: int
    total: int
    reading: str
    digest: str | None
    file: str | None
    rows: int
    size: int
    uncompressed: int
    input_files: int
    input_bytes: int
    started_at: int
    staged_at: int
