"""Makes of a file, packed or written as it may be, what DuckDB reads exactly."""

from collections.abc import Mapping, Sequence
from typing import Any

from headgate.sources.files.copies import Copies
from headgate.sources.interface import FileRef

__all__ = ["plain"]


def plain(file: FileRef, data: Mapping[str, Any], copies: Copies) -> Sequence[FileRef]:
    """The files to read in the place of `file`, which is on this machine and written as `data` of the selection says.

    It is itself, where it can be read as it is, or one or several of `copies`, in an order that is always the same.
    Raises SourceError. Called from several threads, each with another file.
    """
    del data, copies  # everything that can be selected so far is read as it is
    return (file,)
