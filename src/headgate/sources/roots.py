"""The folders of this machine that sources may read."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from headgate.config import Settings
from headgate.errors import PathNotAllowed, SourcePathForbidden
from headgate.model.scope import Tenancy

__all__ = ["Roots"]


class Roots:
    """Files may be read below `allowed` folders, but never the service's own: its keys, metadata and tables."""

    def __init__(self, allowed: Iterable[Path], private: Iterable[Path] = ()) -> None:
        self._allowed = tuple(root.resolve() for root in allowed)
        self._private = tuple(path.resolve() for path in private)

    @classmethod
    def of(cls, settings: Settings, tenancy: Tenancy) -> Self:
        """The roots that an organisation has, without the service's own files. Raises PathNotAllowed for none."""
        roots = settings.roots(tenancy.folder, shared=tenancy.shared)
        if not roots:
            raise PathNotAllowed
        return cls(roots, settings.private)

    @property
    def first(self) -> Path:
        """The folder that relative paths are below, where no other is named."""
        return self._allowed[0]

    def real(self, path: str) -> str:
        """The real address of `path`, all symbolic links resolved. Raises SourcePathForbidden outside the roots."""
        named = path.removeprefix(f"{self.first}/")  # as it was asked for: where the service runs is nobody's business
        if "\0" in path or ".." in path.split("/"):
            raise SourcePathForbidden(f"The path {named!r} is refused: it holds a NUL character or a '..' part.")
        real = os.path.realpath(path)
        if not any(Path(real).is_relative_to(root) for root in self._allowed):
            raise SourcePathForbidden(f"{named} lies outside the folders this service may read (HEADGATE_FILE_ROOTS).")
        if self.hides(real):
            raise SourcePathForbidden(f"{named} belongs to the service itself, which no source may read.")
        return real

    def hides(self, real: str) -> bool:
        """Whether a real address is one of the service's own."""
        return any(Path(real).is_relative_to(private) for private in self._private)
