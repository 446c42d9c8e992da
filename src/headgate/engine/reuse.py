"""Which splits a later attempt at a run may take over from an earlier one instead of reading them again.

Rows of two states of a source must never land together; docs/adr says why what is taken over here cannot do that.
"""

import hashlib
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from headgate import __version__
from headgate.engine.landing import Landing
from headgate.model.splits import StagedSplit
from headgate.sources import Reading, Split
from headgate.targets import LakeTable, Staged

__all__ = ["Earlier", "Kept", "digest_of_reading", "digest_of_split"]


@dataclass(frozen=True, slots=True)
class Kept:
    """A split that is staged already, and its data files."""

    split: StagedSplit
    files: tuple[Staged, ...]


def digest_of_reading(reading: Reading, landing: Landing, table: LakeTable) -> str:
    """Stands for what lands of a row of `reading`, and for which rows of the table theirs replace."""
    names = tuple(column.name for column in landing.columns)
    return _digest(
        __version__,  # another version may read the same in another way
        duckdb.__version__,
        repr((reading.columns, reading.window_column, reading.bounds, reading.rejecting)),
        landing.rows(""),
        table.fitted(landing.columns),
        table.copy_options(names),
        repr(table.partition),
    )


def digest_of_split(split: Split, reading: str) -> str | None:
    """Stands for the rows of `split` as a reading with that digest lands them; None where its source cannot tell."""
    if split.state is None:
        return None
    return _digest(reading, split.id, split.meaning or split.relation, split.query or "", split.state)


class Earlier:
    """What earlier attempts at a run have staged in the folder of its data files."""

    def __init__(self, staged: Sequence[StagedSplit], table: LakeTable, run_id: str) -> None:
        """`staged` are the splits, the latest attempt's first."""
        self._staged = staged
        self._table = table
        self._folder = table.staging(run_id)

    def reading(self, digest: str) -> list[Kept] | None:
        """All splits of the latest reading with that digest of which none is missing; None when there is none."""
        for _, group in itertools.groupby(self._staged, key=lambda split: split.fence):
            splits = [split for split in group if split.reading == digest]
            if splits and len(splits) == splits[0].total and (kept := self._all(splits)) is not None:
                return kept
        return None

    def split(self, digest: str | None) -> Kept | None:
        """The split with that digest, None when it is to be read."""
        if digest is None:
            return None
        found = (self._kept(split) for split in self._staged if split.digest == digest)
        return next((kept for kept in found if kept is not None), None)

    def _all(self, splits: Iterable[StagedSplit]) -> list[Kept] | None:
        kept = []
        for split in splits:
            if (found := self._kept(split)) is None:
                return None
            kept.append(found)
        return kept

    def _kept(self, split: StagedSplit) -> Kept | None:
        """The split with its files, None when one is not what it was when it was staged."""
        files = []
        for file in split.files:
            path = self._folder / file.name
            try:
                if path.stat().st_size != file.size:
                    return None
                staged = self._table.stage(path)
            except (OSError, pa.ArrowInvalid):
                return None
            if staged.rows != file.rows:
                return None
            files.append(staged)
        return Kept(split, tuple(files))


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
