"""Decides which files a run of a flow takes: by their times, and by what the flow has taken before."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace

from headgate.model.files import FileVersion, TakenFile
from headgate.model.runs import Run
from headgate.model.windows import Window
from headgate.sources import FileRef
from headgate.store import TakenFiles

__all__ = ["Intake"]

_AT_A_TIME = 2000


class Intake:
    """What one attempt at a run takes.

    A version of a file that the flow knows counts at the time it was first taken at. One that it does not know counts
    at its own, unless that was read when the file was not there yet: then it is late, and counts at the start of the
    window that is being read now.
    """

    def __init__(self, run: Run, store: TakenFiles) -> None:
        self._run = run
        self._store = store
        self._new: dict[FileVersion, TakenFile] = {}
        self._knows = store.any(run)
        spans = [*store.read_windows(run)]
        self._starts = [start * 1000 for start, _ in spans]
        self._ends = [end * 1000 for _, end in spans]

    @property
    def late(self) -> int:
        """How many of the files are late."""
        return sum(each.late for each in self._new.values())

    def taken(self, files: Sequence[FileRef], window: Window) -> Sequence[FileRef]:
        """Those of the files that are to be read for `window`, with the time they count at."""
        start, end = window.start_ms * 1000, window.end_ms * 1000
        versions = [_version(file) for file in files]
        times = self._store.times(self._run, versions) if self._knows else [None] * len(files)
        chosen = []
        for file, version, known in zip(files, versions, times, strict=True):
            moment = file.modified_us if known is None else known
            late = known is None and not start <= moment < end and self._was_read(moment)
            if late:
                moment = start
            if not start <= moment < end:
                continue
            if known is None:
                self._new[version] = TakenFile(version, moment, late)
            chosen.append(file if moment == file.modified_us else replace(file, taken_us=moment))
        return chosen

    def note(self) -> None:
        """Have the store note what is taken for the first time, before any of it is read. Raises AttemptLost."""
        new = [*self._new.values()]
        for at in range(0, len(new), _AT_A_TIME):
            self._store.note(self._run, new[at : at + _AT_A_TIME])

    def _was_read(self, moment: int) -> bool:
        at = bisect_right(self._starts, moment) - 1
        return at >= 0 and moment < self._ends[at]


def _version(file: FileRef) -> FileVersion:
    return FileVersion(file.path, file.version or f"{file.size} bytes of {file.modified_us}")
