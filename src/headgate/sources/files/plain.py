"""Makes of a file, packed or written as it may be, what DuckDB reads exactly."""

from collections.abc import Mapping, Sequence
from typing import Any

from headgate.sources.files.copies import Copies
from headgate.sources.interface import FileRef

__all__ = ["beginning", "plain"]

_TEXT = ("delimited", "json")


def plain(file: FileRef, data: Mapping[str, Any], copies: Copies) -> Sequence[FileRef]:
    """The files to read in the place of `file`, which is on this machine and written as `data` of the selection says.

    It is itself, where it can be read as it is, or one or several of `copies`, in an order that is always the same.
    Raises SourceError. Called from several threads, each with another file.
    """
    del data, copies  # everything that can be selected so far is read as it is
    return (file,)


def beginning(head: bytes, data: Mapping[str, Any]) -> bytes | None:
    """The whole records at the beginning of a file, of which `head` are the first bytes.

    None where they are not to be had without the rest: of what is packed, of one array of JSON, of Parquet.
    """
    if data.get("format") not in _TEXT or b"\0" in head or head.startswith(b"\x1f\x8b"):
        return None
    if data["format"] == "json":
        return None if head.lstrip().startswith(b"[") else head[: head.rfind(b"\n") + 1] or None
    end = len(head)
    for number, part in reversed([*enumerate(head.split(b'"'))]):
        end -= len(part)
        if number % 2 == 0 and b"\n" in part:  # outside of quotes
            return head[: end + part.rfind(b"\n") + 1]
        end -= 1
    return None
