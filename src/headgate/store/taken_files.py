"""Which files a flow has taken, and as of when: what keeps one whose clock lies from being lost, or landing twice.

A run notes what it takes before it reads it, under its fence. The notes count once the run is a success, those of the
fence that its end names; docs/adr says why.
"""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from headgate.errors import AttemptLost
from headgate.model.files import FileVersion, TakenFile
from headgate.model.runs import Run, RunState
from headgate.store import tables
from headgate.store.transactions import Transactions

__all__ = ["TakenFiles", "forget"]

_RUNS = tables.runs
_FILES = tables.taken_files


class TakenFiles:
    """What runs need to know of their flow's earlier ones. Every question is about the flow of a run, in its scope."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def any(self, run: Run) -> bool:
        """Whether the flow has taken a file before."""
        with self._transactions.read() as connection:
            return connection.execute(_counting(run, sa.select(_FILES.c.digest)).limit(1)).first() is not None

    def times(self, run: Run, files: Sequence[FileVersion]) -> list[int | None]:
        """As of when the flow took each of the files, None where it has not; some thousand files at a time."""
        digests = [_digest(file) for file in files]
        chosen = _counting(run, sa.select(_FILES.c.digest, sa.func.min(_FILES.c.taken_us)))
        chosen = chosen.where(_FILES.c.digest.in_(digests)).group_by(_FILES.c.digest)
        with self._transactions.read() as connection:
            known = {row[0]: row[1] for row in connection.execute(chosen)}
        return [known.get(digest) for digest in digests]

    def read_windows(self, run: Run) -> Iterator[tuple[int, int]]:
        """The spans of time that runs of the flow have read, in milliseconds and in order, none touching another.

        None reaches past the moment that it was read at.
        """
        begun_at = sa.func.coalesce(_RUNS.c.started_at, _RUNS.c.created_at)
        until = sa.case((_RUNS.c.window_end < begun_at, _RUNS.c.window_end), else_=begun_at)
        chosen = (
            sa.select(_RUNS.c.window_start, until)
            .where(*_landed(run), _RUNS.c.reverted_at.is_(None), _RUNS.c.window_start < until)
            .order_by(_RUNS.c.window_start)
        )
        start = end = None
        with self._transactions.read() as connection:
            for begun, ended in connection.execute(chosen):
                if start is None or end is None:
                    start, end = begun, ended
                elif begun > end:
                    yield start, end
                    start, end = begun, ended
                else:
                    end = max(end, ended)
        if start is not None and end is not None:
            yield start, end

    def note(self, run: Run, files: Sequence[TakenFile]) -> None:
        """Note files that the run takes, some thousand at a time; none of a flow that is gone, as nobody asks for them.

        Raises AttemptLost, and then nothing was noted.
        """
        ours = _RUNS.c.id == run.id, _RUNS.c.fence == run.fence, _RUNS.c.state == RunState.IN_PROGRESS.value
        flow = sa.select(tables.resources.c.id).where(tables.resources.c.id == run.flow_id)
        with self._transactions.write() as connection:
            if connection.execute(sa.select(_RUNS.c.id).where(*ours).with_for_update()).first() is None:
                raise AttemptLost(id=run.id)
            if connection.execute(flow.with_for_update(read=True, key_share=True)).first() is None:
                return
            rows = [
                {
                    "flow_id": run.flow_id,
                    "digest": _digest(each.file),
                    "run_id": run.id,
                    "fence": run.fence,
                    "address": each.file.address,
                    "version": each.file.version,
                    "taken_us": each.taken_us,
                    "late": each.late,
                }
                for each in files
            ]
            connection.execute(sa.insert(_FILES), rows)

    def last_fence(self, run: Run) -> int | None:
        """The last fence that files of the run were noted under."""
        chosen = sa.select(sa.func.max(_FILES.c.fence)).where(_FILES.c.run_id == run.id)
        with self._transactions.read() as connection:
            fence: int | None = connection.execute(chosen).scalar_one()
        return fence

    def late(self, run: Run, fence: int) -> int:
        """How many of the files that the run noted under a fence were late."""
        noted = _FILES.c.run_id == run.id, _FILES.c.fence == fence, _FILES.c.late
        with self._transactions.read() as connection:
            return int(connection.execute(sa.select(sa.func.count()).select_from(_FILES).where(*noted)).scalar_one())


def forget(connection: sa.Connection, run: Run, *, but: int | None) -> None:
    """Forget what the run noted, `but` what it did under that fence."""
    noted = sa.delete(_FILES).where(_FILES.c.run_id == run.id)
    connection.execute(noted if but is None else noted.where(_FILES.c.fence != but))


def _landed(run: Run) -> tuple[sa.ColumnElement[bool], ...]:
    """Of runs: that they are of the flow, and brought files that were noted."""
    return (
        _RUNS.c.org_id == run.scope.org_id,
        _RUNS.c.sandbox_id == run.scope.sandbox_id,
        _RUNS.c.flow_id == run.flow_id,
        _RUNS.c.state == RunState.SUCCESS.value,
        _RUNS.c.files_fence.is_not(None),
    )


def _counting(run: Run, chosen: sa.Select[Any]) -> sa.Select[Any]:
    """The notes of the flow that count."""
    taken_by = sa.and_(_RUNS.c.id == _FILES.c.run_id, _RUNS.c.files_fence == _FILES.c.fence)
    return chosen.join(_RUNS, taken_by).where(_FILES.c.flow_id == run.flow_id, *_landed(run))


def _digest(file: FileVersion) -> str:
    """What a file is found by; addresses are longer than what some databases index."""
    return hashlib.blake2b(f"{file.address}\0{file.version}".encode(), digest_size=16).hexdigest()
