"""Files: those whose last-modified time lies in the window, read by DuckDB in place."""

from collections.abc import Mapping
from typing import Any

from headgate.sources.context import Context
from headgate.sources.files.local import LocalFiles

__all__ = ["LocalFiles", "open_local_files"]


def open_local_files(auth_params: Mapping[str, Any], context: Context) -> LocalFiles:
    """The source of the spec `local-files`."""
    return LocalFiles(auth_params, context.roots)
