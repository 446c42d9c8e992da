"""Finds the files of a selection in a store, whichever it is: one matcher, and nothing kept of what it passes over."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import translate as regex_of

from headgate.errors import (
    BadParameter,
    SourceAccessDenied,
    SourceChanged,
    SourceError,
    SourceObjectMissing,
    SourcePathForbidden,
)
from headgate.sources.files.stores.interface import Store
from headgate.sources.interface import Entry, FileRef

__all__ = ["changed", "entries", "find", "opening", "parted"]

_WILD = re.compile(r"[*?\[]")
_TOP = re.compile(r"[a-z][a-z0-9+.-]*://|/")  # what an address begins with
_LONGEST_PATH = 4096


def find(store: Store, path: str, *, kind: str | None = None, recursive: bool = False) -> Iterator[FileRef]:
    """The files that `path` selects, as the store lists them; one that links lead to may come more than once.

    `path` is a file, a folder or a wildcard. `kind` is `file` or `folder` where the caller wants to be held to it. A
    wildcard matches part by part (`*`, `?`, `[…]`; `**` is any depth) and selects files, or with the kind `folder` the
    folders whose files are meant. Names that begin with a dot are left out unless the pattern spells the dot. Raises
    SourceError, BadParameter.
    """
    start, pattern = parted(store, path)
    if not pattern:
        file = store.pin(start) if kind != "folder" or store.local else None
        if file is not None and kind != "folder":
            yield file
            return
        if file is not None or kind == "file":
            raise SourceObjectMissing(f"{start} is not a {kind}.", path=start)
    if pattern and recursive and kind != "folder":
        pattern.insert(-1, "**")
    if not pattern or kind == "folder":
        pattern += ["**", "*"] if recursive else ["*"]
    elif pattern[-1] == "**":
        pattern.append("*")
    matchers = _matchers(pattern)
    below = store.below(start) if len(matchers) > 1 else None
    if below is None:
        yield from _walk(store, start, frozenset({0}), matchers, frozenset({start}))
    else:
        yield from _matching(below, matchers)


def parted(store: Store, path: str, *, look: bool = True) -> tuple[str, list[str]]:
    """The address of the part of `path` before its wildcards, and the parts from the first wildcard on.

    A path that exists is meant literally, whatever is in it; without a `look` that is not asked for. Raises
    SourceError, BadParameter.
    """
    if len(path) > _LONGEST_PATH:
        raise BadParameter(f"`path` has more than {_LONGEST_PATH} characters.", parameter="path")
    if "\0" in path or ".." in path.split("/"):
        raise SourcePathForbidden(f"The path {path!r} is refused: it holds a NUL character or a '..' part.")
    top = found[0] if (found := _TOP.match(path)) else ""
    parts = [part for part in path[len(top) :].split("/") if part not in ("", ".")]
    fixed = next((i for i, part in enumerate(parts) if _WILD.search(part)), len(parts))
    pattern = parts[fixed:]
    if pattern and look and _exists(store, path):
        fixed, pattern = len(parts), []
    _matchers(pattern)
    return store.address(top + "/".join(parts[:fixed])), pattern


def entries(store: Store, path: str | None) -> tuple[Entry, ...]:
    """The folders and files in the folder `path`, by name, without those that begin with a dot. Raises SourceError."""
    folder, wild = parted(store, path or "")
    if wild:
        raise SourceObjectMissing(f"There is no folder {path}.", path=path or "")
    found = [each for each in store.listed(folder) if not each.name.startswith(".") and each.refusal is None]
    above = f"{path.rstrip('/')}/" if path else ""
    return tuple(
        Entry("folder", each.name, above + each.name, readable=False, described=False)
        if each.file is None
        else Entry("file", each.name, above + each.name, readable=each.readable, described=each.readable)
        for each in sorted(found, key=lambda each: each.name)
    )


def changed(store: Store, file: FileRef) -> None:
    """Raises SourceChanged when `file` is not what it was when it was pinned."""
    try:
        now = store.pin(file.path)
    except SourceObjectMissing:
        raise SourceChanged(f"{file.path} vanished while it was being read.", path=file.path) from None
    except SourcePathForbidden:  # a link is in its place
        now = None
    if now is None or (now.path, now.state) != (file.path, file.state):
        raise SourceChanged(f"{file.path} changed while it was being read.", path=file.path)


@contextmanager
def opening(path: str) -> Iterator[None]:
    """Turns the system's refusals to open or list `path` on this machine into errors of our tree."""
    try:
        yield
    except FileNotFoundError:
        raise SourceObjectMissing(f"There is no {path}.", path=path) from None
    except PermissionError:
        raise SourceAccessDenied(f"The service may not read {path}.", path=path) from None
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}.", path=path) from error


_Matcher = re.Pattern[str] | None  # None is `**`


def _exists(store: Store, path: str) -> bool:
    address = store.address(path)
    try:
        store.pin(address)
    except SourcePathForbidden:
        raise
    except SourceError:  # if it is more than that there is none, listing says it
        return False
    return True


def _matchers(pattern: list[str]) -> tuple[_Matcher, ...]:
    for part in pattern:
        if "[" in part and not re.search(r"\[!?\]?[^\]]*\]", part):
            raise BadParameter(f"The wildcard {part!r} has a '[' without its ']'.", parameter="path")
    return tuple(None if part == "**" else re.compile(_hiding(part)) for part in pattern)


def _hiding(part: str) -> str:
    return regex_of(part) if part.startswith(".") else r"(?!\.)" + regex_of(part)


def _walk(
    store: Store, folder: str, states: frozenset[int], pattern: tuple[_Matcher, ...], above: frozenset[str]
) -> Iterator[FileRef]:
    """The files below `folder` that `pattern` matches.

    `states` are the positions in the pattern that the way to `folder` may stand for. Keeping the set of them
    makes the cost one look per name and position, however many `**` there are.
    """
    for each in store.listed(folder):
        after = _advance(states, each.name, pattern)
        if not after:
            continue
        if each.refusal is not None:
            raise each.refusal
        if each.file is not None:
            if len(pattern) in after:
                yield each.file
        elif each.folder is not None and after != {len(pattern)} and each.folder not in above:
            yield from _walk(store, each.folder, after - {len(pattern)}, pattern, above | {each.folder})


def _matching(below: Iterator[tuple[str, FileRef]], pattern: tuple[_Matcher, ...]) -> Iterator[FileRef]:
    """Those of the files that walking there would have found. Most follow another one of the same folder."""
    last, states = "", frozenset({0})
    for path, file in below:
        folder, slash, name = path.rpartition("/")
        if folder + slash != last:
            last, states = folder + slash, frozenset({0})
            for part in folder.split("/") if folder else ():
                states = _advance(states, part, pattern)
        if states and len(pattern) in _advance(states, name, pattern):
            yield file


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
