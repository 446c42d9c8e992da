"""The Data Landing Zone: a place of each sandbox, into which others drop files that flows take from there."""

import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from headgate.config import Settings
from headgate.dataplane import Breaking, unbroken
from headgate.errors import HeadgateError, SourceError
from headgate.model.windows import DeltaColumn, Window
from headgate.sources.context import Context
from headgate.sources.files.clouds import see_installed
from headgate.sources.files.copies import Scratch
from headgate.sources.files.source import Files
from headgate.sources.files.stores.local import LocalStore
from headgate.sources.interface import Reading, Selection
from headgate.sources.roots import Roots

__all__ = ["open_landing_zone", "sweep"]

_DAY = 86_400
P = ParamSpec("P")
T = TypeVar("T")


def open_landing_zone(auth_params: Mapping[str, Any], context: Context) -> Files:  # noqa: ARG001 - as every source
    """The source of the spec `landing-zone`: the sandbox's own place. A folder is made. Raises SourceError."""
    settings, tenancy = context.settings, context.tenancy
    scratch = Scratch.of(settings)
    if settings.landing_folder is None:
        see_installed()
        from headgate.sources.files.landing_bucket import zone

        return Files(zone(settings, tenancy), scratch)
    folder = settings.landing_folder / tenancy.folder / tenancy.sandbox
    _make(folder, int(settings.landing_zone_mode, 8))
    return _Dropped(folder, scratch)


def sweep(settings: Settings) -> int:
    """Delete the files that came, or changed, more days ago than they are kept; how many. Folders stay.

    Raises SourceError.
    """
    before = time.time() - settings.landing_zone_days * _DAY
    if settings.landing_folder is None:
        see_installed()
        from headgate.sources.files.landing_bucket import sweep_bucket

        return sweep_bucket(settings, before)
    gone = 0
    for path, _, names in os.walk(settings.landing_folder):
        for name in names:
            file = Path(path, name)
            try:
                about = file.lstat()
                # When it came here, whatever time it brought along.
                if not stat.S_ISDIR(about.st_mode) and max(about.st_ctime, about.st_mtime) < before:
                    file.unlink()
                    gone += 1
            except OSError:  # taken away, or not ours to take
                continue
    return gone


class _Zone(LocalStore):
    """A folder that is all there is: a path from its top is one from the folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__({}, Roots((folder,)))
        self._top = f"{folder.resolve()}/"

    def address(self, path: str) -> str:
        """The real address of `path`. Raises SourcePathForbidden."""
        return super().address(path if f"{path}/".startswith(self._top) else path.lstrip("/"))


class _Dropped(Files):
    """The files of a zone. Its errors call them as those who dropped them do: where the folder is, is not theirs."""

    def __init__(self, folder: Path, scratch: Scratch) -> None:
        super().__init__(_Zone(folder), scratch)
        self._top = str(folder.resolve())

    def _from_top(self, error: HeadgateError) -> HeadgateError:
        detail = self._shortened(error.detail)
        if detail == error.detail:
            return error
        report = {
            name: self._shortened(value) if isinstance(value, str) else value for name, value in error.report.items()
        }
        return type(error)(detail, **report)

    def _shortened(self, text: str) -> str:
        return text.replace(f"{self._top}/", "/").replace(self._top, "/")

    @staticmethod
    def _told(method: Callable[P, T]) -> Callable[P, T]:
        def telling(*args: P.args, **named: P.kwargs) -> T:
            zone: Any = args[0]
            try:
                return method(*args, **named)
            except HeadgateError as error:
                raise zone._from_top(error) from None

        telling.__doc__ = method.__doc__
        return telling

    check = _told(Files.check)
    validate = _told(Files.validate)
    explore = _told(Files.explore)
    detect = _told(Files.detect)
    preview = _told(Files.preview)
    describe = _told(Files.describe)
    verify = _told(Files.verify)
    account = _told(Files.account)

    @contextmanager
    def plan(
        self,
        selection: Selection,
        window: Window,
        delta: DeltaColumn | None,
        *,
        parallel: int,
        breaking: Breaking = unbroken,
    ) -> Iterator[Reading]:
        """Plan the files of `window`. Raises SourceError, BadParameter."""
        try:
            with super().plan(selection, window, delta, parallel=parallel, breaking=breaking) as reading:
                yield replace(reading, notes=tuple(map(self._shortened, reading.notes)))
        except HeadgateError as error:
            raise self._from_top(error) from None

    def translate(self, error: Exception) -> HeadgateError:
        """The error of our tree for `error`."""
        return self._from_top(super().translate(error))


def _make(folder: Path, mode: int) -> None:
    """Make the folder and those above it that are missing; the umask has no say in their mode. Raises SourceError."""
    try:
        missing = [path for path in (folder, *folder.parents) if not path.exists()]
        for path in reversed(missing):
            path.mkdir(exist_ok=True)
            path.chmod(mode)
    except OSError as error:
        raise SourceError(f"The landing zone cannot be made: {error.strerror}.") from error
