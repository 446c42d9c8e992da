"""Finds the files of a selection: under the roots, and nowhere else."""

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import translate as regex_of
from pathlib import Path

from headgate.errors import (
    BadParameter,
    SourceAccessDenied,
    SourceChanged,
    SourceError,
    SourceObjectMissing,
    SourcePathForbidden,
)
from headgate.sources.interface import Entry, FileRef
from headgate.sources.roots import Roots

__all__ = ["changed", "entries", "find_files", "fixed_part", "opening", "pin"]

_WILD = re.compile(r"[*?\[]")
_LONGEST_PATH = 4096


def find_files(
    path: str, *, base: Path, roots: Roots, kind: str | None = None, recursive: bool = False
) -> list[FileRef]:
    """The files that `path` selects, sorted by address; each real file once.

    `path` is a file, a folder or a wildcard, absolute or relative to `base`. `kind` is `file` or `folder`
    where the caller wants to be held to it. A wildcard matches part by part (`*`, `?`, `[…]`; `**` is any
    depth) and selects files, or with the kind `folder` the folders whose files are meant. Names that begin
    with a dot are left out unless the pattern spells the dot. Raises SourcePathForbidden,
    SourceObjectMissing, SourceAccessDenied, BadParameter.
    """
    start, pattern = fixed_part(path, base=base, roots=roots)
    with opening(start):
        mode = os.stat(start).st_mode
    if not pattern:
        address = os.path.join(base, path)
        if kind != "folder" and stat.S_ISREG(mode):
            return [pin(start)]
        if kind == "file" or not stat.S_ISDIR(mode):
            wanted = "file" if kind == "file" or not kind else "folder"
            raise SourceObjectMissing(f"{address} is not a {wanted}.", path=address)
    elif not stat.S_ISDIR(mode):
        raise SourceObjectMissing(f"{start} is not a folder.", path=start)
    if pattern and recursive and kind != "folder":
        pattern.insert(-1, "**")
    if not pattern or kind == "folder":
        pattern += ["**", "*"] if recursive else ["*"]
    elif pattern[-1] == "**":
        pattern.append("*")
    found = _walk(start, frozenset({0}), _matchers(pattern), roots, frozenset({start}))
    return sorted({ref.path: ref for ref in found}.values(), key=lambda ref: ref.path)


def fixed_part(path: str, *, base: Path, roots: Roots) -> tuple[str, list[str]]:
    """The real address of the part of `path` before its wildcards, and the parts from the first wildcard on.

    Raises SourcePathForbidden, BadParameter.
    """
    if len(path) > _LONGEST_PATH:
        raise BadParameter(f"`path` has more than {_LONGEST_PATH} characters.", parameter="path")
    address = os.path.join(base, path)
    parts = [part for part in address.split("/") if part not in ("", ".")]
    fixed = len(parts)
    if not os.path.lexists(roots.real(address)):  # a path that exists is meant literally
        fixed = next((i for i, part in enumerate(parts) if _WILD.search(part)), len(parts))
    pattern = parts[fixed:]
    _matchers(pattern)
    return roots.real("/" + "/".join(parts[:fixed])), pattern


def entries(path: str | None, *, base: Path, roots: Roots) -> tuple[Entry, ...]:
    """The folders and files in the folder `path`, relative to `base`. Raises SourceError, BadParameter."""
    folder, wild = fixed_part(path or ".", base=base, roots=roots)
    if wild or not os.path.isdir(folder):
        raise SourceObjectMissing(f"There is no folder {path}.", path=path or "")
    with opening(folder), os.scandir(folder) as listed:
        found = sorted(listed, key=lambda entry: entry.name)
    return tuple(shown for entry in found if (shown := _entry(entry, path, roots)) is not None)


