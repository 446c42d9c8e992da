"""What no manifest can say: a module for each `discover` of a manifest, and for each `hook` of its `auth`.

The first has `streams(asking)`, the names of what can be read, and `about(asking, name)`, a stream as a manifest
describes one; both ask the API itself. Raise SourceObjectMissing for a name that is none. The second has
`token(asking)`, which gives a Token; it is asked again before the token expires, and when it is refused.
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
