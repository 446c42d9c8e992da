"""Files as a flow takes them."""

from dataclasses import dataclass

__all__ = ["FileVersion", "TakenFile"]


@dataclass(frozen=True, slots=True)
class FileVersion:
    """A file in one of its states. `version` is whatever its store tells them apart by."""

    address: str
    version: str


@dataclass(frozen=True, slots=True)
class TakenFile:
    """A version of a file that a run takes, as of a time in microseconds since the epoch.

    It is `late` when it was not there yet as its own time was read.
    """

    file: FileVersion
    taken_us: int
    late: bool = False