def _entry(entry: os.DirEntry[str], folder: str | None, roots: Roots) -> Entry | None:
    """What can be seen of `entry`; None for what no source could read."""
    try:
        entry.name.encode()
        real = roots.real(entry.path)
        mode = os.stat(real).st_mode
    except (SourcePathForbidden, OSError, UnicodeEncodeError):
        return None
    path = f"{folder.rstrip('/')}/{entry.name}" if folder else entry.name
    if entry.name.startswith(".") or not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        return None
    if stat.S_ISDIR(mode):
        return Entry("folder", entry.name, path, readable=False, described=False)
    may = os.access(real, os.R_OK)
    return Entry("file", entry.name, path, readable=may, described=may)


def pin(path: str) -> FileRef:
    """`path` as it is now. Raises SourceObjectMissing, SourceAccessDenied."""
    with opening(path):
        about = os.stat(path)
    return FileRef(path, about.st_size, about.st_mtime_ns // 1000)


@contextmanager
def opening(path: str) -> Iterator[None]:
    """Turns the system's refusals to open or list `path` into errors of our tree."""
    try:
        yield
    except FileNotFoundError:
        raise SourceObjectMissing(f"There is no {path}.", path=path) from None
    except PermissionError:
        raise SourceAccessDenied(f"The service may not read {path}.", path=path) from None
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}.", path=path) from error


_Matcher = re.Pattern[str] | None  # None is `**`


def _matchers(pattern: list[str]) -> tuple[_Matcher, ...]:
    for part in pattern:
        if "[" in part and not re.search(r"\[!?\]?[^\]]*\]", part):
            raise BadParameter(f"The wildcard {part!r} has a '[' without its ']'.", parameter="path")
    return tuple(None if part == "**" else re.compile(_hiding(part)) for part in pattern)


def _hiding(part: str) -> str:
    return regex_of(part) if part.startswith(".") else r"(?!\.)" + regex_of(part)


def _walk(
    folder: str,
    states: frozenset[int],
    pattern: tuple[_Matcher, ...],
    roots: Roots,
    above: frozenset[str],
) -> Iterator[FileRef]:
    """The files below `folder` that `pattern` matches.

    `states` are the positions in the pattern that the way to `folder` may stand for. Keeping the set of them
    makes the cost one look per name and position, however many `**` there are.
    """
    with opening(folder), os.scandir(folder) as entries:
        listed = sorted(entries, key=lambda entry: entry.name)
    for entry in listed:
        after = _advance(states, entry.name, pattern)
        if not after:
            continue
        real = roots.real(entry.path) if entry.is_symlink() else entry.path
        if roots.hides(real):
            continue
        try:
            about = os.stat(real)
        except FileNotFoundError:
            continue  # a dangling link, or gone since the listing
        if stat.S_ISREG(about.st_mode):
            if len(pattern) in after:
                yield _named(real, about)
        elif stat.S_ISDIR(about.st_mode) and after != {len(pattern)} and real not in above:
            yield from _walk(real, after - {len(pattern)}, pattern, roots, above | {real})


def _advance(states: frozenset[int], name: str, pattern: tuple[_Matcher, ...]) -> frozenset[int]:
    after = set()
    waiting = list(states)
    while waiting:
        at = waiting.pop()
        if at == len(pattern):
            continue
        matcher = pattern[at]
        if matcher is None:
            waiting.append(at + 1)
            if not name.startswith("."):
                after.add(at)
        elif matcher.match(name):
            after.add(at + 1)
    return frozenset(after)


def _named(path: str, about: os.stat_result) -> FileRef:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        raise SourceError(f"The file name {path!r} is not valid UTF-8.") from None
    return FileRef(path, about.st_size, about.st_mtime_ns // 1000)


def changed(file: FileRef) -> None:
    """Raises SourceChanged when `file` is not what it was when it was pinned."""
    if file.original is not None:
        file = FileRef(file.original, file.size, file.modified_us)
    try:
        now = pin(file.path)
    except SourceObjectMissing:
        raise SourceChanged(f"{file.path} vanished while it was being read.", path=file.path) from None
    if now != file or os.path.realpath(file.path) != file.path:
        raise SourceChanged(f"{file.path} changed while it was being read.", path=file.path)
