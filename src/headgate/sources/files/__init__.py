"""Files: those whose last-modified time lies in the window, from any store, read by DuckDB on this machine."""

from collections.abc import Mapping
from typing import Any

from headgate.sources.context import Context
from headgate.sources.files.copies import Scratch
from headgate.sources.files.source import Files
from headgate.sources.files.stores.local import LocalStore

__all__ = ["Files", "Scratch", "open_local_files"]


def open_local_files(auth_params: Mapping[str, Any], context: Context) -> Files:
    """The source of the spec `local-files`."""
    return Files(LocalStore(auth_params, context.roots), Scratch.of(context.settings))
