"""What no manifest can say: a module for each `discover` of a manifest.

Such a module has `streams(asking)`, the names of what can be read, and `about(asking, name)`, a stream as a manifest
describes one; both ask the API itself. Raise SourceObjectMissing for a name that is none.
"""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Protocol, cast

from headgate.sources.rest.asking import Asking

__all__ = ["Discovery", "discovery"]


class Discovery(Protocol):
    """A module that finds streams by the vendor's own metadata."""

    def streams(self, asking: Asking) -> Sequence[str]:
        """The names of what can be read."""

    def about(self, asking: Asking, name: str) -> Mapping[str, Any]:
        """The stream of this name, as a member of a manifest's `streams`."""


def discovery(name: str) -> Discovery:
    """The module that a manifest's `discover` names."""
    return cast(Discovery, import_module(f"{__name__}.{name}"))
