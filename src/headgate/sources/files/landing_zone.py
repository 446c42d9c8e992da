"""The Data Landing Zone: a folder of each sandbox, into which others drop files that flows take from there."""

import os
import stat
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headgate.errors import SourceError
from headgate.sources.context import Context
from headgate.sources.files.copies import Scratch
from headgate.sources.files.source import Files
from headgate.sources.files.stores.local import LocalStore
from headgate.sources.roots import Roots

__all__ = ["open_landing_zone", "sweep"]

_DAY = 86_400


def open_landing_zone(auth_params: Mapping[str, Any], context: Context) -> Files:  # noqa: ARG001 - as every source
    """The source of the spec `landing-zone`: the sandbox's own folder, which is made. Raises SourceError."""
    folder = context.settings.landing_folder / context.tenancy.folder / context.tenancy.sandbox
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SourceError(f"The landing zone cannot be made: {error.strerror}.") from error
    return Files(_Zone(folder), Scratch.of(context.settings))


class _Zone(LocalStore):
    """A folder that is all there is: a path from its top is one from the folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__({}, Roots((folder,)))
        self._top = f"{folder.resolve()}/"

    def address(self, path: str) -> str:
        """The real address of `path`. Raises SourcePathForbidden."""
        return super().address(path if f"{path}/".startswith(self._top) else path.lstrip("/"))


def sweep(folder: Path, days: int) -> int:
    """Delete the files below `folder` that came, or changed, more than `days` ago; how many. Folders stay."""
    before, gone = time.time() - days * _DAY, 0
    for path, _, names in os.walk(folder):
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
